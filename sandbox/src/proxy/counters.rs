//! How often whom asked for what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::classify::Subject;

/// Requests of one kind from one client since the counters were last reset.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Count {
    /// First word of the client's user agent, e.g. `pipectl/0.1.0`.
    pub agent: String,
    /// Kubernetes verb (get, list, watch, create, update, patch, apply, delete, deletecollection); the HTTP method in lower
    /// case for what is no resource.
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Plural resource name, `resource/subresource`, or the path of what is no resource.
    pub resource: String,
    /// How often.
    pub count: u64,
}

impl Count {
    /// Whether requests of this kind change nothing: reads, watches, and the reviews that only ask whether one may.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "get" | "list" | "watch" | "head" | "options"
        ) || (self.group == "authorization.k8s.io" && self.verb == "create")
    }
}

type Key = (String, String, String, String);

/// The counters of one proxy.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: Mutex<BTreeMap<Key, u64>>,
}

impl Counters {
    pub(crate) fn add(&self, agent: &str, subject: &Subject) {
        let key = (
            agent.to_owned(),
            subject.verb.clone(),
            subject.group.clone(),
            subject.resource.clone(),
        );
        *self
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default() += 1;
    }

    pub(crate) fn list(&self) -> Vec<Count> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((agent, verb, group, resource), count)| Count {
                agent: agent.clone(),
                verb: verb.clone(),
                group: group.clone(),
                resource: resource.clone(),
                count: *count,
            })
            .collect()
    }

    pub(crate) fn reset(&self) {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
