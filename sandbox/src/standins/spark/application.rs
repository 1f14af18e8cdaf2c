//! A SparkApplication as read from the API server.

use kube::core::{ApiResource, DynamicObject};
use pipectl_kinds::spark::{GROUP, SparkApplicationSpec, SparkApplicationStatus, VERSION};
use serde_json::Value;

use super::super::common::resources::custom;

/// The kind, for the dynamic client.
pub(super) fn resource() -> ApiResource {
    custom(GROUP, VERSION, "SparkApplication", "sparkapplications")
}

/// An application with its parsed parts.
#[derive(Clone, Debug)]
pub(super) struct Application {
    pub(super) object: DynamicObject,
    pub(super) spec: SparkApplicationSpec,
    pub(super) status: SparkApplicationStatus,
}

impl Application {
    /// Parses an object. None where its spec is none: such an object was stored under another schema.
    pub(super) fn read(object: DynamicObject) -> Option<Self> {
        let spec = serde_json::from_value(object.data.get("spec")?.clone()).ok()?;
        let status = match object.data.get("status") {
            Some(status) if !status.is_null() => serde_json::from_value(status.clone()).ok()?,
            _ => SparkApplicationStatus::default(),
        };
        Some(Self {
            object,
            spec,
            status,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.object
            .metadata
            .namespace
            .as_deref()
            .unwrap_or_default()
    }

    pub(super) fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The owner reference that the operator puts on the driver's pod and the web UI's service.
    pub(super) fn owner_reference(&self) -> Value {
        super::super::common::owner_reference(
            &format!("{GROUP}/{VERSION}"),
            "SparkApplication",
            self.name(),
            self.uid(),
            true,
            true,
        )
    }
}
