//! The operator's webhook: served to the real API server while a pod of its Deployment is ready.
//!
//! Without it the API server does what the chart's `failurePolicy` says: with `Fail` nothing is admitted, with `Ignore`
//! pods come without the volumes and settings that only the webhook adds.

mod ca_bundle;
mod defaults;
mod mutate;
mod review;
mod server;
mod validate;

use std::sync::Arc;

use tokio::net::TcpListener;

use super::options::WebhookOptions;
use crate::SandboxContext;

/// Takes the registration back when the program ends.
struct Registered<'a> {
    cx: &'a SandboxContext,
    options: &'a WebhookOptions,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.cx.egress.unregister(
            &self.options.service_namespace,
            &self.options.service,
            self.options.port,
        );
    }
}

/// Serve until dropped.
pub(super) async fn run(cx: SandboxContext, options: WebhookOptions) {
    if let Err(error) = serve(&cx, &options).await {
        tracing::error!(%error, "the Spark operator's webhook cannot be served");
    }
}

async fn serve(cx: &SandboxContext, options: &WebhookOptions) -> Result<(), server::ServeError> {
    let certificates = ca_bundle::certificates(&cx.client, options)
        .await
        .map_err(server::ServeError::Certificate)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(server::ServeError::Listen)?;
    let address = listener.local_addr().map_err(server::ServeError::Listen)?;
    let tls = server::tls(&certificates.identity)?;
    cx.egress.register(
        &options.service_namespace,
        &options.service,
        options.port,
        address,
    );
    let _registered = Registered { cx, options };
    let reviewer = Arc::new(review::Reviewer::new(
        cx.client.clone(),
        options.namespaces.clone(),
    ));
    tokio::select! {
        () = server::accept(listener, tls, reviewer) => {}
        () = ca_bundle::keep(&cx.client, options, &certificates.authority) => {}
    }
    Ok(())
}
