//! Stopping and emptying a sandbox.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{CHANGE_PATIENCE, SUPERVISOR_GRACE, Sandbox};
use crate::aws;
use crate::control::ControlClient;
use crate::error::SandboxError;
use crate::files::{self, Layout, Lock};
use crate::supervisor::process::{self, Survivor};
use crate::tools::Program;

/// How long a stop may take altogether; normally 1 s.
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// How long processes may take to follow a supervisor that is gone before they are killed; etcd has 5 s for its data.
const SURVIVOR_GRACE: Duration = Duration::from_secs(8);

impl Sandbox {
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
