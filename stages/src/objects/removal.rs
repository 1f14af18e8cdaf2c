//! Deleting what is ours.

use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::Value;

use super::{
    apply::check_cancelled,
    ownership::{finalizers, owned, terminating, uid},
    together::together,
};
use crate::{
    context::StepContext,
    error::{PortErrorKind, StepError},
    ports::objects::{Deletion, Kind, ObjectRef, Selection},
};

/// Something that is still there, and what holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// Where it is.
    pub at: ObjectRef,
    /// Its UID.
    pub uid: String,
    /// Whether it was asked to go.
    pub ending: bool,
    /// Its finalizers: who must let go of it.
    pub finalizers: Vec<String>,
}

impl Remaining {
    /// What remains of a live object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self {
            at: ObjectRef::of(object),
            uid: uid(object).to_owned(),
            ending: terminating(object),
            finalizers: finalizers(object),
        }
    }

    /// In words, e.g. `KafkaTopic kafka/t: finalizer strimzi.io/topic-operator`.
    #[must_use]
    pub fn words(&self) -> String {
        if self.ending && !self.finalizers.is_empty() {
            format!("{}: finalizer {}", self.at, self.finalizers.join(", "))
        } else if self.ending {
            format!("{}: ending", self.at)
        } else {
            self.at.to_string()
        }
    }
}

/// Lists a selection; a kind that is not served has nothing left.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn list(cx: &StepContext, selection: &Selection) -> Result<Vec<Arc<Value>>, StepError> {
    match cx.ports.objects.list(selection).await {
        Ok(objects) => Ok(objects),
        Err(error) if error.kind == PortErrorKind::NotServed => Ok(Vec::new()),
        Err(error) => Err(error.during("list", format!("{} objects", selection.kind.kind))),
    }
}

/// Everything of a kind that carries the environment's label.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn remaining(cx: &StepContext, kind: &Kind) -> Result<Vec<Arc<Value>>, StepError> {
    list(cx, &owned(kind, &cx.environment)).await
}

/// Asks for the deletion of all these objects, each only if it still has its UID. Answers how many were asked.
///
/// # Errors
/// The first refusal; the others were asked all the same.
pub async fn delete_all(cx: &StepContext, objects: &[Arc<Value>]) -> Result<u32, StepError> {
    check_cancelled(cx)?;
    let mut calls = Vec::new();
    for object in objects {
        if !terminating(object) {
            calls.push(delete_one(cx, object).boxed());
        }
    }
    let results = together(calls).await;
    let mut asked = 0;
    for result in results {
        asked += u32::from(result? == Deletion::Accepted);
    }
    Ok(asked)
}

async fn delete_one(cx: &StepContext, object: &Value) -> Result<Deletion, StepError> {
    let at = ObjectRef::of(object);
    match cx.ports.objects.delete(&at, Some(uid(object))).await {
        // Not there, or another one of that name by now: ours is gone.
        Err(error)
            if matches!(
                error.kind,
                PortErrorKind::NotFound | PortErrorKind::Conflict | PortErrorKind::NotServed
            ) =>
        {
            Ok(Deletion::Absent)
        }
        other => other.map_err(|error| error.during("delete", &at)),
    }
}
