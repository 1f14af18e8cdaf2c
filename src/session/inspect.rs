//! Looking at an environment without changing it: what each step would change, and whether its thing works.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use pipectl_stages::{
    Difference, Environment, Intents, Ports, Progress, ProgressSink, Readiness, Retry, Step,
    StepContext, StepError, StepId,
    cloud::scope::cluster_name,
    cluster::{entrance, steps::entrance as entrance_step},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// How many steps are looked at at once.
const AT_ONCE: usize = 16;

/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// What was seen of one step.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The step.
    pub step: StepId,
    /// What it makes, for a person.
    pub title: String,
    /// What there was to see.
    pub sight: Sight,
}

/// What there was to see of a step.
#[derive(Debug, Clone)]
pub enum Sight {
    /// It was looked at.
    Looked {
        /// What `up` would change; or why nobody can say.
        differences: Result<Vec<Difference>, StepError>,
        /// Whether it works; `None` where it is absent or could not be asked.
        readiness: Option<Readiness>,
    },
    /// It stands in a cluster that is not there.
    NoCluster,
    /// It stands in a cluster that is there and could not be entered; why.
    NoWayIn(String),
}

/// Whether the inside of a cluster that comes to be can be looked at.
enum Inside {
    Open,
    NoCluster,
    NoWayIn(String),
}

/// What is to be looked at, and the way there.
pub struct Inspection {
    /// The environment.
    pub environment: Environment,
    /// The ways to the outside; only reads are made.
    pub ports: Ports,
    /// Recorded outputs by step.
    pub outputs: BTreeMap<String, Value>,
}

impl Inspection {
    /// Looks at these steps; the answers come in their order. On AWS the cluster is entered first: what stands inside it can
    /// be seen only then. A step is looked at when those before it have said what it hangs on: by their record, or where
    /// they have none, by what stands of them.
    pub async fn look(self, steps: &[Arc<dyn Step>]) -> Vec<Seen> {
        let mut known = Arc::new(self.outputs);
        let context = |step: &StepId, outputs: &Arc<BTreeMap<String, Value>>| StepContext {
            step: step.clone(),
            environment: self.environment.clone(),
            run: String::new(),
            ports: self.ports.clone(),
            outputs: outputs.clone(),
            intents: Arc::new(Silent),
            sink: Arc::new(Silent),
            cancel: CancellationToken::new(),
        };
        let entrance = entrance_step();
        let (inside, way_in) = match steps.iter().any(|step| *step.id() == entrance) {
            true => (
                after(steps, &entrance),
                enter(&context(&entrance, &known)).await,
            ),
            false => (BTreeSet::new(), Inside::Open),
        };
        let mut order = Order::new(steps, |step| known.contains_key(step.as_str()));
        let mut seen: Vec<Option<Seen>> = steps.iter().map(|_| None).collect();
        let mut looks = FuturesUnordered::new();
        loop {
            while looks.len() < AT_ONCE
                && let Some(place) = order.next()
            {
                let step = steps[place].clone();
                let unseen = match &way_in {
                    Inside::NoCluster => Some(Sight::NoCluster),
                    Inside::NoWayIn(why) => Some(Sight::NoWayIn(why.clone())),
                    Inside::Open => None,
                };
                let unseen = unseen.filter(|_| inside.contains(step.id()));
                let cx = context(step.id(), &known);
                looks.push(async move {
                    let (sight, outputs) = match unseen {
                        Some(unseen) => (unseen, None),
                        None => look(step.as_ref(), &cx).await,
                    };
                    let seen = Seen {
                        step: step.id().clone(),
                        title: step.title(),
                        sight,
                    };
                    (place, seen, outputs)
                });
            }
            let Some((place, one, outputs)) = looks.next().await else {
                break;
            };
            order.done(place);
            if let Some(outputs) = outputs {
                Arc::make_mut(&mut known).insert(one.step.to_string(), outputs);
            }
            seen[place] = Some(one);
        }
        seen.into_iter().flatten().collect()
    }
}

/// In which order steps are looked at: one that says nothing by its record is waited for by all that come after it.
struct Order {
    /// By step: those that it still waits for; `None` once it was begun.
    waits: Vec<Option<BTreeSet<usize>>>,
}

impl Order {
    fn new(steps: &[Arc<dyn Step>], recorded: impl Fn(&StepId) -> bool) -> Self {
        let mut waits = vec![BTreeSet::new(); steps.len()];
        for (place, step) in steps.iter().enumerate() {
            if recorded(step.id()) {
                continue;
            }
            let later = after(steps, step.id());
            for (other, waits) in waits.iter_mut().enumerate() {
                if later.contains(steps[other].id()) {
                    waits.insert(place);
                }
            }
        }
        Self {
            waits: waits.into_iter().map(Some).collect(),
        }
    }

    /// One that waits for nothing any more, as being begun.
    fn next(&mut self) -> Option<usize> {
        let free = |waits: &Option<BTreeSet<usize>>| waits.as_ref().is_some_and(BTreeSet::is_empty);
        let place = self.waits.iter().position(free)?;
        self.waits[place] = None;
        Some(place)
    }

    fn done(&mut self, place: usize) {
        for waits in self.waits.iter_mut().flatten() {
            waits.remove(&place);
        }
    }
}

/// The steps that come after this one, by whatever way.
fn after(steps: &[Arc<dyn Step>], first: &StepId) -> BTreeSet<StepId> {
    let mut found = BTreeSet::from([first.clone()]);
    loop {
        let before = found.len();
        for step in steps {
            if step.needs().iter().any(|need| found.contains(&need.step)) {
                found.insert(step.id().clone());
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.remove(first);
    found
}

/// Enters the environment's cluster, where it is there.
async fn enter(cx: &StepContext) -> Inside {
    let way = async {
        let name = cluster_name(cx).await.map_err(|error| error.cause)?;
        let door = entrance::door(cx, &name).await;
        let (Some(door), Some(cloud)) = (door.map_err(|error| error.cause)?, &cx.ports.cloud)
        else {
            return Ok(Inside::NoCluster);
        };
        let entered = cloud.entrance.enter(&door).await;
        entered.map_err(|error| error.cause)?;
        Ok(Inside::Open)
    };
    match tokio::time::timeout(LOOK_LIMIT, way).await {
        Ok(Ok(inside)) => inside,
        Ok(Err(cause)) => Inside::NoWayIn(cause),
        Err(_) => Inside::NoWayIn(format!(
            "no answer within {}",
            crate::engine::span(LOOK_LIMIT)
        )),
    }
}

/// What there is to see of a step, and where nothing is recorded of it, what it would tell those after it.
async fn look(step: &dyn Step, cx: &StepContext) -> (Sight, Option<Value>) {
    let late = || {
        StepError::new(
            "CLI014",
            "look at",
            step.title(),
            format!("no answer within {}", crate::engine::span(LOOK_LIMIT)),
        )
        .with_retry(Retry::Soon)
        .with_hint("the cluster is slow or out of reach; try again")
    };
    let recorded = cx.recorded().is_some();
    let differences = match tokio::time::timeout(LOOK_LIMIT, step.diff(cx)).await {
        Ok(differences) => differences,
        Err(_) => Err(late()),
    };
    if !recorded {
        // Whether it works is asked of what is known to have been made; what cannot be told is missing to those after it, and
        // they say so.
        let outputs = tokio::time::timeout(LOOK_LIMIT, step.standing_outputs(cx)).await;
        let sight = Sight::Looked {
            differences,
            readiness: None,
        };
        return (sight, outputs.ok().and_then(Result::ok).flatten());
    }
    let readiness = match tokio::time::timeout(LOOK_LIMIT, step.readiness(cx)).await {
        Ok(Ok(readiness)) => Some(readiness),
        Ok(Err(_)) => None,
        Err(_) => Some(Readiness::Failed(Box::new(late()))),
    };
    let sight = Sight::Looked {
        differences,
        readiness,
    };
    (sight, None)
}

/// Nothing is recorded and nothing shown while looking; an effect would have to begin with an intent, and is refused.
struct Silent;

#[async_trait]
impl Intents for Silent {
    async fn intent(&self, step: &StepId, _identity: Value) -> Result<(), StepError> {
        Err(StepError::new(
            "CLI015",
            "change",
            step,
            "a command that only looks was about to change something",
        )
        .with_hint("this is a defect of pipectl; please report it"))
    }
}

impl ProgressSink for Silent {
    fn progress(&self, _step: &StepId, _progress: Progress) {}
}

#[cfg(test)]
mod tests {
    use pipectl_config::{Blueprint, LoadOptions};
    use pipectl_stages::{CloudOptions, UpOptions, up_on_aws};

    use super::*;

    fn steps() -> Vec<Arc<dyn Step>> {
        let loaded = Blueprint::get("streaming")
            .unwrap()
            .load(&LoadOptions::default())
            .unwrap();
        up_on_aws(&loaded, UpOptions::default(), &CloudOptions::default())
    }

    /// Steps that are looked at together, time after time.
    fn together(order: &mut Order) -> Vec<BTreeSet<usize>> {
        let mut waves = Vec::new();
        loop {
            let wave: BTreeSet<usize> = std::iter::from_fn(|| order.next()).collect();
            if wave.is_empty() {
                return waves;
            }
            wave.iter().for_each(|place| order.done(*place));
            waves.push(wave);
        }
    }

    #[test]
    fn what_is_recorded_keeps_nobody_waiting() {
        let steps = steps();
        let mut order = Order::new(&steps, |_| true);
        assert_eq!(together(&mut order).len(), 1);
    }

    #[test]
    fn without_a_record_each_step_comes_after_all_that_it_hangs_on() {
        let steps = steps();
        let waves = together(&mut Order::new(&steps, |_| false));
        assert_eq!(waves.iter().map(BTreeSet::len).sum::<usize>(), steps.len());
        let wave_of = |id: &StepId| {
            let place = steps.iter().position(|step| step.id() == id);
            waves
                .iter()
                .position(|wave| place.is_some_and(|place| wave.contains(&place)))
        };
        for step in &steps {
            for need in step.needs() {
                assert!(
                    wave_of(&need.step) < wave_of(step.id()),
                    "{} before {}",
                    step.id(),
                    need.step
                );
            }
        }
        assert!(
            waves.iter().any(|wave| wave.len() > 3),
            "what does not hang together is looked at together"
        );
    }

    #[test]
    fn a_missing_record_is_waited_for_by_what_comes_after_it_however_far() {
        let steps = steps();
        let first = steps[0].id().clone();
        let waves = together(&mut Order::new(&steps, |step| *step != first));
        let later = after(&steps, &first);
        assert_eq!(waves.len(), 2);
        assert_eq!(waves[1].len(), later.len());
    }
}
