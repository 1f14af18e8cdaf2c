//! The life of a supervisor: listen, boot, simulate, wait, end everything.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::StartOptions;
use super::cloud::{CloudRuntime, Ground};
use super::credentials::random_token;
use super::own_cluster::OwnCluster;
use super::ports::Ports;
use super::process;
use super::runtime::{self, address, listen_at_best, port};
use crate::control::{self, ClusterBoot, Control, Endpoint, Phase, SandboxStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout, Lock};
use crate::proxy::ProxyState;
use crate::tools::{Program, Programs};

/// What the control endpoint tells of.
struct Shared {
    phase: Mutex<Phase>,
    boot_ms: OnceLock<u64>,
    cluster: Arc<OwnCluster>,
    cloud: OnceLock<CloudRuntime>,
}

impl Shared {
    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match (phase.clone(), self.cluster.boot_status()) {
            (Phase::Starting(_), Some(ClusterBoot::Starting(step))) => Phase::Starting(step),
            (phase, _) => phase,
        }
    }
}

/// Run the sandbox until somebody stops it.
pub(super) async fn run(name: &str, layout: &Layout) -> Result<(), SandboxError> {
    let began = Instant::now();
    let _lock = Lock::take(&layout.supervisor_lock(), runtime::PREDECESSOR_LIMIT, || {}).await?;
    let options =
        std::fs::read(layout.options()).map_err(SandboxError::io("read", layout.options()))?;
    let options: StartOptions = serde_json::from_slice(&options).unwrap_or_default();
    options.check()?;
    let programs = Programs::installed()?.ok_or_else(|| SandboxError::BinariesIncomplete {
        directory: PathBuf::new(),
        missing: Program::ALL.to_vec(),
    })?;

    let ports = Arc::new(Ports::of(layout));
    let known = ports.get();
    let charts = listen_at_best(known.charts).await?;
    let cloud = listen_at_best(known.aws).await?;
    let control = listen_at_best(0).await?;
    let (charts_port, aws_port) = (port(&charts)?, port(&cloud)?);
    ports.change(|ports| (ports.charts, ports.aws) = (charts_port, aws_port))?;
    files::write_private(&layout.aws_nothing(), b"")?;

    let stop = stop_on_signals()?;
    let servers = CancellationToken::new();
    let proxy = Arc::new(ProxyState::default());
    let cluster = Arc::new(OwnCluster::new(
        name,
        layout,
        &programs,
        guard(),
        Arc::clone(&proxy),
        ports,
        stop.clone(),
    ));
    let shared = Arc::new(Shared {
        phase: Mutex::new(Phase::Starting("simulated AWS".to_owned())),
        boot_ms: OnceLock::new(),
        cluster: Arc::clone(&cluster),
        cloud: OnceLock::new(),
    });
    let endpoint = Endpoint {
        address: address(&control)?,
        token: random_token(),
        pid: std::process::id(),
    };
    let status = status_of(name, &shared, format!("http://127.0.0.1:{charts_port}"));
    let served = Arc::new(Control {
        token: endpoint.token.clone(),
        proxy: Arc::clone(&proxy),
        status: Box::new(status),
        aws: Box::new({
            let shared = Arc::clone(&shared);
            move || shared.cloud.get().map(CloudRuntime::aws)
        }),
        want_cluster: Box::new({
            let cluster = Arc::clone(&cluster);
            move |options| cluster.want(options)
        }),
        stop: stop.clone(),
    });
    tokio::spawn(control::serve(served, control, servers.clone()));
    files::write_private(
        &layout.control(),
        &serde_json::to_vec(&endpoint).unwrap_or_default(),
    )?;
    tokio::spawn(crate::charts::serve_with(
        charts,
        options.crds.clone(),
        servers.clone(),
    ));

    let outcome = async {
        let ground = Ground {
            layout,
            programs: &programs,
            guard: guard(),
            proxy,
        };
        let started = CloudRuntime::start(&options.aws, ground, cloud).await?;
        // Set once, here.
        let _ = shared.cloud.set(started);
        if options.cluster {
            cluster.boot(&options).await?;
        }
        if !stop.is_cancelled() {
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let _ = shared.boot_ms.set(took);
            shared.set(Phase::Running);
            tracing::info!(milliseconds = took, "sandbox is up");
        }
        stop.cancelled().await;
        Ok(())
    }
    .await;

    shared.set(Phase::Stopping);
    tracing::info!("sandbox stops");
    // Whatever still boots gives up.
    stop.cancel();
    let clusters = async {
        if let Some(cloud) = shared.cloud.get() {
            cloud.stop().await;
        }
    };
    tokio::join!(clusters, cluster.end());
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
    shared: &Arc<Shared>,
    charts: String,
) -> impl Fn() -> SandboxStatus + Send + Sync + 'static {
    let (name, shared) = (name.to_owned(), Arc::clone(shared));
    let started_ms = jiff::Timestamp::now().as_millisecond();
    move || SandboxStatus {
        name: name.clone(),
        phase: shared.phase(),
        pid: std::process::id(),
        kubernetes: Program::KubeApiserver.version().to_owned(),
        charts: charts.clone(),
        started_ms,
        boot_ms: shared.boot_ms.get().copied(),
        memory: process::memory_of(std::process::id()),
        aws: shared.cloud.get().map(CloudRuntime::status),
        cluster: shared.cluster.status(),
        cluster_boot: shared.cluster.boot_status(),
        eks: shared
            .cloud
            .get()
            .map(CloudRuntime::planes)
            .unwrap_or_default(),
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
