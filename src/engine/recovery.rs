//! What an interrupted run left, and how the next one goes on.
//!
//! The journal speeds things up; what is observed decides. So recovery writes nothing and undoes nothing: it says which
//! steps must be looked at with more care. A step whose last intent has no outcome is ensured again even where the
//! observation finds everything present, so that its outputs are recorded under the same identity; a step that was
//! applied is waited for again.

use pipectl_stages::StepId;
use pipectl_state::{EnvironmentState, StepState, StepStatus};
use serde::{Deserialize, Serialize};

use super::graph::Graph;

/// What an interrupted run left half done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// The run that did not end by itself.
    pub run: String,
    /// Steps with an intent and no outcome: their things may exist.
    pub intended: Vec<StepId>,
    /// Steps that were applied and not seen working.
    pub applied: Vec<StepId>,
    /// Removals that were begun and not seen done.
    pub removing: Vec<StepId>,
    /// Those of the above that this run's graph does not have (the pipeline changed since). They are left alone; a
    /// `down` finds their things by ownership.
    pub beyond_this_run: Vec<StepId>,
}

/// What the last run left half done, where it was interrupted.
#[must_use]
pub fn interrupted(state: &EnvironmentState, graph: &Graph) -> Option<Interrupted> {
    let open = state.open_run()?;
    let with = |status: StepStatus| -> Vec<StepId> {
        state
            .steps
            .iter()
            .filter(|(_, step)| step.run == open.id && step.status == status)
            .map(|(id, _)| StepId::from(id.as_str()))
            .collect()
    };
    let intended = with(StepStatus::Intended);
    let applied = with(StepStatus::Applied);
    let removing = with(StepStatus::Removing);
    let beyond_this_run = intended
        .iter()
        .chain(&applied)
        .chain(&removing)
        .filter(|id| graph.position(id).is_none())
        .cloned()
        .collect();
    Some(Interrupted {
        run: open.id.to_string(),
        intended,
        applied,
        removing,
        beyond_this_run,
    })
}

/// Whether what is recorded of a step is settled: it worked when last looked at, and nothing was begun since. Only then may
/// a step that is observed as present be passed over without calling `ensure`, which records its outputs anew.
#[must_use]
pub fn is_settled(recorded: Option<&StepState>) -> bool {
    recorded.is_some_and(|step| step.status == StepStatus::Ready)
}

/// Whether the outputs recorded of a step may stand in for those of `ensure` when the step is observed as present: an apply
/// is the last thing recorded, or what came after it needs no other outputs.
#[must_use]
pub fn has_outputs(recorded: Option<&StepState>) -> bool {
    recorded.is_some_and(|step| matches!(step.status, StepStatus::Applied | StepStatus::Ready))
}
