//! The ways to an AWS account together, and what several of them share.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    access::AccessApi, account::AccountApi, addons::AddonApi, anchors::AnchorApi,
    balancers::BalancerApi, clusters::ClusterApi, compute::ComputeApi, entrance::EntranceApi,
    identity::IdentityApi, keys::KeyApi, logs::LogApi, network::NetworkApi,
    node_groups::NodeGroupApi, tagged::TaggedApi,
};

/// The ways to one AWS account in one region, one per capability. One adapter may stand behind several of them.
///
/// What holds for all of them: calls are bounded in time; lists are complete (pages are followed inside); a thing that
/// does not exist is `None` or left out of a list, never an error, unless the call names it as something to build on;
/// deleting what is not there is [`Deletion::Absent`]. Reads may be stale for a while, those by tag longer than those
/// by identifier: callers live with it. An error's cause quotes the API's code, message and request id.
#[derive(Clone)]
pub struct Cloud {
    /// Who is asking, and what the account allows.
    pub account: Arc<dyn AccountApi>,
    /// The records of environments in the account.
    pub anchors: Arc<dyn AnchorApi>,
    /// VPCs and what they are made of.
    pub network: Arc<dyn NetworkApi>,
    /// Instances, network interfaces, volumes.
    pub compute: Arc<dyn ComputeApi>,
    /// Load balancers that controllers in the cluster made.
    pub balancers: Arc<dyn BalancerApi>,
    /// EKS control planes.
    pub clusters: Arc<dyn ClusterApi>,
    /// Managed node groups.
    pub node_groups: Arc<dyn NodeGroupApi>,
    /// EKS add-ons.
    pub addons: Arc<dyn AddonApi>,
    /// Who may enter a cluster, and which pods may act as which role.
    pub access: Arc<dyn AccessApi>,
    /// IAM roles and OIDC providers.
    pub identity: Arc<dyn IdentityApi>,
    /// KMS keys.
    pub keys: Arc<dyn KeyApi>,
    /// Log groups.
    pub logs: Arc<dyn LogApi>,
    /// Everything that carries a tag.
    pub tagged: Arc<dyn TaggedApi>,
    /// The way from an EKS cluster to the Kubernetes ports.
    pub entrance: Arc<dyn EntranceApi>,
}

/// Tags of a resource, or a selection by tags (all of them must match).
pub type Tags = BTreeMap<String, String>;

/// What deleting met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletion {
    /// It did not exist (any more).
    Absent,
    /// Deletion was accepted; it may take time.
    Accepted,
}

/// What a service says is wrong with a resource: a health issue, a failed update, a failure state's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// The service's own code, e.g. `NodeCreationFailure`; decisions are taken on it.
    pub code: String,
    /// The service's own words.
    pub message: String,
    /// Identifiers of the resources it is about.
    pub resources: Vec<String>,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if !self.resources.is_empty() {
            write!(f, " ({})", self.resources.join(", "))?;
        }
        Ok(())
    }
}

/// How far an update is that EKS carries out by itself (`DescribeUpdate`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateProgress {
    /// Under way.
    InProgress,
    /// Done.
    Successful,
    /// It did not succeed, or was cancelled; why.
    Failed(Vec<Issue>),
}
