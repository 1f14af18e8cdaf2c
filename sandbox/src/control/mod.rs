//! The supervisor's control endpoint: HTTP on loopback, for this user only.

mod client;
mod server;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(crate) use client::ControlClient;
pub(crate) use server::{Control, serve};

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

/// Where the simulated AWS is, and the key of its account. The key is of the sandbox alone: it opens nothing else.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct AwsStatus {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// Account.
    pub account: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
}

impl std::fmt::Debug for AwsStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AwsStatus")
            .field("endpoint", &self.endpoint)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
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
    /// Where users reach the Kubernetes API: the proxy.
    pub api: String,
    /// Where the chart repositories are; see [`crate::Sandbox::settings`] for which is which.
    pub charts: String,
    /// How many nodes it was started with.
    pub nodes: u16,
    /// Their size.
    pub instance_type: String,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took until it was usable, in milliseconds.
    pub boot_ms: Option<u64>,
    /// Resident memory of the supervisor, in bytes, where the system tells.
    pub memory: Option<u64>,
    /// The real components.
    pub components: Vec<ComponentStatus>,
    /// The simulated AWS, where it was started with one.
    #[serde(default)]
    pub aws: Option<AwsStatus>,
}

impl SandboxStatus {
    /// Resident memory of supervisor and components together, in bytes; guards (some MB each, shared) apart.
    #[must_use]
    pub fn total_memory(&self) -> u64 {
        let components = self
            .components
            .iter()
            .filter_map(|component| component.memory);
        self.memory.unwrap_or(0) + components.sum::<u64>()
    }
}
