//! What earlier runs made and the pipeline file has no step for any more.
//!
//! A step prunes its own set; when a whole workload, topic list or application leaves the file, its step leaves the
//! graph. This step finds the records of such steps and removes what they say.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::STAGE;
use crate::{
    blocks::Row,
    context::StepContext,
    error::{PortErrorKind, StepError},
    objects::{
        Records, Remaining, delete_all, order,
        ownership::{Owner, owner, step_of, uid},
    },
    ports::objects::{Kind, ObjectRef},
    step::{Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// The step that removes what steps made that are not in the graph any more.
#[must_use]
pub fn step(known: BTreeSet<StepId>, needs: Vec<Need>) -> Arc<dyn Step> {
    let row = Row::new(
        STAGE,
        "obsolete",
        "what the pipeline has no place for any more",
    )
    .needs(needs)
    .ready_within(Duration::from_secs(300), 1);
    Arc::new(Obsolete { row, known })
}

struct Obsolete {
    row: Row,
    known: BTreeSet<StepId>,
}

/// What is left of a step that is not in the graph any more.
struct Leftovers {
    objects: Vec<Arc<Value>>,
    releases: Vec<(String, String)>,
}

impl Obsolete {
    async fn find(&self, cx: &StepContext) -> Result<Leftovers, StepError> {
        let mut found = Leftovers {
            objects: Vec::new(),
            releases: Vec::new(),
        };
        for (step, outputs) in cx.outputs.iter() {
            let step = StepId::from(step.as_str());
            if self.known.contains(&step) || step == self.row.id {
                continue;
            }
            for record in Records::of(Some(outputs)).objects.into_values() {
                if record.brought {
                    continue;
                }
                let live = cx.ports.objects.get(&record.at).await;
                let live = match live {
                    Err(error) if error.kind == PortErrorKind::NotServed => None,
                    other => other.map_err(|error| error.during("read", &record.at))?,
                };
                let ours = |live: &Value| {
                    uid(live) == record.uid
                        && owner(live, &cx.environment) == Owner::Ours
                        && step_of(live) == Some(step.as_str())
                };
                found.objects.extend(live.filter(ours).map(Arc::new));
            }
            let release = outputs["release"]
                .as_str()
                .zip(outputs["namespace"].as_str());
            if let Some((name, namespace)) = release {
                let live = cx.ports.releases.find(namespace, name).await;
                let live = live.map_err(|error| error.during("read", format!("release {name}")))?;
                if live.is_some_and(|live| {
                    live.environment_uid.as_deref() == Some(cx.environment.uid.as_str())
                }) {
                    found.releases.push((namespace.to_owned(), name.to_owned()));
                }
            }
        }
        // What needs others goes before what it needs.
        found.objects.sort_by_key(|object| {
            let kind = Kind::of(object);
            std::cmp::Reverse(order::wave(&kind))
        });
        Ok(found)
    }

    fn differences(found: &Leftovers) -> Vec<Difference> {
        let removed = |resource: String| Difference {
            resource,
            field: None,
            live: Some("present".to_owned()),
            wanted: None,
            change: Change::Removed,
        };
        let objects = found.objects.iter();
        let objects = objects.map(|object| removed(ObjectRef::of(object).to_string()));
        let releases = found.releases.iter();
        let releases =
            releases.map(|(namespace, name)| removed(format!("Helm release {namespace}/{name}")));
        objects.chain(releases).collect()
    }
}

#[async_trait]
impl Step for Obsolete {
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
        let differences = Self::differences(&self.find(cx).await?);
        Ok(if differences.is_empty() {
            Observation::Present
        } else {
            Observation::Partial(differences)
        })
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let found = self.find(cx).await?;
        let objects: Vec<String> = found
            .objects
            .iter()
            .map(|object| ObjectRef::of(object).to_string())
            .collect();
        if !objects.is_empty() || !found.releases.is_empty() {
            cx.intent(json!({"removes": objects, "releases": found.releases}))
                .await?;
        }
        let mut removed = delete_all(cx, &found.objects).await?;
        for (namespace, name) in &found.releases {
            let bound = Duration::from_secs(120);
            let gone = cx.ports.releases.uninstall(namespace, name, bound).await;
            let gone = gone.map_err(|error| {
                error.during("uninstall", format!("release {namespace}/{name}"))
            })?;
            removed += u32::from(gone);
        }
        Ok(Outcome {
            change: if removed > 0 {
                Change::Removed
            } else {
                Change::Unchanged
            },
            outputs: json!({}),
            summary: format!("{removed} things removed"),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let found = self.find(cx).await?;
        Ok(match found.objects.first() {
            None => Readiness::Ready("nothing left over".to_owned()),
            Some(first) => Readiness::waiting(Remaining::of(first).words()),
        })
    }

    fn poll_interval(&self) -> Option<Duration> {
        // What is removed here need not be of a kind that anybody watches.
        Some(Duration::from_secs(2))
    }
}
