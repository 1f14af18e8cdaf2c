//! Parts that several Strimzi kinds share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::{open_object, open_objects, quantity_map, string_map};

/// The label that names the Kafka cluster a resource belongs to.
pub const CLUSTER_LABEL: &str = "strimzi.io/cluster";

/// One status condition. `Ready`, `NotReady` and `Warning` are the types Strimzi uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `True`, `False` or `Unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the status last changed, UTC, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word in CamelCase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Condition {
    /// A condition of type `kind` with this status.
    #[must_use]
    pub fn new(kind: &str, status: bool) -> Self {
        Condition {
            kind: Some(kind.to_owned()),
            status: Some(if status { "True" } else { "False" }.to_owned()),
            ..Condition::default()
        }
    }

    /// Adds the reason and the message.
    #[must_use]
    pub fn because(mut self, reason: &str, message: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self.message = Some(message.to_owned());
        self
    }

    /// Whether this is condition `kind` with status `True`.
    #[must_use]
    pub fn is_true(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind) && self.status.as_deref() == Some("True")
    }
}

/// CPU and memory of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Claims of dynamic resource allocation.
    #[schemars(schema_with = "open_objects")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Value>,
    /// What the container may use at most.
    #[schemars(schema_with = "quantity_map")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Value>,
    /// What the scheduler sets aside.
    #[schemars(schema_with = "quantity_map")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Value>,
}

/// Settings of the Java virtual machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JvmOptions {
    /// Options after `-XX:`.
    #[serde(rename = "-XX", default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "string_map")]
    pub xx: BTreeMap<String, String>,
    /// Largest heap.
    #[serde(rename = "-Xmx", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+[mMgG]?$"))]
    pub xmx: Option<String>,
    /// First heap.
    #[serde(rename = "-Xms", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+[mMgG]?$"))]
    pub xms: Option<String>,
    /// Whether garbage collection is logged.
    #[serde(rename = "gcLoggingEnabled", skip_serializing_if = "Option::is_none")]
    pub gc_logging_enabled: Option<bool>,
    /// System properties, name and value.
    #[serde(
        rename = "javaSystemProperties",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub java_system_properties: Vec<SystemProperty>,
}

/// One Java system property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemProperty {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Timing of a health probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds before the first probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds until a probe counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<i32>,
    /// Seconds between probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_seconds: Option<i32>,
    /// Successes in a row that make it healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub success_threshold: Option<i32>,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<i32>,
}

/// Log levels, inline or from a config map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Where the levels stand.
    #[serde(rename = "type")]
    pub kind: LoggingType,
    /// Level by logger, for inline logging.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "string_map")]
    pub loggers: BTreeMap<String, String>,
    /// Reference to a config map, for external logging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub value_from: Option<Value>,
}

/// Where log levels stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoggingType {
    /// In the resource.
    Inline,
    /// In a config map.
    External,
}

/// Settings of one of the certificate authorities that the operator keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// Whether the operator makes the authority (default) or the user brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_certificate_authority: Option<bool>,
    /// Whether its secrets are owned by, and so deleted with, the Kafka resource (default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_secret_owner_reference: Option<bool>,
    /// Days that certificates are valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub validity_days: Option<i32>,
    /// Days before the end at which they are renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub renewal_days: Option<i32>,
    /// What happens when the authority's certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expiration_policy: Option<ExpirationPolicy>,
}

/// What happens when an authority's certificate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExpirationPolicy {
    /// A new certificate with the same key.
    RenewCertificate,
    /// A new key.
    ReplaceKey,
}
