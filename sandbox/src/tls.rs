//! TLS settings of the sandbox's own servers and clients, with one provider named explicitly: no process-wide default is needed.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::error::SandboxError;
use crate::pki::{Identity, Pki};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unusable(reason: impl ToString) -> SandboxError {
    SandboxError::InvalidSetting {
        setting: "certificate",
        reason: reason.to_string(),
    }
}

/// Speaks HTTP/1.1 only, which every Kubernetes client takes by ALPN.
pub(crate) fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, SandboxError> {
    server(identity, Arc::new(rustls::server::NoClientAuth))
}

/// The same for clients that have a certificate of the sandbox's authority, and no others.
pub(crate) fn server_config_with_client_auth(
    pki: &Pki,
    identity: &Identity,
) -> Result<Arc<ServerConfig>, SandboxError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pki)?), provider()).build();
    server(identity, verifier.map_err(unusable)?)
}

fn server(
    identity: &Identity,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, SandboxError> {
    let certificate =
        CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).map_err(unusable)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(unusable)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(pki: &Pki) -> Result<RootCertStore, SandboxError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).map_err(unusable)?)
        .map_err(unusable)?;
    Ok(roots)
}

/// Trusts the sandbox's authority and nobody else.
pub(crate) fn client_config(pki: &Pki) -> Result<ClientConfig, SandboxError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots(pki)?)
        .with_no_client_auth())
}
