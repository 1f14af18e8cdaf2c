//! What other programs do with a sandbox: install, start, stop, ask, reset. Nothing here prints.

mod ask;
mod start;
mod stop;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::control::{ControlClient, SandboxStatus};
use crate::error::SandboxError;
use crate::files::{self, Layout, Lock};
use crate::supervisor::StartOptions;
use crate::tools::{self, InstallEvent, Program, Programs};

/// How long another process may be at starting or stopping the same sandbox.
const CHANGE_PATIENCE: Duration = Duration::from_secs(240);
/// How long a supervisor may take to end by itself before it is killed.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(20);

/// Progress of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartEvent {
    /// The components are being prepared.
    Install(InstallEvent),
    /// Another process starts or stops this sandbox; we wait for it.
    WaitingForAnother,
    /// The supervisor is busy with this step.
    Step(String),
}

/// A sandbox, running or not.
#[derive(Clone, Debug)]
pub struct Sandbox {
    name: String,
    layout: Layout,
    program: PathBuf,
}

impl Sandbox {
    /// The sandbox of this name under the user's state directory; nothing is created. `program` is the pipectl executable,
    /// which becomes supervisor and guard (see [`crate::supervise`] and `pipectl_process::run_guard`).
    ///
    /// # Errors
    /// When the name is none, or there is no state directory.
    pub fn open(name: &str, program: &Path) -> Result<Self, SandboxError> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || name.len() > 40 || !name.chars().all(letters) || name.ends_with('-') {
            return Err(SandboxError::InvalidName {
                name: name.to_owned(),
            });
        }
        let root = files::state_home()?.join("sandbox").join(name);
        Ok(Self::in_directory(name, root, program))
    }

    /// A sandbox with a directory of the caller's choice, which must be an absolute path.
    #[must_use]
    pub fn in_directory(name: &str, root: PathBuf, program: &Path) -> Self {
        Self {
            name: name.to_owned(),
            layout: Layout { root },
            program: program.to_owned(),
        }
    }

    /// Names of all sandboxes that this user has, running or not, sorted.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn list() -> Result<Vec<String>, SandboxError> {
        let directory = files::state_home()?.join("sandbox");
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(SandboxError::io("read", &directory))?,
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The kubeconfig for its users; there once it was started.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The log of a component (`etcd`, `kube-apiserver`, ..., `supervisor`), or `None` when there is no component of
    /// that name. The file may not exist yet.
    #[must_use]
    pub fn log_path(&self, component: &str) -> Option<PathBuf> {
        Self::log_names()
            .contains(&component)
            .then(|| self.layout.log(component))
    }

    /// The log of a component of an EKS cluster, by the cluster's id (see [`EksStatus::id`](crate::EksStatus)), or `None` when
    /// no cluster has a component of that name.
    #[must_use]
    pub fn eks_log_path(&self, cluster: &str, component: &str) -> Option<PathBuf> {
        Self::component_names()
            .any(|name| name == component)
            .then(|| {
                let root = self.layout.aws_clusters().join(cluster);
                Layout { root }.log(component)
            })
    }

    /// Names for [`Sandbox::log_path`].
    #[must_use]
    pub fn log_names() -> Vec<&'static str> {
        Self::component_names().chain(["supervisor"]).collect()
    }

    /// The programs of a control plane.
    fn component_names() -> impl Iterator<Item = &'static str> {
        let programs = Program::ALL.into_iter();
        programs
            .filter(|program| *program != Program::Helm)
            .map(Program::file_name)
    }

    /// Build the components where they aren't there yet.
    ///
    /// # Errors
    /// See [`tools::install`].
    pub async fn install(
        &self,
        progress: &(dyn Fn(InstallEvent) + Send + Sync),
    ) -> Result<Programs, SandboxError> {
        tools::install(&self.program, progress).await
    }

    /// What it is like now, or `None` when it isn't running. A supervisor that is gone without a word counts as such.
    ///
    /// # Errors
    /// When a supervisor lives but doesn't answer.
    pub async fn status(&self) -> Result<Option<SandboxStatus>, SandboxError> {
        if !Lock::is_held(&self.layout.supervisor_lock())? {
            return Ok(None);
        }
        // Between taking its lock and listening a supervisor needs some milliseconds, and so it does when it ends.
        let since = Instant::now();
        loop {
            let answer = match ControlClient::open(&self.layout) {
                Some(client) => client.status().await,
                None => Err("it has not said where it listens".to_owned()),
            };
            match answer {
                Ok(status) => return Ok(Some(status)),
                Err(_) if !Lock::is_held(&self.layout.supervisor_lock())? => return Ok(None),
                Err(reason) if since.elapsed() > SUPERVISOR_GRACE => {
                    return Err(SandboxError::ControlFailed {
                        name: self.name.clone(),
                        reason,
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }

    /// What it was last started with, if it ever was.
    #[must_use]
    pub fn last_options(&self) -> Option<StartOptions> {
        serde_json::from_slice(&std::fs::read(self.layout.options()).ok()?).ok()
    }

    fn control(&self) -> Result<ControlClient, SandboxError> {
        let held = Lock::is_held(&self.layout.supervisor_lock())?;
        let client = if held {
            ControlClient::open(&self.layout)
        } else {
            None
        };
        client.ok_or_else(|| SandboxError::NotRunning {
            name: self.name.clone(),
        })
    }

    fn ask<T>(&self, answer: Result<T, String>) -> Result<T, SandboxError> {
        answer.map_err(|reason| SandboxError::ControlFailed {
            name: self.name.clone(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for bad in ["", "../x", "a/b", "A", "1a", "a-", "a.b", &"a".repeat(41)] {
            let error = Sandbox::open(bad, Path::new("/bin/true")).unwrap_err();
            assert!(matches!(error, SandboxError::InvalidName { .. }), "{bad}");
        }
    }

    #[test]
    fn logs_are_known_by_name_only() {
        let layout = Layout {
            root: "/nowhere".into(),
        };
        let sandbox = Sandbox {
            name: "a".to_owned(),
            layout,
            program: "/bin/true".into(),
        };
        assert!(sandbox.log_path("etcd").is_some());
        assert_eq!(sandbox.log_path("../pki/tokens"), None);
        assert!(sandbox.eks_log_path("c-1", "etcd").is_some());
        assert_eq!(sandbox.eks_log_path("c-1", "supervisor"), None);
    }
}
