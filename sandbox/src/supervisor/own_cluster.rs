//! The sandbox's own plain cluster: there from the start, or from the first time that somebody wants it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::StartOptions;
use super::components::Flavour;
use super::credentials::Credentials;
use super::nodes;
use super::ports::Ports;
use super::process::Watcher;
use super::runtime::{self, Cluster, ClusterRuntime, listen, listen_at_best, port};
use crate::control::{ClusterBoot, ClusterStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::proxy::ProxyState;
use crate::tools::Programs;

/// How long nodes and the first service account may take.
const USABLE_LIMIT: Duration = Duration::from_secs(60);

/// The plain cluster, running or not.
pub(super) struct OwnCluster {
    pub(super) name: String,
    pub(super) layout: Layout,
    pub(super) programs: Programs,
    pub(super) guard: PathBuf,
    pub(super) proxy: Arc<ProxyState>,
    pub(super) ports: Arc<Ports>,
    /// Cancelled when the sandbox stops.
    pub(super) stop: CancellationToken,
    state: Mutex<State>,
    /// Held while it boots or ends.
    runtime: tokio::sync::Mutex<Option<ClusterRuntime>>,
}

/// What others see of it.
#[derive(Default)]
struct State {
    boot: Option<ClusterBoot>,
    /// Where and how large it is, and of what it consists, once it is usable.
    there: Option<(String, StartOptions, Vec<Watcher>)>,
}

impl OwnCluster {
    pub(super) fn new(
        name: &str,
        layout: &Layout,
        programs: &Programs,
        guard: PathBuf,
        proxy: Arc<ProxyState>,
        ports: Arc<Ports>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            name: name.to_owned(),
            layout: layout.clone(),
            programs: programs.clone(),
            guard,
            proxy,
            ports,
            stop,
            state: Mutex::default(),
            runtime: tokio::sync::Mutex::default(),
        }
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begin to boot it, unless it is there or boots already.
    pub(super) fn want(self: &Arc<Self>, options: StartOptions) {
        let begins = self.state(|state| {
            let under_way = matches!(state.boot, Some(ClusterBoot::Starting(_)));
            let begins = state.there.is_none() && !under_way;
            if begins {
                state.boot = Some(ClusterBoot::Starting("etcd".to_owned()));
            }
            begins
        });
        if !begins {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.boot(&options).await {
                tracing::error!(code = error.code(), %error, "the plain cluster does not come up");
                this.state(|state| state.boot = Some(ClusterBoot::Failed(error.report())));
            } else {
                this.remember(options);
            }
        });
    }

    /// Boot it, and wait until it is usable. When the sandbox is told to stop meanwhile, it is not there and that is no error.
    pub(super) async fn boot(self: &Arc<Self>, options: &StartOptions) -> Result<(), SandboxError> {
        let mut runtime = self.runtime.lock().await;
        if runtime.is_some() {
            return Ok(());
        }
        let failed = CancellationToken::new();
        let booted = tokio::select! {
            booted = self.booted(options, failed.clone()) => booted,
            () = self.stop.cancelled() => return Ok(()),
        };
        let (api, booted) = booted?;
        let client = booted.client().clone();
        let watchers = booted.watchers();
        // From here on it is there to be ended.
        *runtime = Some(booted);
        self.step("nodes");
        let usable = async {
            nodes::ensure(&client, options.nodes, &options.instance_type).await?;
            wait_until_usable(&client, options.nodes).await
        };
        let usable = tokio::select! {
            usable = usable => usable,
            () = self.stop.cancelled() => return Ok(()),
        };
        if let Err(error) = usable {
            if let Some(ended) = runtime.take() {
                ended.stop().await;
            }
            return Err(error);
        }
        self.state(|state| {
            state.there = Some((api, options.clone(), watchers));
            state.boot = None;
        });
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = this.stop.cancelled() => {}
                () = failed.cancelled() => this.give_up().await,
            }
        });
        Ok(())
    }

    /// A component cannot be kept running: the cluster ends, and the sandbox goes on without.
    async fn give_up(&self) {
        let watchers = self.state(|state| state.there.take().map(|(_, _, watchers)| watchers));
        let components = watchers.iter().flatten().map(Watcher::status);
        if let Some(worst) = components.max_by_key(|component| component.restarts) {
            let log = self.layout.log(worst.program.file_name());
            let error = SandboxError::ComponentEnded {
                program: worst.program,
                exit_code: None,
                tail: files::tail(&log),
                log,
            };
            self.state(|state| state.boot = Some(ClusterBoot::Failed(error.report())));
        }
        if let Some(runtime) = self.runtime.lock().await.take() {
            runtime.stop().await;
        }
    }

    async fn booted(
        &self,
        options: &StartOptions,
        failed: CancellationToken,
    ) -> Result<(String, ClusterRuntime), SandboxError> {
        runtime::wait_for_predecessor(&self.name, &self.layout).await?;
        let listener = match options.api_port {
            Some(port) => listen(port)
                .await
                .map_err(|_| SandboxError::PortInUse { port })?,
            None => listen_at_best(self.ports.get().api).await?,
        };
        let api_port = port(&listener)?;
        self.ports.change(|ports| ports.api = api_port)?;
        let credentials = Credentials::prepare(&self.layout, &self.name)?;
        let api = format!("https://127.0.0.1:{api_port}");
        let context = format!("pipectl-sandbox-{}", self.name);
        credentials.user_kubeconfig(&self.layout.kubeconfig(), &context, &api)?;
        let cluster = Cluster {
            name: &self.name,
            layout: &self.layout,
            credentials,
            programs: &self.programs,
            guard: self.guard.clone(),
            flavour: Flavour::default(),
            api: Some(listener),
            proxy: Arc::clone(&self.proxy),
            failed,
            volumes: true,
        };
        let runtime = cluster.boot(&|step| self.step(step)).await?;
        Ok((api, runtime))
    }

    fn step(&self, step: &str) {
        self.state(|state| state.boot = Some(ClusterBoot::Starting(step.to_owned())));
    }

    /// The next start of the sandbox boots it along: somebody has its kubeconfig now.
    fn remember(&self, options: StartOptions) {
        let path = self.layout.options();
        let known = std::fs::read(&path).ok();
        let mut kept: StartOptions = known
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        kept.cluster = true;
        kept.nodes = options.nodes;
        kept.instance_type = options.instance_type;
        kept.api_port = options.api_port;
        let text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        if let Err(error) = files::write_private(&path, &text) {
            tracing::warn!(%error, "the next start will not know of the plain cluster");
        }
    }

    /// What it is like, when it is usable.
    pub(super) fn status(&self) -> Option<ClusterStatus> {
        let (api, options, watchers) = self.state(|state| state.there.clone())?;
        Some(ClusterStatus {
            api,
            nodes: options.nodes,
            instance_type: options.instance_type,
            components: watchers.iter().map(Watcher::status).collect(),
        })
    }

    /// How its boot goes, where it is not there.
    pub(super) fn boot_status(&self) -> Option<ClusterBoot> {
        self.state(|state| state.boot.clone())
    }

    /// End it, and wait until its processes are gone. Does nothing when it isn't there; call it when `stop` is cancelled.
    pub(super) async fn end(&self) {
        let runtime = self.runtime.lock().await.take();
        self.state(|state| state.there = None);
        if let Some(runtime) = runtime {
            runtime.stop().await;
        }
    }
}

async fn wait_until_usable(client: &kube::Client, count: u16) -> Result<(), SandboxError> {
    let since = Instant::now();
    loop {
        if nodes::usable(client, count)
            .await
            .map_err(SandboxError::cluster("read nodes"))?
        {
            return Ok(());
        }
        if since.elapsed() >= USABLE_LIMIT {
            return Err(SandboxError::NotReady {
                what: "the sandbox's nodes".to_owned(),
                waited: USABLE_LIMIT,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
