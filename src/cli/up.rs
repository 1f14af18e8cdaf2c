//! `pipectl up`: brings an environment up, or up to date.

use pipectl_stages::Environment as Owner;
use pipectl_state::{Body, PlanSummary, RunId};
use uuid::Uuid;

use super::{
    args::{Global, UpArgs},
    exit::Exit,
    failure::Failure,
    output::Output,
    run_report::{self, Reporting},
};
use crate::{
    engine::event::Endpoint,
    engine::{self, Graph, PipelineInfo, RunOptions, RunRecord, RunRequest, Stop, Task, Verb},
    session::{
        access::{Access, Start},
        environment::{self, state_failure},
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
    let (loaded, origin) = pipeline::load(&args.pipeline)?;
    for warning in &loaded.warnings {
        output.complain(warning.render(output.color_err));
    }
    let name = args
        .pipeline
        .env
        .clone()
        .unwrap_or_else(|| loaded.pipeline.metadata.name.clone());
    let environment = environment::named(&name)?;
    let place = Place::of(&loaded, args.pipeline.sandbox.as_deref())?;
    let graph = Graph::build(
        pipectl_stages::up_with(
            &loaded,
            pipectl_stages::plan::UpOptions {
                verify: args.verify,
            },
        )
        .into_iter()
        .map(Task::Up)
        .collect(),
    )
    .map_err(|error| run_report::graph_failure(&error))?;
    let recorded = environment::recorded(&environment)?;
    if let Some(pinned) = recorded
        .as_ref()
        .and_then(|state| Place::pinned(state.pins()))
        && !pinned.same_as(&place)
    {
        return Err(Failure::problem(
            Exit::Refused,
            "CLI008",
            "bring up",
            format!("environment {name} in {place}"),
            format!("it lives in {pinned}"),
        )
        .hint(format!(
            "run: pipectl up{}{}, or give the new one another name with --env",
            origin.arguments(),
            pinned.arguments()
        )));
    }
    let stop = run_report::signals()?;
    let access = Access::open(&place, &environment, Start::IfNeeded, output).await?;
    access.fence(&place, recorded.as_ref()).await?;

    let failed =
        |error| state_failure("open the record of", &format!("environment {name}"), &error);
    let lease = environment
        .lease(environment::lease_options(output))
        .await
        .map_err(failed)?;
    let run = RunId::new();
    let (journal, _) = environment.open(run, &lease).map_err(failed)?;
    access.conceal(&loaded);
    let mut journal = journal.with_redactor(access.redactor.clone());
    let uid = match journal.state().uid() {
        Some(uid) => uid,
        None => {
            let (uid, found) = identity(&access, &name).await?;
            if found {
                output.note(format!("environment {name} lives here already, its record on this machine is new: going on with it"));
            }
            let created = Body::EnvironmentCreated {
                uid,
                name: name.clone(),
                pipectl_version: env!("CARGO_PKG_VERSION").to_owned(),
                pins: place.pins(&access.identity),
            };
            journal.append(vec![created]).await.map_err(failed)?;
            uid
        }
    };
    access.keep_kubeconfig(&environment)?;

    let ports = access.ports(Some(&loaded), Some(lease.fence()))?;
    let mut endpoints = standing::endpoints(&loaded);
    endpoints.push(Endpoint {
        label: "kubeconfig".to_owned(),
        address: format!("pipectl kubeconfig {name}"),
    });
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
            next: standing::next(&place, &origin, &name),
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
            ..RunOptions::default()
        },
        graph,
        journal,
        lease,
        ports,
        stop: bounded(stop, args.run.timeout),
    };
    let reporting = Reporting {
        args: &args.run,
        global,
        output,
        show_checks: args.show_checks,
    };
    let end = reporting.run(request, access.cancel()).await?;
    Ok(run_report::exit(&end.report))
}

/// The UID of the environment of this name: of the one that lives in the cluster, or a new one.
async fn identity(access: &Access, name: &str) -> Result<(Uuid, bool), Failure> {
    let found = pipectl_stages::environment::find(access.kubernetes.as_ref(), name)
        .await
        .map_err(|error| Failure::port(error, "look for", format!("environment {name}")))?;
    let known = found.and_then(|record| record.environment.uid.parse().ok());
    Ok(known.map_or_else(|| (Uuid::new_v4(), false), |uid| (uid, true)))
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
