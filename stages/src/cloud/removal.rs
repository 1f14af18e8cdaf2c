//! A removal of what stands in the account. It looks anew each time, so that what a lagging read showed late, or what
//! AWS made again behind one's back, goes as well.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    blocks::Row,
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    ports::cloud::Deletion,
    removal::{Removal, RemovalProgress},
    step::{Need, StepId, Timeouts},
};

/// One thing that is to go and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// Its id.
    pub id: String,
    /// For a person, e.g. `subnet subnet-0c1`.
    pub words: String,
    /// Whether its deletion is under way, so that there is nothing to ask for.
    pub going: bool,
}

impl Remnant {
    /// Something that is there.
    #[must_use]
    pub fn there(id: &str, words: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            words: words.into(),
            going: false,
        }
    }

    /// Something whose deletion is under way.
    #[must_use]
    pub fn going(id: &str, words: impl Into<String>) -> Self {
        Self {
            going: true,
            ..Self::there(id, words)
        }
    }
}

/// What asking for one thing's removal met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It was not there any more.
    Absent,
    /// It goes.
    Asked,
    /// Something still needs it, and will let go by itself; what, nearest first.
    Held(Vec<String>),
    /// Something that is not this environment's needs it, and will not let go; what, nearest first.
    HeldByOthers {
        /// The chain.
        chain: Vec<String>,
        /// A command that is safe to try next.
        safe_next: Option<String>,
    },
}

impl From<Deletion> for Removed {
    fn from(deletion: Deletion) -> Self {
        match deletion {
            Deletion::Absent => Self::Absent,
            Deletion::Accepted => Self::Asked,
        }
    }
}

/// What a stage says about one removal.
#[async_trait]
pub trait Unwanted: Send + Sync + 'static {
    /// What is to go and still there. Reads only.
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError>;

    /// Asks for one thing's removal. The inner error is the port's; `InUse` means "not yet", explained by
    /// [`Unwanted::holders`].
    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError>;

    /// What holds one thing that cannot go yet.
    async fn holders(&self, _cx: &StepContext, _remnant: &Remnant) -> Result<Removed, StepError> {
        Ok(Removed::Held(Vec::new()))
    }

    /// What "gone" reads like.
    fn gone(&self) -> String;
}

/// So many looks after one thing was asked to go, it is asked again: lists lag, and a change that was under way may have
/// kept it.
const LOOKS_BEFORE_ASKING_AGAIN: u32 = 2;

/// A removal of things in the account.
pub struct CloudRemoval<U> {
    row: Row,
    poll: Duration,
    unwanted: U,
    /// When what was asked to go.
    asked: Mutex<BTreeMap<String, Instant>>,
}

impl<U: Unwanted> CloudRemoval<U> {
    /// The removal of this row, asked for its progress every `poll`.
    #[must_use]
    pub fn removal(row: Row, poll: Duration, unwanted: U) -> Arc<dyn Removal> {
        Arc::new(Self {
            row,
            poll,
            unwanted,
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a thing was asked to go so lately that asking again says nothing new.
    fn asked_lately(&self, remnant: &Remnant) -> bool {
        let pause = self.poll * LOOKS_BEFORE_ASKING_AGAIN;
        let asked = self.asked();
        asked
            .get(&remnant.id)
            .is_some_and(|at| at.elapsed() < pause)
    }

    async fn ask(&self, cx: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        let removed = self.unwanted.remove(cx, remnant).await?;
        if removed.is_ok() {
            self.asked().insert(remnant.id.clone(), Instant::now());
        }
        match removed {
            Ok(deletion) => Ok(deletion.into()),
            Err(error) if error.kind == PortErrorKind::NotFound => Ok(Removed::Absent),
            Err(error) if error.kind == PortErrorKind::InUse => {
                self.unwanted.holders(cx, remnant).await
            }
            Err(error) => Err(error.during("delete", &remnant.words)),
        }
    }
}

#[async_trait]
impl<U: Unwanted> Removal for CloudRemoval<U> {
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

    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        let mut asked = 0;
        for remnant in self.unwanted.remaining(cx).await? {
            // What is held now is asked again by the wait, which explains it.
            if !remnant.going && self.ask(cx, &remnant).await? == Removed::Asked {
                asked += 1;
            }
        }
        Ok(asked)
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let remaining = self.unwanted.remaining(cx).await?;
        if remaining.is_empty() {
            return Ok(RemovalProgress::Gone(self.unwanted.gone()));
        }
        let mut words = Vec::new();
        for remnant in remaining {
            if remnant.going || self.asked_lately(&remnant) {
                words.push(remnant.words);
                continue;
            }
            match self.ask(cx, &remnant).await? {
                // Lists lag: the next look tells.
                Removed::Absent | Removed::Asked => words.push(remnant.words),
                Removed::Held(chain) if chain.is_empty() => words.push(remnant.words),
                Removed::Held(chain) => {
                    words.push(format!("{} ← {}", remnant.words, chain.join(" ← ")));
                }
                Removed::HeldByOthers { chain, safe_next } => {
                    return Ok(RemovalProgress::Stuck(Box::new(held_by_others(
                        &remnant, &chain, safe_next,
                    ))));
                }
            }
        }
        let count = words.len();
        let first = words.swap_remove(0);
        Ok(RemovalProgress::InProgress {
            waiting_for: match count {
                1 => first,
                more => format!("{first} (and {} more)", more - 1),
            },
            count: None,
        })
    }
}

fn held_by_others(remnant: &Remnant, chain: &[String], safe_next: Option<String>) -> StepError {
    let mut error = StepError::new(
        "DWN004",
        "delete",
        &remnant.words,
        format!(
            "{} needs it, and is not this environment's",
            chain.first().map_or("something", String::as_str)
        ),
    )
    .with_evidence(vec![format!(
        "still there: {} ← {}",
        remnant.words,
        chain.join(" ← ")
    )]);
    error.hint = safe_next
        .or_else(|| Some("remove it where it is managed, then run pipectl down again".to_owned()));
    error
}
