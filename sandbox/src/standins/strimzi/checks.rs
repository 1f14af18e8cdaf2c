//! What the operator refuses, and what it warns of.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::kafka::KafkaSpec;
use pipectl_kinds::strimzi::node_pool::{KafkaNodePoolStatus, Role};
use pipectl_kinds::strimzi::releases;
use pipectl_kinds::strimzi::storage::{Storage, StorageType};
use serde_json::Value;

use super::cluster::{Pool, Refusal, volumes};
use super::settings::Settings;
use crate::standins::common::object::annotation;

/// Ports that Kafka's own services use, so that no listener may.
const RESERVED_PORTS: [i32; 2] = [9404, 9999];

/// Up to 0.45 a cluster with ZooKeeper is asked for by leaving the annotations away; since 0.46 there is none.
pub(super) fn mode(kafka: &DynamicObject, settings: &Settings) -> Result<(), Refusal> {
    if settings.at_least("0.46.0") {
        return Ok(());
    }
    let enabled = |key: &str| annotation(kafka, key) == Some("enabled");
    if enabled("strimzi.io/kraft") && enabled("strimzi.io/node-pools") {
        return Ok(());
    }
    Err(Refusal::new(
        "NotSimulated",
        "This sandbox has no ZooKeeper: set the annotations strimzi.io/kraft and strimzi.io/node-pools to enabled",
    ))
}

/// Kafka's version and image.
pub(super) fn version(spec: &KafkaSpec, settings: &Settings) -> Result<(String, String), Refusal> {
    let release = releases::find(&settings.version);
    let supported: Vec<String> = if settings.kafka_images.is_empty() {
        release
            .map(|release| release.kafka.iter().map(|one| (*one).to_owned()).collect())
            .unwrap_or_default()
    } else {
        let mut versions: Vec<String> = settings.kafka_images.keys().cloned().collect();
        versions.sort_by(|left, right| releases::compare(left, right));
        versions
    };
    let default = release
        .map(|release| release.default_kafka.to_owned())
        .or_else(|| supported.last().cloned());
    let version = spec.kafka.version.clone().or(default).unwrap_or_default();
    if !supported.contains(&version) {
        return Err(Refusal::new(
            "UnsupportedKafkaVersionException",
            format!(
                "Unsupported Kafka.spec.kafka.version: {version}. Supported versions are: [{}]",
                supported.join(", ")
            ),
        ));
    }
    let image = spec
        .kafka
        .image
        .clone()
        .or_else(|| settings.kafka_images.get(&version).cloned())
        .unwrap_or_else(|| format!("quay.io/strimzi/kafka:{}-kafka-{version}", settings.version));
    Ok((version, image))
}

/// A cluster needs nodes of both roles.
pub(super) fn pools(cluster: &str, pools: &[(Pool, KafkaNodePoolStatus)]) -> Result<(), Refusal> {
    if pools.iter().all(|(pool, _)| pool.spec.replicas == 0) {
        return Err(Refusal::new(
            "InvalidConfigurationException",
            format!(
                "KafkaNodePools for the Kafka cluster {cluster} don't exist or have 0 replicas. At least one \
                 KafkaNodePool must be in the namespace of the Kafka resource, have a replica, and have the label \
                 strimzi.io/cluster with the name of the Kafka resource."
            ),
        ));
    }
    let lacks = |role: Role| {
        !pools
            .iter()
            .any(|(pool, _)| pool.has(role) && pool.spec.replicas > 0)
    };
    let mut errors = Vec::new();
    for (role, name) in [(Role::Broker, "broker"), (Role::Controller, "controller")] {
        if lacks(role) {
            errors.push(format!(
                "At least one KafkaNodePool with the {name} role and at least one replica is required"
            ));
        }
    }
    for (pool, _) in pools {
        if pool.spec.storage.kind == StorageType::PersistentClaim
            && pool.spec.storage.size.is_none()
        {
            errors.push(format!(
                "The size is mandatory for a persistent-claim storage of KafkaNodePool {}",
                pool.name
            ));
        }
        for volume in &pool.spec.storage.volumes {
            if volume.id.is_none() {
                errors.push(format!(
                    "Every volume of the JBOD storage of KafkaNodePool {} needs an id",
                    pool.name
                ));
            }
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        "InvalidResourceException",
        format!(
            "The Kafka cluster {cluster} is invalid: [{}]",
            errors.join(", ")
        ),
    ))
}

/// Names and ports of listeners are unique.
pub(super) fn listeners(spec: &KafkaSpec) -> Result<(), Refusal> {
    let listeners = &spec.kafka.listeners;
    let names: BTreeSet<&str> = listeners
        .iter()
        .map(|listener| listener.name.as_str())
        .collect();
    let ports: BTreeSet<i32> = listeners.iter().map(|listener| listener.port).collect();
    let mut errors = Vec::new();
    if names.len() != listeners.len() {
        errors.push("every listener needs to have a unique name".to_owned());
    }
    if ports.len() != listeners.len() {
        errors.push("every listener needs to have a unique port number".to_owned());
    }
    for port in ports.iter().filter(|port| RESERVED_PORTS.contains(port)) {
        errors.push(format!("port {port} is forbidden and cannot be used"));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        "InvalidResourceException",
        format!("Kafka listeners are invalid: [{}]", errors.join(", ")),
    ))
}

/// Settings that ask for more replicas than there are brokers.
pub(super) fn replication(spec: &KafkaSpec, brokers: usize) -> Result<(), Refusal> {
    for option in [
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
    ] {
        if let Some(value) = number(spec.kafka.config.get(option))
            && usize::try_from(value).is_ok_and(|value| value > brokers)
        {
            return Err(Refusal::new(
                "InvalidResourceException",
                format!(
                    "Kafka configuration option '{option}' should be set to {brokers} or less because this cluster \
                     has only {brokers} Kafka broker(s)."
                ),
            ));
        }
    }
    Ok(())
}

/// A number, written as one or in text.
pub(super) fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What the operator warns of in the status: reason and message.
pub(super) fn warnings(
    kafka: &DynamicObject,
    spec: &KafkaSpec,
    pools: &[(Pool, KafkaNodePoolStatus)],
    brokers: usize,
) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let api_version = kafka
        .types
        .as_ref()
        .map(|types| types.api_version.as_str())
        .unwrap_or_default();
    for (field, path) in [
        (kafka.data["spec"].get("zookeeper"), "spec.zookeeper"),
        (kafka.data["spec"].get("jmxTrans"), "spec.jmxTrans"),
        (
            kafka.data["spec"]["kafka"].get("replicas"),
            "spec.kafka.replicas",
        ),
        (
            kafka.data["spec"]["kafka"].get("storage"),
            "spec.kafka.storage",
        ),
    ] {
        if field.is_some() {
            let name = path.rsplit('.').next().unwrap_or(path);
            found.push((
                "DeprecatedFields",
                format!("In API version {api_version} the {name} property at path {path} has been deprecated."),
            ));
        }
    }
    if brokers > 1 {
        for (option, reason) in [
            (
                "default.replication.factor",
                "KafkaDefaultReplicationFactor",
            ),
            ("min.insync.replicas", "KafkaMinInsyncReplicas"),
        ] {
            if !spec.kafka.config.contains_key(option) {
                found.push((
                    reason,
                    format!(
                        "{option} option is not configured. It defaults to 1 which does not guarantee reliability \
                         and availability. You should configure this option in .spec.kafka.config."
                    ),
                ));
            }
        }
    }
    let controllers: i32 = pools
        .iter()
        .filter(|(pool, _)| pool.has(Role::Controller))
        .map(|(pool, _)| pool.spec.replicas)
        .sum();
    if controllers % 2 == 0 {
        found.push((
            "KafkaKRaftControllerNodeCount",
            format!(
                "A Kafka cluster with an even number of controllers ({controllers}) tolerates no more failures than \
                 one with a controller less."
            ),
        ));
    }
    for (pool, _) in pools {
        let ephemeral = volumes(&pool.spec.storage)
            .iter()
            .any(|(_, volume)| volume.kind == StorageType::Ephemeral);
        if ephemeral && pool.spec.replicas == 1 {
            found.push((
                "KafkaStorage",
                format!(
                    "A KafkaNodePool ({}) with a single replica and ephemeral storage loses its data after any restart.",
                    pool.name
                ),
            ));
        }
    }
    found
}

/// Storage may only grow, and keep its kind and class; JBOD volumes may come and go.
pub(super) fn storage_change_allowed(before: &Storage, after: &Storage) -> bool {
    if before.kind != after.kind {
        return false;
    }
    let (old, new) = (volumes(before), volumes(after));
    old.iter().all(|(name, earlier)| {
        let Some((_, later)) = new.iter().find(|(other, _)| other == name) else {
            // A volume less is allowed.
            return true;
        };
        let size = |storage: &Storage| storage.size.as_deref().and_then(bytes);
        let grows = match (size(earlier), size(later)) {
            (Some(earlier), Some(later)) => later >= earlier,
            _ => true,
        };
        earlier.kind == later.kind
            && earlier.class == later.class
            && earlier.selector == later.selector
            && grows
    })
}

/// A quantity of storage in bytes.
pub(super) fn bytes(quantity: &str) -> Option<u128> {
    let digits = quantity
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(digits);
    let factor: u128 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    // Fractions are kept to a thousandth, which is finer than any volume.
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let thousandths: u128 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u128>().ok()? * factor + thousandths * factor / 1000)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::sample;
    use super::*;
    use serde_json::json;

    fn spec(version: &str) -> KafkaSpec {
        serde_json::from_value(json!({"kafka": {"version": version, "listeners": []}})).unwrap()
    }

    #[test]
    fn versions_that_the_release_does_not_run_are_refused() {
        let settings = sample("0.47.0");
        let refusal = version(&spec("3.7.0"), &settings).unwrap_err();
        assert_eq!(refusal.reason, "UnsupportedKafkaVersionException");
        assert!(
            refusal.message.contains("3.9.0, 3.9.1, 4.0.0"),
            "{}",
            refusal.message
        );
        let (_, image) = version(&spec("3.9.0"), &settings).unwrap();
        assert_eq!(image, "quay.io/strimzi/kafka:0.47.0-kafka-3.9.0");
        let default: KafkaSpec =
            serde_json::from_value(json!({"kafka": {"listeners": []}})).unwrap();
        assert_eq!(version(&default, &settings).unwrap().0, "4.0.0");
    }

    #[test]
    fn storage_only_grows() {
        let of = |size: &str| Storage::persistent(size);
        assert!(storage_change_allowed(&of("10Gi"), &of("20Gi")));
        assert!(!storage_change_allowed(&of("10Gi"), &of("5Gi")));
        assert!(!storage_change_allowed(&of("10Gi"), &Storage::ephemeral()));
        assert_eq!(bytes("1.5Gi"), Some(1_610_612_736));
        assert_eq!(bytes("10GiB"), None);
    }

    #[test]
    fn replication_beyond_the_brokers_is_refused() {
        let mut spec = spec("4.0.0");
        spec.kafka
            .config
            .insert("default.replication.factor".into(), json!("3"));
        assert!(replication(&spec, 3).is_ok());
        assert_eq!(
            replication(&spec, 1).unwrap_err().reason,
            "InvalidResourceException"
        );
    }

    #[test]
    fn before_0_46_zookeeper_is_the_default_and_not_simulated() {
        let kafka = |annotations: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"annotations": annotations}})).unwrap()
        };
        assert!(mode(&kafka(json!({})), &sample("0.45.1")).is_err());
        let kraft = json!({"strimzi.io/kraft": "enabled", "strimzi.io/node-pools": "enabled"});
        assert!(mode(&kafka(kraft), &sample("0.45.1")).is_ok());
        assert!(mode(&kafka(json!({})), &sample("0.47.0")).is_ok());
    }
}
