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

const WAYS_OUT: &str = "install Go 1.26 or newer, or set PIPECTL_SANDBOX_BIN to a directory with kube-apiserver, \
                        kube-controller-manager, kube-scheduler, etcd, kwok and helm";

/// Every code of the sandbox, what it means, and what a person can do.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "SBX001",
        "The sandbox's components have to be built, and Go is not installed.",
        WAYS_OUT,
    ),
    (
        "SBX002",
        "The sandbox's components have to be built, and the installed Go is too old.",
        WAYS_OUT,
    ),
    (
        "SBX003",
        "A component of the sandbox does not build.",
        "check the network (modules are downloaded once) and the free disk space (3 GB), then try again; \
         or set PIPECTL_SANDBOX_BIN to a directory with the six programs",
    ),
    (
        "SBX004",
        "The directory that PIPECTL_SANDBOX_BIN names lacks programs.",
        "put all six programs there, or unset PIPECTL_SANDBOX_BIN to have them built",
    ),
    (
        "SBX005",
        "Another pipectl is at work on the same sandbox, for longer than one waits.",
        "wait for the other one; the lock ends with its process",
    ),
    (
        "SBX006",
        "The port that was asked for is taken.",
        "choose another port, or none: pipectl finds a free one",
    ),
    (
        "SBX007",
        "A component of the control plane ended while it started.",
        "read its log (pipectl sandbox logs), then try: pipectl sandbox reset",
    ),
    (
        "SBX008",
        "A part of the sandbox did not become ready in time.",
        "is the machine overloaded? try again; pipectl sandbox logs shows more",
    ),
    (
        "SBX009",
        "The sandbox is not running.",
        "start it: pipectl sandbox start",
    ),
    (
        "SBX010",
        "The sandbox's supervisor does not answer.",
        "pipectl sandbox stop ends it, by force if need be; then start it again",
    ),
    (
        "SBX011",
        "A file or directory of the sandbox cannot be used.",
        "check the permissions of that path and the free space of its disk",
    ),
    (
        "SBX012",
        "That is no name for a sandbox.",
        "use 1 to 40 lower-case letters, digits and hyphens, beginning with a letter",
    ),
    (
        "SBX013",
        "A certificate of the sandbox cannot be made or read.",
        "start again; if it stays: pipectl sandbox reset",
    ),
    (
        "SBX014",
        "The sandbox's own cluster refused what a new sandbox needs.",
        "start again; if it stays: pipectl sandbox reset",
    ),
    (
        "SBX015",
        "Processes of the sandbox do not end.",
        "one hangs in the kernel or was stopped (SIGSTOP); see ps",
    ),
    (
        "SBX016",
        "A process, thread or listener of the sandbox cannot be started.",
        "check the limits on processes and open files (ulimit -a)",
    ),
    (
        "SBX017",
        "There is no directory to keep the sandbox in.",
        "set HOME",
    ),
    (
        "SBX018",
        "A setting of the sandbox is out of its range.",
        "see pipectl sandbox start --help",
    ),
];

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
        match self {
            Self::Supervisor(report) => report.hint.clone(),
            Self::ComponentEnded { log, .. } => {
                format!("read {}, then try: pipectl sandbox reset", log.display())
            }
            Self::NoHome { variable } => format!("set {variable} or HOME"),
            _ => CODES
                .iter()
                .find(|(code, _, _)| *code == self.code())
                .map(|(_, _, hint)| (*hint).to_owned())
                .unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once() {
        let mut codes: Vec<&str> = CODES.iter().map(|(code, _, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert!(codes.is_sorted());
        let io = || std::io::Error::from(std::io::ErrorKind::Other);
        let name = || "x".to_owned();
        let errors = [
            SandboxError::GoMissing,
            SandboxError::GoTooOld {
                found: name(),
                needed: "1",
            },
            SandboxError::BuildFailed {
                program: Program::Kwok,
                exit_code: None,
                log: PathBuf::new(),
                tail: name(),
            },
            SandboxError::BinariesIncomplete {
                directory: PathBuf::new(),
                missing: Vec::new(),
            },
            SandboxError::Busy {
                lock: PathBuf::new(),
                waited: Duration::ZERO,
            },
            SandboxError::PortInUse { port: 1 },
            SandboxError::ComponentEnded {
                program: Program::Kwok,
                exit_code: None,
                log: PathBuf::new(),
                tail: name(),
            },
            SandboxError::NotReady {
                what: name(),
                waited: Duration::ZERO,
            },
            SandboxError::NotRunning { name: name() },
            SandboxError::ControlFailed {
                name: name(),
                reason: name(),
            },
            SandboxError::Io {
                doing: "write",
                path: PathBuf::new(),
                source: io(),
            },
            SandboxError::InvalidName { name: name() },
            SandboxError::NoHome { variable: "HOME" },
            SandboxError::StillRunning {
                name: name(),
                waited: Duration::ZERO,
            },
            SandboxError::Spawn {
                what: name(),
                source: io(),
            },
            SandboxError::InvalidSetting {
                setting: "nodes",
                reason: name(),
            },
        ];
        for error in errors {
            assert!(codes.contains(&error.code()), "{}", error.code());
            assert!(!error.hint().is_empty(), "{}", error.code());
        }
    }
}
