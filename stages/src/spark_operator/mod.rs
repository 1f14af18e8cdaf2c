//! The Spark operator, which runs Spark applications: its CRDs, its release, its webhook.
//!
//! The release counts as ready only when the webhook can answer: endpoints and a CA bundle. Without them the operator's
//! webhook fails open and volumes are silently dropped (spark-operator#1666, #1907).

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::{Loaded, SparkOperator};
use serde_json::{Value, json};

use crate::{
    blocks::{
        ObjectsStep, ReleaseStep, Row, WantsRelease, pods::of_namespace, release_step::is_of,
        values,
    },
    context::StepContext,
    environment,
    error::StepError,
    health::Health,
    namespaces,
    objects::removal::list,
    operators::definitions,
    ports::{
        objects::{Kind, Selection},
        releases::ChartRef,
    },
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "spark-operator";

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
    let Some(operator) = &spec.spark_operator else {
        return Vec::new();
    };
    let bound = spec.timeouts.spark_operator.duration();
    let release = Release {
        values: chart_values(loaded, operator),
        operator: operator.clone(),
    };
    let jobs = job_namespaces(loaded, operator);
    let namespaces = std::iter::once(&operator.namespace).chain(&jobs);
    let namespaces = namespaces.filter(|namespace| !namespace.is_empty());
    let title = format!("Spark operator {}", operator.version);
    vec![
        ObjectsStep::step(
            Row::new(STAGE, "crds", format!("CRDs of {title}"))
                .needs([environment::settled()])
                .ensured_within(std::time::Duration::from_secs(300))
                .ready_within(bound, 3),
            definitions::OfChart::new(release.chart(), "the Spark operator"),
        ),
        ReleaseStep::step(
            Row::new(STAGE, "operator", title)
                .needs([Need::applied(crds())])
                // The chart makes roles in the job namespaces, so these must exist.
                .needs(namespaces::there(namespaces.map(String::as_str)))
                .ready_within(bound, 40),
            release,
        ),
    ]
}

/// The namespaces whose applications the operator runs; an empty name among them means all (chart's `values.yaml`).
fn job_namespaces(loaded: &Loaded, operator: &SparkOperator) -> Vec<String> {
    let mut namespaces = match &operator.job_namespaces {
        Some(given) if given.is_empty() => vec![String::new()],
        Some(given) => given.clone(),
        None => {
            let applications = loaded.pipeline.spec.spark_applications.iter();
            applications
                .map(|application| application.namespace.clone())
                .collect()
        }
    };
    namespaces.sort();
    namespaces.dedup();
    namespaces
}

/// The chart's values: what pipectl sets, under what the pipeline file says.
#[must_use]
pub fn chart_values(loaded: &Loaded, operator: &SparkOperator) -> Value {
    let mut chart_values = json!({
        "spark": {"jobNamespaces": job_namespaces(loaded, operator)},
        "webhook": {"enable": operator.webhook},
    });
    let image = "ghcr.io/kubeflow/spark-operator/controller";
    let mirrored = loaded.pipeline.spec.mirrors.image(image);
    if mirrored != image {
        let (registry, repository) = values::registry_and_repository(&mirrored);
        chart_values["image"] = json!({"registry": registry, "repository": repository});
    }
    values::merge(&mut chart_values, &Value::Object(operator.values.clone()));
    chart_values
}

struct Release {
    operator: SparkOperator,
    values: Value,
}

#[async_trait]
impl WantsRelease for Release {
    fn name(&self) -> &str {
        &self.operator.release_name
    }

    fn namespace(&self) -> &str {
        &self.operator.namespace
    }

    fn chart(&self) -> ChartRef {
        ChartRef {
            repository: Some(self.operator.chart.repo.clone()),
            name: self.operator.chart.name.clone(),
            version: Some(self.operator.version.to_string()),
        }
    }

    async fn values(&self, _: &StepContext) -> Result<Value, StepError> {
        Ok(self.values.clone())
    }

    async fn further(&self, cx: &StepContext) -> Result<Health, StepError> {
        if self.values["webhook"]["enable"] == true {
            webhook(cx, &self.operator).await
        } else {
            Ok(Health::Ready("no webhook".to_owned()))
        }
    }
}

/// Whether the operator's mutating webhook can answer.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn webhook(cx: &StepContext, operator: &SparkOperator) -> Result<Health, StepError> {
    let selection = Selection {
        kind: Kind::new(
            "admissionregistration.k8s.io",
            "",
            "MutatingWebhookConfiguration",
        ),
        namespace: None,
        labels: None,
    };
    let configurations = list(cx, &selection).await?;
    let ours = configurations
        .iter()
        .find(|configuration| is_of(configuration, &operator.release_name));
    let Some(configuration) = ours else {
        return Ok(Health::waiting("its webhook is not registered yet"));
    };
    let slices = list(
        cx,
        &of_namespace("discovery.k8s.io", "EndpointSlice", &operator.namespace),
    )
    .await?;
    Ok(judge_webhook(configuration, &slices))
}

fn judge_webhook(configuration: &Value, slices: &[Arc<Value>]) -> Health {
    let hooks: Vec<&Value> = configuration["webhooks"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if hooks.is_empty() {
        return Health::waiting("its webhook is not registered yet");
    }
    for hook in hooks {
        let client = &hook["clientConfig"];
        if client["caBundle"].as_str().unwrap_or_default().is_empty() {
            return Health::waiting("its webhook has no CA bundle yet");
        }
        let service = client["service"]["name"].as_str().unwrap_or_default();
        if !service.is_empty() && ready_endpoints(slices, service) == 0 {
            return Health::waiting(format!(
                "service {service} of its webhook has no endpoints yet"
            ));
        }
    }
    Health::Ready("webhook answers".to_owned())
}

/// How many ready endpoints a service has. An endpoint without the condition counts as ready (API reference,
/// `EndpointConditions.ready`).
#[must_use]
pub fn ready_endpoints(slices: &[Arc<Value>], service: &str) -> usize {
    slices
        .iter()
        .filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service)
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten())
        .filter(|endpoint| endpoint["conditions"]["ready"] != false)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhook_needs_a_ca_bundle_and_endpoints() {
        let configuration = |bundle: &str| json!({"webhooks": [{"clientConfig": {"caBundle": bundle, "service": {"name": "hook"}}}]});
        let slice = |ready: bool| {
            Arc::new(
                json!({"metadata": {"labels": {"kubernetes.io/service-name": "hook"}},
                "endpoints": [{"conditions": {"ready": ready}}]}),
            )
        };
        assert_eq!(
            judge_webhook(&configuration(""), &[slice(true)]),
            Health::waiting("its webhook has no CA bundle yet")
        );
        assert_eq!(
            judge_webhook(&configuration("Q0E="), &[slice(false)]),
            Health::waiting("service hook of its webhook has no endpoints yet")
        );
        assert!(judge_webhook(&configuration("Q0E="), &[slice(true)]).is_ready());
        assert!(!judge_webhook(&json!({}), &[]).is_ready());
    }
}
