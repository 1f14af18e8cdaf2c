//! The pipeline file as types: one module a section, defaults beside the fields they fill.

mod cluster;
mod kafka;
mod namespaces;
mod network;
mod operators;
mod provider;
mod secrets;
mod settings;
mod spark;
mod values;
mod workloads;

pub use cluster::{
    Addon, AddonName, Architecture, Capacity, Cluster, ControlPlaneLog, EndpointAccess, NodeGroup,
    Taint, TaintEffect,
};
pub use kafka::{
    EntityOperator, Kafka, Listener, ListenerType, NodePool, NodePoolRole, Storage, Topic,
    Zookeeper,
};
pub use namespaces::{CreatedBy, Namespace, is_system_namespace};
pub use network::{ExistingVpc, NatMode, Network};
pub use operators::{ChartSource, SparkOperator, Strimzi};
pub use provider::{EksProvider, ExistingProvider, Provider};
pub use secrets::{ManagedSecret, SecretError, SecretRef, SecretValue, SecretsManagerRef};
pub use settings::{
    Checks, ExtraCheck, ExtraCheckKind, HttpCheck, Mirror, Mirrors, ObjectReadyCheck,
    PodsReadyCheck, Timeouts, Verification,
};
pub(crate) use spark::POD_TEMPLATE_SETTINGS;
pub use spark::{
    CodeConfigMap, EnvValue, PullPolicy, RestartPolicy, RestartPolicyType, SparkApplication,
    SparkDependencies, SparkDriver, SparkExecutor, SparkLanguage, SparkMode,
};
pub use values::{JsonObject, ResourceAmounts, Resources, Scalar};
pub use workloads::{HelmRelease, KafkaClient, SecretSetting, Workload};

use crate::units::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `apiVersion` of a pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first version of the format.
    #[default]
    #[serde(rename = "pipectl.dev/v1")]
    V1,
}

/// The `kind` of a pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum FileKind {
    /// A pipeline.
    #[default]
    Pipeline,
}

/// A streaming-data platform as its user declares it: the whole pipeline file.
///
/// A value that came from [`crate::load`] is complete: what the file left out is filled in, namespaces that a component
/// needs are listed, and every check has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(
    description = "A streaming-data platform as its user declares it: the whole pipeline file."
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pipeline {
    /// The format of the file; always `pipectl.dev/v1`.
    pub api_version: ApiVersion,
    /// What the file declares; always `Pipeline`.
    pub kind: FileKind,
    /// What the pipeline is called.
    pub metadata: Metadata,
    /// What the platform consists of.
    #[serde(default)]
    pub spec: PipelineSpec,
}

/// What a pipeline is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The pipeline's name, also the environment's name unless `--env` says otherwise. Lower-case letters, digits and hyphens, at most 40.
    pub name: String,
    /// What the pipeline is for, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The sections of a pipeline. Every one may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineSpec {
    /// Where the platform runs.
    pub provider: Provider,
    /// The VPC around the cluster; used by the `eks` provider.
    pub network: Network,
    /// The Kubernetes cluster; `existing` clusters are taken as they are.
    pub cluster: Cluster,
    /// Groups of worker nodes. Left out: three nodes of `m6i.large` with 50Gi disks.
    pub node_groups: Vec<NodeGroup>,
    /// EKS add-ons. Left out: `vpc-cni`, `coredns`, `kube-proxy`, `eks-pod-identity-agent` and `aws-ebs-csi-driver`.
    pub addons: Vec<Addon>,
    /// The Strimzi operator. Left out, it is installed with its defaults when there is a `kafka` section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strimzi: Option<Strimzi>,
    /// The Kafka cluster with its node pools, listeners and topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// The Spark operator. Left out, it is installed with its defaults when there are Spark applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_operator: Option<SparkOperator>,
    /// Namespaces for workloads and applications. The components' own namespaces need not be listed.
    pub namespaces: Vec<Namespace>,
    /// Kubernetes Secrets that are made from secret values kept elsewhere.
    pub secrets: Vec<ManagedSecret>,
    /// Programs beside Kafka and Spark: manifests, inline objects, Helm charts.
    pub workloads: Vec<Workload>,
    /// Spark applications.
    pub spark_applications: Vec<SparkApplication>,
    /// What is checked once everything is up.
    pub verification: Verification,
    /// Other addresses for charts and images, for networks that cannot reach the public ones.
    pub mirrors: Mirrors,
    /// How long pipectl waits, by stage.
    pub timeouts: Timeouts,
    /// How long an environment may live, counted from its creation; without it, it lives until `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Period>,
    /// Tags for every cloud resource that pipectl makes, and volumes of claims, in addition to pipectl's own; EKS hands none
    /// on to the instances of its node groups. At most 40, with keys of up to 128 and values of up to 256 letters, digits,
    /// spaces and `_ . : / = + - @`. Keys that begin with `aws:`, `eks:`, `kubernetes.io` or `pipectl.dev/`, and `Name`, are
    /// set by others.
    #[schemars(extend("maxProperties" = 40, "propertyNames" = {"minLength": 1, "maxLength": 128}))]
    pub tags: BTreeMap<String, String>,
}
