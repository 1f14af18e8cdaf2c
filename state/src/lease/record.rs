//! The lease's file: what a process tells the others about its hold.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Holder, LeaseError, Liveness};

/// The lease's file name in an environment's directory.
const FILE: &str = "lease.json";

/// What `lease.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The fencing number; every new holder has a higher one.
    pub fence: u64,
    /// Who holds it, or held it last.
    pub holder: Holder,
    /// Whether it is held, was given back, or is to run out by itself.
    pub standing: Standing,
    /// Counts up at every heartbeat.
    pub heartbeat: u64,
    /// When it was taken, by the holder's wall clock.
    pub since: Timestamp,
    /// When the last heartbeat was written, by the holder's wall clock.
    pub beat_at: Timestamp,
    /// How long a heartbeat counts, in milliseconds.
    pub term_millis: u64,
    /// How long a call of the holder may still take after its lease ran out, in milliseconds.
    pub margin_millis: u64,
    /// Until when it counts, in milliseconds on the boot-time clock of the holder's machine.
    pub deadline_boot_millis: u64,
    /// One of a kind for every acquisition.
    pub nonce: Uuid,
}

/// What a holder last said about its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has it.
    Held,
    /// It ended while calls were under way: nobody may begin before they have come to an end.
    Abandoned,
    /// It gave it back in good order.
    Released,
}

impl LeaseRecord {
    /// What the lease file in an environment's directory says; None if there is none. Needs no lock: for `status`.
    ///
    /// # Errors
    /// [`LeaseError::Io`] when it cannot be read or understood.
    pub fn read(directory: &Path) -> Result<Option<Self>, LeaseError> {
        let path = directory.join(FILE);
        let failed = |source| LeaseError::Io {
            doing: "read",
            path: path.clone(),
            source,
        };
        match std::fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether the holder is still at work, as far as this machine can tell; None when nobody holds the lease.
    pub fn at_work(&self) -> Option<Liveness> {
        (self.standing == Standing::Held).then(|| self.holder.liveness(&Holder::current()))
    }

    /// How long a heartbeat counts.
    pub const fn term(&self) -> Duration {
        Duration::from_millis(self.term_millis)
    }

    /// How long a call may still take after the lease ran out.
    pub const fn margin(&self) -> Duration {
        Duration::from_millis(self.margin_millis)
    }

    /// Replaces the file in one step, so that a reader sees the old or the new one.
    pub(super) fn write(&self, directory: &Path, durably: bool) -> Result<(), LeaseError> {
        let path = directory.join(FILE);
        // Only the holder of the lock writes, but a holder elsewhere may not see our lock: a name of one's own.
        let fresh = directory.join(format!("{FILE}.{}", self.nonce));
        let outcome = self
            .write_fresh(&fresh, durably)
            .and_then(|()| std::fs::rename(&fresh, &path));
        if outcome.is_err() {
            // A leftover would do no harm; the first error is the one to tell.
            let _gone = std::fs::remove_file(&fresh);
        }
        let outcome = outcome.and_then(|()| {
            if durably {
                File::open(directory)?.sync_all()
            } else {
                Ok(())
            }
        });
        outcome.map_err(|source| LeaseError::Io {
            doing: "write",
            path,
            source,
        })
    }

    /// Removes what a holder left that was killed in the middle of a heartbeat.
    pub(super) fn sweep(&self, directory: &Path) {
        // There rarely is anything, and it is in nobody's way.
        let _gone = std::fs::remove_file(directory.join(format!("{FILE}.{}", self.nonce)));
    }

    fn write_fresh(&self, fresh: &Path, durably: bool) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(fresh)?;
        let mut content = serde_json::to_vec_pretty(self)?;
        content.push(b'\n');
        file.write_all(&content)?;
        if durably { file.sync_all() } else { Ok(()) }
    }
}
