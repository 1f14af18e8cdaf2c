//! Where the API server's calls into the cluster go: to stand-ins instead of pods, to KWOK instead of kubelets.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::egress::EgressMap;
use crate::error::SandboxError;
use crate::pki::Pki;
use crate::tls;

/// The port that every kubelet listens on.
const KUBELET: u16 = 10250;
/// How long it may take to find out who answers.
const LOOKUP: Duration = Duration::from_secs(3);

/// The API server's way into the cluster: HTTP CONNECT, as its egress selector speaks it.
pub(crate) struct EgressProxy {
    map: EgressMap,
    /// Only the API server has a certificate to come in with.
    acceptor: TlsAcceptor,
    /// Known once the control plane runs.
    cluster: OnceLock<Cluster>,
}

struct Cluster {
    client: kube::Client,
    kubelet: u16,
}

impl EgressProxy {
    pub(crate) fn new(map: EgressMap, pki: &Pki) -> Result<Self, SandboxError> {
        let identity = pki.server("sandbox-egress", &["127.0.0.1"])?;
        let acceptor = TlsAcceptor::from(tls::server_config_with_client_auth(pki, &identity)?);
        Ok(Self {
            map,
            acceptor,
            cluster: OnceLock::new(),
        })
    }

    /// From now on services can be looked up, and KWOK answers for kubelets at `kubelet` on 127.0.0.1.
    pub(crate) fn connect(&self, client: kube::Client, kubelet: u16) {
        let _ = self.cluster.set(Cluster { client, kubelet });
    }

    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&self).connection(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection of the API server's");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(stream) = self.acceptor.accept(stream).await else {
            return;
        };
        let service = service_fn(move |request| {
            let this = Arc::clone(&self);
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "egress connection ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let refuse = |status: StatusCode| {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = status;
            response
        };
        if request.method() != Method::CONNECT {
            return refuse(StatusCode::METHOD_NOT_ALLOWED);
        }
        let target = request
            .uri()
            .authority()
            .and_then(|target| Some((target.host().to_owned(), target.port_u16()?)));
        let Some((host, port)) = target else {
            return refuse(StatusCode::BAD_REQUEST);
        };
        let Ok(Some(address)) = tokio::time::timeout(LOOKUP, self.resolve(&host, port)).await
        else {
            tracing::info!(host, port, "nobody answers for this address");
            return refuse(StatusCode::BAD_GATEWAY);
        };
        let Ok(server) = TcpStream::connect(address).await else {
            tracing::warn!(host, port, %address, "the listener is gone");
            return refuse(StatusCode::BAD_GATEWAY);
        };
        let _ = server.set_nodelay(true);
        tokio::spawn(async move {
            let mut server = server;
            if let Ok(client) = hyper::upgrade::on(request).await {
                // Either side may end it whenever it likes.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
            }
        });
        refuse(StatusCode::OK)
    }

    /// The listener that answers for an address inside the cluster.
    async fn resolve(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let cluster = self.cluster.get()?;
        // The API server calls a webhook's service by its cluster address and the service's port.
        let address: IpAddr = host.parse().ok()?;
        if port == KUBELET && matches!(address, IpAddr::V4(address) if address.is_private()) {
            return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.kubelet)));
        }
        // Connections are kept and used again, so this list, from the API server's cache, is rare.
        let any = ListParams::default().match_any();
        let services = Api::<Service>::all(cluster.client.clone())
            .list(&any)
            .await
            .ok()?;
        let service = services.into_iter().find(|service| {
            service
                .spec
                .as_ref()
                .and_then(|spec| spec.cluster_ip.as_deref())
                == Some(host)
        })?;
        self.map.resolve(
            service.metadata.namespace.as_deref()?,
            service.metadata.name.as_deref()?,
            port,
        )
    }
}
