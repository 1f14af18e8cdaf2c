//! One cluster as a whole: a control plane, the proxy in front of it, its way into the cluster, simulation and stand-ins.
//!
//! A supervisor has one of its own, and one more for each EKS cluster of its simulated AWS, each in a directory of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::components::Flavour;
use super::context::SandboxContext;
use super::control_plane::{Boot, ControlPlane};
use super::credentials::Credentials;
use super::egress::EgressMap;
use super::egress_proxy::EgressProxy;
use super::process::{self, Watcher};
use crate::error::SandboxError;
use crate::files::{self, Layout};
use crate::pki::Pki;
use crate::proxy::{Door, OpenDoor, Proxy, ProxyState};
use crate::tools::{Program, Programs};

/// How long the processes of a supervisor that died may take to follow it.
pub(super) const PREDECESSOR_LIMIT: Duration = Duration::from_secs(20);
/// How long simulation and stand-ins may take to return.
const SIMULATION_GRACE: Duration = Duration::from_secs(2);

/// A cluster that is to be booted.
pub(super) struct Cluster<'a> {
    /// Name of its authority.
    pub(super) name: &'a str,
    pub(super) layout: &'a Layout,
    pub(super) credentials: Credentials,
    pub(super) programs: &'a Programs,
    pub(super) guard: PathBuf,
    pub(super) flavour: Flavour,
    /// Where clients come in; nowhere when somebody else leads them here.
    pub(super) api: Option<TcpListener>,
    /// Counters and faults of its proxy.
    pub(super) proxy: Arc<ProxyState>,
    /// Cancelled when a component cannot be kept running.
    pub(super) failed: CancellationToken,
    /// Whether claims get volumes from the start; else somebody else sees to them.
    pub(super) volumes: bool,
}

/// A running cluster. [`ClusterRuntime::stop`] ends it in order; dropping it ends its processes.
pub(super) struct ClusterRuntime {
    plane: ControlPlane,
    simulation: CancellationToken,
    simulated: TaskTracker,
    servers: CancellationToken,
    /// What listens; its ports are free when it has returned.
    served: TaskTracker,
}

impl Cluster<'_> {
    /// Boot it; `phase` is told what is under way.
    pub(super) async fn boot(
        self,
        phase: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ClusterRuntime, SandboxError> {
        let servers = CancellationToken::new();
        let served = TaskTracker::new();
        // Dropped in the middle, what listens already ends, too.
        let ends_early = servers.clone().drop_guard();
        let credentials = self.credentials;
        let map = EgressMap::new();
        let egress = listen_at_best(0).await?;
        let egress_port = port(&egress)?;
        let egress_proxy = Arc::new(EgressProxy::new(map.clone(), &credentials.pki)?);
        served.spawn(Arc::clone(&egress_proxy).serve(egress, servers.clone()));
        let boot = Boot {
            layout: self.layout,
            credentials: &credentials,
            programs: self.programs,
            guard: self.guard,
            egress: egress_port,
            flavour: &self.flavour,
            failed: self.failed,
        };
        let plane = boot.run(phase).await?;
        egress_proxy.connect(plane.client.clone(), plane.ports.kubelet);
        let pki = &credentials.pki;
        if let Some(api) = self.api {
            let door = Arc::new(OpenDoor(plane.ports.api));
            let proxy = Arc::new(front(pki, door, self.proxy)?);
            served.spawn(proxy.serve(api, servers.clone()));
        }
        let simulation = CancellationToken::new();
        let context = SandboxContext {
            client: plane.client.clone(),
            ca_pem: pki.ca_pem().to_owned(),
            pki: Arc::new(Pki::load(self.name, pki.ca_pem(), pki.ca_key_pem())?),
            egress: map,
            shutdown: simulation.clone(),
            dir: self.layout.root.clone(),
        };
        let simulated = TaskTracker::new();
        if self.volumes {
            simulated.spawn(crate::simulation::run(context.clone()));
        }
        simulated.spawn(crate::standins::run(context));
        Ok(ClusterRuntime {
            plane,
            simulation,
            simulated,
            servers: ends_early.disarm(),
            served,
        })
    }
}

/// What clients see of a cluster.
pub(super) fn front(
    pki: &Pki,
    door: Arc<dyn Door>,
    state: Arc<ProxyState>,
) -> Result<Proxy, SandboxError> {
    let identity = pki.server("sandbox-api", &["localhost", "127.0.0.1"])?;
    Proxy::new(pki, &identity, door, state)
}

impl ClusterRuntime {
    /// Port of its API server.
    pub(super) fn api_port(&self) -> u16 {
        self.plane.ports.api
    }

    /// Administrator, straight to the API server.
    pub(super) fn client(&self) -> &kube::Client {
        &self.plane.client
    }

    /// Tell how its components are.
    pub(super) fn watchers(&self) -> Vec<Watcher> {
        self.plane.watchers()
    }

    /// Cancelled when it ends, while there still is an API server.
    pub(super) fn ends(&self) -> CancellationToken {
        self.simulation.clone()
    }

    /// Run something beside it that returns soon after [`Self::ends`].
    pub(super) fn spawn(&self, work: impl Future<Output = impl Send + 'static> + Send + 'static) {
        self.simulated.spawn(work);
    }

    /// End it, and wait until its processes are gone.
    pub(super) async fn stop(self) {
        // Simulation and stand-ins return while there still is an API server to take their last words.
        self.simulation.cancel();
        self.simulated.close();
        let _ = tokio::time::timeout(SIMULATION_GRACE, self.simulated.wait()).await;
        self.plane.stop().await;
        self.servers.cancel();
        self.served.close();
        let _ = tokio::time::timeout(SIMULATION_GRACE, self.served.wait()).await;
    }
}

/// Components of a supervisor that was killed end by themselves; until then their data is theirs.
pub(super) async fn wait_for_predecessor(name: &str, layout: &Layout) -> Result<(), SandboxError> {
    files::private_directory(&layout.logs())?;
    let since = Instant::now();
    while Program::ALL
        .iter()
        .any(|program| process::log_is_in_use(&layout.log(program.file_name())))
    {
        if since.elapsed() >= PREDECESSOR_LIMIT {
            return Err(SandboxError::StillRunning {
                name: name.to_owned(),
                waited: PREDECESSOR_LIMIT,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Program::ALL
        .iter()
        .try_for_each(|program| files::set_aside(&layout.log(program.file_name())))
}

pub(super) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// On this port, or when somebody else has it, on any free one.
pub(super) async fn listen_at_best(port: u16) -> Result<TcpListener, SandboxError> {
    if port != 0
        && let Ok(listener) = listen(port).await
    {
        return Ok(listener);
    }
    listen(0).await.map_err(|source| SandboxError::Spawn {
        what: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}

pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, SandboxError> {
    let address = listener.local_addr();
    address.map_err(|source| SandboxError::Spawn {
        what: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}

pub(super) fn port(listener: &TcpListener) -> Result<u16, SandboxError> {
    address(listener).map(|address| address.port())
}
