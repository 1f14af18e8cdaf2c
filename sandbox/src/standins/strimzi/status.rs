//! Statuses: of the cluster, its pools and its pod sets.

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::common::Condition;
use pipectl_kinds::strimzi::kafka::ListenerType;
use pipectl_kinds::strimzi::kafka_status::{
    KafkaStatus, ListenerAddress, ListenerStatus, MetadataState, UsedNodePool,
};
use pipectl_kinds::strimzi::node_pool::{KafkaNodePoolStatus, Role};
use pipectl_kinds::strimzi::pod_set::StrimziPodSetStatus;
use serde_json::{Value, json};

use super::cluster::{Cluster, Pool, Refusal};
use super::config::metadata_version;
use super::kafka::Waiting;
use super::operator::ClusterOperator;
use super::services::{external, external_bootstrap_name};
use crate::standins::common::resource;

/// The status that stays as it is, but for these conditions.
fn with_conditions(kafka: &DynamicObject, conditions: Vec<Condition>) -> Value {
    let mut status = kafka.data["status"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    status.insert("conditions".to_owned(), json!(conditions));
    status.insert(
        "observedGeneration".to_owned(),
        json!(kafka.metadata.generation),
    );
    Value::Object(status)
}

/// A cluster that the operator has just seen.
pub(super) fn creating(kafka: &DynamicObject) -> Value {
    let condition =
        Condition::new("NotReady", true).because("Creating", "Kafka cluster is being deployed");
    json!({"conditions": [condition]})
        .as_object()
        .map(|fields| {
            let mut fields = fields.clone();
            fields.insert(
                "observedGeneration".to_owned(),
                json!(kafka.metadata.generation),
            );
            Value::Object(fields)
        })
        .unwrap_or_default()
}

/// A cluster that the operator leaves alone because it was told to.
pub(super) fn paused(kafka: &DynamicObject) -> Value {
    with_conditions(kafka, vec![Condition::new("ReconciliationPaused", true)])
}

/// A cluster that is not valid.
pub(super) fn refused(kafka: &DynamicObject, refusal: &Refusal) -> Value {
    with_conditions(
        kafka,
        vec![Condition::new("NotReady", true).because(refusal.reason, &refusal.message)],
    )
}

/// A valid cluster that did not get ready.
pub(super) fn failed(cluster: &Cluster<'_>, kafka: &DynamicObject, refusal: &Refusal) -> Value {
    let mut conditions = warnings(cluster);
    conditions.push(Condition::new("NotReady", true).because(refusal.reason, &refusal.message));
    let mut status = with_conditions(kafka, conditions);
    status["clusterId"] = json!(cluster.cluster_id);
    status
}

fn warnings(cluster: &Cluster<'_>) -> Vec<Condition> {
    let warning = |(reason, message): &(&str, String)| {
        Condition::new("Warning", true).because(reason, message)
    };
    cluster.warnings.iter().map(warning).collect()
}

/// A cluster that works.
pub(super) fn ready(
    operator: &ClusterOperator,
    cluster: &Cluster<'_>,
    kafka: &DynamicObject,
) -> Value {
    let mut conditions = warnings(cluster);
    conditions.push(Condition::new("Ready", true));
    let old = operator.kinds.version != "v1";
    let node_ids = cluster.nodes().map(|node| node.id).collect();
    let status = KafkaStatus {
        conditions,
        observed_generation: kafka.metadata.generation,
        listeners: listeners(operator, cluster),
        kafka_node_pools: cluster
            .pools
            .iter()
            .map(|pool| UsedNodePool {
                name: Some(pool.name.clone()),
            })
            .collect(),
        registered_node_ids: if old { node_ids } else { Vec::new() },
        cluster_id: Some(cluster.cluster_id.clone()),
        operator_last_successful_version: Some(cluster.settings.version.clone()),
        kafka_version: Some(cluster.kafka_version.clone()),
        kafka_metadata_version: Some(metadata_version(cluster)),
        kafka_metadata_state: old.then_some(MetadataState::KRaft),
        auto_rebalance: None,
        cluster_security: None,
    };
    json!(status)
}

/// Where clients connect, listener by listener.
fn listeners(operator: &ClusterOperator, cluster: &Cluster<'_>) -> Vec<ListenerStatus> {
    let authority = || {
        let secret = operator.stores.get(
            &resource("Secret"),
            &cluster.namespace,
            &cluster.named("cluster-ca-cert"),
        )?;
        let data: k8s_openapi::ByteString =
            serde_json::from_value(secret.data["data"]["ca.crt"].clone()).ok()?;
        String::from_utf8(data.0).ok()
    };
    cluster
        .spec
        .kafka
        .listeners
        .iter()
        .map(|listener| {
            let addresses: Vec<(String, i32)> = match listener.kind {
                ListenerType::Internal => {
                    let host = format!(
                        "{}.{}.svc",
                        cluster.named("kafka-bootstrap"),
                        cluster.namespace
                    );
                    vec![(host, listener.port)]
                }
                _ => outside(operator, cluster, listener),
            };
            let text: Vec<String> = addresses
                .iter()
                .map(|(host, port)| format!("{host}:{port}"))
                .collect();
            ListenerStatus {
                kind: None,
                name: Some(listener.name.clone()),
                addresses: addresses
                    .into_iter()
                    .map(|(host, port)| ListenerAddress {
                        host: Some(host),
                        port: Some(port),
                    })
                    .collect(),
                bootstrap_servers: (!text.is_empty()).then(|| text.join(",")),
                certificates: if listener.tls {
                    authority().into_iter().collect()
                } else {
                    Vec::new()
                },
            }
        })
        .collect()
}

/// Addresses of a listener from outside, as far as its service has them.
fn outside(
    operator: &ClusterOperator,
    cluster: &Cluster<'_>,
    listener: &pipectl_kinds::strimzi::Listener,
) -> Vec<(String, i32)> {
    let name = external_bootstrap_name(cluster, listener);
    let Some(service) = operator
        .stores
        .get(&resource("Service"), &cluster.namespace, &name)
    else {
        return Vec::new();
    };
    match listener.kind {
        ListenerType::Loadbalancer => service.data["status"]["loadBalancer"]["ingress"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter_map(|ingress| ingress["hostname"].as_str().or(ingress["ip"].as_str()))
            .map(|host| (host.to_owned(), listener.port))
            .collect(),
        ListenerType::Nodeport => {
            let port = service.data["spec"]["ports"][0]["nodePort"]
                .as_i64()
                .and_then(|port| i32::try_from(port).ok());
            let pods = operator
                .stores
                .of_cluster("Pod", &(cluster.namespace.clone(), cluster.name.clone()));
            let hosts: std::collections::BTreeSet<String> = pods
                .iter()
                .filter(|pod| {
                    crate::standins::common::object::label(pod, "strimzi.io/broker-role")
                        == Some("true")
                })
                .filter_map(|pod| pod.data["status"]["hostIP"].as_str().map(str::to_owned))
                .collect();
            port.map(|port| hosts.into_iter().map(|host| (host, port)).collect())
                .unwrap_or_default()
        }
        _ => vec![(format!("{name}.{}.svc", cluster.namespace), listener.port)],
    }
}

/// The first service of a load balancer without an address; the operator waits for it.
pub(super) fn missing_address(
    operator: &ClusterOperator,
    cluster: &Cluster<'_>,
) -> Option<Waiting> {
    external(cluster)
        .filter(|listener| listener.kind == ListenerType::Loadbalancer)
        .find(|listener| outside(operator, cluster, listener).is_empty())
        .map(|listener| {
            let name = external_bootstrap_name(cluster, listener);
            Waiting {
                signature: name.clone(),
                kind: "Service",
                name,
            }
        })
}

/// The status of a pool.
pub(super) fn pool(cluster: &Cluster<'_>, pool: &Pool) -> Value {
    let mut roles = pool.spec.roles.clone();
    roles.sort_by_key(|role| match role {
        Role::Controller => 0,
        Role::Broker => 1,
    });
    let status = KafkaNodePoolStatus {
        conditions: Vec::new(),
        observed_generation: Some(pool.generation),
        node_ids: pool.node_ids.clone(),
        cluster_id: Some(cluster.cluster_id.clone()),
        roles,
        replicas: i32::try_from(pool.node_ids.len()).ok(),
        label_selector: Some(format!(
            "strimzi.io/cluster={0},strimzi.io/name={0}-kafka,strimzi.io/kind=Kafka,strimzi.io/pool-name={1}",
            cluster.name, pool.name
        )),
    };
    let mut value = json!(status);
    // A real pool shows an empty list.
    value["conditions"] = json!([]);
    value
}

/// The status of a pod set.
pub(super) fn pod_set(generation: i64, pods: usize, ready: usize, current: usize) -> Value {
    let number = |count: usize| i32::try_from(count).ok();
    json!(StrimziPodSetStatus {
        conditions: Vec::new(),
        observed_generation: Some(generation),
        pods: number(pods),
        ready_pods: number(ready),
        current_pods: number(current),
    })
}
