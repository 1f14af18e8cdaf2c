//! What holds for every call: its bounds, its repetitions, and the fence before changes.

use std::{
    error::Error,
    fmt,
    sync::{Arc, RwLock},
    time::Duration,
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextRef, InterceptorContext},
        },
        orchestrator::Metadata,
        retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::ConfigBag,
    retry::{ErrorKind, RetryConfig},
    timeout::TimeoutConfig,
};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::cloud::Deletion,
};

/// Until when, on the clock of `pipectl_process::boot_time`, a change may be begun: the lease's deadline, asked anew
/// each time. One that is not ahead allows nothing.
pub type EffectDeadline = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How often and how long a call is tried.
#[derive(Debug, Clone, Copy)]
pub struct CallBounds {
    /// The whole call with all its repetitions and pauses.
    pub total: Duration,
    /// One attempt. A change that was sent just before the lease ran out must have ended when the next holder begins,
    /// so this is shorter than the lease's margin (15 s).
    pub attempt: Duration,
    /// Until a connection stands.
    pub connect: Duration,
    /// Attempts altogether, the first one included.
    pub attempts: u32,
    /// Upper bound of the pause after the first failed attempt, on AWS's clock; each further one is twice as high, up to
    /// [`Self::longest_pause`]. The pause is a random part of it.
    pub first_pause: Duration,
    /// The highest bound of a pause, on AWS's clock.
    pub longest_pause: Duration,
}

impl Default for CallBounds {
    /// Eight attempts outlast a throttled minute of EC2's request buckets (refilled every second) without outlasting the
    /// whole call's bound: the pauses add up to 39 s at most.
    fn default() -> Self {
        Self {
            total: Duration::from_secs(60),
            attempt: Duration::from_secs(14),
            connect: Duration::from_secs(5),
            attempts: 8,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(8),
        }
    }
}

impl CallBounds {
    /// The SDK's own repetitions, with pauses shortened by the time scale.
    pub(crate) fn retry(&self, time_scale: f64) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.attempts)
            .with_initial_backoff(self.first_pause.div_f64(time_scale))
            .with_max_backoff(self.longest_pause.div_f64(time_scale))
    }

    pub(crate) fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.total)
            .build()
    }
}

/// Stands before every attempt of every call: a change is not sent after the deadline.
#[derive(Clone, Default)]
pub(crate) struct Fence(Arc<RwLock<Option<EffectDeadline>>>);

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

impl Fence {
    pub fn set(&self, until: EffectDeadline) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(until);
    }

    fn allows_changes(&self) -> bool {
        let deadline = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        deadline.is_none_or(|deadline| deadline() > pipectl_process::boot_time())
    }
}

/// Why the fence refused a call. Found again by its type below the SDK's own error.
#[derive(Debug)]
pub(crate) struct FencePassed {
    pub operation: String,
}

impl fmt::Display for FencePassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was not sent: the run's right to change the environment has run out",
            self.operation
        )
    }
}

impl Error for FencePassed {}

/// Whether an operation only looks. All reads that this adapter makes are called so; whatever is called otherwise counts
/// as a change, so that no change can be forgotten here.
fn only_looks(operation: &str) -> bool {
    ["Describe", "List", "Get", "Simulate"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

impl Intercept for Fence {
    fn name(&self) -> &'static str {
        "EffectDeadline"
    }

    /// After signing, right before the bytes go out, in every attempt.
    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", Metadata::name);
        if only_looks(operation) || self.allows_changes() {
            Ok(())
        } else {
            Err(Box::new(FencePassed {
                operation: operation.to_owned(),
            }))
        }
    }
}

/// The SDK takes every `LimitExceededException` for throttling. In KMS, CloudWatch Logs and EKS it says that a quota is
/// used up, which no pause mends.
#[derive(Debug)]
pub(crate) struct QuotasAreNotThrottling<E>(std::marker::PhantomData<fn() -> E>);

impl<E> QuotasAreNotThrottling<E> {
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<E> ClassifyRetry for QuotasAreNotThrottling<E>
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata
        + Error
        + Send
        + Sync
        + fmt::Debug
        + 'static,
{
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let code = ctx
            .output_or_error()
            .and_then(Result::err)
            .and_then(|error| error.as_operation_error())
            .and_then(|error| error.downcast_ref::<E>())
            .and_then(aws_smithy_types::error::metadata::ProvideErrorMetadata::code);
        if code == Some("LimitExceededException") {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "QuotasAreNotThrottling"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::default()
    }
}

/// For creations that take no client token: sent anew only when AWS said that it did not act (throttled). After a lost
/// answer or a server's failure the thing may be there, and another attempt would make a second one; the caller looks by
/// tag before it tries again.
#[derive(Debug)]
pub(crate) struct NeverTwice;

impl ClassifyRetry for NeverTwice {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::RetryForbidden
    }

    fn classify_retry_v2(&self, _: &InterceptorContext, before: &RetryAction) -> RetryAction {
        match before {
            RetryAction::RetryIndicated(RetryReason::RetryableError {
                kind: ErrorKind::ThrottlingError,
                ..
            }) => RetryAction::NoActionIndicated,
            _ => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "NeverTwice"
    }

    /// After all of the SDK's own: it judges their verdict.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Every item of a list that comes in pages.
macro_rules! all {
    ($request:expr) => {
        $request
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err($crate::errors::translate)
    };
}
pub(crate) use all;

/// What does not exist is `None`.
pub(crate) fn absent<T>(answer: Result<T, PortError>) -> Result<Option<T>, PortError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a deletion met: what does not exist is [`Deletion::Absent`].
pub(crate) fn deletion<T>(answer: Result<T, PortError>) -> Result<Deletion, PortError> {
    absent(answer).map(|accepted| match accepted {
        Some(_) => Deletion::Accepted,
        None => Deletion::Absent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_does_not_only_look_is_a_change() {
        for (operation, looks) in [
            ("DescribeVpcs", true),
            ("ListRoles", true),
            ("GetCallerIdentity", true),
            ("SimulatePrincipalPolicy", true),
            ("CreateVpc", false),
            ("PutParameter", false),
            ("TagResource", false),
            ("AssociateRouteTable", false),
            ("", false),
        ] {
            assert_eq!(only_looks(operation), looks, "{operation}");
        }
    }

    #[test]
    fn a_fence_without_a_deadline_lets_changes_pass() {
        let fence = Fence::default();
        assert!(fence.allows_changes());
        fence.set(Arc::new(|| Duration::ZERO));
        assert!(!fence.allows_changes());
        let clone = fence.clone();
        clone.set(Arc::new(|| {
            pipectl_process::boot_time() + Duration::from_secs(60)
        }));
        assert!(fence.allows_changes());
    }
}
