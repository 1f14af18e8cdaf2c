//! How a lease changes hands.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

use super::{
    Lease, LeaseError, LeaseOptions, LeaseRecord, LeaseWait, Liveness, Standing, same_file,
};
use crate::clock::BootInstant;

/// The file that the kernel's lock is on. It is never replaced while its directory stands.
const LOCK: &str = "lease.lock";

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// What a lease file that somebody left says about when one may begin.
enum Verdict {
    /// Now.
    Now,
    /// At this moment of our boot-time clock.
    At(BootInstant),
    /// When the heartbeat has not moved for so long.
    Silent(Duration),
}

pub(super) async fn acquire(directory: &Path, options: &LeaseOptions) -> Result<Lease, LeaseError> {
    let begun = options.clock.now();
    loop {
        let Some(lock) = lock_file(directory)? else {
            wait_for_holder(directory, options, begun).await?;
            continue;
        };
        if let Some(lease) = take(directory, options, lock, begun).await? {
            return Ok(lease);
        }
    }
}

/// The kernel's lock, or None when another process has it.
fn lock_file(directory: &Path) -> Result<Option<File>, LeaseError> {
    let path = directory.join(LOCK);
    let failed = |doing, source| LeaseError::Io {
        doing,
        path: path.clone(),
        source,
    };
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed("open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        // The directory may have been moved to the history between opening and locking: then this lock guards nothing.
        let ours = file.metadata().map_err(|error| failed("look at", error))?;
        match std::fs::metadata(&path) {
            Ok(now) if same_file(&ours, &now) => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", error)),
        }
    }
}

/// Somebody on this machine has the lock. Waits a little, or gives up when patience has run out.
async fn wait_for_holder(
    directory: &Path,
    options: &LeaseOptions,
    begun: BootInstant,
) -> Result<(), LeaseError> {
    let record = LeaseRecord::read(directory)?;
    let waited = options.clock.now().since(begun);
    // The holder takes the lock first and writes the file then; a file that is not there yet, or is the one of the
    // holder before, gets a moment's grace.
    let fresh = record
        .as_ref()
        .is_none_or(|record| record.standing == Standing::Released);
    let patience = if fresh {
        options.patience.max(PAUSES.1)
    } else {
        options.patience
    };
    if waited >= patience {
        let (holder, since) = record.map_or_else(
            || (options.holder.clone(), jiff::Timestamp::now()),
            |record| (record.holder, record.since),
        );
        return Err(LeaseError::Held {
            holder: Box::new(holder),
            since,
        });
    }
    if let Some(record) = record {
        tell(options, &record, true, waited, patience);
    }
    let pause = patience.saturating_sub(waited).clamp(PAUSES.0, PAUSES.1);
    options.clock.sleep(pause).await;
    Ok(())
}

/// With the lock in hand: waits until whoever wrote the lease file is certain to be done, then takes over. None: look
/// again from the start.
async fn take(
    directory: &Path,
    options: &LeaseOptions,
    lock: File,
    begun: BootInstant,
) -> Result<Option<Lease>, LeaseError> {
    let found = LeaseRecord::read(directory)?;
    let Some(record) = found else {
        return Lease::begin(
            directory,
            options,
            options.fence_above.saturating_add(1),
            lock,
        )
        .map(Some);
    };
    let number = record.fence.max(options.fence_above).saturating_add(1);
    match judge(&record, options) {
        Verdict::Now => {
            record.sweep(directory);
            Lease::begin(directory, options, number, lock).map(Some)
        }
        Verdict::At(moment) => {
            wait_until(options, &record, moment).await;
            Lease::begin(directory, options, number, lock).map(Some)
        }
        Verdict::Silent(silence) => {
            if !stays_silent(directory, options, &record, silence).await? {
                drop(lock);
                return moved(directory, options, begun).await.map(|()| None);
            }
            let lease = Lease::begin(directory, options, number, lock)?;
            record.sweep(directory);
            // Another machine may have waited out the same silence; the file shows who wrote last.
            options.clock.sleep(PAUSES.1).await;
            match lease.check_ours() {
                Ok(()) => Ok(Some(lease)),
                Err(LeaseError::Lost { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}

/// When one may begin after what a former holder left, given that the kernel's lock was free.
fn judge(record: &LeaseRecord, options: &LeaseOptions) -> Verdict {
    let silence = record.term().saturating_add(record.margin());
    match record.standing {
        Standing::Released => Verdict::Now,
        // On the same boot both clocks are one.
        Standing::Abandoned if record.holder.same_boot(&options.holder) => {
            let deadline =
                BootInstant::from_boot(Duration::from_millis(record.deadline_boot_millis));
            Verdict::At(deadline + record.margin())
        }
        Standing::Abandoned => Verdict::Silent(silence),
        Standing::Held => match record.holder.liveness(&options.holder) {
            // Its process is gone, and with it its connections and (by the guard) its children.
            Liveness::Dead => Verdict::Now,
            Liveness::Alive | Liveness::Unknown => Verdict::Silent(silence),
        },
    }
}

async fn wait_until(options: &LeaseOptions, record: &LeaseRecord, moment: BootInstant) {
    let begun = options.clock.now();
    let whole = moment.since(begun);
    loop {
        let now = options.clock.now();
        let rest = moment.since(now);
        if rest.is_zero() {
            return;
        }
        tell(options, record, false, now.since(begun), whole);
        options.clock.sleep(rest.min(PAUSES.1)).await;
    }
}

/// Watches the heartbeat on our own clock. True when it did not move for as long as `silence`.
async fn stays_silent(
    directory: &Path,
    options: &LeaseOptions,
    record: &LeaseRecord,
    silence: Duration,
) -> Result<bool, LeaseError> {
    let begun = options.clock.now();
    loop {
        let waited = options.clock.now().since(begun);
        if waited >= silence {
            return Ok(true);
        }
        tell(options, record, false, waited, silence);
        options
            .clock
            .sleep(silence.saturating_sub(waited).min(PAUSES.1))
            .await;
        match LeaseRecord::read(directory)? {
            Some(now) if beat(&now) == beat(record) => {}
            // It moved, changed hands, was given back or taken away.
            _ => return Ok(false),
        }
    }
}

/// A heartbeat moved: somebody is at work whom our lock does not reach, or has just ended.
async fn moved(
    directory: &Path,
    options: &LeaseOptions,
    begun: BootInstant,
) -> Result<(), LeaseError> {
    match LeaseRecord::read(directory)? {
        Some(record) if record.standing == Standing::Held => {
            let waited = options.clock.now().since(begun);
            if waited >= options.patience {
                return Err(LeaseError::Held {
                    holder: Box::new(record.holder),
                    since: record.since,
                });
            }
            tell(options, &record, true, waited, options.patience);
            options.clock.sleep(PAUSES.1).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn beat(record: &LeaseRecord) -> (Uuid, u64, Standing) {
    (record.nonce, record.heartbeat, record.standing)
}

fn tell(
    options: &LeaseOptions,
    record: &LeaseRecord,
    at_work: bool,
    waited: Duration,
    at_most: Duration,
) {
    if let Some(on_wait) = &options.on_wait {
        on_wait(&LeaseWait {
            holder: record.holder.clone(),
            at_work,
            waited,
            at_most,
        });
    }
}
