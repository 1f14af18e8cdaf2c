//! Where the sandbox keeps its files, and how it writes them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::SandboxError;

/// The user's cache directory for pipectl: `$XDG_CACHE_HOME/pipectl`, by default `~/.cache/pipectl`.
///
/// # Errors
/// When neither variable is set.
pub fn cache_home() -> Result<PathBuf, SandboxError> {
    home("XDG_CACHE_HOME", ".cache")
}

/// The user's state directory for pipectl: `$XDG_STATE_HOME/pipectl`, by default `~/.local/state/pipectl`.
///
/// # Errors
/// When neither variable is set.
pub fn state_home() -> Result<PathBuf, SandboxError> {
    home("XDG_STATE_HOME", ".local/state")
}

fn home(variable: &'static str, fallback: &str) -> Result<PathBuf, SandboxError> {
    // The XDG base directory specification says that a relative path is to be ignored.
    let named = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = named.or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(Path::new(&home).join(fallback))
    });
    Ok(base
        .ok_or(SandboxError::NoHome { variable })?
        .join("pipectl"))
}

/// The files of one sandbox.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The sandbox's directory.
    pub root: PathBuf,
}

impl Layout {
    /// Certificates and keys.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// Configuration of the components, written anew at each start.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }

    /// Data of etcd: everything that the cluster knows.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// Logs, one file a component.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of one component, or of the supervisor.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The kubeconfig for users of the sandbox.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Home of helm for users of the sandbox.
    #[must_use]
    pub fn helm_home(&self) -> PathBuf {
        self.root.join("helm")
    }

    /// Where the running supervisor listens, and its token.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.root.join("control.json")
    }

    /// The simulated AWS: its graph, and a directory for each of its clusters.
    #[must_use]
    pub fn aws(&self) -> PathBuf {
        self.root.join("aws")
    }

    /// What the simulated AWS knows.
    #[must_use]
    pub fn aws_graph(&self) -> PathBuf {
        self.aws().join("graph.json")
    }

    /// A directory for each cluster of the simulated AWS.
    #[must_use]
    pub fn aws_clusters(&self) -> PathBuf {
        self.aws().join("clusters")
    }

    /// An empty file: configuration and credentials of AWS tools that are to know nothing but the environment.
    #[must_use]
    pub fn aws_nothing(&self) -> PathBuf {
        self.root.join("aws-empty")
    }

    /// What the sandbox was last started with.
    #[must_use]
    pub fn options(&self) -> PathBuf {
        self.root.join("options.json")
    }

    /// Ports that it had, to have them again.
    #[must_use]
    pub fn ports(&self) -> PathBuf {
        self.root.join("ports.json")
    }

    /// Why the supervisor ended, when it did not come up.
    #[must_use]
    pub fn failure(&self) -> PathBuf {
        self.root.join("failure.json")
    }

    /// Held while somebody starts, stops or resets the sandbox.
    #[must_use]
    pub fn change_lock(&self) -> PathBuf {
        self.root.join("change.lock")
    }

    /// Held by the supervisor as long as it lives.
    #[must_use]
    pub fn supervisor_lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }
}

/// Make a directory that only its owner can enter, with its parents.
pub(crate) fn private_directory(path: &Path) -> Result<(), SandboxError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(SandboxError::io("create", path))
}

/// Replace a file's content in one step: readers see the old or the new. Only the owner can read it.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), SandboxError> {
    let temporary = path.with_extension(format!("tmp-{}", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|error| {
        // The half-written file is nobody's.
        let _ = fs::remove_file(&temporary);
        SandboxError::io("write", path)(error)
    })
}

/// Remove a file that may not be there.
pub(crate) fn remove_file(path: &Path) -> Result<(), SandboxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SandboxError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Keep the log of the run before under another name, and no older ones: logs don't grow for ever.
pub(crate) fn set_aside(log: &Path) -> Result<(), SandboxError> {
    match fs::rename(log, log.with_extension("log.old")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(SandboxError::io("rename", log)(error))
        }
        _ => Ok(()),
    }
}

/// The last lines of a log, about as much as a person reads.
pub(crate) fn tail(path: &Path) -> String {
    const KEEP: u64 = 2_000;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(KEEP)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = if length > KEEP {
            text.split_once('\n').map_or("", |(_, rest)| rest)
        } else {
            &text
        };
        Ok(whole.trim_end().to_owned())
    };
    read().unwrap_or_default()
}

/// A lock that ends with the process which holds it, also when that is killed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// The lock at once, or nothing when somebody else has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, SandboxError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path);
        let file = file.map_err(SandboxError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(SandboxError::io("lock", path)(source)),
        }
    }

    /// The lock, waiting for it as long as `patience`; `waiting` is called once before the wait.
    pub(crate) async fn take(
        path: &Path,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> Result<Self, SandboxError> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        waiting();
        let since = Instant::now();
        while since.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
        }
        Err(SandboxError::Busy {
            lock: path.to_owned(),
            waited: patience,
        })
    }

    /// Whether somebody holds the lock. A missing file is held by nobody; several may ask at once.
    pub(crate) fn is_held(path: &Path) -> Result<bool, SandboxError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(SandboxError::io("open", path))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(source)) => Err(SandboxError::io("lock", path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_once_and_ends_with_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(!Lock::is_held(&path).unwrap());
        let held = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::is_held(&path).unwrap());
        let busy = Lock::take(&path, Duration::from_millis(60), || {}).await;
        assert!(matches!(busy, Err(SandboxError::Busy { .. })));
        drop(held);
        Lock::take(&path, Duration::from_secs(5), || {})
            .await
            .unwrap();
    }

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_behind() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_tail_begins_with_a_whole_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(
            &path,
            (0..1000)
                .map(|line| format!("line {line}\n"))
                .collect::<String>(),
        )
        .unwrap();
        let tail = tail(&path);
        assert!(
            tail.starts_with("line ") && tail.ends_with("line 999"),
            "{tail}"
        );
    }
}
