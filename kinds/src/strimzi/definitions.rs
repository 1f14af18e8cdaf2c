//! The CustomResourceDefinitions of Strimzi's kinds, by release.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::kafka::KafkaSpec;
use super::node_pool::KafkaNodePoolSpec;
use super::pod_set::StrimziPodSetSpec;
use super::releases::{api_versions, at_least};
use super::topic::KafkaTopicSpec;
use super::user::KafkaUserSpec;
use crate::crd::{Column, Definition, Version};
use crate::resource::ResourceSpec;
use crate::schema::{node, remove_field, remove_values, require, rule, structural};

const LABELS: &[(&str, &str)] = &[("app", "strimzi"), ("strimzi.io/crd-install", "true")];
const READY: Column = Column::new(
    "Ready",
    r#".status.conditions[?(@.type=="Ready")].status"#,
    "string",
);
const WARNINGS: Column = Column::new(
    "Warnings",
    r#".status.conditions[?(@.type=="Warning")].status"#,
    "string",
);
const CLUSTER: Column = Column::new("Cluster", r".metadata.labels.strimzi\.io/cluster", "string");

/// The CustomResourceDefinitions that the release `strimzi` brings, as far as pipectl uses its kinds:
/// `Kafka`, `KafkaNodePool`, `KafkaTopic`, `KafkaUser` and `StrimziPodSet`.
#[must_use]
pub fn crds(strimzi: &str) -> Vec<Value> {
    let scale = json!({
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.labelSelector",
    });
    [
        define::<KafkaSpec>(strimzi, "kafka", &["k"], None),
        define::<KafkaNodePoolSpec>(strimzi, "kafkanodepool", &["knp"], Some(scale)),
        define::<KafkaTopicSpec>(strimzi, "kafkatopic", &["kt"], None),
        define::<KafkaUserSpec>(strimzi, "kafkauser", &["ku"], None),
        define::<StrimziPodSetSpec>(strimzi, "strimzipodset", &["sps"], None),
    ]
    .iter()
    .map(Definition::to_value)
    .collect()
}

fn define<S>(
    strimzi: &str,
    singular: &'static str,
    short_names: &'static [&'static str],
    scale: Option<Value>,
) -> Definition
where
    S: ResourceSpec + JsonSchema,
    S::Status: JsonSchema,
{
    // Topics and users kept their oldest versions until everything moved to v1.
    let oldest: &[&'static str] = match S::KIND {
        "KafkaTopic" | "KafkaUser" if !at_least(strimzi, "1.0.0") => &["v1beta1", "v1alpha1"],
        _ => &[],
    };
    let served = api_versions(strimzi);
    let versions = served
        .iter()
        .chain(oldest)
        .map(|&name| Version {
            name,
            storage: name == served[0],
            spec: spec_schema::<S>(name, strimzi),
            status: status_schema::<S>(name),
            spec_required: name == "v1",
            columns: columns(S::KIND, strimzi),
            scale: scale.clone(),
        })
        .collect();
    Definition {
        group: S::GROUP,
        kind: S::KIND,
        plural: S::PLURAL,
        singular,
        short_names,
        categories: &["strimzi"],
        labels: LABELS,
        versions,
    }
}

fn spec_schema<S: ResourceSpec + JsonSchema>(version: &str, strimzi: &str) -> Value {
    let mut schema = structural::<S>();
    match (S::KIND, version) {
        ("Kafka", "v1") => {
            for gone in [
                "zookeeper",
                "jmxTrans",
                "kafka.replicas",
                "kafka.storage",
                "kafka.resources",
                "entityOperator.tlsSidecar",
                "entityOperator.topicOperator.reconciliationIntervalSeconds",
                "entityOperator.topicOperator.zookeeperSessionTimeoutSeconds",
                "entityOperator.topicOperator.topicMetadataMaxAttempts",
                "entityOperator.userOperator.reconciliationIntervalSeconds",
                "entityOperator.userOperator.zookeeperSessionTimeoutSeconds",
            ] {
                remove_field(&mut schema, gone);
            }
            authentication_without_oauth(&mut schema);
            remove_values(
                &mut schema,
                "kafka.authorization.type",
                &["opa", "keycloak"],
            );
            rule(
                &mut schema,
                "kafka.rack",
                "(has(self.type) && self.type != 'topology-label') || (has(self.topologyKey) && self.topologyKey != '')",
                "a rack from a node label needs topologyKey",
            );
            rule(
                &mut schema,
                "kafka.rack",
                "!has(self.type) || self.type != 'environment-variable' || (has(self.envVarName) && self.envVarName != '')",
                "a rack from an environment variable needs envVarName",
            );
        }
        ("Kafka", _) => {
            remove_values(&mut schema, "kafka.listeners.type", &["tlsroute"]);
            if !at_least(strimzi, "0.47.0") {
                remove_values(
                    &mut schema,
                    "kafka.metricsConfig.type",
                    &["strimziMetricsReporter"],
                );
            }
            remove_field(&mut schema, "kafka.rack.type");
            remove_field(&mut schema, "kafka.rack.envVarName");
            require(&mut schema, "kafka.rack.topologyKey");
            remove_field(&mut schema, "kafka.storage.volumeAttributesClass");
            remove_field(&mut schema, "kafka.storage.volumes.volumeAttributesClass");
        }
        ("KafkaNodePool", "v1") => {
            remove_field(&mut schema, "storage.overrides");
            remove_field(&mut schema, "storage.volumes.overrides");
        }
        ("KafkaNodePool", _) => {
            remove_field(&mut schema, "storage.volumeAttributesClass");
            remove_field(&mut schema, "storage.volumes.volumeAttributesClass");
        }
        ("KafkaUser", "v1") => {
            rule(
                &mut schema,
                "authentication",
                "self.type == 'tls' || (!has(self.validityDays) && !has(self.renewalDays))",
                "only certificates (type tls) have validityDays and renewalDays",
            );
            rule(
                &mut schema,
                "authentication",
                "has(self.validityDays) == has(self.renewalDays)",
                "validityDays and renewalDays go together",
            );
            rule(
                &mut schema,
                "authentication",
                "!has(self.validityDays) || !has(self.renewalDays) || self.renewalDays < self.validityDays",
                "renewalDays must be less than validityDays",
            );
        }
        ("KafkaUser", _) => {
            remove_field(&mut schema, "authentication.validityDays");
            remove_field(&mut schema, "authentication.renewalDays");
        }
        _ => {}
    }
    schema
}

/// In v1, OAuth and secrets are part of custom authentication, whose settings are its own subtree.
fn authentication_without_oauth(schema: &mut Value) {
    if let Some(at) = node(schema, "kafka.listeners.authentication") {
        *at = json!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["tls", "scram-sha-512", "custom"]},
                "sasl": {"type": "boolean"},
                "listenerConfig": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
            },
            "required": ["type"]
        });
    }
}

fn status_schema<S>(version: &str) -> Value
where
    S: ResourceSpec,
    S::Status: JsonSchema,
{
    let mut schema = structural::<S::Status>();
    match (S::KIND, version) {
        ("Kafka", "v1") => {
            for gone in ["listeners.type", "registeredNodeIds", "kafkaMetadataState"] {
                remove_field(&mut schema, gone);
            }
        }
        ("Kafka", _) => remove_field(&mut schema, "clusterSecurity"),
        _ => {}
    }
    schema
}

fn columns(kind: &str, strimzi: &str) -> Vec<Column> {
    match kind {
        "Kafka" if at_least(strimzi, "1.0.0") => vec![
            READY,
            WARNINGS,
            Column::new("Kafka version", ".status.kafkaVersion", "string"),
            Column::new("Metadata version", ".status.kafkaMetadataVersion", "string"),
        ],
        "Kafka" => {
            let mut columns = Vec::new();
            if !at_least(strimzi, "0.46.0") {
                columns.extend([
                    Column::new("Desired Kafka replicas", ".spec.kafka.replicas", "integer"),
                    Column::new("Desired ZK replicas", ".spec.zookeeper.replicas", "integer"),
                ]);
            }
            columns.extend([
                READY,
                Column::new("Metadata State", ".status.kafkaMetadataState", "string"),
                WARNINGS,
            ]);
            columns
        }
        "KafkaNodePool" => vec![
            Column::new("Desired replicas", ".spec.replicas", "integer"),
            Column::new("Roles", ".status.roles", "string"),
            Column::new("NodeIds", ".status.nodeIds", "string"),
        ],
        "KafkaTopic" => vec![
            CLUSTER,
            Column::new("Partitions", ".spec.partitions", "integer"),
            Column::new("Replication factor", ".spec.replicas", "integer"),
            READY,
        ],
        "KafkaUser" => vec![
            CLUSTER,
            Column::new("Authentication", ".spec.authentication.type", "string"),
            Column::new("Authorization", ".spec.authorization.type", "string"),
            READY,
        ],
        _ => vec![
            Column::new("Pods", ".status.pods", "integer"),
            Column::new("Ready Pods", ".status.readyPods", "integer"),
            Column::new("Current Pods", ".status.currentPods", "integer"),
            Column::new("Age", ".metadata.creationTimestamp", "date"),
        ],
    }
}
