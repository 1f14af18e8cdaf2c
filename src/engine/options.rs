//! How a run goes about its work.

use std::time::Duration;

use pipectl_stages::{Pace, StepError};

use super::{critical_path::Expectations, retry::RetryPolicy};

/// The shortest pause before something of the account is tried again, however fast its time runs.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Bounds and intervals of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// How many steps may observe and change things at once.
    pub effects: usize,
    /// How many readiness (or absence) calls may go on at once. A step that merely waits takes no place.
    pub waits: usize,
    /// The longest time between two looks at something that is waited for, even if nothing announces a change.
    pub safety_interval: Duration,
    /// How long a burst of announced changes may go on before it is looked at.
    pub debounce: Duration,
    /// Trying again what may pass.
    pub retry: RetryPolicy,
    /// How fast the account's time runs: what is polled there is tried again at that pace.
    pub pace: Pace,
    /// How long calls under way may go on after the first signal. The run ends within 5 s, so this is shorter.
    pub grace: Duration,
    /// What earlier runs took; see [`super::expectations`].
    pub expectations: Expectations,
    /// After a `down` that proved that nothing is left, record that the environment is gone.
    pub removes_environment: bool,
}

impl RunOptions {
    /// The pause before the same is tried again, or `None` when it is not to be. What passes in the account (a role that is
    /// not known everywhere) passes at the account's pace; what passes in a cluster takes its own time everywhere.
    pub(super) fn pause(
        &self,
        polled: bool,
        error: &StepError,
        attempt: u32,
        salt: u64,
    ) -> Option<Duration> {
        let pause = self.retry.pause(error, attempt, salt)?;
        Some(if polled {
            self.pace.scaled(pause).max(SHORTEST_PAUSE)
        } else {
            pause
        })
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            effects: 16,
            waits: 32,
            safety_interval: Duration::from_secs(15),
            debounce: Duration::from_millis(100),
            retry: RetryPolicy::default(),
            pace: Pace::default(),
            grace: Duration::from_secs(3),
            expectations: Expectations::new(),
            removes_environment: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use pipectl_stages::Retry;

    use super::*;

    #[test]
    fn only_what_is_polled_is_tried_again_at_the_accounts_pace() {
        let error = StepError::new("T001", "do", "it", "no").with_retry(Retry::Soon);
        let on_aws = RunOptions::default();
        let fast = RunOptions {
            pace: Pace::times(60.0),
            ..RunOptions::default()
        };
        for attempt in 1..8 {
            let own = on_aws.pause(false, &error, attempt, 7);
            assert_eq!(on_aws.pause(true, &error, attempt, 7), own);
            assert_eq!(fast.pause(false, &error, attempt, 7), own);
            let scaled = own.unwrap().div_f64(60.0).max(SHORTEST_PAUSE);
            assert_eq!(fast.pause(true, &error, attempt, 7), Some(scaled));
        }
        assert_eq!(fast.pause(true, &error, 8, 7), None);
    }
}
