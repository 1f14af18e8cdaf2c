//! `pipectl up`: brings an environment up, or up to date.

use std::sync::Arc;

use pipectl_stages::{CloudOptions, Environment as Owner, UpOptions};
use pipectl_state::PlanSummary;
use uuid::Uuid;

use super::{
    args::{Global, PipelineArgs, UpArgs},
    output::Output,
    reach::{Start, reach},
    run_report::{self, Reporting},
};
use crate::{
    engine::{
        self, Graph, Hold, PipelineInfo, RunOptions, RunRecord, RunRequest, Stop, Verb,
        event::Endpoint,
    },
    exit::Exit,
    failure::Failure,
    session::{
        access::{self, Access},
        environment::{self, Begun},
        pipeline,
        place::Place,
        standing,
    },
};

/// Runs it.
///
/// # Errors
/// Everything that is found before the first effect; what fails later is said by the reporter.
pub async fn run(args: &UpArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let (loaded, origin) = pipeline::load(args.pipeline.choice())?;
    for warning in &loaded.warnings {
        output.complain(warning.render(output.color_err));
    }
    let name = args
        .pipeline
        .env
        .clone()
        .unwrap_or_else(|| loaded.pipeline.metadata.name.clone());
    let environment = environment::named(&name)?;
    let place = Place::of(&loaded, args.pipeline.sandbox.as_deref());
    pipeline::meant(args.pipeline.choice(), &place)?;
    let options = UpOptions {
        verify: args.verify,
    };
    // A pipeline that makes no graph is refused before anything is started.
    Graph::up(access::steps(
        &place,
        &loaded,
        options,
        &CloudOptions::default(),
    ))
    .map_err(|error| run_report::graph_failure(&error))?;
    let recorded = environment::recorded(&environment)?;
    if let Some(state) = &recorded {
        place.check(state.pins(), &name)?;
    }
    let access = reach(&place, &environment, Start::IfNeeded, output).await?;
    let place = access.place.clone();
    access.fence(recorded.as_ref()).await?;
    access.conceal(&loaded);
    let uid = match recorded.as_ref().and_then(|state| state.uid()) {
        Some(uid) => uid,
        None => found(args, &access, &name, output)
            .await?
            .unwrap_or_else(Uuid::new_v4),
    };
    let graph = Graph::up(access.steps(&loaded, options))
        .map_err(|error| run_report::graph_failure(&error))?;
    access.is_not_held(uid, recorded.as_ref()).await?;
    let waiting = environment::lease_options(move |words| output.note(words));
    let begun = environment::begin(&environment, &access, uid, waiting).await?;
    let (ports, hold) = access.ports_of_run(Some(&loaded), &begun)?;
    let Begun {
        journal,
        lease,
        uid,
    } = begun;
    let mut endpoints = standing::endpoints(&loaded);
    endpoints.push(Endpoint {
        label: "kubeconfig".to_owned(),
        address: format!("pipectl kubeconfig {name}"),
    });
    let again = again(&args.pipeline, &origin, &place);
    let request = RunRequest {
        environment: Owner {
            name: name.clone(),
            uid: uid.to_string(),
        },
        pipeline: PipelineInfo {
            verb: Verb::Up,
            environment: name.clone(),
            environment_uid: uid.to_string(),
            place: place.to_string(),
            endpoints,
            next: standing::next(&again, &name),
            again: Some(again),
        },
        record: RunRecord {
            pipeline_digest: loaded.digest(),
            pipeline: Some(loaded.to_record()),
            plan: PlanSummary::default(),
            invoked_by: run_report::invoker(),
        },
        options: RunOptions {
            effects: usize::from(args.run.parallelism),
            expectations: engine::expectations(journal.state(), Verb::Up),
            pace: access.pace(),
            ..RunOptions::default()
        },
        graph,
        journal,
        lease,
        hold: hold.map(|hold| hold as Arc<dyn Hold>),
        ports,
        // Until here a signal ends the process at once, as it should: nothing is under way yet.
        stop: bounded(run_report::signals()?, args.run.timeout),
    };
    let reporting = Reporting {
        args: &args.run,
        global,
        output,
        show_checks: args.show_checks,
    };
    let (end, unwritten) = reporting.run(request, access.cancel()).await;
    if let Some(failure) = unwritten {
        output.failure(&failure);
    }
    Ok(run_report::exit(&end.report))
}

/// The command line that brings up the same environment from the same pipeline.
pub(super) fn again(args: &PipelineArgs, origin: &pipeline::Origin, place: &Place) -> String {
    let mut command = format!("pipectl up{}{}", origin.arguments(place), place.arguments());
    if let Some(name) = &args.env {
        command.push_str(&format!(" --env {name}"));
    }
    for set in &args.set {
        command.push_str(&format!(" --set '{set}'"));
    }
    command
}

/// The UID of an environment of this name that is there although nothing is recorded of it here. In a sandbox it can only be
/// this machine's own; elsewhere it may be somebody else's, so `--adopt` must be given.
async fn found(
    args: &UpArgs,
    access: &Access,
    name: &str,
    output: Output,
) -> Result<Option<Uuid>, Failure> {
    let place = &access.place;
    let Some(found) = access.find().await? else {
        return Ok(None);
    };
    if !args.adopt && place.sandbox().is_none() {
        return Err(Failure::problem(
            Exit::Refused,
            "CLI018",
            "bring up",
            format!("environment {name} in {place}"),
            format!(
                "an environment of that name lives there since {}, and nothing is recorded of it on this machine",
                found.created
            ),
        )
        .hint("it may be somebody else's: choose another name with --env; or go on with it: --adopt"));
    }
    output.note(format!(
        "environment {name} lives here already, its record on this machine is new: going on with it"
    ));
    Ok(Some(found.uid))
}

/// The same stop, which also comes by itself after `timeout`.
pub fn bounded(stop: Stop, timeout: Option<std::time::Duration>) -> Stop {
    let Some(timeout) = timeout else { return stop };
    let (stopper, bounded) = engine::stop();
    tokio::spawn(async move {
        let mut stop = stop;
        let clock = tokio::time::sleep(timeout);
        tokio::pin!(clock);
        let mut rung = false;
        loop {
            tokio::select! {
                _ = stop.changed() => {}
                () = &mut clock, if !rung => rung = true,
            }
            stopper.request();
        }
    });
    bounded
}
