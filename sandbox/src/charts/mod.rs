//! The sandbox's chart repository: the stand-ins' charts, served as a real Helm repository over HTTP.
//!
//! `/strimzi` holds the chart `strimzi-kafka-operator`, `/spark-operator` the chart `spark-operator`. Archives and
//! indexes are made in memory from the templates in `sandbox/charts`; chart names, value keys and the objects they make
//! are those of the real charts.

mod archive;
mod repository;
mod sources;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use repository::Repository;

/// Path of the repository with Strimzi's chart, below the server's address.
pub const STRIMZI_PATH: &str = "/strimzi";

/// Path of the repository with the Spark operator's chart, below the server's address.
pub const SPARK_OPERATOR_PATH: &str = "/spark-operator";

/// Serve the stand-ins' charts until `shutdown`.
pub async fn serve(listener: tokio::net::TcpListener, shutdown: CancellationToken) {
    serve_with(listener, None, shutdown).await;
}

/// Serve the stand-ins' charts until `shutdown`, with official CustomResourceDefinitions where `crds` has them.
///
/// `crds` is a directory with `strimzi-VERSION/crds/*.yaml` and `spark-operator-VERSION/crds/*.yaml`; a version that
/// it lacks keeps the definitions made from pipectl's own types.
pub async fn serve_with(
    listener: tokio::net::TcpListener,
    crds: Option<PathBuf>,
    shutdown: CancellationToken,
) {
    // Compressing some dozens of archives takes longer than a scheduler's thread should be held.
    let built = tokio::task::spawn_blocking(move || Repository::build(crds.as_deref())).await;
    let Ok(repository) = built else {
        tracing::error!("the chart repository could not be built");
        return;
    };
    let repository = Arc::new(repository);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let repository = Arc::clone(&repository);
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(&repository, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                result = &mut connection => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a chart client went away");
                    }
                }
                () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
            }
        });
    }
    connections.close();
}

fn answer(repository: &Repository, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode| {
        let text = status.canonical_reason().unwrap_or_default();
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(file) = repository.get(path) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let body = if method == Method::HEAD {
        Bytes::new()
    } else {
        file.bytes.clone()
    };
    let mut response = Response::new(Full::from(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(file.content_type),
    );
    headers.insert(
        header::CONTENT_LENGTH,
        header::HeaderValue::from(file.bytes.len()),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn an_index_is_served_and_anything_else_is_not_found() {
        let repository = Repository::build(None);
        let index = answer(&repository, &Method::GET, "/strimzi/index.yaml");
        assert_eq!(index.status(), StatusCode::OK);
        let text = index.into_body().collect().await.unwrap().to_bytes();
        assert!(
            std::str::from_utf8(&text)
                .unwrap()
                .contains("strimzi-kafka-operator")
        );
        assert_eq!(
            answer(&repository, &Method::GET, "/strimzi/none.tgz").status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            answer(&repository, &Method::POST, "/strimzi/index.yaml").status(),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
}
