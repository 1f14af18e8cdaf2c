//! How fast the account's time runs: on AWS as fast as ours, in a sandbox many times faster.

use std::time::Duration;

/// The shortest wait between two looks, however fast time runs.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
/// What every bound keeps: work of this machine and of the cluster is not scaled.
const UNSCALED: Duration = Duration::from_secs(120);

/// The factor by which AWS's waiting times and our polling intervals are shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    thousandths: u64,
}

impl Default for Pace {
    /// As on AWS.
    fn default() -> Self {
        Self { thousandths: 1000 }
    }
}

impl Pace {
    /// So many times faster than AWS; below 1 (or no number) counts as 1.
    #[must_use]
    pub fn times(factor: f64) -> Self {
        let bounded = if factor.is_finite() {
            factor.clamp(1.0, 1e9)
        } else {
            1.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded to what fits, and never negative"
        )]
        let thousandths = (bounded * 1000.0) as u64;
        Self { thousandths }
    }

    /// How long something takes that takes so long on AWS.
    #[must_use]
    pub fn scaled(self, on_aws: Duration) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a factor, of which a few digits count"
        )]
        let factor = self.thousandths as f64 / 1000.0;
        on_aws.div_f64(factor)
    }

    /// The pause between two looks.
    #[must_use]
    pub fn poll(self, seconds_on_aws: u64) -> Duration {
        self.scaled(Duration::from_secs(seconds_on_aws))
            .max(SHORTEST_POLL)
    }

    /// The bound of a wait: scaled, and never so short that work outside AWS does not fit into it.
    #[must_use]
    pub fn bound(self, on_aws: Duration) -> Duration {
        if self == Self::default() {
            return on_aws;
        }
        self.scaled(on_aws) + UNSCALED
    }

    /// Seconds that something usually takes, from those it takes on AWS.
    #[must_use]
    pub fn expected(self, seconds_on_aws: u64) -> Duration {
        self.scaled(Duration::from_secs(seconds_on_aws))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_itself_is_not_scaled() {
        let pace = Pace::default();
        let half_an_hour = Duration::from_secs(1800);
        assert_eq!(pace.bound(half_an_hour), half_an_hour);
        assert_eq!(pace.poll(15), Duration::from_secs(15));
        assert_eq!(Pace::times(0.5), pace);
        assert_eq!(Pace::times(f64::NAN), pace);
    }

    #[test]
    fn a_fast_sandbox_shortens_waits_and_polls_alike_and_leaves_room_for_real_work() {
        let pace = Pace::times(60.0);
        assert_eq!(pace.expected(540), Duration::from_secs(9));
        assert_eq!(pace.poll(15), Duration::from_millis(250));
        assert_eq!(pace.poll(1), SHORTEST_POLL);
        assert!(pace.bound(Duration::from_secs(60)) > Duration::from_secs(60));
        assert!(pace.bound(Duration::from_secs(3600)) < Duration::from_secs(3600));
    }
}
