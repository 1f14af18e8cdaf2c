//! The endpoint: HTTP on loopback.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::dispatch::{Answer, answer};
use crate::aws::cloud::Cloud;

/// Larger bodies are refused; the largest of AWS's here is a policy or user data.
const LARGEST_BODY: usize = 4 << 20;

/// A client that is silent for so long has gone.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a connection ends without an answer: the fault plan says so.
#[derive(Debug)]
struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("reset on purpose")
    }
}

impl std::error::Error for Reset {}

/// Serve until `shutdown`.
pub(crate) async fn serve(cloud: Arc<Cloud>, listener: TcpListener, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Many small replies: waiting to fill a packet costs 40 ms each.
        let _ = stream.set_nodelay(true);
        let cloud = Arc::clone(&cloud);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let cloud = Arc::clone(&cloud);
                async move { respond(&cloud, request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // A client that goes away in the middle is its own concern.
                _ = connection => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

async fn respond(
    cloud: &Cloud,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Reset> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        let mut reply = Response::new(Full::new(Bytes::from_static(b"the body is too large")));
        *reply.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(reply);
    };
    let body = body.to_bytes();
    if parts.uri.path().starts_with(super::admin::PREFIX) {
        return Ok(super::admin::answer(cloud, &parts, &body));
    }
    match answer(cloud, &parts, &body).await {
        Answer::Reply(reply) => Ok(reply),
        // hyper closes a connection whose service fails without an answer.
        Answer::Reset => Err(Reset),
    }
}
