//! What other programs do with a sandbox: install, start, stop, ask, reset. Nothing here prints.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::aws::{self, AwsFaultRule, CallCount};
use crate::control::{ClusterBoot, ControlClient, Phase, SandboxStatus};
use crate::error::{Report, SandboxError};
use crate::files::{self, Layout, Lock};
use crate::proxy::counters::Count;
use crate::proxy::faults::FaultRule;
use crate::supervisor::process::{self, Survivor};
use crate::supervisor::{SUPERVISE, StartOptions};
use crate::tools::{self, InstallEvent, Program, Programs};

/// How long a start may take altogether; normally 5 s.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long a stop may take altogether; normally 1 s.
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// How long another process may be at starting or stopping the same sandbox.
const CHANGE_PATIENCE: Duration = Duration::from_secs(240);
/// How long processes may take to follow a supervisor that is gone before they are killed; etcd has 5 s for its data.
const SURVIVOR_GRACE: Duration = Duration::from_secs(8);
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

    /// Names for [`Sandbox::log_path`].
    #[must_use]
    pub fn log_names() -> Vec<&'static str> {
        let components = Program::ALL
            .into_iter()
            .filter(|program| *program != Program::Helm);
        components
            .map(Program::file_name)
            .chain(["supervisor"])
            .collect()
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

    /// Start it, and wait until it is usable. When it is already, it keeps the options that it has, and gets the plain cluster
    /// where `options` want one that is not there yet.
    ///
    /// # Errors
    /// When the components cannot be installed, a fixed port is taken, or the control plane does not come up.
    pub async fn start(
        &self,
        options: &StartOptions,
        progress: &(dyn Fn(StartEvent) + Send + Sync),
    ) -> Result<SandboxStatus, SandboxError> {
        if let Some(status) = self
            .status()
            .await?
            .filter(|status| status.phase == Phase::Running)
        {
            return self.with_cluster(status, options, progress).await;
        }
        options.check()?;
        self.install(&|event| progress(StartEvent::Install(event)))
            .await?;
        files::private_directory(&self.layout.root)?;
        let waiting = || progress(StartEvent::WaitingForAnother);
        let _lock = Lock::take(&self.layout.change_lock(), CHANGE_PATIENCE, waiting).await?;
        match self.status().await? {
            Some(status) if status.phase == Phase::Running => {
                return self.with_cluster(status, options, progress).await;
            }
            // Whoever started it is gone (we have the lock): it may still come up, or it ends.
            Some(_) => {
                let status = self.wait_until_running(None, progress).await?;
                return self.with_cluster(status, options, progress).await;
            }
            None => {}
        }
        let text = serde_json::to_vec_pretty(options).unwrap_or_default();
        files::write_private(&self.layout.options(), &text)?;
        files::remove_file(&self.layout.failure())?;
        files::remove_file(&self.layout.control())?;
        let supervisor = self.spawn_supervisor()?;
        self.wait_until_running(Some(supervisor), progress).await
    }

    async fn with_cluster(
        &self,
        status: SandboxStatus,
        options: &StartOptions,
        progress: &(dyn Fn(StartEvent) + Send + Sync),
    ) -> Result<SandboxStatus, SandboxError> {
        if options.cluster && status.cluster.is_none() {
            return self.ensure_cluster(options, progress).await;
        }
        Ok(status)
    }

    /// Boot the plain cluster of a running sandbox that has none, with nodes, instance type and port of `options`, and wait
    /// until it is usable; returns at once when it is there, as it is. Several may ask at once: one boot serves all. From then
    /// on it comes up whenever the sandbox is started with [`Sandbox::last_options`].
    ///
    /// # Errors
    /// When the sandbox isn't running, the options are out of range, or the cluster doesn't come up.
    pub async fn ensure_cluster(
        &self,
        options: &StartOptions,
        progress: &(dyn Fn(StartEvent) + Send + Sync),
    ) -> Result<SandboxStatus, SandboxError> {
        options.check()?;
        let control = self.control()?;
        self.ask(control.want_cluster(options).await)?;
        let since = Instant::now();
        let mut last = String::new();
        while since.elapsed() < START_LIMIT {
            let status = self.status().await?;
            let Some(status) = status.filter(|status| status.phase != Phase::Stopping) else {
                return Err(SandboxError::NotRunning {
                    name: self.name.clone(),
                });
            };
            match &status.cluster_boot {
                _ if status.cluster.is_some() => return Ok(status),
                Some(ClusterBoot::Failed(report)) => {
                    return Err(SandboxError::Supervisor(report.clone()));
                }
                Some(ClusterBoot::Starting(step)) if *step != last => {
                    progress(StartEvent::Step(step.clone()));
                    last.clone_from(step);
                }
                Some(ClusterBoot::Starting(_)) | None => {}
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(SandboxError::NotReady {
            what: format!("the plain cluster of sandbox {}", self.name),
            waited: START_LIMIT,
        })
    }

    fn spawn_supervisor(&self) -> Result<tokio::process::Child, SandboxError> {
        files::private_directory(&self.layout.logs())?;
        let path = self.layout.log("supervisor");
        files::set_aside(&path)?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path);
        let log = log.map_err(SandboxError::io("open", &path))?;
        let copy = log.try_clone().map_err(SandboxError::io("open", &path))?;
        tokio::process::Command::new(&self.program)
            .args(SUPERVISE)
            .arg("--name")
            .arg(&self.name)
            .arg("--directory")
            .arg(&self.layout.root)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(|source| SandboxError::Spawn {
                what: self.program.display().to_string(),
                source,
            })
    }

    async fn wait_until_running(
        &self,
        mut supervisor: Option<tokio::process::Child>,
        progress: &(dyn Fn(StartEvent) + Send + Sync),
    ) -> Result<SandboxStatus, SandboxError> {
        let since = Instant::now();
        let mut last = String::new();
        while since.elapsed() < START_LIMIT {
            let ended = match &mut supervisor {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => !Lock::is_held(&self.layout.supervisor_lock())?,
            };
            if ended {
                return Err(self.failure());
            }
            if let Some(client) = ControlClient::open(&self.layout)
                && let Ok(status) = client.status().await
            {
                match status.phase {
                    Phase::Running => return Ok(status),
                    Phase::Starting(step) if step != last => {
                        progress(StartEvent::Step(step.clone()));
                        last = step;
                    }
                    Phase::Starting(_) | Phase::Stopping => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(SandboxError::NotReady {
            what: format!("sandbox {}", self.name),
            waited: START_LIMIT,
        })
    }

    /// What the supervisor wrote down before it ended.
    fn failure(&self) -> SandboxError {
        let text = std::fs::read(self.layout.failure()).ok();
        let report: Option<Report> = text.and_then(|text| serde_json::from_slice(&text).ok());
        report.map_or_else(
            || SandboxError::ControlFailed {
                name: self.name.clone(),
                reason: format!("it ended; see {}", self.layout.log("supervisor").display()),
            },
            SandboxError::Supervisor,
        )
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

    /// Stop it, and wait until every process of it is gone. Tells whether it was running.
    ///
    /// # Errors
    /// When processes are still there in the end.
    pub async fn stop(&self) -> Result<bool, SandboxError> {
        self.stop_with(&|_| {}).await
    }

    /// As [`Sandbox::stop`]; tells of each process that did not end by itself and is killed.
    ///
    /// # Errors
    /// When processes are still there in the end.
    pub async fn stop_with(
        &self,
        killed: &(dyn Fn(&Survivor) + Send + Sync),
    ) -> Result<bool, SandboxError> {
        if !self.layout.root.exists() {
            return Ok(false);
        }
        let _lock = Lock::take(&self.layout.change_lock(), CHANGE_PATIENCE, || {}).await?;
        self.stop_locked(killed).await
    }

    async fn stop_locked(
        &self,
        told: &(dyn Fn(&Survivor) + Send + Sync),
    ) -> Result<bool, SandboxError> {
        let since = Instant::now();
        let mut was_running = false;
        let mut asked = false;
        let mut signalled = None;
        while Lock::is_held(&self.layout.supervisor_lock())? {
            was_running = true;
            let client = ControlClient::open(&self.layout);
            if !asked && let Some(client) = &client {
                asked = client.stop().await.is_ok();
            }
            // It holds the lock and wrote this number, so it is the supervisor's.
            let pid = client.and_then(|client| Pid::from_raw(client.pid().cast_signed()));
            let signal = match since.elapsed() {
                passed if passed >= SUPERVISOR_GRACE => Some(Signal::KILL),
                passed if passed >= Duration::from_secs(2) && !asked => Some(Signal::TERM),
                _ => None,
            };
            if let (Some(pid), Some(signal)) = (pid, signal)
                && signalled != Some(signal)
                && Lock::is_held(&self.layout.supervisor_lock())?
            {
                signalled = Some(signal);
                let _ = kill_process(pid, signal);
            }
            if since.elapsed() >= STOP_LIMIT {
                return Err(SandboxError::StillRunning {
                    name: self.name.clone(),
                    waited: STOP_LIMIT,
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        was_running |= self.end_survivors(since, told).await?;
        files::remove_file(&self.layout.control())?;
        Ok(was_running)
    }

    /// Components of a killed supervisor need a moment to follow it, those of its own cluster and of EKS clusters. Whatever does
    /// not is killed. Whether there were any.
    async fn end_survivors(
        &self,
        since: Instant,
        told: &(dyn Fn(&Survivor) + Send + Sync),
    ) -> Result<bool, SandboxError> {
        let gone = Instant::now();
        let mut were_there = false;
        let mut killed: Vec<u32> = Vec::new();
        while self.is_in_use() {
            were_there = true;
            if since.elapsed() >= STOP_LIMIT + SURVIVOR_GRACE {
                return Err(SandboxError::StillRunning {
                    name: self.name.clone(),
                    waited: since.elapsed(),
                });
            }
            if gone.elapsed() >= SURVIVOR_GRACE {
                for survivor in process::survivors(&self.layout.root) {
                    if killed.contains(&survivor.pid) {
                        continue;
                    }
                    told(&survivor);
                    if let Some(pid) = Pid::from_raw(survivor.pid.cast_signed()) {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                    killed.push(survivor.pid);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(were_there)
    }

    /// Whether a component of one of its clusters still lives.
    fn is_in_use(&self) -> bool {
        let clusters = std::fs::read_dir(self.layout.aws_clusters());
        let clusters = clusters.into_iter().flatten().flatten();
        let layouts = clusters.map(|entry| Layout { root: entry.path() });
        std::iter::once(self.layout.clone())
            .chain(layouts)
            .any(|layout| {
                Program::ALL
                    .iter()
                    .any(|program| process::log_is_in_use(&layout.log(program.file_name())))
            })
    }

    /// Forget everything that its clusters and its simulated AWS know; certificates, tokens, keys and ports stay. Stops it
    /// first; tells whether it was running.
    ///
    /// # Errors
    /// When it cannot be stopped or its data cannot be removed.
    pub async fn reset(&self) -> Result<bool, SandboxError> {
        if !self.layout.root.exists() {
            return Ok(false);
        }
        let _lock = Lock::take(&self.layout.change_lock(), CHANGE_PATIENCE, || {}).await?;
        let was_running = self.stop_locked(&|_| {}).await?;
        // The key of its accounts stays; its clusters have gone with the graph, and their control planes with the supervisor.
        match aws::empty(&self.layout.aws_graph()) {
            Ok(()) => remove_directory(&self.layout.aws_clusters())?,
            // Nothing can be read out of it: nothing of it is kept.
            Err(error) => {
                tracing::warn!(%error, "the graph of the simulated AWS is no use; it goes with its keys");
                remove_directory(&self.layout.aws())?;
            }
        }
        // What is not known to be worth keeping belongs to the cluster: etcd's data, helm's, and what stand-ins remember.
        let kept: Vec<PathBuf> = vec![
            self.layout.pki(),
            self.layout.logs(),
            self.layout.ports(),
            self.layout.options(),
            self.layout.aws(),
            self.layout.kubeconfig(),
            self.layout.change_lock(),
            self.layout.supervisor_lock(),
        ];
        let entries = std::fs::read_dir(&self.layout.root)
            .map_err(SandboxError::io("read", &self.layout.root))?;
        for path in entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !kept.contains(path))
        {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.map_err(SandboxError::io("remove", &path))?;
        }
        Ok(was_running)
    }

    /// What it was last started with, if it ever was.
    #[must_use]
    pub fn last_options(&self) -> Option<StartOptions> {
        serde_json::from_slice(&std::fs::read(self.layout.options()).ok()?).ok()
    }

    /// Requests of its users since the counters were last reset.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn counters(&self) -> Result<Vec<Count>, SandboxError> {
        self.ask(self.control()?.counters().await)
    }

    /// Count from zero.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn reset_counters(&self) -> Result<(), SandboxError> {
        self.ask(self.control()?.reset_counters().await)
    }

    /// The fault plan, with how often each rule struck.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn faults(&self) -> Result<Vec<FaultRule>, SandboxError> {
        self.ask(self.control()?.faults().await)
    }

    /// Replace the fault plan; an empty one ends all faults.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn set_faults(&self, rules: &[FaultRule]) -> Result<(), SandboxError> {
        self.ask(self.control()?.set_faults(rules).await)
    }

    /// The raw graph of its simulated AWS, for audits; `{}` when there is nothing in any account.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn inspect_aws(&self) -> Result<serde_json::Value, SandboxError> {
        self.ask(self.control()?.inspect_aws().await)
    }

    /// Calls of its simulated AWS since they were last counted from zero, by client.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn aws_calls(&self) -> Result<Vec<CallCount>, SandboxError> {
        self.ask(self.control()?.aws_calls().await)
    }

    /// Count the calls of its simulated AWS from zero.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn reset_aws_calls(&self) -> Result<(), SandboxError> {
        self.ask(self.control()?.reset_aws_calls().await)
    }

    /// The fault plan of its simulated AWS, with how often each rule struck.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn aws_faults(&self) -> Result<Vec<AwsFaultRule>, SandboxError> {
        self.ask(self.control()?.aws_faults().await)
    }

    /// Replace the fault plan of its simulated AWS; an empty one ends all its faults.
    ///
    /// # Errors
    /// When it isn't running.
    pub async fn set_aws_faults(&self, rules: &[AwsFaultRule]) -> Result<(), SandboxError> {
        self.ask(self.control()?.set_aws_faults(rules).await)
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

/// Remove a directory that may not be there.
fn remove_directory(path: &Path) -> Result<(), SandboxError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SandboxError::io("remove", path)(error))
        }
        _ => Ok(()),
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
    }
}
