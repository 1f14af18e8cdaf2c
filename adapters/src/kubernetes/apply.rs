//! Server-side apply, and what its answers leave unsaid.

use bytes::Bytes;
use http::Method;
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::objects::{ApplyOptions, Kind, ObjectApi, ObjectRef},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    adapter::{KubernetesAdapter, not_served, path_of},
    call::{self, Call},
    codes,
    discovery::Resource,
    errors::{self, Failure},
    item::{self, FIELD_MANAGER},
};

impl KubernetesAdapter {
    /// Applies in the version that is served. Discovery is read again, once, when the server does not know the kind.
    pub(super) async fn apply_object(
        &self,
        object: &Value,
        options: ApplyOptions,
    ) -> Result<Value, PortError> {
        let kind = Kind::of(object);
        let mut resource = self.resolve(&kind).await?;
        let asked = Instant::now();
        let mut patch = patch_of(&resource, object, options)?;
        let mut answer = self
            .try_apply(&patch.clone().unless_unexplained(), options)
            .await;
        if let Err(failure) = &answer
            && failure.is(PortErrorKind::NotServed)
        {
            resource = self
                .discovery
                .resolve_anew(&kind, asked)
                .await?
                .ok_or_else(|| not_served(&kind))?;
            patch = patch_of(&resource, object, options)?;
            answer = self
                .try_apply(&patch.clone().unless_unexplained(), options)
                .await;
        }
        if let Err(failure) = &answer
            && failure.unexplained
        {
            if let Some(explained) = self.explain(&resource, object, &patch).await {
                return Err(explained.error);
            }
            if !options.dry_run {
                self.renew_managed_fields(&resource, object).await?;
            }
            // The object is well: so it is the server's own trouble, which may pass.
            answer = self.try_apply(&patch, options).await;
        }
        let mut kept: Value = serde_json::from_slice(&answer?).map_err(|source| {
            errors::error(
                PortErrorKind::Other,
                codes::ANSWER_UNCLEAR,
                source.to_string(),
            )
        })?;
        item::slim(&mut kept);
        if !options.dry_run {
            self.watches.note_applied(&resource, &kept);
        }
        Ok(kept)
    }

    /// A dry run changes nothing, so no fence is asked.
    async fn try_apply(&self, patch: &Call, options: ApplyOptions) -> Result<Bytes, Failure> {
        if options.dry_run {
            self.transport.send(patch).await
        } else {
            self.change(patch).await
        }
    }

    /// Server-side apply answers a field that the schema does not know with a 500 without a reason, like any Go error
    /// (k8s.io/apiserver, `structuredmerge.go`: "failed to create typed patch object"). A dry-run create of the same
    /// object is refused with a typed reason in that case, before anything is looked up. `None`: nothing is wrong with
    /// the object.
    async fn explain(&self, resource: &Resource, object: &Value, patch: &Call) -> Option<Failure> {
        let namespace = object["metadata"]["namespace"].as_str();
        let (_, body) = patch.content.clone()?;
        let probe = Call::with(
            Method::POST,
            format!(
                "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&dryRun=All",
                resource.collection(namespace)
            ),
            call::JSON,
            body,
        );
        let answer = self.transport.send(&probe).await;
        answer.err().filter(|why| why.is(PortErrorKind::Invalid))
    }

    /// An object that was applied in a version that is no longer served cannot be applied any more: the API server
    /// fails to convert its managed fields, again with a 500 without a reason (kubernetes/kubernetes, apiextensions
    /// converter, Kubernetes 1.35). The entries are moved to the version that is served, as long as nobody else writes
    /// the object meanwhile.
    async fn renew_managed_fields(
        &self,
        resource: &Resource,
        object: &Value,
    ) -> Result<(), PortError> {
        let path = path_of(resource, &ObjectRef::of(object))?;
        // What cannot be read now leaves the apply's own failure as the answer.
        let Ok(current) = self
            .transport
            .json::<Value>(&Call::get(path.as_str()))
            .await
        else {
            return Ok(());
        };
        let served = self.served(&resource.group, &resource.kind).await?;
        let versions = served.map(|served| served.versions).unwrap_or_default();
        let Some(patch) = managed_fields_patch(&current, resource, &versions) else {
            return Ok(());
        };
        let call = Call::with(
            Method::PATCH,
            path,
            call::JSON_PATCH,
            Bytes::from(patch.to_string()),
        );
        tracing::debug!(
            resource = resource.plural,
            "managed fields of a version that is gone are renewed"
        );
        self.change(&call).await?;
        Ok(())
    }
}

/// The object as an apply, in the version that is served, which may be another one than the object names.
fn patch_of(resource: &Resource, object: &Value, options: ApplyOptions) -> Result<Call, PortError> {
    let mut body = object.clone();
    body["apiVersion"] = resource.api_version().into();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if !resource.namespaced {
            metadata.remove("namespace");
        }
    }
    let path = path_of(resource, &ObjectRef::of(object))?;
    let dry_run = if options.dry_run { "&dryRun=All" } else { "" };
    let force = if options.force { "&force=true" } else { "" };
    Ok(Call::with(
        Method::PATCH,
        format!("{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry_run}{force}"),
        call::APPLY,
        Bytes::from(body.to_string()),
    ))
}

/// `None` when every entry is in a version that is served.
fn managed_fields_patch(
    current: &Value,
    resource: &Resource,
    versions: &[String],
) -> Option<Value> {
    let served: Vec<String> = versions
        .iter()
        .map(|version| Kind::new(&resource.group, version, &resource.kind).api_version())
        .collect();
    let entries = current["metadata"]["managedFields"].as_array()?;
    let is_served = |entry: &Value| {
        served
            .iter()
            .any(|known| entry["apiVersion"] == known.as_str())
    };
    if entries.iter().all(is_served) {
        return None;
    }
    let same_owner = |one: &Value, other: &Value| {
        ["manager", "operation", "subresource"]
            .iter()
            .all(|field| one[field] == other[field])
    };
    let now = resource.api_version();
    let mut renewed: Vec<Value> = entries
        .iter()
        .filter(|entry| is_served(entry))
        .cloned()
        .collect();
    for entry in entries.iter().filter(|entry| !is_served(entry)) {
        let taken = renewed
            .iter()
            .any(|known| known["apiVersion"] == now.as_str() && same_owner(known, entry));
        if !taken {
            let mut entry = entry.clone();
            entry["apiVersion"] = now.as_str().into();
            renewed.push(entry);
        }
    }
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": current["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": renewed},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> Resource {
        Resource {
            group: "g.io".to_owned(),
            version: "v2".to_owned(),
            kind: "Thing".to_owned(),
            plural: "things".to_owned(),
            namespaced: true,
            verbs: Vec::new(),
        }
    }

    #[test]
    fn entries_of_versions_that_are_gone_are_moved() {
        let entry = |manager: &str, version: &str| json!({"manager": manager, "operation": "Apply", "apiVersion": version});
        let current = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            entry("pipectl", "g.io/v1"), entry("other", "g.io/v1"), entry("other", "g.io/v2")
        ]}});
        let patch = managed_fields_patch(&current, &resource(), &["v2".to_owned()]).unwrap();
        assert_eq!(patch[0]["value"], "7");
        assert_eq!(
            patch[1]["value"],
            json!([entry("other", "g.io/v2"), entry("pipectl", "g.io/v2")])
        );
        let both = ["v2".to_owned(), "v1".to_owned()];
        assert_eq!(managed_fields_patch(&current, &resource(), &both), None);
    }
}
