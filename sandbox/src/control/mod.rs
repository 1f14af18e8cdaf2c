//! The supervisor's control endpoint: HTTP on loopback, for this user only.

mod client;
mod server;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(crate) use client::ControlClient;
pub(crate) use server::{Control, serve};

use crate::aws::AwsCredentials;
use crate::error::Report;
use crate::supervisor::process::ComponentStatus;

/// Where a supervisor listens, and the token that it wants; stands in a file that only its user can read.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) pid: u32,
}

/// How far a sandbox is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase", tag = "state", content = "step")]
pub enum Phase {
    /// It boots; with what it is busy.
    Starting(String),
    /// It works.
    Running,
    /// It ends.
    Stopping,
}

/// The sandbox's own plain cluster, while it is there.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Where users reach the Kubernetes API: the proxy.
    pub api: String,
    /// How many nodes it was booted with.
    pub nodes: u16,
    /// Their size.
    pub instance_type: String,
    /// Its real components.
    pub components: Vec<ComponentStatus>,
}

/// The boot of the plain cluster in a sandbox that runs without it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase", tag = "state", content = "detail")]
pub enum ClusterBoot {
    /// It is under way; with what it is busy.
    Starting(String),
    /// The last one failed. The sandbox runs on; the next wish for a cluster boots again.
    Failed(Report),
}

/// The control plane of an EKS cluster of the simulated AWS.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct EksStatus {
    /// Name of the cluster.
    pub name: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its directory among those of the sandbox's clusters; unique among all that ever were.
    pub id: String,
    /// Its real components; none while it sleeps.
    pub components: Vec<ComponentStatus>,
}

/// The way to a sandbox's simulated AWS. Its key opens nothing else, but it is a secret of this user's.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct AwsAccess {
    /// `http://127.0.0.1:PORT`, for every service.
    pub endpoint: String,
    /// Account, 12 digits.
    pub account: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// The region that its users are pointed to; every other one is there, too.
    pub region: String,
    /// How much faster than on AWS lifecycles pass; at least 1.
    pub time_scale: u32,
}

impl std::fmt::Debug for AwsAccess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AwsAccess")
            .field("endpoint", &self.endpoint)
            .field("account", &self.account)
            .field("region", &self.region)
            .field("time_scale", &self.time_scale)
            .finish_non_exhaustive()
    }
}

/// A user of the simulated AWS, as somebody wants one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WantedUser {
    pub(crate) name: String,
    /// A policy, as JSON.
    pub(crate) policy: String,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub(crate) enum HandedOut {
    Key(AwsCredentials),
    /// Why not.
    Refused(String),
}

/// A sandbox as it is now.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SandboxStatus {
    /// Name of the sandbox.
    pub name: String,
    /// How far it is.
    pub phase: Phase,
    /// Process id of its supervisor.
    pub pid: u32,
    /// Version of the Kubernetes API.
    pub kubernetes: String,
    /// Where the chart repositories are; see [`crate::Sandbox::settings`] for which is which.
    pub charts: String,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took until it was usable, in milliseconds.
    pub boot_ms: Option<u64>,
    /// Resident memory of the supervisor, in bytes, where the system tells.
    pub memory: Option<u64>,
    /// The simulated AWS; always there once the sandbox runs.
    pub aws: Option<AwsAccess>,
    /// The plain cluster, where somebody wanted it and it is usable; see [`crate::Sandbox::ensure_cluster`].
    pub cluster: Option<ClusterStatus>,
    /// How the boot of the plain cluster goes, where it is not there but was wanted.
    pub cluster_boot: Option<ClusterBoot>,
    /// Control planes of the simulated AWS's clusters.
    pub eks: Vec<EksStatus>,
}

impl SandboxStatus {
    /// All real components, those of the plain cluster first.
    pub fn components(&self) -> impl Iterator<Item = &ComponentStatus> {
        let plain = self.cluster.iter().flat_map(|one| &one.components);
        plain.chain(self.eks.iter().flat_map(|one| &one.components))
    }

    /// Resident memory of supervisor and components together, in bytes; guards (some MB each, shared) apart.
    #[must_use]
    pub fn total_memory(&self) -> u64 {
        let components = self.components().filter_map(|component| component.memory);
        self.memory.unwrap_or(0) + components.sum::<u64>()
    }
}
