//! What a SparkApplication asks for.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::SparkApplicationStatus;
use crate::ResourceSpec;
use crate::schema::{open_object, open_objects};

/// A list of core objects of which only the name is modelled (volumes, containers, environment variables).
fn named_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "x-kubernetes-preserve-unknown-fields": true
        }
    })
}

/// Volume mounts: name and path are modelled.
fn volume_mounts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "mountPath": {"type": "string"}},
            "required": ["mountPath", "name"],
            "x-kubernetes-preserve-unknown-fields": true
        }
    })
}

/// The spec of a SparkApplication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkApplicationSpec {
    /// Language of the application.
    #[serde(rename = "type")]
    pub application_type: ApplicationType,
    /// Version of Spark in the image.
    pub spark_version: String,
    /// `cluster` or `client`; the operator's webhook defaults it to `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DeployMode>,
    /// User to impersonate when submitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_user: Option<String>,
    /// Image of driver and executors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// `Always`, `IfNotPresent` or `Never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// Names of image pull secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secrets: Option<Vec<String>>,
    /// Spark properties, as `--conf` arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_conf: Option<BTreeMap<String, String>>,
    /// Hadoop properties.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hadoop_conf: Option<BTreeMap<String, String>>,
    /// Config map with Spark configuration files; mounted by the operator's webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_config_map: Option<String>,
    /// Config map with Hadoop configuration files; mounted by the operator's webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hadoop_config_map: Option<String>,
    /// Volumes that driver and executors may mount; added by the operator's webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "named_objects")]
    pub volumes: Option<Vec<Value>>,
    /// The driver.
    pub driver: DriverSpec,
    /// The executors.
    pub executor: ExecutorSpec,
    /// Jars, files and packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deps: Option<Dependencies>,
    /// What happens after success and failure; `Never` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Node selector of driver and executors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Unused by the operator since v1beta2; accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_retries: Option<i32>,
    /// Unused by the operator since v1beta2; accepted. Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<i64>,
    /// `2` or `3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["2", "3"]))]
    pub python_version: Option<String>,
    /// Main class of a Java or Scala application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_class: Option<String>,
    /// Jar, Python file or R file to run.
    pub main_application_file: String,
    /// Arguments of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Non-JVM memory as a share of the JVM's, for instance `0.4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_overhead_factor: Option<String>,
    /// Metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringSpec>,
    /// Name of a batch scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_scheduler: Option<String>,
    /// Settings of the batch scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_scheduler_options: Option<BatchSchedulerConfiguration>,
    /// Seconds after its end when a finished application is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_live_seconds: Option<i64>,
    /// The driver's web UI.
    #[serde(rename = "sparkUIOptions", skip_serializing_if = "Option::is_none")]
    pub spark_ui_options: Option<SparkUiConfiguration>,
    /// Services and ingresses for further ports of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_objects")]
    pub driver_ingress_options: Option<Vec<Value>>,
    /// Dynamic allocation of executors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_allocation: Option<DynamicAllocation>,
    /// Stops the application and keeps the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

impl ResourceSpec for SparkApplicationSpec {
    const GROUP: &'static str = super::GROUP;
    const KIND: &'static str = "SparkApplication";
    const PLURAL: &'static str = "sparkapplications";
    type Status = SparkApplicationStatus;
}

/// Language of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApplicationType {
    /// Java.
    Java,
    /// Python.
    Python,
    /// Scala, the operator's default.
    #[default]
    Scala,
    /// R.
    R,
}

/// Where the driver runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeployMode {
    /// In a pod of its own.
    #[default]
    Cluster,
    /// In the submitting process.
    Client,
}

/// What driver and executors have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkPodSpec {
    /// A pod template (Spark 3 and later); with it the webhook leaves the pod alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub template: Option<Value>,
    /// Cores, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cores: Option<i32>,
    /// Hard limit of CPU, a Kubernetes quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_limit: Option<String>,
    /// Memory of the JVM in Java's notation, for instance `1g`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Memory beside the JVM in Java's notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_overhead: Option<String>,
    /// Hard limit of memory; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// GPUs; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// Image, where it differs from the application's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Config maps to mount; mounted by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_maps: Option<Vec<ConfigMapMount>>,
    /// Secrets to mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<SecretInfo>>,
    /// Environment variables; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "named_objects")]
    pub env: Option<Vec<Value>>,
    /// Environment variables by name and value; passed to spark-submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<BTreeMap<String, String>>,
    /// Sources of environment variables; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_objects")]
    pub env_from: Option<Vec<Value>>,
    /// Environment variables from secrets; passed to spark-submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_secret_key_refs: Option<BTreeMap<String, SecretKeyReference>>,
    /// Labels of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Mounts of the application's volumes; added by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "volume_mounts")]
    pub volume_mounts: Option<Vec<Value>>,
    /// Affinity; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub affinity: Option<Value>,
    /// Tolerations; added by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_objects")]
    pub tolerations: Option<Vec<Value>>,
    /// Security context of the pod; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub pod_security_context: Option<Value>,
    /// Security context of the container; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub security_context: Option<Value>,
    /// Scheduler; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Further containers; added by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "named_objects")]
    pub sidecars: Option<Vec<Value>>,
    /// Init containers; added by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "named_objects")]
    pub init_containers: Option<Vec<Value>>,
    /// Whether the pod uses the node's network; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Node selector; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// DNS settings; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub dns_config: Option<Value>,
    /// Seconds a pod gets to end; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// Service account of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Host aliases; added by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_objects")]
    pub host_aliases: Option<Vec<Value>>,
    /// Whether containers share a process namespace; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_process_namespace: Option<bool>,
    /// Requested CPU, a Kubernetes quantity; wins over `cores` for scheduling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_request: Option<String>,
    /// Options of the JVM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub java_options: Option<String>,
    /// Lifecycle hooks of the container; set by the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub lifecycle: Option<Value>,
    /// Priority class; set by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Further ports of the container; added by the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<Port>>,
}

/// The driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriverSpec {
    /// What driver and executors have in common.
    #[serde(flatten)]
    pub pod: SparkPodSpec,
    /// Name of the driver's pod; `NAME-driver` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"))]
    pub pod_name: Option<String>,
    /// URL of the API server as the driver reaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_master: Option<String>,
    /// Labels of the driver's service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_labels: Option<BTreeMap<String, String>>,
    /// Annotations of the driver's service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_annotations: Option<BTreeMap<String, String>>,
}

/// The executors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorSpec {
    /// What driver and executors have in common.
    #[serde(flatten)]
    pub pod: SparkPodSpec,
    /// How many, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub instances: Option<i32>,
    /// Whether Spark deletes executor pods that have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_on_termination: Option<bool>,
}

/// Jars, files and packages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependencies {
    /// Jars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jars: Option<Vec<String>>,
    /// Files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// Python files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub py_files: Option<Vec<String>>,
    /// Maven coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<String>>,
    /// Excluded Maven coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_packages: Option<Vec<String>>,
    /// Maven repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// Archives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archives: Option<Vec<String>>,
}

/// What happens after success and failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartPolicy {
    /// `Never` unless set.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub policy: Option<RestartPolicyType>,
    /// How often a failed submission is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub on_submission_failure_retries: Option<i32>,
    /// How often a failed run is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub on_failure_retries: Option<i32>,
    /// Seconds, multiplied by the attempts so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub on_submission_failure_retry_interval: Option<i64>,
    /// Seconds, multiplied by the attempts so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub on_failure_retry_interval: Option<i64>,
}

/// When an application runs again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicyType {
    /// Never.
    #[default]
    Never,
    /// After success and after failure.
    Always,
    /// After a failure, a limited number of times.
    OnFailure,
}

/// Metrics of driver and executors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringSpec {
    /// Whether the driver's metrics are exposed.
    pub expose_driver_metrics: bool,
    /// Whether the executors' metrics are exposed.
    pub expose_executor_metrics: bool,
    /// Content of `metrics.properties`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_properties: Option<String>,
    /// Path of a `metrics.properties` in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_properties_file: Option<String>,
    /// The Prometheus exporter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSpec>,
}

/// The Prometheus exporter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSpec {
    /// Path of the exporter's jar in the image.
    pub jmx_exporter_jar: String,
    /// Port of the exporter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 49151))]
    pub port: Option<i32>,
    /// Name of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_name: Option<String>,
    /// Path of the exporter's configuration in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// The exporter's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
}

/// A config map mounted as a directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapMount {
    /// Name of the config map.
    pub name: String,
    /// Path of the directory.
    pub path: String,
}

/// A secret mounted as a directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretInfo {
    /// Name of the secret.
    pub name: String,
    /// Path of the directory.
    pub path: String,
    /// `Generic`, `GCPServiceAccount` or `HadoopDelegationToken`.
    pub secret_type: String,
}

/// A key of a secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// Key in the secret.
    pub key: String,
    /// Name of the secret.
    pub name: String,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Port number.
    pub container_port: i32,
}

/// GPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gpu {
    /// Resource name, for instance `nvidia.com/gpu`.
    pub name: String,
    /// How many.
    pub quantity: i64,
}

/// Settings of a batch scheduler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchSchedulerConfiguration {
    /// Queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Priority class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Resources of the whole application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::quantity_map")]
    pub resources: Option<BTreeMap<String, Value>>,
}

/// The driver's web UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkUiConfiguration {
    /// Port of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_port: Option<i32>,
    /// Name of the service's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_port_name: Option<String>,
    /// Type of the service, `ClusterIP` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// Annotations of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_annotations: Option<BTreeMap<String, String>>,
    /// Labels of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_labels: Option<BTreeMap<String, String>>,
    /// Annotations of the ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_annotations: Option<BTreeMap<String, String>>,
    /// TLS settings of the ingress.
    #[serde(
        rename = "ingressTLS",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "open_objects")]
    pub ingress_tls: Option<Vec<Value>>,
}

/// Dynamic allocation of executors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DynamicAllocation {
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Executors at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_executors: Option<i32>,
    /// Lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_executors: Option<i32>,
    /// Upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_executors: Option<i32>,
    /// Whether shuffle tracking is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_tracking_enabled: Option<bool>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_tracking_timeout: Option<i64>,
}
