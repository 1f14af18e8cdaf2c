//! What EC2 runs and keeps for a cluster: instances, network interfaces, volumes and their snapshots. pipectl makes none of them itself; it
//! looks at them to explain and removes what is left over.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Starting.
    Pending,
    /// Running.
    Running,
    /// Ending.
    ShuttingDown,
    /// Ended, and still shown for a while.
    Terminated,
    /// Being stopped.
    Stopping,
    /// Stopped.
    Stopped,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Its VPC; none once it ended.
    pub vpc: Option<String>,
    /// Its zone.
    pub zone: String,
    /// When it was started.
    pub launched: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// What an interface is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The instance, where it is one.
    pub instance: Option<String>,
    /// The account or service that owns the attachment, e.g. `amazon-elb`.
    pub owner: Option<String>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id.
    pub id: String,
    /// Whether nothing uses it (EC2's status `available`).
    pub available: bool,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its type as EC2 says it: `interface`, `nat_gateway`, `network_load_balancer`, `vpc_endpoint`, ...
    pub interface_type: String,
    /// What its maker says of it.
    pub description: String,
    /// Whether a service of AWS made and manages it.
    pub requester_managed: bool,
    /// What it is attached to.
    pub attachment: Option<Attachment>,
    /// Ids of its security groups.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Whether nothing uses it (EC2's status `available`).
    pub available: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its zone.
    pub zone: String,
    /// Its size.
    pub gibibytes: u32,
    /// Instances that use it.
    pub attached_to: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A snapshot of a volume; it outlives the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The volume that it was made of.
    pub volume: String,
    /// The volume's size.
    pub gibibytes: u32,
    /// Its tags.
    pub tags: Tags,
}

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// In this VPC (volumes and snapshots are in none).
    Vpc(String),
    /// Carrying all of these tags.
    Tagged(Tags),
}

/// EC2 instances, interfaces and volumes.
#[async_trait]
pub trait ComputeApi: Send + Sync {
    /// Instances, those ended among them while EC2 shows them.
    async fn instances(&self, which: &Selector) -> Result<Vec<Instance>, PortError>;

    /// Network interfaces.
    async fn interfaces(&self, which: &Selector) -> Result<Vec<Interface>, PortError>;

    /// Volumes.
    async fn volumes(&self, which: &Selector) -> Result<Vec<Volume>, PortError>;

    /// Snapshots of the account's own.
    async fn snapshots(&self, which: &Selector) -> Result<Vec<Snapshot>, PortError>;

    /// Ends instances; those that ended already are left alone.
    async fn terminate(&self, instances: &[String]) -> Result<(), PortError>;

    /// Deletes an interface that nothing uses; otherwise `InUse`.
    async fn delete_interface(&self, id: &str) -> Result<Deletion, PortError>;

    /// Deletes a volume that nothing uses; otherwise `InUse`.
    async fn delete_volume(&self, id: &str) -> Result<Deletion, PortError>;

    /// Deletes a snapshot; one that an image is made of is `InUse`.
    async fn delete_snapshot(&self, id: &str) -> Result<Deletion, PortError>;
}
