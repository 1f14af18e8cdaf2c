//! Trying again: only what a typed error says may pass, with growing pauses, never for ever.

use std::time::Duration;

use pipectl_stages::{Retry, StepError};

/// How often and after which pauses the same is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in a row that may fail before it counts as a failure; 1 means no second try.
    pub tries: u32,
    /// The pause after the first failed try; doubled after each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    /// Eight tries over about a minute: long enough for an API server that restarts or a webhook that gets its first
    /// endpoint, short enough that a person still sits there.
    fn default() -> Self {
        Self {
            tries: 8,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
        }
    }
}

impl RetryPolicy {
    /// The pause after try number `attempt` (from 1) failed with `error`, or `None` when it is not to be tried again.
    /// `salt` spreads the pauses of steps that failed together; the same salt gives the same pauses.
    #[must_use]
    pub fn pause(&self, error: &StepError, attempt: u32, salt: u64) -> Option<Duration> {
        if error.retry != Retry::Soon || attempt >= self.tries {
            return None;
        }
        let doubled = self.first.saturating_mul(
            1_u32
                .checked_shl(attempt.saturating_sub(1))
                .unwrap_or(u32::MAX),
        );
        let full = doubled.min(self.longest);
        // Between a half and the whole of the pause.
        let share = f64::from(u16::try_from(mix(salt, attempt) >> 48).unwrap_or(0)) / 65_536.0;
        Some(full.mul_f64(0.5 + share / 2.0))
    }
}

/// A salt for a step of a run.
#[must_use]
pub(super) fn salt(run: &str, step: &str) -> u64 {
    // FNV-1a: spreads short names well, and is the same everywhere.
    run.bytes()
        .chain(step.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// SplitMix64's finishing steps: every bit of the input moves every bit of the output.
fn mix(salt: u64, attempt: u32) -> u64 {
    let mut z = salt.wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(retry: Retry) -> StepError {
        StepError::new("T001", "do", "it", "no").with_retry(retry)
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_end() {
        let policy = RetryPolicy::default();
        let error = error(Retry::Soon);
        let pauses: Vec<Duration> = (1..).map_while(|n| policy.pause(&error, n, 7)).collect();
        assert_eq!(pauses.len(), 7, "eight tries have seven pauses");
        for (n, pause) in (0_u32..).zip(&pauses) {
            let full = (policy.first * 2_u32.pow(n)).min(policy.longest);
            assert!(
                *pause >= full / 2 && *pause <= full,
                "{n}: {pause:?} of {full:?}"
            );
        }
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.pause(&error(Retry::Never), 1, 7), None);
        assert_eq!(policy.pause(&error(Retry::AfterChange), 1, 7), None);
    }

    #[test]
    fn steps_that_fail_together_do_not_come_back_together() {
        let policy = RetryPolicy::default();
        let error = error(Retry::Soon);
        let pauses: std::collections::BTreeSet<Duration> = (0..20)
            .filter_map(|n| policy.pause(&error, 3, salt("run", &format!("stage/{n}"))))
            .collect();
        assert!(pauses.len() > 15, "{pauses:?}");
    }
}
