//! The two operators, installed from Helm charts.

use super::values::JsonObject;
use crate::units::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartSource {
    /// The chart repository's address (`https://` or `oci://`). `mirrors.charts` may redirect it.
    pub repo: String,
    /// The chart's name in the repository.
    pub name: String,
}

/// The Strimzi operator, which runs Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Strimzi {
    /// The operator's version, and the chart's. Which Kafka versions it runs: `pipectl explain CFG014`.
    pub version: Version,
    /// The operator's namespace.
    pub namespace: String,
    /// Where the chart comes from.
    pub chart: ChartSource,
    /// The Helm release's name.
    pub release_name: String,
    /// Further namespaces that the operator watches; its own is always watched. Left out: the Kafka cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_namespaces: Option<Vec<String>>,
    /// Chart values, merged over pipectl's.
    pub values: JsonObject,
}

impl Default for Strimzi {
    fn default() -> Self {
        Self {
            version: Version::new(1, 2, 0),
            namespace: "kafka".to_owned(),
            chart: ChartSource {
                repo: "https://strimzi.io/charts/".to_owned(),
                name: "strimzi-kafka-operator".to_owned(),
            },
            release_name: "strimzi".to_owned(),
            watch_namespaces: None,
            values: JsonObject::default(),
        }
    }
}

/// The Spark operator, which runs Spark applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SparkOperator {
    /// The operator's version, and the chart's.
    pub version: Version,
    /// The operator's namespace.
    pub namespace: String,
    /// Where the chart comes from.
    pub chart: ChartSource,
    /// The Helm release's name.
    pub release_name: String,
    /// Namespaces whose applications the operator runs. Left out: those of `sparkApplications`. An empty text among them means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_namespaces: Option<Vec<String>>,
    /// Runs the operator's mutating webhook, which puts volumes, affinities and the like into driver and executor pods.
    pub webhook: bool,
    /// Chart values, merged over pipectl's.
    pub values: JsonObject,
}

impl Default for SparkOperator {
    fn default() -> Self {
        Self {
            version: Version::new(2, 5, 2),
            namespace: "spark-operator".to_owned(),
            chart: ChartSource {
                repo: "https://kubeflow.github.io/spark-operator".to_owned(),
                name: "spark-operator".to_owned(),
            },
            release_name: "spark-operator".to_owned(),
            job_namespaces: None,
            webhook: true,
            values: JsonObject::default(),
        }
    }
}
