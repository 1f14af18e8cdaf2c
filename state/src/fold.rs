//! The state of an environment as a fold of its records: one record at a time, each checked by the law first.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::StateError;
use crate::law;
use crate::record::{Body, Change, Outcome, Record, RunKind};
use crate::state::{
    EnvironmentState, INTENTS_KEPT, Intent, InventoryState, LifePhase, OpenRun, Position,
    RUNS_KEPT, RunCounts, RunSummary, StepFailure, StepState, StepStatus, VerificationState,
};

impl EnvironmentState {
    /// Folds a whole history.
    ///
    /// # Errors
    /// [`StateError::IllegalHistory`] with the first record that cannot follow those before it.
    pub fn fold<'a>(
        name: &str,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, StateError> {
        let mut state = Self::new(name);
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Folds one more record. On error the state is as before.
    ///
    /// # Errors
    /// [`StateError::IllegalHistory`] when the record cannot follow.
    pub fn apply(&mut self, record: &Record) -> Result<(), StateError> {
        law::check(
            &self.position,
            record.body.step().and_then(|step| self.steps.get(step)),
            record,
        )?;
        if let Body::Snapshot { state } = &record.body {
            let seq = record.seq;
            *self = (**state).clone();
            self.position.seq = seq;
            self.position.fence = record.fence;
            return Ok(());
        }
        advance(&mut self.position, &mut self.steps, record);
        self.describe(record);
        Ok(())
    }

    /// A small copy on which records about `steps` can be tried out.
    pub(crate) fn excerpt<'a>(&self, steps: impl Iterator<Item = &'a str>) -> Self {
        Self {
            position: self.position.clone(),
            steps: steps
                .filter_map(|id| self.steps.get(id).map(|step| (id.to_owned(), step.clone())))
                .collect(),
            ..Self::default()
        }
    }

    /// What does not decide anything, only tells.
    fn describe(&mut self, record: &Record) {
        match &record.body {
            Body::EnvironmentCreated { .. } => {
                self.close_open_run();
                self.created_at = Some(record.at);
                self.pipeline = None;
                self.pipeline_digest = None;
                self.verification = None;
                self.inventory = None;
            }
            Body::RunStarted {
                kind,
                pipeline_digest,
                pipeline,
                plan,
                invoked_by,
                pipectl_version,
            } => {
                self.close_open_run();
                if pipeline.is_some() {
                    self.pipeline.clone_from(pipeline);
                    self.pipeline_digest = Some(pipeline_digest.clone());
                }
                if self.runs.len() >= RUNS_KEPT {
                    self.runs.remove(0);
                }
                self.run_count = self.run_count.saturating_add(1);
                self.runs.push(RunSummary {
                    id: record.run,
                    kind: *kind,
                    started_at: record.at,
                    finished_at: None,
                    outcome: None,
                    millis: None,
                    pipeline_digest: pipeline_digest.clone(),
                    plan: plan.clone(),
                    counts: RunCounts::default(),
                    invoked_by: invoked_by.clone(),
                    pipectl_version: pipectl_version.clone(),
                });
            }
            Body::RunFinished { outcome, millis } => {
                if let Some(last) = self.runs.last_mut() {
                    last.outcome = Some(*outcome);
                    last.finished_at = Some(record.at);
                    last.millis = Some(*millis);
                }
            }
            Body::Verification { checks, evidence } => {
                self.verification = Some(VerificationState {
                    at: record.at,
                    run: record.run,
                    checks: *checks,
                    evidence: evidence.clone(),
                });
            }
            Body::InventoryProved { totals, left } => {
                self.inventory = Some(InventoryState {
                    at: record.at,
                    run: record.run,
                    totals: *totals,
                    left: left.clone(),
                });
            }
            Body::StepApplied {
                change: Change::Unchanged | Change::Adopted,
                ..
            } => self.count(|run| &mut run.unchanged),
            Body::StepApplied { .. } => self.count(|run| &mut run.changed),
            Body::StepFailed { .. } => self.count(|run| &mut run.failed),
            Body::StepWithheld { .. } => self.count(|run| &mut run.withheld),
            Body::Removed { .. } => self.count(|run| &mut run.removed),
            Body::StepIntent { .. }
            | Body::StepReady { .. }
            | Body::RemovalStarted { .. }
            | Body::EnvironmentPinned { .. }
            | Body::EnvironmentRemoved {}
            | Body::Snapshot { .. } => {}
        }
    }

    /// The run before died: nobody wrote down its end.
    fn close_open_run(&mut self) {
        if let Some(last) = self.runs.last_mut()
            && last.outcome.is_none()
        {
            last.outcome = Some(Outcome::Interrupted);
        }
    }

    fn count(&mut self, which: impl FnOnce(&mut RunCounts) -> &mut u64) {
        if let Some(run) = self.runs.last_mut() {
            let counter = which(&mut run.counts);
            *counter = counter.saturating_add(1);
        }
    }
}

/// Moves position and steps over a record that the law allows.
fn advance(position: &mut Position, steps: &mut BTreeMap<String, StepState>, record: &Record) {
    position.seq = record.seq;
    position.fence = record.fence;
    match &record.body {
        Body::EnvironmentCreated {
            uid, name, pins, ..
        } => {
            position.uid = Some(*uid);
            position.name.clone_from(name);
            position.pins.clone_from(pins);
            position.open_run = None;
            steps.clear();
            position.phase = LifePhase::Created;
        }
        Body::EnvironmentPinned { pins } => position.pins.extend(pins.clone()),
        Body::RunStarted { kind, .. } => {
            position.last_run = Some(record.run);
            position.open_run = Some(OpenRun {
                id: record.run,
                kind: *kind,
                started_at: record.at,
                fence: record.fence,
                unsettled: 0,
                proved_absence: false,
            });
            position.phase = match kind {
                RunKind::Up => LifePhase::ComingUp,
                RunKind::Down => LifePhase::GoingDown,
                RunKind::Verify => position.phase,
            };
        }
        Body::RunFinished { outcome, .. } => {
            let kind = position.open_run.take().map(|run| run.kind);
            position.phase = match (position.phase, kind, outcome) {
                (LifePhase::Removed, _, _) => LifePhase::Removed,
                (_, Some(RunKind::Up), Outcome::Succeeded) => LifePhase::Up,
                (_, Some(RunKind::Up), _) => LifePhase::Incomplete,
                (_, Some(RunKind::Down), _) => LifePhase::PartlyDown,
                (phase, _, _) => phase,
            };
        }
        Body::InventoryProved { totals, .. } => {
            if let Some(run) = &mut position.open_run {
                run.proved_absence = totals.proves_absence();
            }
        }
        Body::EnvironmentRemoved {} => {
            position.phase = LifePhase::Removed;
            if let Some(run) = &mut position.open_run {
                run.unsettled = 0;
            }
            for step in steps.values_mut() {
                forget(step, record);
            }
        }
        Body::Verification { .. } | Body::Snapshot { .. } => {}
        Body::StepIntent { step, .. }
        | Body::StepApplied { step, .. }
        | Body::StepReady { step, .. }
        | Body::StepFailed { step, .. }
        | Body::StepWithheld { step, .. }
        | Body::RemovalStarted { step }
        | Body::Removed { step, .. } => advance_step(position, steps, step, record),
    }
}

fn advance_step(
    position: &mut Position,
    steps: &mut BTreeMap<String, StepState>,
    id: &str,
    record: &Record,
) {
    let run = position.open_run.as_ref().map(|run| run.id);
    // A step counts for this run only once this run has spoken of it.
    let before = steps
        .get(id)
        .is_some_and(|step| Some(step.run) == run && step.unsettled());
    // Every body about a step sets its status; the one here only fills the place.
    let step = steps
        .entry(id.to_owned())
        .or_insert_with(|| StepState::new(record.run, StepStatus::Withheld));
    advance_one(step, record);
    if let Some(run) = &mut position.open_run {
        match (before, step.unsettled()) {
            (false, true) => run.unsettled = run.unsettled.saturating_add(1),
            (true, false) => run.unsettled = run.unsettled.saturating_sub(1),
            _ => {}
        }
    }
}

fn advance_one(step: &mut StepState, record: &Record) {
    step.run = record.run;
    match &record.body {
        Body::StepIntent {
            attempt, identity, ..
        } => {
            step.status = StepStatus::Intended;
            step.attempt = step.attempt.max(*attempt);
            step.withheld_because = None;
            let intent = Intent {
                attempt: *attempt,
                identity: identity.clone(),
                run: record.run,
                at: record.at,
            };
            step.intents.retain(|known| known.identity != *identity);
            if step.intents.len() >= INTENTS_KEPT {
                step.intents.remove(0);
            }
            step.intents.push(intent);
        }
        Body::StepApplied {
            change,
            outputs,
            digest,
            millis,
            ..
        } => {
            step.status = StepStatus::Applied;
            step.change = Some(*change);
            step.outputs.clone_from(outputs);
            step.digest = Some(digest.clone());
            step.failure = None;
            step.withheld_because = None;
            step.removed_at = None;
            if *change != Change::Unchanged || step.applied_at.is_none() {
                step.applied_at = Some(record.at);
            }
            if !matches!(change, Change::Unchanged | Change::Adopted) {
                step.durations.apply = Some(*millis);
            }
        }
        Body::StepReady {
            summary,
            outputs,
            millis,
            ..
        } => {
            step.status = StepStatus::Ready;
            step.summary = Some(summary.clone());
            if let Some(outputs) = outputs {
                step.outputs.clone_from(outputs);
            }
            step.failure = None;
            step.withheld_because = None;
            // A wait that followed no change says nothing about how long the thing takes to become ready.
            if step.change != Some(Change::Unchanged) || step.ready_at.is_none() {
                step.ready_at = Some(record.at);
                step.durations.ready = Some(*millis);
            }
        }
        Body::StepFailed { phase, error, .. } => {
            step.status = StepStatus::Failed;
            step.withheld_because = None;
            step.failure = Some(StepFailure {
                phase: *phase,
                error: error.clone(),
                at: record.at,
            });
        }
        Body::StepWithheld { because, .. } => {
            step.status = StepStatus::Withheld;
            step.withheld_because = Some(because.clone());
        }
        Body::RemovalStarted { .. } => {
            step.status = StepStatus::Removing;
            step.withheld_because = None;
        }
        Body::Removed { millis, .. } => {
            step.durations.removal = Some(*millis);
            forget(step, record);
        }
        _ => {}
    }
}

/// What remains of a step whose things are gone: how long they took, and which numbers are used up.
fn forget(step: &mut StepState, record: &Record) {
    step.status = StepStatus::Removed;
    step.run = record.run;
    step.intents.clear();
    step.outputs = Value::Null;
    step.digest = None;
    step.change = None;
    step.summary = None;
    step.withheld_because = None;
    step.failure = None;
    step.applied_at = None;
    step.ready_at = None;
    step.removed_at = Some(record.at);
}

#[cfg(test)]
mod tests;
