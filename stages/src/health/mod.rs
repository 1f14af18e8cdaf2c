//! Whether live objects work: pure functions on JSON, one file a family of kinds.
//!
//! The words are those of kstatus (Current, InProgress, Failed), with two additions: what is missing is said in words
//! and counts, and what cannot become ready any more fails early, with evidence.

mod builtin;
mod conditions;
pub mod pods;
mod spark;
mod strimzi;

use serde_json::Value;

use crate::{error::StepError, ports::objects::ObjectRef, step::Readiness};

pub use conditions::{Condition, condition};
pub use spark::{executors_running, state as spark_state};
pub use strimzi::listener_addresses;

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works; in a few words.
    Ready(String),
    /// Not yet: what is missing.
    InProgress {
        /// In words.
        words: String,
        /// (done, total), where there are counts.
        count: Option<(u32, u32)>,
    },
    /// It cannot become ready any more.
    Failed(Trouble),
}

/// Why something cannot become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Stable code, see [`crate::codes`].
    pub code: &'static str,
    /// Why, in the other side's words where there are any.
    pub cause: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// Lines of evidence.
    pub evidence: Vec<String>,
}

impl Health {
    /// Not yet, without counts.
    pub fn waiting(words: impl Into<String>) -> Self {
        Self::InProgress {
            words: words.into(),
            count: None,
        }
    }

    /// Not yet, so many of so many.
    pub fn counting(words: impl Into<String>, done: u32, total: u32) -> Self {
        Self::InProgress {
            words: words.into(),
            count: Some((done, total)),
        }
    }

    /// Broken for good.
    pub fn failed(code: &'static str, cause: impl Into<String>) -> Self {
        Self::Failed(Trouble {
            code,
            cause: cause.into(),
            hint: None,
            evidence: Vec::new(),
        })
    }

    /// Whether it works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// As a step's readiness.
    #[must_use]
    pub fn readiness(self, at: &ObjectRef) -> Readiness {
        match self {
            Self::Ready(words) => Readiness::Ready(words),
            Self::InProgress { words, count } => Readiness::InProgress {
                waiting_for: words,
                count,
            },
            Self::Failed(trouble) => Readiness::Failed(Box::new(trouble.during("wait for", at))),
        }
    }
}

impl Trouble {
    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As a step's error.
    #[must_use]
    pub fn during(self, doing: &str, at: &ObjectRef) -> StepError {
        let mut error =
            StepError::new(self.code, doing, at, self.cause).with_evidence(self.evidence);
        error.hint = self.hint;
        error
    }
}

/// How a live object is, by its kind; kinds that nothing here knows are judged by their conditions.
#[must_use]
pub fn judge(object: &Value) -> Health {
    let at = ObjectRef::of(object);
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Health::waiting("being deleted");
    }
    match (at.kind.group.as_str(), at.kind.kind.as_str()) {
        ("", "Namespace") => builtin::namespace(object),
        ("", "PersistentVolumeClaim") => builtin::claim(object),
        ("", "Service") => builtin::service(object),
        ("", "Pod") => pods::judge(object, jiff::Timestamp::now(), &pods::Patience::default()),
        ("apps", "Deployment") => builtin::deployment(object),
        ("apps", "StatefulSet") => builtin::stateful_set(object),
        ("apps", "DaemonSet") => builtin::daemon_set(object),
        ("batch", "Job") => builtin::job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => builtin::definition(object),
        ("kafka.strimzi.io", "KafkaNodePool") => strimzi::node_pool(object),
        ("kafka.strimzi.io", _) => strimzi::with_ready_condition(object),
        ("sparkoperator.k8s.io", "SparkApplication") => spark::application(object),
        _ => conditions::generic(object),
    }
}
