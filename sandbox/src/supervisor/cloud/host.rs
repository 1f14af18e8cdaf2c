//! The control planes of EKS clusters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::super::components::Flavour;
use super::super::credentials::{Credentials, base64};
use super::super::process::Watcher;
use super::super::runtime::{self, Cluster, ClusterRuntime, listen_at_best, port};
use super::{access, balancers, nodes, volumes};
use crate::aws::{Aws, ClusterHost, ClusterView, PlaneAddress};
use crate::control::EksStatus;
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::proxy::ProxyState;
use crate::tools::Programs;

/// How often a cluster that does not come up is booted again before the next change of anything.
const ATTEMPTS: u32 = 3;

/// Boots, changes and ends them.
pub(super) struct EksHost {
    /// One directory for each cluster.
    root: PathBuf,
    programs: Programs,
    guard: PathBuf,
    /// Where tokens are looked up.
    webhook: SocketAddr,
    failed: CancellationToken,
    /// Counters and faults, the same for all clusters of the sandbox.
    proxy: Arc<ProxyState>,
    /// By the cluster's id.
    running: Mutex<BTreeMap<String, Running>>,
    /// By the cluster's id: what there is to tell of those that are up.
    shown: std::sync::Mutex<BTreeMap<String, (EksStatus, Vec<Watcher>)>>,
}

/// A control plane that is up.
struct Running {
    runtime: ClusterRuntime,
    layout: Layout,
    /// Cancelled when volumes are no longer made for claims.
    driver: Option<CancellationToken>,
    /// As it was made last.
    seen: Option<ClusterView>,
}

/// The port at which clients reach a cluster, to have it again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownPort {
    api: u16,
}

impl EksHost {
    pub(super) fn new(
        root: PathBuf,
        programs: Programs,
        guard: PathBuf,
        webhook: SocketAddr,
        failed: CancellationToken,
        proxy: Arc<ProxyState>,
    ) -> Self {
        Self {
            root,
            programs,
            guard,
            webhook,
            failed,
            proxy,
            running: Mutex::new(BTreeMap::new()),
            shown: std::sync::Mutex::default(),
        }
    }

    fn shown<T>(
        &self,
        look: impl FnOnce(&mut BTreeMap<String, (EksStatus, Vec<Watcher>)>) -> T,
    ) -> T {
        look(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The control planes that are up.
    pub(super) fn status(&self) -> Vec<EksStatus> {
        self.shown(|shown| {
            let with_components = |(status, watchers): &(EksStatus, Vec<Watcher>)| EksStatus {
                components: watchers.iter().map(Watcher::status).collect(),
                ..status.clone()
            };
            shown.values().map(with_components).collect()
        })
    }

    fn show(&self, view: &ClusterView, runtime: &ClusterRuntime) {
        let status = EksStatus {
            name: view.name.clone(),
            account: view.account.clone(),
            region: view.region.clone(),
            id: view.id.clone(),
            components: Vec::new(),
        };
        let watchers = runtime.watchers();
        self.shown(|shown| shown.insert(view.id.clone(), (status, watchers)));
    }

    fn layout(&self, view: &ClusterView) -> Layout {
        Layout {
            root: self.root.join(&view.id),
        }
    }

    async fn boot(
        &self,
        aws: &Arc<Aws>,
        view: &ClusterView,
    ) -> Result<(Running, PlaneAddress), SandboxError> {
        let layout = self.layout(view);
        files::private_directory(&layout.root)?;
        runtime::wait_for_predecessor(&view.name, &layout).await?;
        let credentials = Credentials::prepare(&layout, &view.name)?;
        let authority = base64(credentials.pki.ca_pem().as_bytes());
        let known: KnownPort = std::fs::read(layout.ports())
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let api = listen_at_best(known.api).await?;
        let api_port = port(&api)?;
        let text = serde_json::to_vec(&KnownPort { api: api_port }).unwrap_or_default();
        files::write_private(&layout.ports(), &text)?;
        let cluster = Cluster {
            name: &view.name,
            layout: &layout,
            credentials,
            programs: &self.programs,
            guard: self.guard.clone(),
            flavour: Flavour {
                service_range: view.service_range.clone(),
                issuer: view.issuer.clone(),
                token_webhook: Some(format!("http://{}/{}", self.webhook, view.id)),
            },
            api,
            proxy: Arc::clone(&self.proxy),
            failed: self.failed.clone(),
            volumes: false,
        };
        let runtime = cluster.boot(&|_| {}).await?;
        let (id, client) = (view.id.clone(), runtime.client().clone());
        runtime.spawn(balancers::run(Arc::clone(aws), id, client, runtime.ends()));
        access::prepare(runtime.client()).await?;
        let running = Running {
            runtime,
            layout,
            driver: None,
            seen: None,
        };
        let address = PlaneAddress {
            server: format!("https://127.0.0.1:{api_port}"),
            authority,
        };
        Ok((running, address))
    }

    /// Boot what is missing, side by side.
    async fn boot_missing(&self, aws: &Arc<Aws>, clusters: &[ClusterView]) {
        let missing: Vec<&ClusterView> = {
            let running = self.running.lock().await;
            let is_missing = |view: &&ClusterView| !running.contains_key(&view.id);
            clusters.iter().filter(is_missing).collect()
        };
        let boots = missing.into_iter().map(|view| async move {
            for attempt in 1..=ATTEMPTS {
                match self.boot(aws, view).await {
                    Ok((running, address)) => {
                        self.show(view, &running.runtime);
                        self.running.lock().await.insert(view.id.clone(), running);
                        aws.cluster_is_up(&view.id, address);
                        return;
                    }
                    Err(error) => {
                        tracing::error!(cluster = view.name, attempt, %error, "a control plane does not come up");
                    }
                }
            }
        });
        futures::future::join_all(boots).await;
    }

    /// End those whose cluster has gone, with their data.
    async fn end_gone(&self, clusters: &[ClusterView]) {
        let mut running = self.running.lock().await;
        let gone: Vec<String> = running
            .keys()
            .filter(|id| !clusters.iter().any(|view| &view.id == *id))
            .cloned()
            .collect();
        for id in gone {
            if let Some(ended) = running.remove(&id) {
                self.shown(|shown| shown.remove(&id));
                let root = ended.layout.root.clone();
                ended.end().await;
                forget(&root);
            }
        }
    }

    /// End all; their data stays.
    pub(super) async fn stop(&self) {
        let all = std::mem::take(&mut *self.running.lock().await);
        futures::future::join_all(all.into_values().map(Running::end)).await;
    }
}

fn forget(root: &Path) {
    if let Err(error) = std::fs::remove_dir_all(root) {
        tracing::warn!(%error, "the data of a cluster that has gone could not be removed");
    }
}

impl Running {
    async fn end(self) {
        if let Some(driver) = self.driver {
            driver.cancel();
        }
        self.runtime.stop().await;
    }

    /// Make nodes, bindings and the driver as they should be.
    async fn follow(&mut self, aws: &Arc<Aws>, view: &ClusterView) {
        let client = self.runtime.client();
        match (view.volumes, self.driver.take()) {
            (true, None) => {
                let driver = self.runtime.ends().child_token();
                let id = view.id.clone();
                let work = volumes::run(Arc::clone(aws), id, client.clone(), driver.clone());
                self.runtime.spawn(work);
                self.driver = Some(driver);
            }
            (true, driver) => self.driver = driver,
            (false, Some(driver)) => driver.cancel(),
            (false, None) => {}
        }
        if self.seen.as_ref() == Some(view) {
            return;
        }
        let made = async {
            nodes::ensure(client, view).await?;
            access::bind(client, view).await
        };
        match made.await {
            Ok(()) => self.seen = Some(view.clone()),
            Err(error) => {
                tracing::warn!(cluster = view.name, %error, "nodes or bindings could not be made");
            }
        }
    }
}

#[async_trait]
impl ClusterHost for EksHost {
    async fn reconcile(&self, aws: &Arc<Aws>, clusters: Vec<ClusterView>) {
        self.end_gone(&clusters).await;
        self.boot_missing(aws, &clusters).await;
        let mut running = self.running.lock().await;
        for view in &clusters {
            if let Some(running) = running.get_mut(&view.id) {
                running.follow(aws, view).await;
            }
        }
    }
}
