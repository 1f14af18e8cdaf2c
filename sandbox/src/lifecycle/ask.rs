//! What a running sandbox tells and takes: counters, faults, the graph of its simulated AWS.

use super::Sandbox;
use crate::aws::{AwsCredentials, AwsFaultRule, CallCount};
use crate::control::{HandedOut, WantedUser};
use crate::error::SandboxError;
use crate::proxy::counters::Count;
use crate::proxy::faults::FaultRule;

impl Sandbox {
    /// Requests of its users since the counters were last reset.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn counters(&self) -> Result<Vec<Count>, SandboxError> {
        self.ask(self.control()?.counters().await)
    }

    /// Count from zero.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn reset_counters(&self) -> Result<(), SandboxError> {
        self.ask(self.control()?.reset_counters().await)
    }

    /// The fault plan, with how often each rule struck.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn faults(&self) -> Result<Vec<FaultRule>, SandboxError> {
        self.ask(self.control()?.faults().await)
    }

    /// Replace the fault plan; an empty one ends all faults.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn set_faults(&self, rules: &[FaultRule]) -> Result<(), SandboxError> {
        self.ask(self.control()?.set_faults(rules).await)
    }

    /// The key of a user of its simulated AWS who may do what this policy (JSON) allows, and nothing else. A user of that name keeps
    /// its key and gets this policy instead of its others.
    ///
    /// # Errors
    /// When it isn't running, the name can't be a user's, or the policy is none.
    pub async fn aws_user(&self, name: &str, policy: &str) -> Result<AwsCredentials, SandboxError> {
        let wanted = WantedUser {
            name: name.to_owned(),
            policy: policy.to_owned(),
        };
        match self.ask(self.control()?.aws_user(&wanted).await)? {
            HandedOut::Key(key) => Ok(key),
            HandedOut::Refused(reason) => Err(SandboxError::InvalidSetting {
                setting: "policy",
                reason,
            }),
        }
    }

    /// The raw graph of its simulated AWS, for audits; `{}` when there is nothing in any account.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn inspect_aws(&self) -> Result<serde_json::Value, SandboxError> {
        self.ask(self.control()?.inspect_aws().await)
    }

    /// Calls of its simulated AWS since they were last counted from zero, by client.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn aws_calls(&self) -> Result<Vec<CallCount>, SandboxError> {
        self.ask(self.control()?.aws_calls().await)
    }

    /// Count the calls of its simulated AWS from zero.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn reset_aws_calls(&self) -> Result<(), SandboxError> {
        self.ask(self.control()?.reset_aws_calls().await)
    }

    /// The fault plan of its simulated AWS, with how often each rule struck.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn aws_faults(&self) -> Result<Vec<AwsFaultRule>, SandboxError> {
        self.ask(self.control()?.aws_faults().await)
    }

    /// Replace the fault plan of its simulated AWS; an empty one ends all its faults.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn set_aws_faults(&self, rules: &[AwsFaultRule]) -> Result<(), SandboxError> {
        self.ask(self.control()?.set_aws_faults(rules).await)
    }
}
