//! Time: the wall clock for what is shown, scaled durations for what AWS takes.

#[cfg(test)]
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970. Always the wall clock's: what a reply shows as a date is the date at which it
/// happened here, so that it fits clients' clocks and the Kubernetes objects beside it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct Time(pub(crate) i64);

impl Time {
    /// `2024-05-01T12:00:00.000Z`, as XML replies have it.
    pub(crate) fn iso(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// Seconds since 1970, as JSON replies have it.
    pub(crate) fn epoch(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this millennium fit a double"
        )]
        let seconds = self.0 as f64 / 1000.0;
        seconds
    }

    /// That much later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// That much earlier.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// The clock of a world. What AWS takes 60 seconds for passes in 60 / `scale` seconds.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The machine's.
    Wall {
        /// How much faster than AWS.
        scale: f64,
    },
    /// Moved by hand, for tests; not scaled.
    #[cfg(test)]
    Manual(Arc<AtomicI64>),
}

impl Default for Clock {
    fn default() -> Self {
        Self::Wall { scale: 60.0 }
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Time {
        match self {
            Self::Wall { .. } => Time(jiff::Timestamp::now().as_millisecond()),
            #[cfg(test)]
            Self::Manual(now) => Time(now.load(Ordering::SeqCst)),
        }
    }

    /// How long something takes here that takes `aws` there.
    pub(crate) fn scaled(&self, aws: Duration) -> Duration {
        match self {
            Self::Wall { scale } => aws.div_f64(*scale),
            #[cfg(test)]
            Self::Manual(_) => aws,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_aws_passes_in_a_second() {
        let clock = Clock::Wall { scale: 60.0 };
        assert_eq!(
            clock.scaled(Duration::from_secs(60)),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn moments_are_written_as_aws_writes_them() {
        assert_eq!(Time(1_714_564_800_120).iso(), "2024-05-01T12:00:00.120Z");
        assert!((Time(1_500).epoch() - 1.5).abs() < f64::EPSILON);
    }
}
