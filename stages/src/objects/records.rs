//! What a step remembers of the objects that it applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    owned_fields::owned_digest,
    ownership::{key, uid},
};
use crate::ports::objects::ObjectRef;

/// One applied object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where it is.
    pub at: ObjectRef,
    /// Its UID: another object of the same name is another object.
    pub uid: String,
    /// Digest of what was asked for.
    pub want: String,
    /// Digest of the fields that were ours in the last apply's answer.
    pub owned: String,
    /// Its `metadata.generation` after the last apply; 0 for kinds without one. What a watch shows below this is old.
    #[serde(default)]
    pub generation: i64,
    /// It was there before, without our labels, and is used as it is: never changed, never deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brought: bool,
}

impl Record {
    /// The record of an apply's answer.
    #[must_use]
    pub fn of_applied(answer: &Value, want: &str) -> Self {
        Self {
            at: ObjectRef::of(answer),
            uid: uid(answer).to_owned(),
            want: want.to_owned(),
            owned: owned_digest(answer),
            generation: answer["metadata"]["generation"].as_i64().unwrap_or(0),
            brought: false,
        }
    }

    /// The record of an object that is used as it is.
    #[must_use]
    pub fn of_brought(at: &ObjectRef, live: &Value) -> Self {
        Self {
            at: at.clone(),
            uid: uid(live).to_owned(),
            want: String::new(),
            owned: String::new(),
            generation: 0,
            brought: true,
        }
    }
}

/// All objects of a step, by [`key`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The objects.
    #[serde(default)]
    pub objects: BTreeMap<String, Record>,
}

impl Records {
    /// What a step's recorded outputs say; empty when there are none or they are of another shape.
    #[must_use]
    pub fn of(outputs: Option<&Value>) -> Self {
        outputs
            .and_then(|outputs| serde_json::from_value(outputs.clone()).ok())
            .unwrap_or_default()
    }

    /// The record of one object.
    #[must_use]
    pub fn get(&self, at: &ObjectRef) -> Option<&Record> {
        self.objects.get(&key(at))
    }

    /// Keeps a record.
    pub fn put(&mut self, record: Record) {
        self.objects.insert(key(&record.at), record);
    }

    /// As a step's outputs, beside other facts the step wants to keep.
    #[must_use]
    pub fn outputs(&self, other: Value) -> Value {
        let mut outputs = match other {
            Value::Object(map) => Value::Object(map),
            _ => json!({}),
        };
        outputs["objects"] = json!(self.objects);
        outputs
    }
}
