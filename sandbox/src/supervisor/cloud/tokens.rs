//! Where the API servers of EKS clusters ask whom a token belongs to: the webhook of Kubernetes' token authentication.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;

/// Larger reviews are none.
const LARGEST: usize = 1 << 20;

/// Serve until `shutdown`. The path is the cluster's id. Whoever asks learns only what the token itself proves.
pub(super) async fn serve(aws: Arc<Aws>, listener: TcpListener, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (aws, shutdown) = (Arc::clone(&aws), shutdown.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let aws = Arc::clone(&aws);
                async move { Ok::<_, Infallible>(answer(&aws, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

async fn answer(aws: &Aws, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let id = request.uri().path().trim_matches('/').to_owned();
    let body = Limited::new(request.into_body(), LARGEST).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    let status = match aws.identify(&id, token) {
        Some(who) => json!({
            "authenticated": true,
            "user": {"username": who.username, "uid": who.uid, "groups": who.groups},
        }),
        None => json!({"authenticated": false}),
    };
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status,
    });
    let mut response = Response::new(Full::new(Bytes::from(review.to_string())));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
