//! What the journal remembers: one [`Record`] after the other, never changed once written.
//!
//! A record is an envelope (number, time, run, fence) around a [`Body`]. Which body may follow which
//! history is decided in one place, the `law` module; what a history amounts to is the business of `fold`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::state::EnvironmentState;

/// The version of the journal's format that this program writes, and the newest that it reads.
///
/// A change that an older program would misread raises it; a new optional field does not.
pub const FORMAT_VERSION: u32 = 1;

/// Names one run of pipectl over one environment. Sorts by time of creation (a version 7 UUID).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A new name, unlike any other.
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs at every call would surprise"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The run of a given UUID, for tests and for reading identifiers back.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID behind the name.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The record's number: 1 for the first of an environment, then without a gap.
    pub seq: u64,
    /// When it was written, by the writer's wall clock. For people; nothing is decided by it.
    pub at: Timestamp,
    /// The run that wrote it.
    pub run: RunId,
    /// The fencing number of the lease under which it was written. Never decreases.
    pub fence: u64,
    /// What happened.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The environment exists from here on. Always the first record (or a [`Body::Snapshot`] is); again only after
    /// [`Body::EnvironmentRemoved`], with another UID. Comes before its run's [`Body::RunStarted`].
    EnvironmentCreated {
        /// The environment's own identity; stands in the ownership label of everything that it owns.
        uid: Uuid,
        /// Its name, which is the name of its directory too.
        name: String,
        /// The pipectl that created it.
        pipectl_version: String,
        /// What it is bound to for its whole life: see [`Pins`].
        pins: Pins,
    },
    /// More of what the environment is bound to became known (a cluster's CA exists only after the cluster).
    /// A pin that is set already must have the same value.
    EnvironmentPinned {
        /// The further pins.
        pins: Pins,
    },
    /// A run begins. A run before it that did not finish is closed as interrupted by this.
    RunStarted {
        /// What kind of run.
        kind: RunKind,
        /// Digest of the effective pipeline.
        pipeline_digest: String,
        /// The effective pipeline itself, secrets excluded. None (in a `down`) keeps the one recorded before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pipeline: Option<Value>,
        /// What the run set out to do.
        plan: PlanSummary,
        /// Who asked for it, from where.
        invoked_by: Invoker,
        /// The pipectl that runs.
        pipectl_version: String,
    },
    /// Before a call that creates or changes: the identity under which it will be found again.
    StepIntent {
        /// The step's stable key, for instance `kafka/cluster`.
        step: String,
        /// Which try, from 1. Within a step one number belongs to one identity for ever (client tokens carry it):
        /// repeating an intent repeats its number, a new identity or a fresh try needs a higher one.
        /// [`EnvironmentState::attempt_for`] gives the right one.
        attempt: u32,
        /// Deterministic name, client token or tag: whatever the step needs to find its thing again.
        identity: Value,
    },
    /// The API accepted it: the step's milestone `applied`.
    StepApplied {
        /// The step.
        step: String,
        /// What the call did.
        change: Change,
        /// What dependents and `status` read: names, addresses, identifiers. No secret.
        outputs: Value,
        /// Digest of the fields that we own, as the last apply's response had them.
        digest: String,
        /// How long it took.
        millis: u64,
    },
    /// It works: the step's milestone `ready`.
    StepReady {
        /// The step.
        step: String,
        /// One line for a person, for instance `brokers 3/3, controllers 3/3`.
        summary: String,
        /// Outputs known only now (a control plane's endpoint); None keeps those of `applied`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Value>,
        /// How long the wait took, counted from `applied`.
        millis: u64,
    },
    /// The step came to an error and is not tried again in this run, unless an intent follows.
    StepFailed {
        /// The step.
        step: String,
        /// In which phase.
        phase: Phase,
        /// What went wrong.
        error: RecordedError,
    },
    /// The step was not begun because something that it needs failed.
    StepWithheld {
        /// The step.
        step: String,
        /// What it would have needed, in words.
        because: String,
    },
    /// The step's thing is being taken away.
    RemovalStarted {
        /// The step.
        step: String,
    },
    /// The step's thing was seen to be gone.
    Removed {
        /// The step.
        step: String,
        /// How many things were seen to be gone (0: there was nothing).
        gone: u64,
        /// How that was seen.
        evidence: Value,
        /// How long it took, counted from the start of the removal.
        millis: u64,
    },
    /// The platform was checked as a whole.
    Verification {
        /// How many checks came out how.
        checks: CheckTotals,
        /// The checks themselves: expected, seen, command.
        evidence: Value,
    },
    /// After a `down`: everything that carried the environment's ownership was looked for.
    InventoryProved {
        /// How many things came out how.
        totals: InventoryTotals,
        /// What is still there or could not be checked.
        left: Vec<Leftover>,
    },
    /// The run ended by itself.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
        /// How long the run took.
        millis: u64,
    },
    /// Nothing is left of the environment. Only its run's end may follow within the run; later another `down` that
    /// looks again, or a new [`Body::EnvironmentCreated`].
    EnvironmentRemoved {},
    /// Stands for the whole history before it; the first record of a rotated journal.
    Snapshot {
        /// What the history amounted to.
        state: Box<EnvironmentState>,
    },
}

impl Body {
    /// The step that the body is about, if it is about one.
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::StepIntent { step, .. }
            | Self::StepApplied { step, .. }
            | Self::StepReady { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepWithheld { step, .. }
            | Self::RemovalStarted { step }
            | Self::Removed { step, .. } => Some(step),
            Self::EnvironmentCreated { .. }
            | Self::EnvironmentPinned { .. }
            | Self::RunStarted { .. }
            | Self::Verification { .. }
            | Self::InventoryProved { .. }
            | Self::RunFinished { .. }
            | Self::EnvironmentRemoved {}
            | Self::Snapshot { .. } => None,
        }
    }

    /// The body's name as it stands in the journal, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EnvironmentCreated { .. } => "environment_created",
            Self::EnvironmentPinned { .. } => "environment_pinned",
            Self::RunStarted { .. } => "run_started",
            Self::StepIntent { .. } => "step_intent",
            Self::StepApplied { .. } => "step_applied",
            Self::StepReady { .. } => "step_ready",
            Self::StepFailed { .. } => "step_failed",
            Self::StepWithheld { .. } => "step_withheld",
            Self::RemovalStarted { .. } => "removal_started",
            Self::Removed { .. } => "removed",
            Self::Verification { .. } => "verification",
            Self::InventoryProved { .. } => "inventory_proved",
            Self::RunFinished { .. } => "run_finished",
            Self::EnvironmentRemoved {} => "environment_removed",
            Self::Snapshot { .. } => "snapshot",
        }
    }
}

/// What an environment is bound to: provider, account, region, the cluster CA's digest, the UID of the
/// `kube-system` namespace, ... by name. Compared before the first change of every run.
pub type Pins = BTreeMap<String, String>;

/// What kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Brings the platform to what the pipeline file says.
    Up,
    /// Takes it away, wholly or in part.
    Down,
    /// Only checks it; changes no step.
    Verify,
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Verify => "verify",
        })
    }
}

/// How many steps a plan meant to treat in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanSummary {
    /// To be created.
    pub create: u64,
    /// To be changed in place.
    pub update: u64,
    /// To be removed and created anew.
    pub replace: u64,
    /// As they should be.
    pub unchanged: u64,
    /// To be removed.
    pub remove: u64,
    /// Known only after another step.
    pub later: u64,
}

/// Who asked for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invoker {
    /// The user's login name.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The CI job's address, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_url: Option<String>,
    /// The command, for instance `pipectl up --sandbox`.
    pub command: String,
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there, and now is. Needs an intent of the same run.
    Created,
    /// It was there and was changed. Needs an intent of the same run.
    Updated,
    /// It was deleted and made again. Needs an intent of the same run.
    Replaced,
    /// Something of it that is not wanted any more was deleted.
    Removed,
    /// It was as it should be; nothing was written.
    Unchanged,
    /// It was there, is ours, and was not in the journal (or only as an intent).
    Adopted,
}

/// In which phase a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// While looking at what is there.
    Observe,
    /// While creating or changing.
    Apply,
    /// While waiting for it to work.
    Readiness,
    /// While taking it away.
    Removal,
}

/// A typed error as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedError {
    /// The stable code, for instance `K8S012`.
    pub code: String,
    /// What was being done.
    pub doing: String,
    /// To which resource.
    pub resource: String,
    /// Why it did not work.
    pub cause: String,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether trying again unchanged can help.
    pub retryable: bool,
    /// What may exist although the step failed, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<String>,
    /// Lines of evidence: events, pod states, conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// How many checks of a verification came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTotals {
    /// As expected.
    pub passed: u64,
    /// Not as expected.
    pub failed: u64,
    /// Needs a running program, which is not there (simulated pods).
    pub not_checkable: u64,
}

/// How many things of an inventory came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryTotals {
    /// Looked for.
    pub checked: u64,
    /// Not there any more, or only as a tombstone that the provider keeps for a while.
    pub gone: u64,
    /// Will go at a date that the provider sets (a KMS key's waiting period).
    pub scheduled: u64,
    /// Still there.
    pub still_there: u64,
    /// Could not be checked.
    pub unchecked: u64,
}

impl InventoryTotals {
    /// Whether absence is proved: nothing is still there and nothing escaped the check.
    pub const fn proves_absence(&self) -> bool {
        self.still_there == 0 && self.unchecked == 0
    }
}

/// One thing that an inventory could not call gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// What it is and how it is called, for instance `Namespace/kafka`.
    pub resource: String,
    /// Whether it is known to be there, as opposed to not checked.
    pub seen: bool,
    /// What holds it, or why it could not be checked, in words.
    pub held_by: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All that it set out to do is done.
    Succeeded,
    /// Something failed; what did not depend on it is done.
    Failed,
    /// A signal or a timeout of the whole run ended it in good order.
    Cancelled,
    /// The process died. Never written: a later run's start, or a reader, concludes it.
    Interrupted,
}
