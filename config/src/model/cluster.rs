//! The Kubernetes cluster, its node groups and add-ons.

use super::values::JsonObject;
use crate::units::{KubernetesVersion, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The days for which CloudWatch keeps logs; it takes no others (CloudWatch Logs API reference: `PutRetentionPolicy`).
const LOG_RETENTION_DAYS: [u16; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// The Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// The cluster's name on EKS; without it, `pipectl-` and the environment's name. At most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The Kubernetes version.
    pub kubernetes_version: KubernetesVersion,
    /// From where the API server can be reached.
    pub endpoint_access: EndpointAccess,
    /// Address ranges that may reach a public endpoint.
    pub public_access_cidrs: Vec<String>,
    /// Control-plane logs that go to CloudWatch. Without any, what was logged before stays for its `logRetentionDays`, and goes
    /// with `pipectl down`. A log group of that name that was there before the environment is neither changed nor deleted.
    pub logging: Vec<ControlPlaneLog>,
    /// Days after which control-plane logs expire.
    #[schemars(extend("enum" = LOG_RETENTION_DAYS))]
    pub log_retention_days: u16,
    /// Encrypts Kubernetes Secrets with a KMS key of pipectl's own.
    pub encrypt_secrets: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: None,
            kubernetes_version: KubernetesVersion::new(1, 35),
            endpoint_access: EndpointAccess::PublicAndPrivate,
            public_access_cidrs: vec!["0.0.0.0/0".to_owned()],
            logging: Vec::new(),
            log_retention_days: 7,
            encrypt_secrets: false,
        }
    }
}

/// From where the API server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointAccess {
    /// From the internet only.
    Public,
    /// From the VPC only.
    Private,
    /// From both.
    #[default]
    PublicAndPrivate,
}

/// A kind of control-plane log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum ControlPlaneLog {
    /// The API server's log.
    Api,
    /// The audit log.
    Audit,
    /// The IAM authenticator's log.
    Authenticator,
    /// The controller manager's log.
    ControllerManager,
    /// The scheduler's log.
    Scheduler,
}

/// A group of worker nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeGroup {
    /// The group's name, unique in the pipeline. At most 63 characters.
    pub name: String,
    /// EC2 instance types, in order of preference.
    #[serde(default = "default_instance_types")]
    pub instance_types: Vec<String>,
    /// How many nodes to start with.
    #[serde(default = "default_node_count")]
    #[schemars(range(max = 450))]
    pub size: u32,
    /// The fewest nodes; without it, as many as `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u32>,
    /// The most nodes; without it, as many as `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// The size of each node's disk, 20Gi to 64Ti; AWS counts whole gibibytes, to which it is rounded up.
    #[serde(default = "default_disk_size")]
    pub disk_size: Size,
    /// Labels of the nodes. On EKS each needs a value, and none of Kubernetes' own domains but `node.kubernetes.io` is taken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes; their keys and values are written as those of labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// On-demand or spot instances.
    #[serde(default)]
    pub capacity: Capacity,
    /// The processor architecture, which must be that of the instance types.
    #[serde(default)]
    pub architecture: Architecture,
}

fn default_instance_types() -> Vec<String> {
    vec!["m6i.large".to_owned()]
}

fn default_node_count() -> u32 {
    3
}

fn default_disk_size() -> Size {
    Size::gibibytes(50)
}

impl NodeGroup {
    /// The group that a pipeline without node groups gets: three nodes of `m6i.large` with 50Gi disks.
    pub fn standard() -> Self {
        Self {
            name: "default".to_owned(),
            instance_types: default_instance_types(),
            size: default_node_count(),
            min_size: None,
            max_size: None,
            disk_size: default_disk_size(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            capacity: Capacity::default(),
            architecture: Architecture::default(),
        }
    }

    /// The fewest and the most nodes of the group.
    pub fn bounds(&self) -> (u32, u32) {
        (
            self.min_size.unwrap_or(self.size),
            self.max_size.unwrap_or(self.size),
        )
    }
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// The taint's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What happens to pods that don't tolerate it.
    pub effect: TaintEffect,
}

/// What happens to pods that don't tolerate a taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// They are not scheduled.
    NoSchedule,
    /// They are scheduled elsewhere where possible.
    PreferNoSchedule,
    /// They are not scheduled, and evicted when they run.
    NoExecute,
}

/// How instances are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// At the list price, until stopped.
    #[default]
    OnDemand,
    /// Spare capacity: cheaper, and taken away with two minutes' notice.
    Spot,
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    #[default]
    Amd64,
    /// 64-bit ARM (Graviton).
    Arm64,
}

/// An EKS add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addon {
    /// Which add-on.
    pub name: AddonName,
    /// The add-on's version, such as `v1.20.4-eksbuild.2`; without it, the default for the Kubernetes version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Settings in the add-on's own words.
    #[serde(default, skip_serializing_if = "JsonObject::is_empty")]
    pub configuration: JsonObject,
}

/// The add-ons that pipectl knows how to install, wait for and remove.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AddonName {
    /// Pod networking.
    VpcCni,
    /// Cluster DNS.
    Coredns,
    /// Service addresses.
    KubeProxy,
    /// Volumes on EBS; Kafka's claims need it.
    AwsEbsCsiDriver,
    /// IAM roles for pods.
    EksPodIdentityAgent,
    /// Resource figures for autoscaling and `kubectl top`.
    MetricsServer,
}

impl AddonName {
    /// The add-on's name in the EKS API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VpcCni => "vpc-cni",
            Self::Coredns => "coredns",
            Self::KubeProxy => "kube-proxy",
            Self::AwsEbsCsiDriver => "aws-ebs-csi-driver",
            Self::EksPodIdentityAgent => "eks-pod-identity-agent",
            Self::MetricsServer => "metrics-server",
        }
    }
}

impl Addon {
    /// The add-ons that a pipeline without any gets: networking, DNS, service addresses, EBS volumes and the identity agent they need.
    pub fn standard() -> Vec<Self> {
        [
            AddonName::VpcCni,
            AddonName::Coredns,
            AddonName::KubeProxy,
            AddonName::EksPodIdentityAgent,
            AddonName::AwsEbsCsiDriver,
        ]
        .map(|name| Self {
            name,
            version: None,
            configuration: JsonObject::default(),
        })
        .into()
    }
}
