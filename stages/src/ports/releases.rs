//! Helm releases.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::PortError;

/// A chart: where it is, what it is called, which version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChartRef {
    /// Repository address (`https://...` or `oci://...`), before mirrors; `None` for a local path in `name`.
    pub repository: Option<String>,
    /// Chart name, or a path.
    pub name: String,
    /// Pinned version; always given for repositories.
    pub version: Option<String>,
}

/// A release as wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseSpec {
    /// Release name.
    pub name: String,
    /// Namespace; must exist.
    pub namespace: String,
    /// The chart.
    pub chart: ChartRef,
    /// Values; they may hold secrets, so they go to Helm on standard input only.
    pub values: Value,
    /// Digest of chart and values, kept as a label of the release's record: `unchanged` is decided by it.
    pub digest: String,
    /// Environment UID, kept as a label: whose release it is.
    pub environment_uid: String,
    /// Bound of the Helm call.
    pub timeout: Duration,
}

/// Helm's words for where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseStatus {
    /// In place.
    Deployed,
    /// The last operation failed.
    Failed,
    /// An install was cut off.
    PendingInstall,
    /// An upgrade was cut off.
    PendingUpgrade,
    /// A rollback was cut off.
    PendingRollback,
    /// An uninstall was cut off or is going on.
    Uninstalling,
    /// Only history is left.
    Uninstalled,
    /// Replaced by a later revision.
    Superseded,
    /// Helm does not know.
    Unknown,
}

/// A release as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Release name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Revision number, from 1.
    pub revision: u32,
    /// Where it stands.
    pub status: ReleaseStatus,
    /// Our digest label, when it carries one.
    pub digest: Option<String>,
    /// Our environment label, when it carries one.
    pub environment_uid: Option<String>,
}

/// Helm, as far as steps need it.
#[async_trait]
pub trait ReleaseApi: Send + Sync {
    /// A release by its newest record; reads the cluster, runs no Helm.
    async fn find(&self, namespace: &str, name: &str) -> Result<Option<Release>, PortError>;

    /// Every release that carries this environment's UID; reads the cluster, runs no Helm.
    async fn owned(&self, environment_uid: &str) -> Result<Vec<Release>, PortError>;

    /// The CRDs that a chart ships in its `crds/` folder.
    async fn crds(&self, chart: &ChartRef) -> Result<Vec<Value>, PortError>;

    /// The objects that a chart renders with these values, for plans and image lists.
    async fn render(&self, spec: &ReleaseSpec) -> Result<Vec<Value>, PortError>;

    /// Installs or upgrades without the chart's CRDs and without waiting for pods. A release left pending by a dead
    /// owner is repaired first: its first revision uninstalled, a later one rolled back.
    async fn install(&self, spec: &ReleaseSpec) -> Result<Release, PortError>;

    /// Uninstalls; `Ok(false)` when there was nothing.
    async fn uninstall(
        &self,
        namespace: &str,
        name: &str,
        timeout: Duration,
    ) -> Result<bool, PortError>;
}
