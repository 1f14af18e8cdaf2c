//! An object as the watch reads it: straight into a JSON value, made smaller, with the few fields that kube needs.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::ApiResource};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

pub(super) use pipectl_stages::objects::ownership::FIELD_MANAGER;

/// A watched object.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// What kube reads: name, namespace, resource version.
    meta: ObjectMeta,
    /// The object.
    pub value: Value,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if !value["metadata"].is_object() {
            return Err(D::Error::custom("an object without metadata"));
        }
        slim(&mut value);
        let text = |field: &str| value["metadata"][field].as_str().map(str::to_owned);
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, value })
    }
}

/// Makes an object smaller. Of the managed fields only pipectl's are kept: the digest of the fields we own is taken from them, and the other
/// managers' entries are often half of an object's size.
pub(super) fn slim(object: &mut Value) {
    if let Some(entries) = object
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut)
    {
        entries.retain(|entry| entry["manager"] == FIELD_MANAGER);
    }
    // Helm's release records carry our labels too, and hold a whole chart with its values: up to a megabyte each that
    // nobody here reads, secrets among it.
    if object["type"] == "helm.sh/release.v1"
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("data");
    }
}

impl Resource for Item {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        dt.kind.as_str().into()
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        dt.group.as_str().into()
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        dt.version.as_str().into()
    }

    fn api_version(dt: &ApiResource) -> Cow<'_, str> {
        dt.api_version.as_str().into()
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        dt.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn release_records_are_kept_without_their_content() {
        let record = json!({"type": "helm.sh/release.v1", "metadata": {"name": "a"}, "data": {"release": "H4sI"}});
        let item: Item = serde_json::from_value(record).unwrap();
        assert!(item.value["data"].is_null());
        let other = json!({"type": "Opaque", "metadata": {"name": "a"}, "data": {"k": "dg=="}});
        let item: Item = serde_json::from_value(other).unwrap();
        assert_eq!(item.value["data"]["k"], "dg==");
    }

    #[test]
    fn only_our_own_managed_fields_are_kept() {
        let item: Item = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "n", "resourceVersion": "7", "managedFields": [
                {"manager": "kubelet", "fieldsV1": {"f:status": {}}},
                {"manager": "pipectl", "fieldsV1": {"f:spec": {}}}
            ]},
            "spec": {"x": 1}
        }))
        .unwrap();
        let kept = item.value["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0]["manager"], "pipectl");
        assert_eq!(item.meta().resource_version.as_deref(), Some("7"));
        assert!(serde_json::from_value::<Item>(json!({"x": 1})).is_err());
    }
}
