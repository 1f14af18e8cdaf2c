//! The way from an EKS cluster to the Kubernetes ports.
//!
//! On EKS the Kubernetes ports exist before the cluster does. They answer `Unreachable` until a step has entered.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::objects::ClusterIdentity;
use crate::error::PortError;

/// Where an EKS cluster is reached, as EKS itself says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// The cluster's name.
    pub cluster: String,
    /// The cluster's ARN.
    pub arn: String,
    /// The region.
    pub region: String,
    /// The API server's address.
    pub server: String,
    /// The CA's certificate, PEM in base64.
    pub ca: String,
}

/// Points [`Ports::objects`](crate::context::Ports) and [`Ports::releases`](crate::context::Ports) at an EKS cluster.
#[async_trait]
pub trait EntranceApi: Send + Sync {
    /// Writes pipectl's own kubeconfig (server, CA and an exec entry for `pipectl token`, never a token; only where it
    /// differs), connects, and asks the API server who it is. Entering the same cluster again is cheap; entering
    /// another one than before in the same run is refused as `Foreign`. An API server that does not answer yet is
    /// `Unreachable`, one that does not know the caller yet `Unauthorized` or `Forbidden`.
    async fn enter(&self, door: &Door) -> Result<ClusterIdentity, PortError>;

    /// Whose cluster the Kubernetes ports lead to now, if to any.
    fn entered(&self) -> Option<Door>;
}
