//! Stand-ins for the operators that a platform needs.

use crate::SandboxContext;

/// Run every stand-in until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    cx.shutdown.cancelled().await;
}
