//! Reading objects, and the references between them.

use kube::core::DynamicObject;
use serde_json::{Value, json};

/// Whether the object is being deleted.
#[must_use]
pub fn is_going(object: &DynamicObject) -> bool {
    object.metadata.deletion_timestamp.is_some()
}

/// Whether the pod's condition `Ready` is true and nobody deletes it.
#[must_use]
pub fn is_ready_pod(pod: &DynamicObject) -> bool {
    !is_going(pod) && condition(pod, "Ready") == Some("True")
}

/// The status of a condition.
#[must_use]
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a str> {
    object.data["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
        .and_then(|condition| condition["status"].as_str())
}

/// The value of a label.
#[must_use]
pub fn label<'a>(object: &'a DynamicObject, key: &str) -> Option<&'a str> {
    object
        .metadata
        .labels
        .as_ref()?
        .get(key)
        .map(String::as_str)
}

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(object: &'a DynamicObject, key: &str) -> Option<&'a str> {
    object
        .metadata
        .annotations
        .as_ref()?
        .get(key)
        .map(String::as_str)
}

/// A reference to an owner, for `metadata.ownerReferences`.
#[must_use]
pub fn owner_reference(
    api_version: &str,
    kind: &str,
    name: &str,
    uid: &str,
    controller: bool,
    block_deletion: bool,
) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": controller,
        "blockOwnerDeletion": block_deletion,
    })
}
