//! Namespaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Kubernetes namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Namespace {
    /// The namespace's name.
    pub name: String,
    /// Labels; only for namespaces that pipectl creates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who creates the namespace: `pipectl`, which deletes it too, or `user`, whose namespace must exist and is never deleted.
    #[serde(default)]
    pub created_by: CreatedBy,
}

/// Who creates a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CreatedBy {
    /// pipectl creates and deletes it.
    #[default]
    Pipectl,
    /// The user brought it: it must exist, and pipectl never deletes it.
    User,
}

/// Whether Kubernetes itself makes this namespace in every cluster, so that it can only be brought.
pub fn is_system_namespace(name: &str) -> bool {
    matches!(
        name,
        "default" | "kube-system" | "kube-public" | "kube-node-lease"
    )
}
