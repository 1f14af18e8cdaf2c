//! Until when changes may be under way.

use std::{sync::Arc, time::Duration};

/// Until when, on the clock of `pipectl_process::boot_time`, a change may be begun: the lease's deadline, asked anew each
/// time. One that is not ahead allows nothing.
pub type EffectDeadline = Arc<dyn Fn() -> Duration + Send + Sync>;
