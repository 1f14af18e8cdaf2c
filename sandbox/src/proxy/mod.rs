//! The TLS proxy in front of the API server: clients come through here, are counted, and suffer the faults that a test plans.
//!
//! Components and stand-ins talk to the API server directly, so the counters hold clients only.

pub(crate) mod classify;
pub(crate) mod counters;
pub(crate) mod faults;

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::error::SandboxError;
use crate::pki::{Identity, Pki};
use crate::tls;
use classify::{agent, classify};
use counters::Counters;
use faults::{FaultEffect, FaultMoment, Faults};

type Body = BoxBody<Bytes, hyper::Error>;

/// What the proxy knows and its control endpoint changes.
#[derive(Debug, Default)]
pub(crate) struct ProxyState {
    pub(crate) counters: Counters,
    pub(crate) faults: Faults,
}

/// The way to an API server, which may have to be woken first.
#[async_trait]
pub(crate) trait Door: Send + Sync {
    /// The port on 127.0.0.1 at which it listens; none when it cannot be reached.
    async fn port(&self) -> Option<u16>;

    /// A client's connection came.
    fn came(&self) {}

    /// A client's connection went.
    fn went(&self) {}
}

/// An API server that is there as long as its proxy.
pub(crate) struct OpenDoor(pub(crate) u16);

#[async_trait]
impl Door for OpenDoor {
    async fn port(&self) -> Option<u16> {
        Some(self.0)
    }
}

/// A connection that is counted as long as it lives.
struct Counted(Arc<dyn Door>);

impl Counted {
    fn new(door: &Arc<dyn Door>) -> Self {
        door.came();
        Self(Arc::clone(door))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.went();
    }
}

/// A proxy to one API server.
pub(crate) struct Proxy {
    acceptor: TlsAcceptor,
    upstream: Client<HttpsConnector<HttpConnector>, Incoming>,
    door: Arc<dyn Door>,
    state: Arc<ProxyState>,
}

/// The connection has to be reset; hyper ends it when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("connection reset by a fault")]
struct ResetConnection;

impl Proxy {
    /// `identity` is what clients see; the API server is behind `door`.
    pub(crate) fn new(
        pki: &Pki,
        identity: &Identity,
        door: Arc<dyn Door>,
        state: Arc<ProxyState>,
    ) -> Result<Self, SandboxError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(pki)?)
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        let upstream = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            acceptor: TlsAcceptor::from(tls::server_config(identity)?),
            upstream,
            door,
            state,
        })
    }

    /// Serve until `shutdown`, then end every connection.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
                // Forget those that have ended.
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&self).connection(stream));
                }
                // Too many open files, most likely: don't spin.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _counted = Counted::new(&self.door);
        let _ = stream.set_nodelay(true);
        // A second handle on the socket, to reset it from within a request.
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
            return;
        };
        let socket = Arc::new(socket);
        let Ok(stream) = self.acceptor.accept(stream).await else {
            return;
        };
        let service = service_fn(move |request| {
            let (this, socket) = (Arc::clone(&self), Arc::clone(&socket));
            async move { this.answer(request, &socket).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "client connection ended");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        socket: &OwnedFd,
    ) -> Result<Response<Body>, ResetConnection> {
        let subject = classify(request.method(), request.uri(), request.headers());
        let agent = agent(request.headers());
        self.state.counters.add(&agent, &subject);
        let verdict = self.state.faults.judge(&agent, &subject);
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        match verdict.effect {
            None | Some(FaultEffect::Delay { .. }) => Ok(self.forward(request).await),
            Some(FaultEffect::Status {
                code,
                when,
                retry_after,
            }) => {
                if when == FaultMoment::After {
                    self.forward_and_forget(request).await;
                }
                Ok(status_response(
                    code,
                    "injected by the sandbox's fault plan",
                    retry_after,
                ))
            }
            Some(FaultEffect::Reset { when }) => {
                if when == FaultMoment::After {
                    self.forward_and_forget(request).await;
                }
                // Closing a socket that doesn't linger sends a reset instead of an orderly end (socket(7)).
                let _ = rustix::net::sockopt::set_socket_linger(
                    socket,
                    Some(std::time::Duration::ZERO),
                );
                Err(ResetConnection)
            }
        }
    }

    async fn forward_and_forget(&self, request: Request<Incoming>) {
        // The effect is there once the answer is complete.
        let _ = self.forward(request).await.into_body().collect().await;
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Response<Body> {
        let Some(port) = self.door.port().await else {
            return status_response(503, "the control plane does not come up", None);
        };
        let path = request.uri().path_and_query().cloned();
        let uri = Uri::builder()
            .scheme("https")
            .authority(format!("127.0.0.1:{port}"));
        let Ok(uri) = uri
            .path_and_query(path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/")))
            .build()
        else {
            return status_response(400, "the request's address is damaged", None);
        };
        *request.uri_mut() = uri;
        *request.version_mut() = http::Version::HTTP_11;
        request.headers_mut().remove(header::HOST);
        let upgrades = request.headers().contains_key(header::UPGRADE);
        if !upgrades {
            request.headers_mut().remove(header::CONNECTION);
        }
        let client_side = upgrades.then(|| hyper::upgrade::on(&mut request));
        match self.upstream.request(request).await {
            Ok(mut response) => {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && let Some(client_side) = client_side
                {
                    tokio::spawn(tunnel(client_side, hyper::upgrade::on(&mut response)));
                } else {
                    response.headers_mut().remove(header::CONNECTION);
                }
                response.map(BodyExt::boxed)
            }
            Err(error) => {
                tracing::warn!(%error, "the API server did not answer");
                status_response(502, "the sandbox's API server does not answer", None)
            }
        }
    }
}

async fn tunnel(client: hyper::upgrade::OnUpgrade, server: hyper::upgrade::OnUpgrade) {
    if let Ok((client, server)) = tokio::try_join!(client, server) {
        // Either side may end it whenever it likes.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server))
            .await;
    }
}

/// An error as the API server would word it (meta/v1 Status).
fn status_response(code: u16, message: &str, retry_after: Option<u32>) -> Response<Body> {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let body = Full::new(Bytes::from(status.to_string()))
        .map_err(|never: Infallible| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
