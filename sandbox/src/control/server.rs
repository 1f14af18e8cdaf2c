//! The supervisor's side of the control endpoint.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::SandboxStatus;
use crate::proxy::ProxyState;
use crate::proxy::faults::FaultRule;

/// Larger bodies are refused: a fault plan is some lines long.
const LARGEST_BODY: usize = 1 << 20;

/// What the control endpoint shows and changes.
pub(crate) struct Control {
    pub(crate) token: String,
    pub(crate) proxy: Arc<ProxyState>,
    pub(crate) status: Box<dyn Fn() -> SandboxStatus + Send + Sync>,
    /// The raw graph of the simulated AWS.
    pub(crate) inspect_aws: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Cancelled when somebody asks the sandbox to stop.
    pub(crate) stop: CancellationToken,
}

/// Serve until `shutdown`.
pub(crate) async fn serve(
    control: Arc<Control>,
    listener: TcpListener,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let control = Arc::clone(&control);
                async move { Ok::<_, Infallible>(answer(&control, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is its own concern.
            let _ = connection.await;
        });
    }
}

async fn answer(control: &Control, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // Compared as digests: how long it takes tells nothing about the token.
    let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    if digest(given).as_ref() != digest(&control.token).as_ref() {
        return text(StatusCode::UNAUTHORIZED, "a token is needed");
    }
    match (request.method().clone(), request.uri().path()) {
        (Method::GET, "/v1/status") => json(&(control.status)()),
        (Method::POST, "/v1/stop") => {
            control.stop.cancel();
            text(StatusCode::ACCEPTED, "stopping")
        }
        (Method::GET, "/v1/aws/inspect") => json(&(control.inspect_aws)()),
        (Method::GET, "/v1/counters") => json(&control.proxy.counters.list()),
        (Method::DELETE, "/v1/counters") => {
            control.proxy.counters.reset();
            text(StatusCode::OK, "reset")
        }
        (Method::GET, "/v1/faults") => json(&control.proxy.faults.list()),
        (Method::DELETE, "/v1/faults") => {
            control.proxy.faults.set(Vec::new());
            text(StatusCode::OK, "cleared")
        }
        (Method::PUT, "/v1/faults") => {
            let Ok(body) = Limited::new(request.into_body(), LARGEST_BODY)
                .collect()
                .await
            else {
                return text(
                    StatusCode::BAD_REQUEST,
                    "the body is too large or incomplete",
                );
            };
            match serde_json::from_slice::<Vec<FaultRule>>(&body.to_bytes()) {
                Ok(rules) => {
                    control.proxy.faults.set(rules);
                    text(StatusCode::OK, "set")
                }
                Err(error) => text(StatusCode::BAD_REQUEST, &format!("no fault plan: {error}")),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "no such thing"),
    }
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(Full::new(Bytes::from(body))),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}
