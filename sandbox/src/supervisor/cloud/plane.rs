//! The control plane of one EKS cluster: its front is always open, what is behind it boots when it is needed and sleeps when
//! nobody has come for a while.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::components::Flavour;
use super::super::credentials::{Credentials, base64};
use super::super::process::Watcher;
use super::super::runtime::{self, Cluster, ClusterRuntime, front, listen_at_best, port};
use super::{access, balancers, nodes, volumes};
use crate::aws::{Aws, ClusterView, PlaneAddress};
use crate::control::EksStatus;
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::proxy::{Door, ProxyState};
use crate::tools::Programs;

/// How often a control plane that does not come up is booted again before somebody has to ask for it anew.
const ATTEMPTS: u32 = 3;
/// How long after a first failure nodes and bindings are tried again; twice as long after each further one in a row.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest such pause: a control plane that cannot come up is not booted all the time.
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// What all control planes share.
pub(super) struct Shared {
    pub(super) programs: Programs,
    pub(super) guard: PathBuf,
    /// Where tokens are looked up.
    pub(super) webhook: SocketAddr,
    /// Counters and faults, the same for all clusters of the sandbox.
    pub(super) proxy: Arc<ProxyState>,
    /// How long without a client until one sleeps.
    pub(super) idle: Duration,
}

/// One cluster's.
pub(super) struct Plane {
    shared: Arc<Shared>,
    aws: Arc<Aws>,
    layout: Layout,
    /// Where clients come in.
    address: PlaneAddress,
    view: watch::Sender<ClusterView>,
    /// Held while it boots, changes or ends.
    running: tokio::sync::Mutex<State>,
    /// The API server's port; 0 while it sleeps.
    port: AtomicU16,
    clients: Clients,
    /// What there is to tell while it is awake.
    shown: Mutex<Vec<Watcher>>,
    /// Cancelled when it is to end.
    ends: CancellationToken,
    /// Cancelled when the front closes.
    front: CancellationToken,
}

/// Who is connected.
#[derive(Default)]
struct Clients {
    now: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Clients {
    /// Somebody is or was here just now.
    fn seen(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

enum State {
    Asleep {
        /// As it was when it went to sleep.
        made: Option<Box<ClusterView>>,
    },
    Awake(Box<Running>),
    Ended,
}

/// What runs while it is awake.
struct Running {
    runtime: ClusterRuntime,
    /// Cancelled when a component cannot be kept running.
    failed: CancellationToken,
    /// Cancelled when volumes are no longer made for claims.
    driver: Option<CancellationToken>,
    /// As it was made last.
    made: Option<ClusterView>,
}

/// The port at which clients reach a cluster, to have it again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownPort {
    api: u16,
}

impl Plane {
    /// Open the front of a cluster's control plane in that directory, and see to what is behind it from now on.
    pub(super) async fn open(
        shared: Arc<Shared>,
        aws: Arc<Aws>,
        layout: Layout,
        view: ClusterView,
    ) -> Result<Arc<Self>, SandboxError> {
        files::private_directory(&layout.root)?;
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
        // One that was up before has seen everything until the sandbox stopped.
        let made = view.plane.as_ref().map(|_| Box::new(view.clone()));
        let address = PlaneAddress {
            server: format!("https://127.0.0.1:{api_port}"),
            authority,
        };
        let moved = view.plane.as_ref().is_some_and(|plane| *plane != address);
        let plane = Arc::new(Self {
            aws,
            layout,
            address,
            view: watch::Sender::new(view),
            running: tokio::sync::Mutex::new(State::Asleep { made }),
            port: AtomicU16::new(0),
            clients: Clients::default(),
            shown: Mutex::default(),
            ends: CancellationToken::new(),
            front: CancellationToken::new(),
            shared,
        });
        let door: Arc<dyn Door> = Arc::clone(&plane) as _;
        let proxy = front(&credentials.pki, door, Arc::clone(&plane.shared.proxy))?;
        tokio::spawn(Arc::new(proxy).serve(api, plane.front.clone()));
        if moved {
            plane.report();
        }
        tokio::spawn(Arc::clone(&plane).live());
        Ok(plane)
    }

    fn report(&self) {
        let id = self.view.borrow().id.clone();
        self.aws.cluster_is_up(&id, self.address.clone());
    }

    /// The cluster should be like that.
    pub(super) fn follow(&self, view: ClusterView) {
        self.view.send_if_modified(|known| {
            let changes = *known != view;
            *known = view;
            changes
        });
    }

    /// What there is to tell of it.
    pub(super) fn status(&self) -> EksStatus {
        let view = self.view.borrow();
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        EksStatus {
            name: view.name.clone(),
            account: view.account.clone(),
            region: view.region.clone(),
            id: view.id.clone(),
            components: shown.iter().map(Watcher::status).collect(),
        }
    }

    /// See to it until it ends.
    async fn live(self: Arc<Self>) {
        let mut views = self.view.subscribe();
        views.mark_changed();
        // Consecutive failures to make it so.
        let mut failures = 0;
        let look =
            (self.shared.idle / 8).clamp(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            let pause = match failures {
                0 => look,
                many => again_after(many),
            };
            tokio::select! {
                () = self.ends.cancelled() => return,
                changed = views.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    failures = self.make_again(failures).await;
                }
                () = tokio::time::sleep(pause) => {
                    if failures > 0 {
                        failures = self.make_again(failures).await;
                    }
                    self.rest().await;
                }
            }
        }
    }

    /// Makes it, and counts on the failures in a row.
    async fn make_again(&self, failures: u32) -> u32 {
        if self.make().await { 0 } else { failures + 1 }
    }

    /// Make it as it should be; a sleeping one is woken when something has changed. Whether that is done.
    async fn make(&self) -> bool {
        let view = self.view.borrow().clone();
        let mut state = self.running.lock().await;
        if let State::Asleep { made } = &*state
            && made.as_deref().is_some_and(|made| is_like(made, &view))
        {
            return true;
        }
        match self.awake(&mut state).await {
            Some(running) => running.follow(&self.aws, &view).await,
            None => matches!(*state, State::Ended),
        }
    }

    /// What runs, booted where it sleeps; nothing when it has ended or does not come up.
    async fn awake<'a>(&self, state: &'a mut State) -> Option<&'a mut Running> {
        if let State::Asleep { .. } = state {
            for attempt in 1..=ATTEMPTS {
                let booted = tokio::select! {
                    booted = self.boot() => booted,
                    () = self.ends.cancelled() => return None,
                };
                match booted {
                    Ok(running) => {
                        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                        *shown = running.runtime.watchers();
                        self.clients.seen();
                        self.port
                            .store(running.runtime.api_port(), Ordering::SeqCst);
                        *state = State::Awake(Box::new(running));
                        break;
                    }
                    Err(error) => {
                        let cluster = self.view.borrow().name.clone();
                        tracing::error!(cluster, attempt, %error, "a control plane does not come up");
                    }
                }
            }
            if matches!(state, State::Awake(_)) && self.view.borrow().plane.is_none() {
                self.report();
            }
        }
        match state {
            State::Awake(running) => Some(running),
            State::Asleep { .. } | State::Ended => None,
        }
    }

    async fn boot(&self) -> Result<Running, SandboxError> {
        let view = self.view.borrow().clone();
        runtime::wait_for_predecessor(&view.name, &self.layout).await?;
        let failed = CancellationToken::new();
        let cluster = Cluster {
            name: &view.name,
            layout: &self.layout,
            credentials: Credentials::prepare(&self.layout, &view.name)?,
            programs: &self.shared.programs,
            guard: self.shared.guard.clone(),
            flavour: Flavour {
                service_range: view.service_range.clone(),
                issuer: view.issuer.clone(),
                token_webhook: Some(format!("http://{}/{}", self.shared.webhook, view.id)),
            },
            api: None,
            proxy: Arc::clone(&self.shared.proxy),
            failed: failed.clone(),
            volumes: false,
        };
        let runtime = cluster.boot(&|_| {}).await?;
        access::prepare(runtime.client()).await?;
        let (aws, client) = (Arc::clone(&self.aws), runtime.client().clone());
        runtime.spawn(balancers::run(aws, view.id, client, runtime.ends()));
        Ok(Running {
            runtime,
            failed,
            driver: None,
            made: None,
        })
    }

    /// Sleep when nobody has come for a while, or when a component could not be kept running.
    async fn rest(&self) {
        // Who boots or changes it needs it.
        let Ok(mut state) = self.running.try_lock() else {
            return;
        };
        let State::Awake(running) = &*state else {
            return;
        };
        let failed = running.failed.is_cancelled();
        let made = running.made.as_ref().filter(|_| !failed).cloned();
        // One that is not yet as it should be is in use.
        if !failed && (made.is_none() || !self.is_idle()) {
            return;
        }
        // A client that comes now finds no port and waits for the lock, or is seen here.
        let port = self.port.swap(0, Ordering::SeqCst);
        if !failed && !self.is_idle() {
            self.port.store(port, Ordering::SeqCst);
            return;
        }
        let cluster = self.view.borrow().name.clone();
        tracing::info!(cluster, failed, "a control plane goes to sleep");
        let made = made.map(Box::new);
        let before = std::mem::replace(&mut *state, State::Asleep { made });
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        if let State::Awake(running) = before {
            running.end().await;
        }
    }

    fn is_idle(&self) -> bool {
        let last = self
            .clients
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let recent = last.is_some_and(|last| last.elapsed() < self.shared.idle);
        self.clients.now.load(Ordering::SeqCst) == 0 && !recent
    }

    /// End it, and wait until its processes are gone; its data stays unless it is to be forgotten.
    pub(super) async fn end(&self, forget: bool) {
        self.ends.cancel();
        let before = std::mem::replace(&mut *self.running.lock().await, State::Ended);
        self.port.store(0, Ordering::SeqCst);
        if let State::Awake(running) = before {
            running.end().await;
        }
        if forget && let Err(error) = std::fs::remove_dir_all(&self.layout.root) {
            tracing::warn!(%error, "the data of a cluster that has gone could not be removed");
        }
        self.front.cancel();
    }
}

/// The pause after this many failures in a row.
fn again_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    AGAIN.saturating_mul(1 << doublings).min(AGAIN_AT_MOST)
}

/// Whether nothing inside has to change; where the front is does not matter.
fn is_like(made: &ClusterView, wanted: &ClusterView) -> bool {
    let inside = |view: &ClusterView| ClusterView {
        plane: None,
        ..view.clone()
    };
    inside(made) == inside(wanted)
}

#[async_trait]
impl Door for Plane {
    async fn port(&self) -> Option<u16> {
        let port = self.port.load(Ordering::SeqCst);
        if port != 0 {
            return Some(port);
        }
        let mut state = self.running.lock().await;
        let running = self.awake(&mut state).await?;
        let port = running.runtime.api_port();
        let view = self.view.borrow().clone();
        running.follow(&self.aws, &view).await;
        Some(port)
    }

    fn came(&self) {
        self.clients.now.fetch_add(1, Ordering::SeqCst);
    }

    fn went(&self) {
        self.clients.seen();
        self.clients.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Running {
    async fn end(self) {
        if let Some(driver) = self.driver {
            driver.cancel();
        }
        self.runtime.stop().await;
    }

    /// Make nodes, bindings and the driver as they should be; whether that is done.
    async fn follow(&mut self, aws: &Arc<Aws>, view: &ClusterView) -> bool {
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
        if self.made.as_ref().is_some_and(|made| is_like(made, view)) {
            return true;
        }
        let made = async {
            nodes::ensure(client, view).await?;
            access::bind(client, view).await
        };
        match made.await {
            Ok(()) => {
                self.made = Some(view.clone());
                true
            }
            Err(error) => {
                tracing::warn!(cluster = view.name, %error, "nodes or bindings could not be made");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(again_after(1), AGAIN);
        assert_eq!(again_after(2), AGAIN * 2);
        assert_eq!(again_after(100), AGAIN_AT_MOST);
    }
}
