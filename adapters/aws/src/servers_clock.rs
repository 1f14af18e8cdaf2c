//! What the service's own clock said when it answered.
//!
//! Whether a lease in the account has run out is a question of how long ago its record was written. Both moments are taken from
//! the service: the record's own, and the `Date` of the answer that shows it (RFC 9110, 6.6.1: when the answer was made). So no
//! machine's clock decides about another machine's lease.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{DateTime, config_bag::ConfigBag, date_time::Format};
use jiff::Timestamp;

use crate::convert::timestamp;

/// How far a clock of ours may be off that AWS talks to at all: it refuses requests that were signed more than five minutes
/// before or after (IAM user guide: elements of a signed request).
const OFF_BY_AT_MOST: Duration = Duration::from_secs(300);

/// Notes the date of an answer. A clone goes into the call, and both know it afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServersClock(Arc<Mutex<Option<Timestamp>>>);

impl ServersClock {
    /// How long ago `written` was when the answer was made; where the answer said no date, at least that long.
    pub fn since(&self, written: Timestamp) -> Duration {
        let said = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = said.unwrap_or_else(|| {
            let now = Timestamp::now();
            now.saturating_sub(OFF_BY_AT_MOST).unwrap_or(now)
        });
        // A date knows whole seconds only, so what was written a moment ago may seem to come.
        Duration::try_from(now.duration_since(written)).unwrap_or_default()
    }

    fn note(&self, date: &str) {
        let date = DateTime::from_str(date, Format::HttpDate).ok();
        if let Some(date) = date.as_ref().and_then(timestamp) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date);
        }
    }
}

impl Intercept for ServersClock {
    fn name(&self) -> &'static str {
        "ServersClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.note(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_moments_are_the_servers() {
        let clock = ServersClock::default();
        clock.note("Sat, 21 Nov 2026 10:02:15 GMT");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(
            clock.since(at("2026-11-21T10:00:00Z")),
            Duration::from_secs(135)
        );
        assert_eq!(clock.since(at("2026-11-21T10:02:15.7Z")), Duration::ZERO);
    }

    #[test]
    fn without_a_date_our_own_clock_counts_as_fast_as_it_can_be() {
        let clock = ServersClock::default();
        clock.note("yesterday");
        let now = Timestamp::now();
        assert_eq!(clock.since(now), Duration::ZERO);
        let earlier = now.saturating_sub(Duration::from_secs(400)).unwrap();
        let since = clock.since(earlier);
        assert!(since < Duration::from_secs(200), "{since:?}");
        assert!(since >= Duration::from_secs(100), "{since:?}");
    }
}
