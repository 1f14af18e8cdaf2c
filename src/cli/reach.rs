//! Reaching the cluster of an environment; where that is a sandbox, only the command line may start it.

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
/// When the sandbox cannot be started or does not run, or the cluster cannot be reached.
pub async fn reach(
    place: &Place,
    environment: &Environment,
    start: Start,
    output: Output,
) -> Result<Access, Failure> {
    let settings = match place {
        Place::Sandbox(name) => {
            let sandbox = sandbox::open(name)?;
            let status = match start {
                Start::IfNeeded => {
                    let options = sandbox.last_options().unwrap_or_default();
                    sandbox::ensure_started(&sandbox, &options, output).await?.0
                }
                Start::Never => sandbox::running(&sandbox).await?,
            };
            Some(sandbox.settings(&status)?)
        }
        Place::Existing(_) => None,
    };
    Access::open(place, environment, settings).await
}
