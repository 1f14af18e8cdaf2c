//! Time, twice: the wall clock for people, and a clock that runs through suspend for deadlines.

use std::ops::Add;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Where the journal takes the time of a record from.
pub trait Clock: Send + Sync {
    /// Now, by the wall clock.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A wall clock that stands still until it is moved: for tests and snapshots.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// A clock that shows `at`.
    pub const fn at(at: Timestamp) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves the clock.
    pub fn set(&self, at: Timestamp) {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = at;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A moment on the machine's boot-time clock, which counts while the machine sleeps (on systems without one:
/// the monotonic clock). Comparable only within one boot of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// Now.
    pub fn now() -> Self {
        // CLOCK_BOOTTIME keeps counting in suspend (clock_gettime(2)); a lease must run out while a laptop sleeps.
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(id);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Self(Duration::new(seconds, nanos))
    }

    /// The moment that lies `since_boot` after the boot.
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// How long after the boot the moment lies.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootInstant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Where the lease takes its time from, and how it waits.
#[async_trait]
pub trait LeaseClock: Send + Sync {
    /// Now, on the boot-time clock.
    fn now(&self) -> BootInstant;
    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The machine's boot-time clock and tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

#[async_trait]
impl LeaseClock for BootClock {
    fn now(&self) -> BootInstant {
        BootInstant::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_advances_and_never_goes_back() {
        let first = BootInstant::now();
        let second = BootInstant::now();
        assert!(second >= first);
        assert!(first.since_boot() > Duration::ZERO);
        assert_eq!(first.since(first + Duration::from_secs(1)), Duration::ZERO);
    }
}
