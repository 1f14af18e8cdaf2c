//! Which environment a command works on, and its record on this machine.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pipectl_state::{
    Body, Environment, EnvironmentState, Journal, Lease, LeaseOptions, LifePhase, RunId,
    StateError, WaitListener,
};
use uuid::Uuid;

use super::access::Access;

use crate::{exit::Exit, failure::Failure};

/// Where records are kept.
///
/// # Errors
/// When neither `XDG_STATE_HOME` nor `HOME` is set.
pub fn root() -> Result<PathBuf, Failure> {
    pipectl_state::default_root().ok_or_else(|| {
        Failure::problem(
            Exit::Unavailable,
            "CLI013",
            "find",
            "the state directory",
            "neither XDG_STATE_HOME nor HOME is set to an absolute path",
        )
        .hint("set one of them")
    })
}

/// The environment of this name; it need not exist yet.
///
/// # Errors
/// When the name cannot be one.
pub fn named(name: &str) -> Result<Environment, Failure> {
    Environment::new(&root()?, name)
        .map_err(|error| state_failure("use", &format!("environment {name}"), &error))
}

/// The environment that is meant: the named one, or the only one there is.
///
/// # Errors
/// When none is named and there is none, or more than one.
pub fn meant(name: Option<&str>) -> Result<Environment, Failure> {
    if let Some(name) = name {
        return named(name);
    }
    let root = root()?;
    let known = pipectl_state::list_environments(&root)
        .map_err(|error| state_failure("list", "environments", &error))?;
    match known.as_slice() {
        [only] => named(&only.name),
        [] => Err(Failure::problem(
            Exit::BadInput,
            "CLI004",
            "find",
            "an environment",
            format!("none is recorded in {}", root.display()),
        )
        .hint("bring one up with `pipectl up`, or name one with --env and say where it is with --sandbox, --region or --kubeconfig")),
        several => {
            let names: Vec<_> = several.iter().map(|entry| entry.name.as_str()).collect();
            Err(Failure::problem(
                Exit::BadInput,
                "CLI003",
                "choose",
                "an environment",
                format!("there are several: {}", names.join(", ")),
            )
            .hint("name one of them"))
        }
    }
}

/// What is recorded of an environment; `None` when nothing is.
///
/// # Errors
/// When the record cannot be read.
pub fn recorded(environment: &Environment) -> Result<Option<EnvironmentState>, Failure> {
    match environment.open_read_only() {
        Ok((_, state)) if state.uid().is_none() || state.phase() == LifePhase::Removed => Ok(None),
        Ok((_, state)) => Ok(Some(state)),
        Err(StateError::NoSuchEnvironment { .. }) => Ok(None),
        Err(error) => Err(state_failure(
            "read",
            &format!("the record of environment {}", environment.name()),
            &error,
        )),
    }
}

/// How the lease is taken: at once, or after waiting out a holder that shows no life, which is said.
pub fn lease_options(say: impl Fn(String) + Send + Sync + 'static) -> LeaseOptions {
    let said = AtomicBool::new(false);
    let listener: WaitListener = Arc::new(move |wait| {
        if !said.swap(true, Ordering::Relaxed) {
            say(format!(
                "waiting for {}, which shows no life, to lose the environment (at most {})",
                wait.holder,
                crate::engine::span(wait.at_most)
            ));
        }
    });
    LeaseOptions {
        on_wait: Some(listener),
        ..LeaseOptions::default()
    }
}

/// An environment that this process may change: the lease is held, the record open, and the cluster the right one.
pub struct Begun {
    /// The record, open for writing.
    pub journal: Journal,
    /// The right to write.
    pub lease: Lease,
    /// The environment's UID.
    pub uid: Uuid,
}

/// Takes the environment's lease and opens its record, creating the environment with `uid` where nothing is recorded of it. What
/// somebody else recorded meanwhile counts: a record that now pins another place or cluster is refused.
///
/// # Errors
/// When somebody else holds the environment, its record cannot be opened, or it is pinned elsewhere.
pub async fn begin(
    environment: &Environment,
    access: &Access,
    uid: Uuid,
    lease: LeaseOptions,
) -> Result<Begun, Failure> {
    let what = format!("environment {}", environment.name());
    let failed = |error| state_failure("open the record of", &what, &error);
    let lease = environment.lease(lease).await.map_err(failed)?;
    let (journal, state) = environment.open(RunId::new(), &lease).map_err(failed)?;
    let mut journal = journal.with_redactor(access.redactor.clone());
    let living = state.uid().filter(|_| state.phase() != LifePhase::Removed);
    let uid = match living {
        Some(uid) => {
            access.place.check(state.pins(), environment.name())?;
            access.fence(Some(&state)).await?;
            uid
        }
        None => {
            let created = Body::EnvironmentCreated {
                uid,
                name: environment.name().to_owned(),
                pipectl_version: env!("CARGO_PKG_VERSION").to_owned(),
                pins: access.pins(),
            };
            journal.append(vec![created]).await.map_err(failed)?;
            uid
        }
    };
    access.keep_kubeconfig()?;
    Ok(Begun {
        journal,
        lease,
        uid,
    })
}

/// A trouble with the state as the command's failure.
#[must_use]
pub fn state_failure(doing: &str, resource: &str, error: &StateError) -> Failure {
    let exit = match error {
        StateError::Lease(pipectl_state::LeaseError::Held { .. }) => Exit::Held,
        StateError::BadName { .. } | StateError::NoSuchEnvironment { .. } => Exit::BadInput,
        StateError::DiskFull { .. } | StateError::Forbidden { .. } | StateError::Io { .. } => {
            Exit::Unavailable
        }
        _ => Exit::Failed,
    };
    Failure::Problem(Box::new(crate::failure::Problem {
        exit,
        error: crate::engine::state_error(doing, resource, error),
    }))
}

/// The error for an environment of which nothing is recorded.
#[must_use]
pub fn unknown(name: &str) -> Failure {
    Failure::problem(
        Exit::BadInput,
        "STA001",
        "find",
        format!("environment {name}"),
        "nothing is recorded of it on this machine",
    )
    .hint("see `pipectl list`; one whose record is lost is still found by `pipectl status NAME` and `pipectl down NAME` with --sandbox, with --region, or with --kubeconfig and --context")
}
