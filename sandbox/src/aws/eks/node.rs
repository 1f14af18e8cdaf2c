//! The nodes of node groups: instances that join their cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::network::{WayOut, way_out};
use super::nodegroup::{self, GroupStatus, Nodegroup, group_mut};
use super::{Event, Issue, addon, by_id, changed};
use crate::aws::ec2::instance;
use crate::aws::ec2::launch::{Disk, Launch, launch};
use crate::aws::wire::error::ApiError;
use crate::aws::world::faults::AwsFaultEffect;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;

/// An instance of a group, on its way to being a node and away again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    state: NodeState,
    /// Kubernetes version.
    pub(super) version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum NodeState {
    /// It boots.
    Booting,
    /// It never joins.
    Lost,
    /// It has joined and waits for the network.
    Joined,
    /// It takes pods.
    Ready,
    /// It is being drained.
    Leaving,
    /// Its instance ends.
    Gone,
}

impl Node {
    pub(super) fn is_ready(&self) -> bool {
        self.state == NodeState::Ready
    }

    pub(super) fn has_joined(&self) -> bool {
        matches!(
            self.state,
            NodeState::Joined | NodeState::Ready | NodeState::Leaving
        )
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.state == NodeState::Leaving
    }

    pub(super) fn stays(&self) -> bool {
        !matches!(self.state, NodeState::Leaving | NodeState::Gone)
    }
}

/// Whether nothing is left of an instance but its name.
pub(super) fn is_gone(scene: &Scene<'_>, instance: &str) -> bool {
    let found = scene.region.ec2.instances.get(instance);
    found.is_none_or(|instance| instance.state == instance::State::Terminated)
}

/// Launch as many instances as a group is short of. Those that can't be launched are an issue, and tried again.
pub(super) fn launch_missing(scene: &mut Scene<'_>, id: &str, name: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let Some(group) = cluster.nodegroups.get_mut(name) else {
        return;
    };
    if matches!(
        group.status,
        GroupStatus::CreateFailed | GroupStatus::Deleting
    ) {
        return;
    }
    let wanted = usize::try_from(group.scaling.desired).unwrap_or(0);
    let mut short = wanted.saturating_sub(group.staying());
    if short == 0 && !group.issues.is_empty() {
        // Only instances that are launched make it well again, not that fewer are wanted.
        return;
    }
    group
        .issues
        .retain(|issue| issue.code != "AsgInstanceLaunchFailures");
    let (cluster, own_group) = (cluster.name.clone(), cluster.own_group.clone());
    let group = group.clone();
    while short > 0 {
        short -= 1;
        match launch_one(scene, &cluster, &own_group, id, &group) {
            Ok(instance) => {
                let node = Node {
                    state: NodeState::Booting,
                    version: group.version.clone(),
                };
                if let Some(group) = group_mut(scene, id, name) {
                    group.nodes.insert(instance.clone(), node);
                }
                let event = Event::Joins {
                    id: id.to_owned(),
                    group: name.to_owned(),
                    instance,
                };
                scene.schedule_after(Wait::InstanceRunning, Wait::NodeJoins, event);
            }
            Err(error) => {
                let message = format!(
                    "Could not launch {} Instances. {} - {} Launching EC2 instance failed.",
                    if group.spot { "Spot" } else { "On-Demand" },
                    error.code_for(None),
                    error.message
                );
                if let Some(group) = group_mut(scene, id, name) {
                    let resources = vec![group.scaling_group()];
                    group
                        .issues
                        .push(Issue::new("AsgInstanceLaunchFailures", message, resources));
                }
                // The Auto Scaling group goes on trying.
                let event = Event::Launch {
                    id: id.to_owned(),
                    group: name.to_owned(),
                };
                scene.schedule(Wait::NodegroupLaunches, event);
                break;
            }
        }
    }
    nodegroup::settles(scene, id, name);
    changed(scene, &cluster);
}

/// One instance, in the subnet that has the fewest of this group.
fn launch_one(
    scene: &mut Scene<'_>,
    cluster: &str,
    own_group: &str,
    id: &str,
    group: &Nodegroup,
) -> Result<String, ApiError> {
    let nodes = group_mut(scene, id, &group.name)
        .map(|group| group.nodes.clone())
        .unwrap_or_default();
    let in_subnet = |subnet: &String| {
        let mine = nodes.iter().filter(|(_, node)| node.stays());
        mine.filter(|(instance, _)| {
            scene
                .region
                .ec2
                .instances
                .get(*instance)
                .is_some_and(|i| &i.subnet == subnet)
        })
        .count()
    };
    let mut subnets: Vec<&String> = group.subnets.iter().collect();
    subnets.sort_by_key(|subnet| in_subnet(subnet));
    let tags = BTreeMap::from([
        ("eks:cluster-name".to_owned(), cluster.to_owned()),
        ("eks:nodegroup-name".to_owned(), group.name.clone()),
        (
            format!("kubernetes.io/cluster/{cluster}"),
            "owned".to_owned(),
        ),
        (
            "k8s.io/cluster-autoscaler/enabled".to_owned(),
            "true".to_owned(),
        ),
        (
            format!("k8s.io/cluster-autoscaler/{cluster}"),
            "owned".to_owned(),
        ),
        ("aws:eks:cluster-name".to_owned(), cluster.to_owned()),
        (
            "aws:autoscaling:groupName".to_owned(),
            group.scaling_group(),
        ),
    ]);
    let own = BTreeMap::from([
        ("eks:cluster-name".to_owned(), cluster.to_owned()),
        ("eks:nodegroup-name".to_owned(), group.name.clone()),
    ]);
    let reservation = scene.core.ids.ec2("r");
    let mut failure = None;
    for (kind, subnet) in group
        .instance_types
        .iter()
        .flat_map(|kind| subnets.iter().map(move |subnet| (kind, subnet)))
    {
        let new = Launch {
            instance_type: kind.clone(),
            image: "ami-0e5a1c0ffee5a1c00".to_owned(),
            subnet: (*subnet).clone(),
            groups: vec![own_group.to_owned()],
            profile: Some(
                scene
                    .place
                    .global_arn("iam", &format!("instance-profile/{}", group.profile)),
            ),
            spot: group.spot,
            disks: vec![Disk {
                size: group.disk,
                ..Disk::default()
            }],
            tags: tags.clone(),
            volume_tags: own.clone(),
            interface_tags: BTreeMap::new(),
            ..Launch::default()
        };
        match launch(scene, &new, &reservation) {
            Ok(instance) => return Ok(instance),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| ApiError::new("ValidationError", "No subnets.")))
}

/// An instance joins its cluster, if it finds the way.
pub(super) fn joins(scene: &mut Scene<'_>, id: &str, group: &str, instance: &str) {
    let Some(machine) = scene.region.ec2.instances.get(instance) else {
        return;
    };
    if !machine.is_running() {
        return;
    }
    let (zone, kind, subnet) = (
        machine.zone.clone(),
        machine.instance_type.clone(),
        machine.subnet.clone(),
    );
    let way = way_out(scene, &subnet);
    let lost = scene
        .core
        .faults
        .instance(&AwsFaultEffect::FailToJoin, &zone, &kind);
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let (network, cluster) = (cluster.has_network(), cluster.name.clone());
    let Some(of) = group_mut(scene, id, group) else {
        return;
    };
    if way == WayOut::NoPublicAddress && of.status == GroupStatus::Creating {
        let message = format!(
            "One or more Amazon EC2 Subnets of [{subnet}] for node group {group} does not automatically assign public IP \
             addresses to instances launched into it. If you want your instances to be assigned a public IP address, then you \
             need to enable auto-assign public IP address for the subnet."
        );
        of.status = GroupStatus::CreateFailed;
        of.issues.push(Issue::new(
            "Ec2SubnetInvalidConfiguration",
            message,
            vec![subnet],
        ));
        return;
    }
    let Some(node) = of
        .nodes
        .get_mut(instance)
        .filter(|node| node.state == NodeState::Booting)
    else {
        return;
    };
    node.state = match (lost || way != WayOut::Open, network) {
        (true, _) => NodeState::Lost,
        (false, false) => NodeState::Joined,
        (false, true) => NodeState::Ready,
    };
    settled(scene, id, &cluster, group);
}

fn settled(scene: &mut Scene<'_>, id: &str, cluster: &str, group: &str) {
    nodegroup::settles(scene, id, group);
    addon::nodes_changed(scene, id);
    changed(scene, cluster);
}

/// The cluster has a network now: nodes that waited for it become ready.
pub(super) fn network_came(scene: &mut Scene<'_>, id: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    if !cluster.has_network() {
        return;
    }
    let name = cluster.name.clone();
    let groups: Vec<String> = cluster.nodegroups.keys().cloned().collect();
    for group in cluster.nodegroups.values_mut() {
        for node in group.nodes.values_mut() {
            if node.state == NodeState::Joined {
                node.state = NodeState::Ready;
            }
        }
    }
    for group in &groups {
        settled(scene, id, &name, group);
    }
}

/// Drain a node; its instance ends a little later.
pub(super) fn drain(scene: &mut Scene<'_>, id: &str, group: &str, instance: &str) {
    let node = group_mut(scene, id, group).and_then(|group| group.nodes.get_mut(instance));
    let Some(node) = node.filter(|node| node.stays()) else {
        return;
    };
    node.state = NodeState::Leaving;
    let event = Event::Drained {
        id: id.to_owned(),
        group: group.to_owned(),
        instance: instance.to_owned(),
    };
    scene.schedule(Wait::NodeDrained, event);
}

/// A node is drained.
pub(super) fn drained(scene: &mut Scene<'_>, id: &str, group: &str, instance: &str) {
    let node = group_mut(scene, id, group).and_then(|group| group.nodes.get_mut(instance));
    if let Some(node) = node {
        node.state = NodeState::Gone;
    }
    instance::terminate(scene, instance, "Client.InstanceInitiatedShutdown");
    if let Some(name) = by_id(scene, id).map(|cluster| cluster.name.clone()) {
        changed(scene, &name);
    }
}
