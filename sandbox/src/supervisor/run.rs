//! The life of a supervisor: listen, boot, simulate, wait, end everything.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartOptions;
use super::context::SandboxContext;
use super::control_plane::{Boot, ControlPlane};
use super::credentials::{Credentials, random_token};
use super::egress::EgressMap;
use super::egress_proxy::EgressProxy;
use super::{nodes, process};
use crate::control::{self, Control, Endpoint, Phase, SandboxStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout, Lock};
use crate::pki::Pki;
use crate::proxy::{Proxy, ProxyState};
use crate::tools::{Program, Programs};

/// How long the processes of a supervisor that died may take to follow it.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(20);
/// How long nodes and the first service account may take.
const USABLE_LIMIT: Duration = Duration::from_secs(60);
/// How long simulation and stand-ins may take to return.
const SIMULATION_GRACE: Duration = Duration::from_secs(2);

/// Ports that a sandbox had, to have again: what was handed out earlier stays right.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownPorts {
    api: u16,
    charts: u16,
}

/// What the control endpoint tells of.
struct Shared {
    phase: Mutex<Phase>,
    boot_ms: Mutex<Option<u64>>,
    plane: Mutex<Option<ControlPlane>>,
}

impl Shared {
    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

/// Run the sandbox until somebody stops it.
pub(super) async fn run(name: &str, layout: &Layout) -> Result<(), SandboxError> {
    let began = Instant::now();
    let _lock = Lock::take(&layout.supervisor_lock(), PREDECESSOR_LIMIT, || {}).await?;
    let options =
        std::fs::read(layout.options()).map_err(SandboxError::io("read", layout.options()))?;
    let options: StartOptions = serde_json::from_slice(&options).unwrap_or_default();
    options.check()?;
    let programs = Programs::installed()?.ok_or_else(|| SandboxError::BinariesIncomplete {
        directory: PathBuf::new(),
        missing: Program::ALL.to_vec(),
    })?;
    wait_for_predecessor(name, layout).await?;

    let known: KnownPorts = std::fs::read(layout.ports())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let api = match options.api_port {
        Some(port) => listen(port)
            .await
            .map_err(|_| SandboxError::PortInUse { port })?,
        None => listen_at_best(known.api).await?,
    };
    let charts = listen_at_best(known.charts).await?;
    let egress = listen_at_best(0).await?;
    let control = listen_at_best(0).await?;
    let (api_port, charts_port) = (port(&api)?, port(&charts)?);
    let ports = serde_json::to_vec(&KnownPorts {
        api: api_port,
        charts: charts_port,
    })
    .unwrap_or_default();
    files::write_private(&layout.ports(), &ports)?;

    let credentials = Credentials::prepare(layout, name)?;
    let api_url = format!("https://127.0.0.1:{api_port}");
    credentials.user_kubeconfig(
        &layout.kubeconfig(),
        &format!("pipectl-sandbox-{name}"),
        &api_url,
    )?;

    let stop = stop_on_signals()?;
    let servers = CancellationToken::new();
    let proxy_state = Arc::new(ProxyState::default());
    let shared = Arc::new(Shared {
        phase: Mutex::new(Phase::Starting("etcd".to_owned())),
        boot_ms: Mutex::new(None),
        plane: Mutex::new(None),
    });
    let endpoint = Endpoint {
        address: address(&control)?,
        token: random_token(),
        pid: std::process::id(),
    };
    let status = status_of(
        name,
        &options,
        &shared,
        api_url,
        format!("http://127.0.0.1:{charts_port}"),
    );
    let served = Arc::new(Control {
        token: endpoint.token.clone(),
        proxy: Arc::clone(&proxy_state),
        status: Box::new(status),
        stop: stop.clone(),
    });
    tokio::spawn(control::serve(served, control, servers.clone()));
    files::write_private(
        &layout.control(),
        &serde_json::to_vec(&endpoint).unwrap_or_default(),
    )?;

    let map = EgressMap::new();
    let egress_port = port(&egress)?;
    let egress_proxy = Arc::new(EgressProxy::new(map.clone(), &credentials.pki)?);
    tokio::spawn(Arc::clone(&egress_proxy).serve(egress, servers.clone()));

    let boot = Boot {
        layout,
        credentials: &credentials,
        programs: &programs,
        guard: guard(),
        egress: egress_port,
        failed: stop.clone(),
    };
    let phase = |step: &str| shared.set(Phase::Starting(step.to_owned()));
    let booted = tokio::select! {
        booted = boot.run(&phase) => booted.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let simulation = CancellationToken::new();
    let simulated = TaskTracker::new();
    let outcome = async {
        let Some(plane) = booted? else { return Ok(()) };
        egress_proxy.connect(plane.client.clone(), plane.ports.kubelet);
        let client = plane.client.clone();
        let api_target = plane.ports.api;
        // From here on the end of this function ends the control plane.
        *shared.plane.lock().unwrap_or_else(PoisonError::into_inner) = Some(plane);
        let identity = credentials
            .pki
            .server("sandbox-api", &["localhost", "127.0.0.1"])?;
        let proxy = Arc::new(Proxy::new(
            &credentials.pki,
            &identity,
            api_target,
            proxy_state,
        )?);
        tokio::spawn(proxy.serve(api, servers.clone()));
        let context = SandboxContext {
            client: client.clone(),
            ca_pem: credentials.pki.ca_pem().to_owned(),
            pki: Arc::new(Pki::load(
                name,
                credentials.pki.ca_pem(),
                credentials.pki.ca_key_pem(),
            )?),
            egress: map,
            shutdown: simulation.clone(),
            dir: layout.root.clone(),
        };
        simulated.spawn(crate::simulation::run(context.clone()));
        simulated.spawn(crate::standins::run(context));
        simulated.spawn(crate::charts::serve_with(
            charts,
            options.crds.clone(),
            simulation.clone(),
        ));
        shared.set(Phase::Starting("nodes".to_owned()));
        let usable = async {
            nodes::ensure(&client, options.nodes, &options.instance_type).await?;
            wait_until_usable(&client, options.nodes).await
        };
        tokio::select! {
            usable = usable => usable?,
            () = stop.cancelled() => return Ok(()),
        }
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        *shared
            .boot_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(took);
        shared.set(Phase::Running);
        tracing::info!(milliseconds = took, "sandbox is up");
        stop.cancelled().await;
        Ok(())
    }
    .await;

    shared.set(Phase::Stopping);
    tracing::info!("sandbox stops");
    // Simulation and stand-ins return while there still is an API server to take their last words.
    simulation.cancel();
    simulated.close();
    let _ = tokio::time::timeout(SIMULATION_GRACE, simulated.wait()).await;
    let plane = shared
        .plane
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(plane) = plane {
        plane.stop().await;
    }
    servers.cancel();
    files::remove_file(&layout.control())?;
    outcome
}

/// This program, as the guard of the components. On Linux by way of `/proc`, which still leads to it when the file was
/// replaced by a newer build.
fn guard() -> PathBuf {
    let by_proc = PathBuf::from("/proc/self/exe");
    if by_proc.exists() {
        by_proc
    } else {
        std::env::current_exe().unwrap_or(by_proc)
    }
}

fn status_of(
    name: &str,
    options: &StartOptions,
    shared: &Arc<Shared>,
    api: String,
    charts: String,
) -> impl Fn() -> SandboxStatus + Send + Sync + 'static {
    let (name, options, shared) = (name.to_owned(), options.clone(), Arc::clone(shared));
    let started_ms = jiff::Timestamp::now().as_millisecond();
    move || {
        let plane = shared.plane.lock().unwrap_or_else(PoisonError::into_inner);
        SandboxStatus {
            name: name.clone(),
            phase: shared
                .phase
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            pid: std::process::id(),
            kubernetes: Program::KubeApiserver.version().to_owned(),
            api: api.clone(),
            charts: charts.clone(),
            nodes: options.nodes,
            instance_type: options.instance_type.clone(),
            started_ms,
            boot_ms: *shared
                .boot_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            memory: process::memory_of(std::process::id()),
            components: plane.as_ref().map(ControlPlane::status).unwrap_or_default(),
        }
    }
}

/// Components of a supervisor that was killed end by themselves; until then their data is theirs.
async fn wait_for_predecessor(name: &str, layout: &Layout) -> Result<(), SandboxError> {
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

fn stop_on_signals() -> Result<CancellationToken, SandboxError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| SandboxError::Spawn {
        what: "signal handling".to_owned(),
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // The end of the terminal that started it is nothing to a sandbox.
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => cancel.cancel(),
                _ = interrupt.recv() => cancel.cancel(),
                _ = hangup.recv() => {}
            }
        }
    });
    Ok(stop)
}

async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// On this port, or when somebody else has it, on any free one.
async fn listen_at_best(port: u16) -> Result<TcpListener, SandboxError> {
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

fn address(listener: &TcpListener) -> Result<SocketAddr, SandboxError> {
    let address = listener.local_addr();
    address.map_err(|source| SandboxError::Spawn {
        what: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}

fn port(listener: &TcpListener) -> Result<u16, SandboxError> {
    address(listener).map(|address| address.port())
}
