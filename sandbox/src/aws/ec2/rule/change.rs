//! Rules that are changed in place: what they say, or only their description.

use serde_json::{Value, json};

use super::{Peer, Rule, ipv4, rules, spelled, traffic};
use crate::aws::ec2::security_group::find_group;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "ModifySecurityGroupRules",
        &["GroupId", "SecurityGroupRule"],
        modify,
    ),
    Action::write(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        DESCRIBED,
        |scene, params| describe(scene, params, false),
    ),
    Action::write(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        DESCRIBED,
        |scene, params| describe(scene, params, true),
    ),
];

const DESCRIBED: &[&str] = &["GroupId", "IpPermissions", "SecurityGroupRuleDescription"];

fn unknown(id: &str) -> ApiError {
    let message = format!("The security group rule ID '{id}' does not exist");
    ApiError::new("InvalidSecurityGroupRuleId.NotFound", message)
}

/// The one peer that a changed rule is about.
fn peer(scene: &Scene<'_>, wanted: Params<'_>) -> Result<Peer, ApiError> {
    let mut peers = Vec::new();
    if let Some(cidr) = wanted.text("CidrIpv4") {
        peers.push(ipv4(cidr)?);
    }
    if let Some(cidr) = wanted.text("CidrIpv6") {
        peers.push(Peer::Cidr6(cidr.to_owned()));
    }
    if let Some(list) = wanted.text("PrefixListId") {
        peers.push(Peer::PrefixList(list.to_owned()));
    }
    if let Some(group) = wanted.text("ReferencedGroupId") {
        peers.push(Peer::Group {
            id: find_group(scene, group)?.id.clone(),
            account: scene.place.account.clone(),
        });
    }
    match (peers.pop(), peers.is_empty()) {
        (Some(peer), true) => Ok(peer),
        (None, _) => Err(ApiError::missing("SecurityGroupRule")),
        (Some(_), false) => {
            let message = "Only one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId can be specified";
            Err(ApiError::new("InvalidParameterCombination", message))
        }
    }
}

/// Rules keep their identifier, their direction and their tags; everything else is as the call says, all rules or none.
fn modify(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("GroupId")?;
    let mut changed = find_group(scene, id)?.rules.clone();
    let updates = params.sections("SecurityGroupRule");
    if updates.is_empty() {
        return Err(ApiError::missing("SecurityGroupRules"));
    }
    for update in updates {
        let rule_id = update.need("SecurityGroupRuleId")?;
        let wanted = update
            .section("SecurityGroupRule")
            .ok_or_else(|| ApiError::missing("SecurityGroupRule"))?;
        let (protocol, ports) = traffic(wanted)?;
        let peer = peer(scene, wanted)?;
        let rule = changed.iter_mut().find(|rule| rule.id == rule_id);
        let rule = rule.ok_or_else(|| unknown(rule_id))?;
        rule.protocol = protocol;
        rule.ports = ports;
        rule.peer = peer;
        rule.description = wanted.text("Description").map(str::to_owned);
    }
    for (index, rule) in changed.iter().enumerate() {
        if changed[..index].iter().any(|other| other.same(rule)) {
            let message = format!("the specified rule \"{}\" already exists", spelled(rule));
            return Err(ApiError::new("InvalidPermission.Duplicate", message));
        }
    }
    if let Some(group) = scene.region.ec2.groups.get_mut(id) {
        group.rules = changed;
    }
    Ok(json!({"return": true}))
}

/// Rules are named by what they say or by their identifiers.
fn describe(scene: &mut Scene<'_>, params: Params<'_>, egress: bool) -> Result<Value, ApiError> {
    let id = params.need("GroupId")?;
    let mut changed: Vec<Rule> = find_group(scene, id)?.rules.clone();
    let spelled_out = rules(scene, params, egress)?;
    let named = params.sections("SecurityGroupRuleDescription");
    if spelled_out.is_empty() && named.is_empty() {
        return Err(ApiError::missing("ipPermissions"));
    }
    for wanted in spelled_out {
        let rule = changed.iter_mut().find(|rule| rule.same(&wanted));
        let rule = rule.ok_or_else(|| {
            let message = "The specified rule does not exist in this security group.";
            ApiError::new("InvalidPermission.NotFound", message)
        })?;
        rule.description = wanted.description;
    }
    for named in named {
        let rule_id = named.need("SecurityGroupRuleId")?;
        let mut mine = changed.iter_mut();
        let rule = mine.find(|rule| rule.id == rule_id && rule.egress == egress);
        let rule = rule.ok_or_else(|| unknown(rule_id))?;
        rule.description = named.text("Description").map(str::to_owned);
    }
    if let Some(group) = scene.region.ec2.groups.get_mut(id) {
        group.rules = changed;
    }
    Ok(json!({"return": true}))
}

#[cfg(test)]
mod tests {
    use crate::aws::testing::Stage;

    #[test]
    fn rules_change_in_place_all_or_none() {
        let mut stage = Stage::new();
        let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
        let vpc = vpc["vpc"]["vpcId"].as_str().unwrap();
        let form = format!("GroupName=a&GroupDescription=a&VpcId={vpc}");
        let group = stage.ec2("CreateSecurityGroup", &form).unwrap();
        let group = group["groupId"].as_str().unwrap().to_owned();
        let mut ids = Vec::new();
        for port in [80, 443] {
            let form = format!(
                "GroupId={group}&IpProtocol=tcp&FromPort={port}&ToPort={port}&CidrIp=10.0.0.0/8"
            );
            let made = stage.ec2("AuthorizeSecurityGroupIngress", &form).unwrap();
            let id = &made["securityGroupRuleSet"][0]["securityGroupRuleId"];
            ids.push(id.as_str().unwrap().to_owned());
        }
        let change = |id: &str, port: u16| {
            format!(
                "GroupId={group}&SecurityGroupRule.1.SecurityGroupRuleId={id}\
                 &SecurityGroupRule.1.SecurityGroupRule.IpProtocol=tcp\
                 &SecurityGroupRule.1.SecurityGroupRule.FromPort={port}\
                 &SecurityGroupRule.1.SecurityGroupRule.ToPort={port}\
                 &SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=10.0.0.0/8"
            )
        };
        let modify = "ModifySecurityGroupRules";
        let code = stage.ec2_error(modify, &change(&ids[0], 443));
        assert_eq!(code, "InvalidPermission.Duplicate");
        let code = stage.ec2_error(modify, &change("sgr-0", 1));
        assert_eq!(code, "InvalidSecurityGroupRuleId.NotFound");
        stage.ec2(modify, &change(&ids[0], 8080)).unwrap();
        let named = format!(
            "GroupId={group}&SecurityGroupRuleDescription.1.SecurityGroupRuleId={}\
             &SecurityGroupRuleDescription.1.Description=web",
            ids[0]
        );
        stage
            .ec2("UpdateSecurityGroupRuleDescriptionsIngress", &named)
            .unwrap();
        let shown = stage
            .ec2(
                "DescribeSecurityGroupRules",
                &format!("SecurityGroupRuleId.1={}", ids[0]),
            )
            .unwrap();
        let shown = &shown["securityGroupRuleSet"][0];
        assert_eq!(shown["fromPort"], 8080);
        assert_eq!(shown["description"], "web");
    }
}
