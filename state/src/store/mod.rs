//! Where a journal is kept.

mod frame;
mod local;
mod memory;
mod object;

use async_trait::async_trait;

use crate::error::StateError;
use crate::record::Record;

pub use local::LocalStore;
pub(crate) use local::{flush_directory, make_directory};
pub use memory::MemoryStore;
pub use object::{ConditionalObjectStore, MemoryObjects, ObjectError, ObjectJournal, PutOutcome};

/// What a store held when it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// All records, oldest first.
    pub records: Vec<Record>,
    /// The torn end of a write that was never confirmed, if there is one.
    pub torn: Option<TornTail>,
}

/// The end of a write that a kill or a power cut tore; it was never confirmed to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The line at which it begins, from 1.
    pub line: u64,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A place that keeps a journal. One value has one writer; several values may read.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Reads everything.
    ///
    /// # Errors
    /// [`StateError::Damaged`], [`StateError::WrongVersion`], or that the place cannot be read.
    async fn load(&mut self) -> Result<Loaded, StateError>;

    /// Makes a batch durable, all of it or nothing: when this returns `Ok`, the batch survives a power cut.
    /// The records are numbered on from the last one that this value loaded or appended.
    ///
    /// On an error, and when the future is dropped, the outcome may be unknown; [`JournalStore::settle`] finds it out.
    ///
    /// # Errors
    /// [`StateError::Fenced`] when another writer was here, [`StateError::DiskFull`] and the like.
    async fn append(&mut self, batch: &[Record]) -> Result<(), StateError>;

    /// After an append whose outcome is unknown: the number of the last durable record.
    ///
    /// # Errors
    /// [`StateError::Unsettled`] when that cannot be found out now.
    async fn settle(&mut self) -> Result<u64, StateError>;

    /// Keeps the history so far aside and begins anew with a snapshot. False where the store does not do this.
    ///
    /// # Errors
    /// As for [`JournalStore::append`]; the old journal stays in place then.
    async fn rotate(&mut self, snapshot: &Record) -> Result<bool, StateError>;

    /// How many bytes the journal has, as far as known.
    fn size(&self) -> u64;

    /// File or address, for messages.
    fn location(&self) -> String;
}

/// The journal's file in an environment's directory.
pub(crate) fn journal_file(directory: &std::path::Path) -> std::path::PathBuf {
    directory.join(local::JOURNAL)
}
