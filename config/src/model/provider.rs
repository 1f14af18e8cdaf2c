//! Where a platform runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the platform runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Provider {
    /// The sandbox's own plain cluster on this machine: a real Kubernetes control plane, simulated nodes and pods, no AWS.
    #[default]
    Sandbox,
    /// A Kubernetes cluster that exists already; pipectl never creates, changes or deletes the cluster itself.
    Existing(ExistingProvider),
    /// A cluster on Amazon EKS that pipectl creates, with its network. With `--sandbox` on a simulated AWS on this machine.
    Eks(EksProvider),
}

impl Provider {
    /// The provider that stands for this one in the sandbox. Amazon EKS stays Amazon EKS, in the same region of the
    /// simulated AWS, with the sandbox's own account and keys; an existing cluster becomes the sandbox's own plain one.
    #[must_use]
    pub fn in_sandbox(&self) -> Self {
        match self {
            Self::Sandbox | Self::Existing(_) => Self::Sandbox,
            Self::Eks(eks) => Self::Eks(EksProvider {
                region: eks.region.clone(),
                account: None,
                profile: None,
                role_arn: None,
            }),
        }
    }
}

/// A Kubernetes cluster that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExistingProvider {
    /// The kubeconfig file, relative to the pipeline file. The ambient one (`KUBECONFIG`, `~/.kube/config`) is never used by itself.
    pub kubeconfig: String,
    /// The context in that file. Required, since a file's current context changes behind one's back.
    pub context: String,
}

/// An Amazon EKS cluster that pipectl creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EksProvider {
    /// The AWS region, such as `us-west-2`.
    pub region: String,
    /// The AWS account (12 digits). Any other account is refused before the first change; without it, the account of the first `up` is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The profile in the AWS configuration files; without it, the standard chain of credentials is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A role to assume for all calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}
