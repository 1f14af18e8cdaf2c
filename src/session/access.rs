//! The way to where an environment lives: a cluster that was there before, or an AWS account with the cluster that comes to be
//! in it; the adapters, and the identity fence.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use pipectl_adapters::{
    helm::{HelmAdapter, HelmOptions},
    kubernetes::write_own_kubeconfig,
    secrets::Secrets,
};
use pipectl_config::Loaded;
use pipectl_sandbox::SandboxSettings;
use pipectl_stages::{
    CloudDownOptions, CloudOptions, DownOptions, Pace, PortError, PortErrorKind, Ports, Removal,
    Step, UpOptions,
    account::inventory as account_inventory,
    inventory::{self, Inventory},
};
use pipectl_state::{Environment, EnvironmentState, Holder, Pins, Redactor};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    account::{Account, same_account},
    cluster::Cluster,
    environment::Begun,
    hold::{self, AccountLease, AtWork, Claimant, Verdict},
    inspect::{Inspection, Seen},
    place::{Entrance, Place, Region, pinned_identity},
};
use crate::{
    exit::Exit,
    failure::{Failure, Problem},
};

/// How a command reaches where its environment lives.
pub struct Access {
    /// Where that is, the account known by now.
    pub place: Place,
    way: Way,
    environment: Environment,
    mirrors: BTreeMap<String, String>,
    helm: Option<PathBuf>,
    cancel: CancellationToken,
    /// Where the kubeconfig of a look is, which leaves nothing behind.
    look: OnceLock<TempDir>,
    /// Resolves each secret once for the whole command.
    secrets: Secrets,
    /// Values that must never be written, and that no quoted word may show.
    pub redactor: Redactor,
}

/// What stands at the other end.
enum Way {
    /// A cluster that was there before.
    Cluster(Cluster),
    /// An AWS account, in which the cluster comes to be.
    Account(Account),
}

/// An environment that is there, whether or not anything is recorded of it here.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its UID.
    pub uid: Uuid,
    /// Since when it is there.
    pub created: String,
    /// Where its state is kept, as its record says.
    pub state: Option<String>,
    /// Who works on it, as its record says.
    pub at_work: Option<AtWork>,
}

/// The environment's own kubeconfig: `kubeconfig` in its directory.
#[must_use]
pub fn own_kubeconfig(environment: &Environment) -> PathBuf {
    environment.directory().join("kubeconfig")
}

impl Access {
    /// Goes to `place` and asks who is there: the cluster, or AWS for whom it takes us. Nothing is written, and nothing ambient
    /// is consulted but AWS's standard chain of credentials, where AWS is meant. A sandbox is reached by its settings like any
    /// cluster or account.
    ///
    /// # Errors
    /// When the cluster or the account cannot be reached, or is another than the one that was named.
    pub async fn open(
        place: &Place,
        environment: &Environment,
        sandbox: Option<SandboxSettings>,
    ) -> Result<Self, Failure> {
        let redactor = Redactor::new();
        let mut place = place.clone();
        let mut mirrors = BTreeMap::new();
        let mut helm = None;
        let (mut cluster, mut simulated) = (None, None);
        if let Some(settings) = sandbox {
            mirrors.extend(settings.mirrors);
            helm = Some(settings.helm_binary);
            cluster = settings.cluster;
            simulated = Some(settings.aws);
        }
        let way = match &mut place {
            Place::Eks(region) => {
                let account = Account::open(region, simulated).await?;
                *region = account.region.clone();
                Way::Account(account)
            }
            place => {
                let entrance = match (&*place, cluster) {
                    (_, Some(cluster)) => Entrance {
                        kubeconfig: cluster.kubeconfig,
                        context: Some(cluster.context),
                    },
                    (Place::Existing(Some(entrance)), None) => entrance.clone(),
                    _ => Entrance {
                        kubeconfig: own_kubeconfig(environment),
                        context: None,
                    },
                };
                Way::Cluster(Cluster::open(entrance, place, &redactor).await?)
            }
        };
        let mut secrets = Secrets::new(redactor.clone());
        if let Way::Account(account) = &way {
            secrets = secrets.with_manager(account.secrets_manager());
        }
        Ok(Self {
            place,
            way,
            environment: environment.clone(),
            mirrors,
            helm: std::env::var_os("PIPECTL_HELM")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or(helm),
            cancel: CancellationToken::new(),
            look: OnceLock::new(),
            secrets,
            redactor,
        })
    }

    /// Checks the cluster or the account against what the environment's record pins, before anything is changed.
    ///
    /// # Errors
    /// `FEN001` when it is another cluster, `FEN002` when it is another account.
    pub async fn fence(&self, state: Option<&EnvironmentState>) -> Result<(), Failure> {
        let place = &self.place;
        let name = self.environment.name();
        let what = format!("environment {name} in {place}");
        match &self.way {
            Way::Account(account) => {
                let pinned = state.and_then(|state| Place::pinned(state.pins()));
                if let Some(Place::Eks(Region {
                    account: Some(pinned),
                    ..
                })) = &pinned
                {
                    same_account(pinned, &account.caller, &what)?;
                }
                state.map_or(Ok(()), |state| place.check(state.pins(), name))
            }
            Way::Cluster(cluster) => {
                let expected = state
                    .and_then(|state| pinned_identity(state.pins()))
                    .unwrap_or_else(|| cluster.identity.clone());
                cluster.kubernetes.pin(expected).await.map_err(|error| match error.kind {
                    PortErrorKind::Foreign => {
                        Failure::problem(Exit::Refused, "FEN001", "work on", what, error.cause).hint(format!(
                            "point pipectl at the cluster that {name} was brought up on; if that one is gone for good, drop the record: pipectl forget {name}"
                        ))
                    }
                    _ => Failure::port(error, "check the identity of the cluster of", what),
                })
            }
        }
    }

    /// What is pinned when the environment begins to live here.
    #[must_use]
    pub fn pins(&self) -> Pins {
        self.place.pins(match &self.way {
            Way::Cluster(cluster) => Some(&cluster.identity),
            Way::Account(_) => None,
        })
    }

    /// The environment of this name that is there, by its record in the cluster or in the account.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn find(&self) -> Result<Option<Found>, Failure> {
        let name = self.environment.name();
        let found = match &self.way {
            Way::Account(account) => account.find(name).await,
            Way::Cluster(cluster) => cluster.find(name).await,
        };
        found.map_err(|error| self.not_looked_for(error))
    }

    /// UIDs of environments of this name that have left something here, by labels or tags alone.
    ///
    /// # Errors
    /// When nothing is found and not everything could be looked at: that is no proof that there is nothing.
    pub async fn remains(&self) -> Result<BTreeSet<String>, Failure> {
        let name = self.environment.name();
        let remains = match &self.way {
            Way::Account(account) => account.remains(name).await,
            Way::Cluster(cluster) => cluster.remains(name).await,
        };
        remains.map_err(|error| self.not_looked_for(error))
    }

    fn not_looked_for(&self, error: PortError) -> Failure {
        let name = self.environment.name();
        Failure::port(error, "look for", format!("environment {name}"))
    }

    /// Whether where it lives is still there, with its record: what it made would stay if it were forgotten.
    pub async fn is_alive(&self, state: &EnvironmentState) -> bool {
        if self.fence(Some(state)).await.is_err() {
            return false;
        }
        match (&self.way, state.uid()) {
            (Way::Account(account), Some(uid)) => account.holds(state.name(), uid).await,
            _ => true,
        }
    }

    /// Writes the environment's own kubeconfig where the cluster is there already; on AWS that is a step's work. Called under
    /// the lease, after the fence.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_kubeconfig(&self) -> Result<(), Failure> {
        let Way::Cluster(Cluster { entrance, .. }) = &self.way else {
            return Ok(());
        };
        let own = own_kubeconfig(&self.environment);
        if entrance.kubeconfig != own {
            write_own_kubeconfig(&entrance.kubeconfig, entrance.context.as_deref(), &own)
                .map_err(|error| Failure::port(error, "write", own.display().to_string()))?;
        }
        Ok(())
    }

    /// The ports for a look, with the pipeline's mirrors over the place's own. It writes nothing into the environment's directory,
    /// of which there may be none: it enters the cluster with a kubeconfig that goes with this access.
    ///
    /// # Errors
    /// When this program or the cache directory cannot be found, or there is no room for that kubeconfig.
    pub fn ports(&self, loaded: Option<&Loaded>) -> Result<Ports, Failure> {
        self.ports_until(loaded, None)
    }

    /// The ports for a run, whose effects are bounded by the lease of this machine; on AWS also by that in the account, which is
    /// taken before the first of them.
    ///
    /// # Errors
    /// As [`Access::ports`].
    pub fn ports_of_run(
        &self,
        loaded: Option<&Loaded>,
        begun: &Begun,
    ) -> Result<(Ports, Option<Arc<AccountLease>>), Failure> {
        let hold = match &self.way {
            Way::Account(account) => {
                let state = begun.journal.state();
                let run = begun.journal.run().map(|run| run.to_string());
                let owner = pipectl_stages::Environment {
                    name: self.environment.name().to_owned(),
                    uid: begun.uid.to_string(),
                };
                let claimant = claimant(run.unwrap_or_default(), Some(state));
                Some(AccountLease::new(account.records(), owner, claimant))
            }
            Way::Cluster(_) => None,
        };
        let (fence, in_account) = (begun.lease.fence(), hold.clone());
        let until: pipectl_adapters::EffectDeadline = Arc::new(move || {
            let here = pipectl_process::boot_time().saturating_add(fence.remaining());
            let there = in_account.as_ref().and_then(|hold| hold.deadline());
            there.map_or(here, |there| here.min(there))
        });
        let ports = self.ports_until(loaded, Some(until))?;
        Ok(match hold {
            Some(hold) => (hold.over(ports), Some(hold)),
            None => (ports, None),
        })
    }

    /// Refuses to begin while somebody else holds the environment of this UID in its account. Reads only.
    ///
    /// # Errors
    /// `STA020`, or when the account cannot be read.
    pub async fn is_not_held(
        &self,
        uid: Uuid,
        state: Option<&EnvironmentState>,
    ) -> Result<(), Failure> {
        let Way::Account(account) = &self.way else {
            return Ok(());
        };
        let name = self.environment.name();
        let seen = account.records().sight(name).await;
        let seen = seen.map_err(|error| self.not_looked_for(error))?;
        let Some(seen) = seen.filter(|seen| seen.anchor.uid == uid.to_string()) else {
            return Ok(());
        };
        match hold::judge(&seen, &claimant(String::new(), state)) {
            Verdict::Free => Ok(()),
            Verdict::Held { by, left } => Err(Failure::Problem(Box::new(Problem {
                exit: Exit::Held,
                error: hold::held(name, by.as_deref(), left),
            }))),
        }
    }

    /// Who works on the environment, as its record in the account says; `None` where nobody does, or it has none. Reads only.
    ///
    /// # Errors
    /// When the account cannot be read.
    pub async fn at_work(&self) -> Result<Option<AtWork>, Failure> {
        let Way::Account(account) = &self.way else {
            return Ok(None);
        };
        let seen = account.records().sight(self.environment.name()).await;
        let seen = seen.map_err(|error| self.not_looked_for(error))?;
        Ok(seen.and_then(|seen| AtWork::of(&seen)))
    }

    fn ports_until(
        &self,
        loaded: Option<&Loaded>,
        until: Option<pipectl_adapters::EffectDeadline>,
    ) -> Result<Ports, Failure> {
        let mut helm = self.helm_options(loaded)?;
        helm.deadline.clone_from(&until);
        let secrets = Arc::new(self.secrets.clone());
        match &self.way {
            Way::Account(account) => {
                let kubeconfig = match until {
                    Some(until) => {
                        account.fence_effects(until);
                        own_kubeconfig(&self.environment)
                    }
                    None => self.kubeconfig_of_a_look()?,
                };
                let gate = account.gate(&self.environment, kubeconfig, helm);
                Ok(Ports {
                    objects: gate.objects(),
                    releases: gate.releases(),
                    secrets,
                    cloud: Some(account.cloud(gate)),
                })
            }
            Way::Cluster(Cluster { kubernetes, .. }) => {
                if let Some(until) = until {
                    kubernetes.fence_effects(until);
                }
                Ok(Ports {
                    objects: kubernetes.clone(),
                    releases: Arc::new(HelmAdapter::new(kubernetes.clone(), helm)),
                    secrets,
                    cloud: None,
                })
            }
        }
    }

    fn kubeconfig_of_a_look(&self) -> Result<PathBuf, Failure> {
        let directory = match self.look.get() {
            Some(directory) => directory,
            None => {
                let made = tempfile::Builder::new().prefix("pipectl-").tempdir();
                let made = made.map_err(|error| {
                    let what = "a directory for a moment";
                    let cause = error.to_string();
                    Failure::problem(Exit::Unavailable, "CLI007", "make", what, cause)
                        .hint("see that TMPDIR can be written to")
                })?;
                self.look.get_or_init(|| made)
            }
        };
        Ok(directory.path().join("kubeconfig"))
    }

    fn helm_options(&self, loaded: Option<&Loaded>) -> Result<HelmOptions, Failure> {
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
        options.redactor = self.redactor.clone();
        Ok(options)
    }

    /// The steps that make a pipeline here.
    #[must_use]
    pub fn steps(&self, loaded: &Loaded, options: UpOptions) -> Vec<Arc<dyn Step>> {
        steps(&self.place, loaded, options, &self.cloud_options())
    }

    /// How fast the account's time runs; where there is no account, as fast as ours.
    #[must_use]
    pub fn pace(&self) -> Pace {
        match &self.way {
            Way::Account(account) => account.pace,
            Way::Cluster(_) => Pace::default(),
        }
    }

    fn cloud_options(&self) -> CloudOptions {
        let Way::Account(account) = &self.way else {
            return CloudOptions::default();
        };
        let host = Holder::current().host;
        let directory = self.environment.directory().display();
        CloudOptions {
            pace: account.pace,
            state_url: Some(format!("file://{host}{directory}")),
        }
    }

    /// Everything that is the environment's, as it is now. Reads only.
    pub async fn inventory(
        &self,
        ports: &Ports,
        owner: &pipectl_stages::Environment,
        state: Option<&EnvironmentState>,
        keep_data: bool,
    ) -> Inventory {
        match &self.way {
            Way::Account(_) => {
                let outputs = state.map(recorded_outputs).unwrap_or_default();
                account_inventory::look_around(ports, owner, outputs, keep_data).await
            }
            Way::Cluster(_) => inventory::take(ports, owner, &BTreeSet::new(), keep_data).await,
        }
    }

    /// The removals that take an environment away from here.
    #[must_use]
    pub fn removals(&self, keep_data: bool, before: Inventory) -> Vec<Arc<dyn Removal>> {
        match &self.way {
            Way::Account(account) => pipectl_stages::down_on_aws(&CloudDownOptions {
                pace: account.pace,
                keep_data,
                before,
            }),
            Way::Cluster(_) => pipectl_stages::down(&DownOptions { keep_data, before }),
        }
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

/// Who asks for the lease in the account: this process, with a run's id where it is one, and the runs that the environment's own
/// record knows.
fn claimant(run: String, state: Option<&EnvironmentState>) -> Claimant {
    let runs = state.iter().flat_map(|state| &state.runs);
    Claimant {
        holder: Holder::current(),
        run,
        earlier: runs.map(|run| run.id.to_string()).collect(),
    }
}

/// The steps that make a pipeline in a place.
#[must_use]
pub fn steps(
    place: &Place,
    loaded: &Loaded,
    options: UpOptions,
    cloud: &CloudOptions,
) -> Vec<Arc<dyn Step>> {
    match place {
        Place::Eks(_) => pipectl_stages::up_on_aws(loaded, options, cloud),
        Place::Sandbox(_) | Place::Existing(_) => pipectl_stages::up_with(loaded, options),
    }
}

/// What the environment's record says that its steps made.
#[must_use]
pub fn recorded_outputs(state: &EnvironmentState) -> BTreeMap<String, Value> {
    let outputs = state
        .steps
        .iter()
        .map(|(id, step)| (id.clone(), step.outputs.clone()));
    outputs.filter(|(_, outputs)| !outputs.is_null()).collect()
}

/// Looks at an environment live, step by step, changing nothing.
///
/// # Errors
/// When another cluster or account answers than the environment's.
pub async fn look(
    access: &Access,
    state: &EnvironmentState,
    loaded: Option<&Loaded>,
) -> Result<Vec<Seen>, Failure> {
    access.fence(Some(state)).await?;
    let steps = loaded.map(|loaded| access.steps(loaded, UpOptions::default()));
    let inspection = Inspection {
        environment: pipectl_stages::Environment {
            name: state.name().to_owned(),
            uid: state.uid().map(|uid| uid.to_string()).unwrap_or_default(),
        },
        ports: access.ports(loaded)?,
        outputs: recorded_outputs(state),
    };
    Ok(inspection.look(&steps.unwrap_or_default()).await)
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
        let margin = pipectl_state::LeaseOptions::default().margin;
        assert!(pipectl_adapters::kubernetes::CallBounds::default().attempt <= margin);
        assert!(pipectl_aws::CallBounds::default().attempt <= margin);
    }
}
