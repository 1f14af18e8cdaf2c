//! A small world in which scripted steps make things, and the harness that runs a graph in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use pipectl_stages::{
    Change, Environment, Milestone, Need, Observation, Outcome, Ports, Readiness, Removal,
    RemovalProgress, Retry, Step, StepContext, StepError, StepId, Timeouts,
};
use pipectl_state::{
    Body, EnvironmentState, Invoker, Journal, JournalStore, Lease, LeaseOptions, MemoryStore,
    OpenMode, PlanSummary, Record, Redactor, RunId,
};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::surroundings::{Closed, PausedClock};
use crate::engine::{
    Event, EventKind, Graph, GraphError, Hold, PipelineInfo, RunEnd, RunOptions, RunRecord,
    RunRequest, Stop, Task, Verb, run,
};

/// What a scripted step does when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    EnsureFails,
    ReadinessFails,
    NeverReady,
    Panics,
    Hangs,
    /// `ensure` fails so many times in a way that may pass.
    Stumbles(u32),
    /// Says "created" without an intent.
    Unannounced,
    Foreign,
    /// Puts a secret into everything that it says, then fails.
    Blabs,
}

/// A step after a script.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) id: StepId,
    pub(super) needs: Vec<Need>,
    pub(super) stands_on: Vec<StepId>,
    pub(super) fate: Fate,
    pub(super) ensure: Duration,
    pub(super) ready: Duration,
    pub(super) poll: Option<Duration>,
    pub(super) timeouts: Timeouts,
}

impl Script {
    pub(super) fn new(id: &str, needs: Vec<Need>) -> Self {
        Self {
            id: StepId::from(id),
            needs,
            stands_on: Vec::new(),
            fate: Fate::Well,
            ensure: Duration::from_millis(50),
            ready: Duration::from_millis(200),
            poll: Some(Duration::from_millis(100)),
            timeouts: Timeouts::default(),
        }
    }

    pub(super) fn fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }

    pub(super) fn stands_on(mut self, ids: &[&str]) -> Self {
        self.stands_on = ids.iter().map(|id| StepId::from(*id)).collect();
        self
    }

    pub(super) fn takes(mut self, ensure: Duration, ready: Duration) -> Self {
        (self.ensure, self.ready) = (ensure, ready);
        self
    }
}

/// Something that a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) at: Instant,
    pub(super) step: String,
    pub(super) what: &'static str,
}

/// What exists, and what was done.
pub(super) struct World {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    acting: AtomicUsize,
    pub(super) most_acting: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    made: BTreeMap<String, Instant>,
    tries: BTreeMap<String, u32>,
    deeds: Vec<Deed>,
    mended: bool,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            changes: watch::channel(0).0,
            acting: AtomicUsize::new(0),
            most_acting: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deeds(&self) -> Vec<Deed> {
        self.lock().deeds.clone()
    }

    pub(super) fn did(&self, step: &str, what: &str) -> usize {
        let deeds = self.deeds();
        let same = deeds
            .iter()
            .filter(|deed| deed.step == step && deed.what == what);
        same.count()
    }

    pub(super) fn forget_deeds(&self) {
        self.lock().deeds.clear();
    }

    pub(super) fn exists(&self, step: &str) -> bool {
        self.lock().made.contains_key(step)
    }

    /// From now on every fate is `Well`.
    pub(super) fn mend(&self) {
        self.lock().mended = true;
    }

    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn note(&self, step: &StepId, what: &'static str) {
        self.lock().deeds.push(Deed {
            at: Instant::now(),
            step: step.to_string(),
            what,
        });
    }

    pub(super) fn ports(self: &Arc<Self>) -> Ports {
        let closed = Arc::new(Closed(self.changes.clone()));
        Ports {
            objects: closed.clone(),
            releases: closed.clone(),
            secrets: closed,
            cloud: None,
        }
    }
}

struct Acting<'a>(&'a AtomicUsize);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Scripted {
    script: Script,
    world: Arc<World>,
}

impl Scripted {
    fn fate(&self) -> Fate {
        if self.world.lock().mended {
            Fate::Well
        } else {
            self.script.fate
        }
    }

    async fn act(&self) -> Result<(), StepError> {
        let acting = self.world.acting.fetch_add(1, Ordering::SeqCst) + 1;
        let _acting = Acting(&self.world.acting);
        self.world.most_acting.fetch_max(acting, Ordering::SeqCst);
        tokio::time::sleep(self.script.ensure).await;
        let error =
            |retry| StepError::new("TST001", "make", &self.script.id, "no luck").with_retry(retry);
        match self.fate() {
            Fate::EnsureFails => Err(error(Retry::Never)),
            Fate::Panics => panic!("the script says so"),
            Fate::Hangs => std::future::pending().await,
            Fate::Stumbles(times) => {
                let mut inner = self.world.lock();
                let tries = inner.tries.entry(self.script.id.to_string()).or_default();
                *tries += 1;
                if *tries <= times {
                    Err(error(Retry::Soon))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Step for Scripted {
    fn id(&self) -> &StepId {
        &self.script.id
    }
    fn title(&self) -> String {
        format!("thing {}", self.script.id)
    }
    fn needs(&self) -> Vec<Need> {
        self.script.needs.clone()
    }

    fn stands_on(&self) -> Vec<StepId> {
        self.script.stands_on.clone()
    }
    fn timeouts(&self) -> Timeouts {
        self.script.timeouts
    }
    fn poll_interval(&self) -> Option<Duration> {
        self.script.poll
    }

    async fn observe(&self, _: &StepContext) -> Result<Observation, StepError> {
        self.world.note(&self.script.id, "observe");
        if self.fate() == Fate::Foreign {
            return Ok(Observation::Foreign("it belongs to bob".to_owned()));
        }
        let exists = self.world.exists(self.script.id.as_str());
        Ok(if exists {
            Observation::Present
        } else {
            Observation::Absent
        })
    }

    async fn ensure(&self, cx: &StepContext, seen: &Observation) -> Result<Outcome, StepError> {
        self.world.note(&self.script.id, "ensure");
        let name = self.script.id.to_string();
        let outputs = json!({ "name": name });
        if *seen == Observation::Present {
            let change = Change::Adopted;
            return Ok(Outcome {
                change,
                outputs,
                summary: "found again".to_owned(),
            });
        }
        if self.fate() != Fate::Unannounced {
            cx.intent(json!({ "name": name })).await?;
        }
        cx.progress(if self.fate() == Fate::Blabs {
            "with hunter2-hunter2"
        } else {
            "being made"
        });
        self.world.note(&self.script.id, "effect");
        self.act().await?;
        self.world.lock().made.insert(name, Instant::now());
        self.world.note(&self.script.id, "made");
        Ok(Outcome {
            change: Change::Created,
            outputs,
            summary: "one thing".to_owned(),
        })
    }

    async fn readiness(&self, _: &StepContext) -> Result<Readiness, StepError> {
        self.world.note(&self.script.id, "readiness");
        let made = self.world.lock().made.get(self.script.id.as_str()).copied();
        let since = made.map(|at| at.elapsed()).unwrap_or_default();
        Ok(match self.fate() {
            Fate::Blabs if since >= self.script.ready => {
                let error =
                    StepError::new("TST004", "use", "hunter2-hunter2", "no hunter2-hunter2")
                        .with_hint("try hunter2-hunter2 again")
                        .with_evidence(vec!["password=hunter2-hunter2".to_owned()]);
                Readiness::Failed(Box::new(error))
            }
            Fate::ReadinessFails => {
                let error = StepError::new("TST002", "wait for", &self.script.id, "it broke");
                Readiness::Failed(Box::new(error))
            }
            Fate::NeverReady => Readiness::waiting("a miracle"),
            Fate::Blabs if since < self.script.ready => {
                Readiness::waiting("hunter2-hunter2 to work")
            }
            _ if since >= self.script.ready => {
                self.world.note(&self.script.id, "works");
                Readiness::Ready("works".to_owned())
            }
            _ => Readiness::waiting("some time to pass"),
        })
    }
}

#[async_trait]
impl Removal for Scripted {
    fn id(&self) -> &StepId {
        &self.script.id
    }
    fn title(&self) -> String {
        format!("thing {}", self.script.id)
    }
    fn needs(&self) -> Vec<Need> {
        self.script.needs.clone()
    }
    fn timeouts(&self) -> Timeouts {
        self.script.timeouts
    }
    fn poll_interval(&self) -> Option<Duration> {
        self.script.poll
    }
    fn regardless(&self) -> bool {
        self.script.id.name() == "proof"
    }
    async fn start(&self, _: &StepContext) -> Result<u32, StepError> {
        self.world.note(&self.script.id, "start");
        self.act().await?;
        Ok(u32::from(self.world.exists(self.script.id.as_str())))
    }
    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        self.world.note(&self.script.id, "progress");
        if self.fate() == Fate::ReadinessFails {
            let error = StepError::new("TST003", "remove", &self.script.id, "a finalizer stays");
            return Ok(RemovalProgress::Stuck(Box::new(error)));
        }
        self.world.lock().made.remove(self.script.id.as_str());
        if self.script.id.name() == "proof" {
            cx.finding(super::down::absence(self.world.lock().made.len()));
        }
        Ok(RemovalProgress::Gone("1 thing".to_owned()))
    }
}

/// One line of the common log of records and events, in the order in which they came to be.
#[derive(Debug, Clone)]
pub(super) enum Line {
    Recorded(Box<Body>),
    Said(Box<Event>),
}

/// A store that writes down which events had been said before each append.
struct Watching {
    inner: MemoryStore,
    log: Arc<Mutex<Log>>,
    /// A write that begins from then on never ends.
    stuck_after: Option<Instant>,
}

pub(super) struct Log {
    pub(super) lines: Vec<Line>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Log {
    fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.lines.push(Line::Said(Box::new(event)));
        }
    }
}

#[async_trait]
impl JournalStore for Watching {
    async fn load(&mut self) -> Result<pipectl_state::Loaded, pipectl_state::StateError> {
        self.inner.load().await
    }
    async fn append(&mut self, batch: &[Record]) -> Result<(), pipectl_state::StateError> {
        if self.stuck_after.is_some_and(|at| Instant::now() >= at) {
            std::future::pending::<()>().await;
        }
        self.inner.append(batch).await?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.catch_up();
        let lines = batch
            .iter()
            .map(|record| Line::Recorded(Box::new(record.body.clone())));
        log.lines.extend(lines);
        Ok(())
    }
    async fn settle(&mut self) -> Result<u64, pipectl_state::StateError> {
        self.inner.settle().await
    }
    async fn rotate(&mut self, _: &Record) -> Result<bool, pipectl_state::StateError> {
        Ok(false)
    }
    fn size(&self) -> u64 {
        0
    }
    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// An environment to run graphs in, one run after the other.
pub(super) struct House {
    pub(super) world: Arc<World>,
    pub(super) store: MemoryStore,
    pub(super) clock: Arc<PausedClock>,
    pub(super) options: RunOptions,
    /// How long into a run the disk stops writing.
    pub(super) stuck_after: Option<Duration>,
    pub(super) directory: tempfile::TempDir,
    pub(super) hold: Option<Arc<dyn Hold>>,
}

/// What one run left to look at.
pub(super) struct Seen {
    pub(super) end: RunEnd,
    pub(super) lines: Vec<Line>,
    pub(super) took: Duration,
}

impl Seen {
    pub(super) fn events(&self) -> Vec<&Event> {
        let said = self.lines.iter().filter_map(|line| match line {
            Line::Said(event) => Some(&**event),
            Line::Recorded(_) => None,
        });
        said.collect()
    }

    pub(super) fn kinds(&self) -> Vec<&EventKind> {
        self.events().into_iter().map(|event| &event.kind).collect()
    }

    pub(super) fn records(&self) -> Vec<&Body> {
        let recorded = self.lines.iter().filter_map(|line| match line {
            Line::Recorded(body) => Some(&**body),
            Line::Said(_) => None,
        });
        recorded.collect()
    }

    pub(super) fn steps_that(&self, which: impl Fn(&EventKind) -> bool) -> BTreeSet<String> {
        let kinds = self.kinds();
        let hits = kinds.iter().filter(|kind| which(kind));
        hits.filter_map(|kind| kind.step().map(ToString::to_string))
            .collect()
    }
}

impl House {
    pub(super) fn new() -> Self {
        Self {
            world: World::new(),
            store: MemoryStore::new(),
            clock: Arc::default(),
            options: RunOptions::default(),
            stuck_after: None,
            directory: tempfile::tempdir().expect("a directory for the lease"),
            hold: None,
        }
    }

    pub(super) fn graph(&self, scripts: &[Script], verb: Verb) -> Graph {
        self.try_graph(scripts, verb).expect("a graph")
    }

    pub(super) fn try_graph(&self, scripts: &[Script], verb: Verb) -> Result<Graph, GraphError> {
        let tasks = scripts.iter().map(|script| {
            let scripted = Arc::new(Scripted {
                script: script.clone(),
                world: self.world.clone(),
            });
            match verb {
                Verb::Down => Task::Down(scripted),
                Verb::Up | Verb::Verify => Task::Up(scripted),
            }
        });
        Graph::build(tasks.collect())
    }

    pub(super) async fn up(&self, scripts: &[Script]) -> Seen {
        self.run(scripts, Verb::Up, Stop::never()).await
    }

    pub(super) async fn run(&self, scripts: &[Script], verb: Verb, stop: Stop) -> Seen {
        let options = LeaseOptions {
            clock: self.clock.clone(),
            ..LeaseOptions::default()
        };
        let lease = Lease::acquire(self.directory.path(), options)
            .await
            .expect("the lease");
        let (events, receiver) = mpsc::unbounded_channel();
        let log = Arc::new(Mutex::new(Log {
            lines: Vec::new(),
            events: receiver,
        }));
        let store = Watching {
            inner: self.store.clone(),
            log: log.clone(),
            stuck_after: self.stuck_after.map(|after| Instant::now() + after),
        };
        let mode = OpenMode::Write {
            run: RunId::new(),
            fence: lease.number(),
        };
        let (journal, state) = Journal::over(Box::new(store), "house", mode)
            .await
            .expect("the journal");
        let redactor = Redactor::new();
        redactor.register("password", "hunter2-hunter2");
        let mut journal = journal.with_redactor(redactor);
        if state.uid().is_none() {
            let created = Body::EnvironmentCreated {
                uid: RunId::new().as_uuid(),
                name: "house".to_owned(),
                pipectl_version: "0".to_owned(),
                pins: BTreeMap::new(),
            };
            journal
                .append(vec![created])
                .await
                .expect("room for one record");
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .lines
                .clear();
        }
        let request = RunRequest {
            graph: self.graph(scripts, verb),
            journal,
            lease,
            hold: self.hold.clone(),
            environment: Environment {
                name: "house".to_owned(),
                uid: "u".to_owned(),
            },
            ports: self.world.ports(),
            pipeline: PipelineInfo {
                verb,
                environment: "house".to_owned(),
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
            options: self.options.clone(),
            stop,
        };
        let began = Instant::now();
        let end = run(request, events).await;
        let took = began.elapsed();
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.catch_up();
        Seen {
            end,
            lines: log.lines.clone(),
            took,
        }
    }

    /// What a new process would read.
    pub(super) fn folded(&self) -> EnvironmentState {
        EnvironmentState::fold("house", &self.store.records()).expect("a legal history")
    }
}

/// A need, for short.
pub(super) fn need(step: &str, milestone: Milestone) -> Need {
    Need {
        step: StepId::from(step),
        milestone,
    }
}
