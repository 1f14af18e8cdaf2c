//! EKS control planes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Issue, Tags, UpdateProgress};
use crate::error::PortError;

/// From where the API server can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// From the internet.
    pub public: bool,
    /// From the VPC.
    pub private: bool,
    /// Address ranges that may reach the public endpoint; kept sorted.
    pub public_cidrs: BTreeSet<String>,
}

/// A cluster to be made. Its authentication mode is `API` (access entries), its creator becomes an administrator, and
/// EKS does not install its default add-ons unmanaged (`bootstrapSelfManagedAddons: false`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Its name, unique in account and region.
    pub name: String,
    /// Kubernetes version, e.g. `1.35`.
    pub version: String,
    /// ARN of the cluster's role.
    pub role: String,
    /// Subnets, in at least two zones.
    pub subnets: Vec<String>,
    /// Further security groups of the control plane's interfaces.
    pub security_groups: Vec<String>,
    /// From where it can be reached.
    pub endpoint: Endpoint,
    /// Kinds of logs that go to CloudWatch, as EKS names them: `api`, `audit`, `authenticator`, `controllerManager`,
    /// `scheduler`.
    pub logging: BTreeSet<String>,
    /// ARN of the key that encrypts Secrets.
    pub encryption_key: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// Client token.
    pub token: String,
}

/// Where a cluster is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// Being made.
    Creating,
    /// Working.
    Active,
    /// Working, and being changed.
    Updating,
    /// Being deleted.
    Deleting,
    /// It came to nothing.
    Failed,
}

/// A cluster as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it is in its life.
    pub state: ClusterState,
    /// Kubernetes version, e.g. `1.35`.
    pub version: String,
    /// EKS platform version, e.g. `eks.4`.
    pub platform_version: Option<String>,
    /// The API server's address, once there is one.
    pub server: Option<String>,
    /// The CA's certificate, PEM in base64, as EKS gives it.
    pub ca: Option<String>,
    /// The OIDC issuer's address, once there is one.
    pub issuer: Option<String>,
    /// ARN of its role.
    pub role: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// Its further security groups.
    pub security_groups: Vec<String>,
    /// The security group that EKS makes for it.
    pub own_security_group: Option<String>,
    /// From where it can be reached.
    pub endpoint: Endpoint,
    /// Kinds of logs that go to CloudWatch.
    pub logging: BTreeSet<String>,
    /// ARN of the key that encrypts Secrets.
    pub encryption_key: Option<String>,
    /// What EKS says is wrong with it.
    pub issues: Vec<Issue>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// One change of a cluster; EKS takes one at a time and carries it out as an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterChange {
    /// Go to this Kubernetes version, one minor version up.
    Version(String),
    /// Be reachable from there.
    Endpoint(Endpoint),
    /// Send exactly these kinds of logs.
    Logging(BTreeSet<String>),
    /// Have the control plane's interfaces in these subnets: of the same VPC, and in exactly the zones that it was made in.
    Subnets(Vec<String>),
    /// Encrypt Secrets with this key; cannot be taken back.
    Encryption(String),
}

/// A Kubernetes version that EKS offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedVersion {
    /// e.g. `1.35`.
    pub version: String,
    /// Whether it is in standard support; the others cost more, or will soon be upgraded by AWS.
    pub standard_support: bool,
    /// Whether new clusters get it by default.
    pub default: bool,
}

/// EKS control planes.
#[async_trait]
pub trait ClusterApi: Send + Sync {
    /// The Kubernetes versions on offer, newest first.
    async fn versions(&self) -> Result<Vec<OfferedVersion>, PortError>;

    /// A cluster by name.
    async fn find(&self, name: &str) -> Result<Option<Cluster>, PortError>;

    /// The names of all clusters in the region.
    async fn names(&self) -> Result<Vec<String>, PortError>;

    /// Makes a cluster. One of that name made with another token is `AlreadyExists`.
    async fn create(&self, spec: &ClusterSpec) -> Result<Cluster, PortError>;

    /// Begins a change and answers the update's id. While another change goes on it is `Conflict`.
    async fn change(
        &self,
        name: &str,
        change: &ClusterChange,
        token: &str,
    ) -> Result<String, PortError>;

    /// How far an update is; `None` when there is no such update.
    async fn update(&self, name: &str, update: &str) -> Result<Option<UpdateProgress>, PortError>;

    /// Sets these tags on a cluster, by ARN, and removes those keys. Takes the ARNs of node groups, add-ons, access
    /// entries and pod identity associations as well: EKS tags them all alike.
    async fn retag(&self, arn: &str, set: &Tags, remove: &[String]) -> Result<(), PortError>;

    /// Deletes a cluster. One that has node groups is `InUse`.
    async fn delete(&self, name: &str) -> Result<Deletion, PortError>;
}
