//! Why a command ended without doing what was asked: everything a person reads then, and the exit code.

use pipectl_config::Diagnostics;
use pipectl_sandbox::SandboxError;
use pipectl_stages::{PortError, PortErrorKind, StepError};

use crate::exit::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// The pipeline file or something it names is wrong.
    Input(Diagnostics),
    /// Anything else, in the one form that every error has.
    Problem(Box<Problem>),
    /// Everything was said already (by a reporter); only the exit code is left.
    Said(Exit),
}

/// An error in the form of `error[CODE]: cannot DOING RESOURCE`, with its cause and what to do.
#[derive(Debug, Clone)]
pub struct Problem {
    /// How the command ends.
    pub exit: Exit,
    /// The error itself.
    pub error: StepError,
}

impl Failure {
    /// A problem met while `doing` something to `resource`.
    pub fn problem(
        exit: Exit,
        code: &str,
        doing: &str,
        resource: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        Self::Problem(Box::new(Problem {
            exit,
            error: StepError::new(code, doing, resource.into(), cause),
        }))
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.error.hint = Some(hint.into());
        }
        self
    }

    /// A port's error met while `doing` something to `resource`; its kind decides the exit code.
    pub fn port(error: PortError, doing: &str, resource: impl Into<String>) -> Self {
        let exit = exit_of(error.kind);
        Self::Problem(Box::new(Problem {
            exit,
            error: error.during(doing, resource.into()),
        }))
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Input(_) => Exit::BadInput,
            Self::Problem(problem) => problem.exit,
            Self::Said(exit) => *exit,
        }
    }
}

/// What a port's sort of trouble means for the command as a whole.
fn exit_of(kind: PortErrorKind) -> Exit {
    match kind {
        PortErrorKind::Foreign => Exit::Refused,
        PortErrorKind::Unreachable
        | PortErrorKind::Timeout
        | PortErrorKind::ToolMissing
        | PortErrorKind::Unauthorized => Exit::Unavailable,
        PortErrorKind::Invalid => Exit::BadInput,
        PortErrorKind::Cancelled => Exit::Cancelled,
        PortErrorKind::NotFound
        | PortErrorKind::AlreadyExists
        | PortErrorKind::Conflict
        | PortErrorKind::Terminating
        | PortErrorKind::Forbidden
        | PortErrorKind::NotServed
        | PortErrorKind::Throttled
        | PortErrorKind::ServerError
        | PortErrorKind::InUse
        | PortErrorKind::Exhausted
        | PortErrorKind::Other => Exit::Failed,
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Input(diagnostics)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let exit = match error.code() {
            // A name, a setting or a port that the person chose.
            "SBX006" | "SBX012" | "SBX018" => Exit::BadInput,
            _ => Exit::Unavailable,
        };
        let report = error.report();
        let cause = match report.cause {
            Some(cause) => format!("{}: {cause}", report.message),
            None => report.message,
        };
        Self::problem(exit, &report.code, "use", "the sandbox", cause).hint(report.hint)
    }
}
