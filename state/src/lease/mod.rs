//! The lease: who may change an environment now.
//!
//! On one machine a lock of the kernel decides; it ends with its process, so a killed run leaves nothing that a person
//! must break. Where the directory is shared over a network such a lock may not reach the other machines, so the
//! holder also writes a heartbeat, and a successor that finds one waits until it has not moved for a whole term on its
//! *own* clock, and then as long as the longest call of the holder can take.
//!
//! The cloud takes no fencing number, so effects are fenced by time: the holder asks its [`Fence`] right before every
//! send whether the lease still counts, on a clock that runs through suspend.

mod error;
mod holder;
mod record;
mod take;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::{BootClock, BootInstant, LeaseClock};

pub use error::LeaseError;
pub use holder::{Holder, Liveness};
pub use record::{LeaseRecord, Standing};

/// Is told about a wait; must not block.
pub type WaitListener = Arc<dyn Fn(&LeaseWait) + Send + Sync>;

/// How a lease is taken and kept.
#[derive(Clone)]
pub struct LeaseOptions {
    /// How long a heartbeat counts.
    pub term: Duration,
    /// The longest that a call begun before the deadline can take to end.
    pub margin: Duration,
    /// How long to wait for a holder that is at work; zero refuses at once. A holder that shows no life is always
    /// waited out, which takes a term and a margin at most.
    pub patience: Duration,
    /// Who asks.
    pub holder: Holder,
    /// The clock.
    pub clock: Arc<dyn LeaseClock>,
    /// The new fencing number is above this one and above every one before it.
    pub fence_above: u64,
    /// Told about every pause while waiting, so that the wait can be shown.
    pub on_wait: Option<WaitListener>,
}

impl Default for LeaseOptions {
    /// A term of 30 s, calls of up to 15 s, no patience with a holder at work.
    fn default() -> Self {
        Self {
            term: Duration::from_secs(30),
            margin: Duration::from_secs(15),
            patience: Duration::ZERO,
            holder: Holder::current(),
            clock: Arc::new(BootClock),
            fence_above: 0,
            on_wait: None,
        }
    }
}

/// What is being waited for before a lease can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseWait {
    /// Whose lease it is.
    pub holder: Holder,
    /// Whether the holder is at work, as opposed to showing no life.
    pub at_work: bool,
    /// How long it was waited so far.
    pub waited: Duration,
    /// How long it is waited at most.
    pub at_most: Duration,
}

/// The right to change an environment, as long as heartbeats follow each other.
///
/// Dropped without [`Lease::release`] it counts as abandoned: it runs out by itself.
pub struct Lease {
    directory: PathBuf,
    record: LeaseRecord,
    fence: Fence,
    /// Open as long as the lease is held: the kernel's lock goes with it.
    lock: Option<File>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("directory", &self.directory)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// Says right before a send whether the lease still counts. Cheap to clone and to ask.
#[derive(Clone)]
pub struct Fence {
    shared: Arc<Shared>,
    clock: Arc<dyn LeaseClock>,
}

struct Shared {
    number: u64,
    margin: Duration,
    /// Nanoseconds since the boot; enough for 584 years.
    deadline: AtomicU64,
    lost: AtomicBool,
}

impl Fence {
    /// The lease's fencing number.
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// Until when the lease counts, unless another heartbeat succeeds.
    pub fn deadline(&self) -> BootInstant {
        BootInstant::from_boot(Duration::from_nanos(
            self.shared.deadline.load(Ordering::Acquire),
        ))
    }

    /// How long the lease still counts; nothing once it was lost, whatever its deadline was.
    pub fn remaining(&self) -> Duration {
        if self.shared.lost.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        self.deadline().since(self.clock.now())
    }

    /// The longest that a call begun now may take.
    pub fn longest_call(&self) -> Duration {
        self.shared.margin
    }

    /// That something may be sent now.
    ///
    /// # Errors
    /// [`LeaseError::Lost`], [`LeaseError::Expired`].
    pub fn check(&self) -> Result<(), LeaseError> {
        if self.shared.lost.load(Ordering::Acquire) {
            return Err(LeaseError::Lost {
                evidence: "an earlier heartbeat found another holder".to_owned(),
            });
        }
        let (now, deadline) = (self.clock.now(), self.deadline());
        if now < deadline {
            return Ok(());
        }
        Err(LeaseError::Expired {
            overdue_millis: millis(now.since(deadline)),
        })
    }

    fn prolong(&self, deadline: BootInstant) {
        let nanos = u64::try_from(deadline.since_boot().as_nanos()).unwrap_or(u64::MAX);
        self.shared.deadline.store(nanos, Ordering::Release);
    }
}

impl Lease {
    /// Takes the lease of the environment in `directory`, which must exist.
    ///
    /// May be dropped while it waits.
    ///
    /// # Errors
    /// [`LeaseError::Held`] when somebody is at work and patience ran out; [`LeaseError::Io`].
    pub async fn acquire(directory: &Path, options: LeaseOptions) -> Result<Self, LeaseError> {
        take::acquire(directory, &options).await
    }

    fn begin(
        directory: &Path,
        options: &LeaseOptions,
        number: u64,
        lock: File,
    ) -> Result<Self, LeaseError> {
        // The term counts from before the write: whoever sees the heartbeat starts counting later than we do.
        let begun = options.clock.now();
        let now = Timestamp::now();
        let deadline = begun + options.term;
        let record = LeaseRecord {
            fence: number,
            holder: options.holder.clone(),
            standing: Standing::Held,
            heartbeat: 1,
            since: now,
            beat_at: now,
            term_millis: millis(options.term),
            margin_millis: millis(options.margin),
            deadline_boot_millis: millis(deadline.since_boot()),
            nonce: Uuid::new_v4(),
        };
        // Durable, because the fencing number must never be given out twice.
        record.write(directory, true)?;
        let shared = Shared {
            number,
            margin: options.margin,
            deadline: AtomicU64::new(0),
            lost: AtomicBool::new(false),
        };
        let fence = Fence {
            shared: Arc::new(shared),
            clock: options.clock.clone(),
        };
        fence.prolong(deadline);
        Ok(Self {
            directory: directory.to_owned(),
            record,
            fence,
            lock: Some(lock),
        })
    }

    /// The fencing number.
    pub const fn number(&self) -> u64 {
        self.record.fence
    }

    /// Who holds it: this process.
    pub const fn holder(&self) -> &Holder {
        &self.record.holder
    }

    /// Until when the lease counts, unless another heartbeat succeeds.
    pub fn deadline(&self) -> BootInstant {
        self.fence.deadline()
    }

    /// What to ask before every send.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// How often a heartbeat is due: so that two may fail before the lease runs out.
    pub const fn heartbeat_every(&self) -> Duration {
        Duration::from_millis(self.record.term_millis / 3)
    }

    /// Prolongs the lease by a term from now. Returns the new deadline.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when another holder is there, [`LeaseError::Expired`] when it is too late (another may be
    /// about to begin); then nothing may be sent any more. [`LeaseError::Io`]: the old deadline stands.
    pub fn heartbeat(&mut self) -> Result<BootInstant, LeaseError> {
        self.fence.check()?;
        let begun = self.fence.clock.now();
        self.check_ours()?;
        let deadline = begun + self.record.term();
        let mut next = self.record.clone();
        next.heartbeat = next.heartbeat.saturating_add(1);
        next.beat_at = Timestamp::now();
        next.deadline_boot_millis = millis(deadline.since_boot());
        next.write(&self.directory, false)?;
        self.record = next;
        self.fence.prolong(deadline);
        Ok(deadline)
    }

    /// Gives the lease back: nothing that it covered is under way any more.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when it was not ours any more, [`LeaseError::Io`] when that could not be written (then it
    /// runs out by itself).
    pub fn release(mut self) -> Result<(), LeaseError> {
        self.end(Standing::Released)
    }

    /// Gives the lease back after its directory was moved to `directory`.
    pub(crate) fn release_in(mut self, directory: &Path) -> Result<(), LeaseError> {
        self.directory = directory.to_owned();
        self.end(Standing::Released)
    }

    /// Lets the lease run out by itself, because calls are still under way. Dropping it does the same.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub fn abandon(mut self) -> Result<(), LeaseError> {
        self.end(Standing::Abandoned)
    }

    fn end(&mut self, standing: Standing) -> Result<(), LeaseError> {
        let Some(lock) = self.lock.take() else {
            return Ok(());
        };
        let outcome = self.check_ours().and_then(|()| {
            let mut last = self.record.clone();
            last.standing = standing;
            last.write(&self.directory, true)
        });
        // Nothing may be sent any more, whatever came of the write.
        self.fence.shared.lost.store(true, Ordering::Release);
        drop(lock);
        outcome
    }

    fn check_ours(&self) -> Result<(), LeaseError> {
        let found = LeaseRecord::read(&self.directory)?;
        let evidence = match found {
            Some(found) if found.nonce == self.record.nonce => return Ok(()),
            Some(found) => format!("{} has it with number {}", found.holder, found.fence),
            None => "its file is gone".to_owned(),
        };
        self.fence.shared.lost.store(true, Ordering::Release);
        Err(LeaseError::Lost { evidence })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // There is nobody to tell an error; a successor then sees a heartbeat that stands still, and waits it out.
        let _told = self.end(Standing::Abandoned);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Device and inode, to see whether a path still leads to an open file.
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests;
