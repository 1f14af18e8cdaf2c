//! Verification: every check that a person would make by hand, with what was expected, what was seen and the command to
//! look for oneself.
//!
//! Reading checks run with every `up`. Probes that write (a message produced and consumed) run after changes, or when
//! asked for. What needs a running program is `not checkable here` where pods are simulated, and never counted as
//! success.

mod check;
mod clients;
mod extra;
mod kafka;
mod look;
mod probes;
mod spark;
mod workloads;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use check::{Check, NOT_CHECKABLE};

use crate::{
    blocks::Row,
    context::StepContext,
    error::StepError,
    findings::{Finding, Verdict},
    objects::digest,
    step::{Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};
use look::Look;

/// The stage's name.
pub const STAGE: &str = "verification";

/// The step of all checks.
#[must_use]
pub fn checks() -> StepId {
    StepId::new(STAGE, "checks")
}

/// The step of all checks.
#[must_use]
pub fn step(loaded: &Arc<Loaded>, needs: Vec<Need>, forced: bool) -> Arc<dyn Step> {
    let bound = loaded.pipeline.spec.timeouts.verification.duration();
    let row = Row::new(STAGE, "checks", "checks")
        .needs(needs)
        .ensured_within(bound)
        .ready_within(Duration::from_secs(60), 5);
    Arc::new(Verification {
        row,
        loaded: loaded.clone(),
        forced,
    })
}

struct Verification {
    row: Row,
    loaded: Arc<Loaded>,
    forced: bool,
}

impl Verification {
    /// Digest of what the other steps recorded: whether anything changed since the last verification.
    fn basis(cx: &StepContext) -> String {
        let others: serde_json::Map<String, Value> = cx
            .outputs
            .iter()
            .filter(|(step, _)| *step != cx.step.as_str())
            .map(|(step, outputs)| (step.clone(), outputs.clone()))
            .collect();
        digest(&Value::Object(others))
    }

    async fn look(&self, cx: &StepContext) -> Result<Vec<Check>, StepError> {
        let spec = &self.loaded.pipeline.spec;
        let wanted = &spec.verification.checks;
        let look = Look::take(cx, &self.loaded).await?;
        let mut checks = Vec::new();
        if wanted.kafka {
            checks.extend(kafka::cluster(&look));
        }
        if wanted.topics {
            checks.extend(kafka::topics(&look));
        }
        if wanted.pods {
            checks.extend(workloads::pods(&look));
            checks.extend(workloads::replicas(&look));
        }
        if wanted.services {
            checks.extend(workloads::services(&look));
        }
        if wanted.spark_applications {
            checks.extend(spark::applications(&look));
        }
        if wanted.client_addresses {
            checks.extend(clients::addresses(&look));
        }
        checks.extend(extra::reading(cx, &look).await?);
        Ok(checks)
    }

    async fn probe(&self, cx: &StepContext, changed: bool) -> Result<Vec<Check>, StepError> {
        let look = Look::take(cx, &self.loaded).await?;
        let mut checks = probes::all(cx, &look, changed).await;
        checks.extend(spark::consumption(&look));
        Ok(checks)
    }
}

#[async_trait]
impl Step for Verification {
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

    /// Never `Present`: what was verified once is looked at again.
    async fn observe(&self, _: &StepContext) -> Result<Observation, StepError> {
        Ok(Observation::Partial(Vec::new()))
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let patience = self.loaded.pipeline.spec.verification.timeout.duration();
        let deadline = Instant::now() + patience.min(self.row.timeouts.ensure / 2);
        let mut changes = cx.ports.objects.changes();
        // What was applied a moment ago may not have settled: a failed check is looked at again until time is up.
        let mut checks = loop {
            let checks = self.look(cx).await?;
            let failed: Vec<&Check> = checks.iter().filter(|check| check.failed()).collect();
            let Some(first) = failed.first() else {
                break checks;
            };
            if Instant::now() >= deadline || cx.cancel.is_cancelled() {
                break checks;
            }
            let total = u32::try_from(checks.len()).unwrap_or(u32::MAX);
            let done = total - u32::try_from(failed.len()).unwrap_or(total);
            cx.progress_count(format!("{}: {}", first.title, first.seen), done, total);
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        };
        let basis = Self::basis(cx);
        let last = cx.recorded().map(|outputs| &outputs["basis"]);
        let changed = self.forced || last.is_none_or(|last| *last != json!(basis));
        checks.extend(self.probe(cx, changed).await?);

        let count = |verdict| {
            checks
                .iter()
                .filter(|check| check.verdict == verdict)
                .count()
        };
        let (passed, open) = (count(Verdict::Passed), count(Verdict::NotCheckable));
        for check in &checks {
            cx.sink.finding(&cx.step, Finding::Check(check.result()));
        }
        Ok(Outcome {
            change: Change::Unchanged,
            summary: words(passed, checks.len(), open),
            outputs: json!({"checks": checks, "basis": basis}),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let checks: Vec<Check> = cx
            .recorded()
            .and_then(|outputs| serde_json::from_value(outputs["checks"].clone()).ok())
            .unwrap_or_default();
        let failed: Vec<&Check> = checks.iter().filter(|check| check.failed()).collect();
        if failed.is_empty() {
            let count = |verdict| {
                checks
                    .iter()
                    .filter(|check| check.verdict == verdict)
                    .count()
            };
            let (passed, open) = (count(Verdict::Passed), count(Verdict::NotCheckable));
            return Ok(Readiness::Ready(words(passed, checks.len(), open)));
        }
        let evidence = failed
            .iter()
            .map(|check| {
                let how = check.command.as_deref().unwrap_or("-");
                format!(
                    "{}: expected {}, seen {} ({how})",
                    check.title, check.expected, check.seen
                )
            })
            .collect();
        let cause = format!("{} of {} checks failed", failed.len(), checks.len());
        Ok(Readiness::Failed(Box::new(
            StepError::new("VER001", "verify", "the platform", cause)
                .with_evidence(evidence)
                .with_hint("each failed check names the command to look for yourself; mend it and run pipectl up again"),
        )))
    }

    /// Verification changes nothing, so a plan has nothing to show.
    async fn diff(&self, _: &StepContext) -> Result<Vec<Difference>, StepError> {
        Ok(Vec::new())
    }
}

fn words(passed: usize, total: usize, open: usize) -> String {
    if open == 0 {
        format!("{passed} of {total} checks")
    } else {
        format!(
            "{passed} of {} checks ({open} not checkable here)",
            total - open
        )
    }
}
