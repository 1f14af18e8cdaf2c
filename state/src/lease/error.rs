//! What can go wrong with a lease.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::Holder;

/// Why a lease could not be taken or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// STA020: somebody else has it.
    #[error("{holder} is changing the environment since {since}")]
    Held {
        /// Who.
        holder: Box<Holder>,
        /// Since when, by the holder's wall clock.
        since: Timestamp,
    },
    /// STA021: somebody else took it over, or its directory is gone.
    #[error("the lease was lost: {evidence}")]
    Lost {
        /// How that was seen.
        evidence: String,
    },
    /// STA022: no heartbeat for a whole term.
    #[error("the lease ran out {overdue_millis} ms ago")]
    Expired {
        /// How long ago, in milliseconds.
        overdue_millis: u64,
    },
    /// STA023: the lease file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
}

impl LeaseError {
    /// The stable code, for instance `STA020`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "STA020",
            Self::Lost { .. } => "STA021",
            Self::Expired { .. } => "STA022",
            Self::Io { .. } => "STA023",
        }
    }

    /// Whether trying the same again can help without anybody doing anything.
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}
