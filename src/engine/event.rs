//! What a run says: the engine's only output. Reporters consume nothing else.
//!
//! Events are facts about a run in one order, numbered without a gap. They are serialisable, and a reader decides by
//! [`Event::version`] whether it knows them: the version rises when a field changes its meaning or goes away; new
//! kinds and new fields do not raise it, so a reader skips what it does not know.

use jiff::Timestamp;
use pipectl_stages::{AbsenceReport, Change, CheckResult, Need, StepError, StepId};
use serde::{Deserialize, Serialize};

use super::{
    critical_path::{self, Cost, Expectations, PathPart, Timing},
    graph::{Edge, Graph},
    recovery::Interrupted,
};

/// The version of the events' form.
pub const EVENT_VERSION: u32 = 1;

/// One fact about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The version of the form, [`EVENT_VERSION`].
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its number within the run, from 0, without a gap.
    pub index: u64,
    /// When, by the wall clock of the machine.
    pub at: Timestamp,
    /// When, in milliseconds since the run began, by a clock that nobody sets.
    pub elapsed_ms: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Brings the platform up.
    Up,
    /// Takes it down.
    Down,
    /// Only verifies it.
    Verify,
}

impl Verb {
    /// The command's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Verify => "verify",
        }
    }
}

/// What reporters say about the environment around the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineInfo {
    /// What kind of run.
    pub verb: Verb,
    /// The environment's name.
    pub environment: String,
    /// Its UID.
    pub environment_uid: String,
    /// Where it lives, for a person: `us-west-2 · account 111122223333`, `sandbox default`.
    pub place: String,
    /// Addresses of the finished platform, in the order in which they are shown.
    pub endpoints: Vec<Endpoint>,
    /// Commands worth trying after a run that went well.
    pub next: Vec<String>,
    /// The command that goes on with this run, with everything it needs; `None`: the verb alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// An address that a person wants when the platform is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What it is the address of, e.g. `bootstrap`.
    pub label: String,
    /// The address, or the command that leads there.
    pub address: String,
}

/// The graph of a run, as far as reporters need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stages, in install (or removal) order.
    pub stages: Vec<PlanStage>,
    /// The steps, in an order in which each comes after what it needs.
    pub steps: Vec<PlanStep>,
    /// How long all of it is expected to take, in milliseconds.
    pub expected_ms: u64,
    /// The steps that decide this, first to last.
    pub critical_path: Vec<StepId>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStage {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<StepId>,
    /// How long it is expected to take from its first step's start, in milliseconds.
    pub expected_ms: u64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its key.
    pub id: StepId,
    /// For a person.
    pub title: String,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// Expected time from its start to `applied`, in milliseconds.
    pub applied_ms: u64,
    /// Expected time from `applied` to `ready`, in milliseconds.
    pub ready_ms: u64,
}

impl Plan {
    /// The plan of a graph: the same graph and history give the same plan, byte for byte.
    #[must_use]
    pub fn of(graph: &Graph, history: &Expectations) -> Self {
        let cost = critical_path::expected(graph, history);
        let longest = critical_path::before(graph, &cost);
        let nodes = graph.nodes();
        let milestones = |node: usize| -> Vec<Need> {
            nodes[node]
                .needs
                .iter()
                .map(|edge| Need {
                    step: nodes[edge.node].id.clone(),
                    milestone: edge.milestone,
                })
                .collect()
        };
        Self {
            stages: graph
                .stages()
                .iter()
                .zip(stages_expected(graph, &cost))
                .map(|(stage, expected_ms)| PlanStage {
                    name: stage.name.clone(),
                    steps: stage
                        .nodes
                        .iter()
                        .map(|&node| nodes[node].id.clone())
                        .collect(),
                    expected_ms,
                })
                .collect(),
            steps: graph
                .order()
                .iter()
                .map(|&node| PlanStep {
                    id: nodes[node].id.clone(),
                    title: nodes[node].title.clone(),
                    needs: milestones(node),
                    applied_ms: millis(cost[node].applied),
                    ready_ms: millis(cost[node].ready),
                })
                .collect(),
            expected_ms: millis(longest.total),
            critical_path: longest
                .path
                .iter()
                .map(|&node| nodes[node].id.clone())
                .collect(),
        }
    }
}

/// The longest way through each stage's own steps, as if nothing outside it had to be waited for; in milliseconds.
fn stages_expected(graph: &Graph, cost: &[Cost]) -> Vec<u64> {
    let mut place = vec![0; graph.len()];
    for (at, &node) in graph.order().iter().enumerate() {
        place[node] = at;
    }
    // Where a node stands among its stage's, first to last in the graph's order.
    let mut position = vec![0; graph.len()];
    let expected = graph.stages().iter().map(|stage| {
        let mut members = stage.nodes.clone();
        members.sort_unstable_by_key(|&node| place[node]);
        for (new, &old) in members.iter().enumerate() {
            position[old] = new;
        }
        let nodes = graph.nodes();
        let inside = |node: usize| nodes[node].id.stage() == stage.name;
        let needs: Vec<Vec<Edge>> = members
            .iter()
            .map(|&old| {
                let edges = nodes[old].needs.iter().filter(|edge| inside(edge.node));
                let edges = edges.map(|edge| Edge {
                    node: position[edge.node],
                    milestone: edge.milestone,
                });
                edges.collect()
            })
            .collect();
        let order: Vec<usize> = (0..members.len()).collect();
        let own: Vec<Cost> = members.iter().map(|&old| cost[old]).collect();
        millis(critical_path::longest(&order, &needs, &own).total)
    });
    expected.collect()
}

/// Whole milliseconds; a run does not last long enough to leave the range.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a step was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking at what is there.
    Observe,
    /// Changing it, or asking for its removal.
    Ensure,
    /// Waiting until it works, or is gone.
    Readiness,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Everything asked for is done.
    Succeeded,
    /// Something failed; what did not depend on it is done.
    Failed,
    /// A signal ended it.
    Cancelled,
    /// Somebody else holds the environment now, or might.
    LeaseLost,
    /// The journal could not be written; nothing was begun that is not recorded.
    JournalFailed,
}

/// Which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// End soon: no new work, calls under way may end.
    Soon,
    /// End now.
    Now,
}

/// How many steps ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Made, changed or removed in this run, and working (or gone).
    pub changed: u32,
    /// As they should be; nothing was written.
    pub unchanged: u32,
    /// Came to an error.
    pub failed: u32,
    /// Not begun because of an error elsewhere.
    pub withheld: u32,
    /// Ended early, or not begun, because the run was ended.
    pub cancelled: u32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The run begins.
    RunStarted {
        /// What is worked on.
        pipeline: PipelineInfo,
        /// What is to be done.
        plan: Plan,
        /// What an earlier run left half done, if it did.
        continues: Option<Interrupted>,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// A step waits for something outside; said when the words change.
    StepWaits {
        /// The step.
        step: StepId,
        /// For what, in words.
        waiting_for: String,
        /// (done, total), where there are counts.
        count: Option<(u32, u32)>,
    },
    /// A passing remark.
    StepProgress {
        /// The step.
        step: StepId,
        /// In words.
        message: String,
        /// (done, total), where there are counts.
        count: Option<(u32, u32)>,
    },
    /// A call failed in a way that may pass; the same is tried again.
    Retrying {
        /// The step.
        step: StepId,
        /// Which try failed, from 1.
        attempt: u32,
        /// How long until the next, in milliseconds.
        in_ms: u64,
        /// What went wrong.
        error: StepError,
    },
    /// The API accepted the step's work.
    StepApplied {
        /// The step.
        step: StepId,
        /// What was done.
        change: Change,
        /// One line for a person.
        summary: String,
    },
    /// The step found everything as it should be and wrote nothing.
    StepUnchanged {
        /// The step.
        step: StepId,
    },
    /// The step's thing works.
    StepReady {
        /// The step.
        step: StepId,
        /// One line for a person.
        summary: String,
    },
    /// The step came to an error.
    StepFailed {
        /// The step.
        step: StepId,
        /// What it was doing.
        phase: Phase,
        /// The error.
        error: StepError,
    },
    /// The step is not begun, because of another's failure.
    StepWithheld {
        /// The step.
        step: StepId,
        /// Whose failure.
        because: StepId,
    },
    /// The removal was asked for.
    RemovalStarted {
        /// The step.
        step: StepId,
        /// How many things were asked to go.
        asked: u32,
    },
    /// What was to be removed is gone.
    RemovalGone {
        /// The step.
        step: StepId,
        /// One line for a person.
        summary: String,
    },
    /// What was to be removed does not go.
    RemovalStuck {
        /// The step.
        step: StepId,
        /// What it was doing.
        phase: Phase,
        /// Why.
        error: StepError,
    },
    /// A check of the verification has a result.
    VerificationResult {
        /// The step that checked.
        step: StepId,
        /// The result.
        check: CheckResult,
    },
    /// The inventory was looked through after a removal.
    AbsenceChecked {
        /// The step that looked.
        step: StepId,
        /// What it found.
        report: AbsenceReport,
    },
    /// A signal came: the run is being ended.
    Cancelling {
        /// How soon.
        urgency: Urgency,
        /// The steps that are under way.
        running: Vec<StepId>,
    },
    /// Another process holds the environment now, or might: nothing more is changed.
    LeaseLost {
        /// How that was seen.
        error: StepError,
    },
    /// The journal cannot be written: nothing more is begun.
    JournalFailed {
        /// Why.
        error: StepError,
    },
    /// The run ended; the last event.
    RunFinished {
        /// How.
        outcome: RunOutcome,
        /// How many steps ended in which way.
        totals: Totals,
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// When what happened to each step that began.
        timings: Vec<Timing>,
        /// What decided how long it took.
        critical_path: Vec<PathPart>,
        /// Steps whose call was still going on when the run ended; the next run looks at them again.
        in_flight: Vec<StepId>,
    },
}

impl EventKind {
    /// The step it is about, if it is about one.
    #[must_use]
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::StepStarted { step }
            | Self::StepWaits { step, .. }
            | Self::StepProgress { step, .. }
            | Self::Retrying { step, .. }
            | Self::StepApplied { step, .. }
            | Self::StepUnchanged { step }
            | Self::StepReady { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepWithheld { step, .. }
            | Self::RemovalStarted { step, .. }
            | Self::RemovalGone { step, .. }
            | Self::RemovalStuck { step, .. }
            | Self::VerificationResult { step, .. }
            | Self::AbsenceChecked { step, .. } => Some(step),
            Self::RunStarted { .. }
            | Self::Cancelling { .. }
            | Self::LeaseLost { .. }
            | Self::JournalFailed { .. }
            | Self::RunFinished { .. } => None,
        }
    }
}
