//! What nodes, images and volumes do in the sandbox.

use crate::SandboxContext;

/// Simulate until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    cx.shutdown.cancelled().await;
}
