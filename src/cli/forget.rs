//! `pipectl forget`: drops the local record of an environment, for clusters that no longer exist.

use super::{
    args::ForgetArgs,
    output::Output,
    reach::{Start, reach},
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{environment, place::Place};

/// Runs it. The record moves to the history; nothing in any cluster is touched.
///
/// # Errors
/// When there is no such environment, somebody works on it, or nobody agreed.
pub async fn run(args: &ForgetArgs, output: Output) -> Result<Exit, Failure> {
    let environment = environment::named(&args.env)?;
    if !environment.exists() {
        return Err(environment::unknown(&args.env));
    }
    if let Some(state) = environment::recorded(&environment)?
        && let Some(place) = Place::recorded(&state)
        && let Ok(access) = reach(&place, &environment, Start::Never, output).await
        && access.is_alive(&state).await
        && !args.force
    {
        return Err(Failure::problem(
            Exit::Refused,
            "CLI020",
            "forget",
            format!("environment {}", args.env),
            format!("it is alive in {place}, and what it made there would stay"),
        )
        .hint(format!(
            "remove it: pipectl down {}; or forget it all the same: --force",
            args.env
        )));
    }
    if !args.yes {
        output.note(format!(
            "drops the record of {}; what it made, if its cluster still exists, is not removed by this",
            args.env
        ));
        let question = format!("type the environment's name to go on: {}: ", args.env);
        if output.ask(&question).as_deref() != Some(args.env.as_str()) {
            return Err(Failure::problem(
                Exit::Refused,
                "CLI005",
                "forget",
                format!("environment {}", args.env),
                "nobody agreed",
            )
            .hint("give --yes"));
        }
    }
    let failed =
        |error| environment::state_failure("forget", &format!("environment {}", args.env), &error);
    let lease = environment
        .lease(environment::lease_options(move |words| output.note(words)))
        .await
        .map_err(failed)?;
    let place = environment.archive(lease).map_err(failed)?;
    output.note(format!("forgotten; its record is in {}", place.display()));
    Ok(Exit::Ok)
}
