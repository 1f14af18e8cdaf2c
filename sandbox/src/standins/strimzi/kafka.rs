//! One reconciliation of a Kafka cluster: from the resources to the objects, as far as it can go now.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::storage::Storage;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::checks::bytes;
use super::cluster::{Cluster, Refusal};
use super::operator::{Again, ClusterOperator, Failure, Key, OWNED};
use super::{config, entity_operator, guards, pods, roll, secrets, services, status};
use crate::standins::common::object::{annotation, label};
use crate::standins::common::{WriteError, is_going, resource};

/// What a cluster still waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Changes whenever there is progress, so that the timeout starts anew.
    pub signature: String,
    /// Kind of the object that is not ready, as the operator's message names it.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// Brings the cluster a step nearer to what its resources ask for.
pub(super) async fn reconcile(operator: &ClusterOperator, key: &Key) -> Result<Again, Failure> {
    let (namespace, name) = key;
    let Some(kafka) = operator.stores.get(&operator.kinds.kafka, namespace, name) else {
        forget(operator, key).await?;
        return Ok(None);
    };
    if is_going(&kafka) {
        // What the cluster owns goes with it; nothing is put back meanwhile.
        return Ok(None);
    }
    if annotation(&kafka, "strimzi.io/pause-reconciliation") == Some("true") {
        operator
            .writer
            .set_status(&operator.kinds.kafka, &kafka, status::paused(&kafka))
            .await?;
        return Ok(None);
    }
    if kafka.data["status"].is_null() {
        operator
            .writer
            .set_status(&operator.kinds.kafka, &kafka, status::creating(&kafka))
            .await?;
    }
    let pools = operator.stores.of_cluster("KafkaNodePool", key);
    let pools: Vec<_> = pools.into_iter().filter(|pool| !is_going(pool)).collect();
    let pod_sets = operator.stores.of_cluster("StrimziPodSet", key);
    let holds = |cluster_id: &str| operator.disks.occupied_brokers(cluster_id);
    let new_id = || operator.new_cluster_id(kafka.metadata.uid.as_deref().unwrap_or_default());
    let cluster = match Cluster::of(&kafka, &pools, &pod_sets, &operator.settings, new_id, holds) {
        Ok(cluster) => cluster,
        Err(refusal) => return refuse(operator, &kafka, &refusal).await,
    };
    for (pool, object) in cluster.pools.iter().filter_map(|pool| {
        Some((
            pool,
            pools
                .iter()
                .find(|object| object.metadata.name.as_ref() == Some(&pool.name))?,
        ))
    }) {
        operator
            .writer
            .set_status(&operator.kinds.pool, object, status::pool(&cluster, pool))
            .await?;
    }
    // A new id must be known before anything carries it, or a repeated step would make another.
    if kafka.data["status"]["clusterId"].is_null() {
        operator
            .writer
            .merge_status(
                &operator.kinds.kafka,
                &kafka,
                json!({"clusterId": cluster.cluster_id}),
            )
            .await?;
    }
    objects(operator, key, &cluster).await?;
    claims(operator, &cluster).await?;
    for pool in &cluster.pools {
        let pod_set = pods::pod_set(&cluster, pool, &operator.kinds.pod_set.api_version);
        operator
            .writer
            .apply_as(&operator.kinds.pod_set, &pod_set)
            .await?;
    }
    roll::keep_pods(operator, key, &cluster).await?;
    prune(operator, key, &cluster).await?;
    let mut waiting = roll::advance(operator, key, &cluster).await?;
    if waiting.is_none() {
        for object in entity_operator::all(&cluster) {
            operator.writer.apply(&object).await?;
        }
        waiting = entity_operator_waiting(operator, &cluster);
    }
    let waiting = waiting.or_else(|| status::missing_address(operator, &cluster));
    settle(operator, key, &kafka, &cluster, waiting).await
}

/// Says ready, or waits, or gives up waiting.
async fn settle(
    operator: &ClusterOperator,
    key: &Key,
    kafka: &DynamicObject,
    cluster: &Cluster<'_>,
    waiting: Option<Waiting>,
) -> Result<Again, Failure> {
    let deadline = {
        let mut all = operator
            .waiting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match &waiting {
            None => {
                all.remove(key);
                None
            }
            Some(waiting) => {
                let entry = all
                    .entry(key.clone())
                    .or_insert_with(|| (waiting.signature.clone(), Instant::now()));
                if entry.0 != waiting.signature {
                    *entry = (waiting.signature.clone(), Instant::now());
                }
                Some(entry.1 + operator.settings.operation_timeout)
            }
        }
    };
    let kinds = &operator.kinds;
    match (waiting, deadline) {
        (Some(waiting), Some(deadline)) if deadline <= Instant::now() => {
            let message = format!(
                "Exceeded timeout of {}ms while waiting for {} resource {} in namespace {} to be ready",
                operator.settings.operation_timeout.as_millis(),
                waiting.kind,
                waiting.name,
                cluster.namespace
            );
            let refusal = Refusal::new("TimeoutException", message);
            operator
                .writer
                .set_status(
                    &kinds.kafka,
                    kafka,
                    status::failed(cluster, kafka, &refusal),
                )
                .await?;
            Ok(None)
        }
        (Some(_), deadline) => Ok(deadline),
        (None, _) => {
            let ready = status::ready(operator, cluster, kafka);
            operator
                .writer
                .set_status(&kinds.kafka, kafka, ready)
                .await?;
            Ok(None)
        }
    }
}

async fn refuse(
    operator: &ClusterOperator,
    kafka: &DynamicObject,
    refusal: &Refusal,
) -> Result<Again, Failure> {
    operator
        .writer
        .set_status(
            &operator.kinds.kafka,
            kafka,
            status::refused(kafka, refusal),
        )
        .await?;
    Ok(None)
}

/// The `Kafka` resource is gone: what no owner removes is removed here.
async fn forget(operator: &ClusterOperator, (namespace, name): &Key) -> Result<(), WriteError> {
    let name = guards::node_access_name(namespace, name);
    let mut binding = DynamicObject::new(&name, &resource("ClusterRoleBinding"));
    binding.metadata.namespace = None;
    if operator.writer.wrote("ClusterRoleBinding", "", &name) {
        operator
            .writer
            .delete(&resource("ClusterRoleBinding"), &binding)
            .await?;
    }
    Ok(())
}

/// Services, accounts, policies, secrets and config maps.
async fn objects(
    operator: &ClusterOperator,
    key: &Key,
    cluster: &Cluster<'_>,
) -> Result<(), Failure> {
    let secrets = operator.stores.of_cluster("Secret", key);
    secrets::ensure(cluster, &operator.writer, |name| {
        let secret = secrets
            .iter()
            .find(|secret| secret.metadata.name.as_deref() == Some(name))?;
        secret.data["data"].as_object().cloned()
    })
    .await?;
    let config_maps = cluster
        .nodes()
        .map(|node| config::config_map(cluster, node));
    for object in guards::all(cluster)
        .into_iter()
        .chain(services::all(cluster))
        .chain(config_maps)
    {
        operator.writer.apply(&object).await?;
    }
    Ok(())
}

/// Makes missing claims, lets claims grow, and keeps their owner right.
async fn claims(operator: &ClusterOperator, cluster: &Cluster<'_>) -> Result<(), Failure> {
    let kind = resource("PersistentVolumeClaim");
    for pool in &cluster.pools {
        for (claim, storage) in pods::claims(cluster, pool) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default();
            let Some(live) = operator.stores.get(&kind, &cluster.namespace, name) else {
                operator.writer.create(&kind, &claim).await?;
                continue;
            };
            if is_going(&live) {
                continue;
            }
            let mut change = json!({});
            let owners = json!(live.metadata.owner_references.clone().unwrap_or_default());
            let uids = |owners: &Value| -> BTreeSet<String> {
                let list = owners.as_array().map(Vec::as_slice).unwrap_or_default();
                list.iter()
                    .filter_map(|owner| owner["uid"].as_str().map(str::to_owned))
                    .collect()
            };
            if uids(&owners) != uids(&claim["metadata"]["ownerReferences"]) {
                change["metadata"]["ownerReferences"] =
                    claim["metadata"]["ownerReferences"].clone();
            }
            let wanted = claim["metadata"]["annotations"]["strimzi.io/delete-claim"].as_str();
            if annotation(&live, "strimzi.io/delete-claim") != wanted {
                change["metadata"]["annotations"]["strimzi.io/delete-claim"] = json!(wanted);
            }
            if may_grow(operator, &live, &storage) {
                change["spec"]["resources"]["requests"]["storage"] = json!(storage.size);
            }
            if change != json!({}) {
                operator
                    .writer
                    .merge(&kind, &cluster.namespace, name, &change)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Whether the claim is to be larger, and its class lets it grow.
fn may_grow(operator: &ClusterOperator, live: &DynamicObject, storage: &Storage) -> bool {
    let size = |text: Option<&str>| text.and_then(bytes);
    let now = size(live.data["spec"]["resources"]["requests"]["storage"].as_str());
    let wanted = size(storage.size.as_deref());
    let class = live.data["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    wanted > now
        && operator.stores.all("StorageClass").iter().any(|one| {
            one.metadata.name.as_deref() == Some(class) && one.data["allowVolumeExpansion"] == true
        })
}

/// Names of everything that the cluster has now, by kind.
fn expected(cluster: &Cluster<'_>) -> BTreeSet<(String, String)> {
    let mut expected = BTreeSet::new();
    let config_maps = cluster
        .nodes()
        .map(|node| config::config_map(cluster, node));
    let all = guards::all(cluster)
        .into_iter()
        .chain(services::all(cluster))
        .chain(entity_operator::all(cluster))
        .chain(config_maps);
    for object in all {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        expected.insert((text(&object["kind"]), text(&object["metadata"]["name"])));
    }
    expected.extend(
        secrets::wanted(cluster)
            .into_iter()
            .map(|secret| ("Secret".to_owned(), secret.name)),
    );
    expected
}

/// Removes what the cluster no longer has: objects of nodes that are gone, of listeners, of the entity operator; and
/// the claims of nodes that are gone where they are to be deleted.
async fn prune(
    operator: &ClusterOperator,
    key: &Key,
    cluster: &Cluster<'_>,
) -> Result<(), WriteError> {
    let expected = expected(cluster);
    for kind in OWNED {
        if matches!(kind, "Pod" | "PersistentVolumeClaim") {
            continue;
        }
        for object in operator.stores.of_cluster(kind, key) {
            let name = object.metadata.name.clone().unwrap_or_default();
            let ours = label(&object, "app.kubernetes.io/managed-by")
                == Some("strimzi-cluster-operator")
                && label(&object, "strimzi.io/kind") == Some("Kafka");
            if ours && !is_going(&object) && !expected.contains(&(kind.to_owned(), name)) {
                operator.writer.delete(&resource(kind), &object).await?;
            }
        }
    }
    let claims: BTreeSet<String> = cluster
        .pools
        .iter()
        .flat_map(|pool| pods::claims(cluster, pool))
        .filter_map(|(claim, _)| claim["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    for claim in operator.stores.of_cluster("PersistentVolumeClaim", key) {
        let name = claim.metadata.name.clone().unwrap_or_default();
        let of_pool = cluster
            .pools
            .iter()
            .any(|pool| label(&claim, "strimzi.io/pool-name") == Some(&pool.name));
        let delete = annotation(&claim, "strimzi.io/delete-claim") == Some("true");
        if of_pool && delete && !is_going(&claim) && !claims.contains(&name) {
            operator
                .writer
                .delete(&resource("PersistentVolumeClaim"), &claim)
                .await?;
        }
    }
    for pod_set in operator.stores.of_cluster("StrimziPodSet", key) {
        let name = pod_set.metadata.name.clone().unwrap_or_default();
        let wanted = cluster
            .pools
            .iter()
            .any(|pool| cluster.pod_set_name(pool) == name);
        if !wanted && !is_going(&pod_set) && label(&pod_set, "strimzi.io/kind") == Some("Kafka") {
            operator
                .writer
                .delete(&operator.kinds.pod_set, &pod_set)
                .await?;
        }
    }
    Ok(())
}

/// The entity operator's Deployment, while it isn't ready.
fn entity_operator_waiting(operator: &ClusterOperator, cluster: &Cluster<'_>) -> Option<Waiting> {
    let name = cluster.named("entity-operator");
    if !entity_operator::all(cluster)
        .iter()
        .any(|object| object["kind"] == "Deployment")
    {
        return None;
    }
    let live = operator
        .stores
        .get(&resource("Deployment"), &cluster.namespace, &name);
    let ready = live.is_some_and(|live| {
        let (status, spec) = (&live.data["status"], &live.data["spec"]);
        status["observedGeneration"].as_i64() >= live.metadata.generation
            && status["updatedReplicas"] == spec["replicas"]
            && status["readyReplicas"] == spec["replicas"]
    });
    (!ready).then(|| Waiting {
        signature: name.clone(),
        kind: "Deployment",
        name,
    })
}
