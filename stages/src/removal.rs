//! What a removal is: the unit of work of the down graph, which has steps of its own.
//!
//! Removal works from the inventory (what carries the environment's ownership), not from the pipeline file: it must
//! find everything with the recorded outputs, with none, and after a half-finished create.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    context::StepContext,
    error::StepError,
    step::{Need, StepId, Timeouts},
};

/// How far a removal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalProgress {
    /// Something is still there; held by what, in words.
    InProgress {
        /// e.g. `3 pods ending · KafkaTopic streaming-topic: finalizer strimzi.io/topic-operator`
        waiting_for: String,
        /// (gone, total), where it can count.
        count: Option<(u32, u32)>,
    },
    /// All of it is gone; one line for a person, e.g. `3 topics`.
    Gone(String),
    /// It cannot go away without help.
    Stuck(Box<StepError>),
}

/// The unit of work of the down graph.
#[async_trait]
pub trait Removal: Send + Sync {
    /// Stable key in the journal, e.g. `kafka/topics`.
    fn id(&self) -> &StepId;

    /// What it removes, for a person.
    fn title(&self) -> String;

    /// What must be gone (`Milestone::Ready`) or asked to go (`Milestone::Applied`) before.
    fn needs(&self) -> Vec<Need>;

    /// Whether it begins even when something it needs failed or was withheld, once all of that has ended: a look at what
    /// is left, above all where something is left.
    fn regardless(&self) -> bool {
        false
    }

    /// The bounds of its waits.
    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }

    /// How often progress is asked when nothing announces a change.
    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    /// Ask for the removal. Idempotent. Answers how many things were asked to go.
    async fn start(&self, cx: &StepContext) -> Result<u32, StepError>;

    /// How far it is; may help along (strip a finalizer whose controller is gone, and say so through `cx.progress`).
    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError>;
}
