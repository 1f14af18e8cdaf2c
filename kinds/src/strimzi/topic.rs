//! The `KafkaTopic` kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::common::Condition;
use crate::resource::{Resource, ResourceSpec};
use crate::schema::open_object;

/// The finalizer that the topic operator holds on topics.
pub const TOPIC_FINALIZER: &str = "strimzi.io/topic-operator";

/// A `KafkaTopic` resource.
pub type KafkaTopic = Resource<KafkaTopicSpec>;

impl ResourceSpec for KafkaTopicSpec {
    const GROUP: &'static str = "kafka.strimzi.io";
    const KIND: &'static str = "KafkaTopic";
    const PLURAL: &'static str = "kafkatopics";
    type Status = KafkaTopicStatus;
}

/// The desired state of a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicSpec {
    /// Name in Kafka; the resource's own name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_name: Option<String>,
    /// Number of partitions; can grow, never shrink.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub partitions: Option<i32>,
    /// Replicas of each partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32767))]
    pub replicas: Option<i32>,
    /// Topic settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "open_object")]
    pub config: Map<String, Value>,
}

/// What the topic operator says of a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_name: Option<String>,
    /// Kafka's own id of the topic; changes only when the topic is made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// A change of the number of replicas that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas_change: Option<ReplicasChange>,
}

/// A change of the number of replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicasChange {
    /// What is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_replicas: Option<i32>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ReplicasChangeState>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Cruise Control's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// How far a change of replicas is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicasChangeState {
    /// Asked for.
    Pending,
    /// With Cruise Control.
    Ongoing,
}
