//! The envelope of a custom resource: API version, kind, metadata, spec and status.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a spec type knows about the kind it belongs to.
///
/// The API *version* is not among it: which version a cluster serves follows from discovery, never from a constant.
pub trait ResourceSpec: Serialize + DeserializeOwned {
    /// The API group, for instance `kafka.strimzi.io`.
    const GROUP: &'static str;
    /// The kind, for instance `KafkaTopic`.
    const KIND: &'static str;
    /// The plural name in URLs, for instance `kafkatopics`.
    const PLURAL: &'static str;
    /// The type of the status subresource.
    type Status: Serialize + DeserializeOwned;
}

/// The metadata that a writer of custom resources sets; the API server owns the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name, unique for the kind in its namespace.
    pub name: String,
    /// Namespace; absent for cluster-scoped kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A custom resource as sent to, or read from, the API server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound(serialize = "S: ResourceSpec", deserialize = "S: ResourceSpec")
)]
pub struct Resource<S: ResourceSpec> {
    /// Group and version, `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name, namespace, labels and annotations.
    pub metadata: Metadata,
    /// The desired state.
    pub spec: S,
    /// The observed state, written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<S::Status>,
}

impl<S: ResourceSpec> Resource<S> {
    /// A resource of API version `version` (without its group, for instance `v1beta2`).
    pub fn new(version: &str, namespace: &str, name: &str, spec: S) -> Self {
        Resource {
            api_version: format!("{}/{version}", S::GROUP),
            kind: S::KIND.to_owned(),
            metadata: Metadata {
                name: name.to_owned(),
                namespace: Some(namespace.to_owned()),
                ..Metadata::default()
            },
            spec,
            status: None,
        }
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.metadata
            .labels
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.metadata
            .annotations
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// The resource as JSON.
    ///
    /// # Panics
    /// When a spec has a map whose keys are not strings; none of the types of this crate has one.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value
    where
        S: Serialize,
    {
        serde_json::to_value(self).expect("custom resources serialise to JSON")
    }
}
