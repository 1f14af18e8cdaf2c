//! A step of the up graph that removes what the pipeline does not want any more.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{CloudStep, Look, NOT_KNOWN, Remnant, Resource, Unwanted};
use crate::{
    blocks::Row,
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    step::{Change, Difference, Readiness, Step},
};

/// A step that removes what is not wanted any more, and waits until it is gone.
pub(crate) struct Obsolete<U> {
    unwanted: U,
    pause: Duration,
}

impl<U: Unwanted> Obsolete<U> {
    /// The step of this row.
    pub(crate) fn step(row: Row, pause: Duration, unwanted: U) -> Arc<dyn Step> {
        CloudStep::step(row, pause, Self { unwanted, pause })
    }

    /// What is left to remove; nothing to say where there is nothing.
    fn words(live: &[Remnant]) -> String {
        let words: Vec<&str> = live.iter().map(|remnant| remnant.words.as_str()).collect();
        words.join(", ")
    }
}

#[async_trait]
impl<U: Unwanted> Resource for Obsolete<U> {
    type Live = Vec<Remnant>;

    async fn look(&self, cx: &StepContext) -> Result<Look<Vec<Remnant>>, StepError> {
        match self.unwanted.remaining(cx).await {
            Ok(remaining) => Ok(Look::there(remaining)),
            // Where that is not made yet which it would hang on, there is nothing to remove.
            Err(error) if error.code == NOT_KNOWN => Ok(Look::there(Vec::new())),
            Err(error) => Err(error),
        }
    }

    async fn identity(&self, _: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({}))
    }

    async fn create(
        &self,
        _: &StepContext,
        _: u32,
    ) -> Result<Result<Vec<Remnant>, PortError>, StepError> {
        // The look always answers one, be it empty.
        Ok(Ok(Vec::new()))
    }

    async fn differences(
        &self,
        _: &StepContext,
        live: &Vec<Remnant>,
    ) -> Result<Vec<Difference>, StepError> {
        Ok(live
            .iter()
            .map(|remnant| Difference {
                resource: remnant.words.clone(),
                field: None,
                live: Some("present".to_owned()),
                wanted: None,
                change: Change::Removed,
            })
            .collect())
    }

    /// Removes all of it, one after what holds it.
    async fn mend(
        &self,
        cx: &StepContext,
        mut live: Vec<Remnant>,
    ) -> Result<Vec<Remnant>, StepError> {
        while !live.is_empty() {
            if cx.cancel.is_cancelled() {
                return Err(super::cut_off("delete", &live[0].words));
            }
            for remnant in live.iter().filter(|remnant| !remnant.going) {
                match self.unwanted.remove(cx, remnant).await? {
                    Ok(_) => {}
                    Err(error) if error.kind == PortErrorKind::InUse => {}
                    Err(error) => return Err(error.during("delete", &remnant.words)),
                }
            }
            cx.progress(format!("{} is being deleted", live[0].words));
            tokio::time::sleep(self.pause).await;
            live = self.unwanted.remaining(cx).await?;
        }
        Ok(live)
    }

    fn outputs(&self, _: &StepContext, _: &Vec<Remnant>) -> Value {
        json!({})
    }

    fn summary(&self, live: &Vec<Remnant>) -> String {
        Self::words(live)
    }

    fn works(&self, live: &Vec<Remnant>) -> Option<String> {
        live.is_empty().then(|| self.unwanted.gone())
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let left = self.unwanted.remaining(cx).await?;
        Ok(match left.first() {
            None => Readiness::Ready(String::new()),
            Some(remnant) => Readiness::waiting(format!("{} is being deleted", remnant.words)),
        })
    }
}
