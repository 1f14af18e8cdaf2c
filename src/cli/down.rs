//! `pipectl down`: takes an environment away and proves that nothing is left.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use pipectl_stages::{
    DownOptions, Environment as Owner,
    inventory::{self, Inventory},
    ports::objects::{ObjectApi, Selection},
};
use pipectl_state::{Body, EnvironmentState, PlanSummary, RunId};
use uuid::Uuid;

use super::{
    args::{DownArgs, Global},
    exit::Exit,
    failure::Failure,
    output::Output,
    run_report::{self, Reporting},
};
use crate::{
    engine::{self, Graph, PipelineInfo, RunOptions, RunRecord, RunRequest, Task, Verb},
    session::{
        access::{Access, Start},
        environment::{self, state_failure},
        place::{Entrance, Place},
        standing,
    },
};

/// How many lists are under way at once when an environment is looked for by its labels.
const LISTS_AT_ONCE: usize = 16;

/// Runs it.
///
/// # Errors
/// Everything that is found before the first effect; what fails later is said by the reporter.
pub async fn run(args: &DownArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name())?;
    let name = environment.name().to_owned();
    let recorded = environment::recorded(&environment)?;
    let place = place(args, recorded.as_ref()).ok_or_else(|| environment::unknown(&name))?;
    let stop = run_report::signals()?;
    let access = Access::open(&place, &environment, Start::IfNeeded, output).await?;
    access.fence(&place, recorded.as_ref()).await?;

    let Some(uid) = uid(&access, &name, recorded.as_ref()).await? else {
        return Err(Failure::problem(
            Exit::BadInput,
            "STA001",
            "find",
            format!("environment {name}"),
            format!("nothing is recorded of it on this machine, and {place} holds no environment of that name"),
        )
        .hint("see `pipectl list`"));
    };
    let owner = Owner {
        name: name.clone(),
        uid: uid.to_string(),
    };
    let loaded = recorded.as_ref().and_then(standing::recorded_pipeline);
    let ports = access.ports(loaded.as_ref(), None)?;
    let before = inventory::take(&ports, &owner, &BTreeSet::new(), args.keep_data).await;
    confirm(args, &owner, &before, &place, output)?;

    let failed =
        |error| state_failure("open the record of", &format!("environment {name}"), &error);
    let lease = environment
        .lease(environment::lease_options(output))
        .await
        .map_err(failed)?;
    let (journal, _) = environment.open(RunId::new(), &lease).map_err(failed)?;
    let mut journal = journal.with_redactor(access.redactor.clone());
    if journal.state().uid().is_none() {
        let created = Body::EnvironmentCreated {
            uid,
            name: name.clone(),
            pipectl_version: env!("CARGO_PKG_VERSION").to_owned(),
            pins: place.pins(&access.identity),
        };
        journal.append(vec![created]).await.map_err(failed)?;
    }
    access.keep_kubeconfig(&environment)?;

    let options = DownOptions {
        keep_data: args.keep_data,
        before,
    };
    let graph = Graph::build(
        pipectl_stages::down(&options)
            .into_iter()
            .map(Task::Down)
            .collect(),
    )
    .map_err(|error| run_report::graph_failure(&error))?;
    let request = RunRequest {
        pipeline: PipelineInfo {
            verb: Verb::Down,
            environment: name.clone(),
            environment_uid: owner.uid.clone(),
            place: place.to_string(),
            endpoints: Vec::new(),
            next: Vec::new(),
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
            ..RunOptions::default()
        },
        ports: access.ports(loaded.as_ref(), Some(lease.fence()))?,
        environment: owner,
        graph,
        journal,
        lease,
        stop: super::up::bounded(stop, args.run.timeout),
    };
    let reporting = Reporting {
        args: &args.run,
        global,
        output,
        show_checks: false,
    };
    let mut end = reporting.run(request, access.cancel()).await?;
    if let Some(lease) = end.lease.take() {
        environment.archive(lease).map_err(|error| {
            state_failure(
                "move to the history the record of",
                &format!("environment {name}"),
                &error,
            )
        })?;
    }
    Ok(run_report::exit(&end.report))
}

/// Where the environment lives: as recorded, or else as the command line says.
fn place(args: &DownArgs, recorded: Option<&EnvironmentState>) -> Option<Place> {
    let named = match (&args.sandbox, &args.kubeconfig, &args.context) {
        (Some(sandbox), ..) => Some(Place::Sandbox(sandbox.clone())),
        (None, Some(kubeconfig), Some(context)) => Some(Place::Existing(Some(Entrance {
            kubeconfig: kubeconfig.clone(),
            context: Some(context.clone()),
        }))),
        _ => None,
    };
    // A place that is named and is another one than recorded is refused by the fence.
    named.or_else(|| Place::pinned(recorded?.pins()))
}

/// The environment's UID: as recorded, or else as the cluster's own records and labels tell.
async fn uid(
    access: &Access,
    name: &str,
    recorded: Option<&EnvironmentState>,
) -> Result<Option<Uuid>, Failure> {
    if let Some(uid) = recorded.and_then(EnvironmentState::uid) {
        return Ok(Some(uid));
    }
    let objects: &dyn ObjectApi = access.kubernetes.as_ref();
    let failed = |error| Failure::port(error, "look for", format!("environment {name}"));
    if let Some(record) = pipectl_stages::environment::find(objects, name)
        .await
        .map_err(failed)?
    {
        return Ok(record.environment.uid.parse().ok());
    }
    // Its record in the cluster goes last, so it is only missing when somebody removed it by hand.
    let (kinds, _) = objects.all_served().await.map_err(failed)?;
    let label = pipectl_stages::objects::ownership::ENVIRONMENT_LABEL;
    let looks = kinds.into_iter().map(|served| async move {
        let selection = Selection {
            kind: served.kind,
            namespace: None,
            labels: Some(format!("{label}={name}")),
        };
        objects.list_metadata(&selection).await.unwrap_or_default()
    });
    let found: Vec<_> = stream::iter(looks)
        .buffer_unordered(LISTS_AT_ONCE)
        .collect()
        .await;
    let uids: BTreeSet<String> = found
        .iter()
        .flatten()
        .filter_map(|object| {
            let labels = &object["metadata"]["labels"];
            labels[pipectl_stages::objects::ownership::ENVIRONMENT_UID_LABEL]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    let uids: Vec<String> = uids.into_iter().collect();
    match uids.as_slice() {
        [] => Ok(None),
        [uid] => Ok(uid.parse().ok()),
        several => Err(Failure::problem(
            Exit::Refused,
            "CLI017",
            "choose",
            format!("environment {name}"),
            format!("several environments of that name have left things in this cluster: {}", several.join(", ")),
        )
        .hint("their records were lost; remove the objects of one of them by its label pipectl.dev/environment-uid first")),
    }
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
        in_words(before)
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

/// What a person cares about most when it goes, in order: kind, one of it, several of it.
const WEIGHTY: &[(&str, &str, &str)] = &[
    ("Kafka", "Kafka cluster", "Kafka clusters"),
    ("KafkaTopic", "topic", "topics"),
    ("PersistentVolume", "volume", "volumes"),
    (
        "SparkApplication",
        "Spark application",
        "Spark applications",
    ),
    ("Deployment", "deployment", "deployments"),
    ("Helm release", "Helm release", "Helm releases"),
    ("Namespace", "namespace", "namespaces"),
];

/// What is going to be removed: what weighs most by name, the rest as a number.
fn in_words(inventory: &Inventory) -> String {
    let counts: BTreeMap<String, usize> = inventory.counts().into_iter().collect();
    let total: usize = counts.values().sum();
    if total == 0 {
        return "nothing that is known of; every kind is looked through again afterwards"
            .to_owned();
    }
    let mut named = 0;
    let mut words: Vec<String> = Vec::new();
    for (kind, one, several) in WEIGHTY {
        if let Some(count) = counts.get(*kind) {
            named += count;
            words.push(format!(
                "{count} {}",
                if *count == 1 { one } else { several }
            ));
        }
    }
    match (words.is_empty(), total - named) {
        (true, rest) => format!("{rest} things"),
        (false, 0) => words.join(", "),
        (false, rest) => format!("{} and {rest} more things", words.join(", ")),
    }
}
