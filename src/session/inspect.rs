//! Looking at an environment without changing it: what each step would change, and whether its thing works.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use pipectl_stages::{
    Difference, Environment, Intents, Ports, Progress, ProgressSink, Readiness, Step, StepContext,
    StepError, StepId,
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
    /// What `up` would change; or why nobody can say.
    pub differences: Result<Vec<Difference>, StepError>,
    /// Whether it works; `None` where it is absent or could not be asked.
    pub readiness: Option<Readiness>,
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
    /// Looks at these steps; the answers come in their order.
    pub async fn look(self, steps: &[Arc<dyn Step>]) -> Vec<Seen> {
        let outputs = Arc::new(self.outputs);
        let looks: Vec<_> = steps
            .iter()
            .map(|step| {
                let cx = StepContext {
                    step: step.id().clone(),
                    environment: self.environment.clone(),
                    run: String::new(),
                    ports: self.ports.clone(),
                    outputs: outputs.clone(),
                    intents: Arc::new(Silent),
                    sink: Arc::new(Silent),
                    cancel: CancellationToken::new(),
                };
                look(step.clone(), cx)
            })
            .collect();
        stream::iter(looks).buffered(AT_ONCE).collect().await
    }
}

async fn look(step: Arc<dyn Step>, cx: StepContext) -> Seen {
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
    let differences = match tokio::time::timeout(LOOK_LIMIT, step.diff(&cx)).await {
        Ok(differences) => differences,
        Err(_) => Err(late()),
    };
    let readiness = match tokio::time::timeout(LOOK_LIMIT, step.readiness(&cx)).await {
        Ok(Ok(readiness)) if recorded => Some(readiness),
        Ok(Ok(_) | Err(_)) => None,
        Err(_) => Some(Readiness::Failed(Box::new(late()))),
    };
    Seen {
        step: step.id().clone(),
        title: step.title(),
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
