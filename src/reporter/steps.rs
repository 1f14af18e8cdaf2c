//! What single steps say, for `--verbose`.

use pipectl_stages::{Change, Verdict};

use super::words::{counted, took};
use crate::engine::EventKind;

/// What happened to a step, in a few words; nothing for events that are told elsewhere.
#[must_use]
pub fn step_text(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::StepStarted { .. } => "begins".to_owned(),
        EventKind::StepWaits { waiting_for, .. } => format!("waits: {waiting_for}"),
        EventKind::StepProgress { message, .. } => message.clone(),
        EventKind::Retrying {
            attempt,
            in_ms,
            error,
            ..
        } => format!(
            "try {attempt} failed ({}: {}), next in {}",
            error.code,
            error.cause,
            took(*in_ms)
        ),
        EventKind::StepApplied {
            change, summary, ..
        } => said(change_word(*change), summary),
        EventKind::StepUnchanged { .. } => "unchanged".to_owned(),
        EventKind::StepReady { summary, .. } => said("ready", summary),
        EventKind::RemovalStarted { asked, .. } => {
            format!("{} asked to go", counted(*asked as usize, "thing"))
        }
        EventKind::RemovalGone { summary, .. } => format!("gone: {summary}"),
        EventKind::StepWithheld { because, .. } => format!("not begun: {because} failed"),
        EventKind::VerificationResult { check, .. } => {
            let verdict = match check.verdict {
                Verdict::Passed => "passed",
                Verdict::Failed => "failed",
                Verdict::NotCheckable => "not checkable here",
            };
            format!("{verdict}: {} (seen: {})", check.name, check.seen)
        }
        _ => return None,
    })
}

fn said(what: &str, summary: &str) -> String {
    match summary {
        "" => what.to_owned(),
        summary => format!("{what}: {summary}"),
    }
}

fn change_word(change: Change) -> &'static str {
    match change {
        Change::Unchanged => "unchanged",
        Change::Adopted => "adopted",
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Replaced => "replaced",
        Change::Removed => "removed",
    }
}
