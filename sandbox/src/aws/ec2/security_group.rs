//! Security groups.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::{Resource, Words, absent, answer, find};
use super::rule::{Peer, Rule, permissions};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// A security group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    created: Time,
    pub(crate) name: String,
    description: String,
    pub(crate) vpc: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tags: Tags,
}

/// The name of the group that comes with each VPC.
const DEFAULT: &str = "default";

impl Group {
    /// The group that comes with a VPC: what is in it can talk to itself.
    pub(crate) fn default_of(scene: &mut Scene<'_>, vpc: &str) -> Self {
        let mut group = Self::new(
            scene,
            vpc,
            DEFAULT,
            "default VPC security group",
            Tags::default(),
        );
        let peer = Peer::Group {
            id: group.id.clone(),
            account: scene.place.account.clone(),
        };
        group.rules.insert(0, Rule::everything(scene, false, peer));
        group
    }

    /// A group that lets everything out, as each new one does.
    fn new(scene: &mut Scene<'_>, vpc: &str, name: &str, description: &str, tags: Tags) -> Self {
        let out = Rule::everything(scene, true, Peer::anywhere());
        Self {
            id: scene.core.ids.ec2("sg"),
            created: scene.now,
            name: name.to_owned(),
            description: description.to_owned(),
            vpc: vpc.to_owned(),
            rules: vec![out],
            tags,
        }
    }

    /// Whether it came with its VPC.
    pub(crate) fn is_default(&self) -> bool {
        self.name == DEFAULT
    }
}

impl Resource for Group {
    const WORDS: Words = Words {
        prefix: "sg",
        noun: "security group",
        not_found: "InvalidGroup.NotFound",
        malformed: "InvalidGroupId.Malformed",
        tagged: "security-group",
        ids: "GroupId",
        set: "securityGroupInfo",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("group-id", "groupId"),
        ("group-name", "groupName"),
        ("description", "groupDescription"),
        ("vpc-id", "vpcId"),
        ("owner-id", "ownerId"),
        ("ip-permission.cidr", "ipPermissions.ipRanges.cidrIp"),
        ("ip-permission.from-port", "ipPermissions.fromPort"),
        ("ip-permission.to-port", "ipPermissions.toPort"),
        ("ip-permission.protocol", "ipPermissions.ipProtocol"),
        ("ip-permission.group-id", "ipPermissions.groups.groupId"),
        (
            "egress.ip-permission.cidr",
            "ipPermissionsEgress.ipRanges.cidrIp",
        ),
        (
            "egress.ip-permission.from-port",
            "ipPermissionsEgress.fromPort",
        ),
        ("egress.ip-permission.to-port", "ipPermissionsEgress.toPort"),
        (
            "egress.ip-permission.protocol",
            "ipPermissionsEgress.ipProtocol",
        ),
        (
            "egress.ip-permission.group-id",
            "ipPermissionsEgress.groups.groupId",
        ),
    ];

    fn created(&self) -> Time {
        self.created
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }

    fn show(&self, scene: &Scene<'_>) -> Value {
        json!({
            "groupId": self.id,
            "groupName": self.name,
            "groupDescription": self.description,
            "vpcId": self.vpc,
            "ownerId": scene.place.account,
            "securityGroupArn": scene.place.arn("ec2", &format!("security-group/{}", self.id)),
            "ipPermissions": permissions(self.rules.iter().filter(|rule| !rule.egress)),
            "ipPermissionsEgress": permissions(self.rules.iter().filter(|rule| rule.egress)),
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateSecurityGroup",
        &["GroupName", "GroupDescription", "VpcId", "TagSpecification"],
        create_security_group,
    ),
    Action::write("DeleteSecurityGroup", &["GroupId"], delete_security_group),
    Action::read(
        "DescribeSecurityGroups",
        &["GroupId", "GroupName", "Filter", "MaxResults", "NextToken"],
        describe_security_groups,
    ),
];

/// Make a group, for any part of the simulator.
///
/// # Errors
/// When the VPC is not there, has a group of that name, or the region has too many.
pub(crate) fn create(
    scene: &mut Scene<'_>,
    vpc: &str,
    name: &str,
    description: &str,
    tags: Tags,
) -> Result<String, ApiError> {
    let ec2 = &scene.region.ec2;
    find(&ec2.vpcs, vpc)?;
    if ec2
        .groups
        .values()
        .any(|group| group.vpc == vpc && group.name == name)
    {
        let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(ApiError::new("InvalidGroup.Duplicate", message));
    }
    if ec2.groups.len() >= scene.quota("L-E79EC296") {
        let message = "The maximum number of security groups has been reached.";
        return Err(ApiError::new("SecurityGroupLimitExceeded", message));
    }
    let group = Group::new(scene, vpc, name, description, tags);
    let id = group.id.clone();
    scene.region.ec2.groups.insert(id.clone(), group);
    Ok(id)
}

/// Whether something still needs a group: an interface that has it, or a rule of another group that names it.
pub(crate) fn in_use(scene: &Scene<'_>, id: &str) -> bool {
    let ec2 = &scene.region.ec2;
    let names_it = |rule: &Rule| matches!(&rule.peer, Peer::Group { id: peer, .. } if peer == id);
    ec2.interfaces
        .values()
        .any(|interface| interface.groups.iter().any(|group| group == id))
        || ec2
            .groups
            .values()
            .any(|other| other.id != id && other.rules.iter().any(names_it))
}

fn create_security_group(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("GroupName")?;
    let description = params.need("GroupDescription")?;
    let Some(vpc) = params.text("VpcId") else {
        // Without a VPC it would go to the default one, and there is none here.
        let message = "No default VPC for this user";
        return Err(ApiError::new("VPCIdNotSpecified", message));
    };
    if name.starts_with("sg-") {
        let message = format!(
            "Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*."
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    if name == DEFAULT {
        let message = "Cannot use reserved security group name: default";
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    for (what, text) in [("GroupName", name), ("GroupDescription", description)] {
        if text.len() > 255 || !text.chars().all(allowed) {
            let message = format!(
                "Value ({text}) for parameter {what} is invalid. Character sets beyond ASCII are not supported."
            );
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    }
    let tags = Tags::new(tags::specified(params, "security-group", &[])?);
    let id = create(scene, vpc, name, description, tags)?;
    let group = find(&scene.region.ec2.groups, &id)?;
    Ok(json!({
        "groupId": id,
        "securityGroupArn": scene.place.arn("ec2", &format!("security-group/{id}")),
        "tagSet": Tags::xml(group.tags.current()),
    }))
}

fn delete_security_group(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("GroupId")?;
    let group = find_group(scene, id)?;
    if group.is_default() {
        let message =
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::new("CannotDelete", message));
    }
    if in_use(scene, id) {
        let message = format!("resource {id} has a dependent object");
        return Err(ApiError::new("DependencyViolation", message));
    }
    scene.region.ec2.groups.remove(id);
    Ok(json!({"return": true, "groupId": id}))
}

/// The group of that identifier; EC2 words its absence in its own way.
pub(crate) fn find_group<'a>(scene: &'a Scene<'_>, id: &str) -> Result<&'a Group, ApiError> {
    scene.region.ec2.groups.get(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> ApiError {
    let mut error = absent::<Group>(id);
    if error.code_for(None) == Group::WORDS.not_found {
        error.message = format!("The security group '{id}' does not exist");
    }
    error
}

fn describe_security_groups(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let groups = &scene.region.ec2.groups;
    let (ids, names) = (params.texts("GroupId"), params.texts("GroupName"));
    for id in &ids {
        let known = groups.get(*id).filter(|group| scene.known(group.created));
        if known.is_none() {
            return Err(missing(id));
        }
    }
    if let Some(name) = names.first() {
        // Names are looked for in the default VPC, which is not there.
        let message = format!("The security group '{name}' does not exist in default VPC");
        return Err(ApiError::new("InvalidGroup.NotFound", message));
    }
    let asked = |group: &&Group| {
        if ids.is_empty() {
            scene.listed(group.created)
        } else {
            ids.contains(&group.id.as_str())
        }
    };
    let found = groups
        .values()
        .filter(asked)
        .map(|group| (group.id.clone(), &group.tags, group.show(scene)))
        .collect();
    answer(
        scene,
        params,
        found,
        Group::FILTERS,
        "securityGroupInfo",
        ids.is_empty(),
    )
}
