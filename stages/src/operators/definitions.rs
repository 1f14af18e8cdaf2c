//! The CRDs of a chart, applied by pipectl itself; both operators use this.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    blocks::Wants,
    context::StepContext,
    error::StepError,
    health::{Health, judge},
    objects::OnForeign,
    ports::releases::ChartRef,
};

/// The CRDs that a chart ships.
pub struct OfChart {
    chart: ChartRef,
    whose: &'static str,
}

impl OfChart {
    /// The CRDs of this chart; `whose` names the operator for a person.
    #[must_use]
    pub fn new(chart: ChartRef, whose: &'static str) -> Self {
        Self { chart, whose }
    }
}

#[async_trait]
impl Wants for OfChart {
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError> {
        let chart = format!(
            "chart {} {}",
            self.chart.name,
            self.chart.version.as_deref().unwrap_or_default()
        );
        let crds = cx.ports.releases.crds(&self.chart).await;
        let mut crds = crds.map_err(|error| error.during("read the CRDs of", &chart))?;
        crds.retain(|crd| crd["kind"] == "CustomResourceDefinition");
        for crd in &mut crds {
            // Status is the API server's; some charts ship an empty one.
            if let Some(crd) = crd.as_object_mut() {
                crd.shift_remove("status");
            }
        }
        if crds.is_empty() {
            return Err(StepError::new(
                "STG008",
                "read the CRDs of",
                chart,
                "the chart ships none in its crds folder",
            )
            .with_hint("check the chart's name and version: is it the operator's own chart?"));
        }
        Ok(crds)
    }

    /// CRDs that somebody else installed serve as well; they are neither changed nor deleted.
    fn on_foreign(&self) -> OnForeign {
        OnForeign::UseAsItIs
    }

    fn summary(&self, objects: &[Value]) -> String {
        format!("{} CRDs", objects.len())
    }

    fn facts(&self, objects: &[Value]) -> Value {
        let names: Vec<&Value> = objects.iter().map(|crd| &crd["metadata"]["name"]).collect();
        json!({"crds": names})
    }

    async fn judge(&self, cx: &StepContext, live: &Arc<Value>) -> Result<Health, StepError> {
        let health = judge(live);
        if !health.is_ready() {
            return Ok(health);
        }
        // Established and not in discovery yet: the next step's first request would be refused (no matches for kind).
        let group = live["spec"]["group"].as_str().unwrap_or_default();
        let kind = live["spec"]["names"]["kind"].as_str().unwrap_or_default();
        let served = cx.ports.objects.served(group, kind).await;
        let served = served.map_err(|error| error.during("discover", format!("kind {kind}")))?;
        Ok(match served {
            Some(_) => health,
            None => Health::waiting(format!("{kind} is not served yet")),
        })
    }

    fn ready_words(&self, words: Vec<String>) -> String {
        format!("{} CRDs of {} established", words.len(), self.whose)
    }
}
