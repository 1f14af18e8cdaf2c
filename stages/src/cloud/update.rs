//! Changes that EKS carries out by itself, one at a time: of a cluster, of a node group, of an add-on.

use std::time::Duration;

use super::cut_off;
use crate::{
    context::StepContext,
    error::{PortError, PortErrorKind, Retry, StepError},
    ports::cloud::{Issue, UpdateProgress},
};

/// A change that was begun.
pub(crate) struct Update<'a> {
    /// What is changed, e.g. `node group default-0a1b2c3d`.
    pub(crate) what: &'a str,
    /// What is done to it, for the error: `the change`.
    pub(crate) doing: &'a str,
    /// What is said meanwhile.
    pub(crate) says: &'a str,
    /// Code of the error when EKS gives it up.
    pub(crate) code: &'static str,
    /// What a person can do about the first issue that EKS names, by its code.
    pub(crate) hint: fn(Option<&str>) -> &'static str,
    /// Pause between two looks.
    pub(crate) pause: Duration,
}

/// The error of a change that EKS did not take. While another one is under way, this one comes after it.
pub(crate) fn not_begun(error: PortError, what: &str) -> StepError {
    let busy = error.kind == PortErrorKind::Conflict;
    let error = error.during("change", what);
    if busy {
        error.with_retry(Retry::Soon)
    } else {
        error
    }
}

/// What is there, once it takes changes: a change that an interrupted run has begun goes on without it, and EKS refuses every
/// other one meanwhile. As `live` was where it is gone.
///
/// # Errors
/// `STG009` when the run is cancelled; what a look fails with.
pub(crate) async fn settled<L, F>(
    cx: &StepContext,
    what: &str,
    pause: Duration,
    mut live: L,
    busy: impl Fn(&L) -> bool + Send,
    look: impl Fn() -> F + Send,
) -> Result<L, StepError>
where
    L: Send,
    F: Future<Output = Result<Option<L>, StepError>> + Send,
{
    while busy(&live) {
        if cx.cancel.is_cancelled() {
            return Err(cut_off("change", what));
        }
        cx.progress(format!(
            "{what} takes no change yet: an earlier one is under way"
        ));
        tokio::time::sleep(pause).await;
        match look().await? {
            Some(found) => live = found,
            None => break,
        }
    }
    Ok(live)
}

impl Update<'_> {
    /// Waits until the change is carried out, asking `look` how far it is; one that EKS does not know any more counts as
    /// done. What is under way goes on when the run is cancelled.
    ///
    /// # Errors
    /// The update's own code when EKS gives it up; `STG009` when the run is cancelled; what a look fails with.
    pub(crate) async fn carried_out<L, F>(&self, cx: &StepContext, look: L) -> Result<(), StepError>
    where
        L: Fn() -> F + Send,
        F: Future<Output = Result<Option<UpdateProgress>, PortError>> + Send,
    {
        loop {
            let progress = look().await;
            match progress.map_err(|error| error.during("change", self.what))? {
                Some(UpdateProgress::InProgress) if cx.cancel.is_cancelled() => {
                    return Err(cut_off("change", self.what));
                }
                Some(UpdateProgress::InProgress) => {
                    cx.progress(self.says);
                    tokio::time::sleep(self.pause).await;
                }
                Some(UpdateProgress::Failed(issues)) => return Err(self.given_up(&issues)),
                Some(UpdateProgress::Successful) | None => return Ok(()),
            }
        }
    }

    fn given_up(&self, issues: &[Issue]) -> StepError {
        let first = issues.first();
        let cause = first.map_or_else(
            || format!("EKS gave up {} and does not say why", self.doing),
            |reason| {
                format!(
                    "EKS gave up {}: {}: {}",
                    self.doing, reason.code, reason.message
                )
            },
        );
        StepError::new(self.code, "change", self.what, cause)
            .with_evidence(issues.iter().map(ToString::to_string).collect())
            .with_hint((self.hint)(first.map(|issue| issue.code.as_str())))
    }
}
