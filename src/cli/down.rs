//! `pipectl down`: takes an environment away and proves that nothing is left.

use std::collections::BTreeMap;

use pipectl_stages::{Environment as Owner, inventory::Inventory};
use pipectl_state::{Environment, EnvironmentState, PlanSummary};
use uuid::Uuid;

use super::{
    args::{DownArgs, Global},
    output::Output,
    reach::{self, Start, reach},
    run_report::{self, Reporting},
};
use crate::{
    engine::{self, Graph, PipelineInfo, RunOptions, RunRecord, RunRequest, Verb},
    exit::Exit,
    failure::Failure,
    session::{
        access::Access,
        environment::{self, Begun, state_failure},
        place::{Entrance, Place, Region},
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
    let (access, uid) = find(args, &environment, recorded.as_ref(), output).await?;
    let place = access.place.clone();
    let owner = Owner {
        name: name.clone(),
        uid: uid.to_string(),
    };
    let loaded = recorded.as_ref().and_then(standing::recorded_pipeline);
    let ports = access.ports(loaded.as_ref(), None)?;
    let before = access
        .inventory(&ports, &owner, recorded.as_ref(), args.keep_data)
        .await;
    confirm(args, &owner, &before, &place, output)?;

    let waiting = environment::lease_options(move |words| output.note(words));
    let Begun { journal, lease, .. } =
        environment::begin(&environment, &access, uid, waiting).await?;
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

/// Goes to where the environment lives, and answers its UID: as recorded, or else as the records, labels and tags of the
/// places tell that the command line means.
async fn find(
    args: &DownArgs,
    environment: &Environment,
    recorded: Option<&EnvironmentState>,
    output: Output,
) -> Result<(Access, Uuid), Failure> {
    let name = environment.name();
    let places = match recorded {
        Some(state) => vec![recorded_place(args, state, name)?],
        None => named_places(args, output).await?,
    };
    if places.is_empty() {
        return Err(environment::unknown(name));
    }
    for place in &places {
        let access = reach(place, environment, Start::IfNeeded, output).await?;
        access.fence(recorded).await?;
        if let Some(uid) = uid(&access, name, recorded, args.keep_data).await? {
            return Ok((access, uid));
        }
    }
    let looked: Vec<String> = places.iter().map(ToString::to_string).collect();
    let looked = looked.join(" and ");
    Err(Failure::problem(
        Exit::BadInput,
        "STA001",
        "find",
        format!("environment {name}"),
        format!("nothing is recorded of it on this machine, and there is no environment of that name in {looked}"),
    )
    .hint("see `pipectl list`; on AWS, name the region it lives in with --region"))
}

/// Where the record says that the environment lives, unless the command line names another place: then it is refused.
fn recorded_place(args: &DownArgs, state: &EnvironmentState, name: &str) -> Result<Place, Failure> {
    let recorded = args
        .aws
        .recorded(state)
        .ok_or_else(|| environment::unknown(name))?;
    let named = match (&recorded, &args.sandbox, &args.kubeconfig) {
        (_, _, Some(kubeconfig)) => Place::Existing(Some(Entrance {
            kubeconfig: kubeconfig.clone(),
            context: args.context.clone(),
        })),
        (Place::Eks(region), sandbox, None) => {
            let mut region = region.clone();
            if let Some(named) = &args.aws.region {
                region.region.clone_from(named);
            }
            if sandbox.is_some() {
                region.sandbox.clone_from(sandbox);
            }
            Place::Eks(region)
        }
        (_, Some(sandbox), None) => Place::Sandbox(sandbox.clone()),
        (_, None, None) => recorded,
    };
    named.check(state.pins(), name)?;
    Ok(named)
}

/// The places that the command line means, in the order in which they are looked at. In a sandbox an environment lives in the
/// simulated AWS or in the plain cluster.
async fn named_places(args: &DownArgs, output: Output) -> Result<Vec<Place>, Failure> {
    let region = |region: String| {
        Place::Eks(Region {
            region,
            account: None,
            sandbox: args.sandbox.clone(),
            credentials: args.aws.credentials(),
        })
    };
    Ok(match (&args.aws.region, &args.sandbox, &args.kubeconfig) {
        (Some(name), ..) => vec![region(name.clone())],
        (None, Some(sandbox), _) => {
            let settings = reach::settings(sandbox, false, Start::IfNeeded, output).await?;
            vec![region(settings.aws.region), Place::Sandbox(sandbox.clone())]
        }
        (None, None, Some(kubeconfig)) => vec![Place::Existing(Some(Entrance {
            kubeconfig: kubeconfig.clone(),
            context: args.context.clone(),
        }))],
        (None, None, None) => Vec::new(),
    })
}

/// The environment's UID: as recorded, or else as its record there, or labels and tags tell.
async fn uid(
    access: &Access,
    name: &str,
    recorded: Option<&EnvironmentState>,
    keep_data: bool,
) -> Result<Option<Uuid>, Failure> {
    if let Some(uid) = recorded.and_then(EnvironmentState::uid) {
        return Ok(Some(uid));
    }
    if let Some(found) = access.find().await? {
        return Ok(Some(found.uid));
    }
    // Its record there goes last, so it is only missing when somebody removed it by hand.
    let mut uids = Vec::new();
    for uid in access.remains().await? {
        let owner = Owner {
            name: name.to_owned(),
            uid,
        };
        // Tags are shown of what has long been deleted.
        let ports = access.ports(None, None)?;
        let left = access.inventory(&ports, &owner, None, keep_data).await;
        if !left.items.is_empty() || !left.not_checked.is_empty() {
            uids.push(owner.uid);
        }
    }
    match uids.as_slice() {
        [] => Ok(None),
        [uid] => Ok(uid.parse().ok()),
        several => Err(Failure::problem(
            Exit::Refused,
            "CLI017",
            "choose",
            format!("environment {name}"),
            format!("several environments of that name have left things in {}: {}", access.place, several.join(", ")),
        )
        .hint("their records were lost; remove what carries one of these values of pipectl.dev/environment-uid first")),
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
    ("EKS cluster", "EKS cluster", "EKS clusters"),
    ("instance", "instance", "instances"),
    ("volume", "volume", "volumes"),
    ("load balancer", "load balancer", "load balancers"),
    ("NAT gateway", "NAT gateway", "NAT gateways"),
    ("VPC", "VPC", "VPCs"),
    ("KMS key", "KMS key", "KMS keys"),
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
