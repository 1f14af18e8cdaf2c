//! What a step is: the unit of work inside a stage.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{context::StepContext, error::StepError, ports::objects::ObjectRef};

/// Stable key of a step in the journal: `STAGE/NAME`, e.g. `kafka/cluster`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// The step `name` of `stage`.
    pub fn new(stage: &str, name: &str) -> Self {
        Self(format!("{stage}/{name}"))
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first slash.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.0
            .split_once('/')
            .map_or(self.0.as_str(), |(stage, _)| stage)
    }

    /// The part after the first slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

/// What a dependent waits for. In a down graph `Applied` reads "removal asked for" and `Ready` reads "gone".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The API accepted it.
    Applied,
    /// It works.
    Ready,
}

/// One edge of the graph: this milestone of that step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The step waited for.
    pub step: StepId,
    /// How far it must be.
    pub milestone: Milestone,
}

impl Need {
    /// Wait until the API accepted `step`.
    pub fn applied(step: impl Into<StepId>) -> Self {
        Self {
            step: step.into(),
            milestone: Milestone::Applied,
        }
    }

    /// Wait until `step` works.
    pub fn ready(step: impl Into<StepId>) -> Self {
        Self {
            step: step.into(),
            milestone: Milestone::Ready,
        }
    }
}

/// What the outside says now about the thing that a step makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// Nothing of it exists.
    Absent,
    /// It exists exactly as wanted; [`Step::ensure`] would write nothing.
    Present,
    /// It exists, and these differences are to be mended.
    Partial(Vec<Difference>),
    /// Something of that name exists and is somebody else's; says whose.
    Foreign(String),
}

/// One difference between what is wanted and what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The resource, e.g. `KafkaTopic kafka/streaming-topic`.
    pub resource: String,
    /// The field path where one is known, e.g. `spec.config.retention.ms`.
    pub field: Option<String>,
    /// What is there now, or `None` when absent or not known.
    pub live: Option<String>,
    /// What is wanted, or `None` when it goes away.
    pub wanted: Option<String>,
    /// What the change means.
    pub change: Change,
}

/// What happens, or happened, to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was there and right: nothing was written.
    Unchanged,
    /// It was there, made by an earlier try of ours, and is now recorded.
    Adopted,
    /// It was made.
    Created,
    /// It was changed in place.
    Updated,
    /// It was deleted and made again.
    Replaced,
    /// It was deleted.
    Removed,
}

/// What `ensure` achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The largest change of all that the step did.
    pub change: Change,
    /// What later steps and runs need to know (identities, digests, addresses); never a secret.
    pub outputs: Value,
    /// One line for a person, e.g. `3 brokers, 3 controllers`.
    pub summary: String,
}

/// Whether the thing works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Not yet: what is missing, in words, with counts where there are counts.
    InProgress {
        /// e.g. `brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image`
        waiting_for: String,
        /// (done, total), where the step can count.
        count: Option<(u32, u32)>,
    },
    /// It works; one line for a person.
    Ready(String),
    /// It cannot become ready any more.
    Failed(Box<StepError>),
}

impl Readiness {
    /// Not yet, without counts.
    pub fn waiting(for_what: impl Into<String>) -> Self {
        Self::InProgress {
            waiting_for: for_what.into(),
            count: None,
        }
    }
}

/// The bounds of a step's waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For observe and ensure together.
    pub ensure: Duration,
    /// From applied to ready.
    pub ready: Duration,
    /// How long readiness usually takes, for the "of ~" in progress lines.
    pub expected: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ensure: Duration::from_secs(120),
            ready: Duration::from_secs(600),
            expected: Duration::from_secs(10),
        }
    }
}

/// What a step wants to exist in the cluster, by address: nobody else may remove it while the step is in the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Objects, whether the step makes them or uses them as they are.
    pub objects: Vec<ObjectRef>,
    /// Helm releases: namespace and name.
    pub releases: Vec<(String, String)>,
}

/// The unit of work inside a stage: one resource, or one set that is applied together.
///
/// The engine calls, in order: [`observe`](Step::observe), [`ensure`](Step::ensure) unless the observation is
/// [`Observation::Present`], then [`readiness`](Step::readiness) until it says `Ready` or `Failed` or time is up.
/// Every method must be safe to repeat after a kill at any point.
#[async_trait]
pub trait Step: Send + Sync {
    /// Stable key in the journal.
    fn id(&self) -> &StepId;

    /// What it makes, for a person: `Kafka cluster streaming-cluster`.
    fn title(&self) -> String;

    /// The milestones it waits for.
    fn needs(&self) -> Vec<Need>;

    /// Steps of which at least one must work for this one ever to become ready, although it begins without them: pods are
    /// applied while nodes boot. Where all of them failed, or were never begun because of a failure, the wait ends.
    fn stands_on(&self) -> Vec<StepId> {
        Vec::new()
    }

    /// The bounds of its waits.
    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }

    /// How often readiness is asked when nothing announces a change (`None`: only on announced changes, with a slow
    /// safety interval). AWS is polled, Kubernetes is watched.
    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    /// What is there now: by recorded identity, else by ownership. Reads only.
    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError>;

    /// Make it so. Idempotent; changes only what differs; writes its intent first (`cx.intent`).
    async fn ensure(&self, cx: &StepContext, observed: &Observation) -> Result<Outcome, StepError>;

    /// Whether it works. Reads only.
    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError>;

    /// The outputs that [`Step::ensure`] would answer for what stands now; `None` where nothing stands, and of a step whose outputs
    /// no other step needs. With the record lost, a look knows from them what later steps hang on. Reads only.
    async fn standing_outputs(&self, _cx: &StepContext) -> Result<Option<Value>, StepError> {
        Ok(None)
    }

    /// What a person can do where somebody else's thing stands in its place ([`Observation::Foreign`]); `None` where
    /// choosing another name is the way.
    fn beside_a_stranger(&self) -> Option<String> {
        None
    }

    /// What it wants to exist in the cluster. Reads only; what is not known yet is left out.
    async fn wants(&self, _cx: &StepContext) -> Result<Wanted, StepError> {
        Ok(Wanted::default())
    }

    /// What a plan shows: the differences that `ensure` would mend. Reads only.
    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        Ok(match self.observe(cx).await? {
            Observation::Present => Vec::new(),
            Observation::Partial(differences) => differences,
            Observation::Absent => vec![Difference {
                resource: self.title(),
                field: None,
                live: None,
                wanted: Some("present".to_owned()),
                change: Change::Created,
            }],
            Observation::Foreign(owner) => {
                let error = StepError::new("STG001", "use", self.title(), owner);
                return Err(match self.beside_a_stranger() {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                });
            }
        })
    }
}
