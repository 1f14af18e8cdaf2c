//! Histories for tests, told by a small model of an executor that knows nothing of the law or the fold.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::record::{
    Body, Change, CheckTotals, InventoryTotals, Invoker, Leftover, Outcome, Phase, Pins,
    PlanSummary, Record, RecordedError, RunId, RunKind,
};

/// The environment that all test histories are about.
pub(crate) const NAME: &str = "streaming";
const STEPS: [&str; 4] = [
    "network/vpc",
    "kafka/cluster",
    "kafka/topics",
    "spark/operator",
];

/// A record of run `run`.
pub(crate) fn record(seq: u64, run: RunId, fence: u64, body: Body) -> Record {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a timestamp");
    let at = start + SignedDuration::from_secs(i64::try_from(seq).expect("few records"));
    Record {
        seq,
        at,
        run,
        fence,
        body,
    }
}

/// A run's name that is the same in every test.
pub(crate) fn run_id(number: u64) -> RunId {
    RunId::from_uuid(Uuid::from_u128(u128::from(number)))
}

pub(crate) fn created() -> Body {
    Body::EnvironmentCreated {
        uid: Uuid::from_u128(7),
        name: NAME.into(),
        pipectl_version: "0.1.0".into(),
        pins: Pins::from([("provider".into(), "sandbox".into())]),
    }
}

pub(crate) fn started(kind: RunKind) -> Body {
    Body::RunStarted {
        kind,
        pipeline_digest: "d1".into(),
        pipeline: (kind == RunKind::Up)
            .then(|| json!({"name": NAME, "topics": [1, 2.5, null, "ü\n\"quoted\""]})),
        plan: PlanSummary {
            create: 2,
            ..PlanSummary::default()
        },
        invoked_by: Invoker {
            user: "ada".into(),
            host: "here".into(),
            job_url: None,
            command: "pipectl up".into(),
        },
        pipectl_version: "0.1.0".into(),
    }
}

pub(crate) fn intent(step: &str, attempt: u32, identity: Value) -> Body {
    Body::StepIntent {
        step: step.into(),
        attempt,
        identity,
    }
}

pub(crate) fn applied(step: &str, change: Change) -> Body {
    Body::StepApplied {
        step: step.into(),
        change,
        outputs: json!({"id": step}),
        digest: "sha".into(),
        millis: 12,
    }
}

pub(crate) fn ready(step: &str) -> Body {
    Body::StepReady {
        step: step.into(),
        summary: "3 of 3".into(),
        outputs: None,
        millis: 34,
    }
}

pub(crate) fn failed(step: &str, phase: Phase) -> Body {
    let error = RecordedError {
        code: "K8S001".into(),
        doing: "apply".into(),
        resource: step.into(),
        cause: "refused".into(),
        hint: Some("look".into()),
        retryable: true,
        left_behind: vec!["half of it".into()],
        evidence: Vec::new(),
    };
    Body::StepFailed {
        step: step.into(),
        phase,
        error,
    }
}

pub(crate) fn removal(step: &str) -> Body {
    Body::RemovalStarted { step: step.into() }
}

pub(crate) fn removed(step: &str) -> Body {
    Body::Removed {
        step: step.into(),
        gone: 1,
        evidence: json!(["404"]),
        millis: 56,
    }
}

pub(crate) fn finished(outcome: Outcome) -> Body {
    Body::RunFinished {
        outcome,
        millis: 78,
    }
}

pub(crate) fn inventory(still_there: u64) -> Body {
    let left = Leftover {
        resource: "Namespace/kafka".into(),
        seen: true,
        held_by: "a finalizer".into(),
    };
    Body::InventoryProved {
        totals: InventoryTotals {
            checked: 9,
            gone: 9 - still_there,
            still_there,
            ..InventoryTotals::default()
        },
        left: vec![left; usize::try_from(still_there).expect("few")],
    }
}

/// Numbers the bodies of one run, from `first`.
pub(crate) fn numbered(
    first: u64,
    run: u64,
    bodies: impl IntoIterator<Item = Body>,
) -> Vec<Record> {
    (first..)
        .zip(bodies)
        .map(|(seq, body)| record(seq, run_id(run), run, body))
        .collect()
}

/// A legal history, decided by `choices`; the same choices tell the same history.
pub(crate) fn history(choices: &[u8]) -> Vec<Record> {
    let mut teller = Teller::new(choices);
    while !teller.choices.is_empty() {
        teller.tell_run();
    }
    teller.records
}

#[derive(Default)]
struct Thing {
    known: Vec<(u32, Value)>,
    highest: u32,
}

struct Teller {
    choices: VecDeque<u8>,
    records: Vec<Record>,
    run: u64,
    things: BTreeMap<&'static str, Thing>,
    lives: bool,
}

impl Teller {
    fn new(choices: &[u8]) -> Self {
        Self {
            choices: choices.iter().copied().collect(),
            records: Vec::new(),
            run: 0,
            things: BTreeMap::new(),
            lives: false,
        }
    }

    /// A number below `below`; zero when the choices have run out.
    fn pick(&mut self, below: u8) -> u8 {
        self.choices.pop_front().map_or(0, |choice| choice % below)
    }

    fn write(&mut self, body: Body) {
        let seq = self.records.len() as u64 + 1;
        self.records
            .push(record(seq, run_id(self.run), self.run, body));
    }

    fn tell_run(&mut self) {
        self.run += 1;
        if !self.lives {
            self.write(created());
            self.things.clear();
            self.lives = true;
            if self.pick(8) == 0 {
                return; // Killed before the run began.
            }
        }
        match self.pick(6) {
            0..=2 => self.tell_up(),
            3 | 4 => self.tell_down(),
            _ => {
                self.write(started(RunKind::Verify));
                self.write(Body::Verification {
                    checks: CheckTotals {
                        passed: 12,
                        failed: 0,
                        not_checkable: 2,
                    },
                    evidence: json!([{"expected": 1, "seen": 1}]),
                });
                self.finish(Outcome::Succeeded);
            }
        }
    }

    /// Writes the queues' bodies in an order of its own, each queue's in order. False when killed on the way.
    fn interleave(&mut self, mut queues: Vec<VecDeque<Body>>) -> bool {
        loop {
            queues.retain(|queue| !queue.is_empty());
            let count = u8::try_from(queues.len()).expect("few queues");
            if count == 0 {
                return true;
            }
            if self.pick(24) == 1 {
                return false;
            }
            let index = usize::from(self.pick(count));
            if let Some(body) = queues[index].pop_front() {
                self.write(body);
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if self.pick(5) != 1 {
            self.write(finished(outcome));
        }
    }

    fn intents(&mut self, step: &'static str, variant: u8, fresh: bool) -> Vec<Body> {
        let thing = self.things.entry(step).or_default();
        (0..=variant)
            .map(|index| {
                let identity = json!({"name": step, "part": index});
                let known = thing
                    .known
                    .iter()
                    .find(|(_, known)| *known == identity)
                    .map(|(attempt, _)| *attempt);
                let attempt = match known {
                    Some(attempt) if !fresh => attempt,
                    _ => {
                        thing.highest += 1;
                        thing.highest
                    }
                };
                thing.known.retain(|(_, known)| *known != identity);
                thing.known.push((attempt, identity.clone()));
                intent(step, attempt, identity)
            })
            .collect()
    }

    fn tell_up(&mut self) {
        self.write(started(RunKind::Up));
        let mut outcome = Outcome::Succeeded;
        let mut queues = Vec::new();
        for step in STEPS {
            let mut queue = VecDeque::new();
            match self.pick(9) {
                0 | 1 => {
                    let parts = self.pick(3);
                    let fresh = self.pick(4) == 1;
                    queue.extend(self.intents(step, parts, fresh));
                    queue.push_back(applied(step, Change::Created));
                    queue.push_back(ready(step));
                }
                2 => {
                    queue.extend(self.intents(step, 0, false));
                    queue.push_back(failed(step, Phase::Apply));
                    queue.extend(self.intents(step, 0, true));
                    queue.push_back(applied(step, Change::Updated));
                    queue.push_back(failed(step, Phase::Readiness));
                    queue.push_back(ready(step));
                    queue.push_back(ready(step));
                }
                3 | 4 => {
                    let change = if self.pick(2) == 0 {
                        Change::Unchanged
                    } else {
                        Change::Adopted
                    };
                    queue.extend([applied(step, change), ready(step)]);
                }
                5 => {
                    queue.push_back(failed(step, Phase::Observe));
                    outcome = Outcome::Failed;
                }
                6 => {
                    queue.extend(self.intents(step, 0, false));
                    queue.push_back(applied(step, Change::Replaced));
                    queue.push_back(failed(step, Phase::Readiness));
                    outcome = Outcome::Failed;
                }
                7 => {
                    queue.push_back(Body::StepWithheld {
                        step: step.into(),
                        because: "network failed".into(),
                    });
                    outcome = Outcome::Cancelled;
                }
                _ => {
                    // No longer wanted: pruned.
                    queue.extend([removal(step), removed(step)]);
                    self.things.entry(step).or_default().known.clear();
                }
            }
            queues.push(queue);
        }
        queues.push(
            [Body::EnvironmentPinned {
                pins: Pins::from([("ca".into(), "c1".into())]),
            }]
            .into(),
        );
        // The model's memory is of a run that went through; after a kill the numbers may lie above those recorded,
        // which the law allows, but a removal may not be recorded either, so the memory of identities is dropped.
        if self.interleave(queues) {
            self.finish(outcome);
        } else {
            self.things
                .values_mut()
                .for_each(|thing| thing.known.clear());
        }
    }

    fn tell_down(&mut self) {
        self.write(started(RunKind::Down));
        let mut clean = true;
        let mut queues = Vec::new();
        for step in STEPS {
            let mut queue = VecDeque::from([removal(step)]);
            if self.pick(6) == 1 {
                queue.push_back(failed(step, Phase::Removal));
                clean = false;
            } else {
                queue.push_back(removed(step));
            }
            queues.push(queue);
        }
        self.things
            .values_mut()
            .for_each(|thing| thing.known.clear());
        if !self.interleave(queues) {
            return;
        }
        self.write(inventory(u64::from(!clean)));
        if !clean {
            return self.finish(Outcome::Failed);
        }
        if self.pick(3) != 1 {
            self.write(Body::EnvironmentRemoved {});
            self.lives = false;
        }
        self.finish(Outcome::Succeeded);
    }
}
