//! EKS add-ons.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cloud::{Deletion, Issue, Tags, UpdateProgress};
use crate::error::PortError;

/// A version of an add-on that goes with a Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonVersion {
    /// e.g. `v1.20.4-eksbuild.2`.
    pub version: String,
    /// Whether EKS installs it where none is named.
    pub default: bool,
}

/// An add-on as wanted. What EKS's own manifests set is taken over where it conflicts (`resolveConflicts: OVERWRITE`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonSpec {
    /// The cluster's name.
    pub cluster: String,
    /// The add-on's name in the EKS API.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Settings in its own words; `None`: none.
    pub configuration: Option<Value>,
    /// Its tags.
    pub tags: Tags,
    /// Client token.
    pub token: String,
}

/// Where an add-on is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddonState {
    /// Being installed.
    Creating,
    /// Working.
    Active,
    /// Being changed.
    Updating,
    /// Installed; its pods don't work (yet): without nodes this is what `coredns` comes to.
    Degraded,
    /// It came to nothing.
    CreateFailed,
    /// Its last change came to nothing.
    UpdateFailed,
    /// Being removed.
    Deleting,
    /// Its removal failed.
    DeleteFailed,
}

/// An add-on as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addon {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Where it is in its life.
    pub state: AddonState,
    /// Its version.
    pub version: String,
    /// Its settings; `None`: none.
    pub configuration: Option<Value>,
    /// What EKS says is wrong with it.
    pub issues: Vec<Issue>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// EKS add-ons.
#[async_trait]
pub trait AddonApi: Send + Sync {
    /// The versions of an add-on for a Kubernetes version (`1.35`), newest first.
    async fn versions(&self, addon: &str, kubernetes: &str)
    -> Result<Vec<AddonVersion>, PortError>;

    /// One add-on.
    async fn find(&self, cluster: &str, name: &str) -> Result<Option<Addon>, PortError>;

    /// The names of a cluster's add-ons; none when there is no such cluster.
    async fn names(&self, cluster: &str) -> Result<Vec<String>, PortError>;

    /// Installs one.
    async fn create(&self, spec: &AddonSpec) -> Result<Addon, PortError>;

    /// Begins a change of version and settings and answers the update's id.
    async fn change(&self, spec: &AddonSpec) -> Result<String, PortError>;

    /// How far an update is; `None` when there is no such update.
    async fn update(
        &self,
        cluster: &str,
        name: &str,
        update: &str,
    ) -> Result<Option<UpdateProgress>, PortError>;

    /// Removes one, with what it installed in the cluster.
    async fn delete(&self, cluster: &str, name: &str) -> Result<Deletion, PortError>;
}
