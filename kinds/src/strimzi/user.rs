//! The `KafkaUser` kind, as far as pipectl needs it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::Condition;
use crate::resource::{Resource, ResourceSpec};
use crate::schema::open_object;

/// A `KafkaUser` resource.
pub type KafkaUser = Resource<KafkaUserSpec>;

impl ResourceSpec for KafkaUserSpec {
    const GROUP: &'static str = "kafka.strimzi.io";
    const KIND: &'static str = "KafkaUser";
    const PLURAL: &'static str = "kafkausers";
    type Status = KafkaUserStatus;
}

/// The desired state of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaUserSpec {
    /// How the user proves who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<UserAuthentication>,
    /// What the user may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "authorization")]
    pub authorization: Option<Value>,
    /// Quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub quotas: Option<Value>,
    /// Changes to the secret that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub template: Option<Value>,
}

/// How a user proves who it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserAuthentication {
    /// The mechanism.
    #[serde(rename = "type")]
    pub kind: UserAuthenticationType,
    /// A password brought by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub password: Option<Value>,
    /// Days before the end at which the certificate is renewed (only in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub renewal_days: Option<i32>,
    /// Days that the certificate is valid (only in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub validity_days: Option<i32>,
}

/// The mechanisms of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserAuthenticationType {
    /// A certificate of the clients' authority.
    Tls,
    /// A certificate of somebody else's.
    TlsExternal,
    /// A password.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// What the user operator says of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaUserStatus {
    /// Conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Secret with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

fn authorization(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["simple"]},
            "acls": {
                "type": "array",
                "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
            }
        },
        "required": ["acls", "type"]
    })
}
