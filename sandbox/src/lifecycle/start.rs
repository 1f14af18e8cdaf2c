//! Starting a sandbox, with its own cluster or without.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{CHANGE_PATIENCE, Sandbox, StartEvent};
use crate::control::{ClusterBoot, ControlClient, Phase, SandboxStatus};
use crate::error::{Report, SandboxError};
use crate::files::{self, Lock};
use crate::supervisor::{SUPERVISE, StartOptions};

/// How long a start may take altogether; normally 5 s.
const START_LIMIT: Duration = Duration::from_secs(180);

impl Sandbox {
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
}
