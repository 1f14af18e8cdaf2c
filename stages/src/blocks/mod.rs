//! What most steps are made of: a set of objects, or a Helm release. A stage says what it wants; the block observes,
//! ensures, waits and shows differences.

pub(crate) mod after;
pub mod objects_removal;
pub mod objects_step;
pub mod pods;
pub mod release_step;
pub mod values;

use std::time::Duration;

use crate::step::{Need, StepId, Timeouts};

pub use objects_step::{ObjectsStep, Wants};
pub use release_step::{ReleaseStep, WantsRelease};

/// One row of a stage's table: who the step is, what it waits for, how long it may take.
#[derive(Debug, Clone)]
pub struct Row {
    /// The step's key.
    pub id: StepId,
    /// What it makes, for a person.
    pub title: String,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// The bounds of its waits.
    pub timeouts: Timeouts,
}

impl Row {
    /// The row of step `stage/name`.
    #[must_use]
    pub fn new(stage: &str, name: &str, title: impl Into<String>) -> Self {
        Self {
            id: StepId::new(stage, name),
            title: title.into(),
            needs: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }

    /// Waits for these milestones.
    #[must_use]
    pub fn needs(mut self, needs: impl IntoIterator<Item = Need>) -> Self {
        self.needs.extend(needs);
        self
    }

    /// From applied to ready: at most so long, usually so long.
    #[must_use]
    pub fn ready_within(mut self, bound: Duration, expected_seconds: u64) -> Self {
        self.timeouts.ready = bound;
        self.timeouts.expected = Duration::from_secs(expected_seconds);
        self
    }

    /// Bound of observe and ensure together.
    #[must_use]
    pub fn ensured_within(mut self, bound: Duration) -> Self {
        self.timeouts.ensure = bound;
        self
    }
}
