//! Rules of security groups.

pub(crate) mod change;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::net::Cidr;
use super::resource::answer;
use super::security_group::find_group;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// One rule: one peer, one range of ports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) egress: bool,
    /// `tcp`, `udp`, `icmp`, a number, or `-1` for everything.
    pub(crate) protocol: String,
    /// First and last port, or ICMP type and code; none for everything.
    pub(crate) ports: Option<(i64, i64)>,
    pub(crate) peer: Peer,
    description: Option<String>,
    pub(crate) tags: Tags,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    Cidr(Cidr),
    /// As it was written; IPv6 ranges are kept and shown only.
    Cidr6(String),
    PrefixList(String),
    Group {
        id: String,
        account: String,
    },
}

impl Peer {
    /// Every IPv4 address.
    pub(crate) fn anywhere() -> Self {
        "0.0.0.0/0"
            .parse()
            .map_or(Self::Cidr6(String::new()), Self::Cidr)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => write!(formatter, "{cidr}"),
            Self::Cidr6(text) | Self::PrefixList(text) | Self::Group { id: text, .. } => {
                formatter.write_str(text)
            }
        }
    }
}

impl Rule {
    /// A rule about every protocol and port.
    pub(crate) fn everything(scene: &mut Scene<'_>, egress: bool, peer: Peer) -> Self {
        Self {
            id: scene.core.ids.ec2("sgr"),
            egress,
            protocol: "-1".to_owned(),
            ports: None,
            peer,
            description: None,
            tags: Tags::default(),
        }
    }

    /// A rule that lets in one protocol at a range of ports (of ICMP: type and code).
    pub(crate) fn ports(
        scene: &mut Scene<'_>,
        protocol: &str,
        ports: (i64, i64),
        peer: Peer,
    ) -> Self {
        Self {
            protocol: protocol.to_owned(),
            ports: Some(ports),
            ..Self::everything(scene, false, peer)
        }
    }

    /// The same with a description.
    pub(crate) fn described(self, description: String) -> Self {
        Self {
            description: Some(description),
            ..self
        }
    }

    /// Its description.
    pub(crate) fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    fn same(&self, other: &Self) -> bool {
        self.egress == other.egress
            && self.protocol == other.protocol
            && self.ports == other.ports
            && self.peer == other.peer
    }

    fn show(&self, scene: &Scene<'_>, group: &str, vpc: &str) -> Value {
        let (mut cidr, mut cidr6, mut list, mut peer) = (None, None, None, None);
        match &self.peer {
            Peer::Cidr(text) => cidr = Some(text),
            Peer::Cidr6(text) => cidr6 = Some(text),
            Peer::PrefixList(text) => list = Some(text),
            Peer::Group { id, account } => {
                peer = Some(json!({"groupId": id, "userId": account, "vpcId": vpc}));
            }
        }
        // Everything has the ports -1 here, and none in the list of permissions.
        let (from, to) = self.ports.unwrap_or((-1, -1));
        json!({
            "securityGroupRuleId": self.id,
            "groupId": group,
            "groupOwnerId": scene.place.account,
            "isEgress": self.egress,
            "ipProtocol": self.protocol,
            "fromPort": from,
            "toPort": to,
            "cidrIpv4": cidr,
            "cidrIpv6": cidr6,
            "prefixListId": list,
            "referencedGroupInfo": peer,
            "description": self.description,
            "securityGroupRuleArn": scene.place.arn("ec2", &format!("security-group-rule/{}", self.id)),
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

/// Rules as `DescribeSecurityGroups` shows them: those of one protocol and port range together.
pub(crate) fn permissions<'a>(rules: impl Iterator<Item = &'a Rule>) -> Value {
    type Same<'a> = ((&'a str, Option<(i64, i64)>), Vec<&'a Rule>);
    let mut sets: Vec<Same<'_>> = Vec::new();
    for rule in rules {
        let key = (rule.protocol.as_str(), rule.ports);
        match sets.iter_mut().find(|(other, _)| *other == key) {
            Some((_, set)) => set.push(rule),
            None => sets.push((key, vec![rule])),
        }
    }
    let shown = sets.into_iter().map(|((protocol, ports), set)| {
        let list = |show: &dyn Fn(&Rule) -> Option<Value>| -> Value {
            set.iter().filter_map(|rule| show(rule)).collect()
        };
        json!({
            "ipProtocol": protocol,
            "fromPort": ports.map(|(from, _)| from),
            "toPort": ports.map(|(_, to)| to),
            "groups": list(&|rule| match &rule.peer {
                Peer::Group { id, account } => Some(json!({
                    "groupId": id, "userId": account, "description": rule.description,
                })),
                _ => None,
            }),
            "ipRanges": list(&|rule| match &rule.peer {
                Peer::Cidr(cidr) => Some(json!({"cidrIp": cidr, "description": rule.description})),
                _ => None,
            }),
            "ipv6Ranges": list(&|rule| match &rule.peer {
                Peer::Cidr6(cidr) => Some(json!({"cidrIpv6": cidr, "description": rule.description})),
                _ => None,
            }),
            "prefixListIds": list(&|rule| match &rule.peer {
                Peer::PrefixList(id) => Some(json!({"prefixListId": id, "description": rule.description})),
                _ => None,
            }),
        })
    });
    shown.collect()
}

const GIVEN: &[&str] = &[
    "GroupId",
    "IpPermissions",
    "CidrIp",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "TagSpecification",
];
const REVOKED: &[&str] = &[
    "GroupId",
    "IpPermissions",
    "SecurityGroupRuleId",
    "CidrIp",
    "IpProtocol",
    "FromPort",
    "ToPort",
];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("AuthorizeSecurityGroupIngress", GIVEN, |scene, params| {
        authorize(scene, params, false)
    }),
    Action::write("AuthorizeSecurityGroupEgress", GIVEN, |scene, params| {
        authorize(scene, params, true)
    }),
    Action::write("RevokeSecurityGroupIngress", REVOKED, |scene, params| {
        revoke(scene, params, false)
    }),
    Action::write("RevokeSecurityGroupEgress", REVOKED, |scene, params| {
        revoke(scene, params, true)
    }),
    Action::read(
        "DescribeSecurityGroupRules",
        &["SecurityGroupRuleId", "Filter", "MaxResults", "NextToken"],
        describe_security_group_rules,
    ),
];

/// The protocol and the ports of a permission.
fn traffic(permission: Params<'_>) -> Result<(String, Option<(i64, i64)>), ApiError> {
    let given = permission.need("IpProtocol")?;
    let protocol = match given.to_ascii_lowercase().as_str() {
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "1" => "icmp".to_owned(),
        "all" => "-1".to_owned(),
        other => other.to_owned(),
    };
    let known = ["tcp", "udp", "icmp", "icmpv6", "-1"].contains(&protocol.as_str());
    if !known && protocol.parse::<u8>().is_err() {
        let message = format!("Invalid value '{given}' for IP protocol. Unknown protocol.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let ports = match (permission.number("FromPort")?, permission.number("ToPort")?) {
        _ if !["tcp", "udp", "icmp", "icmpv6"].contains(&protocol.as_str()) => None,
        (Some(from), Some(to)) => Some((from, to)),
        _ => {
            let message =
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    };
    if let Some((from, to)) = ports.filter(|_| ["tcp", "udp"].contains(&protocol.as_str())) {
        if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) {
            let wrong = if (0..=65_535).contains(&from) {
                to
            } else {
                from
            };
            let message = format!(
                "Invalid value '{wrong}' for portRange. Must specify a value between 0 and 65535."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        if from > to {
            let message = "Invalid TCP/UDP port range: the from port is greater than the to port";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    }
    Ok((protocol, ports))
}

/// The rules that the parameters spell out. They have no identifiers yet.
fn rules(scene: &Scene<'_>, params: Params<'_>, egress: bool) -> Result<Vec<Rule>, ApiError> {
    let mut rules = Vec::new();
    let mut sets = params.sections("IpPermissions");
    if sets.is_empty() && params.has("IpProtocol") {
        sets.push(params);
    }
    for set in sets {
        let (protocol, ports) = traffic(set)?;
        let mut peers: Vec<(Peer, Option<&str>)> = Vec::new();
        for range in set.sections("IpRanges") {
            peers.push((ipv4(range.need("CidrIp")?)?, range.text("Description")));
        }
        if let Some(cidr) = set.text("CidrIp") {
            peers.push((ipv4(cidr)?, None));
        }
        for range in set.sections("Ipv6Ranges") {
            let peer = Peer::Cidr6(range.need("CidrIpv6")?.to_owned());
            peers.push((peer, range.text("Description")));
        }
        for list in set.sections("PrefixListIds") {
            let peer = Peer::PrefixList(list.need("PrefixListId")?.to_owned());
            peers.push((peer, list.text("Description")));
        }
        for group in set.sections("Groups") {
            let peer = find_group(scene, group.need("GroupId")?)?;
            let peer = Peer::Group {
                id: peer.id.clone(),
                account: scene.place.account.clone(),
            };
            peers.push((peer, group.text("Description")));
        }
        rules.extend(peers.into_iter().map(|(peer, description)| Rule {
            id: String::new(),
            egress,
            protocol: protocol.clone(),
            ports,
            peer,
            description: description.map(str::to_owned),
            tags: Tags::default(),
        }));
    }
    Ok(rules)
}

fn ipv4(text: &str) -> Result<Peer, ApiError> {
    let cidr: Result<Cidr, _> = text.parse();
    cidr.map(Peer::Cidr).map_err(|_| {
        let message = format!("CIDR block {text} is malformed");
        ApiError::new("InvalidParameterValue", message)
    })
}

/// A rule as an error speaks of it.
fn spelled(rule: &Rule) -> String {
    let protocol = match rule.protocol.as_str() {
        "-1" => "ALL".to_owned(),
        other => other.to_uppercase(),
    };
    let ports = rule.ports.map_or(String::new(), |(from, to)| {
        format!(", from port: {from}, to port: {to}")
    });
    format!("peer: {}, {protocol}{ports}, ALLOW", rule.peer)
}

fn authorize(scene: &mut Scene<'_>, params: Params<'_>, egress: bool) -> Result<Value, ApiError> {
    let id = params.need("GroupId")?;
    let group = find_group(scene, id)?;
    let mut new = rules(scene, params, egress)?;
    if new.is_empty() {
        return Err(ApiError::missing("ipPermissions"));
    }
    let tags = tags::specified(params, "security-group-rule", &[])?;
    let vpc = group.vpc.clone();
    for (index, rule) in new.iter().enumerate() {
        if group
            .rules
            .iter()
            .chain(&new[..index])
            .any(|other| other.same(rule))
        {
            let message = format!("the specified rule \"{}\" already exists", spelled(rule));
            return Err(ApiError::new("InvalidPermission.Duplicate", message));
        }
    }
    let there = group
        .rules
        .iter()
        .filter(|rule| rule.egress == egress)
        .count();
    if there + new.len() > scene.quota("L-0EA8095F") {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    for rule in &mut new {
        rule.id = scene.core.ids.ec2("sgr");
        rule.tags = Tags::new(tags.clone());
    }
    let shown: Vec<Value> = new.iter().map(|rule| rule.show(scene, id, &vpc)).collect();
    if let Some(group) = scene.region.ec2.groups.get_mut(id) {
        group.rules.extend(new);
    }
    Ok(json!({"return": true, "securityGroupRuleSet": shown}))
}

fn revoke(scene: &mut Scene<'_>, params: Params<'_>, egress: bool) -> Result<Value, ApiError> {
    let id = params.need("GroupId")?;
    let group = find_group(scene, id)?;
    let mut going = Vec::new();
    for rule_id in params.texts("SecurityGroupRuleId") {
        let mut rules = group.rules.iter();
        if !rules.any(|rule| rule.id == rule_id && rule.egress == egress) {
            let message =
                format!("The specified rule ID '{rule_id}' does not exist in this security group.");
            return Err(ApiError::new(
                "InvalidSecurityGroupRuleId.NotFound",
                message,
            ));
        }
        going.push(rule_id.to_owned());
    }
    for rule in rules(scene, params, egress)? {
        let there = group.rules.iter().find(|other| other.same(&rule));
        let there = there.ok_or_else(|| {
            let message = "The specified rule does not exist in this security group.";
            ApiError::new("InvalidPermission.NotFound", message)
        })?;
        going.push(there.id.clone());
    }
    if going.is_empty() {
        return Err(ApiError::missing("ipPermissions"));
    }
    if let Some(group) = scene.region.ec2.groups.get_mut(id) {
        group.rules.retain(|rule| !going.contains(&rule.id));
    }
    Ok(json!({"return": true}))
}

fn describe_security_group_rules(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let ids = params.texts("SecurityGroupRuleId");
    let groups = scene.region.ec2.groups.values();
    let all: Vec<_> = groups
        .flat_map(|group| group.rules.iter().map(move |rule| (group, rule)))
        .collect();
    for id in &ids {
        if !all.iter().any(|(_, rule)| rule.id == *id) {
            let message = format!("The security group rule ID '{id}' does not exist");
            return Err(ApiError::new(
                "InvalidSecurityGroupRuleId.NotFound",
                message,
            ));
        }
    }
    let found = all
        .into_iter()
        .filter(|(_, rule)| ids.is_empty() || ids.contains(&rule.id.as_str()))
        .map(|(group, rule)| {
            let shown = rule.show(scene, &group.id, &group.vpc);
            (rule.id.clone(), &rule.tags, shown)
        })
        .collect();
    let fields = [
        ("group-id", "groupId"),
        ("security-group-rule-id", "securityGroupRuleId"),
    ];
    answer(
        scene,
        params,
        found,
        &fields,
        "securityGroupRuleSet",
        ids.is_empty(),
    )
}
