//! The life of a supervisor: listen, boot, simulate, wait, end everything.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::StartOptions;
use super::cloud::CloudRuntime;
use super::components::Flavour;
use super::credentials::{Credentials, random_token};
use super::runtime::{self, Cluster, ClusterRuntime, address, listen, listen_at_best, port};
use super::{nodes, process};
use crate::aws::Aws;
use crate::control::{self, AwsStatus, Control, Endpoint, Phase, SandboxStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout, Lock};
use crate::proxy::ProxyState;
use crate::tools::{Program, Programs};

/// How long nodes and the first service account may take.
const USABLE_LIMIT: Duration = Duration::from_secs(60);

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
    plane: Mutex<Option<ClusterRuntime>>,
    aws: Mutex<Option<(AwsStatus, Arc<Aws>)>>,
}

impl Shared {
    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
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
    runtime::wait_for_predecessor(name, layout).await?;

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
        aws: Mutex::new(None),
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
        inspect_aws: Box::new({
            let shared = Arc::clone(&shared);
            move || {
                let aws = shared.aws.lock().unwrap_or_else(PoisonError::into_inner);
                aws.as_ref()
                    .map_or_else(|| serde_json::json!({}), |(_, aws)| aws.inspect())
            }
        }),
        stop: stop.clone(),
    });
    tokio::spawn(control::serve(served, control, servers.clone()));
    files::write_private(
        &layout.control(),
        &serde_json::to_vec(&endpoint).unwrap_or_default(),
    )?;

    let phase = |step: &str| shared.set(Phase::Starting(step.to_owned()));
    let boot = Cluster {
        name,
        layout,
        credentials,
        programs: &programs,
        guard: guard(),
        flavour: Flavour::default(),
        api,
        proxy: Arc::clone(&proxy_state),
        failed: stop.clone(),
        volumes: true,
    };
    let booted = tokio::select! {
        booted = boot.boot(&phase) => booted.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let mut cloud: Option<CloudRuntime> = None;
    let outcome = async {
        let Some(runtime) = booted? else {
            return Ok(());
        };
        let client = runtime.client().clone();
        runtime.spawn(crate::charts::serve_with(
            charts,
            options.crds.clone(),
            runtime.ends(),
        ));
        // From here on the end of this function ends the control plane.
        *shared.plane.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        shared.set(Phase::Starting("nodes".to_owned()));
        let usable = async {
            nodes::ensure(&client, options.nodes, &options.instance_type).await?;
            wait_until_usable(&client, options.nodes).await
        };
        tokio::select! {
            usable = usable => usable?,
            () = stop.cancelled() => return Ok(()),
        }
        if let Some(aws) = &options.aws {
            shared.set(Phase::Starting("simulated AWS".to_owned()));
            let started =
                CloudRuntime::start(aws, layout, &programs, guard(), stop.clone(), proxy_state)
                    .await?;
            *shared.aws.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((started.status(), started.aws()));
            cloud = Some(started);
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
    if let Some(cloud) = cloud {
        cloud.stop().await;
    }
    let runtime = shared
        .plane
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(runtime) = runtime {
        runtime.stop().await;
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
            aws: shared
                .aws
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(|(status, _)| status.clone()),
            components: plane
                .as_ref()
                .map(ClusterRuntime::status)
                .unwrap_or_default(),
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
