//! The border between IAM and a cluster: who may enter it, and which of its pods may act as which role.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// An access entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// ARN of the IAM user or role that may enter.
    pub principal: String,
    /// Whether it may do everything in the whole cluster (`AmazonEKSClusterAdminPolicy` at cluster scope).
    pub administrator: bool,
    /// Its tags.
    pub tags: Tags,
}

/// A pod identity association: pods of a service account act as a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentity {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// ARN of the role.
    pub role: String,
    /// Its tags.
    pub tags: Tags,
}

/// A pod identity association to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentitySpec {
    /// The cluster's name.
    pub cluster: String,
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// ARN of the role.
    pub role: String,
    /// Its tags.
    pub tags: Tags,
    /// Client token.
    pub token: String,
}

/// EKS access entries and pod identity associations.
#[async_trait]
pub trait AccessApi: Send + Sync {
    /// A principal's entry.
    async fn entry(&self, cluster: &str, principal: &str) -> Result<Option<Entry>, PortError>;

    /// Gives a principal an entry, where it has none, and makes it an administrator, where it is none.
    async fn admit(
        &self,
        cluster: &str,
        principal: &str,
        tags: &Tags,
        token: &str,
    ) -> Result<(), PortError>;

    /// The associations of a cluster with their roles; none when there is no such cluster.
    async fn pod_identities(&self, cluster: &str) -> Result<Vec<PodIdentity>, PortError>;

    /// Makes an association. One of the same service account is `AlreadyExists`.
    async fn associate(&self, spec: &PodIdentitySpec) -> Result<PodIdentity, PortError>;

    /// Gives an association another role.
    async fn reassign(
        &self,
        cluster: &str,
        id: &str,
        role: &str,
        token: &str,
    ) -> Result<(), PortError>;

    /// Removes an association.
    async fn dissociate(&self, cluster: &str, id: &str) -> Result<Deletion, PortError>;
}
