//! What a step is given: the environment, the ports, what is recorded, and where to say things.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    error::StepError,
    findings::Finding,
    ports::{cloud::Cloud, objects::ObjectApi, releases::ReleaseApi, secrets::SecretApi},
    step::StepId,
};

/// One living instance of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The name that a person uses.
    pub name: String,
    /// The UID of this instance; everything it owns carries it.
    pub uid: String,
}

/// The ways to the outside, one per capability.
#[derive(Clone)]
pub struct Ports {
    /// Kubernetes objects.
    pub objects: Arc<dyn ObjectApi>,
    /// Helm releases.
    pub releases: Arc<dyn ReleaseApi>,
    /// Values of secret references.
    pub secrets: Arc<dyn SecretApi>,
    /// The AWS account, where the environment has one.
    pub cloud: Option<Cloud>,
}

/// Where an intent becomes durable before its effect.
#[async_trait]
pub trait Intents: Send + Sync {
    /// Records that `step` is about to create something of this identity; returns when that is durable.
    async fn intent(&self, step: &StepId, identity: Value) -> Result<(), StepError>;
}

/// A passing remark about a step's work; shown, not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// In words.
    pub message: String,
    /// (done, total), where there are counts.
    pub count: Option<(u32, u32)>,
}

/// Where passing remarks go.
pub trait ProgressSink: Send + Sync {
    /// Says it; never blocks.
    fn progress(&self, step: &StepId, progress: Progress);

    /// Hands over something found out (a check's result, the inventory after a removal); never blocks.
    /// A sink that shows only remarks leaves it out.
    fn finding(&self, step: &StepId, finding: Finding) {
        let _ = (step, finding);
    }
}

/// Everything one step sees.
#[derive(Clone)]
pub struct StepContext {
    /// The step this context was made for.
    pub step: StepId,
    /// The environment being worked on.
    pub environment: Environment,
    /// This run's id, for things that are made anew once a run.
    pub run: String,
    /// The ways to the outside.
    pub ports: Ports,
    /// Outputs recorded by earlier runs and by steps done in this run, by step id.
    pub outputs: Arc<BTreeMap<String, Value>>,
    /// Where intents become durable.
    pub intents: Arc<dyn Intents>,
    /// Where passing remarks go.
    pub sink: Arc<dyn ProgressSink>,
    /// Ends the step early, between calls.
    pub cancel: CancellationToken,
}

impl StepContext {
    /// This step's recorded outputs, if any.
    #[must_use]
    pub fn recorded(&self) -> Option<&Value> {
        self.outputs.get(self.step.as_str())
    }

    /// Another step's recorded outputs, if any.
    #[must_use]
    pub fn output_of(&self, step: &str) -> Option<&Value> {
        self.outputs.get(step)
    }

    /// When this run began: its id is a UUID of version 7, which begins with the time. Without a run (one look, nobody
    /// waits) there is none.
    #[must_use]
    pub fn run_started(&self) -> Option<Timestamp> {
        let stamp = uuid::Uuid::parse_str(&self.run).ok()?.get_timestamp()?;
        let (seconds, _) = stamp.to_unix();
        Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
    }

    /// Makes the identity durable before it is created.
    ///
    /// # Errors
    /// When the journal cannot be written; then nothing may be created.
    pub async fn intent(&self, identity: Value) -> Result<(), StepError> {
        self.intents.intent(&self.step, identity).await
    }

    /// Says a passing remark.
    pub fn progress(&self, message: impl Into<String>) {
        self.sink.progress(
            &self.step,
            Progress {
                message: message.into(),
                count: None,
            },
        );
    }

    /// Hands over something found out: a check's result, the inventory after a removal.
    pub fn finding(&self, finding: Finding) {
        self.sink.finding(&self.step, finding);
    }

    /// Says a passing remark with counts.
    pub fn progress_count(&self, message: impl Into<String>, done: u32, total: u32) {
        let progress = Progress {
            message: message.into(),
            count: Some((done, total)),
        };
        self.sink.progress(&self.step, progress);
    }
}
