//! Certificates, keys, tokens and kubeconfigs of a sandbox, as files for its components.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::pki::{Identity, Pki};

/// Tokens that the API server knows; both are administrators.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Tokens {
    /// The users', through the proxy.
    pub(crate) admin: String,
    /// The supervisor's own, past the proxy.
    pub(crate) supervisor: String,
}

/// Everything that components need to know each other by.
pub(crate) struct Credentials {
    pub(crate) pki: Pki,
    pub(crate) tokens: Tokens,
    directory: PathBuf,
}

/// A component's view on its certificate and key.
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Credentials {
    /// Those of this sandbox, made at its first start. Certificates are issued anew at each start; the authority, the
    /// service account key and the tokens stay, so that kubeconfigs and service account tokens outlive a restart.
    pub(crate) fn prepare(layout: &Layout, name: &str) -> Result<Self, SandboxError> {
        let directory = layout.pki();
        files::private_directory(&directory)?;
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca-key.pem"));
        let pki = match (fs::read_to_string(&certificate), fs::read_to_string(&key)) {
            (Ok(certificate), Ok(key)) => Pki::load(name, &certificate, &key)?,
            _ => {
                let pki = Pki::generate(name)?;
                files::write_private(&key, pki.ca_key_pem().as_bytes())?;
                files::write_private(&certificate, pki.ca_pem().as_bytes())?;
                pki
            }
        };
        let tokens_file = directory.join("tokens.json");
        let known = fs::read(&tokens_file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let tokens = match known {
            Some(tokens) => tokens,
            None => {
                let tokens = Tokens {
                    admin: random_token(),
                    supervisor: random_token(),
                };
                files::write_private(
                    &tokens_file,
                    &serde_json::to_vec(&tokens).unwrap_or_default(),
                )?;
                tokens
            }
        };
        let this = Self {
            pki,
            tokens,
            directory,
        };
        // Static token file: token, user name, user UID, groups (Kubernetes: Authenticating).
        let lines = format!(
            "{},sandbox-admin,sandbox-admin,\"system:masters\"\n{},sandbox-supervisor,sandbox-supervisor,\"system:masters\"\n",
            this.tokens.admin, this.tokens.supervisor
        );
        files::write_private(&this.token_file(), lines.as_bytes())?;
        if !this.service_account_certificate().exists() {
            // Any key pair will do; tokens that it signed stay valid as long as it stays. The API server takes the public
            // half out of a certificate, not out of a private key in PKCS #8.
            this.store(
                "service-accounts",
                &this.pki.client("service-accounts", &[])?,
            )?;
        }
        Ok(this)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.join("tokens.csv")
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.directory.join("service-accounts-key.pem")
    }

    pub(crate) fn service_account_certificate(&self) -> PathBuf {
        self.directory.join("service-accounts.pem")
    }

    /// A server certificate for loopback (and the names given), as files.
    pub(crate) fn server(&self, name: &str, more: &[&str]) -> Result<Files, SandboxError> {
        let names: Vec<&str> = ["localhost", "127.0.0.1"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        self.store(name, &self.pki.server(name, &names)?)
    }

    /// A client certificate, as files.
    pub(crate) fn client(
        &self,
        file: &str,
        user: &str,
        groups: &[&str],
    ) -> Result<Files, SandboxError> {
        self.store(file, &self.pki.client(user, groups)?)
    }

    fn store(&self, file: &str, identity: &Identity) -> Result<Files, SandboxError> {
        let files = Files {
            certificate: self.directory.join(format!("{file}.pem")),
            key: self.directory.join(format!("{file}-key.pem")),
        };
        files::write_private(&files.certificate, identity.certificate_pem.as_bytes())?;
        files::write_private(&files.key, identity.key_pem.as_bytes())?;
        Ok(files)
    }

    /// A kubeconfig with a client certificate, for a component that talks to the API server directly.
    pub(crate) fn component_kubeconfig(
        &self,
        path: &Path,
        server: &str,
        user: &str,
        groups: &[&str],
    ) -> Result<(), SandboxError> {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // A server certificate of the same component may stand beside it.
        let identity = self.client(&format!("{name}-client"), user, groups)?;
        let user =
            json!({ "client-certificate": identity.certificate, "client-key": identity.key });
        write_kubeconfig(
            path,
            "sandbox",
            server,
            &json!({ "certificate-authority": self.ca() }),
            &user,
        )
    }

    /// The kubeconfig for users: self-contained, so that it can be copied elsewhere on this machine.
    pub(crate) fn user_kubeconfig(
        &self,
        path: &Path,
        context: &str,
        server: &str,
    ) -> Result<(), SandboxError> {
        let authority =
            json!({ "certificate-authority-data": base64(self.pki.ca_pem().as_bytes()) });
        write_kubeconfig(
            path,
            context,
            server,
            &authority,
            &json!({ "token": self.tokens.admin }),
        )
    }
}

fn write_kubeconfig(
    path: &Path,
    context: &str,
    server: &str,
    authority: &serde_json::Value,
    user: &serde_json::Value,
) -> Result<(), SandboxError> {
    let mut cluster = authority.clone();
    cluster["server"] = json!(server);
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{ "name": context, "cluster": cluster }],
        "users": [{ "name": context, "user": user }],
        "contexts": [{ "name": context, "context": { "cluster": context, "user": context } }],
    });
    files::write_private(
        path,
        serde_norway::to_string(&config)
            .unwrap_or_default()
            .as_bytes(),
    )
}

/// 192 random bits, as text that needs no escaping anywhere.
pub(crate) fn random_token() -> String {
    crate::tools::hex(&rand::random::<[u8; 24]>())
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_keeps_the_authority_and_the_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout {
            root: directory.path().to_owned(),
        };
        let first = Credentials::prepare(&layout, "one").unwrap();
        let second = Credentials::prepare(&layout, "one").unwrap();
        assert_eq!(first.pki.ca_pem(), second.pki.ca_pem());
        assert_eq!(first.tokens.admin, second.tokens.admin);
        assert_ne!(first.tokens.admin, first.tokens.supervisor);
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64(b"pipe"), "cGlwZQ==");
    }
}
