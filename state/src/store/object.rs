//! A journal over an object store that can create an object only if there is none of its key: the port that an S3
//! adapter fills, and the journal that the port carries.
//!
//! A batch of records is one object, named by the number of its first record. Two writers cannot both create it, so
//! the numbers themselves fence the journal: who comes second learns of the other before its records exist.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{JournalStore, Loaded, frame};
use crate::error::StateError;
use crate::record::Record;

/// How often a create is tried when the store answers "try again" or loses the answer.
const TRIES: u32 = 6;

/// What a conditional create came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there, with our content, durably.
    Created,
    /// An object of that key exists (S3: 412 Precondition Failed). It may be our own, from a try whose answer was lost.
    Exists,
    /// Another create of the same key was under way (S3: 409 Conditional Request Conflict): try again.
    Conflict,
}

/// What an object store could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct ObjectError {
    /// The store's own words.
    pub cause: String,
    /// Whether trying again can help. The effect may have happened all the same.
    pub retryable: bool,
}

/// An object store with create-if-absent, for instance S3 with `If-None-Match: *`. Reads see every finished create.
#[async_trait]
pub trait ConditionalObjectStore: Send + Sync {
    /// Creates an object, unless one of that key exists.
    ///
    /// # Errors
    /// That it is not known whether it was created.
    async fn create(&self, key: &str, content: Vec<u8>) -> Result<PutOutcome, ObjectError>;

    /// An object's content; None if there is none.
    ///
    /// # Errors
    /// That it cannot be read.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError>;

    /// All keys that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// That they cannot be listed.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// The store's address, for messages, for instance `s3://bucket`.
    fn location(&self) -> String;
}

/// A journal whose batches are conditionally created objects `PREFIX/NUMBER.ndjson`.
pub struct ObjectJournal<S> {
    store: S,
    prefix: String,
    /// The number of the last durable record.
    last: u64,
    size: u64,
    /// Key, nonce line, last number and size of a batch whose outcome is unknown.
    begun: Option<Begun>,
}

struct Begun {
    key: String,
    nonce: String,
    last: u64,
    size: u64,
}

impl<S: ConditionalObjectStore> ObjectJournal<S> {
    /// The journal under `prefix`. Call [`JournalStore::load`] before the first append.
    pub fn new(store: S, prefix: impl Into<String>) -> Self {
        Self {
            store,
            prefix: prefix.into(),
            last: 0,
            size: 0,
            begun: None,
        }
    }

    fn key(&self, first: u64) -> String {
        // Twenty digits hold every number, so that keys sort as numbers do.
        format!("{}/{first:020}.ndjson", self.prefix)
    }

    fn failed(doing: &'static str, key: &str, error: ObjectError) -> StateError {
        StateError::ObjectStore {
            doing,
            key: key.to_owned(),
            cause: error.cause,
            retryable: error.retryable,
        }
    }

    /// Whether the object at `key` is the batch that carries `nonce`; None if there is no object.
    async fn is_ours(&self, key: &str, nonce: &str) -> Result<Option<bool>, StateError> {
        let content = self
            .store
            .get(key)
            .await
            .map_err(|error| Self::failed("read back", key, error))?;
        Ok(content.map(|content| content.starts_with(nonce.as_bytes())))
    }

    fn fenced(&self, key: &str) -> StateError {
        StateError::Fenced {
            journal: self.location(),
            evidence: format!("another writer created {key}"),
        }
    }

    async fn create(&self, begun: &Begun, content: Vec<u8>) -> Result<(), StateError> {
        let mut pause = Duration::from_millis(50);
        let mut trouble = ObjectError {
            cause: "no answer".to_owned(),
            retryable: true,
        };
        for _ in 0..TRIES {
            match self.store.create(&begun.key, content.clone()).await {
                Ok(PutOutcome::Created) => return Ok(()),
                // Our own earlier try may have succeeded without our hearing of it: the nonce tells.
                Ok(PutOutcome::Exists) => {
                    return match self.is_ours(&begun.key, &begun.nonce).await? {
                        Some(true) => Ok(()),
                        _ => Err(self.fenced(&begun.key)),
                    };
                }
                Ok(PutOutcome::Conflict) => {
                    trouble = ObjectError {
                        cause: "creates of the same key conflict".to_owned(),
                        retryable: true,
                    };
                }
                Err(error) if error.retryable => trouble = error,
                Err(error) => return Err(Self::failed("create", &begun.key, error)),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(Self::failed("create", &begun.key, trouble))
    }

    fn confirm(&mut self, begun: &Begun) {
        self.last = begun.last;
        self.size = self.size.saturating_add(begun.size);
    }
}

#[async_trait]
impl<S: ConditionalObjectStore> JournalStore for ObjectJournal<S> {
    async fn load(&mut self) -> Result<Loaded, StateError> {
        let prefix = format!("{}/", self.prefix);
        let keys = self
            .store
            .list(&prefix)
            .await
            .map_err(|error| Self::failed("list", &prefix, error))?;
        let mut records: Vec<Record> = Vec::new();
        let mut size = 0_u64;
        for key in keys {
            let content = self
                .store
                .get(&key)
                .await
                .map_err(|error| Self::failed("read", &key, error))?;
            let content = content.unwrap_or_default();
            let damaged = |reason: &str| StateError::Damaged {
                journal: format!("{}/{key}", self.store.location()),
                line: 1,
                offset: 0,
                reason: reason.to_owned(),
            };
            let expected = records.last().map_or(1, |last| last.seq.saturating_add(1));
            if key != self.key(expected) {
                return Err(damaged("it does not follow the object before it"));
            }
            // The first line is the writer's nonce.
            let start = content
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(content.len(), |end| end + 1);
            let parsed = frame::parse(&key, &content[start..])?;
            // An object is created whole or not at all, so here a torn end is damage.
            if parsed.torn.is_some()
                || parsed
                    .records
                    .first()
                    .is_none_or(|first| first.seq != expected)
            {
                return Err(damaged("it is not whole"));
            }
            size = size.saturating_add(content.len() as u64);
            records.extend(parsed.records);
        }
        self.last = records.last().map_or(0, |last| last.seq);
        self.size = size;
        self.begun = None;
        Ok(Loaded {
            records,
            torn: None,
        })
    }

    async fn append(&mut self, batch: &[Record]) -> Result<(), StateError> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return Ok(());
        };
        if self.begun.is_some() {
            self.settle().await?;
        }
        let nonce = format!("{}\n", Uuid::new_v4());
        let mut content = nonce.clone().into_bytes();
        let key = self.key(first.seq);
        for record in batch {
            frame::encode(record, first.seq, &mut content).map_err(|error| {
                Self::failed(
                    "encode",
                    &key,
                    ObjectError {
                        cause: error.to_string(),
                        retryable: false,
                    },
                )
            })?;
        }
        let begun = Begun {
            key,
            nonce,
            last: last.seq,
            size: content.len() as u64,
        };
        // Kept until the outcome is known, also when this future is dropped on the way.
        let begun = self.begun.insert(begun);
        let begun = Begun {
            key: begun.key.clone(),
            nonce: begun.nonce.clone(),
            ..*begun
        };
        self.create(&begun, content).await?;
        self.begun = None;
        self.confirm(&begun);
        Ok(())
    }

    async fn settle(&mut self) -> Result<u64, StateError> {
        if let Some(begun) = &self.begun {
            // No object: the create did not happen. A request that is still on its way after its future was dropped
            // can at worst land before the next create of the same key, which then sees another nonce and stops.
            match self.is_ours(&begun.key, &begun.nonce).await? {
                Some(true) => {
                    if let Some(begun) = self.begun.take() {
                        self.confirm(&begun);
                    }
                }
                Some(false) => return Err(self.fenced(&begun.key)),
                None => self.begun = None,
            }
        }
        Ok(self.last)
    }

    async fn rotate(&mut self, _snapshot: &Record) -> Result<bool, StateError> {
        Ok(false)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn location(&self) -> String {
        format!("{}/{}", self.store.location(), self.prefix)
    }
}

/// Objects in memory, with the answers that a real store can give; clones share them. For tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryObjects {
    shared: Arc<Mutex<Objects>>,
}

#[derive(Debug, Default)]
struct Objects {
    content: BTreeMap<String, Vec<u8>>,
    conflicts: u32,
    lost_answers: u32,
}

impl MemoryObjects {
    /// No objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `count` creates answer "conflict" and do nothing.
    pub fn conflict_next(&self, count: u32) {
        self.lock().conflicts = count;
    }

    /// The next `count` creates take effect, and their answer is lost.
    pub fn lose_answers(&self, count: u32) {
        self.lock().lost_answers = count;
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.shared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[async_trait]
impl ConditionalObjectStore for MemoryObjects {
    async fn create(&self, key: &str, content: Vec<u8>) -> Result<PutOutcome, ObjectError> {
        let mut objects = self.lock();
        if objects.conflicts > 0 {
            objects.conflicts -= 1;
            return Ok(PutOutcome::Conflict);
        }
        if objects.content.contains_key(key) {
            return Ok(PutOutcome::Exists);
        }
        objects.content.insert(key.to_owned(), content);
        if objects.lost_answers > 0 {
            objects.lost_answers -= 1;
            return Err(ObjectError {
                cause: "the connection was reset".to_owned(),
                retryable: true,
            });
        }
        Ok(PutOutcome::Created)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        Ok(self.lock().content.get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        Ok(self
            .lock()
            .content
            .keys()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect())
    }

    fn location(&self) -> String {
        "memory:".to_owned()
    }
}

#[cfg(test)]
mod tests;
