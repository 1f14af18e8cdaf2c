//! Which local listener answers for a service inside the sandbox's cluster.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// A service's port as the API server addresses it: namespace, service name, service port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServicePort {
    /// Namespace of the service.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Port of the service (not the container's target port).
    pub port: u16,
}

/// The stand-ins' listeners, by the service which they answer for.
///
/// Pods are simulated, so nothing listens at a service's address. Stand-ins listen on loopback instead and register
/// here; the egress proxy connects the API server's calls to them. Clones share one registry.
#[derive(Clone, Debug, Default)]
pub struct EgressMap {
    targets: Arc<RwLock<HashMap<ServicePort, SocketAddr>>>,
}

impl EgressMap {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Let `address` answer for `service` in `namespace` at `port`; replaces an earlier registration.
    pub fn register(&self, namespace: &str, service: &str, port: u16, address: SocketAddr) {
        let key = ServicePort {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
        };
        self.targets
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, address);
    }

    /// Stop answering for `service` in `namespace` at `port`; calls are refused from then on.
    pub fn unregister(&self, namespace: &str, service: &str, port: u16) {
        let key = ServicePort {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
        };
        self.targets
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
    }

    /// The listener that answers for this service, if any.
    #[must_use]
    pub fn resolve(&self, namespace: &str, service: &str, port: u16) -> Option<SocketAddr> {
        let key = ServicePort {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            port,
        };
        self.targets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied()
    }
}
