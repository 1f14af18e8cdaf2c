//! The engine's words turned into the journal's: one place knows both.

use pipectl_stages::{
    AbsenceReport, Change, CheckResult, Fate, Outcome, Retry, StepError, StepId, Verdict,
};
use pipectl_state::{
    Body, Change as Recorded, CheckTotals, InventoryTotals, Invoker, Leftover, Outcome as Ended,
    Phase as RecordedPhase, PlanSummary, RecordedError, RunKind,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::event::{Phase, RunOutcome, Verb};

/// What the journal keeps about a run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Digest of the effective pipeline.
    pub pipeline_digest: String,
    /// The effective pipeline, secrets excluded; `None` in a `down` keeps the one recorded before.
    pub pipeline: Option<Value>,
    /// What the run sets out to do, as far as it was planned.
    pub plan: PlanSummary,
    /// Who asked for it.
    pub invoked_by: Invoker,
}

impl RunRecord {
    pub(super) fn started(self, verb: Verb) -> Body {
        Body::RunStarted {
            kind: kind(verb),
            pipeline_digest: self.pipeline_digest,
            pipeline: self.pipeline,
            plan: self.plan,
            invoked_by: self.invoked_by,
            pipectl_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

pub(super) fn kind(verb: Verb) -> RunKind {
    match verb {
        Verb::Up => RunKind::Up,
        Verb::Down => RunKind::Down,
        Verb::Verify => RunKind::Verify,
    }
}

pub(super) fn phase(verb: Verb, phase: Phase) -> RecordedPhase {
    match (verb, phase) {
        (Verb::Down, _) => RecordedPhase::Removal,
        (_, Phase::Observe) => RecordedPhase::Observe,
        (_, Phase::Ensure) => RecordedPhase::Apply,
        (_, Phase::Readiness) => RecordedPhase::Readiness,
    }
}

pub(super) fn change(change: Change) -> Recorded {
    match change {
        Change::Unchanged => Recorded::Unchanged,
        Change::Adopted => Recorded::Adopted,
        Change::Created => Recorded::Created,
        Change::Updated => Recorded::Updated,
        Change::Replaced => Recorded::Replaced,
        Change::Removed => Recorded::Removed,
    }
}

/// Whether the journal holds such a change to have had an intent before it.
pub(super) fn needs_intent(change: Change) -> bool {
    match change {
        Change::Created | Change::Updated | Change::Replaced => true,
        Change::Unchanged | Change::Adopted | Change::Removed => false,
    }
}

pub(super) fn applied(step: &StepId, outcome: &Outcome, millis: u64) -> Body {
    Body::StepApplied {
        step: step.to_string(),
        change: change(outcome.change),
        digest: digest(&outcome.outputs),
        outputs: outcome.outputs.clone(),
        millis,
    }
}

/// SHA-256 over the outputs' JSON text, hexadecimal.
fn digest(outputs: &Value) -> String {
    let hash = Sha256::digest(outputs.to_string());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn error(error: &StepError) -> RecordedError {
    RecordedError {
        code: error.code.clone(),
        doing: error.doing.clone(),
        resource: error.resource.clone(),
        cause: error.cause.clone(),
        hint: error.hint.clone(),
        retryable: error.retry == Retry::Soon,
        left_behind: error.left_behind.clone(),
        evidence: error.evidence.clone(),
    }
}

pub(super) fn verification(checks: &[CheckResult]) -> Body {
    let count = |verdict| {
        checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count() as u64
    };
    Body::Verification {
        checks: CheckTotals {
            passed: count(Verdict::Passed),
            failed: count(Verdict::Failed),
            not_checkable: count(Verdict::NotCheckable),
        },
        evidence: json!(checks),
    }
}

/// Whether nothing is left that costs money or holds a name.
pub(super) fn proves_absence(report: &AbsenceReport) -> bool {
    totals(report).proves_absence()
}

fn totals(report: &AbsenceReport) -> InventoryTotals {
    let mut totals = InventoryTotals {
        checked: u64::from(report.checked),
        gone: u64::from(report.gone),
        ..InventoryTotals::default()
    };
    for leftover in &report.remaining {
        match leftover.fate {
            Fate::Scheduled { .. } => totals.scheduled += 1,
            // Not ours to remove, or meant to stay.
            Fate::Kept { .. } => {}
            Fate::StillThere { .. } => totals.still_there += 1,
            Fate::NotChecked { .. } => totals.unchecked += 1,
        }
    }
    totals
}

pub(super) fn inventory(report: &AbsenceReport) -> Body {
    let left = report
        .remaining
        .iter()
        .filter_map(|leftover| {
            let (seen, held_by) = match &leftover.fate {
                Fate::Scheduled { .. } | Fate::Kept { .. } => return None,
                Fate::StillThere { held_by, .. } => (true, held_by.join(" ← ")),
                Fate::NotChecked { why } => (false, why.clone()),
            };
            Some(Leftover {
                resource: leftover.resource.clone(),
                seen,
                held_by,
            })
        })
        .collect();
    Body::InventoryProved {
        totals: totals(report),
        left,
    }
}

pub(super) fn ended(outcome: RunOutcome) -> Ended {
    match outcome {
        RunOutcome::Succeeded => Ended::Succeeded,
        RunOutcome::Cancelled => Ended::Cancelled,
        RunOutcome::Failed | RunOutcome::LeaseLost | RunOutcome::JournalFailed => Ended::Failed,
    }
}
