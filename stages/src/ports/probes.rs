//! Running something inside a pod, to see with its eyes.

use std::time::Duration;

use async_trait::async_trait;

use crate::{error::PortError, ports::objects::ObjectRef};

/// What to run, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The pod.
    pub pod: ObjectRef,
    /// The container; `None`: the pod's default one.
    pub container: Option<String>,
    /// Program and arguments; never a secret among them.
    pub command: Vec<String>,
    /// What it reads on standard input.
    pub input: Option<String>,
    /// Bound of the whole probe.
    pub timeout: Duration,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOutput {
    /// The program's exit code.
    pub exit_code: i32,
    /// Its standard output, cut to a bound by the adapter.
    pub stdout: String,
    /// Its standard error, cut to a bound by the adapter.
    pub stderr: String,
}

/// Runs programs inside pods, as `kubectl exec` does.
#[async_trait]
pub trait ProbeApi: Send + Sync {
    /// Runs it and waits for its end. A pod that is simulated has no program to run: callers ask its node first.
    async fn run(&self, probe: &Probe) -> Result<ProbeOutput, PortError>;
}
