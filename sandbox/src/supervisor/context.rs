//! What the supervisor hands to everything that it runs inside itself.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::egress::EgressMap;
use crate::pki::Pki;

/// What a stand-in or a simulation needs to work on the sandbox's cluster. Cheap to clone.
#[derive(Clone)]
pub struct SandboxContext {
    /// Cluster administrator, connected straight to the API server: the sandbox's proxy neither counts nor disturbs it.
    pub client: kube::Client,
    /// Certificate of the sandbox's own authority, PEM; what a webhook's `caBundle` has to hold.
    pub ca_pem: String,
    /// Issues server certificates for services inside the cluster.
    pub pki: Arc<Pki>,
    /// Where listeners register for the services which they answer for.
    pub egress: EgressMap,
    /// Cancelled when the sandbox stops; everything must return soon after.
    pub shutdown: CancellationToken,
    /// The sandbox's directory.
    pub dir: PathBuf,
}
