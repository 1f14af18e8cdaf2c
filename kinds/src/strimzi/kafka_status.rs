//! The status of the `Kafka` kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::Condition;
use crate::schema::open_object;

/// What the operator says of a Kafka cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerStatus>,
    /// The node pools of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kafka_node_pools: Vec<UsedNodePool>,
    /// Node ids registered with the controllers (not in v1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registered_node_ids: Vec<i32>,
    /// Kafka's own id of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Version of the operator that last finished a reconciliation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_last_successful_version: Option<String>,
    /// Kafka's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka_version: Option<String>,
    /// Version of the metadata format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka_metadata_version: Option<String>,
    /// Where the metadata lives (not in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka_metadata_state: Option<MetadataState>,
    /// Rebalancing after scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub auto_rebalance: Option<Value>,
    /// Security settings in effect (only in v1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub cluster_security: Option<Value>,
}

/// Where clients of one listener connect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Name of the listener, as in older versions (not in v1).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<ListenerAddress>,
    /// The addresses as clients want them: `host:port`, joined by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers: Option<String>,
    /// Certificates to trust, for listeners with TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// One address of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListenerAddress {
    /// Host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// A node pool of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedNodePool {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where the cluster's metadata lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetadataState {
    /// In ZooKeeper.
    ZooKeeper,
    /// On its way out of ZooKeeper.
    KRaftMigration,
    /// Written to both.
    KRaftDualWriting,
    /// Moved, brokers not yet restarted.
    KRaftPostMigration,
    /// Moved, ZooKeeper not yet removed.
    PreKRaft,
    /// In Kafka itself.
    KRaft,
}
