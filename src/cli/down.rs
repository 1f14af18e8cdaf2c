//! `pipectl down`: takes an environment away and proves that nothing is left.

use std::sync::Arc;

use pipectl_stages::{Environment as Owner, inventory::Inventory};
use pipectl_state::PlanSummary;

use super::{
    args::{DownArgs, Global},
    holdings,
    output::Output,
    reach::Start,
    run_report::{self, Reporting},
    whereabouts::{self, There},
};
use crate::{
    engine::{self, Graph, Hold, PipelineInfo, RunOptions, RunRecord, RunRequest, Verb},
    exit::Exit,
    failure::Failure,
    session::{
        environment::{self, Begun, state_failure},
        place::Place,
        standing,
    },
};

/// Runs it.
///
/// # Errors
/// Everything that is found before the first effect; what fails later is said by the reporter.
pub async fn run(args: &DownArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name().as_deref())?;
    let name = environment.name().to_owned();
    let recorded = environment::recorded(&environment)?;
    let There { access, uid, .. } = whereabouts::find(
        &args.whereabouts,
        &environment,
        recorded.as_ref(),
        args.keep_data,
        Start::IfNeeded,
        output,
    )
    .await?;
    let place = access.place.clone();
    let owner = Owner {
        name: name.clone(),
        uid: uid.to_string(),
    };
    access.is_not_held(uid, recorded.as_ref()).await?;
    let loaded = recorded.as_ref().and_then(standing::recorded_pipeline);
    let ports = access.ports(loaded.as_ref())?;
    let before = access
        .inventory(&ports, &owner, recorded.as_ref(), args.keep_data)
        .await;
    confirm(args, &owner, &before, &place, output)?;

    let waiting = environment::lease_options(move |words| output.note(words));
    let begun = environment::begin(&environment, &access, uid, waiting).await?;
    let (ports, hold) = access.ports_of_run(loaded.as_ref(), &begun)?;
    let Begun { journal, lease, .. } = begun;
    let graph = Graph::down(access.removals(args.keep_data, before))
        .map_err(|error| run_report::graph_failure(&error))?;
    let request = RunRequest {
        pipeline: PipelineInfo {
            verb: Verb::Down,
            environment: name.clone(),
            environment_uid: owner.uid.clone(),
            place: place.to_string(),
            endpoints: Vec::new(),
            next: Vec::new(),
            again: Some(format!("pipectl down {name}")),
        },
        record: RunRecord {
            pipeline_digest: journal.state().pipeline_digest.clone().unwrap_or_default(),
            pipeline: None,
            plan: PlanSummary::default(),
            invoked_by: run_report::invoker(),
        },
        options: RunOptions {
            effects: usize::from(args.run.parallelism),
            expectations: engine::expectations(journal.state(), Verb::Down),
            removes_environment: !args.keep_data,
            pace: access.pace(),
            ..RunOptions::default()
        },
        ports,
        environment: owner,
        graph,
        journal,
        lease,
        hold: hold.map(|hold| hold as Arc<dyn Hold>),
        stop: super::up::bounded(run_report::signals()?, args.run.timeout),
    };
    let reporting = Reporting {
        args: &args.run,
        global,
        output,
        show_checks: false,
    };
    let (mut end, unwritten) = reporting.run(request, access.cancel()).await;
    if let Some(lease) = end.lease.take() {
        environment.archive(lease).map_err(|error| {
            let record = format!("the record of environment {name}");
            state_failure("move to the history", &record, &error)
        })?;
    }
    if let Some(failure) = unwritten {
        output.failure(&failure);
    }
    Ok(run_report::exit(&end.report))
}

/// Asks a person at a terminal to type the environment's name; elsewhere `--yes` must be given.
fn confirm(
    args: &DownArgs,
    owner: &Owner,
    before: &Inventory,
    place: &Place,
    output: Output,
) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    output.complain(format!(
        "pipectl down  {}  {place}\n  removes {}\n",
        owner.name,
        holdings::in_words(before).unwrap_or_else(|| {
            "nothing that is known of; every kind is looked through again afterwards".to_owned()
        })
    ));
    let question = format!("  type the environment's name to go on: {} ▸ ", owner.name);
    match output.ask(&question) {
        Some(answer) if answer == owner.name => Ok(()),
        Some(_) => Err(refused(owner, "the answer was not the environment's name")),
        None => Err(refused(owner, "there is no terminal to ask on")),
    }
}

fn refused(owner: &Owner, why: &str) -> Failure {
    Failure::problem(
        Exit::Refused,
        "CLI005",
        "remove",
        format!("environment {}", owner.name),
        why,
    )
    .hint("give --yes")
}
