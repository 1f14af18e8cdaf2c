//! Writes that happen only when something changes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::resources::resource;

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused it, or could not be reached.
    #[error("{verb} {kind} {namespace}/{name}: {source}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Not an object with a kind and a name: a mistake of the stand-in.
    #[error("not a whole object: {0}")]
    Malformed(String),
}

impl WriteError {
    /// The API server's answer, where it gave one.
    #[must_use]
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            WriteError::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            WriteError::Malformed(_) => None,
        }
    }
}

type Key = (String, String, String);

/// Writes to the API server under one field manager, and remembers what it has written.
pub struct Writer {
    client: kube::Client,
    manager: &'static str,
    written: Mutex<HashMap<Key, String>>,
}

impl Writer {
    /// A writer that calls itself `manager`.
    #[must_use]
    pub fn new(client: kube::Client, manager: &'static str) -> Self {
        Writer {
            client,
            manager,
            written: Mutex::new(HashMap::new()),
        }
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// Forgets what was written to an object, so that the next write goes through: it was deleted or changed.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.written().retain(|(a, b, c), _| {
            !(a.strip_prefix("status ").unwrap_or(a) == kind && b == namespace && c == name)
        });
    }

    /// Forgets everything, as at the start: the next writes put right what others have changed.
    pub fn forget_all(&self) {
        self.written().clear();
    }

    /// Whether an object was applied and not forgotten since.
    #[must_use]
    pub fn wrote(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.written()
            .contains_key(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<Key, String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a whole object of one of Kubernetes' own kinds, unless it was applied so before.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn apply(&self, desired: &Value) -> Result<(), WriteError> {
        let kind = desired["kind"].as_str().unwrap_or_default();
        self.apply_as(&resource(kind), desired).await
    }

    /// As [`Writer::apply`], for any kind.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn apply_as(
        &self,
        resource: &ApiResource,
        desired: &Value,
    ) -> Result<(), WriteError> {
        let (namespace, name) = identity(desired)?;
        let key = (
            resource.kind.clone(),
            namespace.unwrap_or_default().to_owned(),
            name.to_owned(),
        );
        let digest = digest(desired);
        if self.written().get(&key) == Some(&digest) {
            return Ok(());
        }
        let parameters = PatchParams::apply(self.manager).force();
        self.api(resource, namespace)
            .patch(name, &parameters, &Patch::Apply(desired))
            .await
            .map_err(|source| failed("apply", &key, source))?;
        self.written().insert(key, digest);
        Ok(())
    }

    /// Creates an object unless one of its name is there; says whether it did.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn create(
        &self,
        resource: &ApiResource,
        desired: &Value,
    ) -> Result<bool, WriteError> {
        let (namespace, name) = identity(desired)?;
        let object: DynamicObject = serde_json::from_value(desired.clone())
            .map_err(|error| WriteError::Malformed(error.to_string()))?;
        let key = (
            resource.kind.clone(),
            namespace.unwrap_or_default().to_owned(),
            name.to_owned(),
        );
        match self
            .api(resource, namespace)
            .create(&self.create_parameters(), &object)
            .await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            Err(source) => Err(failed("create", &key, source)),
        }
    }

    fn create_parameters(&self) -> PostParams {
        PostParams {
            field_manager: Some(self.manager.to_owned()),
            ..PostParams::default()
        }
    }

    /// Merges `change` into an object; an object that is gone is no error.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn merge(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        change: &Value,
    ) -> Result<(), WriteError> {
        let parameters = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let key = (resource.kind.clone(), namespace.to_owned(), name.to_owned());
        match self
            .api(resource, Some(namespace))
            .patch(name, &parameters, &Patch::Merge(change))
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(failed("patch", &key, source)),
        }
    }

    /// Sets the status of an object, unless it is `status` already or was set so before.
    ///
    /// Conditions keep their time of transition while their status stays; fields that `status` lacks are removed.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn set_status(
        &self,
        resource: &ApiResource,
        current: &DynamicObject,
        mut status: Value,
    ) -> Result<(), WriteError> {
        let name = current.metadata.name.clone().unwrap_or_default();
        let namespace = current.metadata.namespace.clone().unwrap_or_default();
        let key = (
            format!("status {}", resource.kind),
            namespace.clone(),
            name.clone(),
        );
        let old = &current.data["status"];
        let uid = current.metadata.uid.clone().unwrap_or_default();
        // Times are not part of what is compared: they say when the rest changed.
        let digest = format!("{uid} {}", digest(&status));
        if self.written().get(&key) == Some(&digest) {
            return Ok(());
        }
        keep_transition_times(&mut status, old, &now());
        if &status == old {
            self.written().insert(key, digest);
            return Ok(());
        }
        let mut patch = status.clone();
        if let (Some(fields), Some(before)) = (patch.as_object_mut(), old.as_object()) {
            for gone in before.keys() {
                fields.entry(gone.clone()).or_insert(Value::Null);
            }
        }
        let parameters = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let result = self
            .api(resource, Some(&namespace))
            .patch_status(&name, &parameters, &Patch::Merge(json!({"status": patch})))
            .await;
        match result {
            Ok(_) => {
                self.written().insert(key, digest);
                Ok(())
            }
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
            Err(source) => Err(failed("patch the status of", &key, source)),
        }
    }

    /// Merges fields into the status of an object; one that is gone is no error.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn merge_status(
        &self,
        resource: &ApiResource,
        current: &DynamicObject,
        fields: Value,
    ) -> Result<(), WriteError> {
        let name = current.metadata.name.clone().unwrap_or_default();
        let namespace = current.metadata.namespace.clone().unwrap_or_default();
        let key = (resource.kind.clone(), namespace.clone(), name.clone());
        let parameters = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let patch = json!({"status": fields});
        match self
            .api(resource, Some(&namespace))
            .patch_status(&name, &parameters, &Patch::Merge(patch))
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
            Err(source) => Err(failed("patch the status of", &key, source)),
        }
    }

    /// Deletes exactly this object; one that is gone or made anew is no error.
    ///
    /// # Errors
    /// When the API server refuses it or cannot be reached.
    pub async fn delete(
        &self,
        resource: &ApiResource,
        object: &DynamicObject,
    ) -> Result<(), WriteError> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let namespace = object.metadata.namespace.clone();
        let key = (
            resource.kind.clone(),
            namespace.clone().unwrap_or_default(),
            name.clone(),
        );
        let parameters = DeleteParams::default().preconditions(Preconditions {
            uid: object.metadata.uid.clone(),
            resource_version: None,
        });
        self.forget(&key.0, &key.1, &key.2);
        match self
            .api(resource, namespace.as_deref())
            .delete(&name, &parameters)
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(())
            }
            Err(source) => Err(failed("delete", &key, source)),
        }
    }
}

fn failed(verb: &'static str, key: &Key, source: kube::Error) -> WriteError {
    WriteError::Api {
        verb,
        kind: key.0.clone(),
        namespace: key.1.clone(),
        name: key.2.clone(),
        source: Box::new(source),
    }
}

fn identity(object: &Value) -> Result<(Option<&str>, &str), WriteError> {
    let name = object["metadata"]["name"]
        .as_str()
        .ok_or_else(|| WriteError::Malformed(object.to_string()))?;
    Ok((object["metadata"]["namespace"].as_str(), name))
}

/// A short digest of a JSON value; the same content gives the same digest.
#[must_use]
pub fn digest(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time now, UTC, to the second, in RFC 3339.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Conditions whose type, status and reason stay keep their old time; the others get `time`.
fn keep_transition_times(status: &mut Value, old: &Value, time: &str) {
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    let before = old["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for condition in conditions {
        let same = before.iter().find(|earlier| {
            ["type", "status", "reason"]
                .iter()
                .all(|field| earlier[*field] == condition[*field])
        });
        let kept = same
            .and_then(|earlier| earlier["lastTransitionTime"].as_str())
            .unwrap_or(time);
        condition["lastTransitionTime"] = json!(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transition_times_stay_while_the_condition_stays() {
        let old = json!({"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "then"},
            {"type": "Warning", "status": "True", "reason": "A", "lastTransitionTime": "then"},
        ]});
        let mut new = json!({"conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Warning", "status": "True", "reason": "B"},
        ]});
        keep_transition_times(&mut new, &old, "now");
        assert_eq!(new["conditions"][0]["lastTransitionTime"], "then");
        assert_eq!(new["conditions"][1]["lastTransitionTime"], "now");
    }
}
