//! The only writer: jobs, signals and the lease's clock send to it; it alone appends to the journal and emits events.
//!
//! It takes whatever has queued, works out what follows, appends all of that in one durable write, and only then emits
//! the events, answers the intents and starts the jobs that follow. So nobody ever sees or does what is not recorded.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use pipectl_stages::{AbsenceReport, CheckResult, Finding, StepError, StepId};
use pipectl_state::{Body, Journal, Lease, Redactor};
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use super::{
    books, critical_path,
    event::{
        EVENT_VERSION, Event, EventKind, PipelineInfo, Plan, RunOutcome, Urgency, Verb, millis,
    },
    executor::{Desk, Job, Message},
    graph::Graph,
    node_run::NodeRun,
    recovery, redact,
    scheduler::Scheduler,
    words,
};

/// How long a write may still take after the second signal.
pub(super) const LAST_WRITE: Duration = Duration::from_millis(250);

/// How long after the grace of the first signal the run may go on; with that it ends within 5 s.
const AFTER_GRACE: Duration = Duration::from_secs(1);

/// What a step's job does next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Act,
    Wait,
}

/// What follows from the messages that were taken, until it is durable.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bodies: Vec<Body>,
    pub(super) events: Vec<EventKind>,
    pub(super) replies: Vec<oneshot::Sender<Result<(), StepError>>>,
    pub(super) jobs: Vec<(usize, Work)>,
    /// Attempt numbers given out in this batch, which the journal's state does not know yet.
    attempts: Vec<(usize, Value, u32)>,
}

/// What ended the run before its time.
pub(super) struct Fatal {
    pub(super) outcome: RunOutcome,
    pub(super) error: StepError,
}

pub(super) struct Dispatcher {
    pub(super) graph: Graph,
    pub(super) verb: Verb,
    pub(super) scheduler: Scheduler,
    pub(super) runs: Vec<NodeRun>,
    pub(super) journal: Journal,
    pub(super) lease: Lease,
    pub(super) desk: Arc<Desk>,
    pub(super) batch: Batch,
    pub(super) checks: Vec<CheckResult>,
    pub(super) absence: Vec<AbsenceReport>,
    pub(super) fatal: Option<Fatal>,
    pub(super) cancelled: bool,
    /// When a call that changes something was last dropped while under way.
    pub(super) dropped_at: Option<Instant>,
    /// Since when the run is ending.
    ending_since: Option<Instant>,
    redactor: Redactor,
    outputs: Arc<BTreeMap<String, Value>>,
    inbox: mpsc::UnboundedReceiver<Message>,
    events: mpsc::UnboundedSender<Event>,
    next_index: u64,
    began: Instant,
    began_at: Timestamp,
    jobs: JoinSet<()>,
    jobs_running: usize,
    effects_running: usize,
}

impl Dispatcher {
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, by the function that took the run's request apart"
    )]
    pub(super) fn new(
        graph: Graph,
        verb: Verb,
        journal: Journal,
        lease: Lease,
        desk: Arc<Desk>,
        inbox: mpsc::UnboundedReceiver<Message>,
        events: mpsc::UnboundedSender<Event>,
        began_at: Timestamp,
    ) -> Self {
        let cost = critical_path::expected(&graph, &desk.options.expectations);
        let rank = critical_path::ranks(&graph, &cost);
        let steps = &journal.state().steps;
        let outputs = steps
            .iter()
            .filter(|(_, step)| step.may_exist() && !step.outputs.is_null())
            .map(|(id, step)| (id.clone(), step.outputs.clone()))
            .collect();
        let runs = graph
            .nodes()
            .iter()
            .map(|node| NodeRun::new(steps.get(node.id.as_str())))
            .collect();
        Self {
            scheduler: Scheduler::new(&graph, rank),
            runs,
            graph,
            verb,
            redactor: journal.redactor(),
            journal,
            lease,
            desk,
            batch: Batch::default(),
            checks: Vec::new(),
            absence: Vec::new(),
            fatal: None,
            cancelled: false,
            dropped_at: None,
            ending_since: None,
            outputs: Arc::new(outputs),
            inbox,
            events,
            next_index: 0,
            began: Instant::now(),
            began_at,
            jobs: JoinSet::new(),
            jobs_running: 0,
            effects_running: 0,
        }
    }

    /// Goes through the whole graph, or as far as it may.
    pub(super) async fn go(&mut self, pipeline: PipelineInfo, started: Body) {
        let plan = Plan::of(&self.graph, &self.desk.options.expectations);
        let continues = recovery::interrupted(self.journal.state(), &self.graph);
        self.batch.bodies.push(started);
        self.batch.events.push(EventKind::RunStarted {
            pipeline,
            plan,
            continues,
        });
        let mut next_beat = Instant::now() + self.lease.heartbeat_every();
        let mut hard_end: Option<Instant> = None;
        let mut messages = Vec::new();
        loop {
            self.begin_what_may_begin();
            self.commit().await;
            while self.jobs.try_join_next().is_some() {}
            // With no job going on nothing can change any more: whatever has not ended then never will.
            if self.jobs_running == 0 {
                return;
            }
            if hard_end.is_none() && self.desk.soon.is_cancelled() {
                // A call that does not even notice that it is dropped must not keep the process.
                let since = *self.ending_since.get_or_insert_with(Instant::now);
                hard_end = Some(since + self.desk.options.grace + AFTER_GRACE);
            }
            let hard = async {
                match hard_end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            let held = self.fatal.is_none().then(|| self.desk.hold.clone());
            let lost = async {
                match held.flatten() {
                    Some(hold) => hold.lost().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // First, since messages may come without a pause.
                () = tokio::time::sleep_until(next_beat) => {
                    next_beat = Instant::now() + self.lease.heartbeat_every();
                    self.beat();
                }
                // Before the messages of those whose effects it refused: they are told by this.
                error = lost => self.lose_lease(error),
                _ = self.inbox.recv_many(&mut messages, 4096) => {}
                () = hard => {
                    self.jobs.abort_all();
                    return;
                }
            }
            for message in messages.drain(..) {
                self.handle(message);
            }
        }
    }

    /// Milliseconds since the run began.
    pub(super) fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn beat(&mut self) {
        match self.lease.heartbeat() {
            Ok(_) => {}
            // The old deadline stands; if no later heartbeat succeeds, it fences every further effect.
            Err(pipectl_state::LeaseError::Io { .. }) => {
                tracing::warn!("the lease's heartbeat could not be written; trying again");
            }
            Err(error) => self.lose_lease(words::of_lease(error)),
        }
    }

    fn begin_what_may_begin(&mut self) {
        while !self.is_ending() && self.effects_running < self.desk.options.effects.max(1) {
            let Some(node) = self.scheduler.next() else {
                return;
            };
            self.effects_running += 1;
            let now = self.now_ms();
            self.runs[node].started_ms = Some(now);
            let step = self.graph.nodes()[node].id.clone();
            if self.verb == Verb::Down {
                self.batch.bodies.push(Body::RemovalStarted {
                    step: step.to_string(),
                });
            }
            self.batch.events.push(EventKind::StepStarted { step });
            self.batch.jobs.push((node, Work::Act));
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.cancelled || self.fatal.is_some()
    }

    /// Makes the batch durable, then lets it take effect.
    pub(super) async fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let durable = self.fatal.is_none() && self.append(batch.bodies).await;
        if !durable {
            // What the batch would have begun does not begin, and nobody is told of it.
            let error = self.fatal.as_ref().map(|fatal| fatal.error.clone());
            let error = error.unwrap_or_else(|| words::run_is_ending(&StepId::from("run")));
            for reply in batch.replies {
                let _ = reply.send(Err(error.clone()));
            }
            self.batch.jobs = batch.jobs;
            self.drop_jobs_of_batch();
            return;
        }
        for event in batch.events {
            self.emit(event);
        }
        for reply in batch.replies {
            let _ = reply.send(self.desk.fence.check().map_err(words::of_lease));
        }
        for (node, work) in batch.jobs {
            self.start(node, work);
        }
    }

    /// Whether these are durable now. A run that is asked to end does not wait for a slow disk, after a second signal not
    /// even for the grace: then nobody knows yet, and the next run finds out.
    async fn append(&mut self, bodies: Vec<Body>) -> bool {
        if bodies.is_empty() {
            return true;
        }
        let begun = Instant::now();
        let Self {
            desk,
            journal,
            ending_since,
            ..
        } = self;
        let second_signal = async {
            desk.now.cancelled().await;
            tokio::time::sleep(LAST_WRITE).await;
        };
        let grace_over = async {
            desk.soon.cancelled().await;
            let since = *ending_since.get_or_insert_with(Instant::now);
            let end = since + desk.options.grace + AFTER_GRACE;
            tokio::time::sleep_until(end.max(begun + LAST_WRITE)).await;
        };
        let appended = tokio::select! {
            biased;
            appended = journal.append(bodies) => appended,
            () = second_signal => return false,
            () = grace_over => return false,
        };
        let Err(error) = appended else { return true };
        let location = self.journal.location();
        let error = words::of_state("write the journal", &location, &error);
        self.fail_for_good(RunOutcome::JournalFailed, error);
        false
    }

    pub(super) fn emit(&mut self, kind: EventKind) {
        let elapsed = self.began.elapsed();
        let event = Event {
            version: EVENT_VERSION,
            run: self.desk.run.clone(),
            index: self.next_index,
            at: self
                .began_at
                .saturating_add(elapsed)
                .unwrap_or(self.began_at),
            elapsed_ms: millis(elapsed),
            kind,
        };
        self.next_index += 1;
        // A reporter that went away does not stop the work.
        let _ = self.events.send(event);
    }

    fn start(&mut self, index: usize, work: Work) {
        let node = &self.graph.nodes()[index];
        let job = Job {
            desk: self.desk.clone(),
            node: index,
            step: node.id.clone(),
            title: node.title.clone(),
            task: node.task.clone(),
            timeouts: node.timeouts,
            poll_interval: node.poll_interval,
            outputs: self.outputs.clone(),
            recorded: self.runs[index].has_outputs && self.verb == Verb::Up,
            ground_lost: self.runs[index].ground_lost.subscribe(),
        };
        self.jobs_running += 1;
        match work {
            Work::Act => self.jobs.spawn(job.act()),
            Work::Wait => self.jobs.spawn(job.wait()),
        };
    }

    fn handle(&mut self, mut message: Message) {
        redact::scrub(&self.redactor, &mut message);
        match message {
            Message::Intent {
                node,
                identity,
                reply,
            } => self.intend(node, identity, reply),
            Message::Progress { node, progress } => {
                let said = (progress.message, progress.count);
                if self.runs[node].is_under_way() && self.runs[node].says(&said) {
                    let step = self.graph.nodes()[node].id.clone();
                    let (message, count) = said;
                    self.batch.events.push(EventKind::StepProgress {
                        step,
                        message,
                        count,
                    });
                }
            }
            Message::Waits {
                node,
                waiting_for,
                count,
            } => {
                let step = self.graph.nodes()[node].id.clone();
                self.batch.events.push(EventKind::StepWaits {
                    step,
                    waiting_for,
                    count,
                });
            }
            Message::Retrying {
                node,
                attempt,
                pause,
                error,
            } => {
                let step = self.graph.nodes()[node].id.clone();
                self.batch.events.push(EventKind::Retrying {
                    step,
                    attempt,
                    in_ms: millis(pause),
                    error,
                });
            }
            Message::Finding { node, finding } => self.found(node, finding),
            Message::Acted { node, end } => {
                self.jobs_running -= 1;
                self.effects_running -= 1;
                self.acted(node, end);
            }
            Message::Waited { node, end } => {
                self.jobs_running -= 1;
                self.waited(node, end);
            }
            Message::Asked(urgency) => self.asked_to_end(urgency),
        }
    }

    fn intend(
        &mut self,
        node: usize,
        identity: Value,
        reply: oneshot::Sender<Result<(), StepError>>,
    ) {
        let id = &self.graph.nodes()[node].id;
        // The call that follows would be new work; a step that has its token knows why it is refused.
        if self.is_ending() {
            let _ = reply.send(Err(words::run_is_ending(id)));
            return;
        }
        if self.verb != Verb::Up {
            let _ = reply.send(Err(words::creates_nothing(id, self.verb)));
            return;
        }
        let state = self.journal.state();
        let attempts = self.batch.attempts.iter().filter(|(of, _, _)| *of == node);
        let given = attempts.clone().find(|(_, known, _)| *known == identity);
        let attempt = given.map_or_else(
            || {
                let highest = attempts.map(|(_, _, attempt)| *attempt).max().unwrap_or(0);
                let recorded = state.attempt_for(id.as_str(), &identity);
                // A number that is recorded for this identity stays; a new one must be above all given out.
                if recorded < state.fresh_attempt(id.as_str()) {
                    recorded
                } else {
                    recorded.max(highest.saturating_add(1))
                }
            },
            |(_, _, attempt)| *attempt,
        );
        self.batch.bodies.push(Body::StepIntent {
            step: id.to_string(),
            attempt,
            identity: identity.clone(),
        });
        self.batch.attempts.push((node, identity, attempt));
        self.batch.replies.push(reply);
        self.runs[node].intended = true;
    }

    fn found(&mut self, node: usize, finding: Finding) {
        let step = self.graph.nodes()[node].id.clone();
        match finding {
            Finding::Check(check) => {
                self.checks.push(check.clone());
                self.batch
                    .events
                    .push(EventKind::VerificationResult { step, check });
            }
            Finding::Absence(report) => {
                if self.verb == Verb::Down {
                    self.batch.bodies.push(books::inventory(&report));
                }
                self.absence.push(report.clone());
                self.batch
                    .events
                    .push(EventKind::AbsenceChecked { step, report });
            }
        }
    }

    fn asked_to_end(&mut self, urgency: Urgency) {
        self.cancelled = true;
        self.end_what_has_not_begun();
        let running = self.under_way();
        self.batch
            .events
            .push(EventKind::Cancelling { urgency, running });
    }

    /// Steps that have begun and not ended.
    pub(super) fn under_way(&self) -> Vec<StepId> {
        (0..self.graph.len())
            .filter(|&node| self.runs[node].is_under_way())
            .map(|node| self.graph.nodes()[node].id.clone())
            .collect()
    }

    fn end_what_has_not_begun(&mut self) {
        self.scheduler.stop();
        self.drop_jobs_of_batch();
    }

    /// Jobs that were decided on and have not begun, and will not.
    fn drop_jobs_of_batch(&mut self) {
        for (node, work) in std::mem::take(&mut self.batch.jobs) {
            if work == Work::Act {
                self.effects_running -= 1;
                self.runs[node].started_ms = None;
            } else {
                self.runs[node].ended_ms = Some(self.now_ms());
            }
            self.scheduler.cancelled(node);
        }
    }

    pub(super) fn lose_lease(&mut self, error: StepError) {
        self.fail_for_good(RunOutcome::LeaseLost, error);
    }

    fn fail_for_good(&mut self, outcome: RunOutcome, error: StepError) {
        if self.fatal.is_some() {
            return;
        }
        self.emit(match outcome {
            RunOutcome::LeaseLost => EventKind::LeaseLost {
                error: error.clone(),
            },
            _ => EventKind::JournalFailed {
                error: error.clone(),
            },
        });
        self.fatal = Some(Fatal { outcome, error });
        self.end_what_has_not_begun();
        if outcome == RunOutcome::LeaseLost {
            // Somebody else may begin any moment: not even a grace.
            self.desk.now.cancel();
        }
        self.desk.soon.cancel();
    }

    pub(super) fn record_output(&mut self, node: usize, value: &Value) {
        if !value.is_null() {
            let id = self.graph.nodes()[node].id.to_string();
            Arc::make_mut(&mut self.outputs).insert(id, value.clone());
        }
    }

    pub(super) fn recorded_output(&self, node: usize) -> Option<&Value> {
        self.outputs.get(self.graph.nodes()[node].id.as_str())
    }
}
