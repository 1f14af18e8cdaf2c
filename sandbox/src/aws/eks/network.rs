//! What EKS makes in a cluster's VPC: a security group, and the control plane's interfaces.

use std::collections::BTreeMap;

use crate::aws::ec2::interface::{self, NewInterface};
use crate::aws::ec2::resource::find;
use crate::aws::ec2::route::{Destination, Target};
use crate::aws::ec2::rule::{Peer, Rule};
use crate::aws::ec2::{nat_gateway, security_group};
use crate::aws::wire::error::ApiError;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// Make a cluster's own security group: what is in it can talk to itself.
pub(super) fn group(scene: &mut Scene<'_>, vpc: &str, cluster: &str) -> Result<String, ApiError> {
    let number = u64::from(scene.core.ids.below(u32::MAX)) + 1_000_000_000;
    let name = format!("eks-cluster-sg-{cluster}-{number}");
    let description = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as \
                       any managed workloads.";
    let tags = BTreeMap::from([
        ("Name".to_owned(), name.clone()),
        (
            format!("kubernetes.io/cluster/{cluster}"),
            "owned".to_owned(),
        ),
        ("aws:eks:cluster-name".to_owned(), cluster.to_owned()),
    ]);
    let id = security_group::create(scene, vpc, &name, description, Tags::new(tags))?;
    let itself = Peer::Group {
        id: id.clone(),
        account: scene.place.account.clone(),
    };
    let rule = Rule::everything(scene, false, itself);
    if let Some(group) = scene.region.ec2.groups.get_mut(&id) {
        group.rules.insert(0, rule);
    }
    Ok(id)
}

/// Make the control plane's interfaces: two, in subnets of different zones.
pub(super) fn interfaces(
    scene: &mut Scene<'_>,
    cluster: &str,
    subnets: &[String],
    groups: &[String],
) -> Result<Vec<String>, ApiError> {
    let mut zones = Vec::new();
    let mut made = Vec::new();
    for subnet in subnets {
        let zone = find(&scene.region.ec2.subnets, subnet)?.zone.clone();
        if zones.contains(&zone) || made.len() == 2 {
            continue;
        }
        zones.push(zone);
        let new = NewInterface {
            subnet: subnet.clone(),
            description: format!("Amazon EKS {cluster}"),
            groups: groups.to_vec(),
            requester: Some("AROASBXEKSCONTROLPLANE:AmazonEKS".to_owned()),
            service: Some("amazon-aws"),
            ..NewInterface::default()
        };
        match interface::create(scene, new) {
            Ok(id) => made.push(id),
            Err(error) => {
                made.iter().for_each(|id| interface::remove(scene, id));
                return Err(error);
            }
        }
    }
    Ok(made)
}

/// Take them away; a group that something else uses stays.
pub(super) fn remove(scene: &mut Scene<'_>, interfaces: &[String], group: &str) {
    for id in interfaces {
        interface::remove(scene, id);
    }
    if !security_group::in_use(scene, group) {
        scene.region.ec2.groups.remove(group);
    }
}

/// What keeps instances in a subnet from reaching the cluster and the registries, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayOut {
    /// Through a NAT gateway, or an internet gateway and public addresses.
    Open,
    /// There is an internet gateway, but instances get no public address.
    NoPublicAddress,
    /// There is no way.
    Closed,
}

/// Whether instances in a subnet reach the internet.
pub(super) fn way_out(scene: &Scene<'_>, subnet: &str) -> WayOut {
    let ec2 = &scene.region.ec2;
    let Some(subnet) = ec2.subnets.get(subnet) else {
        return WayOut::Closed;
    };
    let tables = || {
        ec2.route_tables
            .values()
            .filter(|table| table.vpc == subnet.vpc)
    };
    let own = tables().find(|table| {
        let mut associations = table.associations.iter();
        associations.any(|association| association.subnet == subnet.id)
    });
    let Some(table) = own.or_else(|| tables().find(|table| table.main)) else {
        return WayOut::Closed;
    };
    let everywhere = |destination: &Destination| matches!(destination, Destination::Cidr(cidr) if cidr.prefix() == 0);
    let default = table
        .routes
        .iter()
        .find(|route| everywhere(&route.destination));
    match default.map(|route| &route.target) {
        Some(Target::InternetGateway(id)) if ec2.internet_gateways.contains_key(id) => {
            if subnet.public_addresses {
                WayOut::Open
            } else {
                WayOut::NoPublicAddress
            }
        }
        Some(Target::NatGateway(id))
            if ec2
                .nat_gateways
                .get(id)
                .is_some_and(nat_gateway::NatGateway::is_alive) =>
        {
            WayOut::Open
        }
        Some(Target::Interface(_)) => WayOut::Open,
        _ => WayOut::Closed,
    }
}
