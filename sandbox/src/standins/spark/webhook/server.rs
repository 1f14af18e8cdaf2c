//! HTTPS for the API server.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::review::Reviewer;
use crate::pki::{Identity, PkiError};

/// Largest review: the API server's own limit of a request is 3 MiB, and a review holds old and new object.
const LARGEST: usize = 8 << 20;

/// Why the webhook cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    /// No certificate could be made.
    #[error(transparent)]
    Certificate(PkiError),
    /// The certificate made is not usable.
    #[error("cannot use the webhook's certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificate made cannot be read.
    #[error("cannot read the webhook's certificate: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// No port to listen on.
    #[error("cannot listen: {0}")]
    Listen(std::io::Error),
}

/// TLS with this identity.
pub(super) fn tls(identity: &Identity) -> Result<TlsAcceptor, ServeError> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answer until dropped.
pub(super) async fn accept(listener: TcpListener, tls: TlsAcceptor, reviewer: Arc<Reviewer>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the Spark operator's webhook missed a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, reviewer) = (tls.clone(), reviewer.clone());
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let service = service_fn(move |request| answer(request, reviewer.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the Spark operator's webhook ended");
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    reviewer: Arc<Reviewer>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), LARGEST).collect().await;
    let review = match body {
        Ok(body) => reviewer.review(&path, &body.to_bytes()).await,
        Err(error) => {
            tracing::debug!(%error, "a review could not be read");
            None
        }
    };
    let mut response = match review {
        Some(review) => Response::new(Full::new(Bytes::from(review.to_string()))),
        None => {
            let mut response = Response::new(Full::new(Bytes::from_static(
                b"not an endpoint of this webhook\n",
            )));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}
