//! How often who called what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Calls of one action from one client since the counters were last reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct CallCount {
    /// First word of the client's user agent, e.g. `aws-cli/2.0`.
    pub agent: String,
    /// Signing name of the service, e.g. `ec2`.
    pub service: String,
    /// Action, e.g. `CreateVpc`.
    pub action: String,
    /// Whether such an action changes something.
    pub mutating: bool,
    /// How often it was called.
    pub calls: u64,
    /// How often it was answered with an error, planned or not.
    pub failed: u64,
}

/// The counters of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<(String, String, String), CallCount>>);

impl Counters {
    pub(crate) fn add(&self, agent: &str, service: &str, action: &str, mutating: bool, ok: bool) {
        let key = (agent.to_owned(), service.to_owned(), action.to_owned());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert_with(|| CallCount {
            agent: agent.to_owned(),
            service: service.to_owned(),
            action: action.to_owned(),
            mutating,
            ..CallCount::default()
        });
        count.calls += 1;
        count.failed += u64::from(!ok);
    }

    pub(crate) fn list(&self) -> Vec<CallCount> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
