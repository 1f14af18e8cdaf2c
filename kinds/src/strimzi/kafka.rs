//! The `Kafka` kind: one Kafka cluster.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::common::{CertificateAuthority, JvmOptions, Logging, Probe, Resources};
use super::kafka_status::KafkaStatus;
use super::storage::Storage;
use crate::resource::{Resource, ResourceSpec};
use crate::schema::{open_object, open_objects};

/// A `Kafka` resource.
pub type Kafka = Resource<KafkaSpec>;

impl ResourceSpec for KafkaSpec {
    const GROUP: &'static str = "kafka.strimzi.io";
    const KIND: &'static str = "Kafka";
    const PLURAL: &'static str = "kafkas";
    type Status = KafkaStatus;
}

/// The desired state of a Kafka cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSpec {
    /// The brokers and controllers.
    pub kafka: KafkaClusterSpec,
    /// ZooKeeper (not in v1, and not since Strimzi 0.46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub zookeeper: Option<Value>,
    /// The operators of topics and users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_operator: Option<EntityOperator>,
    /// The authority of the cluster's own certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_ca: Option<CertificateAuthority>,
    /// The authority of clients' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients_ca: Option<CertificateAuthority>,
    /// Cruise Control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub cruise_control: Option<Value>,
    /// JMX exporter of old (not in v1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub jmx_trans: Option<Value>,
    /// Exporter of Kafka metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub kafka_exporter: Option<Value>,
    /// Cron expressions of the times at which the operator may roll pods for renewed certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance_time_windows: Vec<String>,
}

/// The desired state of brokers and controllers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// Kafka's version; the operator's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the metadata format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_version: Option<String>,
    /// Number of brokers without node pools (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub replicas: Option<i32>,
    /// Image that replaces the operator's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where clients connect.
    #[schemars(length(min = 1))]
    pub listeners: Vec<Listener>,
    /// Broker settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "open_object")]
    pub config: Map<String, Value>,
    /// Storage without node pools (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Who may do what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "authorization")]
    pub authorization: Option<Value>,
    /// Spreading of replicas over failure domains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rack: Option<Rack>,
    /// Image of the init container that reads the rack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_rack_init_image: Option<String>,
    /// Timing of the liveness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// Timing of the readiness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// Settings of the virtual machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jvm_options: Option<JvmOptions>,
    /// Access to JMX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub jmx_options: Option<Value>,
    /// CPU and memory without node pools (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "metrics")]
    pub metrics_config: Option<Value>,
    /// Log levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Changes to the objects that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub template: Option<Value>,
    /// Tiered storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub tiered_storage: Option<Value>,
    /// Quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub quotas: Option<Value>,
}

/// One address at which clients connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name, unique in the cluster.
    #[schemars(regex(pattern = r"^[a-z0-9]{1,11}$"))]
    pub name: String,
    /// Port inside Kubernetes.
    #[schemars(range(min = 9092))]
    pub port: i32,
    /// How it is exposed.
    #[serde(rename = "type")]
    pub kind: ListenerType,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// How clients prove who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "authentication")]
    pub authentication: Option<Value>,
    /// Details of the exposure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub configuration: Option<Value>,
    /// Who may connect, as network policy peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "open_objects")]
    pub network_policy_peers: Vec<Value>,
}

impl Listener {
    /// A listener for clients inside the Kubernetes cluster.
    #[must_use]
    pub fn internal(name: &str, port: i32, tls: bool) -> Self {
        Listener {
            name: name.to_owned(),
            port,
            kind: ListenerType::Internal,
            tls,
            authentication: None,
            configuration: None,
            network_policy_peers: Vec::new(),
        }
    }
}

/// How a listener is exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListenerType {
    /// Inside the Kubernetes cluster, through headless names.
    Internal,
    /// OpenShift routes.
    Route,
    /// Routes of the gateway API (only in v1).
    Tlsroute,
    /// A load balancer for the cluster and one for each broker.
    Loadbalancer,
    /// Ports of the nodes.
    Nodeport,
    /// Ingresses.
    Ingress,
    /// A service for the cluster and one for each broker.
    #[serde(rename = "cluster-ip")]
    ClusterIp,
}

/// Spreading of replicas over failure domains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rack {
    /// Node label whose value is the rack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<String>,
    /// Where the rack is read from (only in v1).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<RackType>,
    /// Environment variable with the rack (only in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_var_name: Option<String>,
}

/// Where the rack is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RackType {
    /// A label of the node.
    TopologyLabel,
    /// An environment variable of the pod.
    EnvironmentVariable,
}

/// The operators of topics and users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntityOperator {
    /// The topic operator; not run when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_operator: Option<TopicOperator>,
    /// The user operator; not run when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_operator: Option<UserOperator>,
    /// TLS sidecar (not in v1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub tls_sidecar: Option<Value>,
    /// Changes to the objects that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub template: Option<Value>,
}

/// The topic operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicOperator {
    /// Namespace whose topics it serves; the cluster's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched_namespace: Option<String>,
    /// Image that replaces the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Seconds between full reconciliations (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reconciliation_interval_seconds: Option<i32>,
    /// Milliseconds between full reconciliations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reconciliation_interval_ms: Option<i64>,
    /// ZooKeeper's session timeout (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub zookeeper_session_timeout_seconds: Option<i32>,
    /// Attempts at reading topic metadata (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub topic_metadata_max_attempts: Option<i32>,
    /// Timing of the startup probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,
    /// Timing of the liveness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// Timing of the readiness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// CPU and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Log levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Settings of the virtual machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jvm_options: Option<JvmOptions>,
}

/// The user operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOperator {
    /// Namespace whose users it serves; the cluster's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched_namespace: Option<String>,
    /// Image that replaces the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Seconds between full reconciliations (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reconciliation_interval_seconds: Option<i64>,
    /// Milliseconds between full reconciliations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reconciliation_interval_ms: Option<i64>,
    /// ZooKeeper's session timeout (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub zookeeper_session_timeout_seconds: Option<i64>,
    /// Prefix of the names of the secrets it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_prefix: Option<String>,
    /// Timing of the liveness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// Timing of the readiness probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// CPU and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Log levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Settings of the virtual machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jvm_options: Option<JvmOptions>,
}

/// An object of which only the type is modelled.
fn tagged(types: &[&str]) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {"type": {"type": "string", "enum": types}},
        "required": ["type"],
        "x-kubernetes-preserve-unknown-fields": true
    })
}

fn authentication(_: &mut SchemaGenerator) -> Schema {
    tagged(&["tls", "scram-sha-512", "oauth", "custom"])
}

fn authorization(_: &mut SchemaGenerator) -> Schema {
    tagged(&["simple", "opa", "keycloak", "custom"])
}

fn metrics(_: &mut SchemaGenerator) -> Schema {
    tagged(&["jmxPrometheusExporter", "strimziMetricsReporter"])
}

/// Broker settings from pairs, for building a [`KafkaClusterSpec`].
#[must_use]
pub fn config<K: Into<String>, V: Into<Value>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect()
}
