//! An environment: its pipeline, its journal, and runs of its graphs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pipectl::engine::{
    Event, EventKind, Graph, PipelineInfo, RetryPolicy, RunEnd, RunOptions, RunOutcome, RunRecord,
    RunRequest, Stop, Verb, run,
};
use pipectl::session::hold::{self, AccountLease, Claimant};
use pipectl_config::{Blueprint, LoadOptions, Loaded, Override};
use pipectl_stages::{
    CloudDownOptions, CloudOptions, Environment, Ports, Removal, Step, StepError, UpOptions,
    down_on_aws, up_on_aws,
};
use pipectl_state::{
    Body, BootClock, Holder, Invoker, Journal, Lease, LeaseOptions, MemoryStore, OpenMode,
    PlanSummary, RunId,
};
use tokio::sync::mpsc;

use crate::{account::Account, cluster::FakeCluster};

/// The stages that are run here; the others need a real API server.
const STAGES: &[&str] = &["account", "network", "cluster", "addons", "nodes"];

/// The pipeline of these tests: everything that the AWS stages can make.
pub const PIPELINE: &[(&str, &str)] = &[
    ("spec.provider", "{eks: {region: us-west-2}}"),
    ("spec.network.zoneCount", "2"),
    ("spec.cluster.encryptSecrets", "true"),
    ("spec.cluster.logging", "[api, audit]"),
    ("spec.nodeGroups", "[{name: default, size: 2}]"),
    ("spec.tags", "{team: data}"),
];

/// The pipeline with further settings.
pub fn pipeline(changes: &[(&str, &str)]) -> Loaded {
    let overrides = PIPELINE
        .iter()
        .chain(changes)
        .map(|(path, value)| Override {
            path: (*path).to_owned(),
            value: (*value).to_owned(),
        });
    let options = LoadOptions {
        overrides: overrides.collect(),
        ..LoadOptions::default()
    };
    Blueprint::get("streaming").unwrap().load(&options).unwrap()
}

/// An environment in an account.
pub struct House {
    pub account: Arc<Account>,
    pub cluster: Arc<FakeCluster>,
    pub environment: Environment,
    pub store: MemoryStore,
    /// The process that works on it; a test says so where it is to be another machine's, or one that has died.
    pub holder: Holder,
    /// How long the lease in the account counts, and a call that was begun under it.
    pub bounds: (Duration, Duration),
    fences: u64,
}

/// How a run went.
pub struct Seen {
    pub end: RunEnd,
    pub events: Vec<Event>,
}

impl Seen {
    pub fn succeeded(&self) -> bool {
        self.end.report.outcome == RunOutcome::Succeeded
    }

    pub fn failures(&self) -> Vec<String> {
        let failures = self.end.report.failures.iter();
        let fatal = self.end.report.fatal.iter();
        failures
            .map(|failure| {
                format!(
                    "{}: {} {:?}",
                    failure.step, failure.error, failure.error.evidence
                )
            })
            .chain(fatal.map(ToString::to_string))
            .collect()
    }

    /// What steps were waiting for when the run ended.
    pub fn waits(&self) -> Vec<String> {
        let mut waits = BTreeMap::new();
        for event in &self.events {
            match &event.kind {
                EventKind::StepWaits {
                    step, waiting_for, ..
                } => {
                    waits.insert(step.clone(), waiting_for.clone());
                }
                EventKind::StepReady { step, .. } | EventKind::RemovalGone { step, .. } => {
                    waits.remove(step);
                }
                _ => {}
            }
        }
        let waits = waits.into_iter();
        waits
            .map(|(step, words)| format!("{step} waits: {words}"))
            .collect()
    }

    /// Holds that the run went well.
    #[track_caller]
    pub fn well(self) -> Self {
        assert!(
            self.succeeded(),
            "{:?}: {:#?}",
            self.end.report.outcome,
            self.failures()
        );
        self
    }

    /// The error of the only step that failed.
    #[track_caller]
    pub fn error_of(&self, step: &str) -> StepError {
        let failures = &self.end.report.failures;
        let found = failures
            .iter()
            .find(|failure| failure.step.as_str() == step);
        found
            .unwrap_or_else(|| panic!("{step} did not fail: {:#?}", self.failures()))
            .error
            .clone()
    }

    /// Steps that changed something.
    pub fn changed(&self) -> Vec<String> {
        let events = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::StepApplied { step, change, .. }
                if *change > pipectl_stages::Change::Adopted =>
            {
                Some(step.to_string())
            }
            _ => None,
        });
        events.collect()
    }
}

impl House {
    pub async fn new(account: Arc<Account>, name: &str) -> Self {
        let cluster = FakeCluster::new(&account);
        Self {
            account,
            cluster,
            environment: Environment {
                name: name.to_owned(),
                uid: uid(),
            },
            store: MemoryStore::new(),
            holder: Holder::current(),
            bounds: (hold::TERM, hold::MARGIN),
            fences: 0,
        }
    }

    pub fn options(&self) -> CloudOptions {
        CloudOptions {
            pace: self.account.pace(),
            state_url: None,
        }
    }

    /// The steps of the AWS stages.
    pub fn steps(&self, loaded: &Loaded) -> Vec<Arc<dyn Step>> {
        let steps = up_on_aws(loaded, UpOptions::default(), &self.options()).into_iter();
        steps
            .filter(|step| {
                STAGES.contains(&step.id().stage()) && step.id().as_str() != "addons/storage-class"
            })
            .collect()
    }

    /// The removals, as a `down` begins with them.
    pub async fn removals(&self, keep_data: bool) -> Vec<Arc<dyn Removal>> {
        let ports = self.account.ports(&self.cluster).await;
        let before = self.account.inventory(&ports, &self.environment).await;
        down_on_aws(&CloudDownOptions {
            pace: self.account.pace(),
            keep_data,
            before,
        })
    }

    pub async fn up(&mut self, loaded: &Loaded) -> Seen {
        let graph = Graph::up(self.steps(loaded)).unwrap();
        self.run(graph, Verb::Up, Stop::never()).await
    }

    pub async fn down(&mut self) -> Seen {
        let graph = Graph::down(self.removals(false).await).unwrap();
        self.run(graph, Verb::Down, Stop::never()).await
    }

    /// Everything recorded is lost.
    pub fn forget(&mut self) {
        self.store = MemoryStore::new();
    }

    pub async fn run(&mut self, graph: Graph, verb: Verb, stop: Stop) -> Seen {
        self.work().await.run(graph, verb, stop).await
    }

    /// What a run of this process needs, for a test that runs it elsewhere.
    pub async fn work_of(&mut self, holder: Holder) -> Work {
        let work = self.work().await;
        Work { holder, ..work }
    }

    /// What a run needs, for a test that runs it elsewhere.
    pub async fn work(&mut self) -> Work {
        self.fences += 1;
        Work {
            environment: self.environment.clone(),
            store: self.store.clone(),
            fence: self.fences,
            ports: self.account.ports(&self.cluster).await,
            holder: self.holder.clone(),
            bounds: self.bounds,
            scale: self.account.scale,
        }
    }
}

/// A UID for an environment.
pub fn uid() -> String {
    RunId::new().as_uuid().to_string()
}

/// What a run needs of its environment.
pub struct Work {
    environment: Environment,
    store: MemoryStore,
    fence: u64,
    ports: Ports,
    holder: Holder,
    bounds: (Duration, Duration),
    scale: f64,
}

impl Work {
    pub async fn run(self, graph: Graph, verb: Verb, stop: Stop) -> Seen {
        let directory = tempfile::tempdir().unwrap();
        let options = LeaseOptions {
            fence_above: self.fence,
            ..LeaseOptions::default()
        };
        let lease = Lease::acquire(directory.path(), options).await.unwrap();
        let mode = OpenMode::Write {
            run: RunId::new(),
            fence: lease.number(),
        };
        let name = self.environment.name.clone();
        let (mut journal, state) = Journal::over(Box::new(self.store), &name, mode)
            .await
            .unwrap();
        if state.uid().is_none() {
            let created = Body::EnvironmentCreated {
                uid: self.environment.uid.parse().unwrap(),
                name: name.clone(),
                pipectl_version: "0".to_owned(),
                pins: BTreeMap::new(),
            };
            journal.append(vec![created]).await.unwrap();
        }
        let claimant = Claimant {
            holder: self.holder,
            run: journal.run().unwrap().to_string(),
            earlier: journal
                .state()
                .runs
                .iter()
                .map(|run| run.id.to_string())
                .collect(),
        };
        let anchors = self.ports.cloud.as_ref().unwrap().anchors.clone();
        let (owner, clock) = (self.environment.clone(), Arc::new(BootClock));
        let hold = AccountLease::within(anchors, owner, claimant, self.bounds, clock);
        let scaled = |seconds: f64| Duration::from_secs_f64(seconds / self.scale);
        let request = RunRequest {
            graph,
            journal,
            lease,
            hold: Some(hold.clone()),
            pipeline: PipelineInfo {
                verb,
                environment: name,
                environment_uid: self.environment.uid.clone(),
                place: "a simulated account".to_owned(),
                endpoints: Vec::new(),
                next: Vec::new(),
                again: None,
            },
            environment: self.environment,
            ports: hold.over(self.ports),
            record: RunRecord {
                pipeline_digest: "d".to_owned(),
                pipeline: None,
                plan: PlanSummary::default(),
                invoked_by: Invoker::default(),
            },
            options: RunOptions {
                retry: RetryPolicy {
                    first: scaled(0.5).max(Duration::from_millis(10)),
                    longest: scaled(15.0).max(Duration::from_millis(100)),
                    ..RetryPolicy::default()
                },
                ..RunOptions::default()
            },
            stop,
        };
        let (events, mut said) = mpsc::unbounded_channel();
        let end = run(request, events).await;
        let mut all = Vec::new();
        while let Ok(event) = said.try_recv() {
            all.push(event);
        }
        Seen { end, events: all }
    }
}

impl House {
    /// Enters the cluster, as `up` does; answers its name.
    pub async fn enter(&self) -> String {
        let ports = self.account.ports(&self.cluster).await;
        let cloud = ports.cloud.unwrap();
        let name = format!("pipectl-{}", self.environment.name);
        let found = cloud.clusters.find(&name).await.unwrap().unwrap();
        let door = pipectl_stages::ports::entrance::Door {
            cluster: found.name,
            arn: found.arn,
            region: crate::account::REGION.to_owned(),
            server: found.server.unwrap(),
            ca: found.ca.unwrap(),
        };
        cloud.entrance.enter(&door).await.unwrap();
        name
    }
}

/// Of a matrix those that the fast subset runs: one in so many, each time the same; all with `PIPECTL_AWS_MATRIX=all`.
/// `PIPECTL_AWS_ONLY` keeps those whose words contain its value.
pub fn chosen<T: std::fmt::Debug>(matrix: Vec<T>, one_in: usize) -> Vec<T> {
    let whole = std::env::var_os("PIPECTL_AWS_MATRIX").is_some_and(|value| value == "all");
    let only = std::env::var("PIPECTL_AWS_ONLY").unwrap_or_default();
    let numbered = matrix.into_iter().enumerate();
    numbered
        .filter(|(number, _)| whole || number % one_in == 0)
        .map(|(_, point)| point)
        .filter(|point| format!("{point:?}").contains(&only))
        .collect()
}
