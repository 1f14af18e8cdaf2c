//! Custom resources of Strimzi.

pub mod common;
pub mod definitions;
pub mod kafka;
pub mod kafka_status;
pub mod node_pool;
pub mod pod_set;
pub mod releases;
pub mod storage;
pub mod topic;
pub mod user;

pub use common::{CLUSTER_LABEL, Condition, Resources};
pub use definitions::crds;
pub use kafka::{
    EntityOperator, Kafka, KafkaClusterSpec, KafkaSpec, Listener, ListenerType, Rack,
    TopicOperator, UserOperator,
};
pub use kafka_status::KafkaStatus;
pub use node_pool::{KafkaNodePool, KafkaNodePoolSpec, KafkaNodePoolStatus, Role};
pub use pod_set::{StrimziPodSet, StrimziPodSetSpec, StrimziPodSetStatus};
pub use storage::{Storage, StorageType, Volume, VolumeType};
pub use topic::{KafkaTopic, KafkaTopicSpec, KafkaTopicStatus, TOPIC_FINALIZER};
pub use user::{KafkaUser, KafkaUserSpec, KafkaUserStatus};
