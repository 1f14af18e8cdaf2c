//! The `KafkaNodePool` kind: Kafka nodes of one size and role.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{Condition, JvmOptions, Resources};
use super::storage::Storage;
use crate::resource::{Resource, ResourceSpec};
use crate::schema::open_object;

/// A `KafkaNodePool` resource.
pub type KafkaNodePool = Resource<KafkaNodePoolSpec>;

impl ResourceSpec for KafkaNodePoolSpec {
    const GROUP: &'static str = "kafka.strimzi.io";
    const KIND: &'static str = "KafkaNodePool";
    const PLURAL: &'static str = "kafkanodepools";
    type Status = KafkaNodePoolStatus;
}

/// The desired state of a node pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaNodePoolSpec {
    /// Number of nodes.
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Where they keep their data.
    pub storage: Storage,
    /// What they are.
    pub roles: Vec<Role>,
    /// CPU and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Settings of the virtual machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jvm_options: Option<JvmOptions>,
    /// Changes to the objects that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub template: Option<Value>,
}

impl KafkaNodePoolSpec {
    /// `replicas` nodes with these roles.
    #[must_use]
    pub fn new(replicas: i32, roles: &[Role], storage: Storage) -> Self {
        KafkaNodePoolSpec {
            replicas,
            storage,
            roles: roles.to_vec(),
            resources: None,
            jvm_options: None,
            template: None,
        }
    }
}

/// What a Kafka node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keeps the cluster's metadata.
    Controller,
    /// Keeps topics.
    Broker,
}

/// What the operator says of a node pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaNodePoolStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ids of the pool's nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_ids: Vec<i32>,
    /// Kafka's own id of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The roles in effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// The number of nodes in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Selector of the pool's pods, in text, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}
