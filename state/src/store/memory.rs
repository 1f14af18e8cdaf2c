//! A journal in memory, for tests of whoever writes journals.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::{JournalStore, Loaded};
use crate::error::StateError;
use crate::record::Record;

/// Keeps records as long as a clone of it lives: one clone is written, another can be opened "after the crash".
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    /// The last number that this clone knows of.
    known: u64,
}

#[derive(Debug, Default)]
struct Shared {
    records: Vec<Record>,
    room: Option<u64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it holds.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// From now on there is room for that many more records; then appends fail as on a full disk.
    pub fn limit(&self, more: u64) {
        let mut shared = self.lock();
        shared.room = Some(more);
    }

    /// There is room again.
    pub fn unlimited(&self) {
        self.lock().room = None;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn load(&mut self) -> Result<Loaded, StateError> {
        let records = self.records();
        self.known = records.last().map_or(0, |last| last.seq);
        Ok(Loaded {
            records,
            torn: None,
        })
    }

    async fn append(&mut self, batch: &[Record]) -> Result<(), StateError> {
        let mut shared = self.lock();
        let last = shared.records.last().map_or(0, |last| last.seq);
        if last != self.known {
            return Err(StateError::Fenced {
                journal: self.location(),
                evidence: format!("it ends with record {last}, not {}", self.known),
            });
        }
        if let Some(room) = &mut shared.room {
            *room = room
                .checked_sub(batch.len() as u64)
                .ok_or_else(|| StateError::DiskFull {
                    path: "memory".into(),
                    source: std::io::ErrorKind::StorageFull.into(),
                })?;
        }
        shared.records.extend_from_slice(batch);
        let known = shared.records.last().map_or(0, |last| last.seq);
        drop(shared);
        self.known = known;
        Ok(())
    }

    async fn settle(&mut self) -> Result<u64, StateError> {
        Ok(self.known)
    }

    async fn rotate(&mut self, snapshot: &Record) -> Result<bool, StateError> {
        self.lock().records = vec![snapshot.clone()];
        self.known = snapshot.seq;
        Ok(true)
    }

    fn size(&self) -> u64 {
        self.lock().records.len() as u64
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}
