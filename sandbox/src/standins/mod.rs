//! Stand-ins for the operators that a platform needs.
//!
//! A stand-in does to the Kubernetes API what the real operator does. It lives only while a pod of the operator is
//! ready, which real Helm installs and the simulated nodes run, and works only in the namespaces that this pod was told
//! to watch: without the operator, finalizers hang as they do in reality.

pub mod common;
pub mod spark;
pub mod strimzi;

use tokio::task::JoinSet;

use crate::SandboxContext;

/// Run every stand-in until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    let mut standins = JoinSet::new();
    standins.spawn(strimzi::run(cx.clone()));
    standins.spawn(spark::run(cx.clone()));
    tokio::select! {
        () = cx.shutdown.cancelled() => {}
        () = async { while standins.join_next().await.is_some() {} } => {
            tracing::error!("every stand-in has ended before the sandbox did");
        }
    }
    standins.shutdown().await;
}
