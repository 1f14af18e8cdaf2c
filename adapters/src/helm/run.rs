//! One run of Helm: a guarded child, its bound, its end, its words.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use pipectl_process::{
    DEADLINE_EXIT_CODE, GuardedCommand, NOT_STARTED_EXIT_CODE, SpawnError, boot_time,
};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{OnceCell, Semaphore},
};

use super::{
    codes::{self, error},
    options::{self, HelmOptions},
};

/// Between SIGTERM and SIGKILL; with it a cancelled Helm is gone within 5 s.
const GRACE: Duration = Duration::from_secs(3);

/// The guard ends Helm at its bound; this is how much longer pipectl waits for the guard.
const MARGIN: Duration = Duration::from_secs(8);

/// How often the lease's deadline is told to the guard while Helm runs; a lease's term is many times as long.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Each Helm takes some 100 MB; more at once would be swapping rather than working.
const AT_ONCE: usize = 3;

/// Lines of Helm's standard error that make it into an error.
const LAST_LINES: usize = 8;

/// Oldest version that labels release records (`--labels`).
const OLDEST: (u32, u32) = (3, 13);

/// Which Helm this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub major: u32,
    pub minor: u32,
}

/// One run.
pub(super) struct Run {
    pub arguments: Vec<OsString>,
    /// Goes to standard input and nowhere else.
    pub stdin: Option<Vec<u8>>,
    pub bound: Duration,
    /// Whether it changes something: then the lease's deadline bounds it too.
    pub effect: bool,
}

impl Run {
    pub fn new<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>, bound: Duration) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            stdin: None,
            bound,
            effect: false,
        }
    }

    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    pub fn effect(mut self) -> Self {
        self.effect = true;
        self
    }
}

/// Runs Helm.
pub(super) struct Runner {
    pub options: HelmOptions,
    places: Semaphore,
    version: OnceCell<Version>,
}

impl Runner {
    pub fn new(options: HelmOptions) -> Self {
        Self {
            options,
            places: Semaphore::new(AT_ONCE),
            version: OnceCell::new(),
        }
    }

    /// Which Helm it is; asked once.
    pub async fn version(&self) -> Result<Version, PortError> {
        self.version
            .get_or_try_init(|| async {
                let run = Run::new(
                    ["version", "--template", "{{.Version}}"],
                    Duration::from_secs(20),
                );
                let words = self.start(run).await?;
                let words = String::from_utf8_lossy(&words);
                let version = parse_version(words.trim()).ok_or_else(|| {
                    error(
                        Kind::ToolMissing,
                        codes::OUTPUT,
                        format!(
                            "`helm version` printed no version but: {}",
                            first_line(&words)
                        ),
                    )
                })?;
                if (version.major, version.minor) < OLDEST {
                    return Err(error(
                        Kind::ToolMissing,
                        codes::TOO_OLD,
                        format!(
                            "{} is Helm {}.{}, and pipectl needs {}.{} or newer",
                            self.options.program.display(),
                            version.major,
                            version.minor,
                            OLDEST.0,
                            OLDEST.1
                        ),
                    ));
                }
                Ok(version)
            })
            .await
            .copied()
    }

    /// Standard output of a run that succeeded.
    pub async fn output(&self, run: Run) -> Result<Vec<u8>, PortError> {
        self.version().await?;
        self.start(run).await
    }

    async fn start(&self, run: Run) -> Result<Vec<u8>, PortError> {
        let what = run
            .arguments
            .iter()
            .take_while(|argument| !argument.to_string_lossy().starts_with('-'))
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        let cancelled = || {
            error(
                Kind::Cancelled,
                codes::CANCELLED,
                format!("`helm {what}` was ended"),
            )
        };
        let _place = tokio::select! {
            biased;
            () = self.options.cancel.cancelled() => return Err(cancelled()),
            place = self.places.acquire() => place.map_err(|_| cancelled())?,
        };
        let home = self.options.home();
        std::fs::create_dir_all(&home).map_err(|source| {
            error(
                Kind::Other,
                codes::HOME,
                format!("{}: {source}", home.display()),
            )
        })?;
        let (bound, effect) = (run.bound, run.effect);
        let end = boot_time() + bound;
        let deadline = self.deadline(effect, end)?;
        tracing::debug!(%what, bound_s = bound.as_secs(), "helm");
        let mut child = self
            .command(run, deadline)
            .spawn()
            .map_err(|source| self.not_spawned(&source))?;
        let (stdout, stderr) = (child.take_stdout(), child.take_stderr());
        let reading = async { tokio::join!(read(stdout), read(stderr)) };
        let waiting = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    () = tokio::time::sleep(TELL_EVERY), if effect => {
                        // A lease that has run out leaves the deadline where it was: in the past.
                        if let Ok(deadline) = self.deadline(effect, end) {
                            child.prolong(deadline);
                        }
                    }
                }
            }
        };
        let ended = async {
            let (words, status) = tokio::join!(reading, waiting);
            status.map(|status| (words, status))
        };
        // The guard keeps the bound; should the guard itself hang, waiting for it ends too.
        let outcome = tokio::select! {
            biased;
            () = self.options.cancel.cancelled() => None,
            ended = tokio::time::timeout(bound + MARGIN, ended) => Some(ended),
        };
        match outcome {
            None => {
                let _ = child.terminate().await;
                Err(cancelled())
            }
            Some(Err(_)) => {
                let _ = child.terminate().await;
                Err(timed_out(&what, bound))
            }
            Some(Ok(Err(source))) => Err(error(
                Kind::Other,
                codes::NOT_STARTED,
                format!("`helm {what}`: {source}"),
            )),
            Some(Ok(Ok(((stdout, stderr), status)))) => {
                let ran_out = boot_time() < end;
                self.judge(&what, bound, ran_out, status, stdout, &stderr)
            }
        }
    }

    fn judge(
        &self,
        what: &str,
        bound: Duration,
        ran_out: bool,
        status: ExitStatus,
        stdout: Vec<u8>,
        stderr: &[u8],
    ) -> Result<Vec<u8>, PortError> {
        if status.success() {
            return Ok(stdout);
        }
        if status.code() == Some(i32::from(DEADLINE_EXIT_CODE)) {
            // Before the run's own bound only the lease ends it.
            if ran_out {
                return Err(error(
                    Kind::Cancelled,
                    codes::CANCELLED,
                    format!("`helm {what}` was ended: the environment's lease has run out"),
                ));
            }
            return Err(timed_out(what, bound));
        }
        let said = self.options.redactor.text(&last_lines(stderr));
        if status.code() == Some(i32::from(NOT_STARTED_EXIT_CODE)) {
            return Err(error(Kind::ToolMissing, codes::NOT_STARTED, said));
        }
        let said = if said.is_empty() {
            format!("{status}, without a word")
        } else {
            said
        };
        Err(error(
            Kind::Other,
            codes::FAILED,
            format!("`helm {what}`: {said}"),
        ))
    }

    /// When the run is ended by what is known now: at its own `end`, or when the lease runs out. A lease that has run
    /// out allows nothing.
    fn deadline(&self, effect: bool, end: Duration) -> Result<Duration, PortError> {
        let Some(lease) = self.options.deadline.as_ref().filter(|_| effect) else {
            return Ok(end);
        };
        let deadline = lease();
        if deadline <= boot_time() {
            return Err(error(
                Kind::Cancelled,
                codes::CANCELLED,
                "the environment's lease has run out; nothing was changed",
            ));
        }
        Ok(end.min(deadline))
    }

    fn command(&self, run: Run, deadline: Duration) -> GuardedCommand {
        let mut command = GuardedCommand::new(&self.options.guard, &self.options.program)
            .args(run.arguments)
            .deadline(deadline)
            .grace(GRACE)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in std::env::vars_os() {
            if options::withheld(
                &name.to_string_lossy(),
                &value.to_string_lossy(),
                &self.options.redactor,
            ) {
                command = command.env_remove(name);
            }
        }
        let command = command.envs(options::environment(&self.options.home()));
        match run.stdin {
            Some(bytes) => command.stdin_bytes(bytes),
            None => command,
        }
    }

    fn not_spawned(&self, source: &SpawnError) -> PortError {
        match source {
            SpawnError::ProgramNotFound { .. } => error(
                Kind::ToolMissing,
                codes::MISSING,
                format!("no program {}", self.options.program.display()),
            ),
            SpawnError::Guard { guard, source } => error(
                Kind::Other,
                codes::NOT_STARTED,
                format!("guard {}: {source}", guard.display()),
            ),
        }
    }

    /// A directory below Helm's home that exists.
    pub fn directory(&self, name: &str) -> Result<PathBuf, PortError> {
        let directory = self.options.home().join(name);
        std::fs::create_dir_all(&directory).map_err(|source| {
            error(
                Kind::Other,
                codes::HOME,
                format!("{}: {source}", directory.display()),
            )
        })?;
        Ok(directory)
    }
}

fn timed_out(what: &str, bound: Duration) -> PortError {
    error(
        Kind::Timeout,
        codes::TIMEOUT,
        format!("`helm {what}` did not end within {} s", bound.as_secs()),
    )
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        // What cannot be read any more is not there; the exit code decides.
        let _ = from.read_to_end(&mut bytes).await;
    }
    bytes
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

/// `v3.22.0`, `v3.13.1+g3547a4b`, `v4.0.0-rc.1`.
fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.strip_prefix('v')?.split('.');
    Some(Version {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let parsed = |text| parse_version(text).map(|version| (version.major, version.minor));
        assert_eq!(parsed("v3.22.0"), Some((3, 22)));
        assert_eq!(parsed("v3.13.1+g3547a4b"), Some((3, 13)));
        assert_eq!(parsed("v4.0.0-rc.1"), Some((4, 0)));
        assert_eq!(parsed("Client: v2"), None);
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn only_the_last_lines_are_quoted() {
        let many: String = (0..20).map(|line| format!("line {line}\n\n")).collect();
        let quoted = last_lines(many.as_bytes());
        assert_eq!(quoted.lines().count(), LAST_LINES);
        assert!(quoted.ends_with("line 19"));
        assert_eq!(last_lines(b""), "");
    }
}
