//! The CRDs of a chart, applied by pipectl itself; both operators use this.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    blocks::Wants,
    context::StepContext,
    error::StepError,
    health::{Health, judge},
    objects::{OnForeign, remaining},
    operators::removal::definition_kind,
    ports::{objects::ObjectRef, releases::ChartRef},
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

/// Refuses a change that leaves out a version in which the cluster keeps objects: the API server would refuse it with
/// words about storage that help nobody. Strimzi moved from `v1beta2` to `v1` this way (both from 0.49.0, `v1` alone
/// from 1.0.0).
async fn check_stored_versions(cx: &StepContext, crds: &[Value]) -> Result<(), StepError> {
    let live = remaining(cx, &definition_kind()).await?;
    for crd in crds {
        let name = &crd["metadata"]["name"];
        let Some(live) = live.iter().find(|live| live["metadata"]["name"] == *name) else {
            continue;
        };
        if let Some(version) = left_out(crd, live) {
            let known: Vec<&str> = versions(crd).collect();
            return Err(StepError::new(
                "STG012",
                "change",
                ObjectRef::of(crd),
                format!(
                    "the cluster keeps objects of it as {version}, and the new definition knows only {}",
                    known.join(", ")
                ),
            )
            .with_hint(
                "go through a release that serves both versions (Strimzi 0.49.0 to 0.51.0) and convert the objects with \
                 Strimzi's conversion tool, as its upgrade notes say; or take the environment down and bring it up anew",
            ));
        }
    }
    Ok(())
}

fn versions(crd: &Value) -> impl Iterator<Item = &str> {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    versions.filter_map(|version| version["name"].as_str())
}

/// A version in which the live definition keeps objects and that the new one does not have.
fn left_out<'a>(new: &Value, live: &'a Value) -> Option<&'a str> {
    let stored = live["status"]["storedVersions"].as_array()?;
    stored
        .iter()
        .filter_map(Value::as_str)
        .find(|stored| !versions(new).any(|version| version == *stored))
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

    async fn check(&self, cx: &StepContext, objects: &[Value]) -> Result<(), StepError> {
        check_stored_versions(cx, objects).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_leaves_out_a_stored_version_is_found() {
        let new = json!({"spec": {"versions": [{"name": "v1"}]}});
        let live = |stored: Value| json!({"status": {"storedVersions": stored}});
        assert_eq!(left_out(&new, &live(json!(["v1beta2"]))), Some("v1beta2"));
        assert_eq!(left_out(&new, &live(json!(["v1"]))), None);
        assert_eq!(left_out(&new, &json!({})), None);
    }
}
