//! The simulated AWS of a sandbox: its endpoint, and the real control planes behind its EKS clusters.

mod access;
mod host;
mod nodes;
mod tokens;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::host::EksHost;
use super::AwsOptions;
use super::runtime::{address, listen_at_best, port};
use crate::aws::{Aws, AwsSettings, serve};
use crate::control::AwsStatus;
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::proxy::ProxyState;
use crate::tools::Programs;

/// The port that the endpoint had, to have it again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownPort {
    aws: u16,
}

/// A running simulated AWS with its clusters.
pub(super) struct CloudRuntime {
    aws: Arc<Aws>,
    host: Arc<EksHost>,
    ends: CancellationToken,
}

impl CloudRuntime {
    /// Start it. Clusters that it had are booted again.
    pub(super) async fn start(
        options: &AwsOptions,
        layout: &Layout,
        programs: &Programs,
        guard: PathBuf,
        failed: CancellationToken,
        proxy: Arc<ProxyState>,
    ) -> Result<Self, SandboxError> {
        let root = layout.aws();
        files::private_directory(&root)?;
        let ports = root.join("port.json");
        let known: KnownPort = std::fs::read(&ports)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        // Free at this moment; the simulator binds it right away.
        let wanted = port(&listen_at_best(known.aws).await?)?;
        let ends = CancellationToken::new();
        let settings = AwsSettings {
            port: wanted,
            time_scale: f64::from(options.time_scale),
            seed: options.seed,
            file: Some(root.join("graph.json")),
            ..AwsSettings::default()
        };
        let aws = Arc::new(serve(settings, ends.clone()).await?);
        let text = serde_json::to_vec(&KnownPort { aws: wanted }).unwrap_or_default();
        files::write_private(&ports, &text)?;
        let webhook = listen_at_best(0).await?;
        let at = address(&webhook)?;
        tokio::spawn(tokens::serve(Arc::clone(&aws), webhook, ends.clone()));
        let clusters = root.join("clusters");
        let host = Arc::new(EksHost::new(
            clusters,
            programs.clone(),
            guard,
            at,
            failed,
            proxy,
        ));
        aws.host(Arc::clone(&host) as _, ends.clone());
        Ok(Self { aws, host, ends })
    }

    /// The simulator itself.
    pub(super) fn aws(&self) -> Arc<Aws> {
        Arc::clone(&self.aws)
    }

    /// What its users need.
    pub(super) fn status(&self) -> AwsStatus {
        let keys = self.aws.credentials();
        AwsStatus {
            endpoint: self.aws.endpoint().to_owned(),
            account: keys.account,
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
        }
    }

    /// End every cluster's control plane, then the endpoint. What there is stays for the next start.
    pub(super) async fn stop(self) {
        self.ends.cancel();
        self.host.stop().await;
    }
}
