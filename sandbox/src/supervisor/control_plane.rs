//! Boots the real control plane: etcd, API server, then everything that needs them.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::config::{AuthInfo, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use pipectl_process::GuardedChild;
use tokio_util::sync::CancellationToken;

use super::components::{Components, Flavour, Ports};
use super::credentials::Credentials;
use super::process::{Recipe, Running, Watcher};
use crate::error::SandboxError;
use crate::files::Layout;
use crate::tools::{Program, Programs};

/// How long etcd may take until it accepts connections; normally 0.2 s.
const ETCD_LIMIT: Duration = Duration::from_secs(30);
/// How long the API server may take until it is ready; normally 2 s.
const API_LIMIT: Duration = Duration::from_secs(90);
/// How often ports are chosen anew when a component doesn't come up: between choosing a port and using it, another
/// process may take it.
const ATTEMPTS: u32 = 3;

/// A running control plane.
pub(crate) struct ControlPlane {
    pub(crate) ports: Ports,
    /// Administrator, straight to the API server.
    pub(crate) client: kube::Client,
    components: Vec<Running>,
}

/// What a boot needs.
pub(crate) struct Boot<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) credentials: &'a Credentials,
    pub(crate) programs: &'a Programs,
    pub(crate) guard: PathBuf,
    /// Port of the egress proxy, which listens already.
    pub(crate) egress: u16,
    pub(crate) flavour: &'a Flavour,
    /// Cancelled when a component cannot be kept running.
    pub(crate) failed: CancellationToken,
}

/// A free port, free at this moment at least.
fn free_port() -> Result<u16, SandboxError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port());
    port.map_err(|source| SandboxError::Spawn {
        what: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl Boot<'_> {
    pub(crate) async fn run(
        &self,
        phase: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ControlPlane, SandboxError> {
        let mut attempt = 1;
        loop {
            let ports = Ports {
                etcd: free_port()?,
                api: free_port()?,
                kubelet: free_port()?,
                egress: self.egress,
            };
            match self.attempt(ports, phase).await {
                // Ended with its ports free, it has another reason, and would end again.
                Err(SandboxError::ComponentEnded { program, .. })
                    if attempt < ATTEMPTS && !(is_free(ports.etcd) && is_free(ports.api)) =>
                {
                    tracing::warn!(%program, attempt, "somebody else took its port; once more with others");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        &self,
        ports: Ports,
        phase: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ControlPlane, SandboxError> {
        let mut started = Vec::new();
        match self.sequence(ports, &mut started, phase).await {
            Ok(client) => {
                let keep = |(recipe, child)| Running::keep(recipe, child, self.failed.clone());
                Ok(ControlPlane {
                    ports,
                    client,
                    components: started.into_iter().map(keep).collect(),
                })
            }
            Err(error) => {
                // Another attempt would find their locks and their ports taken.
                let ends = started.iter_mut().rev().map(|(_, child)| child.terminate());
                futures::future::join_all(ends).await;
                Err(error)
            }
        }
    }

    async fn sequence(
        &self,
        ports: Ports,
        started: &mut Vec<(Recipe, GuardedChild)>,
        phase: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<kube::Client, SandboxError> {
        let components = Components {
            layout: self.layout,
            credentials: self.credentials,
            ports,
            flavour: self.flavour,
        };
        let start = |program: Program| -> Result<(Recipe, GuardedChild), SandboxError> {
            let recipe = Recipe {
                program,
                guard: self.guard.clone(),
                executable: self.programs.path(program),
                arguments: components.arguments(program)?,
                log: self.layout.log(program.file_name()),
            };
            let child = recipe.spawn()?;
            Ok((recipe, child))
        };
        phase("etcd");
        started.push(start(Program::Etcd)?);
        wait_until(started, "etcd", ETCD_LIMIT, || async move {
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, ports.etcd))
                .await
                .is_ok()
        })
        .await?;
        phase("API server");
        started.push(start(Program::KubeApiserver)?);
        let client = self.client(&components.server()).await?;
        wait_until(started, "the API server", API_LIMIT, || async {
            is_ready(&client).await
        })
        .await?;
        phase("controllers, scheduler and simulated kubelets");
        super::nodes::release(&client).await?;
        for program in [
            Program::KubeControllerManager,
            Program::KubeScheduler,
            Program::Kwok,
        ] {
            started.push(start(program)?);
        }
        Ok(client)
    }

    async fn client(&self, server: &str) -> Result<kube::Client, SandboxError> {
        let context = "direct".to_owned();
        let authority = super::credentials::base64(self.credentials.pki.ca_pem().as_bytes());
        let config = Kubeconfig {
            clusters: vec![NamedCluster {
                name: context.clone(),
                cluster: Some(kube::config::Cluster {
                    server: Some(server.to_owned()),
                    certificate_authority_data: Some(authority),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: context.clone(),
                auth_info: Some(AuthInfo {
                    token: Some(self.credentials.tokens.supervisor.clone().into()),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            contexts: vec![NamedContext {
                name: context.clone(),
                context: Some(kube::config::Context {
                    cluster: context.clone(),
                    user: Some(context.clone()),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            current_context: Some(context),
            ..Default::default()
        };
        let unusable = |reason: String| SandboxError::InvalidSetting {
            setting: "kubeconfig",
            reason,
        };
        let config = kube::Config::from_custom_kubeconfig(
            config,
            &kube::config::KubeConfigOptions::default(),
        )
        .await
        .map_err(|error| unusable(error.to_string()))?;
        kube::Client::try_from(config).map_err(SandboxError::cluster("prepare a client"))
    }
}

async fn is_ready(client: &kube::Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return false;
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), client.request_text(request)).await;
    matches!(answer, Ok(Ok(_)))
}

/// Asks until the answer is yes; ends early when a component that was started is gone.
async fn wait_until<F, Fut>(
    started: &mut [(Recipe, GuardedChild)],
    what: &str,
    limit: Duration,
    ask: F,
) -> Result<(), SandboxError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let since = Instant::now();
    loop {
        if ask().await {
            return Ok(());
        }
        for (recipe, child) in started.iter_mut() {
            // Reaps a dead one without waiting for a living one.
            if let Ok(ended) = tokio::time::timeout(Duration::ZERO, child.wait()).await {
                return Err(recipe.ended(ended.ok().and_then(|ended| ended.code())));
            }
        }
        if since.elapsed() >= limit {
            return Err(SandboxError::NotReady {
                what: what.to_owned(),
                waited: limit,
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl ControlPlane {
    pub(crate) fn watchers(&self) -> Vec<Watcher> {
        self.components.iter().map(Running::watcher).collect()
    }

    /// End everything, what depends on others first, and wait until it is gone.
    pub(crate) async fn stop(self) {
        let mut components = self.components;
        let store = components.len().min(2);
        // etcd and API server are the first two: the API server can flush nothing without etcd.
        let rest = components.split_off(store);
        futures::future::join_all(rest.into_iter().map(Running::stop)).await;
        while let Some(component) = components.pop() {
            component.stop().await;
        }
    }
}
