//! Spark applications.

use super::{
    secrets::SecretRef,
    values::{JsonObject, Scalar},
};
use crate::units::{Period, SparkMemory, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Spark application, run by the Spark operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SparkApplication {
    /// The application's name.
    pub name: String,
    /// The application's namespace, which must be declared and watched by the operator.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The program's language.
    #[serde(default, rename = "type")]
    pub language: SparkLanguage,
    /// Where the driver runs.
    #[serde(default)]
    pub mode: SparkMode,
    /// The Spark version in the image.
    pub spark_version: Version,
    /// The container image of driver and executors. `mirrors.images` may redirect it.
    pub image: String,
    /// When the image is pulled.
    #[serde(default)]
    pub image_pull_policy: PullPolicy,
    /// The program, such as `local:///opt/spark/code/app.py`. Left out with a `code` section of one file: that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_application_file: Option<String>,
    /// The main class, for Java and Scala.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_class: Option<String>,
    /// Arguments of the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Program files that go into a ConfigMap and are mounted into driver and executors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeConfigMap>,
    /// Libraries that Spark fetches before it starts.
    #[serde(default, skip_serializing_if = "SparkDependencies::is_empty")]
    pub deps: SparkDependencies,
    /// The driver.
    #[serde(default)]
    pub driver: SparkDriver,
    /// The executors.
    #[serde(default)]
    pub executor: SparkExecutor,
    /// Spark settings. Both `podTemplateFile` settings are empty unless set here, since the operator cannot mount a template that it did not make.
    #[serde(default)]
    pub spark_conf: BTreeMap<String, Scalar>,
    /// Environment variables of driver and executors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// What happens when the program ends.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// Manifest files that the application needs (service account, roles), applied before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Kubernetes objects that the application needs, written out here, applied before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<JsonObject>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// The settings that name pod templates: the driver's and the executors'.
pub(crate) const POD_TEMPLATE_SETTINGS: [&str; 2] = [
    "spark.kubernetes.driver.podTemplateFile",
    "spark.kubernetes.executor.podTemplateFile",
];

impl SparkApplication {
    /// The program's address inside the containers: `mainApplicationFile`, or the only file of `code` where it is mounted.
    pub fn main_file(&self) -> Option<String> {
        self.main_application_file
            .clone()
            .or_else(|| match &self.code {
                Some(code) if code.files.len() == 1 => Some(format!(
                    "local://{}/{}",
                    code.mount_path.trim_end_matches('/'),
                    CodeConfigMap::key(&code.files[0])
                )),
                _ => None,
            })
    }
}

/// The program's language; the words are the Spark operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum SparkLanguage {
    /// Python.
    #[default]
    Python,
    /// Scala.
    Scala,
    /// Java.
    Java,
    /// R.
    R,
}

/// Where the driver runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SparkMode {
    /// In a pod of the cluster.
    #[default]
    Cluster,
    /// In the process that submits.
    Client,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Before each start.
    Always,
    /// When the node has none.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// The word in the Kubernetes API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Program files in a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeConfigMap {
    /// The ConfigMap's name.
    pub config_map: String,
    /// The files, relative to the pipeline file; each becomes a key of the ConfigMap by its file name.
    pub files: Vec<String>,
    /// Where the ConfigMap is mounted in driver and executors.
    #[serde(default = "default_mount_path")]
    pub mount_path: String,
}

fn default_mount_path() -> String {
    "/opt/spark/code".to_owned()
}

impl CodeConfigMap {
    /// The key of a file in the ConfigMap: its name without directories.
    pub fn key(file: &str) -> &str {
        file.rsplit('/').next().unwrap_or(file)
    }
}

/// Libraries that Spark fetches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SparkDependencies {
    /// Maven coordinates, `group:artifact:version`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Further Maven repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Addresses of jars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jars: Vec<String>,
    /// Addresses of Python files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub py_files: Vec<String>,
}

impl SparkDependencies {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The driver of a Spark application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SparkDriver {
    /// Processor cores.
    #[schemars(range(min = 1))]
    pub cores: u32,
    /// Memory of the program; Spark adds an overhead (40 % for Python, at least 384 MiB).
    pub memory: SparkMemory,
    /// The service account, which must be allowed to create pods.
    pub service_account: String,
    /// Labels of the pod.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Default for SparkDriver {
    fn default() -> Self {
        Self {
            cores: 1,
            memory: SparkMemory::gibibytes(1),
            service_account: "spark".to_owned(),
            labels: BTreeMap::new(),
        }
    }
}

/// The executors of a Spark application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SparkExecutor {
    /// How many executors there are.
    #[schemars(range(min = 1))]
    pub instances: u32,
    /// Processor cores of each.
    #[schemars(range(min = 1))]
    pub cores: u32,
    /// Memory of each; Spark adds an overhead (40 % for Python, at least 384 MiB).
    pub memory: SparkMemory,
    /// Labels of the pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Default for SparkExecutor {
    fn default() -> Self {
        Self {
            instances: 1,
            cores: 1,
            memory: SparkMemory::gibibytes(1),
            labels: BTreeMap::new(),
        }
    }
}

/// The value of an environment variable: a text, or a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvValue {
    /// The value itself.
    Literal(String),
    /// Where the value is kept.
    Secret {
        /// Where the value is kept.
        #[serde(rename = "secretRef")]
        secret_ref: SecretRef,
    },
}

/// What happens when a Spark application ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartPolicy {
    /// When it is started again.
    #[serde(rename = "type")]
    pub policy: RestartPolicyType,
    /// How often it is started again after a failure.
    pub on_failure_retries: u32,
    /// How long to wait before that.
    pub on_failure_retry_interval: Period,
    /// How often a failed submission is repeated.
    pub on_submission_failure_retries: u32,
    /// How long to wait before that.
    pub on_submission_failure_retry_interval: Period,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            policy: RestartPolicyType::Always,
            on_failure_retries: 3,
            on_failure_retry_interval: Period::seconds(10),
            on_submission_failure_retries: 5,
            on_submission_failure_retry_interval: Period::seconds(20),
        }
    }
}

/// When an application is started again; the words are the Spark operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicyType {
    /// Never.
    Never,
    /// After a failure.
    OnFailure,
    /// Whenever it ends; right for a streaming program.
    #[default]
    Always,
}
