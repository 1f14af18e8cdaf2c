//! The journal of one environment: checks, makes durable, folds.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;
use crate::error::StateError;
use crate::record::{Body, Record, RunId};
use crate::redact::Guard;
use crate::state::EnvironmentState;
use crate::store::{JournalStore, Loaded, LocalStore, MemoryStore, TornTail};
use pipectl_redact::Redactor;

/// How a journal is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; works while somebody else holds the lease, and changes nothing.
    ReadOnly,
    /// For writing, under a lease.
    Write {
        /// The run that writes.
        run: RunId,
        /// The lease's fencing number.
        fence: u64,
    },
}

/// The journal of one environment, and the state that its records amount to.
pub struct Journal {
    store: Box<dyn JournalStore>,
    state: EnvironmentState,
    writer: Option<(RunId, u64)>,
    clock: Arc<dyn Clock>,
    redactor: Redactor,
    /// A batch whose append was begun and whose outcome is not known yet.
    in_flight: Vec<Record>,
    torn: Option<TornTail>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("location", &self.store.location())
            .field("seq", &self.state.seq())
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// The journal of environment `env` under the state directory `root`, and its state.
    ///
    /// # Errors
    /// [`StateError::NoSuchEnvironment`] when reading and there is nothing; [`StateError::Damaged`],
    /// [`StateError::IllegalHistory`], [`StateError::WrongVersion`]; [`StateError::Fenced`] when writing under an old
    /// lease; that the directory cannot be read or written.
    pub fn open(
        root: &Path,
        env: &str,
        mode: OpenMode,
    ) -> Result<(Self, EnvironmentState), StateError> {
        let environment = Environment::new(root, env)?;
        let mut store = match mode {
            OpenMode::ReadOnly => LocalStore::read_only(environment.directory()),
            OpenMode::Write { .. } => LocalStore::writable(environment.directory())?,
        };
        let loaded = store.load_now()?;
        if mode == OpenMode::ReadOnly && loaded.records.is_empty() {
            return Err(StateError::NoSuchEnvironment {
                name: env.to_owned(),
                root: root.to_owned(),
            });
        }
        Self::assemble(Box::new(store), loaded, env, mode)
    }

    /// The journal of environment `env` in any store, and its state.
    ///
    /// # Errors
    /// As [`Journal::open`], except that an empty store is no error.
    pub async fn over(
        mut store: Box<dyn JournalStore>,
        env: &str,
        mode: OpenMode,
    ) -> Result<(Self, EnvironmentState), StateError> {
        let loaded = store.load().await?;
        Self::assemble(store, loaded, env, mode)
    }

    /// An empty journal in memory, open for writing by a new run under fencing number 1: for tests.
    pub fn in_memory(env: &str) -> Self {
        Self {
            store: Box::new(MemoryStore::new()),
            state: EnvironmentState::new(env),
            writer: Some((RunId::new(), 1)),
            clock: Arc::new(SystemClock),
            redactor: Redactor::new(),
            in_flight: Vec::new(),
            torn: None,
        }
    }

    fn assemble(
        store: Box<dyn JournalStore>,
        loaded: Loaded,
        env: &str,
        mode: OpenMode,
    ) -> Result<(Self, EnvironmentState), StateError> {
        let state = EnvironmentState::fold(env, &loaded.records)?;
        let writer = match mode {
            OpenMode::ReadOnly => None,
            OpenMode::Write { run, fence } => Some((run, fence)),
        };
        let mut journal = Self {
            store,
            state,
            writer: None,
            clock: Arc::new(SystemClock),
            redactor: Redactor::new(),
            in_flight: Vec::new(),
            // A reader cannot tell a torn write from one that is under way.
            torn: loaded.torn.filter(|_| writer.is_some()),
        };
        if let Some((run, fence)) = writer {
            journal.write_as(run, fence)?;
        }
        let state = journal.state.clone();
        Ok((journal, state))
    }

    /// The same journal with times from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same journal, keeping the secrets of `redactor` out of what is written. The redactor is shared: secrets
    /// registered later count too.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// What keeps secrets out of what is written; shared, so that others can keep them out of what is said.
    pub fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Writes from now on as another run (or under another lease).
    ///
    /// # Errors
    /// [`StateError::Fenced`] when the journal has seen a higher fencing number.
    pub fn write_as(&mut self, run: RunId, fence: u64) -> Result<(), StateError> {
        if fence < self.state.fence() {
            return Err(StateError::Fenced {
                journal: self.store.location(),
                evidence: format!(
                    "fencing number {} was seen, this lease has {fence}",
                    self.state.fence()
                ),
            });
        }
        self.writer = Some((run, fence));
        Ok(())
    }

    /// What the records amount to.
    pub const fn state(&self) -> &EnvironmentState {
        &self.state
    }

    /// The run that writes; None when opened for reading.
    pub fn run(&self) -> Option<RunId> {
        self.writer.map(|(run, _)| run)
    }

    /// The torn end that was found on opening for writing; the first append cuts it off. Nothing that was ever
    /// confirmed is lost by that.
    pub const fn torn_tail(&self) -> Option<TornTail> {
        self.torn
    }

    /// File or address, for messages.
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// Records what happened, in this order, all or nothing, in one durable write. On return the records survive a
    /// power cut and are part of [`Journal::state`].
    ///
    /// May be dropped at any time: the next call finds out first whether the batch became durable.
    ///
    /// # Errors
    /// [`StateError::IllegalHistory`] and [`StateError::SecretInRecord`] before anything is written;
    /// [`StateError::DiskFull`] and the like with nothing half-written; [`StateError::Fenced`] when another writer was
    /// here; [`StateError::Unsettled`] when it cannot be known what is durable.
    pub async fn append(&mut self, bodies: Vec<Body>) -> Result<Vec<Record>, StateError> {
        self.settle().await?;
        let records = self.number(bodies)?;
        if records.is_empty() {
            return Ok(records);
        }
        let mut trial = self
            .state
            .excerpt(records.iter().filter_map(|record| record.body.step()));
        for record in &records {
            trial.apply(record)?;
        }
        self.in_flight.clone_from(&records);
        let outcome = self.store.append(&records).await;
        match outcome {
            Ok(()) => self.in_flight.clear(),
            Err(error) => {
                // A store that knows that nothing was written says so here; else the next append asks again.
                let _unknown_yet = self.settle().await;
                return Err(error);
            }
        }
        for record in &records {
            self.state.apply(record)?;
        }
        Ok(records)
    }

    /// Begins the journal anew with a snapshot when it has grown beyond `bytes`; the old one is kept beside it.
    /// Call it at the start of a run, before the run's first record. True when it was done.
    ///
    /// # Errors
    /// As [`Journal::append`]; the old journal stays in place then.
    pub async fn rotate_beyond(&mut self, bytes: u64) -> Result<bool, StateError> {
        self.settle().await?;
        if self.store.size() <= bytes || self.state.seq() == 0 {
            return Ok(false);
        }
        let state = Box::new(self.state.clone());
        let Some(record) = self.number(vec![Body::Snapshot { state }])?.pop() else {
            return Ok(false);
        };
        let mut trial = EnvironmentState::new(self.state.name());
        trial.apply(&record)?;
        let rotated = self.store.rotate(&record).await?;
        if rotated {
            self.state = trial;
        }
        Ok(rotated)
    }

    fn number(&self, bodies: Vec<Body>) -> Result<Vec<Record>, StateError> {
        let Some((run, fence)) = self.writer else {
            return Err(StateError::ReadOnly {
                journal: self.store.location(),
            });
        };
        let at = self.clock.now();
        let numbers = self.state.seq().saturating_add(1)..;
        numbers
            .zip(bodies)
            .map(|(seq, body)| {
                Ok(Record {
                    seq,
                    at,
                    run,
                    fence,
                    body: self.redactor.guard(body)?,
                })
            })
            .collect()
    }

    /// Finds out what became of an append that was not seen to its end.
    async fn settle(&mut self) -> Result<(), StateError> {
        let (Some(first), Some(last)) = (self.in_flight.first(), self.in_flight.last()) else {
            return Ok(());
        };
        let (before, last) = (first.seq.saturating_sub(1), last.seq);
        let durable = self.store.settle().await?;
        if durable == last {
            for record in std::mem::take(&mut self.in_flight) {
                self.state.apply(&record)?;
            }
        } else if durable == before {
            self.in_flight.clear();
        } else {
            return Err(StateError::Unsettled {
                journal: self.store.location(),
                reason: format!("it ends with record {durable}, expected was {before} or {last}"),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
