//! EC2: what each action works on. Describe calls know no resources.

use std::collections::BTreeMap;

use super::{Need, On, tags};
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// An action, the type of what it makes, and the parameters that name what else it needs a permission on.
type Row = (&'static str, Option<&'static str>, &'static [&'static str]);

/// The actions whose resources are known; of others, every statement with a resource is one about it.
const TABLE: &[Row] = &[
    ("AllocateAddress", Some("elastic-ip"), &[]),
    ("AssociateRouteTable", None, &["RouteTableId", "SubnetId"]),
    (
        "AttachInternetGateway",
        None,
        &["InternetGatewayId", "VpcId"],
    ),
    ("AuthorizeSecurityGroupEgress", None, &["GroupId"]),
    ("AuthorizeSecurityGroupIngress", None, &["GroupId"]),
    ("CreateInternetGateway", Some("internet-gateway"), &[]),
    ("CreateLaunchTemplate", Some("launch-template"), &[]),
    (
        "CreateNatGateway",
        Some("natgateway"),
        &["SubnetId", "AllocationId"],
    ),
    (
        "CreateNetworkInterface",
        Some("network-interface"),
        &["SubnetId", "SecurityGroupId"],
    ),
    ("CreateRoute", None, &["RouteTableId"]),
    ("CreateRouteTable", Some("route-table"), &["VpcId"]),
    ("CreateSecurityGroup", Some("security-group"), &["VpcId"]),
    ("CreateSnapshot", Some("snapshot"), &["VolumeId"]),
    ("CreateSubnet", Some("subnet"), &["VpcId"]),
    ("CreateTags", None, &["ResourceId"]),
    ("CreateVolume", Some("volume"), &[]),
    ("CreateVpc", Some("vpc"), &[]),
    (
        "CreateVpcEndpoint",
        Some("vpc-endpoint"),
        &["VpcId", "RouteTableId"],
    ),
    ("DeleteInternetGateway", None, &["InternetGatewayId"]),
    ("DeleteLaunchTemplate", None, &["LaunchTemplateId"]),
    ("DeleteNatGateway", None, &["NatGatewayId"]),
    ("DeleteNetworkInterface", None, &["NetworkInterfaceId"]),
    ("DeleteRoute", None, &["RouteTableId"]),
    ("DeleteRouteTable", None, &["RouteTableId"]),
    ("DeleteSecurityGroup", None, &["GroupId"]),
    ("DeleteSnapshot", None, &["SnapshotId"]),
    ("DeleteSubnet", None, &["SubnetId"]),
    ("DeleteTags", None, &["ResourceId"]),
    ("DeleteVolume", None, &["VolumeId"]),
    ("DeleteVpc", None, &["VpcId"]),
    ("DeleteVpcEndpoints", None, &["VpcEndpointId"]),
    (
        "DetachInternetGateway",
        None,
        &["InternetGatewayId", "VpcId"],
    ),
    ("ModifySubnetAttribute", None, &["SubnetId"]),
    ("ModifyVpcAttribute", None, &["VpcId"]),
    ("ModifyVpcEndpoint", None, &["VpcEndpointId"]),
    ("ReleaseAddress", None, &["AllocationId"]),
    ("ReplaceRoute", None, &["RouteTableId"]),
    ("RevokeSecurityGroupEgress", None, &["GroupId"]),
    ("RevokeSecurityGroupIngress", None, &["GroupId"]),
    ("TerminateInstances", None, &["InstanceId"]),
];

/// The type in an ARN by what identifiers begin with.
fn kind(id: &str) -> Option<&'static str> {
    Some(match id.split_once('-')?.0 {
        "acl" => "network-acl",
        "eipalloc" => "elastic-ip",
        "eni" => "network-interface",
        "i" => "instance",
        "igw" => "internet-gateway",
        "lt" => "launch-template",
        "nat" => "natgateway",
        "rtb" => "route-table",
        "snap" => "snapshot",
        "sg" => "security-group",
        "sgr" => "security-group-rule",
        "subnet" => "subnet",
        "vol" => "volume",
        "vpc" => "vpc",
        "vpce" => "vpc-endpoint",
        _ => return None,
    })
}

pub(super) fn of(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    if action.starts_with("Describe") || action.starts_with("Get") {
        return vec![Need::new(own, On::Everything)];
    }
    let Some((_, makes, names)) = TABLE.iter().find(|(name, ..)| *name == action) else {
        return vec![Need::new(own, On::Unknown)];
    };
    let mut needs = Vec::new();
    // Of what is made, the tags of the request are known; of what is there, its own.
    if let Some(kind) = makes {
        let requested = specified(params, kind);
        let arn = scene.place.arn("ec2", &format!("{kind}/*"));
        needs.push(Need::on(own.clone(), arn.clone()).requesting(requested.clone()));
        if !requested.is_empty() {
            needs.push(Need {
                by: Some(action.to_owned()),
                ..Need::on("ec2:CreateTags", arn).requesting(requested)
            });
        }
    }
    for id in names.iter().flat_map(|name| named(params, name)) {
        let mut need = match kind(id) {
            Some(kind) => Need::on(own.clone(), scene.place.arn("ec2", &format!("{kind}/{id}"))),
            None => Need::new(own.clone(), On::Unknown),
        };
        need.tags = has(scene, id);
        match action {
            "CreateTags" => need.requested = tags(params, "Tag"),
            "DeleteTags" => need.untagged = tags(params, "Tag").into_keys().collect(),
            _ => {}
        }
        needs.push(need);
    }
    if needs.is_empty() {
        needs.push(Need::new(own, On::Unknown));
    }
    needs
}

/// Identifiers under a parameter, which is one or a list.
fn named<'a>(params: Params<'a>, name: &str) -> Vec<&'a str> {
    match params.text(name) {
        Some(one) => vec![one],
        None => params.texts(name),
    }
}

fn specified(params: Params<'_>, kind: &str) -> BTreeMap<String, String> {
    let all = params.sections("TagSpecification").into_iter();
    let mine = all.filter(|one| one.text("ResourceType") == Some(kind));
    mine.flat_map(|one| tags(one, "Tag")).collect()
}

/// The tags of what is there.
fn has(scene: &Scene<'_>, id: &str) -> BTreeMap<String, String> {
    let all = scene.region.ec2.tagged();
    let found = all.into_iter().find(|one| one.id == id);
    found
        .map(|one| one.tags.current().clone())
        .unwrap_or_default()
}
