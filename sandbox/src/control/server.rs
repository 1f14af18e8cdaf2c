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

use super::{HandedOut, SandboxStatus, WantedUser};
use crate::aws::{Aws, AwsFaultRule};
use crate::error::SandboxError;
use crate::proxy::ProxyState;
use crate::proxy::faults::FaultRule;
use crate::supervisor::StartOptions;

/// Larger bodies are refused: a fault plan is some lines long.
const LARGEST_BODY: usize = 1 << 20;

/// What the control endpoint shows and changes.
pub(crate) struct Control {
    pub(crate) token: String,
    pub(crate) proxy: Arc<ProxyState>,
    pub(crate) status: Box<dyn Fn() -> SandboxStatus + Send + Sync>,
    /// The simulated AWS, once it runs.
    pub(crate) aws: Box<dyn Fn() -> Option<Arc<Aws>> + Send + Sync>,
    /// Somebody wishes for the plain cluster.
    pub(crate) want_cluster: Box<dyn Fn(StartOptions) + Send + Sync>,
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
        (Method::PUT, "/v1/faults") => match body::<Vec<FaultRule>>(request).await {
            Ok(rules) => {
                control.proxy.faults.set(rules);
                text(StatusCode::OK, "set")
            }
            Err(refused) => refused,
        },
        (Method::POST, "/v1/cluster") => match body::<StartOptions>(request).await {
            Ok(options) => {
                (control.want_cluster)(options);
                text(StatusCode::ACCEPTED, "wanted")
            }
            Err(refused) => refused,
        },
        (_, path) if path.starts_with("/v1/aws/") => match (control.aws)() {
            Some(aws) => answer_aws(&aws, request).await,
            None => text(StatusCode::SERVICE_UNAVAILABLE, "it still starts"),
        },
        _ => text(StatusCode::NOT_FOUND, "no such thing"),
    }
}

async fn answer_aws(aws: &Aws, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method().clone(), request.uri().path()) {
        (Method::GET, "/v1/aws/inspect") => json(&aws.inspect()),
        (Method::GET, "/v1/aws/calls") => json(&aws.counters()),
        (Method::DELETE, "/v1/aws/calls") => {
            aws.reset_counters();
            text(StatusCode::OK, "reset")
        }
        (Method::GET, "/v1/aws/faults") => json(&aws.faults()),
        (Method::PUT, "/v1/aws/faults") => match body::<Vec<AwsFaultRule>>(request).await {
            Ok(rules) => {
                aws.set_faults(rules);
                text(StatusCode::OK, "set")
            }
            Err(refused) => refused,
        },
        (Method::PUT, "/v1/aws/user") => match body::<WantedUser>(request).await {
            Ok(wanted) => json(&match aws.user(&wanted.name, &wanted.policy) {
                Ok(key) => HandedOut::Key(key),
                Err(SandboxError::InvalidSetting { reason, .. }) => HandedOut::Refused(reason),
                Err(error) => HandedOut::Refused(error.to_string()),
            }),
            Err(refused) => refused,
        },
        _ => text(StatusCode::NOT_FOUND, "no such thing"),
    }
}

/// What a request carries, or the answer that it cannot be read.
async fn body<T: serde::de::DeserializeOwned>(
    request: Request<Incoming>,
) -> Result<T, Response<Full<Bytes>>> {
    let read = Limited::new(request.into_body(), LARGEST_BODY)
        .collect()
        .await;
    let Ok(read) = read else {
        return Err(text(
            StatusCode::BAD_REQUEST,
            "the body is too large or incomplete",
        ));
    };
    serde_json::from_slice(&read.to_bytes())
        .map_err(|error| text(StatusCode::BAD_REQUEST, &format!("not understood: {error}")))
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
