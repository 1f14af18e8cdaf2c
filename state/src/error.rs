//! What can go wrong with the state, each case with a stable code and what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::codes;
use crate::lease::LeaseError;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// STA001: there is no environment of that name here.
    #[error("there is no environment {name:?} in {}", root.display())]
    NoSuchEnvironment {
        /// The name asked for.
        name: String,
        /// The state directory that was looked into.
        root: PathBuf,
    },
    /// STA002: the name cannot name an environment.
    #[error("{name:?} cannot name an environment: {reason}")]
    BadName {
        /// The name asked for.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// STA003: a damaged record stands before intact ones.
    #[error("{journal} is damaged at line {line} (byte {offset}): {reason}")]
    Damaged {
        /// File or address of the journal.
        journal: String,
        /// The line, from 1.
        line: u64,
        /// Where the line begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// STA004: the records are intact but tell a history that cannot have happened, or a writer asked for one.
    #[error("record {seq} cannot follow the history before it: {reason}")]
    IllegalHistory {
        /// The number that the record has, or would have had.
        seq: u64,
        /// Which rule it breaks.
        reason: String,
    },
    /// STA005: a newer pipectl wrote this journal.
    #[error("{journal} has format {found}; this pipectl reads up to {known}")]
    WrongVersion {
        /// File or address of the journal.
        journal: String,
        /// The version found.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// STA006: no room to write; nothing half-written was left.
    #[error("no space left to write {}", path.display())]
    DiskFull {
        /// What was written to.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// STA007: the system refuses access.
    #[error("not allowed to {doing} {}", path.display())]
    Forbidden {
        /// What was tried: `read`, `write`, `create`, ...
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// STA008: any other trouble with the file system.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// STA009: somebody else wrote to the journal: this process lost its lease.
    #[error("another writer has taken over {journal}: {evidence}")]
    Fenced {
        /// File or address of the journal.
        journal: String,
        /// How that was seen.
        evidence: String,
    },
    /// STA010: the journal was opened for reading.
    #[error("{journal} was opened for reading only")]
    ReadOnly {
        /// File or address of the journal.
        journal: String,
    },
    /// STA011: an earlier write failed in a way that leaves its outcome unknown.
    #[error("an earlier write to {journal} has an unknown outcome: {reason}")]
    Unsettled {
        /// File or address of the journal.
        journal: String,
        /// What happened.
        reason: String,
    },
    /// STA012: a secret stands where it cannot be replaced without breaking recovery.
    #[error("the secret {secret} would be written into {field} of a {record} record")]
    SecretInRecord {
        /// The secret's name, never its value.
        secret: String,
        /// The field.
        field: &'static str,
        /// The kind of record.
        record: &'static str,
    },
    /// STA013: the object store failed.
    #[error("cannot {doing} {key}: {cause}")]
    ObjectStore {
        /// What was tried.
        doing: &'static str,
        /// The object's key.
        key: String,
        /// The store's own words.
        cause: String,
        /// Whether trying again can help.
        retryable: bool,
    },
    /// STA020 to STA023: the lease.
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl StateError {
    /// The stable code, for instance `STA003`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchEnvironment { .. } => "STA001",
            Self::BadName { .. } => "STA002",
            Self::Damaged { .. } => "STA003",
            Self::IllegalHistory { .. } => "STA004",
            Self::WrongVersion { .. } => "STA005",
            Self::DiskFull { .. } => "STA006",
            Self::Forbidden { .. } => "STA007",
            Self::Io { .. } => "STA008",
            Self::Fenced { .. } => "STA009",
            Self::ReadOnly { .. } => "STA010",
            Self::Unsettled { .. } => "STA011",
            Self::SecretInRecord { .. } => "STA012",
            Self::ObjectStore { .. } => "STA013",
            Self::Lease(lease) => lease.code(),
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        codes::explain(self.code()).map_or("", |entry| entry.hint)
    }

    /// Whether trying the same again can help without anybody doing anything.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::ObjectStore { retryable, .. } => *retryable,
            Self::Lease(lease) => lease.retryable(),
            _ => false,
        }
    }

    /// Sorts an error of the file system by what a person can do about it.
    pub(crate) fn from_io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Forbidden {
                    doing,
                    path,
                    source,
                }
            }
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}
