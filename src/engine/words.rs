//! The engine's own errors, each with its code.

use std::time::Duration;

use pipectl_stages::{Retry, StepError, StepId};
use pipectl_state::{LeaseError, StateError};

use super::{event::Verb, graph::Task};

/// A time span for a person: `13s`, `2m 04s`, `1h 02m`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

fn lastly(last: Option<String>) -> String {
    last.map_or_else(
        || "it never said what for".to_owned(),
        |last| format!("last: {last}"),
    )
}

/// ENG001: observe and ensure, or the asking for a removal, took longer than they may.
pub(super) fn took_too_long(
    task: &Task,
    title: &str,
    bound: Duration,
    last: Option<String>,
) -> StepError {
    let doing = match task {
        Task::Up(_) => "set up",
        Task::Down(_) => "begin to remove",
    };
    let cause = format!("not done after {}; {}", span(bound), lastly(last));
    let mut error = StepError::new("ENG001", doing, title, cause)
        .with_retry(Retry::Soon)
        .with_hint("look at what it waited for last, then run the same command again: it goes on from here");
    error.left_behind = vec![title.to_owned()];
    error
}

/// ENG002: not ready, or not gone, in time.
pub(super) fn not_ready_in_time(
    task: &Task,
    title: &str,
    bound: Duration,
    last: Option<String>,
) -> StepError {
    let (doing, what) = match task {
        Task::Up(_) => ("wait for", "not ready"),
        Task::Down(_) => ("wait for the removal of", "not gone"),
    };
    let cause = format!("{what} after {}; {}", span(bound), lastly(last));
    StepError::new("ENG002", doing, title, cause)
        .with_retry(Retry::Soon)
        .with_hint("run the same command again to wait on; what is done is kept")
}

/// The code of a wait that ended since what it stood on failed: a consequence, told in one line.
pub const WAITED_IN_VAIN: &str = "ENG008";

/// ENG008: what it stands on failed, so it can never become ready.
pub(super) fn nothing_to_stand_on(title: &str, because: &StepId, last: &str) -> StepError {
    let cause = format!("not to become ready, since {because} failed; last: {last}");
    StepError::new(WAITED_IN_VAIN, "wait for", title, cause)
        .with_retry(Retry::AfterChange)
        .with_hint(format!(
            "see to {because}, then run the same command again; what is done is kept"
        ))
}

/// ENG003: a defect of pipectl's.
pub(super) fn panicked(step: &StepId, title: &str, text: &str) -> StepError {
    let cause = format!("step {step} panicked: {text}");
    StepError::new("ENG003", "go on with", title, cause)
        .with_retry(Retry::Never)
        .with_hint("this is a defect of pipectl; please report it with these lines")
}

/// ENG004: somebody else's thing stands where ours would be. `hint` is what the step knows better than "another name".
pub(super) fn foreign(title: &str, owner: &str, hint: Option<String>) -> StepError {
    let hint = hint.unwrap_or_else(|| {
        "choose another name in the pipeline file, or remove that one yourself if nobody needs it"
            .to_owned()
    });
    StepError::new(
        "ENG004",
        "use",
        title,
        format!("it is there already and not ours: {owner}"),
    )
    .with_hint(hint)
}

/// ENG005: a step changed something without saying so before; its journal entry would be a lie.
pub(super) fn unannounced(step: &StepId, title: &str) -> StepError {
    let cause = format!("step {step} changed something without recording its intent first");
    StepError::new("ENG005", "record", title, cause)
        .with_retry(Retry::Never)
        .with_hint("this is a defect of pipectl; please report it. Running the same command again goes on from here")
}

/// ENG006: the run takes no more intents.
pub(super) fn run_is_ending(step: &StepId) -> StepError {
    StepError::new("ENG006", "begin", step, "the run is being ended")
        .with_hint("run the same command again: it goes on from here")
}

/// ENG007: only an `up` makes things.
pub(super) fn creates_nothing(step: &StepId, verb: Verb) -> StepError {
    let cause = format!("a run of kind {} makes nothing", verb.as_str());
    StepError::new("ENG007", "make something in", step, cause)
        .with_retry(Retry::Never)
        .with_hint("this is a defect of pipectl; please report it")
}

/// The lease does not count any more.
pub(super) fn of_lease(error: LeaseError) -> StepError {
    of_state(
        "go on changing",
        "the environment",
        &StateError::Lease(error),
    )
}

/// A trouble with the state, as a step's error.
#[must_use]
pub fn of_state(doing: &str, resource: &str, error: &StateError) -> StepError {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause.push_str(": ");
        cause.push_str(&inner.to_string());
        source = inner.source();
    }
    let hint = error.hint();
    let retry = if error.retryable() {
        Retry::Soon
    } else {
        Retry::AfterChange
    };
    let mut translated = StepError::new(error.code(), doing, resource, cause).with_retry(retry);
    translated.hint = (!hint.is_empty()).then(|| hint.to_owned());
    translated
}
