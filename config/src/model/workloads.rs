//! Programs beside Kafka and Spark.

use super::{secrets::SecretRef, values::JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program with its objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// The workload's name, unique in the pipeline.
    pub name: String,
    /// The namespace for objects that name none, and for Helm releases.
    pub namespace: String,
    /// Whether it is installed.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Manifest files and directories of them, relative to the pipeline file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Kubernetes objects, written out here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<JsonObject>,
    /// Helm charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<HelmRelease>,
    /// Which of the workload's objects are Kafka clients, and where they keep their bootstrap address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kafka_clients: Vec<KafkaClient>,
}

fn yes() -> bool {
    true
}

/// A Helm release of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmRelease {
    /// The release's name, unique in its namespace. At most 53 characters.
    pub name: String,
    /// The chart repository's address (`https://` or `oci://`). `mirrors.charts` may redirect it.
    pub repo: String,
    /// The chart's name in the repository.
    pub chart: String,
    /// The chart's version. Required, since the newest one changes behind one's back.
    pub version: String,
    /// Chart values.
    #[serde(default, skip_serializing_if = "JsonObject::is_empty")]
    pub values: JsonObject,
    /// Chart values that are secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_values: Vec<SecretSetting>,
}

/// A secret chart value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretSetting {
    /// Where in the values it goes, with dots: `auth.password`.
    pub path: String,
    /// Where the value is kept.
    pub secret_ref: SecretRef,
}

/// A Kafka client among a workload's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KafkaClient {
    /// The object's kind, such as `Deployment`.
    #[serde(default = "deployment")]
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The environment variable with the bootstrap address.
    #[serde(default = "bootstrap_servers")]
    pub env: String,
}

fn deployment() -> String {
    "Deployment".to_owned()
}

fn bootstrap_servers() -> String {
    "KAFKA_BOOTSTRAP_SERVERS".to_owned()
}
