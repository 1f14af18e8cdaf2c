//! Programs beside Kafka and Spark: manifests, inline objects, Helm charts.
//!
//! One step for a workload's objects and one for each of its charts. They are applied as soon as their namespaces are
//! there; what they talk to may come later, as on any cluster.

pub mod manifests;
pub mod removal;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::{HelmRelease, Loaded, ManifestObject, Workload};
use serde_json::{Value, json};

use crate::{
    blocks::{ObjectsStep, ReleaseStep, Row, WantsRelease, values},
    context::StepContext,
    environment,
    error::StepError,
    kafka, namespaces,
    ports::releases::ChartRef,
    spark_operator,
    step::{Need, Step, StepId},
    strimzi,
};

/// The stage's name.
pub const STAGE: &str = "workloads";

/// The step of a workload's objects.
#[must_use]
pub fn step_of(workload: &str) -> StepId {
    StepId::new(STAGE, workload)
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let bound = spec.timeouts.workloads.duration();
    let mut steps = Vec::new();
    for workload in spec.workloads.iter().filter(|workload| workload.enabled) {
        let objects = loaded.workload_objects(&workload.name);
        if !objects.is_empty() {
            let row = Row::new(STAGE, &workload.name, &workload.name)
                .needs(needs_of(loaded, &workload.namespace, objects))
                .ready_within(bound, 60);
            let wants = manifests::Manifests::new(loaded, &workload.namespace, objects);
            steps.push(ObjectsStep::step(row, wants));
        }
        for chart in &workload.charts {
            let name = format!("{}/{}", workload.name, chart.name);
            let row = Row::new(STAGE, &name, format!("{} {}", chart.chart, chart.version))
                .needs(needs_of(loaded, &workload.namespace, &[]))
                .ready_within(bound, 60);
            steps.push(ReleaseStep::step(
                row,
                Chart {
                    loaded: loaded.clone(),
                    workload: workload.clone(),
                    chart: chart.clone(),
                },
            ));
        }
    }
    steps
}

/// What these objects need: their namespaces, the pipeline's Secrets, and the operators whose kinds they use.
#[must_use]
pub fn needs_of(loaded: &Loaded, namespace: &str, objects: &[ManifestObject]) -> Vec<Need> {
    let spec = &loaded.pipeline.spec;
    let declared: BTreeSet<&str> = spec
        .namespaces
        .iter()
        .map(|declared| declared.name.as_str())
        .collect();
    let used: BTreeSet<&str> = objects
        .iter()
        .map(|object| object.namespace().unwrap_or(namespace))
        .chain([namespace])
        .filter(|used| declared.contains(used))
        .collect();
    let mut needs = vec![environment::settled()];
    if spec
        .secrets
        .iter()
        .any(|secret| used.contains(secret.namespace.as_str()))
    {
        needs.push(Need::applied(namespaces::secrets()));
    }
    needs.extend(namespaces::there(used));
    let uses = |group: &str| {
        let prefix = format!("{group}/");
        objects
            .iter()
            .any(|object| object.api_version().starts_with(&prefix))
    };
    if uses(kafka::GROUP) && spec.strimzi.is_some() {
        needs.push(Need::ready(strimzi::crds()));
    }
    if uses(pipectl_kinds::spark::GROUP) && spec.spark_operator.is_some() {
        // The operator's webhook must answer before it sees its first application.
        needs.push(Need::ready(spark_operator::operator()));
    }
    needs
}

struct Chart {
    loaded: Arc<Loaded>,
    workload: Workload,
    chart: HelmRelease,
}

#[async_trait]
impl WantsRelease for Chart {
    fn name(&self) -> &str {
        &self.chart.name
    }

    fn namespace(&self) -> &str {
        &self.workload.namespace
    }

    fn chart(&self) -> ChartRef {
        ChartRef {
            repository: Some(self.chart.repo.clone()),
            name: self.chart.chart.clone(),
            version: Some(self.chart.version.clone()),
        }
    }

    async fn values(&self, cx: &StepContext) -> Result<Value, StepError> {
        let mut chart_values = Value::Object(self.chart.values.clone());
        for secret in &self.chart.secret_values {
            let value = values::resolve(cx, &self.loaded, &secret.secret_ref).await?;
            values::put(&mut chart_values, &secret.path, json!(value.expose()));
        }
        Ok(chart_values)
    }

    fn workloads(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("apps", "Deployment"),
            ("apps", "StatefulSet"),
            ("apps", "DaemonSet"),
        ]
    }

    fn may_be_empty(&self) -> bool {
        true
    }
}
