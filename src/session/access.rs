//! The way to where an environment lives: pipectl's own kubeconfig, the adapters, and the identity fence.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use pipectl_adapters::{
    helm::{HelmAdapter, HelmOptions},
    kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter, write_own_kubeconfig},
    secrets::LocalSecrets,
};
use pipectl_config::Loaded;
use pipectl_sandbox::SandboxSettings;
use pipectl_stages::{PortError, Ports, Step, ports::objects::ClusterIdentity};
use pipectl_state::{Environment, EnvironmentState, Fence, Redactor};
use tokio_util::sync::CancellationToken;

use super::{
    inspect::{Inspection, Seen},
    place::{Entrance, Place, pinned_identity},
};
use crate::{exit::Exit, failure::Failure};

/// How a command reaches the cluster of its environment.
pub struct Access {
    /// The cluster's adapter; changes are refused until it is pinned.
    pub kubernetes: Arc<KubernetesAdapter>,
    /// Who the cluster is, as it said at the connection.
    pub identity: ClusterIdentity,
    /// The context that was taken.
    entrance: Entrance,
    mirrors: BTreeMap<String, String>,
    helm: Option<PathBuf>,
    cancel: CancellationToken,
    /// Resolves each secret once for the whole command.
    secrets: LocalSecrets,
    /// Values that must never be written, and that no quoted word may show.
    pub redactor: Redactor,
}

/// The environment's own kubeconfig: `kubeconfig` in its directory.
#[must_use]
pub fn own_kubeconfig(environment: &Environment) -> PathBuf {
    environment.directory().join("kubeconfig")
}

impl Access {
    /// Goes to `place` and asks the cluster who it is. Nothing is written, and nothing ambient is consulted. A sandbox
    /// is reached by its settings like any cluster.
    ///
    /// # Errors
    /// When the cluster cannot be reached with what the kubeconfig says.
    pub async fn open(
        place: &Place,
        environment: &Environment,
        sandbox: Option<SandboxSettings>,
    ) -> Result<Self, Failure> {
        let mut mirrors = BTreeMap::new();
        let mut helm = None;
        let entrance = match (sandbox, place) {
            (Some(settings), _) => {
                mirrors.extend(settings.mirrors);
                helm = Some(settings.helm_binary);
                let cluster = settings.cluster.ok_or_else(|| {
                    Failure::problem(
                        Exit::Unavailable,
                        "CLI007",
                        "reach",
                        place.to_string(),
                        "the sandbox has no cluster of its own yet",
                    )
                    .hint("start it with one: pipectl sandbox start")
                })?;
                Entrance {
                    kubeconfig: cluster.kubeconfig,
                    context: Some(cluster.context),
                }
            }
            (None, Place::Existing(Some(entrance))) => entrance.clone(),
            (None, Place::Existing(None) | Place::Sandbox(_)) => Entrance {
                kubeconfig: own_kubeconfig(environment),
                context: None,
            },
        };
        let cancel = CancellationToken::new();
        let mut options = ConnectOptions::new(&entrance.kubeconfig);
        options.context.clone_from(&entrance.context);
        let redactor = Redactor::new();
        options.redactor = redactor.clone();
        let reached = async {
            let adapter = Kubernetes::connect(options).await?;
            let identity = pipectl_stages::ports::objects::ObjectApi::identity(&adapter).await?;
            Ok::<_, PortError>((adapter, identity))
        };
        let (adapter, identity) = reached.await.map_err(|error| unreached(error, place))?;
        Ok(Self {
            kubernetes: Arc::new(adapter),
            identity,
            entrance,
            mirrors,
            helm: std::env::var_os("PIPECTL_HELM")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or(helm),
            cancel,
            secrets: LocalSecrets::new(redactor.clone()),
            redactor,
        })
    }

    /// Checks the cluster against what the environment's record pins, before anything is changed.
    ///
    /// # Errors
    /// `FEN001` when it is another one.
    pub async fn fence(
        &self,
        place: &Place,
        state: Option<&EnvironmentState>,
    ) -> Result<(), Failure> {
        let expected = state
            .and_then(|state| pinned_identity(state.pins()))
            .unwrap_or_else(|| self.identity.clone());
        self.kubernetes.pin(expected).await.map_err(|error| {
            let name = state.map(|state| state.name().to_owned()).unwrap_or_default();
            let what = format!("environment {name} in {place}");
            match error.kind {
                pipectl_stages::PortErrorKind::Foreign => {
                    Failure::problem(Exit::Refused, "FEN001", "work on", what, error.cause).hint(format!(
                        "point pipectl at the cluster that {name} was brought up on; if that one is gone for good, drop the record: pipectl forget {name}"
                    ))
                }
                _ => Failure::port(error, "check the identity of the cluster of", what),
            }
        })
    }

    /// Writes the environment's own kubeconfig and answers its path. Called under the lease, after the fence.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_kubeconfig(&self, environment: &Environment) -> Result<PathBuf, Failure> {
        let own = own_kubeconfig(environment);
        if self.entrance.kubeconfig != own {
            write_own_kubeconfig(
                &self.entrance.kubeconfig,
                self.entrance.context.as_deref(),
                &own,
            )
            .map_err(|error| Failure::port(error, "write", own.display().to_string()))?;
        }
        Ok(own)
    }

    /// The ports for a run, with the pipeline's mirrors over the place's own, effects bounded by the lease where there
    /// is one.
    ///
    /// # Errors
    /// When this program or the cache directory cannot be found.
    pub fn ports(&self, loaded: Option<&Loaded>, fence: Option<Fence>) -> Result<Ports, Failure> {
        let guard = std::env::current_exe().map_err(|error| {
            Failure::problem(
                Exit::Unavailable,
                "CLI007",
                "find",
                "the pipectl program itself",
                error.to_string(),
            )
        })?;
        let mut options = HelmOptions::new(guard, cache_directory()?);
        if let Some(helm) = &self.helm {
            options.program.clone_from(helm);
        }
        options.mirrors.clone_from(&self.mirrors);
        for mirror in loaded
            .iter()
            .flat_map(|loaded| &loaded.pipeline.spec.mirrors.charts)
        {
            options
                .mirrors
                .insert(mirror.from.clone(), mirror.to.clone());
        }
        options.cancel = self.cancel.clone();
        options.deadline = fence.map(|fence| {
            let until: pipectl_adapters::EffectDeadline =
                Arc::new(move || pipectl_process::boot_time().saturating_add(fence.remaining()));
            self.kubernetes.fence_effects(until.clone());
            until
        });
        options.redactor = self.redactor.clone();
        Ok(Ports {
            objects: self.kubernetes.clone(),
            releases: Arc::new(HelmAdapter::new(self.kubernetes.clone(), options)),
            secrets: Arc::new(self.secrets.clone()),
            cloud: None,
        })
    }

    /// Keeps what looks like a secret in the pipeline out of the record and of quoted words.
    pub fn conceal(&self, loaded: &Loaded) {
        for (name, value) in loaded.literal_secrets() {
            self.redactor.register(name, value);
        }
    }

    /// Ends children under way.
    #[must_use]
    pub fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

/// Why the cluster was not reached: with a kubeconfig that is not right, the input is to blame and nothing was tried.
fn unreached(error: PortError, place: &Place) -> Failure {
    let of_kubeconfig = matches!(error.code.as_str(), "K8S001" | "K8S002" | "K8S003");
    let mut failure = Failure::port(error, "reach", place.to_string());
    if of_kubeconfig && let Failure::Problem(problem) = &mut failure {
        problem.exit = Exit::BadInput;
    }
    failure
}

/// Looks at an environment live, step by step, changing nothing.
///
/// # Errors
/// When another cluster answers than the environment's.
pub async fn look(
    access: &Access,
    place: &Place,
    state: &EnvironmentState,
    loaded: Option<&Loaded>,
    steps: &[Arc<dyn Step>],
) -> Result<Vec<Seen>, Failure> {
    access.fence(place, Some(state)).await?;
    let outputs = state
        .steps
        .iter()
        .map(|(id, step)| (id.clone(), step.outputs.clone()));
    let inspection = Inspection {
        environment: pipectl_stages::Environment {
            name: state.name().to_owned(),
            uid: state.uid().map(|uid| uid.to_string()).unwrap_or_default(),
        },
        ports: access.ports(loaded, None)?,
        outputs: outputs.filter(|(_, outputs)| !outputs.is_null()).collect(),
    };
    Ok(inspection.look(steps).await)
}

/// pipectl's cache: `$XDG_CACHE_HOME/pipectl`, else `~/.cache/pipectl`.
fn cache_directory() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path: &PathBuf| Path::is_absolute(path))
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("pipectl"))
        .ok_or_else(|| {
            Failure::problem(
                Exit::Unavailable,
                "CLI013",
                "find",
                "the cache directory",
                "neither XDG_CACHE_HOME nor HOME is set to an absolute path",
            )
            .hint("set one of them")
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_call_that_was_sent_under_the_lease_has_ended_when_the_next_holder_begins() {
        let attempt = pipectl_adapters::kubernetes::CallBounds::default().attempt;
        assert!(attempt <= pipectl_state::LeaseOptions::default().margin);
    }
}
