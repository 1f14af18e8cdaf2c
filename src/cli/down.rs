//! `pipectl down`: takes an environment away and proves that nothing is left.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use pipectl_stages::{
    DownOptions, Environment as Owner,
    inventory::{self, Inventory},
    ports::objects::{ObjectApi, Selection},
};
use pipectl_state::{EnvironmentState, PlanSummary};
use uuid::Uuid;

use super::{
    args::{DownArgs, Global},
    output::Output,
    reach::{Start, reach},
    run_report::{self, Reporting},
};
use crate::{
    engine::{self, Graph, PipelineInfo, RunOptions, RunRecord, RunRequest, Verb},
    exit::Exit,
    failure::Failure,
    session::{
        access::Access,
        environment::{self, Begun, state_failure},
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
    let environment = environment::meant(args.which.name().as_deref())?;
    let name = environment.name().to_owned();
    let recorded = environment::recorded(&environment)?;
    let place = place(args, recorded.as_ref()).ok_or_else(|| environment::unknown(&name))?;
    if let Some(state) = &recorded {
        place.check(state.pins(), &name)?;
    }
    let access = reach(&place, &environment, Start::IfNeeded, output).await?;
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

    let waiting = environment::lease_options(move |words| output.note(words));
    let Begun { journal, lease, .. } =
        environment::begin(&environment, &place, &access, uid, waiting).await?;
    let options = DownOptions {
        keep_data: args.keep_data,
        before,
    };
    let graph = Graph::down(pipectl_stages::down(&options))
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
            ..RunOptions::default()
        },
        ports: access.ports(loaded.as_ref(), Some(lease.fence()))?,
        environment: owner,
        graph,
        journal,
        lease,
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
    let (kinds, mut unseen) = objects.all_served().await.map_err(failed)?;
    let label = pipectl_stages::objects::ownership::ENVIRONMENT_LABEL;
    let looks = kinds.into_iter().map(|served| async move {
        let selection = Selection {
            kind: served.kind,
            namespace: None,
            labels: Some(format!("{label}={name}")),
        };
        objects.list_metadata(&selection).await
    });
    let mut found = Vec::new();
    let mut looks = stream::iter(looks).buffer_unordered(LISTS_AT_ONCE);
    while let Some(look) = looks.next().await {
        match look {
            Ok(objects) => found.extend(objects),
            Err(error) => unseen.push(error),
        }
    }
    let uids: BTreeSet<String> = found
        .iter()
        .filter_map(|object| {
            let labels = &object["metadata"]["labels"];
            labels[pipectl_stages::objects::ownership::ENVIRONMENT_UID_LABEL]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    let uids: Vec<String> = uids.into_iter().collect();
    match uids.as_slice() {
        // What could not be looked at may hold it: that is no proof that there is none.
        [] => match unseen.into_iter().next() {
            Some(error) => Err(failed(error)),
            None => Ok(None),
        },
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
