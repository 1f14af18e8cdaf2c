//! The Strimzi operator, which runs Kafka: its CRDs, applied server-side (Helm never upgrades them, strimzi#10370), then
//! its release.

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::{Loaded, Strimzi};
use serde_json::{Value, json};

use crate::{
    blocks::{ObjectsStep, ReleaseStep, Row, WantsRelease, values},
    context::StepContext,
    environment,
    error::StepError,
    namespaces,
    operators::definitions,
    ports::releases::ChartRef,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "strimzi";

/// The step of the operator's CRDs.
#[must_use]
pub fn crds() -> StepId {
    StepId::new(STAGE, "crds")
}

/// The step of the operator itself.
#[must_use]
pub fn operator() -> StepId {
    StepId::new(STAGE, "operator")
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let Some(strimzi) = &spec.strimzi else {
        return Vec::new();
    };
    let bound = spec.timeouts.strimzi.duration();
    let release = Release {
        strimzi: strimzi.clone(),
        values: chart_values(loaded, strimzi),
    };
    let watched = watched(loaded, strimzi);
    let namespaces = std::iter::once(&strimzi.namespace).chain(&watched);
    vec![
        ObjectsStep::step(
            Row::new(
                STAGE,
                "crds",
                format!("CRDs of Strimzi {}", strimzi.version),
            )
            .needs([environment::settled()])
            .ensured_within(std::time::Duration::from_secs(300))
            .ready_within(bound, 3),
            definitions::OfChart::new(release.chart(), "Strimzi"),
        ),
        ReleaseStep::step(
            Row::new(STAGE, "operator", format!("Strimzi {}", strimzi.version))
                .needs([Need::applied(crds())])
                .needs(namespaces::there(namespaces.map(String::as_str)))
                .ready_within(bound, 40),
            release,
        ),
    ]
}

/// The namespaces that the operator watches besides its own. Naming its own again makes the chart fail: it would make
/// the same role bindings twice (comment in the chart's `values.yaml`).
fn watched(loaded: &Loaded, strimzi: &Strimzi) -> Vec<String> {
    let kafka = loaded.pipeline.spec.kafka.as_ref();
    let mut watched = strimzi.watch_namespaces.clone().unwrap_or_else(|| {
        kafka
            .map(|kafka| kafka.namespace.clone())
            .into_iter()
            .collect()
    });
    watched.retain(|namespace| *namespace != strimzi.namespace);
    watched.sort();
    watched.dedup();
    watched
}

/// The chart's values: what pipectl sets, under what the pipeline file says.
#[must_use]
pub fn chart_values(loaded: &Loaded, strimzi: &Strimzi) -> Value {
    let mut chart_values = json!({"watchNamespaces": watched(loaded, strimzi)});
    let images = "quay.io/strimzi";
    let mirrored = loaded.pipeline.spec.mirrors.image(images);
    if mirrored != images {
        let (registry, repository) = values::registry_and_repository(&mirrored);
        chart_values["defaultImageRegistry"] = json!(registry);
        chart_values["defaultImageRepository"] = json!(repository);
    }
    values::merge(&mut chart_values, &Value::Object(strimzi.values.clone()));
    chart_values
}

struct Release {
    strimzi: Strimzi,
    values: Value,
}

#[async_trait]
impl WantsRelease for Release {
    fn name(&self) -> &str {
        &self.strimzi.release_name
    }

    fn namespace(&self) -> &str {
        &self.strimzi.namespace
    }

    fn chart(&self) -> ChartRef {
        ChartRef {
            repository: Some(self.strimzi.chart.repo.clone()),
            name: self.strimzi.chart.name.clone(),
            version: Some(self.strimzi.version.to_string()),
        }
    }

    async fn values(&self, _: &StepContext) -> Result<Value, StepError> {
        Ok(self.values.clone())
    }
}
