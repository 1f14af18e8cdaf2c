//! Reaching the place of an environment; where that is a sandbox, only the command line may start it.

use pipectl_sandbox::{SandboxSettings, StartOptions};
use pipectl_state::Environment;

use super::{output::Output, sandbox};
use crate::{
    failure::Failure,
    session::{access::Access, place::Place},
};

/// Whether a sandbox that doesn't run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is.
    IfNeeded,
    /// It is not: a command that only looks changes nothing.
    Never,
}

/// Goes to `place`, starting its sandbox where that is allowed.
///
/// # Errors
/// When the sandbox cannot be started or does not run, or the place cannot be reached.
pub async fn reach(
    place: &Place,
    environment: &Environment,
    start: Start,
    output: Output,
) -> Result<Access, Failure> {
    let settings = match place.sandbox() {
        Some(name) => {
            let plain = matches!(place, Place::Sandbox(_));
            Some(settings(name, plain, start, output).await?)
        }
        None => None,
    };
    Access::open(place, environment, settings).await
}

/// The settings that lead to a sandbox; `plain`: and to its own plain cluster, which an environment on its simulated AWS does
/// not need.
///
/// # Errors
/// When it cannot be started or does not run.
pub async fn settings(
    name: &str,
    plain: bool,
    start: Start,
    output: Output,
) -> Result<SandboxSettings, Failure> {
    let sandbox = sandbox::open(name)?;
    let status = match start {
        Start::IfNeeded => {
            let mut options = sandbox.last_options().unwrap_or(StartOptions {
                cluster: false,
                ..StartOptions::default()
            });
            options.cluster |= plain;
            sandbox::ensure_started(&sandbox, &options, output).await?.0
        }
        Start::Never => sandbox::running(&sandbox).await?,
    };
    Ok(sandbox.settings(&status)?)
}
