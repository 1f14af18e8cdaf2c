//! What one run knows of one step.

use pipectl_stages::{Need, StepError, StepId};
use pipectl_state::StepState;
use tokio::sync::watch;

use super::{event::Phase, recovery};

/// Words and counts, as they are compared to say nothing twice.
pub(super) type Said = (String, Option<(u32, u32)>);

/// The bookkeeping of one step in this run.
#[derive(Default)]
pub(super) struct NodeRun {
    /// What is recorded of it is settled: a run that finds it as it should be need not write anything.
    pub(super) settled: bool,
    /// Outputs are recorded that may stand in for those of `ensure`.
    pub(super) has_outputs: bool,
    /// It recorded an intent in this run.
    pub(super) intended: bool,
    /// Nothing of it stands in the journal for this run, because nothing of it changed.
    pub(super) quiet: bool,
    /// Something was made, changed or removed.
    pub(super) changed: bool,
    /// How many things a removal asked to go.
    pub(super) asked: u32,
    pub(super) released_ms: u64,
    pub(super) released_by: Option<Need>,
    pub(super) started_ms: Option<u64>,
    pub(super) applied_ms: Option<u64>,
    pub(super) ready_ms: Option<u64>,
    pub(super) ended_ms: Option<u64>,
    pub(super) failure: Option<(Phase, StepError)>,
    /// It was not begun because of another's failure.
    pub(super) withheld: bool,
    /// Tells its wait that nothing of what it stands on will come: the step whose failure took the last of it.
    pub(super) ground_lost: watch::Sender<Option<StepId>>,
    /// Its call was still going on when it was dropped.
    pub(super) in_flight: bool,
    said: Option<Said>,
}

impl NodeRun {
    pub(super) fn new(recorded: Option<&StepState>) -> Self {
        Self {
            settled: recovery::is_settled(recorded),
            has_outputs: recovery::has_outputs(recorded),
            ..Self::default()
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.started_ms.is_some() && self.ended_ms.is_none()
    }

    /// Whether these words are new.
    pub(super) fn says(&mut self, said: &Said) -> bool {
        if self.said.as_ref() == Some(said) {
            return false;
        }
        self.said = Some(said.clone());
        true
    }
}
