//! A run from its request to its report.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use pipectl_stages::{AbsenceReport, CheckResult, Environment, Ports, StepError, StepId, Verdict};
use pipectl_state::{Body, EnvironmentState, Journal, Lease};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    books::{self, RunRecord},
    critical_path::{self, Cost, Expectations, PathPart, Timing},
    dispatcher::{Dispatcher, LAST_WRITE},
    event::{Event, EventKind, Phase, PipelineInfo, RunOutcome, Totals, Urgency, Verb},
    executor::{Desk, Message},
    graph::Graph,
    hold::Hold,
    options::RunOptions,
    scheduler::State,
    stop::Stop,
    words,
};

/// Everything a run needs.
pub struct RunRequest {
    /// What to do.
    pub graph: Graph,
    /// The environment's journal, open for writing under `lease` with this run's id, the environment created in it.
    pub journal: Journal,
    /// The environment's lease.
    pub lease: Lease,
    /// The hold that other machines see, where the environment has one.
    pub hold: Option<Arc<dyn Hold>>,
    /// The environment.
    pub environment: Environment,
    /// The ways to the outside.
    pub ports: Ports,
    /// What reporters say about the environment.
    pub pipeline: PipelineInfo,
    /// What the journal keeps about the run.
    pub record: RunRecord,
    /// Bounds and intervals.
    pub options: RunOptions,
    /// How the run is asked to end.
    pub stop: Stop,
}

/// How long giving the hold back may take.
const GIVING_BACK: Duration = Duration::from_secs(20);

/// The same of a run that was asked to end: with its grace and its last write, that is within 5 s.
const GIVING_BACK_SOON: Duration = Duration::from_millis(800);

/// A step's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// The step.
    pub step: StepId,
    /// What it was doing.
    pub phase: Phase,
    /// The error.
    pub error: StepError,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// How it ended.
    pub outcome: RunOutcome,
    /// How many steps ended in which way.
    pub totals: Totals,
    /// How long it took.
    pub took: Duration,
    /// The failures, in the graph's order.
    pub failures: Vec<StepFailure>,
    /// Results of verification, in the order in which they came.
    pub checks: Vec<CheckResult>,
    /// Inventories after removals, in the order in which they came.
    pub absence: Vec<AbsenceReport>,
    /// When what happened to each step that began.
    pub timings: Vec<Timing>,
    /// What decided how long it took.
    pub critical_path: Vec<PathPart>,
    /// What ended the run before its time: the lease or the journal.
    pub fatal: Option<StepError>,
    /// Steps whose call was still going on when the run ended.
    pub in_flight: Vec<StepId>,
}

/// What a run gives back.
#[derive(Debug)]
pub struct RunEnd {
    /// How it went.
    pub report: RunReport,
    /// The journal.
    pub journal: Journal,
    /// The lease, where the run did not give it back itself: after a `down` that was to remove the environment and did,
    /// so that its directory can be moved to the history under it.
    pub lease: Option<Lease>,
}

/// What earlier runs took, for [`RunOptions::expectations`].
#[must_use]
pub fn expectations(state: &EnvironmentState, verb: Verb) -> Expectations {
    let cost = |apply: Option<u64>, ready: Option<u64>| Cost {
        applied: Duration::from_millis(apply.unwrap_or(0)),
        ready: Duration::from_millis(ready.unwrap_or(0)),
    };
    let durations = state.steps.iter().filter_map(|(id, step)| {
        let known = step.durations;
        let cost = match verb {
            Verb::Up => known.ready.map(|ready| cost(known.apply, Some(ready))),
            Verb::Down => known.removal.map(|removal| cost(None, Some(removal))),
            Verb::Verify => None,
        };
        cost.map(|cost| (StepId::from(id.as_str()), cost))
    });
    durations.collect()
}

/// Runs the graph. Everything that happens is said through `events`, the last of them [`EventKind::RunFinished`].
///
/// Ends by itself; within about four seconds after the first request of `stop`, at once after the second.
pub async fn run(request: RunRequest, events: mpsc::UnboundedSender<Event>) -> RunEnd {
    let verb = request.pipeline.verb;
    let run = request
        .journal
        .run()
        .map_or_else(String::new, |run| run.to_string());
    let (messages, inbox) = mpsc::unbounded_channel();
    let desk = Arc::new(Desk {
        messages: messages.clone(),
        environment: request.environment,
        run,
        ports: request.ports,
        soon: CancellationToken::new(),
        now: CancellationToken::new(),
        fence: request.lease.fence(),
        hold: request.hold,
        places: Semaphore::new(request.options.waits.max(1)),
        options: request.options,
    });
    let listener = tokio::spawn(listen(request.stop, desk.clone()));
    let mut dispatcher = Dispatcher::new(
        request.graph,
        verb,
        request.journal,
        request.lease,
        desk,
        inbox,
        events,
        Timestamp::now(),
    );
    let started = request.record.started(verb);
    dispatcher.go(request.pipeline, started).await;
    let end = dispatcher.finish().await;
    listener.abort();
    end
}

/// Hands requests to end on: to the jobs at once, to the dispatcher in its turn.
async fn listen(mut stop: Stop, desk: Arc<Desk>) {
    let mut requested = stop.requested();
    loop {
        if let Some(urgency) = requested {
            desk.soon.cancel();
            if urgency == Urgency::Now {
                desk.now.cancel();
            }
            let _ = desk.messages.send(Message::Asked(urgency));
        }
        requested = Some(stop.changed().await);
    }
}

impl Dispatcher {
    async fn finish(mut self) -> RunEnd {
        let failures = self.failures();
        let outcome = self.outcome(&failures);
        let took_ms = self.now_ms();
        let gone = self.closing_records(outcome, took_ms).await;
        // The last write may have been the one that failed.
        let outcome = self.fatal.as_ref().map_or(outcome, |fatal| fatal.outcome);
        let timings = self.timings();
        let report = RunReport {
            outcome,
            totals: self.totals(),
            took: Duration::from_millis(took_ms),
            failures,
            critical_path: critical_path::after(&timings),
            timings,
            fatal: self.fatal.as_ref().map(|fatal| fatal.error.clone()),
            in_flight: self.in_flight(),
            checks: std::mem::take(&mut self.checks),
            absence: std::mem::take(&mut self.absence),
        };
        self.emit(EventKind::RunFinished {
            outcome,
            totals: report.totals,
            took_ms,
            timings: report.timings.clone(),
            critical_path: report.critical_path.clone(),
            in_flight: report.in_flight.clone(),
        });
        let free = self.may_release(&report);
        self.end_hold(free).await;
        let lease = if free {
            if gone {
                Some(self.lease)
            } else {
                if let Err(error) = self.lease.release() {
                    tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
                }
                None
            }
        } else {
            // A call may still take effect: whoever comes next must wait it out.
            drop(self.lease);
            None
        };
        RunEnd {
            report,
            journal: self.journal,
            lease,
        }
    }

    /// Before the lease ends, without which nothing can be sent. A run that was asked to end does not wait long.
    async fn end_hold(&self, free: bool) {
        let Some(hold) = &self.desk.hold else { return };
        let patience = if self.desk.now.is_cancelled() {
            LAST_WRITE
        } else if self.desk.soon.is_cancelled() {
            GIVING_BACK_SOON
        } else {
            GIVING_BACK
        };
        let ended = async {
            match free {
                true => hold.give_back().await,
                false => hold.abandon().await,
            }
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(
                "the hold in the account could not be ended in time; it runs out by itself"
            );
        }
    }

    fn outcome(&self, failures: &[StepFailure]) -> RunOutcome {
        if let Some(fatal) = &self.fatal {
            return fatal.outcome;
        }
        if self.cancelled {
            return RunOutcome::Cancelled;
        }
        // A step that says "ready" although a check of it failed must not make a success.
        let check_failed = self
            .checks
            .iter()
            .any(|check| check.verdict == Verdict::Failed);
        let left = self.verb == Verb::Down
            && self
                .absence
                .last()
                .is_some_and(|report| !books::proves_absence(report));
        let all_ready =
            (0..self.graph.len()).all(|node| self.scheduler.state(node) == State::Ready);
        if failures.is_empty() && all_ready && !check_failed && !left {
            RunOutcome::Succeeded
        } else {
            RunOutcome::Failed
        }
    }

    /// Appends what belongs at the end of the run; answers whether the environment is recorded as gone by it.
    async fn closing_records(&mut self, outcome: RunOutcome, took_ms: u64) -> bool {
        if self.verb != Verb::Down && !self.checks.is_empty() {
            let body = books::verification(&self.checks);
            self.batch.bodies.push(body);
        }
        let gone = outcome == RunOutcome::Succeeded
            && self.verb == Verb::Down
            && self.desk.options.removes_environment
            && self.absence.last().is_some_and(books::proves_absence);
        if gone {
            self.batch.bodies.push(Body::EnvironmentRemoved {});
        }
        self.batch.bodies.push(Body::RunFinished {
            outcome: books::ended(outcome),
            millis: took_ms,
        });
        self.commit().await;
        gone && self.fatal.is_none()
    }

    fn may_release(&self, report: &RunReport) -> bool {
        let dropped_lately = self
            .dropped_at
            .is_some_and(|at| at.elapsed() < self.desk.fence.longest_call());
        report.outcome != RunOutcome::LeaseLost && report.in_flight.is_empty() && !dropped_lately
    }

    fn failures(&self) -> Vec<StepFailure> {
        let failed = self.graph.order().iter().filter_map(|&node| {
            let (phase, error) = self.runs[node].failure.clone()?;
            let step = self.graph.nodes()[node].id.clone();
            Some(StepFailure { step, phase, error })
        });
        failed.collect()
    }

    /// Steps dropped while a call of theirs was going on, and those that never answered.
    fn in_flight(&self) -> Vec<StepId> {
        let mut steps: BTreeMap<usize, StepId> = BTreeMap::new();
        for (node, run) in self.runs.iter().enumerate() {
            if run.in_flight || run.is_under_way() {
                steps.insert(node, self.graph.nodes()[node].id.clone());
            }
        }
        steps.into_values().collect()
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (node, run) in self.runs.iter().enumerate() {
            let counter = match self.scheduler.state(node) {
                State::Ready if run.changed => &mut totals.changed,
                State::Ready => &mut totals.unchanged,
                State::Failed => &mut totals.failed,
                State::Withheld { .. } => &mut totals.withheld,
                State::Pending | State::Running | State::Applied | State::Cancelled => {
                    &mut totals.cancelled
                }
            };
            *counter += 1;
        }
        totals
    }

    fn timings(&self) -> Vec<Timing> {
        let now = self.now_ms();
        let timings = self.graph.order().iter().filter_map(|&node| {
            let run = &self.runs[node];
            Some(Timing {
                step: self.graph.nodes()[node].id.clone(),
                released_ms: run.released_ms,
                released_by: run.released_by.clone(),
                started_ms: run.started_ms?,
                applied_ms: run.applied_ms,
                ready_ms: run.ready_ms,
                ended_ms: run.ended_ms.unwrap_or(now),
            })
        });
        timings.collect()
    }
}

/// The engine's error for a trouble with the state outside of a run, e.g. when the journal cannot be opened.
#[must_use]
pub fn state_error(doing: &str, resource: &str, error: &pipectl_state::StateError) -> StepError {
    words::of_state(doing, resource, error)
}
