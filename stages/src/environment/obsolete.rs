//! What earlier runs made and the pipeline file has no step for any more.
//!
//! A step prunes its own set; when a whole workload, topic list or application leaves the file, its step leaves the
//! graph. This step finds the records of such steps and removes what they say, except what another step wants by now: a
//! renamed workload takes over what it had under its old name. It begins once every other step is applied, so that
//! whoever takes something over has put its own name on it.
//!
//! The records of steps that are gone stay in the journal; what is gone or wanted is passed over, run after run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::STAGE;
use crate::{
    blocks::{Row, objects_removal::own_namespaces},
    context::StepContext,
    error::{PortErrorKind, Retry, StepError},
    kafka,
    objects::{
        Records, Remaining, check_cancelled, delete_all, order,
        ownership::{Owner, key, owner, step_of, terminating, uid},
        together,
    },
    operators::removal::{families_in_use, family, family_of},
    ports::{
        objects::{Kind, ObjectRef},
        releases::ReleaseStatus,
    },
    step::{
        Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts, Wanted,
    },
    verification,
};

/// Bound of one uninstall.
const UNINSTALL_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the objects of one wave may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(240);

/// How often is looked when nothing announces a change: what goes here need not be of a kind that anybody watches.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The place of Helm releases in the order of removal: after everything that their operators may have to let go of,
/// before definitions and namespaces.
const RELEASES: u8 = order::WAVES - 1;

/// The step that removes what steps made that are not in the graph any more. `others` is everything else in the graph.
#[must_use]
pub fn step(others: Vec<Arc<dyn Step>>) -> Arc<dyn Step> {
    let applied = others.iter().map(|step| Need::applied(step.id().clone()));
    let row = Row::new(
        STAGE,
        "obsolete",
        "what the pipeline has no place for any more",
    )
    .needs(applied)
    .ensured_within(Duration::from_secs(900))
    .ready_within(Duration::from_secs(300), 1);
    Arc::new(Obsolete { row, others })
}

struct Obsolete {
    row: Row,
    others: Vec<Arc<dyn Step>>,
}

/// An object of a step that is not in the graph any more.
struct Leftover {
    step: StepId,
    object: Arc<Value>,
}

impl Leftover {
    /// When it goes: topics while their operator lives, then what needs others before what it needs.
    fn rank(&self) -> u8 {
        let kind = Kind::of(&self.object);
        match (kind.group.as_str(), kind.kind.as_str()) {
            (kafka::GROUP, "KafkaTopic" | "KafkaUser") => 0,
            _ => order::WAVES - order::wave(&kind),
        }
    }

    /// The object as it is now, if it is still this one.
    async fn read(&self, cx: &StepContext) -> Result<Option<Value>, StepError> {
        let live = read(cx, &ObjectRef::of(&self.object)).await?;
        Ok(live.filter(|live| uid(live) == uid(&self.object)))
    }
}

/// What is left of steps that are not in the graph any more.
#[derive(Default)]
struct Leftovers {
    objects: Vec<Leftover>,
    releases: BTreeSet<(String, String)>,
}

async fn read(cx: &StepContext, at: &ObjectRef) -> Result<Option<Value>, StepError> {
    match cx.ports.objects.get(at).await {
        Err(error) if error.kind == PortErrorKind::NotServed => Ok(None),
        other => other.map_err(|error| error.during("read", at)),
    }
}

/// Whether an object is ours, as this step left it.
fn left_by(cx: &StepContext, step: &StepId, live: &Value) -> bool {
    owner(live, &cx.environment) == Owner::Ours && step_of(live) == Some(step.as_str())
}

impl Obsolete {
    /// What steps left behind that are not in the graph any more, and nobody wants.
    async fn find(&self, cx: &StepContext) -> Result<Leftovers, StepError> {
        let mut found = self.left(cx).await?;
        if found.objects.is_empty() && found.releases.is_empty() {
            return Ok(found);
        }
        let wanted = self.wanted(cx).await?;
        let objects: BTreeSet<String> = wanted.objects.iter().map(key).collect();
        let of_releases = wanted.releases.iter().map(|(namespace, _)| namespace);
        let of_objects = wanted.objects.iter().filter_map(|at| at.namespace.as_ref());
        let homes: BTreeSet<&String> = of_objects.chain(of_releases).collect();
        let releases: BTreeSet<&(String, String)> = wanted.releases.iter().collect();
        found.releases.retain(|release| !releases.contains(release));
        found.objects.retain(|left| {
            let at = ObjectRef::of(&left.object);
            // With a namespace goes everything in it.
            let home = at.kind == Kind::new("", "v1", "Namespace") && homes.contains(&at.name);
            !home && !objects.contains(&key(&at))
        });
        keep_definitions(cx, &wanted, &mut found).await?;
        found.objects.sort_by_key(Leftover::rank);
        Ok(found)
    }

    async fn left(&self, cx: &StepContext) -> Result<Leftovers, StepError> {
        let mut found = Leftovers::default();
        let known: BTreeSet<&str> = self.others.iter().map(|step| step.id().as_str()).collect();
        for (step, outputs) in cx.outputs.iter() {
            let step = StepId::from(step.as_str());
            if known.contains(step.as_str())
                || step == self.row.id
                || step == verification::checks()
            {
                continue;
            }
            for record in Records::of(Some(outputs)).objects.into_values() {
                if record.brought {
                    continue;
                }
                let live = read(cx, &record.at).await?;
                let live = live.filter(|live| uid(live) == record.uid && left_by(cx, &step, live));
                found.objects.extend(live.map(|object| Leftover {
                    step: step.clone(),
                    object: Arc::new(object),
                }));
            }
            let release = outputs["release"]
                .as_str()
                .zip(outputs["namespace"].as_str());
            if let Some((name, namespace)) = release
                && is_ours(cx, namespace, name).await?
            {
                found
                    .releases
                    .insert((namespace.to_owned(), name.to_owned()));
            }
        }
        Ok(found)
    }

    /// What the rest of the graph wants, each step asked with its own eyes.
    async fn wanted(&self, cx: &StepContext) -> Result<Wanted, StepError> {
        let mut calls = Vec::new();
        for step in &self.others {
            calls.push(
                async move {
                    let cx = StepContext {
                        step: step.id().clone(),
                        ..cx.clone()
                    };
                    step.wants(&cx).await
                }
                .boxed(),
            );
        }
        let mut all = Wanted::default();
        for wanted in together(calls).await {
            let wanted = wanted?;
            all.objects.extend(wanted.objects);
            all.releases.extend(wanted.releases);
        }
        Ok(all)
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
        let objects = objects.map(|left| removed(ObjectRef::of(&left.object).to_string()));
        let releases = found.releases.iter();
        let releases =
            releases.map(|(namespace, name)| removed(format!("Helm release {namespace}/{name}")));
        objects.chain(releases).collect()
    }
}

/// Whether a release is there and this environment's.
async fn is_ours(cx: &StepContext, namespace: &str, name: &str) -> Result<bool, StepError> {
    let live = cx.ports.releases.find(namespace, name).await;
    let live = live.map_err(|error| error.during("read", format!("release {namespace}/{name}")))?;
    Ok(live.is_some_and(|live| {
        live.status != ReleaseStatus::Uninstalled
            && live.environment_uid.as_deref() == Some(cx.environment.uid.as_str())
    }))
}

/// Leaves out the CRDs whose family somebody else uses, or the rest of the pipeline (with an operator that it brings):
/// deleting a CRD deletes every object of its kind.
async fn keep_definitions(
    cx: &StepContext,
    wanted: &Wanted,
    found: &mut Leftovers,
) -> Result<(), StepError> {
    let crds: Vec<Arc<Value>> = found
        .objects
        .iter()
        .filter(|left| left.object["kind"] == "CustomResourceDefinition")
        .map(|left| left.object.clone())
        .collect();
    if crds.is_empty() {
        return Ok(());
    }
    let namespaces = own_namespaces(cx).await?;
    let in_use = families_in_use(&cx.ports, &cx.environment, &crds, &namespaces).await;
    let mut in_use = in_use.map_err(|error| error.during("list", "custom resources"))?;
    in_use.extend(wanted.objects.iter().map(|at| family_of(&at.kind.group)));
    found.objects.retain(|left| {
        left.object["kind"] != "CustomResourceDefinition" || !in_use.contains(&family(&left.object))
    });
    Ok(())
}

/// Deletes these objects, each only if it is still as its step left it, and waits until they are gone.
async fn clear(cx: &StepContext, wave: &[Leftover]) -> Result<u32, StepError> {
    let mut going: Vec<(&Leftover, Arc<Value>)> = Vec::new();
    for left in wave {
        // Read again: whoever has put its own name on it since is its owner now.
        let live = left.read(cx).await?;
        if let Some(live) = live.filter(|live| left_by(cx, &left.step, live)) {
            going.push((left, Arc::new(live)));
        }
    }
    let objects: Vec<Arc<Value>> = going.iter().map(|(_, live)| live.clone()).collect();
    let asked = delete_all(cx, &objects).await?;
    let deadline = Instant::now() + GONE_WITHIN;
    let mut changes = cx.ports.objects.changes();
    loop {
        let mut held: Vec<Remaining> = Vec::new();
        for (left, _) in &going {
            let Some(live) = left.read(cx).await? else {
                continue;
            };
            if terminating(&live)
                && let Some(words) = kafka::removal::release(cx, &live).await?
            {
                cx.progress(words);
            }
            held.push(Remaining::of(&live));
        }
        let Some(first) = held.first() else {
            return Ok(asked);
        };
        check_cancelled(cx)?;
        if Instant::now() >= deadline {
            let words = held.iter().map(Remaining::words).collect();
            return Err(
                StepError::new("STG013", "remove", &first.at, "it is still being deleted")
                    .with_retry(Retry::Soon)
                    .with_evidence(words),
            );
        }
        cx.progress(first.words());
        let pause = (Instant::now() + LOOK_AGAIN).min(deadline);
        let _ = timeout_at(pause, changes.changed()).await;
    }
}

async fn uninstall(
    cx: &StepContext,
    releases: &BTreeSet<(String, String)>,
) -> Result<u32, StepError> {
    let mut removed = 0;
    for (namespace, name) in releases {
        check_cancelled(cx)?;
        if !is_ours(cx, namespace, name).await? {
            continue;
        }
        let releases = &cx.ports.releases;
        let gone = releases.uninstall(namespace, name, UNINSTALL_TIMEOUT).await;
        let gone =
            gone.map_err(|error| error.during("uninstall", format!("release {namespace}/{name}")))?;
        removed += u32::from(gone);
    }
    Ok(removed)
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
            .map(|left| ObjectRef::of(&left.object).to_string())
            .collect();
        if !objects.is_empty() || !found.releases.is_empty() {
            cx.intent(json!({"removes": objects, "releases": found.releases}))
                .await?;
        }
        let mut waves: BTreeMap<u8, Vec<Leftover>> = BTreeMap::new();
        for left in found.objects {
            waves.entry(left.rank()).or_default().push(left);
        }
        let after = waves.split_off(&RELEASES);
        let mut removed = 0;
        for wave in waves.values() {
            removed += clear(cx, wave).await?;
        }
        removed += uninstall(cx, &found.releases).await?;
        for wave in after.values() {
            removed += clear(cx, wave).await?;
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
        Ok(match Self::differences(&found).first() {
            None => Readiness::Ready("nothing left over".to_owned()),
            Some(first) => Readiness::waiting(format!("{} is still there", first.resource)),
        })
    }

    fn poll_interval(&self) -> Option<Duration> {
        // What is removed here need not be of a kind that anybody watches.
        Some(Duration::from_secs(2))
    }
}
