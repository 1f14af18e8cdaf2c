//! Looking at an environment without changing it: what each step would change, and whether its thing works.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use pipectl_stages::{
    Difference, Environment, Intents, Ports, Progress, ProgressSink, Readiness, Step, StepContext,
    StepError, StepId,
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
    /// be seen only then.
    pub async fn look(self, steps: &[Arc<dyn Step>]) -> Vec<Seen> {
        let outputs = Arc::new(self.outputs);
        let context = |step: &StepId| StepContext {
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
            true => (after(steps, &entrance), enter(&context(&entrance)).await),
            false => (BTreeSet::new(), Inside::Open),
        };
        let looks: Vec<_> = steps
            .iter()
            .map(|step| {
                let unseen = match &way_in {
                    Inside::NoCluster => Some(Sight::NoCluster),
                    Inside::NoWayIn(why) => Some(Sight::NoWayIn(why.clone())),
                    Inside::Open => None,
                };
                let unseen = unseen.filter(|_| inside.contains(step.id()));
                let (step, cx) = (step.clone(), context(step.id()));
                async move {
                    Seen {
                        step: step.id().clone(),
                        title: step.title(),
                        sight: match unseen {
                            Some(unseen) => unseen,
                            None => look(step.as_ref(), &cx).await,
                        },
                    }
                }
            })
            .collect();
        stream::iter(looks).buffered(AT_ONCE).collect().await
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

async fn look(step: &dyn Step, cx: &StepContext) -> Sight {
    let late = || {
        StepError::new(
            "CLI014",
            "look at",
            step.title(),
            format!("no answer within {}", crate::engine::span(LOOK_LIMIT)),
        )
        .with_hint("the cluster is slow or out of reach; try again")
    };
    let recorded = cx.recorded().is_some();
    let differences = match tokio::time::timeout(LOOK_LIMIT, step.diff(cx)).await {
        Ok(differences) => differences,
        Err(_) => Err(late()),
    };
    let readiness = match tokio::time::timeout(LOOK_LIMIT, step.readiness(cx)).await {
        Ok(Ok(readiness)) if recorded => Some(readiness),
        Ok(Ok(_) | Err(_)) => None,
        Err(_) => Some(Readiness::Failed(Box::new(late()))),
    };
    Sight::Looked {
        differences,
        readiness,
    }
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
