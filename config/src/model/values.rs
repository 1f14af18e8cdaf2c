//! Small shared shapes: free-form objects, scalars, resource requests.

use crate::units::{Cpu, Size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object whose fields pipectl does not know: chart values, inline Kubernetes objects.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

/// A single value: text, number or yes/no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

impl Scalar {
    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(value) => serde_json::Value::Bool(*value),
            Self::Number(value) => serde_json::Value::Number(value.clone()),
            Self::Text(value) => serde_json::Value::String(value.clone()),
        }
    }

    /// The value as a whole number, also when it is written as text.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Bool(_) => None,
            Self::Number(value) => value.as_u64(),
            Self::Text(value) => value.parse().ok(),
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl From<u64> for Scalar {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// What a container asks for and may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What is reserved for it.
    pub requests: ResourceAmounts,
    /// What it may use at most.
    pub limits: ResourceAmounts,
}

impl Resources {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Amounts of CPU and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceAmounts {
    /// Processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}
