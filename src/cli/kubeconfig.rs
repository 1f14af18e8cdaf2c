//! `pipectl kubeconfig`: the path of an environment's own kubeconfig.

use super::{args::KubeconfigArgs, output::Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{access, environment};

/// Runs it.
///
/// # Errors
/// When there is no such environment, or it never reached a cluster.
pub fn run(args: &KubeconfigArgs, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name().as_deref())?;
    let path = access::own_kubeconfig(&environment);
    if !path.exists() {
        return Err(environment::unknown(environment.name()));
    }
    output.line(path.display().to_string());
    Ok(Exit::Ok)
}
