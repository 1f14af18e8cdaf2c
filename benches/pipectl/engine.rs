//! The engine over steps that have nothing to do, and the journal's fold.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pipectl::engine::{
    Graph, PipelineInfo, RunOptions, RunOutcome, RunRecord, RunRequest, Stop, Verb, run,
};
use pipectl_stages::{
    Change, Environment, Need, Observation, Outcome, PortError, PortErrorKind, Ports, Readiness,
    Step, StepContext, StepError, StepId,
    ports::{
        objects::{
            ApplyOptions, ClusterIdentity, Deletion, ObjectApi, ObjectRef, Selection, Served,
        },
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec},
        secrets::{SecretApi, SecretSource, SecretValue},
    },
};
use pipectl_state::{
    Body, Change as Recorded, EnvironmentState, Invoker, Journal, Lease, LeaseOptions, OpenMode,
    PlanSummary, Record, RunId, RunKind,
};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};

use crate::table::{Problem, Table};

/// A hundred layers of a hundred steps; each step needs two of the layer before.
const LAYERS: usize = 100;
const IN_LAYER: usize = 100;
const RECORDS: usize = 100_000;
const TIMES: usize = 7;
const APPENDS: usize = 200;

/// A step whose thing is always there.
struct Present {
    id: StepId,
    needs: Vec<Need>,
}

#[async_trait]
impl Step for Present {
    fn id(&self) -> &StepId {
        &self.id
    }
    fn title(&self) -> String {
        self.id.to_string()
    }
    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }
    async fn observe(&self, _: &StepContext) -> Result<Observation, StepError> {
        Ok(Observation::Present)
    }
    async fn ensure(&self, _: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        Ok(Outcome {
            change: Change::Adopted,
            outputs: json!({ "name": self.id.as_str() }),
            summary: "one thing".to_owned(),
        })
    }
    async fn readiness(&self, _: &StepContext) -> Result<Readiness, StepError> {
        Ok(Readiness::Ready("works".to_owned()))
    }
}

fn steps() -> Vec<Arc<dyn Step>> {
    let id = |layer: usize, n: usize| StepId::new(&format!("layer-{layer}"), &n.to_string());
    let mut steps: Vec<Arc<dyn Step>> = Vec::with_capacity(LAYERS * IN_LAYER);
    for layer in 0..LAYERS {
        for n in 0..IN_LAYER {
            let needs = if layer == 0 {
                Vec::new()
            } else {
                let other = (n * 7 + 3) % IN_LAYER;
                vec![
                    Need::ready(id(layer - 1, n)),
                    Need::applied(id(layer - 1, other)),
                ]
            };
            steps.push(Arc::new(Present {
                id: id(layer, n),
                needs,
            }));
        }
    }
    steps
}

/// Plans and runs the whole graph once, with a journal on disk; answers how long that took.
async fn run_once(root: &Path) -> Result<Duration, Problem> {
    let lease = Lease::acquire(root, LeaseOptions::default()).await?;
    let mode = OpenMode::Write {
        run: RunId::new(),
        fence: lease.number(),
    };
    let (mut journal, state) = Journal::open(root, "bench", mode)?;
    if state.uid().is_none() {
        journal.append(vec![created()]).await?;
    }
    let steps = steps();
    let (events, mut told) = mpsc::unbounded_channel();
    let began = Instant::now();
    let request = RunRequest {
        graph: Graph::up(steps)?,
        journal,
        lease,
        hold: None,
        environment: Environment {
            name: "bench".to_owned(),
            uid: "u".to_owned(),
        },
        ports: Ports {
            objects: Arc::new(Closed(watch::channel(0).0)),
            releases: Arc::new(Closed(watch::channel(0).0)),
            secrets: Arc::new(Closed(watch::channel(0).0)),
            cloud: None,
        },
        pipeline: PipelineInfo {
            verb: Verb::Up,
            environment: "bench".to_owned(),
            environment_uid: "u".to_owned(),
            place: "nowhere".to_owned(),
            endpoints: Vec::new(),
            next: Vec::new(),
            again: None,
        },
        record: RunRecord {
            pipeline_digest: "d".to_owned(),
            pipeline: None,
            plan: PlanSummary::default(),
            invoked_by: Invoker::default(),
        },
        options: RunOptions::default(),
        stop: Stop::never(),
    };
    let end = run(request, events).await;
    let took = began.elapsed();
    while told.recv().await.is_some() {}
    if end.report.outcome == RunOutcome::Succeeded {
        Ok(took)
    } else {
        Err(format!("the run ended as {:?}", end.report.outcome).into())
    }
}

fn created() -> Body {
    Body::EnvironmentCreated {
        uid: RunId::new().as_uuid(),
        name: "bench".to_owned(),
        pipectl_version: "0".to_owned(),
        pins: BTreeMap::new(),
    }
}

fn started() -> Body {
    Body::RunStarted {
        kind: RunKind::Up,
        pipeline_digest: "d".to_owned(),
        pipeline: None,
        plan: PlanSummary::default(),
        invoked_by: Invoker::default(),
        pipectl_version: "0".to_owned(),
    }
}

/// A long life: run after run, each applying a hundred steps.
fn history() -> Vec<Record> {
    let mut records = Vec::with_capacity(RECORDS);
    let (mut run, at) = (RunId::new(), jiff::Timestamp::now());
    let mut push = |run: RunId, body: Body| {
        let seq = records.len() as u64 + 1;
        records.push(Record {
            seq,
            at,
            run,
            fence: 1,
            body,
        });
        seq < RECORDS as u64
    };
    push(run, created());
    loop {
        if !push(run, started()) {
            return records;
        }
        for n in 0..100 {
            let step = format!("stage-{}/{n}", n % 8);
            let bodies = [
                Body::StepIntent {
                    step: step.clone(),
                    attempt: 1,
                    identity: json!({ "name": step }),
                },
                Body::StepApplied {
                    step: step.clone(),
                    change: Recorded::Updated,
                    outputs: json!({ "name": step, "uid": "6f1c" }),
                    digest: "d".to_owned(),
                    millis: 12,
                },
                Body::StepReady {
                    step,
                    summary: "works".to_owned(),
                    outputs: None,
                    millis: 34,
                },
            ];
            for body in bodies {
                if !push(run, body) {
                    return records;
                }
            }
        }
        let finished = Body::RunFinished {
            outcome: pipectl_state::Outcome::Succeeded,
            millis: 56,
        };
        if !push(run, finished) {
            return records;
        }
        run = RunId::new();
    }
}

/// Measures, one row a figure.
///
/// # Errors
/// When a run does not end as it should.
pub fn measure(table: &mut Table, runtime: &Runtime) -> Result<(), Problem> {
    let directory = tempfile::tempdir()?;
    let first = runtime.block_on(run_once(directory.path()))?;
    table.millis("run of 10,000 steps, all adopted", "", vec![first]);
    let again: Result<Vec<Duration>, _> = (0..TIMES)
        .map(|_| runtime.block_on(run_once(directory.path())))
        .collect();
    table.millis("plan and run of 10,000 steps, no-op", "< 500", again?);

    let plan = (0..TIMES).map(|_| {
        let steps = steps();
        let began = Instant::now();
        let graph =
            Graph::up(steps).map(|graph| pipectl::engine::Plan::of(&graph, &BTreeMap::new()));
        graph.map(|_| began.elapsed())
    });
    table.millis("of that, the plan", "", plan.collect::<Result<_, _>>()?);

    let records = history();
    let folds = (0..TIMES).map(|_| {
        let began = Instant::now();
        EnvironmentState::fold("bench", &records).map(|_| began.elapsed())
    });
    table.millis(
        "fold of 100,000 records",
        "< 500",
        folds.collect::<Result<_, _>>()?,
    );
    Ok(())
}

/// An append is a write and a sync, since what follows it costs money.
///
/// # Errors
/// When the disk refuses.
pub fn append(table: &mut Table, runtime: &Runtime) -> Result<(), Problem> {
    let directory = tempfile::tempdir()?;
    let times = runtime.block_on(async {
        let lease = Lease::acquire(directory.path(), LeaseOptions::default()).await?;
        let mode = OpenMode::Write {
            run: RunId::new(),
            fence: lease.number(),
        };
        let (mut journal, _) = Journal::open(directory.path(), "bench", mode)?;
        journal.append(vec![created()]).await?;
        journal.append(vec![started()]).await?;
        let mut times = Vec::new();
        for n in 0..APPENDS {
            let intent = Body::StepIntent {
                step: format!("stage/{n}"),
                attempt: 1,
                identity: json!({ "name": n }),
            };
            let began = Instant::now();
            journal.append(vec![intent]).await?;
            times.push(began.elapsed());
        }
        Ok::<_, Problem>(times)
    })?;
    table.millis("durable append of a record (sync included)", "", times);
    Ok(())
}

/// Ports that lead nowhere: these steps use none.
struct Closed(watch::Sender<u64>);

fn closed<T>() -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Other, "BEN001", "closed"))
}

#[async_trait]
impl ObjectApi for Closed {
    async fn served(&self, _: &str, _: &str) -> Result<Option<Served>, PortError> {
        closed()
    }
    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        closed()
    }
    async fn get(&self, _: &ObjectRef) -> Result<Option<Value>, PortError> {
        closed()
    }
    async fn list(&self, _: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        closed()
    }
    async fn list_metadata(&self, _: &Selection) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn apply(&self, _: &Value, _: ApplyOptions) -> Result<Value, PortError> {
        closed()
    }
    async fn delete(&self, _: &ObjectRef, _: Option<&str>) -> Result<Deletion, PortError> {
        closed()
    }
    async fn strip_finalizers(
        &self,
        _: &ObjectRef,
        _: &str,
        _: &[String],
    ) -> Result<(), PortError> {
        closed()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        closed()
    }
}

#[async_trait]
impl ReleaseApi for Closed {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Release>, PortError> {
        closed()
    }
    async fn owned(&self, _: &str) -> Result<Vec<Release>, PortError> {
        closed()
    }
    async fn crds(&self, _: &ChartRef) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn render(&self, _: &ReleaseSpec) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn install(&self, _: &ReleaseSpec) -> Result<Release, PortError> {
        closed()
    }
    async fn uninstall(&self, _: &str, _: &str, _: Duration) -> Result<bool, PortError> {
        closed()
    }
}

#[async_trait]
impl SecretApi for Closed {
    async fn resolve(&self, _: &SecretSource) -> Result<SecretValue, PortError> {
        closed()
    }
}
