//! EKS managed node groups.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Issue, Tags, UpdateProgress};
use crate::error::PortError;

/// How many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// The fewest.
    pub min: u32,
    /// The most; EKS wants at least 1.
    pub max: u32,
    /// Now wanted.
    pub desired: u32,
}

/// The effect of a taint, in Kubernetes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// Pods that don't tolerate it are not scheduled.
    NoSchedule,
    /// They are scheduled elsewhere where possible.
    PreferNoSchedule,
    /// They are evicted.
    NoExecute,
}

/// A taint of every node of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; may be empty.
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
}

/// Which image the nodes run; AWS keeps one per architecture (Amazon Linux 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// `AL2023_x86_64_STANDARD`.
    Amd64,
    /// `AL2023_ARM_64_STANDARD`.
    Arm64,
    /// Another one; never asked for.
    Other,
}

/// What a group is made of and cannot change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Make {
    /// EC2 instance types, in order of preference.
    pub instance_types: Vec<String>,
    /// Which image.
    pub image: Image,
    /// Whether spot instances.
    pub spot: bool,
    /// Size of each node's disk.
    pub disk_gib: u32,
    /// Subnets.
    pub subnets: Vec<String>,
    /// ARN of the nodes' role.
    pub role: String,
}

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroupSpec {
    /// The cluster's name.
    pub cluster: String,
    /// Its name, unique in the cluster, at most 63 characters.
    pub name: String,
    /// What it is made of.
    pub make: Make,
    /// How many nodes.
    pub scaling: Scaling,
    /// Labels of the nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes.
    pub taints: Vec<Taint>,
    /// Its tags; EKS does not hand them on to instances.
    pub tags: Tags,
    /// Client token.
    pub token: String,
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeGroupState {
    /// Being made.
    Creating,
    /// Working.
    Active,
    /// Working, and being changed.
    Updating,
    /// Being deleted.
    Deleting,
    /// It came to nothing.
    CreateFailed,
    /// Its deletion failed.
    DeleteFailed,
    /// There, and something is wrong with it.
    Degraded,
}

/// A group as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it is in its life.
    pub state: NodeGroupState,
    /// What it is made of.
    pub make: Make,
    /// Kubernetes version of its nodes, e.g. `1.35`.
    pub version: Option<String>,
    /// How many nodes.
    pub scaling: Scaling,
    /// Labels of the nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes.
    pub taints: Vec<Taint>,
    /// Names of its Auto Scaling groups.
    pub scaling_groups: Vec<String>,
    /// What EKS says is wrong with it.
    pub issues: Vec<Issue>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// A change in place, carried out by EKS as one update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeGroupChange {
    /// Sizes, labels and taints (`UpdateNodegroupConfig`).
    Config {
        /// How many nodes.
        scaling: Scaling,
        /// Labels to set.
        labels: BTreeMap<String, String>,
        /// Keys of labels to remove.
        remove_labels: Vec<String>,
        /// Taints to set.
        taints: Vec<Taint>,
        /// Taints to remove.
        remove_taints: Vec<Taint>,
    },
    /// Roll the nodes to this Kubernetes version (`UpdateNodegroupVersion`).
    Version(String),
}

/// EKS managed node groups.
#[async_trait]
pub trait NodeGroupApi: Send + Sync {
    /// One group.
    async fn find(&self, cluster: &str, name: &str) -> Result<Option<NodeGroup>, PortError>;

    /// The names of a cluster's groups; none when there is no such cluster.
    async fn names(&self, cluster: &str) -> Result<Vec<String>, PortError>;

    /// Makes a group.
    async fn create(&self, spec: &NodeGroupSpec) -> Result<NodeGroup, PortError>;

    /// Begins a change and answers the update's id. While another goes on it is `Conflict`.
    async fn change(
        &self,
        cluster: &str,
        name: &str,
        change: &NodeGroupChange,
        token: &str,
    ) -> Result<String, PortError>;

    /// How far an update is; `None` when there is no such update.
    async fn update(
        &self,
        cluster: &str,
        name: &str,
        update: &str,
    ) -> Result<Option<UpdateProgress>, PortError>;

    /// Deletes a group with its instances.
    async fn delete(&self, cluster: &str, name: &str) -> Result<Deletion, PortError>;
}
