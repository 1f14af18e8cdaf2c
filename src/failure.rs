//! Why a command ended without doing what was asked: everything a person reads then, and the exit code.

use pipectl_config::{Diagnostic, Diagnostics, Severity};
use pipectl_sandbox::SandboxError;
use pipectl_stages::{PortError, PortErrorKind, Retry, StepError};

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

/// What belongs to somebody else: another account, region or environment, somebody else's cluster, object or name.
const REFUSALS: &[&str] = &["ACC001", "ACC002", "ACC009", "ACC010", "ENG004", "STG001"];

/// What a step's error means for the command as a whole.
#[must_use]
pub fn exit_of_step(error: &StepError) -> Exit {
    match REFUSALS.contains(&error.code.as_str()) {
        true => Exit::Refused,
        false => Exit::Failed,
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

impl Failure {
    /// Every error of it in the one form that errors have inside events; none where everything was said already.
    #[must_use]
    pub fn errors(&self) -> Vec<StepError> {
        match self {
            Self::Input(diagnostics) => diagnostics
                .0
                .iter()
                .filter(|found| found.severity == Severity::Error)
                .map(of_finding)
                .collect(),
            Self::Problem(problem) => vec![problem.error.clone()],
            Self::Said(_) => Vec::new(),
        }
    }
}

/// A finding in the pipeline file as an error.
fn of_finding(found: &Diagnostic) -> StepError {
    let place = match &found.location {
        Some(at) if at.line > 0 => format!("{}:{}:{}", at.file, at.line, at.column),
        Some(at) => at.file.clone(),
        None => "the pipeline".to_owned(),
    };
    StepError {
        hint: found.help.clone(),
        retry: Retry::AfterChange,
        ..StepError::new(found.code, "use", place, found.message.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_somebody_elses_is_refused_and_all_else_fails() {
        let of = |code: &str| exit_of_step(&StepError::new(code, "use", "it", "it is theirs"));
        for code in REFUSALS {
            assert_eq!(of(code), Exit::Refused, "{code}");
        }
        assert_eq!(of("ACC005"), Exit::Failed);
    }

    #[test]
    fn findings_become_errors_with_their_places() {
        let mut found = Diagnostic::error("CFG010", "no such field").help("take it out");
        found.location = Some(pipectl_config::Location {
            line: 3,
            column: 5,
            ..pipectl_config::Location::file("pipeline.yaml")
        });
        let warning = Diagnostic::warning("CFG011", "old");
        let errors = Failure::Input(Diagnostics(vec![found, warning])).errors();
        let [error] = &errors[..] else {
            panic!("{errors:?}");
        };
        assert_eq!(error.code, "CFG010");
        assert_eq!(error.resource, "pipeline.yaml:3:5");
        assert_eq!(error.hint.as_deref(), Some("take it out"));
    }
}
