//! The `StrimziPodSet` kind: the operator's own controller of pods.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::Condition;
use crate::resource::{Resource, ResourceSpec};
use crate::schema::open_objects;

/// A `StrimziPodSet` resource.
pub type StrimziPodSet = Resource<StrimziPodSetSpec>;

impl ResourceSpec for StrimziPodSetSpec {
    const GROUP: &'static str = "core.strimzi.io";
    const KIND: &'static str = "StrimziPodSet";
    const PLURAL: &'static str = "strimzipodsets";
    type Status = StrimziPodSetStatus;
}

/// The desired state of a pod set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrimziPodSetSpec {
    /// Selects the pods of the set.
    #[schemars(schema_with = "selector")]
    pub selector: Value,
    /// The pods, whole.
    #[schemars(schema_with = "open_objects")]
    pub pods: Vec<Value>,
}

/// How many pods of a set are there, ready and up to date.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrimziPodSetStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods of the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<i32>,
    /// Ready ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_pods: Option<i32>,
    /// Ones of the current revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_pods: Option<i32>,
}

fn selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchExpressions": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "key": {"type": "string"},
                    "operator": {"type": "string"},
                    "values": {"type": "array", "items": {"type": "string"}}
                }
            }},
            "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}
        }
    })
}
