//! A cluster in memory, for tests of steps: server-side apply with field ownership, generations, finalizers, owners,
//! discovery and Helm releases, as far as steps can tell the difference. It has no operators of its own; a test lets
//! [`operators`] act when it wants them to.

pub mod cluster;
pub mod operators;
pub mod releases;
pub mod ssa;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    context::{Environment, Intents, Ports, Progress, ProgressSink, StepContext},
    error::{PortError, PortErrorKind, StepError},
    findings::Finding,
    ports::secrets::{SecretApi, SecretSource, SecretValue},
    removal::{Removal, RemovalProgress},
    step::{Change, Observation, Outcome, Readiness, Step, StepId},
};
pub use cluster::FakeCluster;
pub use releases::FakeReleases;

/// A test's world: the cluster, the releases, what was recorded.
pub struct World {
    /// The cluster.
    pub cluster: Arc<FakeCluster>,
    /// Helm.
    pub releases: Arc<FakeReleases>,
    /// The environment that is worked on.
    pub environment: Environment,
    /// Recorded outputs by step.
    pub outputs: BTreeMap<String, Value>,
    /// This run's id.
    pub run: String,
    /// What steps said and found out.
    pub heard: Arc<Heard>,
}

/// What steps said.
#[derive(Default)]
pub struct Heard {
    /// Passing remarks.
    pub progress: Mutex<Vec<String>>,
    /// Findings.
    pub findings: Mutex<Vec<Finding>>,
    /// Intents, by step.
    pub intents: Mutex<Vec<(String, Value)>>,
}

#[async_trait]
impl Intents for Heard {
    async fn intent(&self, step: &StepId, identity: Value) -> Result<(), StepError> {
        let mut intents = self.intents.lock().unwrap_or_else(PoisonError::into_inner);
        intents.push((step.to_string(), identity));
        Ok(())
    }
}

impl ProgressSink for Heard {
    fn progress(&self, _: &StepId, progress: Progress) {
        let mut said = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        said.push(progress.message);
    }

    fn finding(&self, _: &StepId, finding: Finding) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.push(finding);
    }
}

/// Secrets that are not there.
struct NoSecrets;

#[async_trait]
impl SecretApi for NoSecrets {
    async fn resolve(&self, source: &SecretSource) -> Result<SecretValue, PortError> {
        match source {
            SecretSource::Environment(name) => Ok(SecretValue::new(format!("value of {name}"))),
            _ => Err(PortError::new(
                PortErrorKind::NotFound,
                "SEC001",
                "no such secret",
            )),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new("demo", "11111111-1111-4111-8111-111111111111")
    }
}

impl World {
    /// An empty cluster and an environment of this name and UID.
    #[must_use]
    pub fn new(name: &str, uid: &str) -> Self {
        let cluster = Arc::new(FakeCluster::new());
        Self {
            releases: Arc::new(FakeReleases::new(cluster.clone())),
            cluster,
            environment: Environment {
                name: name.to_owned(),
                uid: uid.to_owned(),
            },
            outputs: BTreeMap::new(),
            run: "run-1".to_owned(),
            heard: Arc::default(),
        }
    }

    /// The ways to the outside.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports {
            objects: self.cluster.clone(),
            releases: self.releases.clone(),
            secrets: Arc::new(NoSecrets),
            cloud: None,
        }
    }

    /// What a step sees.
    #[must_use]
    pub fn context(&self, step: &StepId) -> StepContext {
        StepContext {
            step: step.clone(),
            environment: self.environment.clone(),
            run: self.run.clone(),
            ports: self.ports(),
            outputs: Arc::new(self.outputs.clone()),
            intents: self.heard.clone(),
            sink: self.heard.clone(),
            cancel: CancellationToken::new(),
        }
    }

    /// Observes and ensures a step as the engine does: nothing is called when it is present and recorded.
    ///
    /// # Errors
    /// The step's.
    ///
    /// # Panics
    /// When the step changed something without recording its intent, as the engine would refuse it.
    pub async fn ensure(&mut self, step: &Arc<dyn Step>) -> Result<Option<Outcome>, StepError> {
        let cx = self.context(step.id());
        let observed = step.observe(&cx).await?;
        if let Observation::Foreign(owner) = &observed {
            return Err(StepError::new("STG001", "use", step.id(), owner.clone()));
        }
        if observed == Observation::Present && cx.recorded().is_some() {
            return Ok(None);
        }
        let intents = || {
            let intents = self.heard.intents.lock();
            intents.unwrap_or_else(PoisonError::into_inner).len()
        };
        let before = intents();
        let outcome = step.ensure(&cx, &observed).await?;
        assert!(
            outcome.change <= Change::Adopted || intents() > before,
            "{} changed something without an intent",
            step.id()
        );
        self.outputs
            .insert(step.id().to_string(), outcome.outputs.clone());
        Ok(Some(outcome))
    }

    /// Whether a step works.
    ///
    /// # Errors
    /// The step's.
    pub async fn readiness(&self, step: &Arc<dyn Step>) -> Result<Readiness, StepError> {
        step.readiness(&self.context(step.id())).await
    }

    /// Brings all steps up in the order given, letting the operators act until each is ready.
    ///
    /// # Errors
    /// The first step's that fails, or that is not ready in a bounded number of looks.
    pub async fn up(&mut self, steps: &[Arc<dyn Step>]) -> Result<(), StepError> {
        for step in steps {
            self.ensure(step).await?;
            let mut last = String::new();
            let mut ready = false;
            for _ in 0..20 {
                operators::act(&self.cluster);
                match self.readiness(step).await? {
                    Readiness::Ready(_) => {
                        ready = true;
                        break;
                    }
                    Readiness::InProgress { waiting_for, .. } => last = waiting_for,
                    Readiness::Failed(error) => return Err(*error),
                }
            }
            if !ready {
                return Err(StepError::new("ENG002", "wait for", step.id(), last));
            }
        }
        Ok(())
    }

    /// Takes everything down in the order given.
    ///
    /// # Errors
    /// The first removal's that is stuck, or not done in a bounded number of looks.
    pub async fn down(&mut self, removals: &[Arc<dyn Removal>]) -> Result<(), StepError> {
        for removal in removals {
            let cx = self.context(removal.id());
            removal.start(&cx).await?;
            let mut last = String::new();
            let mut gone = false;
            for _ in 0..20 {
                operators::act(&self.cluster);
                match removal.progress(&cx).await? {
                    RemovalProgress::Gone(_) => {
                        gone = true;
                        break;
                    }
                    RemovalProgress::InProgress { waiting_for, .. } => last = waiting_for,
                    RemovalProgress::Stuck(error) => return Err(*error),
                }
            }
            if !gone {
                return Err(StepError::new("ENG002", "wait for", removal.id(), last));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_when_it_began() {
        let mut world = World::default();
        let step = StepId::new("kafka", "topics");
        assert_eq!(world.context(&step).run_started(), None);
        world.run = "01936d80-0000-7000-8000-000000000000".to_owned();
        let started = world.context(&step).run_started().unwrap();
        assert_eq!(started.as_second(), 0x0193_6d80_0000 / 1000);
    }
}
