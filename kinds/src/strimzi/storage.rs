//! Storage of Kafka nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::{open_objects, string_map};

/// How a node pool keeps its data. The custom resource has one flat object for all three kinds of storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The kind of storage.
    #[serde(rename = "type")]
    pub kind: StorageType,
    /// Size of the volume, for persistent claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Storage class, for persistent claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether claims are deleted with the cluster. They survive by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_claim: Option<bool>,
    /// Number of the volume, inside JBOD storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub id: Option<i32>,
    /// Whether the cluster's metadata log lives on this volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kraft_metadata: Option<KraftMetadata>,
    /// Storage classes for single brokers (not in v1).
    #[schemars(schema_with = "open_objects")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Value>,
    /// Labels that a volume must have.
    #[schemars(schema_with = "string_map")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Size limit, for ephemeral storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"))]
    pub size_limit: Option<String>,
    /// Volume attributes class (only in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_attributes_class: Option<String>,
    /// The volumes of JBOD storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
}

/// The kinds of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StorageType {
    /// In the pod; lost with it.
    Ephemeral,
    /// One persistent volume claim a node.
    PersistentClaim,
    /// Several volumes a node.
    Jbod,
}

/// One volume of JBOD storage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The kind of storage.
    #[serde(rename = "type")]
    pub kind: VolumeType,
    /// Number of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub id: Option<i32>,
    /// Size, for persistent claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Storage class, for persistent claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether claims are deleted with the cluster. They survive by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_claim: Option<bool>,
    /// Whether the cluster's metadata log lives on this volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kraft_metadata: Option<KraftMetadata>,
    /// Storage classes for single brokers (not in v1).
    #[schemars(schema_with = "open_objects")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Value>,
    /// Labels that a volume must have.
    #[schemars(schema_with = "string_map")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Size limit, for ephemeral storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"))]
    pub size_limit: Option<String>,
    /// Volume attributes class (only in v1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_attributes_class: Option<String>,
}

/// The kinds of a single volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeType {
    /// In the pod; lost with it.
    Ephemeral,
    /// A persistent volume claim.
    PersistentClaim,
}

/// Where the cluster's metadata log lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KraftMetadata {
    /// On the volume that shares it with data.
    Shared,
}

impl Storage {
    fn of(kind: StorageType) -> Self {
        Storage {
            kind,
            size: None,
            class: None,
            delete_claim: None,
            id: None,
            kraft_metadata: None,
            overrides: Vec::new(),
            selector: BTreeMap::new(),
            size_limit: None,
            volume_attributes_class: None,
            volumes: Vec::new(),
        }
    }

    /// Storage that is lost with the pod.
    #[must_use]
    pub fn ephemeral() -> Self {
        Storage::of(StorageType::Ephemeral)
    }

    /// One persistent volume claim of `size` a node.
    #[must_use]
    pub fn persistent(size: &str) -> Self {
        Storage {
            size: Some(size.to_owned()),
            ..Storage::of(StorageType::PersistentClaim)
        }
    }

    /// Several volumes a node.
    #[must_use]
    pub fn jbod(volumes: Vec<Volume>) -> Self {
        Storage {
            volumes,
            ..Storage::of(StorageType::Jbod)
        }
    }

    /// Sets whether the claims of this storage (or of its volumes) are deleted with the cluster.
    #[must_use]
    pub fn delete_claim(mut self, delete: bool) -> Self {
        match self.kind {
            StorageType::Jbod => {
                for volume in &mut self.volumes {
                    volume.delete_claim = Some(delete);
                }
            }
            StorageType::PersistentClaim | StorageType::Ephemeral => {
                self.delete_claim = Some(delete);
            }
        }
        self
    }
}

impl Volume {
    /// Volume number `id` on a persistent volume claim of `size`.
    #[must_use]
    pub fn persistent(id: i32, size: &str) -> Self {
        Volume {
            kind: VolumeType::PersistentClaim,
            id: Some(id),
            size: Some(size.to_owned()),
            class: None,
            delete_claim: None,
            kraft_metadata: None,
            overrides: Vec::new(),
            selector: BTreeMap::new(),
            size_limit: None,
            volume_attributes_class: None,
        }
    }
}
