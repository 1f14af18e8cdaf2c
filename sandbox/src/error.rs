//! What can go wrong with a sandbox, each with a stable code and a hint.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tools::Program;

/// A sandbox could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Go is needed to build the components, and isn't there.
    #[error("the sandbox's components have to be built, and there is no `go` in PATH")]
    GoMissing,
    /// The Go that is there is too old for the pinned modules.
    #[error("the sandbox's components need Go {needed} or newer, found {found}")]
    GoTooOld {
        /// What `go env GOVERSION` said.
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// A component did not build.
    #[error("cannot build {program} (exit code {exit_code:?}); its output is in {}", log.display())]
    BuildFailed {
        /// What was built.
        program: Program,
        /// Exit code of `go build`; 128 + N for signal N.
        exit_code: Option<i32>,
        /// Everything that the build printed.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The directory that the user named lacks components.
    #[error("{} has no executable {}", directory.display(), missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    BinariesIncomplete {
        /// The directory that `PIPECTL_SANDBOX_BIN` names.
        directory: PathBuf,
        /// What is missing there.
        missing: Vec<Program>,
    },
    /// Somebody else is at the same work, for longer than we waited.
    #[error("another pipectl holds {} for more than {} s", lock.display(), waited.as_secs())]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// The user asked for a port that is taken.
    #[error("port {port} on 127.0.0.1 is in use")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// A component ended although it should run.
    #[error("{program} ended while it started (exit code {exit_code:?}); its output is in {}", log.display())]
    ComponentEnded {
        /// Which one.
        program: Program,
        /// Its exit code; 128 + N for signal N.
        exit_code: Option<i32>,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Something did not come up in time.
    #[error("{what} did not become ready within {} s", waited.as_secs())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// The sandbox isn't running.
    #[error("sandbox {name} is not running")]
    NotRunning {
        /// Its name.
        name: String,
    },
    /// The supervisor runs but doesn't answer on its control endpoint, or answers nonsense.
    #[error("the supervisor of sandbox {name} does not answer: {reason}")]
    ControlFailed {
        /// The sandbox's name.
        name: String,
        /// What happened.
        reason: String,
    },
    /// A file or directory of the sandbox could not be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb: `write`, `create`, ...
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The name is no name for a sandbox.
    #[error("{name:?} is no name for a sandbox")]
    InvalidName {
        /// What was given.
        name: String,
    },
    /// There is no directory to keep the sandbox in.
    #[error("neither {variable} nor HOME is set")]
    NoHome {
        /// The variable that would say where.
        variable: &'static str,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// The cluster refused what a new sandbox needs.
    #[error("cannot {doing} in the sandbox's cluster: {source}")]
    Cluster {
        /// What was being done.
        doing: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// A process could not be started.
    #[error("cannot start {what}: {source}")]
    Spawn {
        /// What should have started.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Processes of the sandbox are still there.
    #[error("processes of sandbox {name} are still running after {} s", waited.as_secs())]
    StillRunning {
        /// The sandbox's name.
        name: String,
        /// How long we waited for them to end.
        waited: Duration,
    },
    /// A setting is out of its range.
    #[error("{setting}: {reason}")]
    InvalidSetting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What the supervisor, another process, reported before it ended.
    #[error("{}", .0.message)]
    Supervisor(Report),
}

/// An error as it crosses from the supervisor to the process that started it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Report {
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Why, where known; may be some lines long.
    pub cause: Option<String>,
    /// What a person can do.
    pub hint: String,
}

impl SandboxError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::GoMissing => "SBX001",
            Self::GoTooOld { .. } => "SBX002",
            Self::BuildFailed { .. } => "SBX003",
            Self::BinariesIncomplete { .. } => "SBX004",
            Self::Busy { .. } => "SBX005",
            Self::PortInUse { .. } => "SBX006",
            Self::ComponentEnded { .. } => "SBX007",
            Self::NotReady { .. } => "SBX008",
            Self::NotRunning { .. } => "SBX009",
            Self::ControlFailed { .. } => "SBX010",
            Self::Io { .. } => "SBX011",
            Self::InvalidName { .. } => "SBX012",
            Self::Pki(_) => "SBX013",
            Self::Cluster { .. } => "SBX014",
            Self::StillRunning { .. } => "SBX015",
            Self::Spawn { .. } => "SBX016",
            Self::NoHome { .. } => "SBX017",
            Self::InvalidSetting { .. } => "SBX018",
            Self::Supervisor(report) => &report.code,
        }
    }

    /// Why it happened, where more is known than the message says: the end of a log, for instance.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::BuildFailed { tail, .. } | Self::ComponentEnded { tail, .. }
                if !tail.is_empty() =>
            {
                Some(tail)
            }
            Self::Supervisor(report) => report.cause.as_deref(),
            _ => None,
        }
    }

    /// What a person can do now.
    #[must_use]
    pub fn hint(&self) -> String {
        let ways_out = "install Go 1.26 or newer, or set PIPECTL_SANDBOX_BIN to a directory with kube-apiserver, \
                        kube-controller-manager, kube-scheduler, etcd, kwok and helm";
        match self {
            Self::GoMissing | Self::GoTooOld { .. } => ways_out.to_owned(),
            Self::BuildFailed { .. } => {
                format!(
                    "check the network (modules are downloaded once) and the disk, then try again; or {ways_out}"
                )
            }
            Self::BinariesIncomplete { .. } => {
                "put all six programs there, or unset PIPECTL_SANDBOX_BIN to have them built"
                    .to_owned()
            }
            Self::Busy { .. } => {
                "wait for the other one; the lock ends with its process".to_owned()
            }
            Self::PortInUse { .. } => {
                "choose another port, or none: pipectl finds a free one".to_owned()
            }
            Self::ComponentEnded { log, .. } => {
                format!("read {}, then try: pipectl sandbox reset", log.display())
            }
            Self::NotReady { .. } => {
                "is the machine overloaded? try again; pipectl sandbox logs shows more".to_owned()
            }
            Self::NotRunning { .. } => "start it: pipectl sandbox start".to_owned(),
            Self::ControlFailed { .. } => {
                "pipectl sandbox stop ends it by force; then start it again".to_owned()
            }
            Self::Io { .. } => {
                "check the permissions of that path and the free space of its disk".to_owned()
            }
            Self::InvalidName { .. } => {
                "use 1 to 40 lower-case letters, digits and hyphens, beginning with a letter"
                    .to_owned()
            }
            Self::NoHome { variable } => format!("set {variable} or HOME"),
            Self::Pki(_) | Self::Cluster { .. } => {
                "start again; if it stays: pipectl sandbox reset".to_owned()
            }
            Self::StillRunning { .. } => {
                "a process hangs in the kernel or was stopped; see `ps`".to_owned()
            }
            Self::Spawn { .. } => {
                "check the limits on processes and open files (ulimit -a)".to_owned()
            }
            Self::InvalidSetting { .. } => "see pipectl sandbox start --help".to_owned(),
            Self::Supervisor(report) => report.hint.clone(),
        }
    }

    /// This error, ready to cross to another process.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            code: self.code().to_owned(),
            message: self.to_string(),
            cause: self.cause().map(str::to_owned),
            hint: self.hint(),
        }
    }

    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(crate) fn cluster(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Cluster {
            doing,
            source: Box::new(source),
        }
    }
}
