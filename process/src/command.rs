//! The parent's side: builds and follows a guarded child.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;

use crate::guard::{GuardPlan, deadline_frame};

/// How long after the grace a guard may still take to clean up before it is given up on.
const GUARD_MARGIN: Duration = Duration::from_secs(5);

/// A guarded child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No executable of that name: not at that path, or in no directory of PATH.
    #[error("no executable program {}", .program.display())]
    ProgramNotFound {
        /// The program as it was named.
        program: PathBuf,
    },
    /// The guard itself could not be started.
    #[error("cannot start the guard {}", .guard.display())]
    Guard {
        /// The executable that should have been the guard.
        guard: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Builds a child that ends when this process does.
#[derive(Debug)]
pub struct GuardedCommand {
    guard: PathBuf,
    program: OsString,
    arguments: Vec<OsString>,
    env_clear: bool,
    env: BTreeMap<OsString, Option<OsString>>,
    directory: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    deadline: Option<Duration>,
    grace: Duration,
    stdout: Stdio,
    stderr: Stdio,
}

impl GuardedCommand {
    /// `guard` is an executable that calls [`crate::run_guard`] for [`crate::GUARD_SUBCOMMAND`]: the pipectl binary.
    /// Output goes to `/dev/null` and input is empty unless said otherwise; the grace is 5 seconds.
    pub fn new(guard: &Path, program: impl AsRef<OsStr>) -> Self {
        Self {
            guard: guard.to_owned(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            env_clear: false,
            env: BTreeMap::new(),
            directory: None,
            stdin: None,
            deadline: None,
            grace: Duration::from_secs(5),
            stdout: Stdio::null(),
            stderr: Stdio::null(),
        }
    }

    /// Append one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Append arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Set an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(key.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Set environment variables.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |command, (key, value)| command.env(key, value))
    }

    /// Don't inherit this environment variable.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), None);
        self
    }

    /// Inherit no environment variable; those set by [`GuardedCommand::env`] stay, before or after.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Start in this directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// What the child reads on its standard input, to its end. It never appears in arguments, environment or files.
    #[must_use]
    pub fn stdin_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// When the child is ended at the latest, on the clock of [`crate::boot_time`]. The exit code is
    /// [`crate::DEADLINE_EXIT_CODE`] then.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long the child has between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Where the child's standard output goes.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Where the child's standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Start the child. Needs a tokio runtime with IO and time; when that runtime ends, the child ends.
    ///
    /// # Errors
    /// When the program doesn't exist or the guard cannot be started.
    pub fn spawn(self) -> Result<GuardedChild, SpawnError> {
        let program = self.find_program()?;
        let plan = GuardPlan {
            stdin_bytes: self.stdin.as_ref().map(|bytes| bytes.len() as u64),
            deadline: self.deadline,
            grace: self.grace,
            program: program.into_os_string(),
            arguments: self.arguments,
        };
        let mut command = Command::new(&self.guard);
        if self.env_clear {
            command.env_clear();
        }
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        // A group of its own: the terminal's Ctrl-C is for pipectl, which decides what happens to its children.
        command
            .args(plan.to_args())
            .stdin(Stdio::piped())
            .stdout(self.stdout)
            .stderr(self.stderr)
            .process_group(0);
        let mut child = command.spawn().map_err(|source| SpawnError::Guard {
            guard: self.guard.clone(),
            source,
        })?;
        let pipe = child.stdin.take();
        let payload = self.stdin.unwrap_or_default();
        let (alive, mut moved) = watch::channel(Duration::ZERO);
        tokio::spawn(async move {
            let Some(mut pipe) = pipe else { return };
            // A guard that is gone already tells by its exit code.
            let _ = pipe.write_all(&payload).await;
            // Dropping the sender is the message that the child shall end; until then only the newest deadline counts.
            while moved.changed().await.is_ok() {
                let frame = deadline_frame(*moved.borrow_and_update());
                if pipe.write_all(&frame).await.is_err() {
                    break;
                }
            }
            drop(pipe);
        });
        Ok(GuardedChild {
            child,
            alive: Some(alive),
            grace: self.grace,
        })
    }

    /// The program's absolute path: the guard may start in another directory, and its own failure would look like the child's.
    fn find_program(&self) -> Result<PathBuf, SpawnError> {
        let missing = || SpawnError::ProgramNotFound {
            program: PathBuf::from(&self.program),
        };
        let named = Path::new(&self.program);
        let candidates: Vec<PathBuf> = if named.components().count() > 1 {
            vec![std::path::absolute(named).map_err(|_| missing())?]
        } else {
            let path = match self.env.get(OsStr::new("PATH")) {
                Some(path) => path.clone(),
                None => std::env::var_os("PATH"),
            };
            std::env::split_paths(&path.unwrap_or_default())
                .map(|directory| directory.join(named))
                .collect()
        };
        candidates
            .into_iter()
            .find(|path| is_executable(path))
            .ok_or_else(missing)
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Everything that a child printed, and how it ended.
#[derive(Debug)]
pub struct GuardedOutput {
    /// How it ended; a child that died of signal N has exit code 128 + N.
    pub status: ExitStatus,
    /// Its standard output, where that was piped.
    pub stdout: Vec<u8>,
    /// Its standard error, where that was piped.
    pub stderr: Vec<u8>,
}

/// A running guarded child. Dropping it ends the child.
#[derive(Debug)]
pub struct GuardedChild {
    child: Child,
    /// Keeps the liveness pipe open, and carries new deadlines.
    alive: Option<watch::Sender<Duration>>,
    grace: Duration,
}

impl GuardedChild {
    /// Process id of the guard, as long as it hasn't been waited for. The child is its only child.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Move the deadline, on the clock of [`crate::boot_time`]; also of a child that had none. The guard hears of it
    /// soon, and one that has passed until then has ended the child: move it well ahead.
    pub fn prolong(&self, deadline: Duration) {
        if let Some(alive) = &self.alive {
            alive.send_replace(deadline);
        }
    }

    /// The child's standard output, where that was piped; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The child's standard error, where that was piped; once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Wait until the child has ended. A child that died of signal N has exit code 128 + N. May be cancelled and called again.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Wait until the child has ended and collect what it printed on the outputs that are piped.
    ///
    /// # Errors
    /// When the operating system cannot tell, or reading fails.
    pub async fn wait_with_output(mut self) -> io::Result<GuardedOutput> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let read_out = async {
            match out {
                Some(mut out) => out.read_to_end(&mut stdout).await,
                None => Ok(0),
            }
        };
        let read_err = async {
            match err {
                Some(mut err) => err.read_to_end(&mut stderr).await,
                None => Ok(0),
            }
        };
        let (status, _, _) = tokio::try_join!(self.child.wait(), read_out, read_err)?;
        Ok(GuardedOutput {
            status,
            stdout,
            stderr,
        })
    }

    /// Ask the child to end without waiting for it: SIGTERM now, SIGKILL after the grace.
    pub fn begin_termination(&mut self) {
        self.alive = None;
    }

    /// End the child and wait until it is gone: SIGTERM, SIGKILL after the grace. Returns within the grace and 5 seconds.
    ///
    /// # Errors
    /// `TimedOut` when the guard doesn't end in time, or when the operating system cannot tell.
    pub async fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.begin_termination();
        match tokio::time::timeout(self.grace + GUARD_MARGIN, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}
