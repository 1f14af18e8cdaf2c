//! Managed node groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::Entry;
use super::cluster::Status;
use super::create::MISMATCH;
use super::node::Node;
use super::{
    Cluster, Event, Issue, bad_parameter, bad_request, by_id, changed, check, cluster_of, in_use,
    limit, map, node, not_found, paged, tags, version,
};
use crate::aws::ec2::instance_type;
use crate::aws::iam::instance_profile as profile;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::tokens::{Replay, remember, replay};

/// A node group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Nodegroup {
    pub(crate) name: String,
    pub(crate) arn: String,
    /// Unique, also in the names of what EKS makes for it.
    pub(super) uid: String,
    created: Time,
    pub(super) changed: Time,
    pub(super) version: String,
    pub(super) status: GroupStatus,
    pub(super) spot: bool,
    pub(super) scaling: Scaling,
    pub(super) instance_types: Vec<String>,
    pub(super) subnets: Vec<String>,
    image: String,
    pub(super) role: String,
    /// GiB.
    pub(super) disk: i64,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
    /// Name of the profile that EKS made of the role.
    pub(super) profile: String,
    pub(super) issues: Vec<Issue>,
    /// By instance.
    pub(crate) nodes: BTreeMap<String, Node>,
    most_unavailable: Value,
    pub(crate) tags: Tags,
}

/// How many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scaling {
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) desired: i64,
}

/// A taint, its effect in EKS' words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taint {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
    pub(crate) effect: String,
}

/// The states of a node group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum GroupStatus {
    Creating,
    Active,
    Updating,
    Deleting,
    CreateFailed,
    Degraded,
}

impl Nodegroup {
    /// Name of its Auto Scaling group.
    pub(super) fn scaling_group(&self) -> String {
        format!("eks-{}-{}", self.name, self.uid)
    }

    /// How many of its nodes are ready.
    pub(super) fn ready(&self) -> usize {
        self.nodes.values().filter(|node| node.is_ready()).count()
    }

    /// How many instances it has that stay.
    pub(super) fn staying(&self) -> usize {
        self.nodes.values().filter(|node| node.stays()).count()
    }

    fn show(&self, cluster: &str) -> Value {
        let taints: Vec<&Taint> = self.taints.iter().collect();
        json!({
            "nodegroupName": self.name,
            "nodegroupArn": self.arn,
            "clusterName": cluster,
            "version": self.version,
            "releaseVersion": format!("{}-20260101", version::patch(&self.version)),
            "createdAt": self.created.epoch(),
            "modifiedAt": self.changed.epoch(),
            "status": self.status,
            "capacityType": if self.spot { "SPOT" } else { "ON_DEMAND" },
            "scalingConfig": {
                "minSize": self.scaling.min, "maxSize": self.scaling.max, "desiredSize": self.scaling.desired,
            },
            "instanceTypes": self.instance_types,
            "subnets": self.subnets,
            "amiType": self.image,
            "nodeRole": self.role,
            "labels": self.labels,
            "taints": (!taints.is_empty()).then_some(taints),
            "resources": {"autoScalingGroups": [{"name": self.scaling_group()}]},
            "diskSize": self.disk,
            "health": Issue::show(&self.issues),
            "updateConfig": self.most_unavailable,
            "tags": self.tags.current(),
        })
    }
}

/// The group that a call names.
pub(super) fn group_of<'a>(
    scene: &'a Scene<'_>,
    params: Params<'_>,
) -> Result<(&'a Cluster, &'a Nodegroup), ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let name = params.need("nodegroupName")?;
    let group = cluster.nodegroups.get(name);
    let group = group.ok_or_else(|| not_found(format!("No node group found for name: {name}.")))?;
    Ok((cluster, group))
}

/// A group of a cluster by unique id.
pub(super) fn group_mut<'a>(
    scene: &'a mut Scene<'_>,
    id: &str,
    group: &str,
) -> Option<&'a mut Nodegroup> {
    by_id(scene, id)?.nodegroups.get_mut(group)
}

const NAMED: &[&str] = &["clusterName", "nodegroupName"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateNodegroup",
        &[
            "clusterName",
            "nodegroupName",
            "scalingConfig",
            "diskSize",
            "subnets",
            "instanceTypes",
            "amiType",
            "nodeRole",
            "labels",
            "taints",
            "tags",
            "clientRequestToken",
            "updateConfig",
            "capacityType",
            "version",
        ],
        create,
    )
    .at("POST", "/clusters/{clusterName}/node-groups"),
    Action::read("DescribeNodegroup", NAMED, describe)
        .at("GET", "/clusters/{clusterName}/node-groups/{nodegroupName}"),
    Action::read(
        "ListNodegroups",
        &["clusterName", "maxResults", "nextToken"],
        list,
    )
    .at("GET", "/clusters/{clusterName}/node-groups"),
    Action::write("DeleteNodegroup", NAMED, delete).at(
        "DELETE",
        "/clusters/{clusterName}/node-groups/{nodegroupName}",
    ),
];

/// The sizes of a call; what is not said stays as it `was`.
pub(super) fn scaling(params: Params<'_>, was: Scaling) -> Result<Scaling, ApiError> {
    let Some(config) = params.section("scalingConfig") else {
        return Ok(was);
    };
    let wanted = Scaling {
        min: config.number("minSize")?.unwrap_or(was.min),
        max: config.number("maxSize")?.unwrap_or(was.max),
        desired: config.number("desiredSize")?.unwrap_or(was.desired),
    };
    if wanted.min < 0 || wanted.max < 1 {
        return Err(bad_parameter(
            "Minimum capacity has to be at least 0 and maximum capacity at least 1",
        ));
    }
    if wanted.desired < wanted.min {
        let message = format!(
            "Minimum capacity {} can't be greater than desired size {}",
            wanted.min, wanted.desired
        );
        return Err(bad_parameter(message));
    }
    if wanted.desired > wanted.max {
        let message = format!(
            "desired capacity {} can't be greater than max size {}",
            wanted.desired, wanted.max
        );
        return Err(bad_parameter(message));
    }
    Ok(wanted)
}

/// Taints of a list.
pub(super) fn taints(list: &[Params<'_>]) -> Result<Vec<Taint>, ApiError> {
    list.iter()
        .map(|taint| {
            let effect = taint.need("effect")?;
            if !["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"].contains(&effect) {
                return Err(bad_parameter(format!("Unknown taint effect {effect}")));
            }
            let key = taint.need("key")?;
            let value = taint.text("value").unwrap_or_default();
            check::label_key(key)?;
            if !value.is_empty() {
                check::label_value(value)?;
            }
            Ok(Taint {
                key: key.to_owned(),
                value: value.to_owned(),
                effect: effect.to_owned(),
            })
        })
        .collect()
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let first = replay(scene, params, "clientRequestToken", MISMATCH)?;
    if let Replay::Again(_) = &first
        && let Ok((cluster, group)) = group_of(scene, params)
    {
        return Ok(json!({ "nodegroup": group.show(&cluster.name) }));
    }
    let cluster = cluster_of(scene, params, "clusterName")?;
    let (cluster_name, id) = (cluster.name.clone(), cluster.id.clone());
    let group = prepare(scene, params)?;
    let (name, uid, role) = (group.name.clone(), group.uid.clone(), group.role.clone());
    let shown = json!({ "nodegroup": group.show(&cluster_name) });
    let role_name = role.rsplit('/').next().unwrap_or_default();
    profile::create(scene, &group.profile, Some(role_name));
    let entry = Entry::of_nodes(scene, &cluster_name, &role);
    if let Some(cluster) = by_id(scene, &id) {
        cluster.nodegroups.insert(name.clone(), group);
        if cluster.authentication != "CONFIG_MAP" {
            cluster.entries.entry(role).or_insert(entry);
        }
    }
    let launch = Event::Launch {
        id: id.clone(),
        group: name.clone(),
    };
    scene.schedule(Wait::NodegroupLaunches, launch);
    scene.schedule(
        Wait::NodegroupFailed,
        Event::GroupDue {
            id,
            group: name.clone(),
            uid,
        },
    );
    remember(scene, first, &name);
    changed(scene, &cluster_name);
    Ok(shown)
}

fn prepare(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Nodegroup, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let name = check::name(params, "nodegroupName", 63)?.to_owned();
    if cluster.nodegroups.contains_key(&name) {
        let message = format!(
            "NodeGroup already exists with name {name} and cluster name {}",
            cluster.name
        );
        return Err(in_use(message)
            .field("clusterName", cluster.name.clone())
            .field("nodegroupName", name));
    }
    // Not while it is being changed either.
    if cluster.status != Status::Active {
        return Err(bad_request(format!(
            "Cluster '{}' is not in ACTIVE status",
            cluster.name
        )));
    }
    if cluster.nodegroups.len() >= scene.quota("L-6D54EA21") {
        return Err(limit(
            "The maximum number of node groups per cluster is reached.",
        ));
    }
    let role = params.need("nodeRole")?;
    let Some(found) = check::role(scene, role, "ec2.amazonaws.com") else {
        let message = format!(
            "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole {role}"
        );
        return Err(bad_parameter(message));
    };
    let attached = |names: &[&str]| {
        names.iter().any(|name| {
            found
                .attached
                .contains(&format!("arn:aws:iam::aws:policy/{name}"))
        })
    };
    let workers = attached(&[
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKSWorkerNodeMinimalPolicy",
    ]);
    let images = attached(&[
        "AmazonEC2ContainerRegistryReadOnly",
        "AmazonEC2ContainerRegistryPullOnly",
    ]);
    if !(workers && images) {
        let message = "The role is missing policies: AmazonEKSWorkerNodePolicy and AmazonEC2ContainerRegistryReadOnly or their \
                       smaller counterparts have to be attached.";
        return Err(bad_parameter(message));
    }
    let ids = params.texts("subnets");
    let subnets = check::subnets(scene, &ids)?;
    if subnets.is_empty() {
        return Err(bad_parameter("Subnets cannot be empty"));
    }
    if subnets.iter().any(|subnet| subnet.vpc != cluster.vpc) {
        return Err(bad_parameter("Subnets are not in the cluster's VPC"));
    }
    let arm = params
        .text("amiType")
        .is_some_and(|image| image.contains("ARM"));
    let mut types: Vec<String> = params
        .texts("instanceTypes")
        .iter()
        .map(|t| (*t).to_owned())
        .collect();
    if types.is_empty() {
        types.push(if arm { "t4g.medium" } else { "t3.medium" }.to_owned());
    }
    let kinds: Vec<_> = types
        .iter()
        .filter_map(|name| instance_type::find(name))
        .collect();
    if kinds.len() < types.len() {
        let message = format!(
            "The following supplied instance types do not exist: [{}]",
            types.join(", ")
        );
        return Err(bad_parameter(message));
    }
    let of_arm = kinds.iter().all(|kind| kind.architecture == "arm64");
    let of_intel = kinds.iter().all(|kind| kind.architecture == "x86_64");
    if !of_arm && !of_intel {
        return Err(bad_parameter(
            "Instance types of different architectures cannot be mixed",
        ));
    }
    let standard = if of_arm {
        "AL2023_ARM_64_STANDARD"
    } else {
        "AL2023_x86_64_STANDARD"
    };
    let image = params.text("amiType").unwrap_or(standard).to_owned();
    if !["AL2023_ARM_64_STANDARD", "AL2023_x86_64_STANDARD"].contains(&image.as_str()) {
        return Err(ApiError::not_simulated(format!(
            "nodes of the image {image}"
        )));
    }
    if arm != of_arm && params.has("amiType") {
        let message = format!(
            "{} is not a valid instance type for requested amiType {image}",
            types.join(", ")
        );
        return Err(bad_parameter(message));
    }
    let spot = match params.text("capacityType") {
        None | Some("ON_DEMAND") => false,
        Some("SPOT") => true,
        Some(other) => {
            return Err(ApiError::not_simulated(format!(
                "nodes of capacity type {other}"
            )));
        }
    };
    let scaling = scaling(
        params,
        Scaling {
            min: 1,
            max: 2,
            desired: 2,
        },
    )?;
    let most = i64::try_from(scene.quota("L-BD136A63")).unwrap_or(i64::MAX);
    if scaling.desired > most {
        return Err(limit(
            "The maximum number of nodes per node group is reached.",
        ));
    }
    let wanted = params
        .text("version")
        .unwrap_or(&cluster.version)
        .to_owned();
    if !version::exists(&wanted) {
        return Err(bad_parameter(format!(
            "Requested Nodegroup version {wanted} is invalid"
        )));
    }
    let disk = check::disk(params.number("diskSize")?.unwrap_or(20))?;
    let labels = map(params, "labels");
    check::labels(&labels)?;
    let taints = taints(&params.sections("taints"))?;
    let most_unavailable = params.tree().get("updateConfig").cloned();
    let (cluster_name, role) = (cluster.name.clone(), role.to_owned());
    let subnets = ids.iter().map(|id| (*id).to_owned()).collect();
    let tags = Tags::new(tags(params)?);
    let uid = scene.core.ids.uuid();
    Ok(Nodegroup {
        arn: scene
            .place
            .arn("eks", &format!("nodegroup/{cluster_name}/{name}/{uid}")),
        name,
        created: scene.now,
        changed: scene.now,
        version: wanted,
        status: GroupStatus::Creating,
        spot,
        scaling,
        instance_types: types,
        subnets,
        image,
        role,
        disk,
        labels,
        taints,
        profile: format!("eks-{uid}"),
        uid,
        issues: Vec::new(),
        nodes: BTreeMap::new(),
        most_unavailable: most_unavailable.unwrap_or_else(|| json!({"maxUnavailable": 1})),
        tags,
    })
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, group) = group_of(scene, params)?;
    Ok(json!({ "nodegroup": group.show(&cluster.name) }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let all = cluster.nodegroups.values();
    let listed = all.filter(|group| scene.listed(group.created));
    paged(
        params,
        "nodegroups",
        listed
            .map(|group| (group.name.clone(), json!(group.name)))
            .collect(),
    )
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, group) = group_of(scene, params)?;
    if group.status == GroupStatus::Updating {
        return Err(
            in_use("Nodegroup cannot be deleted as it is currently being updated")
                .field("nodegroupName", group.name.clone()),
        );
    }
    let (id, cluster_name, name) = (cluster.id.clone(), cluster.name.clone(), group.name.clone());
    let status = group.status;
    if status != GroupStatus::Deleting {
        let now = scene.now;
        let mut instances = Vec::new();
        if let Some(group) = group_mut(scene, &id, &name) {
            group.status = GroupStatus::Deleting;
            group.changed = now;
            instances.extend(group.nodes.keys().cloned());
        }
        for instance in &instances {
            node::drain(scene, &id, &name, instance);
        }
        let event = Event::GroupEmpty { id, group: name };
        scene.schedule(Wait::NodeDrained, event);
        changed(scene, &cluster_name);
    }
    let (cluster, group) = group_of(scene, params)?;
    Ok(json!({ "nodegroup": group.show(&cluster.name) }))
}

/// It should be complete by now.
pub(super) fn due(scene: &mut Scene<'_>, id: &str, group: &str, uid: &str) {
    let Some(group) = group_mut(scene, id, group).filter(|group| group.uid == uid) else {
        return;
    };
    if group.status != GroupStatus::Creating {
        return;
    }
    group.status = GroupStatus::CreateFailed;
    let lost: Vec<String> = group
        .nodes
        .iter()
        .filter(|(_, node)| !node.is_ready())
        .map(|(instance, _)| instance.clone())
        .collect();
    if group.issues.is_empty() {
        let joined = group.nodes.values().any(Node::has_joined);
        let message = if joined {
            "Unhealthy nodes in the kubernetes cluster"
        } else {
            "Instances failed to join the kubernetes cluster"
        };
        group
            .issues
            .push(Issue::new("NodeCreationFailure", message, lost));
    }
}

/// Whether a group has what it wants: as many nodes as wanted are ready; one that was short of instances only when it got
/// some since (containers-roadmap#2326).
fn is_whole(group: &Nodegroup) -> bool {
    let wanted = usize::try_from(group.scaling.desired).unwrap_or(0);
    let may = match group.status {
        GroupStatus::Creating => true,
        GroupStatus::Degraded => group.issues.is_empty(),
        _ => false,
    };
    may && group.ready() >= wanted
}

/// Its nodes changed. Where they are all ready, EKS finds out a little later: nodes take pods before their group is active.
pub(super) fn settles(scene: &mut Scene<'_>, id: &str, group: &str) {
    if group_mut(scene, id, group).is_some_and(|group| is_whole(group)) {
        let event = Event::GroupSettles {
            id: id.to_owned(),
            group: group.to_owned(),
        };
        scene.schedule(Wait::NodegroupSettles, event);
    }
}

/// EKS looks at it: it is active when it is whole.
pub(super) fn settled(scene: &mut Scene<'_>, id: &str, group: &str) {
    let Some(group) = group_mut(scene, id, group).filter(|group| is_whole(group)) else {
        return;
    };
    group.status = GroupStatus::Active;
    group.issues.clear();
    if let Some(cluster) = by_id(scene, id).map(|cluster| cluster.name.clone()) {
        changed(scene, &cluster);
    }
}

/// It has gone when its instances have.
pub(super) fn empty(scene: &mut Scene<'_>, id: &str, name: &str) {
    let Some(group) = group_mut(scene, id, name) else {
        return;
    };
    if group.status != GroupStatus::Deleting {
        return;
    }
    let instances: Vec<String> = group.nodes.keys().cloned().collect();
    let profile = group.profile.clone();
    let ended = |instance: &String| node::is_gone(scene, instance);
    if !instances.iter().all(ended) {
        let event = Event::GroupEmpty {
            id: id.to_owned(),
            group: name.to_owned(),
        };
        scene.schedule(Wait::InstanceRunning, event);
        return;
    }
    profile::remove(scene, &profile);
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let removed = cluster.nodegroups.remove(name);
    let role = removed.map(|group| group.role).unwrap_or_default();
    if !cluster.nodegroups.values().any(|group| group.role == role)
        && cluster.entries.get(&role).is_some_and(Entry::is_of_nodes)
    {
        cluster.entries.remove(&role);
    }
    let cluster = cluster.name.clone();
    changed(scene, &cluster);
}
