//! Config maps of Kafka nodes, and which settings of a broker need a restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pipectl_kinds::strimzi::node_pool::Role;
use serde_json::{Value, json};

use super::cluster::{Cluster, Node, volumes};
use super::labels;
use super::services::{CONTROL_PLANE_PORT, REPLICATION_PORT};
use crate::standins::common::writer::digest;

/// Settings that brokers take over while they run (Kafka's documentation, "Updating broker configs", update mode
/// `cluster-wide`); by name, or by prefix where it ends in a dot.
const DYNAMIC: [&str; 27] = [
    "background.threads",
    "compression.type",
    "log.cleaner.",
    "log.cleanup.policy",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.local.retention.",
    "log.message.timestamp.",
    "log.preallocate",
    "log.retention.bytes",
    "log.retention.ms",
    "log.roll.jitter.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "log.segment.delete.delay.ms",
    "max.connection.creation.rate",
    "max.connections",
    "max.connections.per.ip",
    "message.max.bytes",
    "min.insync.replicas",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "unclean.leader.election.enable",
];

/// Prefixes of settings that the operator keeps to itself; what a user sets there is dropped.
const FORBIDDEN: [&str; 13] = [
    "listeners",
    "advertised.",
    "broker.",
    "listener.",
    "host.name",
    "port",
    "inter.broker.listener.name",
    "sasl.",
    "ssl.",
    "security.",
    "password.",
    "process.roles",
    "node.id",
];

/// The broker settings of the user that the operator passes on.
fn settings<'a>(cluster: &'a Cluster<'_>) -> BTreeMap<&'a str, String> {
    cluster
        .spec
        .kafka
        .config
        .iter()
        .filter(|(key, _)| !FORBIDDEN.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| {
            (
                key.as_str(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect()
}

fn is_dynamic(key: &str) -> bool {
    DYNAMIC.iter().any(|known| {
        if known.ends_with('.') {
            key.starts_with(known)
        } else {
            key == *known
        }
    })
}

/// A digest of everything in the configuration whose change restarts nodes.
pub(super) fn restart_digest(cluster: &Cluster<'_>) -> String {
    let fixed: BTreeMap<&str, String> = settings(cluster)
        .into_iter()
        .filter(|(key, _)| !is_dynamic(key))
        .collect();
    digest(&json!({"config": fixed, "listeners": cluster.spec.kafka.listeners}))
}

/// Version of the metadata format: what the resource says, else that of Kafka's version.
pub(super) fn metadata_version(cluster: &Cluster<'_>) -> String {
    if let Some(version) = &cluster.spec.kafka.metadata_version {
        return version.clone();
    }
    // The last metadata version of each Kafka release (`MetadataVersion` in Kafka's source).
    let minor: Vec<&str> = cluster.kafka_version.splitn(3, '.').collect();
    match minor.as_slice() {
        ["3", "7", ..] => "3.7-IV4".to_owned(),
        ["3", "8", ..] => "3.8-IV0".to_owned(),
        ["3", "9", ..] => "3.9-IV0".to_owned(),
        ["4", "0", ..] => "4.0-IV3".to_owned(),
        ["4", "1" | "2", ..] => format!("4.{}-IV1", minor[1]),
        [major, minor, ..] => format!("{major}.{minor}-IV0"),
        _ => cluster.kafka_version.clone(),
    }
}

/// The config map of one node.
pub(super) fn config_map(cluster: &Cluster<'_>, node: Node<'_>) -> Value {
    let pod = cluster.pod_name(node);
    let mut labels = labels::of_pool(cluster, node.pool);
    labels.insert("strimzi.io/pod-name".to_owned(), json!(pod));
    let listeners: Vec<String> = cluster
        .spec
        .kafka
        .listeners
        .iter()
        .map(|listener| format!("{}-{}", listener.name.to_uppercase(), listener.port))
        .collect();
    // Since 4.0 Kafka logs with Log4j 2, whose configuration is another file.
    let logging = if cluster.kafka_version.starts_with("3.") {
        "log4j.properties"
    } else {
        "log4j2.yaml"
    };
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": pod,
            "namespace": cluster.namespace,
            "labels": labels,
            "ownerReferences": [cluster.pool_owner(node.pool)],
        },
        "data": {
            "cluster.id": cluster.cluster_id,
            "listeners.config": listeners.join(" "),
            logging: "# stand-in: no Kafka runs behind this pod\n",
            "metadata.version": metadata_version(cluster),
            "server.config": server_config(cluster, node),
        },
    })
}

fn server_config(cluster: &Cluster<'_>, node: Node<'_>) -> String {
    let roles: Vec<&str> = [(Role::Controller, "controller"), (Role::Broker, "broker")]
        .iter()
        .filter(|(role, _)| node.pool.has(*role))
        .map(|(_, name)| *name)
        .collect();
    let address = |node: Node<'_>| {
        format!(
            "{}.{}.{}.svc",
            cluster.pod_name(node),
            cluster.named("kafka-brokers"),
            cluster.namespace
        )
    };
    let voters: Vec<String> = cluster
        .nodes()
        .filter(|node| node.pool.has(Role::Controller))
        .map(|node| format!("{}@{}:{CONTROL_PLANE_PORT}", node.id, address(node)))
        .collect();
    let mut listeners = Vec::new();
    if node.pool.has(Role::Controller) {
        listeners.push(format!(
            "CONTROLPLANE-{CONTROL_PLANE_PORT}://0.0.0.0:{CONTROL_PLANE_PORT}"
        ));
    }
    if node.pool.has(Role::Broker) {
        listeners.push(format!(
            "REPLICATION-{REPLICATION_PORT}://0.0.0.0:{REPLICATION_PORT}"
        ));
        for listener in &cluster.spec.kafka.listeners {
            let name = format!("{}-{}", listener.name.to_uppercase(), listener.port);
            listeners.push(format!("{name}://0.0.0.0:{}", listener.port));
        }
    }
    let directories: Vec<String> = volumes(&node.pool.spec.storage)
        .iter()
        .map(|(name, _)| format!("/var/lib/kafka/{name}/kafka-log{}", node.id))
        .collect();
    let mut text = String::new();
    for (key, value) in [
        ("node.id", node.id.to_string()),
        ("process.roles", roles.join(",")),
        ("controller.quorum.voters", voters.join(",")),
        ("listeners", listeners.join(",")),
        ("log.dirs", directories.join(",")),
    ] {
        let _ = writeln!(text, "{key}={value}");
    }
    for (key, value) in settings(cluster) {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}
