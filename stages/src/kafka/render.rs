//! Kafka, its node pools and topics as custom resources. Pure functions.
//!
//! The version is the API's (`v1` or `v1beta2`); both read what is rendered here, since the fields that v1 dropped
//! (`spec.zookeeper`, `spec.kafka.replicas`, `.storage`, `.resources`) are never used: node pools carry them.

use std::collections::BTreeMap;

use pipectl_config::{
    Kafka, ListenerType, NodePool, NodePoolRole, ResourceAmounts, Resources, Storage, Strimzi,
};
use pipectl_kinds::{
    Resource,
    strimzi::{
        CLUSTER_LABEL, EntityOperator, KafkaClusterSpec, KafkaNodePoolSpec, KafkaSpec,
        KafkaTopicSpec, Listener, ListenerType as Kind, Resources as Amounts, Role,
        Storage as PoolStorage, TopicOperator, UserOperator, Volume, releases,
    },
};
use serde_json::{Map, Value, json};

/// The first Strimzi for which node pools and KRaft need no annotation.
const NODE_POOLS_ALWAYS_ON: &str = "0.46.0";

/// The node pools.
#[must_use]
pub fn node_pools(kafka: &Kafka, version: &str) -> Vec<Value> {
    let pools = kafka.node_pools.iter();
    pools.map(|pool| node_pool(kafka, pool, version)).collect()
}

fn node_pool(kafka: &Kafka, pool: &NodePool, version: &str) -> Value {
    let roles: Vec<Role> = pool
        .roles
        .iter()
        .map(|role| match role {
            NodePoolRole::Broker => Role::Broker,
            NodePoolRole::Controller => Role::Controller,
        })
        .collect();
    let mut spec = KafkaNodePoolSpec::new(number(pool.replicas), &roles, storage(&pool.storage));
    spec.resources = resources(&pool.resources);
    Resource::new(version, &kafka.namespace, &pool.name, spec)
        .label(CLUSTER_LABEL, &kafka.name)
        .to_value()
}

/// One volume a node, in the shape that the operator's claims are named after (`data-0-CLUSTER-POOL-NUMBER`): room for
/// further volumes without moving the first.
fn storage(storage: &Storage) -> PoolStorage {
    if storage.ephemeral {
        let mut ephemeral = PoolStorage::ephemeral();
        ephemeral.size_limit = Some(storage.size.to_string());
        return ephemeral;
    }
    let mut volume = Volume::persistent(0, &storage.size.to_string());
    volume.class.clone_from(&storage.class);
    volume.delete_claim = Some(storage.delete_claim);
    PoolStorage::jbod(vec![volume])
}

fn resources(resources: &Resources) -> Option<Amounts> {
    let amounts = |amounts: &ResourceAmounts| -> BTreeMap<String, Value> {
        let cpu = amounts
            .cpu
            .map(|cpu| ("cpu".to_owned(), json!(cpu.to_string())));
        let memory = amounts
            .memory
            .map(|size| ("memory".to_owned(), json!(size.to_string())));
        cpu.into_iter().chain(memory).collect()
    };
    (!resources.is_empty()).then(|| Amounts {
        claims: Vec::new(),
        limits: amounts(&resources.limits),
        requests: amounts(&resources.requests),
    })
}

/// The cluster.
#[must_use]
pub fn cluster(kafka: &Kafka, strimzi: Option<&Strimzi>, version: &str) -> Value {
    let listeners = kafka.listeners.iter().map(|listener| Listener {
        kind: match listener.listener_type {
            ListenerType::Internal => Kind::Internal,
            ListenerType::ClusterIp => Kind::ClusterIp,
            ListenerType::NodePort => Kind::Nodeport,
            ListenerType::LoadBalancer => Kind::Loadbalancer,
            ListenerType::Ingress => Kind::Ingress,
        },
        ..Listener::internal(&listener.name, i32::from(listener.port), listener.tls)
    });
    let config: Map<String, Value> = kafka
        .config
        .iter()
        .map(|(key, value)| (key.clone(), value.to_json()))
        .collect();
    let operators = &kafka.entity_operator;
    let limits = resources(&operators.resources);
    let entity_operator =
        (operators.topic_operator || operators.user_operator).then(|| EntityOperator {
            topic_operator: operators.topic_operator.then(|| TopicOperator {
                resources: limits.clone(),
                ..TopicOperator::default()
            }),
            user_operator: operators.user_operator.then(|| UserOperator {
                resources: limits.clone(),
                ..UserOperator::default()
            }),
            ..EntityOperator::default()
        });
    let spec = KafkaSpec {
        kafka: KafkaClusterSpec {
            version: Some(kafka.version.to_string()),
            metadata_version: kafka.metadata_version.clone(),
            listeners: listeners.collect(),
            config,
            ..KafkaClusterSpec::default()
        },
        entity_operator,
        ..KafkaSpec::default()
    };
    let mut cluster = Resource::new(version, &kafka.namespace, &kafka.name, spec);
    let needs_annotations = strimzi.is_some_and(|strimzi| {
        !releases::at_least(&strimzi.version.to_string(), NODE_POOLS_ALWAYS_ON)
    });
    if needs_annotations {
        // Strimzi 0.45 and older take the cluster for one with a ZooKeeper of Strimzi's making without these. A ZooKeeper
        // from a manifest is beside the point: no Strimzi can use one that it did not make.
        cluster = cluster
            .annotation("strimzi.io/node-pools", "enabled")
            .annotation("strimzi.io/kraft", "enabled");
    }
    cluster.to_value()
}

/// The topics.
#[must_use]
pub fn topics(kafka: &Kafka, version: &str) -> Vec<Value> {
    kafka
        .topics
        .iter()
        .map(|topic| {
            let config = topic.kafka_config().into_iter();
            let spec = KafkaTopicSpec {
                partitions: Some(number(topic.partitions)),
                replicas: Some(number(topic.replicas)),
                config: config.map(|(key, value)| (key, value.to_json())).collect(),
                ..KafkaTopicSpec::default()
            };
            Resource::new(version, &kafka.namespace, &topic.name, spec)
                .label(CLUSTER_LABEL, &kafka.name)
                .to_value()
        })
        .collect()
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
