//! Load balancers in a VPC: controllers in the cluster make them for services and ingresses; pipectl makes none.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// The kinds of load balancers, and what belongs to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancerKind {
    /// A classic load balancer.
    Classic,
    /// A network load balancer.
    Network,
    /// An application load balancer.
    Application,
    /// A gateway load balancer.
    Gateway,
    /// A target group: no balancer, but left behind like one.
    TargetGroup,
}

/// A load balancer, or a target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancer {
    /// Its kind.
    pub kind: BalancerKind,
    /// Its ARN; for a classic one its name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// Its tags.
    pub tags: Tags,
}

/// Elastic Load Balancing.
#[async_trait]
pub trait BalancerApi: Send + Sync {
    /// All load balancers and target groups in a VPC, with their tags.
    async fn in_vpc(&self, vpc: &str) -> Result<Vec<Balancer>, PortError>;

    /// Deletes one. A target group that a balancer still uses is `InUse`.
    async fn delete(&self, balancer: &Balancer) -> Result<Deletion, PortError>;
}
