//! How a run goes about its work.

use std::time::Duration;

use super::{critical_path::Expectations, retry::RetryPolicy};

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
    /// How long calls under way may go on after the first signal. The run ends within 5 s, so this is shorter.
    pub grace: Duration,
    /// What earlier runs took; see [`super::expectations`].
    pub expectations: Expectations,
    /// After a `down` that proved that nothing is left, record that the environment is gone.
    pub removes_environment: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            effects: 16,
            waits: 32,
            safety_interval: Duration::from_secs(15),
            debounce: Duration::from_millis(100),
            retry: RetryPolicy::default(),
            grace: Duration::from_secs(3),
            expectations: Expectations::new(),
            removes_environment: false,
        }
    }
}
