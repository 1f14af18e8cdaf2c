//! The simulated AWS of a sandbox: its endpoint, and the real control planes behind its EKS clusters.

mod access;
mod balancers;
mod host;
mod nodes;
mod plane;
mod tokens;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::host::EksHost;
use self::plane::Shared;
use super::AwsOptions;
use super::runtime::{address, listen_at_best, port};
use crate::aws::{Aws, AwsSettings, serve};
use crate::control::{AwsAccess, EksStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::proxy::ProxyState;
use crate::tools::Programs;

/// What a simulated AWS needs beside its options.
pub(super) struct Ground<'a> {
    pub(super) layout: &'a Layout,
    pub(super) programs: &'a Programs,
    pub(super) guard: PathBuf,
    /// Counters and faults of the clusters' proxies.
    pub(super) proxy: Arc<ProxyState>,
}

/// A running simulated AWS with its clusters.
pub(super) struct CloudRuntime {
    aws: Arc<Aws>,
    host: Arc<EksHost>,
    ends: CancellationToken,
    options: AwsOptions,
}

impl CloudRuntime {
    /// Start it at that place. Clusters that it had are booted again when somebody comes for them.
    pub(super) async fn start(
        options: &AwsOptions,
        ground: Ground<'_>,
        listener: TcpListener,
    ) -> Result<Self, SandboxError> {
        let root = ground.layout.aws();
        files::private_directory(&root)?;
        // Free again in a moment; the simulator binds it right away.
        let wanted = port(&listener)?;
        drop(listener);
        let ends = CancellationToken::new();
        let settings = AwsSettings {
            port: wanted,
            time_scale: f64::from(options.time_scale),
            seed: options.seed,
            file: Some(ground.layout.aws_graph()),
            ..AwsSettings::default()
        };
        let aws = Arc::new(serve(settings, ends.clone()).await?);
        let webhook = listen_at_best(0).await?;
        let at = address(&webhook)?;
        tokio::spawn(tokens::serve(Arc::clone(&aws), webhook, ends.clone()));
        let shared = Shared {
            programs: ground.programs.clone(),
            guard: ground.guard,
            webhook: at,
            proxy: ground.proxy,
            idle: Duration::from_secs(u64::from(options.idle_seconds)),
        };
        let host = Arc::new(EksHost::new(ground.layout.aws_clusters(), shared));
        aws.host(Arc::clone(&host) as _, ends.clone());
        Ok(Self {
            aws,
            host,
            ends,
            options: options.clone(),
        })
    }

    /// The simulator itself.
    pub(super) fn aws(&self) -> Arc<Aws> {
        Arc::clone(&self.aws)
    }

    /// What its users need.
    pub(super) fn status(&self) -> AwsAccess {
        let keys = self.aws.credentials_of(&self.options.account);
        AwsAccess {
            endpoint: self.aws.endpoint().to_owned(),
            account: keys.account,
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            region: self.options.region.clone(),
            time_scale: self.options.time_scale,
        }
    }

    /// The control planes of its clusters.
    pub(super) fn planes(&self) -> Vec<EksStatus> {
        self.host.status()
    }

    /// End every cluster's control plane, then the endpoint. What there is stays for the next start.
    pub(super) async fn stop(&self) {
        self.ends.cancel();
        self.host.stop().await;
    }
}
