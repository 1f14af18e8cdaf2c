//! One running component: a guarded process with a log, started again when it dies.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pipectl_process::{GuardedChild, GuardedCommand, SpawnError};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::SandboxError;
use crate::files;
use crate::tools::Program;

/// How long etcd has to end before it is killed: it holds the data.
const STORE_GRACE: Duration = Duration::from_secs(5);
/// How long everything else has. It holds nothing, and the API server would wait for its clients' watches to end.
const GRACE: Duration = Duration::from_secs(1);
/// How often a component that dies is started again before its cluster is given up.
const RESTARTS: u32 = 5;
/// A component that ran this long has recovered: its deaths are counted anew.
const RECOVERED: Duration = Duration::from_secs(60);

/// A component as `status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Which program.
    pub program: Program,
    /// Its version, as the sandbox builds it.
    pub version: String,
    /// Process id of its guard; the component is the guard's only child.
    pub guard_pid: Option<u32>,
    /// How often it died and was started again.
    pub restarts: u32,
    /// Resident memory in bytes, where the system tells.
    pub memory: Option<u64>,
}

/// A process of a sandbox whose supervisor is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// The program, or the guard of one.
    pub program: String,
    /// Its process id.
    pub pid: u32,
}

/// Components and guards that name something in that directory on their command lines, from Linux' /proc; none elsewhere. Others'
/// processes that do, an editor for instance, are none.
pub(crate) fn survivors(root: &Path) -> Vec<Survivor> {
    // With its end: another sandbox's name may begin like it.
    let root = format!("{}/", root.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_root = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split('\0');
        let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
        let first = name(words.next()?);
        let is_guard = words.next() == Some(pipectl_process::GUARD_SUBCOMMAND);
        let mut known = Program::ALL.iter().map(|program| program.file_name());
        let is_component = known.any(|program| program == first);
        ((is_guard || is_component) && line.contains(&root)).then(|| Survivor {
            program: if is_guard {
                "the guard of a component".to_owned()
            } else {
                first
            },
            pid,
        })
    };
    pids.filter_map(of_root).collect()
}

/// How to start a component.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) program: Program,
    pub(crate) guard: PathBuf,
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) log: PathBuf,
}

impl Recipe {
    pub(crate) fn spawn(&self) -> Result<GuardedChild, SandboxError> {
        let log = open_log(&self.log)?;
        let copy = log
            .try_clone()
            .map_err(SandboxError::io("open", &self.log))?;
        let mut command = GuardedCommand::new(&self.guard, &self.executable)
            .args(&self.arguments)
            // Nothing of the user's environment decides how the sandbox behaves: proxies, GODEBUG, ETCD_ settings.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .grace(if self.program == Program::Etcd {
                STORE_GRACE
            } else {
                GRACE
            })
            .stdout(log)
            .stderr(copy);
        if matches!(
            self.program,
            Program::KubeApiserver | Program::KubeControllerManager
        ) {
            // Garbage is collected somewhat earlier than by default: a laptop's memory counts more than its cycles.
            command = command.env("GOGC", "75");
        }
        command.spawn().map_err(|error| match error {
            SpawnError::ProgramNotFound { program } => SandboxError::Spawn {
                what: program.display().to_string(),
                source: std::io::Error::from(std::io::ErrorKind::NotFound),
            },
            SpawnError::Guard { source, .. } => SandboxError::Spawn {
                what: self.program.to_string(),
                source,
            },
        })
    }

    pub(crate) fn ended(&self, exit_code: Option<i32>) -> SandboxError {
        SandboxError::ComponentEnded {
            program: self.program,
            exit_code,
            log: self.log.clone(),
            tail: files::tail(&self.log),
        }
    }
}

/// Opens a component's log and locks it, shared. The lock belongs to the open file, which guard and component inherit as
/// their output: as long as one of them lives, it is held, whatever happened to the supervisor.
fn open_log(path: &Path) -> Result<File, SandboxError> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    let file = file.map_err(SandboxError::io("open", path))?;
    file.lock_shared().map_err(SandboxError::io("lock", path))?;
    Ok(file)
}

/// Whether a process of this sandbox still writes to the log.
pub(crate) fn log_is_in_use(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Tells how a component is, without holding it.
#[derive(Clone, Debug)]
pub(crate) struct Watcher(Arc<Mutex<ComponentStatus>>);

impl Watcher {
    pub(crate) fn status(&self) -> ComponentStatus {
        let mut status = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        status.memory = status.guard_pid.and_then(memory_of_child);
        status
    }
}

/// A component that is kept running until it is told to end.
#[derive(Debug)]
pub(crate) struct Running {
    status: Arc<Mutex<ComponentStatus>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Take care of a child that was just started: when it dies, start it again; when it keeps dying, cancel `failed`.
    pub(crate) fn keep(recipe: Recipe, child: GuardedChild, failed: CancellationToken) -> Self {
        let status = Arc::new(Mutex::new(ComponentStatus {
            program: recipe.program,
            version: recipe.program.version().to_owned(),
            guard_pid: child.id(),
            restarts: 0,
            memory: None,
        }));
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(
            recipe,
            child,
            Arc::clone(&status),
            stop.clone(),
            failed,
        ));
        Self { status, stop, task }
    }

    pub(crate) fn watcher(&self) -> Watcher {
        Watcher(Arc::clone(&self.status))
    }

    /// End the component and wait until it is gone.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // The task ends within the grace and the guard's margin; its panic would have ended the component, too.
        let _ = self.task.await;
    }
}

async fn watch(
    recipe: Recipe,
    mut child: GuardedChild,
    status: Arc<Mutex<ComponentStatus>>,
    stop: CancellationToken,
    failed: CancellationToken,
) {
    let mut deaths = 0;
    loop {
        let since = tokio::time::Instant::now();
        tokio::select! {
            () = stop.cancelled() => {
                if let Err(error) = child.terminate().await {
                    tracing::error!(program = %recipe.program, %error, "component did not end");
                }
                return;
            }
            ended = child.wait() => {
                let code = ended.ok().and_then(|ended| ended.code());
                tracing::warn!(program = %recipe.program, ?code, "component ended by itself");
            }
        }
        deaths = if since.elapsed() >= RECOVERED {
            1
        } else {
            deaths + 1
        };
        loop {
            if deaths > RESTARTS {
                tracing::error!(program = %recipe.program, "component keeps ending; its cluster stops");
                failed.cancel();
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            match recipe.spawn() {
                Ok(again) => {
                    child = again;
                    break;
                }
                Err(error) => {
                    tracing::error!(program = %recipe.program, %error, "component cannot be started again");
                    deaths += 1;
                }
            }
        }
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        status.restarts += 1;
        status.guard_pid = child.id();
    }
}

/// Resident memory of the only child of a guard, in bytes, from Linux' /proc; nothing elsewhere.
fn memory_of_child(guard: u32) -> Option<u64> {
    let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).ok()?;
    let child: u32 = children.split_whitespace().next()?.parse().ok()?;
    memory_of(child)
}

/// Resident memory of a process, in bytes, from Linux' /proc; nothing elsewhere.
pub(crate) fn memory_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_in_use_as_long_as_somebody_has_it_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etcd.log");
        assert!(!log_is_in_use(&path));
        let log = open_log(&path).unwrap();
        let copy = log.try_clone().unwrap();
        drop(log);
        assert!(log_is_in_use(&path));
        drop(copy);
        assert!(!log_is_in_use(&path));
    }
}
