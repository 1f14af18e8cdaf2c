//! What a run looks like now: its events, folded. Pure; the reporters draw it.

use std::collections::BTreeMap;

use pipectl_stages::{AbsenceReport, CheckResult, StepError, StepId, Verdict};

use crate::engine::{
    Event, EventKind, PipelineInfo, Plan, RunOutcome, Verb,
    critical_path::PathPart,
    event::{Phase, Totals, Urgency},
};

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// Not begun.
    Pending,
    /// Looking or changing, since (milliseconds of the run).
    Acting(u64),
    /// Waited for, since.
    Waiting(u64),
    /// Works, or is gone.
    Ready,
    /// Came to an error.
    Failed,
    /// Not begun because of that step's failure.
    Withheld(StepId),
}

/// One step as it looks now.
#[derive(Debug, Clone)]
pub struct StepView {
    /// Its key.
    pub id: StepId,
    /// For a person.
    pub title: String,
    /// Where it stands.
    pub stand: Stand,
    /// What it does or waits for, in its last words.
    pub words: Option<String>,
    /// Whether anything was made, changed or removed.
    pub changed: bool,
    /// Whether it found something out (a check's result, the inventory), which is what it is there for.
    pub found: bool,
    /// One line on what came of it.
    pub summary: String,
    /// When it began.
    pub started_ms: Option<u64>,
    /// When it was over.
    pub ended_ms: Option<u64>,
}

/// How the run ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub outcome: RunOutcome,
    /// How many steps ended in which way.
    pub totals: Totals,
    /// How long it took.
    pub took_ms: u64,
    /// What decided how long it took.
    pub critical_path: Vec<PathPart>,
    /// Steps whose call was still going on.
    pub in_flight: Vec<StepId>,
}

/// A step's failure.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The step.
    pub step: StepId,
    /// What it was doing.
    pub phase: Phase,
    /// The error.
    pub error: StepError,
}

/// A run as it looks now.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The run's id.
    pub run: String,
    /// What is worked on; none before the first event.
    pub pipeline: Option<PipelineInfo>,
    /// What is to be done.
    pub plan: Plan,
    /// The steps, as the plan has them.
    pub steps: Vec<StepView>,
    /// Results of verification.
    pub checks: Vec<CheckResult>,
    /// The last inventory.
    pub absence: Option<AbsenceReport>,
    /// Failures, in the order in which they came.
    pub failures: Vec<Failure>,
    /// Whether a signal came.
    pub cancelling: Option<Urgency>,
    /// What ended the run before its time.
    pub fatal: Option<StepError>,
    /// How it ended.
    pub finished: Option<Finished>,
    positions: BTreeMap<StepId, usize>,
}

/// How a stage stands, from its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageStand {
    /// No step has begun.
    Pending,
    /// Some step is under way, or the next is about to be.
    Working,
    /// All steps are ready.
    Done,
    /// Some step failed.
    Failed,
    /// No step began, because of a failure elsewhere.
    Withheld,
}

impl View {
    /// Takes an event in.
    pub fn take(&mut self, event: &Event) {
        let now = event.elapsed_ms;
        self.run.clone_from(&event.run);
        match &event.kind {
            EventKind::RunStarted { pipeline, plan, .. } => self.begin(pipeline, plan),
            EventKind::StepStarted { step } => self.change(step, |view| {
                view.stand = Stand::Acting(now);
                view.started_ms = Some(now);
            }),
            EventKind::StepWaits {
                step, waiting_for, ..
            } => self.change(step, |view| view.words = Some(waiting_for.clone())),
            EventKind::StepProgress { step, message, .. } => {
                self.change(step, |view| view.words = Some(message.clone()));
            }
            EventKind::Retrying { step, error, .. } => {
                self.change(step, |view| {
                    view.words = Some(format!("tries again: {}", error.cause))
                });
            }
            EventKind::StepApplied { step, summary, .. } => self.change(step, |view| {
                view.stand = Stand::Waiting(now);
                view.words = None;
                view.changed = true;
                view.summary.clone_from(summary);
            }),
            EventKind::StepUnchanged { step } => self.change(step, |view| {
                view.stand = Stand::Waiting(now);
                view.words = None;
            }),
            EventKind::RemovalStarted { step, asked } => self.change(step, |view| {
                view.stand = Stand::Waiting(now);
                view.words = None;
                view.changed = *asked > 0;
            }),
            EventKind::StepReady { step, summary } | EventKind::RemovalGone { step, summary } => {
                self.change(step, |view| {
                    view.stand = Stand::Ready;
                    view.ended_ms = Some(now);
                    if !summary.is_empty() {
                        view.summary.clone_from(summary);
                    }
                });
            }
            EventKind::StepFailed { step, phase, error }
            | EventKind::RemovalStuck { step, phase, error } => {
                self.change(step, |view| {
                    view.stand = Stand::Failed;
                    view.ended_ms = Some(now);
                });
                self.failures.push(Failure {
                    step: step.clone(),
                    phase: *phase,
                    error: error.clone(),
                });
            }
            EventKind::StepWithheld { step, because } => {
                self.change(step, |view| view.stand = Stand::Withheld(because.clone()));
            }
            EventKind::VerificationResult { step, check } => {
                self.checks.push(check.clone());
                self.change(step, |view| view.found = true);
            }
            EventKind::AbsenceChecked { step, report } => {
                self.absence = Some(report.clone());
                self.change(step, |view| view.found = true);
            }
            EventKind::Cancelling { urgency, .. } => self.cancelling = Some(*urgency),
            EventKind::LeaseLost { error } | EventKind::JournalFailed { error } => {
                self.fatal = Some(error.clone());
            }
            EventKind::RunFinished {
                outcome,
                totals,
                took_ms,
                critical_path,
                in_flight,
                ..
            } => {
                self.finished = Some(Finished {
                    outcome: *outcome,
                    totals: *totals,
                    took_ms: *took_ms,
                    critical_path: critical_path.clone(),
                    in_flight: in_flight.clone(),
                });
            }
        }
    }

    fn begin(&mut self, pipeline: &PipelineInfo, plan: &Plan) {
        self.pipeline = Some(pipeline.clone());
        self.plan = plan.clone();
        let step = |step: &crate::engine::event::PlanStep| StepView {
            id: step.id.clone(),
            title: step.title.clone(),
            stand: Stand::Pending,
            words: None,
            changed: false,
            found: false,
            summary: String::new(),
            started_ms: None,
            ended_ms: None,
        };
        self.steps = plan.steps.iter().map(step).collect();
        let ids = plan.steps.iter().enumerate();
        self.positions = ids
            .map(|(position, step)| (step.id.clone(), position))
            .collect();
    }

    fn change(&mut self, step: &StepId, how: impl FnOnce(&mut StepView)) {
        if let Some(view) = self
            .positions
            .get(step)
            .and_then(|&at| self.steps.get_mut(at))
        {
            how(view);
        }
    }

    /// A step's position in the plan.
    #[must_use]
    pub fn position(&self, step: &StepId) -> Option<usize> {
        self.positions.get(step).copied()
    }

    /// A step as it looks now.
    #[must_use]
    pub fn step(&self, step: &StepId) -> Option<&StepView> {
        self.position(step).and_then(|at| self.steps.get(at))
    }

    /// The steps of the stage at this position of the plan.
    pub fn members(&self, stage: usize) -> impl Iterator<Item = &StepView> {
        let stage = self.plan.stages.get(stage);
        let steps = stage.into_iter().flat_map(|stage| &stage.steps);
        steps.filter_map(|step| self.step(step))
    }

    /// How the stage at this position stands.
    #[must_use]
    pub fn stage_stand(&self, stage: usize) -> StageStand {
        let (mut all, mut pending, mut ready, mut withheld, mut failed) = (0, 0, 0, 0, 0);
        for step in self.members(stage) {
            all += 1;
            match step.stand {
                Stand::Pending => pending += 1,
                Stand::Ready => ready += 1,
                Stand::Withheld(_) => withheld += 1,
                Stand::Failed => failed += 1,
                Stand::Acting(_) | Stand::Waiting(_) => {}
            }
        }
        if failed > 0 {
            StageStand::Failed
        } else if ready == all {
            StageStand::Done
        } else if withheld > 0 && withheld + pending + ready == all {
            StageStand::Withheld
        } else if pending == all {
            StageStand::Pending
        } else {
            StageStand::Working
        }
    }

    /// When the stage began and, once nothing of it is under way, when it ended.
    #[must_use]
    pub fn stage_times(&self, stage: usize) -> (Option<u64>, Option<u64>) {
        let began = self.members(stage).filter_map(|step| step.started_ms).min();
        let going = |step: &StepView| matches!(step.stand, Stand::Acting(_) | Stand::Waiting(_));
        let ended = (!self.members(stage).any(going))
            .then(|| self.members(stage).filter_map(|step| step.ended_ms).max())
            .flatten();
        (began, ended)
    }

    /// Whether nothing of the stage had to be changed, and changing things is what it is there for.
    #[must_use]
    pub fn stage_unchanged(&self, stage: usize) -> bool {
        let is_up = self.pipeline.as_ref().is_some_and(|of| of.verb == Verb::Up);
        is_up && self.members(stage).all(|step| !step.changed && !step.found)
    }

    /// (passed, failed, not checkable) of the checks so far.
    #[must_use]
    pub fn check_counts(&self) -> (usize, usize, usize) {
        let count = |verdict| {
            self.checks
                .iter()
                .filter(|check| check.verdict == verdict)
                .count()
        };
        (
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::NotCheckable),
        )
    }

    /// What is done and kept, for an error about `step`: `kafka 3 of 5 steps done and kept; spark still going on`.
    #[must_use]
    pub fn so_far(&self, step: &StepId) -> String {
        let stages = self.plan.stages.iter().enumerate();
        let mut own = String::new();
        let mut going = Vec::new();
        for (index, stage) in stages {
            let (mut done, mut all, mut busy) = (0, 0, false);
            for member in self.members(index) {
                all += 1;
                done += usize::from(member.stand == Stand::Ready);
                busy |= matches!(member.stand, Stand::Acting(_) | Stand::Waiting(_));
            }
            if stage.name == step.stage() {
                own = format!("{} {done} of {all} steps done and kept", stage.name);
            } else if busy {
                going.push(stage.name.as_str());
            }
        }
        match going.as_slice() {
            [] => own,
            going => format!("{own}; {} still going on", going.join(", ")),
        }
    }
}
