//! A step that waits for more, and longer, than its own stage knows of.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    context::StepContext,
    error::StepError,
    step::{Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts, Wanted},
};

/// A step with further needs or a longer bound; everything else is the step's own.
pub(crate) struct After {
    step: Arc<dyn Step>,
    needs: Vec<Need>,
    longer: Duration,
    ground: Vec<StepId>,
}

impl After {
    /// The step, waiting for `needs` besides its own.
    pub(crate) fn step(step: Arc<dyn Step>, needs: Vec<Need>) -> Arc<dyn Step> {
        Arc::new(Self {
            step,
            needs,
            longer: Duration::ZERO,
            ground: Vec::new(),
        })
    }

    /// The step, its readiness bounded by so much more than by itself.
    pub(crate) fn longer(step: Arc<dyn Step>, longer: Duration) -> Arc<dyn Step> {
        Arc::new(Self {
            step,
            needs: Vec::new(),
            longer,
            ground: Vec::new(),
        })
    }

    /// The step, standing on these: it begins without them, and never becomes ready without at least one of them.
    pub(crate) fn standing_on(step: Arc<dyn Step>, ground: &[StepId]) -> Arc<dyn Step> {
        Arc::new(Self {
            step,
            needs: Vec::new(),
            longer: Duration::ZERO,
            ground: ground.to_vec(),
        })
    }
}

#[async_trait]
impl Step for After {
    fn id(&self) -> &StepId {
        self.step.id()
    }

    fn title(&self) -> String {
        self.step.title()
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.step.needs();
        needs.extend(self.needs.iter().cloned());
        needs
    }

    fn stands_on(&self) -> Vec<StepId> {
        let mut ground = self.step.stands_on();
        ground.extend(self.ground.iter().cloned());
        ground
    }

    fn timeouts(&self) -> Timeouts {
        let own = self.step.timeouts();
        Timeouts {
            ready: own.ready + self.longer,
            ..own
        }
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.step.poll_interval()
    }

    fn beside_a_stranger(&self) -> Option<String> {
        self.step.beside_a_stranger()
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        self.step.observe(cx).await
    }

    async fn ensure(&self, cx: &StepContext, observed: &Observation) -> Result<Outcome, StepError> {
        self.step.ensure(cx, observed).await
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        self.step.readiness(cx).await
    }

    async fn standing_outputs(&self, cx: &StepContext) -> Result<Option<Value>, StepError> {
        self.step.standing_outputs(cx).await
    }

    async fn wants(&self, cx: &StepContext) -> Result<Wanted, StepError> {
        self.step.wants(cx).await
    }

    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        self.step.diff(cx).await
    }
}
