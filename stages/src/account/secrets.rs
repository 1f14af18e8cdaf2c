//! Every secret value that the pipeline refers to is asked for before anything is made: one that is missing would otherwise be
//! found out a quarter of an hour later, beside a cluster that costs money.

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::json;

use crate::{
    blocks::{Row, values},
    context::StepContext,
    error::StepError,
    step::{Change, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// The step that asks. It keeps nothing: whoever needs a value resolves it again, which within one run gives the same.
pub(super) struct Secrets {
    row: Row,
    loaded: Arc<Loaded>,
}

impl Secrets {
    /// The step; none where the pipeline refers to no secret.
    pub(super) fn step(row: Row, loaded: &Arc<Loaded>) -> Option<Arc<dyn Step>> {
        if values::references(loaded).is_empty() {
            return None;
        }
        let loaded = loaded.clone();
        Some(Arc::new(Self { row, loaded }))
    }

    /// How many there are, when all of them can be had. Of several that cannot, the first is the error and the others its
    /// evidence.
    async fn look(&self, cx: &StepContext) -> Result<usize, StepError> {
        let references = values::references(&self.loaded);
        let mut first: Option<StepError> = None;
        for reference in &references {
            let Err(error) = values::resolve(cx, &self.loaded, reference).await else {
                continue;
            };
            match &mut first {
                None => first = Some(error),
                Some(first) => first.evidence.push(error.to_string()),
            }
        }
        match first {
            None => Ok(references.len()),
            Some(error) => Err(error),
        }
    }
}

fn words(count: usize) -> String {
    match count {
        1 => "1 value at hand".to_owned(),
        many => format!("{many} values at hand"),
    }
}

#[async_trait]
impl Step for Secrets {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        self.look(cx).await?;
        Ok(Observation::Present)
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        Ok(Outcome {
            change: Change::Unchanged,
            outputs: json!({}),
            summary: words(self.look(cx).await?),
        })
    }

    async fn readiness(&self, _: &StepContext) -> Result<Readiness, StepError> {
        let count = values::references(&self.loaded).len();
        Ok(Readiness::Ready(words(count)))
    }
}
