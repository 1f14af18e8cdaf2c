//! A journal in a directory of this machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{JournalStore, Loaded, frame};
use crate::error::StateError;
use crate::record::Record;

/// The journal's file name in an environment's directory.
pub(crate) const JOURNAL: &str = "journal.ndjson";
/// A rotated journal while it is written.
const FRESH: &str = "journal.ndjson.new";
/// Where rotated journals are kept.
const OLD: &str = "old";

/// What the journal needs of a file; tests put one underneath that fails.
pub(super) trait JournalFile: Send {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn flush(&self) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
    /// Device and inode.
    fn identity(&self) -> io::Result<(u64, u64)>;
}

impl JournalFile for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.metadata()
            .map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

/// Keeps the journal in `journal.ndjson`, a checksummed line a record, a flush a batch.
///
/// Files are made with mode 0600, directories with 0700. Reading never changes anything; a torn tail is cut off by
/// the next append.
pub struct LocalStore {
    directory: PathBuf,
    inner: Arc<Mutex<Inner>>,
    size: u64,
}

struct Inner {
    path: PathBuf,
    /// None when opened for reading.
    file: Option<Box<dyn JournalFile>>,
    /// Where the last durable record ends.
    durable: u64,
    /// The file's length when it was last looked at: `durable`, or more when the tail is torn.
    length: u64,
    /// The number of the last durable record.
    last: u64,
    /// Why nothing more can be written, if so.
    unsettled: Option<String>,
}

impl LocalStore {
    /// The journal in `directory`, for reading.
    pub fn read_only(directory: &Path) -> Self {
        Self::over(directory, None)
    }

    /// The journal in `directory`, for writing; made if there is none. Call [`JournalStore::load`] before the first append.
    ///
    /// # Errors
    /// That the directory or the file cannot be made or opened.
    pub fn writable(directory: &Path) -> Result<Self, StateError> {
        make_directory(directory)?;
        let path = directory.join(JOURNAL);
        let existed = path.exists();
        let file = open_for_writing(&path)?;
        if !existed {
            file.sync_all()
                .map_err(|error| StateError::from_io("flush", &path, error))?;
            flush_directory(directory)?;
        }
        Ok(Self::over(directory, Some(Box::new(file))))
    }

    pub(super) fn over(directory: &Path, file: Option<Box<dyn JournalFile>>) -> Self {
        let inner = Inner {
            path: directory.join(JOURNAL),
            file,
            durable: 0,
            length: 0,
            last: 0,
            unsettled: None,
        };
        Self {
            directory: directory.to_owned(),
            inner: Arc::new(Mutex::new(inner)),
            size: 0,
        }
    }

    /// Reads everything, on the calling thread.
    ///
    /// # Errors
    /// As [`JournalStore::load`].
    pub fn load_now(&mut self) -> Result<Loaded, StateError> {
        let Ok(mut inner) = self.inner.clone().try_lock_owned() else {
            return Err(StateError::Unsettled {
                journal: self.location(),
                reason: "a write is still under way".to_owned(),
            });
        };
        let loaded = inner.load()?;
        self.size = inner.durable;
        Ok(loaded)
    }
}

impl Inner {
    fn load(&mut self) -> Result<Loaded, StateError> {
        let (parsed, length) = match self.read() {
            // A reader may have caught a writer in the middle of cutting off a torn end and going on.
            Err(StateError::Damaged { .. }) if self.file.is_none() => self.read()?,
            read => read?,
        };
        self.durable = parsed.end;
        self.length = length;
        self.last = parsed.records.last().map_or(0, |last| last.seq);
        Ok(Loaded {
            records: parsed.records,
            torn: parsed.torn,
        })
    }

    fn read(&self) -> Result<(frame::Parsed, u64), StateError> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.is_none() => {}
            Err(error) => return Err(StateError::from_io("read", &self.path, error)),
        }
        let parsed = frame::parse(&self.path.display().to_string(), &bytes)?;
        Ok((parsed, bytes.len() as u64))
    }

    fn append(&mut self, lines: &[u8], last: u64) -> Result<(), StateError> {
        self.check_alone()?;
        let Some(file) = &self.file else {
            return Err(StateError::ReadOnly {
                journal: self.path.display().to_string(),
            });
        };
        let failed = |doing, error| StateError::from_io(doing, &self.path, error);
        if self.length > self.durable {
            file.truncate(self.durable)
                .map_err(|error| failed("cut the torn end off", error))?;
            self.length = self.durable;
        }
        if let Err(error) = file.write_all_at(lines, self.durable) {
            // A part may have been written; without it the file is as before, and the append can be tried again.
            if let Err(second) = file.truncate(self.durable) {
                self.unsettled = Some(format!(
                    "a write failed ({error}) and could not be taken back ({second})"
                ));
            }
            return Err(failed("write", error));
        }
        if let Err(error) = file.flush() {
            // After a failed flush the system may drop the pages and report success the next time, so this file
            // handle is not to be trusted any more: the next process reads what is really there.
            let taken_back = file.truncate(self.durable).is_ok();
            self.unsettled = Some(format!(
                "the disk did not confirm a write ({error}); taken back: {taken_back}"
            ));
            return Err(failed("flush", error));
        }
        self.durable = self.durable.saturating_add(lines.len() as u64);
        self.length = self.durable;
        self.last = last;
        Ok(())
    }

    /// That nobody else has written or replaced the file since it was last looked at.
    fn check_alone(&self) -> Result<(), StateError> {
        let journal = || self.path.display().to_string();
        if let Some(reason) = &self.unsettled {
            return Err(StateError::Unsettled {
                journal: journal(),
                reason: reason.clone(),
            });
        }
        let Some(file) = &self.file else {
            return Err(StateError::ReadOnly { journal: journal() });
        };
        let failed = |error| StateError::from_io("look at", &self.path, error);
        let length = file.length().map_err(failed)?;
        if length != self.length {
            let evidence = format!("it has {length} bytes, not {}", self.length);
            return Err(StateError::Fenced {
                journal: journal(),
                evidence,
            });
        }
        let ours = file.identity().map_err(failed)?;
        match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) == ours => Ok(()),
            Ok(_) => Err(StateError::Fenced {
                journal: journal(),
                evidence: "the file was replaced".to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StateError::Fenced {
                journal: journal(),
                evidence: "the file was moved away".to_owned(),
            }),
            Err(error) => Err(failed(error)),
        }
    }

    fn rotate(&mut self, directory: &Path, line: &[u8], last: u64) -> Result<(), StateError> {
        self.check_alone()?;
        let fresh = directory.join(FRESH);
        let failed = |doing, path: &Path, error| StateError::from_io(doing, path, error);
        let new = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|error| failed("create", &fresh, error))?;
        FileExt::write_all_at(&new, line, 0).map_err(|error| failed("write", &fresh, error))?;
        new.sync_all()
            .map_err(|error| failed("flush", &fresh, error))?;
        // The old journal gets a second name first, so that at every moment a whole journal has the first one.
        let old = directory.join(OLD);
        make_directory(&old)?;
        let kept = old.join(format!("journal-{:012}.ndjson", self.last));
        match std::fs::hard_link(&self.path, &kept) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("keep", &kept, error)),
        }
        flush_directory(&old)?;
        std::fs::rename(&fresh, &self.path)
            .map_err(|error| failed("replace", &self.path, error))?;
        flush_directory(directory)?;
        self.file = Some(Box::new(new));
        self.durable = line.len() as u64;
        self.length = self.durable;
        self.last = last;
        Ok(())
    }
}

#[async_trait]
impl JournalStore for LocalStore {
    async fn load(&mut self) -> Result<Loaded, StateError> {
        let mut inner = self.inner.clone().lock_owned().await;
        let (loaded, size) = blocking(move || (inner.load(), inner.durable)).await;
        self.size = size;
        loaded
    }

    async fn append(&mut self, batch: &[Record]) -> Result<(), StateError> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for record in batch {
            encode(record, first.seq, &mut lines, &self.directory)?;
        }
        let last = last.seq;
        // The lock is taken here and freed by the thread that writes: whoever asks next, also after this future was
        // dropped, waits until the write has ended.
        let mut inner = self.inner.clone().lock_owned().await;
        let (outcome, size) = blocking(move || (inner.append(&lines, last), inner.durable)).await;
        self.size = size;
        outcome
    }

    async fn settle(&mut self) -> Result<u64, StateError> {
        let inner = self.inner.lock().await;
        self.size = inner.durable;
        match &inner.unsettled {
            Some(reason) => Err(StateError::Unsettled {
                journal: inner.path.display().to_string(),
                reason: reason.clone(),
            }),
            None => Ok(inner.last),
        }
    }

    async fn rotate(&mut self, snapshot: &Record) -> Result<bool, StateError> {
        let mut line = Vec::new();
        encode(snapshot, snapshot.seq, &mut line, &self.directory)?;
        let last = snapshot.seq;
        let directory = self.directory.clone();
        let mut inner = self.inner.clone().lock_owned().await;
        let (outcome, size) =
            blocking(move || (inner.rotate(&directory, &line, last), inner.durable)).await;
        self.size = size;
        outcome.map(|()| true)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn location(&self) -> String {
        self.directory.join(JOURNAL).display().to_string()
    }
}

fn encode(
    record: &Record,
    first: u64,
    out: &mut Vec<u8>,
    directory: &Path,
) -> Result<(), StateError> {
    frame::encode(record, first, out).map_err(|error| {
        StateError::from_io(
            "encode a record for",
            &directory.join(JOURNAL),
            error.into(),
        )
    })
}

/// Runs file work off the runtime's threads; a panic there goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn open_for_writing(path: &Path) -> Result<File, StateError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| StateError::from_io("open for writing", path, error))
}

/// Makes a directory and those above it, private to the user, and makes their names durable.
pub(crate) fn make_directory(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_directory(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        Err(error) => return Err(StateError::from_io("create", path, error)),
    }
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), flush_directory)
}

/// Makes a directory's entries durable.
pub(crate) fn flush_directory(path: &Path) -> Result<(), StateError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StateError::from_io("flush", path, error))
}

#[cfg(test)]
mod tests;
