//! A step that is a set of objects.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future;
use serde_json::{Value, json};

use super::{Row, pods};
use crate::{
    context::StepContext,
    error::StepError,
    health::{Health, judge},
    objects::{ObjectSet, OnForeign},
    ports::objects::ObjectRef,
    step::{Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts, Wanted},
};

/// Code of "the cluster does not serve this kind yet".
pub(crate) const NOT_SERVED: &str = "STG004";

/// What a stage says about one set of objects.
#[async_trait]
pub trait Wants: Send + Sync {
    /// The objects, without ownership marks. May ask discovery; an error with code `STG004` says that their kinds are
    /// not served yet, which `plan` shows as "known after".
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError>;

    /// What happens when one exists without our labels.
    fn on_foreign(&self) -> OnForeign {
        OnForeign::Refuse
    }

    /// One line for a person about the set, e.g. `3 topics`.
    fn summary(&self, objects: &[Value]) -> String {
        match objects {
            [one] => ObjectRef::of(one).to_string(),
            many => format!("{} objects", many.len()),
        }
    }

    /// Facts to keep beside the records, for later steps and for `status`; never a secret.
    fn facts(&self, _objects: &[Value]) -> Value {
        json!({})
    }

    /// What must hold before anything is applied; a plan asks the same. Reads only.
    async fn check(&self, _cx: &StepContext, _objects: &[Value]) -> Result<(), StepError> {
        Ok(())
    }

    /// How one live object is.
    async fn judge(&self, cx: &StepContext, live: &Arc<Value>) -> Result<Health, StepError> {
        judge_with_pods(cx, live).await
    }

    /// What "ready" reads like, given the single healths' words.
    fn ready_words(&self, words: Vec<String>) -> String {
        match <[String; 1]>::try_from(words) {
            Ok([one]) => one,
            Err(many) => format!("{} objects in place", many.len()),
        }
    }
}

/// The health of a kind by its own status, with its pods' words where it makes pods.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn judge_with_pods(cx: &StepContext, live: &Arc<Value>) -> Result<Health, StepError> {
    let health = judge(live);
    let namespace = live["metadata"]["namespace"].as_str().unwrap_or_default();
    if health.is_ready() || !pods::makes_pods(live) {
        return Ok(health);
    }
    let patience = pods::patience(cx, [live.as_ref()]).await?;
    pods::explain(cx, health, namespace, patience, pods::selected_by(live)).await
}

/// A step that applies a set of objects and waits until every one of them works.
pub struct ObjectsStep<W> {
    row: Row,
    wants: W,
}

impl<W: Wants + 'static> ObjectsStep<W> {
    /// The step of this row.
    #[must_use]
    pub fn step(row: Row, wants: W) -> Arc<dyn Step> {
        Arc::new(Self { row, wants })
    }

    async fn set(&self, cx: &StepContext) -> Result<(ObjectSet, Vec<Value>), StepError> {
        let objects = self.wants.objects(cx).await?;
        let set = ObjectSet::with(cx, objects.clone(), self.wants.on_foreign());
        Ok((set, objects))
    }
}

#[async_trait]
impl<W: Wants + 'static> Step for ObjectsStep<W> {
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
        match self.set(cx).await {
            Ok((set, _)) => set.observe(cx).await,
            Err(error) if error.code == NOT_SERVED => Ok(Observation::Absent),
            Err(error) => Err(error),
        }
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let (set, objects) = self.set(cx).await?;
        self.wants.check(cx, &objects).await?;
        let applied = set.ensure(cx).await?;
        Ok(Outcome {
            change: applied.change,
            outputs: applied.records.outputs(self.wants.facts(&objects)),
            summary: self.wants.summary(&objects),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let (set, _) = self.set(cx).await?;
        let live = set.live(cx).await?;
        let total = u32::try_from(set.len()).unwrap_or(u32::MAX);
        let mut calls = Vec::new();
        for live in live.iter().flatten() {
            calls.push(self.wants.judge(cx, live));
        }
        let mut healths = future::try_join_all(calls).await?.into_iter();
        let judged = set.addresses().zip(&live).map(|(at, live)| {
            let health = live.as_ref().and_then(|_| healths.next());
            (
                at,
                health.unwrap_or_else(|| Health::waiting("not there yet")),
            )
        });
        let mut ready = Vec::new();
        let mut waiting: Vec<(&ObjectRef, String, Option<(u32, u32)>)> = Vec::new();
        for (at, health) in judged {
            match health {
                Health::Ready(words) => ready.push(words),
                Health::InProgress { words, count } => waiting.push((at, words, count)),
                failed @ Health::Failed(_) => return Ok(failed.readiness(at)),
            }
        }
        let done = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        Ok(match waiting.as_slice() {
            [] => Readiness::Ready(self.wants.ready_words(ready)),
            [(_, words, count)] if total == 1 => Readiness::InProgress {
                waiting_for: words.clone(),
                count: *count,
            },
            [(at, words, _), rest @ ..] => Readiness::InProgress {
                waiting_for: if rest.is_empty() {
                    format!("{at}: {words}")
                } else {
                    format!("{at}: {words} (and {} more)", rest.len())
                },
                count: Some((done, total)),
            },
        })
    }

    async fn wants(&self, cx: &StepContext) -> Result<Wanted, StepError> {
        let objects = match self.wants.objects(cx).await {
            Ok(objects) => objects.iter().map(ObjectRef::of).collect(),
            Err(error) if error.code == NOT_SERVED => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Wanted {
            objects,
            ..Wanted::default()
        })
    }

    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        match self.set(cx).await {
            Ok((set, objects)) => {
                self.wants.check(cx, &objects).await?;
                set.diff(cx).await
            }
            Err(error) if error.code == NOT_SERVED => Ok(vec![Difference {
                resource: self.row.title.clone(),
                field: None,
                live: None,
                wanted: Some("present".to_owned()),
                change: crate::step::Change::Created,
            }]),
            Err(error) => Err(error),
        }
    }
}
