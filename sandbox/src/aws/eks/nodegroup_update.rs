//! Changes of node groups.

use serde_json::{Value, json};

use super::nodegroup::{GroupStatus, Nodegroup, group_mut, group_of, scaling, taints};
use super::update::Update;
use super::{
    Cluster, Event, bad_parameter, by_id, changed, check, in_use, map, node, update, version,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "UpdateNodegroupConfig",
        &[
            "clusterName",
            "nodegroupName",
            "labels",
            "taints",
            "scalingConfig",
            "clientRequestToken",
        ],
        update_config,
    )
    .at(
        "POST",
        "/clusters/{clusterName}/node-groups/{nodegroupName}/update-config",
    ),
    Action::write(
        "UpdateNodegroupVersion",
        &[
            "clusterName",
            "nodegroupName",
            "version",
            "force",
            "clientRequestToken",
        ],
        update_version,
    )
    .at(
        "POST",
        "/clusters/{clusterName}/node-groups/{nodegroupName}/update-version",
    ),
];

/// One update at a time, and only of a group that was made. One that is short of instances may be made smaller
/// (containers-roadmap#2326).
fn free(cluster: &Cluster, group: &Nodegroup) -> Result<(), ApiError> {
    if matches!(group.status, GroupStatus::Active | GroupStatus::Degraded) {
        return Ok(());
    }
    let message = "Nodegroup cannot be updated as it is currently not in Active State";
    Err(in_use(message)
        .field("clusterName", cluster.name.clone())
        .field("nodegroupName", group.name.clone()))
}

fn update_config(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, group) = group_of(scene, params)?;
    if let Some(again) = update::begun(cluster, params) {
        return Ok(again);
    }
    free(cluster, group)?;
    let wanted = scaling(params, group.scaling)?;
    let mut list = Vec::new();
    if params.has("scalingConfig") {
        list.push(("MinSize", wanted.min.to_string()));
        list.push(("MaxSize", wanted.max.to_string()));
        list.push(("DesiredSize", wanted.desired.to_string()));
    }
    let mut labels = group.labels.clone();
    if let Some(change) = params.section("labels") {
        let (add, gone) = (
            map(change, "addOrUpdateLabels"),
            change.texts("removeLabels"),
        );
        check::labels(&add)?;
        list.push(("LabelsToAdd", json!(add).to_string()));
        list.push(("LabelsToRemove", json!(gone).to_string()));
        labels.extend(add);
        labels.retain(|key, _| !gone.contains(&key.as_str()));
    }
    let mut tainted = group.taints.clone();
    if let Some(change) = params.section("taints") {
        let add = taints(&change.sections("addOrUpdateTaints"))?;
        let gone = taints(&change.sections("removeTaints"))?;
        list.push(("TaintsToAdd", json!(add).to_string()));
        list.push(("TaintsToRemove", json!(gone).to_string()));
        tainted.retain(|taint| {
            let same = |other: &super::nodegroup::Taint| {
                other.key == taint.key && other.effect == taint.effect
            };
            !gone.iter().any(same) && !add.iter().any(same)
        });
        tainted.extend(add);
    }
    if list.is_empty() {
        return Err(bad_parameter(
            "No changes needed for the node group: nothing was given",
        ));
    }
    let (id, cluster, name) = (cluster.id.clone(), cluster.name.clone(), group.name.clone());
    let now = scene.now;
    if let Some(group) = group_mut(scene, &id, &name) {
        group.scaling = wanted;
        group.labels = labels;
        group.taints = tainted;
        group.status = GroupStatus::Updating;
        group.changed = now;
    }
    let of = (Some(name.as_str()), None);
    let reply = update::begin(
        scene,
        params,
        &cluster,
        update::Change {
            kind: "ConfigUpdate",
            list,
            of,
            version: None,
            wait: Wait::NodegroupUpdated,
        },
    );
    resize(scene, &id, &name);
    changed(scene, &cluster);
    Ok(reply)
}

/// Instances follow the wanted number: some more are launched, or some are drained.
fn resize(scene: &mut Scene<'_>, id: &str, name: &str) {
    let Some(group) = group_mut(scene, id, name) else {
        return;
    };
    let wanted = usize::try_from(group.scaling.desired).unwrap_or(0);
    let staying = group.nodes.iter().filter(|(_, node)| node.stays());
    let mut staying: Vec<String> = staying.map(|(instance, _)| instance.clone()).collect();
    staying.sort();
    if staying.len() < wanted {
        node::launch_missing(scene, id, name);
    }
    for instance in staying.iter().skip(wanted) {
        node::drain(scene, id, name, instance);
    }
}

fn update_version(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, group) = group_of(scene, params)?;
    if let Some(again) = update::begun(cluster, params) {
        return Ok(again);
    }
    free(cluster, group)?;
    let wanted = params
        .text("version")
        .unwrap_or(&cluster.version)
        .to_owned();
    if !version::exists(&wanted) || wanted.as_str() > cluster.version.as_str() {
        let message = format!(
            "Nodegroup Kubernetes version {wanted} is invalid for cluster version {}",
            cluster.version
        );
        return Err(bad_parameter(message));
    }
    let (id, cluster, name) = (cluster.id.clone(), cluster.name.clone(), group.name.clone());
    let now = scene.now;
    let mut old = Vec::new();
    if let Some(group) = group_mut(scene, &id, &name) {
        group.version.clone_from(&wanted);
        group.status = GroupStatus::Updating;
        group.changed = now;
        old.extend(
            group
                .nodes
                .iter()
                .filter(|(_, node)| node.stays())
                .map(|(instance, _)| instance.clone()),
        );
    }
    let list = vec![("Version", wanted)];
    let of = (Some(name.as_str()), None);
    let reply = update::begin(
        scene,
        params,
        &cluster,
        update::Change {
            kind: "VersionUpdate",
            list,
            of,
            version: None,
            wait: Wait::NodeJoins,
        },
    );
    // New ones come while the old ones are drained.
    for instance in &old {
        node::drain(scene, &id, &name, instance);
    }
    node::launch_missing(scene, &id, &name);
    changed(scene, &cluster);
    Ok(reply)
}

/// An update's time is over. A change of the configuration is done then: the Auto Scaling group knows, and whether it finds
/// instances is a matter of the group's health. A change of the version is done when as many nodes as wanted are ready.
pub(super) fn done(scene: &mut Scene<'_>, id: &str, name: &str, update: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let rolls = cluster.updates.get(update).is_some_and(Update::rolls_nodes);
    let Some(group) = cluster.nodegroups.get_mut(name) else {
        return;
    };
    let wanted = usize::try_from(group.scaling.desired).unwrap_or(0);
    let short = !group.issues.is_empty();
    if rolls && !short && group.ready() < wanted {
        let again = Event::UpdateDone {
            id: id.to_owned(),
            update: update.to_owned(),
        };
        scene.schedule(Wait::NodegroupUpdated, again);
        return;
    }
    group.status = if short {
        GroupStatus::Degraded
    } else {
        GroupStatus::Active
    };
    if let Some(update) = cluster.updates.get_mut(update) {
        if rolls && short {
            let message = format!(
                "Couldn't proceed with upgrade process as new nodes are not joining node group {name}"
            );
            update.fail("NodeCreationFailure", &message);
        } else {
            update.succeed();
        }
    }
    let cluster = cluster.name.clone();
    changed(scene, &cluster);
}
