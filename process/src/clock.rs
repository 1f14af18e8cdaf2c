//! The clock by which deadlines are meant.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since this machine booted, the time it was asleep included: a deadline on this clock passes during a suspend,
/// as it does for everybody else who waits for it. The same in every process of the machine.
#[must_use]
pub fn boot_time() -> Duration {
    // Linux stops CLOCK_MONOTONIC during a suspend (clock_gettime(2)); elsewhere the monotonic clock goes on.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
