//! A step that makes one resource in the account. A stage says how the resource is found, made and mended; the block
//! keeps the order: look, intent, effect, again until it is as wanted.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{NOT_KNOWN, tags};
use crate::{
    blocks::Row,
    context::StepContext,
    error::{PortError, PortErrorKind, Retry, StepError},
    ports::cloud::Tags,
    step::{Change, Difference, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// How often a create is tried anew in one go when its token answers with something dead.
const ATTEMPTS: u32 = 4;

/// How often a create is repeated here that is refused for what was made just now and is not known everywhere yet.
const SPREADS_WITHIN: u32 = 6;

/// How often something made just now is looked for before it counts as gone.
const LOOKS_AT_NEW: u32 = 12;

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<L> {
    /// There is none.
    Absent {
        /// The number of the attempt that would make it: above those of all that came to nothing.
        attempt: u32,
        /// What it takes the place of, where it does.
        replaces: Option<String>,
    },
    /// There is one.
    There {
        /// As it is.
        live: L,
        /// Ids of our own unused repetitions of it.
        extras: Vec<String>,
    },
    /// There is one of that name, and it is somebody else's; whose, in words.
    Foreign(String),
}

impl<L> Look<L> {
    /// There is none, and never was.
    #[must_use]
    pub fn absent() -> Self {
        Self::Absent {
            attempt: 1,
            replaces: None,
        }
    }

    /// There is exactly one.
    #[must_use]
    pub fn there(live: L) -> Self {
        Self::There {
            live,
            extras: Vec::new(),
        }
    }

    /// One of a unique name: there, or somebody else's.
    #[must_use]
    pub fn named(cx: &StepContext, live: L, its_tags: &Tags) -> Self {
        match tags::foreign(its_tags, &cx.environment) {
            None => Self::there(live),
            Some(words) => Self::Foreign(words),
        }
    }
}

/// What a stage says about one resource.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// The resource as a port shows it.
    type Live: Clone + Send + Sync;

    /// What is there: by recorded identity, else by ownership. Reads only. An error that something is not known yet
    /// ([`super::known`]) counts as "there is none".
    async fn look(&self, cx: &StepContext) -> Result<Look<Self::Live>, StepError>;

    /// The identity that an attempt is about to create, made durable before it does.
    async fn identity(&self, cx: &StepContext, attempt: u32) -> Result<Value, StepError>;

    /// Makes it; the inner error is the port's.
    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Self::Live, PortError>, StepError>;

    /// Whether what a create answered is one that already came to nothing: a replayed token.
    fn is_dead(&self, _live: &Self::Live) -> bool {
        false
    }

    /// What repeating a failed create promises. What an earlier step made may not be seen everywhere yet.
    fn retry(&self, _cx: &StepContext, error: &PortError) -> Retry {
        match error.kind {
            PortErrorKind::NotFound => Retry::Soon,
            kind => kind.retry(),
        }
    }

    /// What [`Resource::mend`] would change. Reads only.
    async fn differences(
        &self,
        _cx: &StepContext,
        _live: &Self::Live,
    ) -> Result<Vec<Difference>, StepError> {
        Ok(Vec::new())
    }

    /// Makes one that is there as wanted; answers it as it is then.
    async fn mend(&self, _cx: &StepContext, live: Self::Live) -> Result<Self::Live, StepError> {
        Ok(live)
    }

    /// What a person can do where somebody else's stands in its place; `None` where choosing another name is the way.
    fn beside_a_stranger(&self) -> Option<String> {
        None
    }

    /// Removes one of our own unused repetitions.
    async fn drop_extra(&self, _cx: &StepContext, _id: &str) -> Result<(), StepError> {
        Ok(())
    }

    /// What later steps and runs need to know.
    fn outputs(&self, cx: &StepContext, live: &Self::Live) -> Value;

    /// Keys of the tags that pipectl sets on it, so that it knows later which of them to remove.
    fn tag_keys(&self, _cx: &StepContext) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// One line for a person.
    fn summary(&self, live: &Self::Live) -> String;

    /// Whether it works. Reads only.
    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError>;

    /// That one which was there before works, where the look at it says that already; in one line for a person.
    fn works(&self, _live: &Self::Live) -> Option<String> {
        None
    }
}

/// A step that makes one resource.
pub struct CloudStep<R: Resource> {
    row: Row,
    poll: Duration,
    resource: R,
    /// What the observation right before an `ensure` saw, so that it need not look again.
    seen: Mutex<Option<Seen<R::Live>>>,
    /// That what was observed just now is right and works, so that the wait need not look again.
    works: Mutex<Option<String>>,
}

/// What one look saw, and how what is there differs from what is wanted.
struct Seen<L> {
    look: Look<L>,
    differences: Vec<Difference>,
}

impl<R: Resource> CloudStep<R> {
    /// The step of this row, asked for its readiness every `poll`.
    #[must_use]
    pub fn step(row: Row, poll: Duration, resource: R) -> Arc<dyn Step> {
        Arc::new(Self {
            row,
            poll,
            resource,
            seen: Mutex::new(None),
            works: Mutex::new(None),
        })
    }

    fn works(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn see(&self, cx: &StepContext) -> Result<Seen<R::Live>, StepError> {
        let look = self.look(cx).await?;
        let differences = match &look {
            Look::There { live, .. } => self.resource.differences(cx, live).await?,
            Look::Absent { .. } | Look::Foreign(_) => Vec::new(),
        };
        Ok(Seen { look, differences })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<Seen<R::Live>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, cx: &StepContext) -> Result<Look<R::Live>, StepError> {
        match self.resource.look(cx).await {
            Err(error) if error.code == NOT_KNOWN => Ok(Look::absent()),
            looked => looked,
        }
    }

    /// What was seen right now is as wanted: it is taken up where nothing is recorded of it.
    fn adoption(&self, cx: &StepContext) -> Vec<Difference> {
        // Of what is to go, and is gone, there is nothing to say and nothing to take up.
        let something = match &*self.seen() {
            Some(Seen {
                look: Look::There { live, .. },
                ..
            }) => !self.resource.summary(live).is_empty(),
            _ => false,
        };
        if cx.recorded().is_some() || !something {
            return Vec::new();
        }
        vec![Difference {
            resource: self.row.title.clone(),
            field: None,
            live: Some("present".to_owned()),
            wanted: Some("present".to_owned()),
            change: Change::Adopted,
        }]
    }

    fn foreign(&self, words: String) -> StepError {
        let error = StepError::new("STG001", "use", &self.row.title, words);
        match self.resource.beside_a_stranger() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Creates under attempts that count up until one answers with something that lives.
    async fn create(&self, cx: &StepContext, first: u32) -> Result<(Change, R::Live), StepError> {
        let mut attempt = first;
        let mut refused = 0;
        loop {
            if cx.cancel.is_cancelled() {
                return Err(super::cut_off("create", &self.row.title));
            }
            let identity = self.resource.identity(cx, attempt).await?;
            cx.intent(json!({"attempt": attempt, "identity": identity}))
                .await?;
            match self.resource.create(cx, attempt).await? {
                Ok(live) if !self.resource.is_dead(&live) => return Ok((Change::Created, live)),
                Ok(_) if attempt < first.saturating_add(ATTEMPTS) => attempt += 1,
                Ok(_) => {
                    return Err(StepError::new(
                        "CLD003",
                        "create",
                        &self.row.title,
                        "every attempt is answered with one that came to nothing before",
                    ));
                }
                Err(error) if error.kind == PortErrorKind::AlreadyExists => {
                    return self.exists(cx, error).await;
                }
                Err(error) => {
                    let retry = self.resource.retry(cx, &error);
                    // Waited out at AWS's pace: the engine's own pauses are for what no pace makes faster.
                    let unknown =
                        matches!(error.kind, PortErrorKind::NotFound | PortErrorKind::Invalid);
                    if retry == Retry::Soon && unknown && refused < SPREADS_WITHIN {
                        refused += 1;
                        cx.progress(format!("not known everywhere yet: {}", error.cause));
                        let share = 1_u32 << (SPREADS_WITHIN - refused);
                        tokio::time::sleep(self.poll / share).await;
                        continue;
                    }
                    return Err(error.during("create", &self.row.title).with_retry(retry));
                }
            }
        }
    }

    /// Mends what was made just now. It is not seen everywhere at once, and starting over would have to find it again by
    /// reads that lag behind: so what may pass is waited out here.
    async fn mend_new(&self, cx: &StepContext, live: R::Live) -> Result<R::Live, StepError> {
        let mut looks = 0;
        loop {
            match self.resource.mend(cx, live.clone()).await {
                Err(error)
                    if error.retry == Retry::Soon
                        && looks < LOOKS_AT_NEW
                        && !cx.cancel.is_cancelled() =>
                {
                    looks += 1;
                    tokio::time::sleep(self.poll).await;
                }
                mended => return mended,
            }
        }
    }

    /// The name was taken after all: by ourselves, whom a stale read did not show, or by somebody else.
    async fn exists(
        &self,
        cx: &StepContext,
        error: PortError,
    ) -> Result<(Change, R::Live), StepError> {
        match self.look(cx).await? {
            Look::There { live, .. } => Ok((Change::Adopted, live)),
            Look::Foreign(words) => Err(self.foreign(words)),
            Look::Absent { .. } => Err(error
                .during("create", &self.row.title)
                .with_retry(Retry::Soon)),
        }
    }
}

#[async_trait]
impl<R: Resource> Step for CloudStep<R> {
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

    fn poll_interval(&self) -> Option<Duration> {
        Some(self.poll)
    }

    fn beside_a_stranger(&self) -> Option<String> {
        self.resource.beside_a_stranger()
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        self.seen().take();
        let seen = self.see(cx).await?;
        let observation = match &seen.look {
            Look::Absent { .. } => Observation::Absent,
            Look::Foreign(words) => Observation::Foreign(words.clone()),
            Look::There { extras, .. } => {
                let mut differences = seen.differences.clone();
                differences.extend(extras.iter().map(|extra| Difference {
                    resource: format!("{extra}, a repetition of {}", self.row.title),
                    field: None,
                    live: Some("present".to_owned()),
                    wanted: None,
                    change: Change::Removed,
                }));
                if differences.is_empty() {
                    Observation::Present
                } else {
                    Observation::Partial(differences)
                }
            }
        };
        *self.works() = match (&observation, &seen.look) {
            (Observation::Present, Look::There { live, .. }) => self.resource.works(live),
            _ => None,
        };
        *self.seen() = Some(seen);
        Ok(observation)
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        let just_seen = self.seen().take();
        let seen = match just_seen {
            Some(seen) => seen,
            None => self.see(cx).await?,
        };
        let (mut change, mut live, differences) = match seen.look {
            Look::Foreign(words) => return Err(self.foreign(words)),
            Look::Absent { attempt, replaces } => {
                let (change, live) = self.create(cx, attempt).await?;
                let differences = self.resource.differences(cx, &live).await?;
                let replaced = replaces.is_some() && change == Change::Created;
                let change = if replaced { Change::Replaced } else { change };
                (change, live, differences)
            }
            Look::There { live, extras } => {
                let mut change = match cx.recorded() {
                    Some(_) => Change::Unchanged,
                    None => Change::Adopted,
                };
                if !extras.is_empty() {
                    cx.intent(json!({"removes": extras})).await?;
                    for extra in &extras {
                        self.resource.drop_extra(cx, extra).await?;
                    }
                    change = Change::Updated;
                }
                (change, live, seen.differences)
            }
        };
        if !differences.is_empty() {
            cx.intent(json!({"changes": differences})).await?;
            live = match change {
                Change::Created | Change::Replaced => self.mend_new(cx, live).await?,
                _ => self.resource.mend(cx, live).await?,
            };
            if change <= Change::Adopted {
                change = Change::Updated;
            }
        }
        let mut outputs = self.resource.outputs(cx, &live);
        let keys = self.resource.tag_keys(cx);
        if !keys.is_empty() {
            outputs["tags"] = json!(keys);
        }
        Ok(Outcome {
            change,
            outputs,
            summary: self.resource.summary(&live),
        })
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let just_seen = self.works().take();
        match just_seen {
            Some(words) => Ok(Readiness::Ready(words)),
            None => self.resource.readiness(cx).await,
        }
    }

    async fn diff(&self, cx: &StepContext) -> Result<Vec<Difference>, StepError> {
        if let Look::Absent { replaces, .. } = self.look(cx).await? {
            let change = match replaces {
                Some(_) => Change::Replaced,
                None => Change::Created,
            };
            return Ok(vec![Difference {
                resource: self.row.title.clone(),
                field: None,
                live: replaces,
                wanted: Some("present".to_owned()),
                change,
            }]);
        }
        match self.observe(cx).await? {
            Observation::Partial(differences) => Ok(differences),
            Observation::Foreign(words) => Err(self.foreign(words)),
            Observation::Absent => Ok(Vec::new()),
            Observation::Present => Ok(self.adoption(cx)),
        }
    }

    async fn standing_outputs(&self, cx: &StepContext) -> Result<Option<Value>, StepError> {
        let just_seen = self.seen().take();
        let look = match just_seen {
            Some(seen) => seen.look,
            None => self.look(cx).await?,
        };
        Ok(match look {
            Look::There { live, .. } => Some(self.resource.outputs(cx, &live)),
            Look::Absent { .. } | Look::Foreign(_) => None,
        })
    }
}
