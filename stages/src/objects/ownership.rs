//! Whose an object is. Ownership is written on the object itself, so that a removal needs no memory.

use serde_json::{Value, json};

use crate::{
    context::Environment,
    ports::objects::{Kind, ObjectRef, Selection},
    step::StepId,
};

/// Label with the environment's name.
pub const ENVIRONMENT_LABEL: &str = "pipectl.dev/environment";
/// Label with the environment's UID: the one that decides.
pub const ENVIRONMENT_UID_LABEL: &str = "pipectl.dev/environment-uid";
/// Annotation with the step that applied the object.
pub const STEP_ANNOTATION: &str = "pipectl.dev/step";
/// Annotation with the run that made an object anew.
pub const RUN_ANNOTATION: &str = "pipectl.dev/run";
/// The field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "pipectl";

/// Whose an object is, as its labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This environment's.
    Ours,
    /// It carries no environment's label: somebody made it without pipectl.
    Unmarked,
    /// Another environment's.
    Other {
        /// That environment's name.
        name: String,
        /// That environment's UID.
        uid: String,
    },
}

impl Owner {
    /// In words, for an error.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Ours => "this environment".to_owned(),
            Self::Unmarked => "it exists already and carries no label of pipectl's".to_owned(),
            Self::Other { name, uid } => format!("it belongs to environment {name} ({uid})"),
        }
    }
}

/// Whose `object` is, seen from `environment`.
#[must_use]
pub fn owner(object: &Value, environment: &Environment) -> Owner {
    let labels = &object["metadata"]["labels"];
    match labels[ENVIRONMENT_UID_LABEL].as_str() {
        Some(uid) if uid == environment.uid => Owner::Ours,
        Some(uid) => Owner::Other {
            name: labels[ENVIRONMENT_LABEL].as_str().unwrap_or("?").to_owned(),
            uid: uid.to_owned(),
        },
        None => Owner::Unmarked,
    }
}

/// Puts the environment's labels and the step's annotation on an object.
pub fn mark(object: &mut Value, environment: &Environment, step: &StepId) {
    let metadata = &mut object["metadata"];
    if !metadata["labels"].is_object() {
        metadata["labels"] = json!({});
    }
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["labels"][ENVIRONMENT_LABEL] = json!(environment.name);
    metadata["labels"][ENVIRONMENT_UID_LABEL] = json!(environment.uid);
    metadata["annotations"][STEP_ANNOTATION] = json!(step.as_str());
}

/// The step that applied an object, as its annotation says.
#[must_use]
pub fn step_of(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][STEP_ANNOTATION].as_str()
}

/// Label selector of everything that is the environment's.
#[must_use]
pub fn selector(environment: &Environment) -> String {
    format!("{ENVIRONMENT_UID_LABEL}={}", environment.uid)
}

/// Everything of `kind` that is the environment's, over all namespaces. Always this selection, so that every step
/// shares one watch a kind.
#[must_use]
pub fn owned(kind: &Kind, environment: &Environment) -> Selection {
    Selection {
        kind: Kind::new(&kind.group, "", &kind.kind),
        namespace: None,
        labels: Some(selector(environment)),
    }
}

/// Key of an object in records: without the version, which follows from discovery and may change under an object.
#[must_use]
pub fn key(at: &ObjectRef) -> String {
    let mut key = at.kind.kind.clone();
    if !at.kind.group.is_empty() {
        key.push('.');
        key.push_str(&at.kind.group);
    }
    key.push(' ');
    if let Some(namespace) = &at.namespace {
        key.push_str(namespace);
        key.push('/');
    }
    key.push_str(&at.name);
    key
}

/// Whether an object is being deleted.
#[must_use]
pub fn terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// An object's UID; empty when it has none.
#[must_use]
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// An object's finalizers.
#[must_use]
pub fn finalizers(object: &Value) -> Vec<String> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            name: "demo".to_owned(),
            uid: "uid-1".to_owned(),
        }
    }

    #[test]
    fn a_marked_object_is_ours_and_keeps_its_own_labels() {
        let mut object = json!({"metadata": {"name": "a", "labels": {"app": "x"}}});
        assert_eq!(owner(&object, &environment()), Owner::Unmarked);
        mark(&mut object, &environment(), &StepId::new("kafka", "topics"));
        assert_eq!(owner(&object, &environment()), Owner::Ours);
        assert_eq!(object["metadata"]["labels"]["app"], "x");
        assert_eq!(step_of(&object), Some("kafka/topics"));
    }

    #[test]
    fn another_uid_of_the_same_name_is_another_environment() {
        let mut object = json!({"metadata": {"name": "a"}});
        let other = Environment {
            name: "demo".to_owned(),
            uid: "uid-2".to_owned(),
        };
        mark(&mut object, &other, &StepId::new("kafka", "topics"));
        assert_eq!(
            owner(&object, &environment()),
            Owner::Other {
                name: "demo".to_owned(),
                uid: "uid-2".to_owned()
            }
        );
    }

    #[test]
    fn keys_do_not_depend_on_the_api_version() {
        let at = |version| ObjectRef {
            kind: Kind::new("kafka.strimzi.io", version, "Kafka"),
            namespace: Some("kafka".to_owned()),
            name: "c".to_owned(),
        };
        assert_eq!(key(&at("v1")), "Kafka.kafka.strimzi.io kafka/c");
        assert_eq!(key(&at("v1")), key(&at("v1beta2")));
    }
}
