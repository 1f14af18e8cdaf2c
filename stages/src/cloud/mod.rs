//! What the stages on AWS are made of: ownership in tags, deterministic names, client tokens, the pace of time, and two
//! blocks, one for a resource that is to be there and one for what is to go.

pub mod candidates;
pub mod lost;
pub mod names;
pub(crate) mod obsolete;
pub mod pace;
pub mod removal;
pub mod resource;
pub(crate) mod role;
pub mod scope;
pub mod tags;
pub(crate) mod update;

use serde_json::Value;

use crate::{
    context::StepContext,
    error::{Retry, StepError},
    ports::cloud::Cloud,
    step::StepId,
};

pub use pace::Pace;
pub use removal::{CloudRemoval, Remnant, Removed, Unwanted};
pub use resource::{CloudStep, Look, Resource};

/// Code of "something that an earlier step makes is not known yet".
pub const NOT_KNOWN: &str = "CLD002";

/// What the stages on AWS are told besides the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudOptions {
    /// How fast the account's time runs.
    pub pace: Pace,
    /// Where the environment's state is kept, for its anchor.
    pub state_url: Option<String>,
}

/// The ways to the AWS account.
///
/// # Errors
/// `CLD001` when this run has none.
pub fn cloud(cx: &StepContext) -> Result<&Cloud, StepError> {
    cx.ports.cloud.as_ref().ok_or_else(|| {
        StepError::new(
            "CLD001",
            "use",
            "the AWS account",
            "this run was begun without a way to AWS",
        )
    })
}

/// A text that another step put into its outputs.
///
/// # Errors
/// `CLD002` when that step did not run yet.
pub fn known(cx: &StepContext, step: &StepId, key: &str) -> Result<String, StepError> {
    text(cx, step, key).ok_or_else(|| {
        StepError::new(
            NOT_KNOWN,
            "look up",
            format!("{key} of {step}"),
            format!("known after {step}"),
        )
        .with_retry(Retry::AfterChange)
    })
}

/// A text that another step put into its outputs, if it did.
#[must_use]
pub fn text(cx: &StepContext, step: &StepId, key: &str) -> Option<String> {
    cx.output_of(step.as_str())?[key]
        .as_str()
        .map(str::to_owned)
}

/// The error of something that would begin while the run is being cancelled.
#[must_use]
pub(crate) fn cut_off(doing: &str, what: impl std::fmt::Display) -> StepError {
    StepError::new("STG009", doing, what, "the run is being cancelled")
}

/// A list of texts that another step put into its outputs; empty when it did not.
#[must_use]
pub fn texts(cx: &StepContext, step: &StepId, key: &str) -> Vec<String> {
    let list = cx.output_of(step.as_str()).map(|outputs| &outputs[key]);
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}
