//! Pods: kept as their pod sets say, and rolled one at a time when what the pod sets say has changed.

use pipectl_kinds::strimzi::node_pool::Role;
use serde_json::{Value, json};

use super::LAST_LOG;
use super::cluster::{Cluster, Node, pods_of};
use super::kafka::Waiting;
use super::operator::{ClusterOperator, Failure, Key};
use super::pods::REVISION;
use super::status;
use crate::simulation::switches::FAIL;
use crate::standins::common::object::{annotation, label};
use crate::standins::common::{is_going, is_ready_pod, owner_reference, resource};

/// Asks for a restart of the pod that carries it.
const MANUAL: &str = "strimzi.io/manual-rolling-update";

/// What the controller of pod sets does: missing pods are made, pods that no set has any more are deleted, the sets'
/// statuses are kept.
pub(super) async fn keep_pods(
    operator: &ClusterOperator,
    key: &Key,
    cluster: &Cluster<'_>,
) -> Result<(), Failure> {
    let kind = resource("Pod");
    for pod_set in operator.stores.of_cluster("StrimziPodSet", key) {
        if is_going(&pod_set) {
            continue;
        }
        let set_name = pod_set.metadata.name.clone().unwrap_or_default();
        let uid = pod_set.metadata.uid.clone().unwrap_or_default();
        let owner = owner_reference(
            &operator.kinds.pod_set.api_version,
            "StrimziPodSet",
            &set_name,
            &uid,
            true,
            false,
        );
        let wanted = pods_of(&pod_set);
        let mut live = operator.stores.of_cluster("Pod", key);
        live.retain(|pod| label(pod, "strimzi.io/controller-name") == Some(&set_name));
        for definition in &wanted {
            let name = definition["metadata"]["name"].as_str().unwrap_or_default();
            let Some(pod) = operator.stores.get(&kind, &cluster.namespace, name) else {
                let mut pod = definition.clone();
                pod["metadata"]["ownerReferences"] = json!([owner]);
                spoil(operator, cluster, &mut pod);
                operator.writer.create(&kind, &pod).await?;
                continue;
            };
            if is_ready_pod(&pod) {
                for claim in claims_of(&pod.data["spec"]) {
                    if let Some(claim_uid) = claim_uid(operator, cluster, claim) {
                        operator.disks.format(&claim_uid, &cluster.cluster_id);
                    }
                }
            }
        }
        for pod in &live {
            let name = pod.metadata.name.as_deref();
            if !is_going(pod)
                && !wanted
                    .iter()
                    .any(|definition| definition["metadata"]["name"].as_str() == name)
            {
                operator.writer.delete(&kind, pod).await?;
            }
        }
        let current = |pod: &&std::sync::Arc<kube::core::DynamicObject>| {
            let definition = wanted
                .iter()
                .find(|one| one["metadata"]["name"].as_str() == pod.metadata.name.as_deref());
            definition.is_some_and(|one| {
                one["metadata"]["annotations"][REVISION].as_str() == annotation(pod, REVISION)
            })
        };
        let generation = pod_set.metadata.generation.unwrap_or_default();
        let counts = status::pod_set(
            generation,
            wanted.len(),
            live.iter().filter(|pod| is_ready_pod(pod)).count(),
            live.iter().filter(current).count(),
        );
        operator
            .writer
            .set_status(&operator.kinds.pod_set, &pod_set, counts)
            .await?;
    }
    Ok(())
}

/// Names of the claims that a pod's spec uses.
fn claims_of(spec: &Value) -> impl Iterator<Item = &str> {
    let volumes = spec["volumes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    volumes
        .iter()
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

fn claim_uid(operator: &ClusterOperator, cluster: &Cluster<'_>, name: &str) -> Option<String> {
    let claim =
        operator
            .stores
            .get(&resource("PersistentVolumeClaim"), &cluster.namespace, name)?;
    claim.metadata.uid.clone()
}

/// A node whose claim was formatted for another cluster does not start. A claim that is being deleted doesn't count: no
/// pod is scheduled with it, and the next one is empty.
fn spoil(operator: &ClusterOperator, cluster: &Cluster<'_>, pod: &mut Value) {
    let kind = resource("PersistentVolumeClaim");
    let foreign = claims_of(&pod["spec"]).find_map(|name| {
        let claim = operator.stores.get(&kind, &cluster.namespace, name)?;
        if is_going(&claim) {
            return None;
        }
        let id = operator
            .disks
            .formatted_for(claim.metadata.uid.as_deref()?)?;
        (id != cluster.cluster_id).then(|| (name.to_owned(), id))
    });
    if let Some((claim, id)) = foreign {
        pod["metadata"]["annotations"][FAIL] = json!("crash");
        pod["metadata"]["annotations"][LAST_LOG] = json!(format!(
            "java.lang.RuntimeException: Invalid cluster.id in meta.properties of claim {claim}. \
             Expected {}, but read {id}",
            cluster.cluster_id
        ));
    }
}

/// Restarts the next pod that has to be, or says what is waited for; nothing when every pod is ready and up to date.
pub(super) async fn advance(
    operator: &ClusterOperator,
    key: &Key,
    cluster: &Cluster<'_>,
) -> Result<Option<Waiting>, Failure> {
    let kind = resource("Pod");
    let sets = operator.stores.of_cluster("StrimziPodSet", key);
    let definitions: Vec<Value> = sets.iter().flat_map(|set| pods_of(set)).collect();
    let mut stale = Vec::new();
    let mut unready = Vec::new();
    for node in cluster.nodes() {
        let name = cluster.pod_name(node);
        let definition = definitions
            .iter()
            .find(|one| one["metadata"]["name"] == name.as_str());
        let pod = operator.stores.get(&kind, &cluster.namespace, &name);
        let (Some(definition), Some(pod)) = (definition, pod) else {
            unready.push(name);
            continue;
        };
        let revision = definition["metadata"]["annotations"][REVISION].as_str();
        let outdated =
            annotation(&pod, REVISION) != revision || annotation(&pod, MANUAL) == Some("true");
        let ready = is_ready_pod(&pod);
        if !ready {
            unready.push(name.clone());
        }
        if outdated && !is_going(&pod) {
            stale.push((node, ready, pod));
        }
    }
    let waiting = |name: &str, unready: &[String], left: usize| Waiting {
        signature: format!("{unready:?} {left}"),
        kind: "Pods",
        name: name.to_owned(),
    };
    // Pods that don't work anyway go first; of working ones none is touched while another pod doesn't work.
    let broken = stale.iter().find(|(_, ready, _)| !ready);
    let next = broken.or_else(|| {
        if unready.is_empty() {
            stale.iter().min_by_key(|(node, _, _)| rank(*node))
        } else {
            None
        }
    });
    if let Some((node, _, pod)) = next {
        operator.writer.delete(&kind, pod).await?;
        return Ok(Some(waiting(
            &cluster.pod_name(*node),
            &unready,
            stale.len(),
        )));
    }
    Ok(unready
        .first()
        .map(|name| waiting(name, &unready, stale.len())))
}

/// Controllers are rolled before nodes of both roles, and those before brokers.
fn rank(node: Node<'_>) -> (u8, i32) {
    let kind = match (node.pool.has(Role::Controller), node.pool.has(Role::Broker)) {
        (true, false) => 0,
        (true, true) => 1,
        _ => 2,
    };
    (kind, node.id)
}
