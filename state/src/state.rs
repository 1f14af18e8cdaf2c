//! The state of an environment: what its history amounts to. How it comes about stands in `fold`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::record::{
    Change, CheckTotals, InventoryTotals, Invoker, Leftover, Outcome, Phase, Pins, PlanSummary,
    RecordedError, RunId, RunKind,
};

/// How many runs [`EnvironmentState::runs`] keeps; older ones stay in the journal only.
pub const RUNS_KEPT: usize = 50;

/// How many distinct intents a step keeps; more than any step has things, so that a step that makes a new thing
/// every run does not grow for ever.
pub const INTENTS_KEPT: usize = 256;

/// Where an environment is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifePhase {
    /// Nothing is recorded of it.
    #[default]
    Absent,
    /// It exists by name and UID only.
    Created,
    /// An `up` is under way, or died on the way (see [`EnvironmentState::open_run`]).
    ComingUp,
    /// The last `up` succeeded.
    Up,
    /// The last `up` ended without success.
    Incomplete,
    /// A `down` is under way, or died on the way.
    GoingDown,
    /// A `down` ended and something is meant to remain, or did remain.
    PartlyDown,
    /// Nothing is left.
    Removed,
}

/// The part of the state that decides which record may follow; small, so that it can be tried out on a copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    pub(crate) name: String,
    pub(crate) uid: Option<Uuid>,
    pub(crate) pins: Pins,
    pub(crate) phase: LifePhase,
    pub(crate) seq: u64,
    pub(crate) fence: u64,
    pub(crate) open_run: Option<OpenRun>,
    pub(crate) last_run: Option<RunId>,
}

/// The run that is under way, or that died.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// Its name.
    pub id: RunId,
    /// Its kind.
    pub kind: RunKind,
    /// When it began.
    pub started_at: Timestamp,
    /// Its lease's fencing number.
    pub fence: u64,
    /// How many steps this run began and neither finished nor removed: intended, failed, withheld, being removed.
    pub unsettled: u64,
    /// Whether this run proved that nothing is left.
    pub proved_absence: bool,
}

/// How far a step is, as far as the journal knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// An intent is recorded, an outcome is not: the thing may exist.
    Intended,
    /// The API accepted it.
    Applied,
    /// It works, or did when last looked at.
    Ready,
    /// The last try failed.
    Failed,
    /// The last run did not begin it.
    Withheld,
    /// Its removal began and its absence is not proved.
    Removing,
    /// It was seen to be gone.
    Removed,
}

/// An identity recorded before a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which try.
    pub attempt: u32,
    /// The identity.
    pub identity: Value,
    /// The run that recorded it last.
    pub run: RunId,
    /// When it was recorded last.
    pub at: Timestamp,
}

/// The last error of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// In which phase.
    pub phase: Phase,
    /// The error.
    pub error: RecordedError,
    /// When.
    pub at: Timestamp,
}

/// What is recorded of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// How far it is.
    pub status: StepStatus,
    /// The run that last said something about it.
    pub run: RunId,
    /// The highest attempt number ever used; never decreases, not even over a removal.
    pub attempt: u32,
    /// Identities under which things of it may exist, oldest first; empty after a removal.
    pub intents: Vec<Intent>,
    /// Outputs of the last apply (or readiness); null when there are none.
    pub outputs: Value,
    /// Digest of the last apply; None before it and after a removal.
    pub digest: Option<String>,
    /// What the last apply did.
    pub change: Option<Change>,
    /// What readiness said last.
    pub summary: Option<String>,
    /// Why it was withheld, while it is.
    pub withheld_because: Option<String>,
    /// The last error, until a later success.
    pub failure: Option<StepFailure>,
    /// When it was applied last.
    pub applied_at: Option<Timestamp>,
    /// When it became ready last.
    pub ready_at: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
    /// How long its things took, in milliseconds.
    pub durations: Durations,
}

/// How long a step's phases took last time, in milliseconds. An apply that changed nothing does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// From the start to `applied`.
    pub apply: Option<u64>,
    /// From `applied` to `ready`.
    pub ready: Option<u64>,
    /// From the start of the removal to gone.
    pub removal: Option<u64>,
}

impl StepState {
    pub(crate) fn new(run: RunId, status: StepStatus) -> Self {
        Self {
            status,
            run,
            attempt: 0,
            intents: Vec::new(),
            outputs: Value::Null,
            digest: None,
            change: None,
            summary: None,
            withheld_because: None,
            failure: None,
            applied_at: None,
            ready_at: None,
            removed_at: None,
            durations: Durations::default(),
        }
    }

    /// Whether something of the step may exist: an intent or outputs are recorded and no removal after them.
    pub fn may_exist(&self) -> bool {
        !self.intents.is_empty() || self.applied_at.is_some()
    }

    /// The intent recorded last.
    pub fn last_intent(&self) -> Option<&Intent> {
        self.intents.iter().max_by_key(|intent| intent.attempt)
    }

    /// Whether a run that succeeded cannot have left the step like this.
    pub(crate) const fn unsettled(&self) -> bool {
        matches!(
            self.status,
            StepStatus::Intended | StepStatus::Failed | StepStatus::Withheld | StepStatus::Removing
        )
    }
}

/// What is kept of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its name.
    pub id: RunId,
    /// Its kind.
    pub kind: RunKind,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; None while it is open, and for an interrupted run, whose end nobody wrote down.
    pub finished_at: Option<Timestamp>,
    /// How it ended; None while it is open.
    pub outcome: Option<Outcome>,
    /// How long it took, in milliseconds, by its own account.
    pub millis: Option<u64>,
    /// The digest of the pipeline that it worked to.
    pub pipeline_digest: String,
    /// What it set out to do.
    pub plan: PlanSummary,
    /// What it did: applies that changed something, failures, steps withheld, removals.
    pub counts: RunCounts,
    /// Who asked for it.
    pub invoked_by: Invoker,
    /// The pipectl that ran.
    pub pipectl_version: String,
}

/// What a run did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Applies that wrote something.
    pub changed: u64,
    /// Applies that found everything as it should be, or adopted it.
    pub unchanged: u64,
    /// Failures recorded.
    pub failed: u64,
    /// Steps withheld.
    pub withheld: u64,
    /// Removals finished.
    pub removed: u64,
}

/// The last verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerificationState {
    /// When.
    pub at: Timestamp,
    /// In which run.
    pub run: RunId,
    /// How many checks came out how.
    pub checks: CheckTotals,
    /// The checks.
    pub evidence: Value,
}

/// The last inventory after a `down`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryState {
    /// When.
    pub at: Timestamp,
    /// In which run.
    pub run: RunId,
    /// How many things came out how.
    pub totals: InventoryTotals,
    /// What was left.
    pub left: Vec<Leftover>,
}

/// What is recorded of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentState {
    pub(crate) position: Position,
    /// When the environment was created.
    pub created_at: Option<Timestamp>,
    /// What is recorded of each step, by its key.
    pub steps: BTreeMap<String, StepState>,
    /// The last [`RUNS_KEPT`] runs, oldest first.
    pub runs: Vec<RunSummary>,
    /// How many runs there were in all.
    pub run_count: u64,
    /// The effective pipeline of the last run that had one.
    pub pipeline: Option<Value>,
    /// Its digest.
    pub pipeline_digest: Option<String>,
    /// The last verification.
    pub verification: Option<VerificationState>,
    /// The last inventory.
    pub inventory: Option<InventoryState>,
}

impl EnvironmentState {
    /// The state of an environment of which nothing is recorded yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            position: Position {
                name: name.into(),
                ..Position::default()
            },
            ..Self::default()
        }
    }

    /// The environment's name.
    pub fn name(&self) -> &str {
        &self.position.name
    }

    /// Its UID; None before it is created.
    pub const fn uid(&self) -> Option<Uuid> {
        self.position.uid
    }

    /// What it is bound to.
    pub const fn pins(&self) -> &Pins {
        &self.position.pins
    }

    /// Where it is in its life.
    pub const fn phase(&self) -> LifePhase {
        self.position.phase
    }

    /// The number of the last record; 0 before the first.
    pub const fn seq(&self) -> u64 {
        self.position.seq
    }

    /// The highest fencing number seen.
    pub const fn fence(&self) -> u64 {
        self.position.fence
    }

    /// The run that has not finished. Whether it lives or died, its lease tells.
    pub const fn open_run(&self) -> Option<&OpenRun> {
        self.position.open_run.as_ref()
    }

    /// The last run, finished or not.
    pub fn last_run(&self) -> Option<&RunSummary> {
        self.runs.last()
    }

    /// What is recorded of a step.
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.steps.get(id)
    }

    /// The number that an intent of `identity` must carry: that of the same identity recorded before, if nothing
    /// removed it since, else a new one. For a fresh try of a thing that failed for good under its old number
    /// use [`EnvironmentState::fresh_attempt`].
    pub fn attempt_for(&self, step: &str, identity: &Value) -> u32 {
        let Some(state) = self.steps.get(step) else {
            return 1;
        };
        state
            .intents
            .iter()
            .find(|intent| intent.identity == *identity)
            .map_or_else(|| state.attempt.saturating_add(1), |intent| intent.attempt)
    }

    /// A number that no intent of the step has used.
    pub fn fresh_attempt(&self, step: &str) -> u32 {
        self.steps
            .get(step)
            .map_or(1, |state| state.attempt.saturating_add(1))
    }
}
