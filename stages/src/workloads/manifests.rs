//! Objects that the user wrote, made ready to be applied: namespaces filled in, images redirected, Secrets encoded.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{Loaded, ManifestObject, Mirrors};
use serde_json::{Value, json};

use crate::{
    blocks::{Wants, values},
    context::StepContext,
    error::StepError,
    ports::objects::Kind,
};

/// The objects of a manifest.
pub struct Manifests {
    objects: Vec<Value>,
    namespace: String,
    mirrors: Mirrors,
}

impl Manifests {
    /// These objects, with the namespace for those that name none.
    #[must_use]
    pub fn new(loaded: &Arc<Loaded>, namespace: &str, objects: &[ManifestObject]) -> Self {
        Self {
            objects: objects.iter().map(ManifestObject::to_value).collect(),
            namespace: namespace.to_owned(),
            mirrors: loaded.pipeline.spec.mirrors.clone(),
        }
    }

    /// The objects as they are applied. `scopes` answers whether a kind is namespaced, where it is known.
    #[must_use]
    pub fn render(&self, scopes: &dyn Fn(&Kind) -> Option<bool>) -> Vec<Value> {
        let defined = defined_scopes(&self.objects);
        let namespaced = |kind: &Kind| {
            defined
                .get(&(kind.group.clone(), kind.kind.clone()))
                .copied()
                .or_else(|| builtin_scope(kind))
                .or_else(|| scopes(kind))
                .unwrap_or(true)
        };
        self.objects
            .iter()
            .cloned()
            .map(|mut object| {
                if object["metadata"]["namespace"].is_null() && namespaced(&Kind::of(&object)) {
                    object["metadata"]["namespace"] = json!(self.namespace);
                }
                if let Some(map) = object.as_object_mut() {
                    map.shift_remove("status");
                }
                values::encode_string_data(&mut object);
                values::mirror_images(&mut object, &self.mirrors);
                object
            })
            .collect()
    }
}

/// The scopes of kinds that the manifest itself defines.
fn defined_scopes(objects: &[Value]) -> BTreeMap<(String, String), bool> {
    objects
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .filter_map(|definition| {
            let spec = &definition["spec"];
            let group = spec["group"].as_str()?.to_owned();
            let kind = spec["names"]["kind"].as_str()?.to_owned();
            Some(((group, kind), spec["scope"] == "Namespaced"))
        })
        .collect()
}

/// Whether a kind of Kubernetes' own is namespaced (API reference); `None` for other groups.
#[must_use]
pub fn builtin_scope(kind: &Kind) -> Option<bool> {
    let wide = match kind.group.as_str() {
        "" => matches!(
            kind.kind.as_str(),
            "Namespace" | "Node" | "PersistentVolume"
        ),
        "apps"
        | "batch"
        | "autoscaling"
        | "policy"
        | "discovery.k8s.io"
        | "coordination.k8s.io" => false,
        "networking.k8s.io" => matches!(
            kind.kind.as_str(),
            "IngressClass" | "IPAddress" | "ServiceCIDR"
        ),
        "rbac.authorization.k8s.io" => kind.kind.starts_with("Cluster"),
        "storage.k8s.io" => kind.kind != "CSIStorageCapacity",
        "apiextensions.k8s.io"
        | "apiregistration.k8s.io"
        | "admissionregistration.k8s.io"
        | "scheduling.k8s.io"
        | "node.k8s.io" => true,
        _ => return None,
    };
    Some(!wide)
}

#[async_trait]
impl Wants for Manifests {
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError> {
        let mut discovered = BTreeMap::new();
        for object in &self.objects {
            let kind = Kind::of(object);
            if builtin_scope(&kind).is_some() || discovered.contains_key(&kind) {
                continue;
            }
            let served = cx.ports.objects.served(&kind.group, &kind.kind).await;
            let served =
                served.map_err(|error| error.during("discover", format!("kind {}", kind.kind)))?;
            discovered.insert(kind, served.map(|served| served.namespaced));
        }
        Ok(self.render(&|kind| discovered.get(kind).copied().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests(objects: Vec<Value>) -> Manifests {
        Manifests {
            objects,
            namespace: "was".to_owned(),
            mirrors: Mirrors::default(),
        }
    }

    #[test]
    fn namespaces_are_filled_in_where_kinds_have_them() {
        let rendered = manifests(vec![
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "namespace": "other"}}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "c"}}),
            json!({"apiVersion": "example.org/v1", "kind": "Wide", "metadata": {"name": "d"}}),
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "e"},
                "spec": {"group": "own.org", "scope": "Cluster", "names": {"kind": "Own"}}}),
            json!({"apiVersion": "own.org/v1", "kind": "Own", "metadata": {"name": "f"}, "status": {}}),
        ])
        .render(&|kind| (kind.group == "example.org").then_some(false));
        let namespaces: Vec<Option<&str>> = rendered
            .iter()
            .map(|object| object["metadata"]["namespace"].as_str())
            .collect();
        assert_eq!(
            namespaces,
            [Some("was"), Some("other"), None, None, None, None]
        );
        assert!(rendered[5].get("status").is_none());
    }
}
