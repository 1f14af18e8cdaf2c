//! The stand-in for the Spark operator 2.5.2 of the Kubeflow project, and for `spark-submit` and the driver program.
//!
//! - `instances`: which operators run: a controller or a webhook lives as long as a pod of its Deployment is ready.
//! - `controller`: the operator's controller, with its states in `state`.
//! - `conf`, `driver`: what `spark-submit` makes of an application.
//! - `program`: the driver program, which makes executors once its pod runs, whether an operator lives or not.
//! - `webhook`: the admission endpoints, reached by the real API server.

mod application;
mod conf;
mod controller;
mod driver;
mod events;
mod executor;
mod instances;
mod labels;
mod names;
mod options;
mod program;
mod properties;
mod state;
mod submit;
mod web_ui;
mod webhook;

#[cfg(test)]
mod observed;

use crate::SandboxContext;

/// Run the stand-in until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    tokio::select! {
        () = cx.shutdown.cancelled() => {}
        () = instances::run(cx.clone()) => tracing::error!("the Spark operator's stand-in has lost its watch"),
        () = program::run(cx.client.clone()) => tracing::error!("the Spark driver's simulation has lost its watch"),
    }
}
