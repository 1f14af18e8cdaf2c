//! What people are told of the lease in the account: who works on an environment, and why a run may not.

use std::time::Duration;

use jiff::Timestamp;
use pipectl_stages::{
    PortError, PortErrorKind, StepError,
    ports::anchors::{AnchorLease, Sighting},
};
use pipectl_state::{Environment, LeaseRecord, Liveness};
use serde::Serialize;

/// The refusal of a run while somebody else holds the environment for at most `left`.
#[must_use]
pub fn held(environment: &str, by: Option<&AnchorLease>, left: Duration) -> StepError {
    let until = moment(later(left));
    let cause = match by {
        Some(lease) => format!(
            "{} is changing it since {}; its lease counts until {until}, and longer as long as it goes on",
            lease.holder,
            moment(lease.since)
        ),
        None => format!(
            "several runs came in the same moment, and one of them has it until {until} at least"
        ),
    };
    let what = format!("environment {environment}");
    problem("STA020", "work on", &what, cause).with_hint(format!(
        "wait for the other run to end, or stop it where it runs; if it died, the environment is free at {until}"
    ))
}

/// An error of the lease's with its code's own hint.
pub(super) fn problem(code: &str, doing: &str, what: &str, cause: String) -> StepError {
    let error = StepError::new(code, doing, what, cause);
    match pipectl_state::explain(code) {
        Some(entry) => error.with_hint(entry.hint),
        None => error,
    }
}

/// What the step hears whose effect was refused.
pub(super) fn refused(error: &StepError) -> PortError {
    let refused = PortError::new(PortErrorKind::Cancelled, &error.code, error.cause.clone());
    match &error.hint {
        Some(hint) => refused.with_hint(hint.clone()),
        None => refused,
    }
}

/// Who works on an environment, for people and programs that look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AtWork {
    /// User, host, process, job.
    pub holder: String,
    /// Since when.
    pub since: String,
    /// Until when its lease counts, unless it is prolonged; where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl AtWork {
    /// As the record in the account says it; `None` where nobody does any more.
    #[must_use]
    pub fn of(seen: &Sighting) -> Option<Self> {
        let lease = seen.anchor.lease.as_ref()?;
        let left = lease.runs_out_after().saturating_sub(seen.silent);
        (!left.is_zero()).then(|| Self {
            holder: lease.holder.clone(),
            since: moment(lease.since),
            until: Some(moment(later(left))),
        })
    }

    /// As the lease in the environment's directory says it; `None` where nobody does, as far as this machine can tell: a process
    /// on another one cannot be looked at, and counts.
    #[must_use]
    pub fn here(environment: &Environment) -> Option<Self> {
        let lease = LeaseRecord::read(environment.directory()).ok().flatten()?;
        let alive = lease.at_work()? != Liveness::Dead;
        alive.then(|| Self {
            holder: lease.holder.to_string(),
            since: moment(lease.since),
            until: None,
        })
    }

    /// In one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let until = self.until.as_ref();
        let until = until.map_or_else(String::new, |until| format!(", until {until} at least"));
        format!("{} since {}{until}", self.holder, self.since)
    }
}

/// So much later than now.
pub(super) fn later(by: Duration) -> Timestamp {
    let now = Timestamp::now();
    now.saturating_add(by).unwrap_or(now)
}

/// A moment for a person.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
