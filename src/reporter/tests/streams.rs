//! Streams of events as runs record them, in small.

use jiff::Timestamp;
use pipectl_stages::{
    AbsenceReport, Change, CheckResult, Fate, Leftover, Milestone, Need, StepError, StepId, Verdict,
};

use crate::engine::{
    Event, EventKind, PipelineInfo, Plan, RunOutcome, Verb,
    critical_path::PathPart,
    event::{EVENT_VERSION, Endpoint, Phase, PlanStage, PlanStep, Totals, Urgency},
};

/// A stream in the making.
pub(super) struct Stream {
    pub(super) events: Vec<Event>,
    now_ms: u64,
}

fn id(step: &str) -> StepId {
    StepId::from(step)
}

impl Stream {
    fn new(verb: Verb, plan: Plan) -> Self {
        let mut stream = Self {
            events: Vec::new(),
            now_ms: 0,
        };
        let endpoint = |label: &str, address: &str| Endpoint {
            label: label.to_owned(),
            address: address.to_owned(),
        };
        let pipeline = PipelineInfo {
            verb,
            environment: "streaming".to_owned(),
            environment_uid: "0b3c".to_owned(),
            place: "sandbox default".to_owned(),
            endpoints: vec![
                endpoint(
                    "bootstrap",
                    "streaming-cluster-kafka-bootstrap.kafka.svc:9092",
                ),
                endpoint("WAS", "http://<node>:30080"),
                endpoint("kubeconfig", "pipectl kubeconfig streaming"),
            ],
            next: vec!["pipectl status".to_owned(), "pipectl down".to_owned()],
            again: None,
        };
        stream.say(EventKind::RunStarted {
            pipeline,
            plan,
            continues: None,
        });
        stream
    }

    fn say(&mut self, kind: EventKind) {
        let index = self.events.len() as u64;
        let start: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a time");
        let elapsed = std::time::Duration::from_millis(self.now_ms);
        self.events.push(Event {
            version: EVENT_VERSION,
            run: "01JD".to_owned(),
            index,
            at: start.saturating_add(elapsed).expect("a time"),
            elapsed_ms: self.now_ms,
            kind,
        });
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now_ms = seconds * 1000;
        self
    }

    fn start(&mut self, step: &str) -> &mut Self {
        self.say(EventKind::StepStarted { step: id(step) });
        self
    }

    fn applied(&mut self, step: &str, summary: &str) -> &mut Self {
        self.say(EventKind::StepApplied {
            step: id(step),
            change: Change::Created,
            summary: summary.to_owned(),
        });
        self
    }

    fn unchanged(&mut self, step: &str) -> &mut Self {
        self.say(EventKind::StepUnchanged { step: id(step) });
        self
    }

    fn waits(&mut self, step: &str, waiting_for: &str) -> &mut Self {
        self.say(EventKind::StepWaits {
            step: id(step),
            waiting_for: waiting_for.to_owned(),
            count: None,
        });
        self
    }

    fn ready(&mut self, step: &str, summary: &str) -> &mut Self {
        self.say(EventKind::StepReady {
            step: id(step),
            summary: summary.to_owned(),
        });
        self
    }

    fn made(&mut self, step: &str, summary: &str) -> &mut Self {
        self.start(step).applied(step, summary).ready(step, summary)
    }

    fn check(&mut self, name: &str, verdict: Verdict, seen: &str) -> &mut Self {
        self.say(EventKind::VerificationResult {
            step: id("verify/platform"),
            check: CheckResult {
                name: name.to_owned(),
                verdict,
                expected: "3".to_owned(),
                seen: seen.to_owned(),
                command: Some("kubectl get kafkatopic -n kafka".to_owned()),
            },
        });
        self
    }

    fn finish(&mut self, outcome: RunOutcome, totals: Totals, path: &[(&str, u64)]) -> Vec<Event> {
        let critical_path = path.iter().map(|(step, seconds)| PathPart {
            step: id(step),
            took_ms: seconds * 1000,
            queued_ms: 0,
            waited_for: None,
        });
        self.say(EventKind::RunFinished {
            outcome,
            totals,
            took_ms: self.now_ms,
            timings: Vec::new(),
            critical_path: critical_path.collect(),
            in_flight: Vec::new(),
        });
        std::mem::take(&mut self.events)
    }
}

/// (step, title, needs with `!` for ready, expected seconds)
type Row<'a> = (&'a str, &'a str, &'a [&'a str], u64);

fn plan(rows: &[Row<'_>]) -> Plan {
    let mut stages: Vec<PlanStage> = Vec::new();
    let mut steps = Vec::new();
    for (step, title, needs, expected) in rows {
        let step = id(step);
        match stages.iter_mut().find(|stage| stage.name == step.stage()) {
            Some(stage) => {
                stage.steps.push(step.clone());
                stage.expected_ms += expected * 1000;
            }
            None => stages.push(PlanStage {
                name: step.stage().to_owned(),
                steps: vec![step.clone()],
                expected_ms: expected * 1000,
            }),
        }
        let need = |need: &&str| match need.strip_suffix('!') {
            Some(step) => Need {
                step: id(step),
                milestone: Milestone::Ready,
            },
            None => Need {
                step: id(need),
                milestone: Milestone::Applied,
            },
        };
        steps.push(PlanStep {
            id: step,
            title: (*title).to_owned(),
            needs: needs.iter().map(need).collect(),
            applied_ms: 0,
            ready_ms: expected * 1000,
        });
    }
    Plan {
        stages,
        steps,
        expected_ms: 190_000,
        critical_path: vec![id("kafka/cluster"), id("verify/platform")],
    }
}

fn up_plan() -> Plan {
    plan(&[
        ("strimzi/crds", "Strimzi's definitions", &[], 5),
        (
            "strimzi/operator",
            "release strimzi",
            &["strimzi/crds!"],
            20,
        ),
        (
            "kafka/cluster",
            "Kafka cluster streaming-cluster",
            &["strimzi/crds!"],
            160,
        ),
        ("kafka/topics", "1 topic", &["kafka/cluster!"], 5),
        ("spark/operator", "release spark-operator", &[], 30),
        ("workloads/was", "WAS", &["kafka/cluster"], 40),
        (
            "verify/platform",
            "verification",
            &[
                "strimzi/operator!",
                "kafka/topics!",
                "spark/operator!",
                "workloads/was!",
            ],
            15,
        ),
    ])
}

fn until_kafka_waits() -> Stream {
    let mut stream = Stream::new(Verb::Up, up_plan());
    stream.start("strimzi/crds").start("spark/operator");
    stream
        .at(2)
        .applied("strimzi/crds", "11 definitions")
        .ready("strimzi/crds", "11 definitions");
    stream.start("strimzi/operator").start("kafka/cluster");
    stream
        .at(6)
        .applied("spark/operator", "spark-operator 2.5.2");
    stream.waits("spark/operator", "webhook has no endpoints yet");
    stream
        .at(8)
        .applied("strimzi/operator", "strimzi-kafka-operator 0.47.0");
    stream.applied("kafka/cluster", "Kafka 3.9.0, 2 node pools");
    stream
        .start("workloads/was")
        .applied("workloads/was", "5 objects");
    stream.waits("workloads/was", "deployment was: 0 of 2 pods ready");
    stream
        .at(20)
        .ready("strimzi/operator", "strimzi-kafka-operator 0.47.0");
    stream
        .at(31)
        .ready("spark/operator", "spark-operator 2.5.2");
    stream.at(45).waits(
        "kafka/cluster",
        "brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image",
    );
    stream
}

/// A first up, until everything waits for Kafka.
pub(super) fn up_under_way() -> Vec<Event> {
    until_kafka_waits().events
}

/// A first up that goes well.
pub(super) fn up_ok() -> Vec<Event> {
    let mut stream = until_kafka_waits();
    stream.at(50).ready("workloads/was", "2 of 2 pods");
    stream
        .at(130)
        .ready("kafka/cluster", "3 brokers, 3 controllers");
    stream.made("kafka/topics", "1 topic");
    stream
        .at(131)
        .start("verify/platform")
        .unchanged("verify/platform");
    stream.check(
        "topic streaming-topic has 3 partitions",
        Verdict::Passed,
        "3",
    );
    stream.check("3 brokers are ready", Verdict::Passed, "3");
    stream.check(
        "a record goes through Kafka",
        Verdict::NotCheckable,
        "pods are simulated",
    );
    stream.at(144).ready("verify/platform", "2 of 2 checks");
    let totals = Totals {
        changed: 6,
        unchanged: 1,
        ..Totals::default()
    };
    let path = [
        ("strimzi/crds", 2),
        ("kafka/cluster", 128),
        ("kafka/topics", 1),
        ("verify/platform", 13),
    ];
    stream.finish(RunOutcome::Succeeded, totals, &path)
}

/// Kafka never gets a node; what needs it is withheld.
pub(super) fn up_failed() -> Vec<Event> {
    let mut stream = until_kafka_waits();
    let mut error = StepError::new(
        "KFK003",
        "wait for",
        "Kafka kafka/streaming-cluster",
        "pod streaming-cluster-broker-pool-1 cannot be scheduled: 0/3 nodes are available: 3 Insufficient memory",
    )
    .with_hint("give the nodes more memory or the brokers less, then run: pipectl up");
    error.evidence = vec!["FailedScheduling 4 times, last 20s ago".to_owned()];
    stream.at(90).say(EventKind::StepFailed {
        step: id("kafka/cluster"),
        phase: Phase::Readiness,
        error,
    });
    for step in ["kafka/topics", "verify/platform"] {
        let because = id("kafka/cluster");
        let step = id(step);
        stream.say(EventKind::StepWithheld { step, because });
    }
    stream.at(95).ready("workloads/was", "2 of 2 pods");
    let totals = Totals {
        changed: 4,
        failed: 1,
        withheld: 2,
        ..Totals::default()
    };
    stream.finish(
        RunOutcome::Failed,
        totals,
        &[("strimzi/crds", 2), ("kafka/cluster", 88)],
    )
}

/// Ctrl-C while Kafka comes up.
pub(super) fn up_cancelled() -> Vec<Event> {
    let mut stream = until_kafka_waits();
    stream.at(60).say(EventKind::Cancelling {
        urgency: Urgency::Soon,
        running: vec![id("kafka/cluster"), id("workloads/was")],
    });
    let totals = Totals {
        changed: 3,
        cancelled: 4,
        ..Totals::default()
    };
    stream.finish(RunOutcome::Cancelled, totals, &[])
}

/// A second up, which finds everything as it should be.
pub(super) fn noop() -> Vec<Event> {
    let mut stream = Stream::new(Verb::Up, up_plan());
    for (step, summary) in [
        ("strimzi/crds", "11 definitions"),
        ("spark/operator", "spark-operator 2.5.2"),
        ("strimzi/operator", "strimzi-kafka-operator 0.47.0"),
        ("kafka/cluster", "3 brokers, 3 controllers"),
        ("workloads/was", "2 of 2 pods"),
        ("kafka/topics", "1 topic"),
        ("verify/platform", "2 of 2 checks"),
    ] {
        stream.start(step).unchanged(step);
        if step == "verify/platform" {
            stream.check("3 brokers are ready", Verdict::Passed, "3");
        }
        stream.ready(step, summary);
    }
    let totals = Totals {
        unchanged: 7,
        ..Totals::default()
    };
    stream
        .at(1)
        .finish(RunOutcome::Succeeded, totals, &[("verify/platform", 1)])
}

fn removal(stream: &mut Stream, step: &str, asked: u32, summary: &str, seconds: u64) {
    stream.start(step).say(EventKind::RemovalStarted {
        step: id(step),
        asked,
    });
    stream.at(seconds).say(EventKind::RemovalGone {
        step: id(step),
        summary: summary.to_owned(),
    });
}

fn down_stream() -> Stream {
    let mut stream = Stream::new(
        Verb::Down,
        plan(&[
            ("kafka/topics", "topics", &[], 5),
            (
                "kafka/cluster",
                "Kafka clusters and node pools",
                &["kafka/topics!"],
                30,
            ),
            ("absence/proof", "proof of absence", &["kafka/cluster!"], 2),
        ]),
    );
    removal(&mut stream, "kafka/topics", 1, "1 topic", 4);
    stream
}

fn absence(stream: &mut Stream, remaining: Vec<Leftover>) {
    let left = u32::try_from(remaining.len()).unwrap_or(0);
    stream.say(EventKind::AbsenceChecked {
        step: id("absence/proof"),
        report: AbsenceReport {
            checked: 54,
            gone: 54 - left,
            over: vec![
                "Kubernetes (31 kinds)".to_owned(),
                "Helm releases".to_owned(),
            ],
            remaining,
        },
    });
}

/// A down that removes everything.
pub(super) fn down_ok() -> Vec<Event> {
    let mut stream = down_stream();
    removal(
        &mut stream,
        "kafka/cluster",
        3,
        "1 cluster, 2 node pools",
        40,
    );
    stream.start("absence/proof");
    absence(&mut stream, Vec::new());
    removal(&mut stream, "absence/proof", 0, "54 of 54 gone", 42);
    let totals = Totals {
        changed: 3,
        ..Totals::default()
    };
    let path = [
        ("kafka/topics", 4),
        ("kafka/cluster", 36),
        ("absence/proof", 2),
    ];
    stream.finish(RunOutcome::Succeeded, totals, &path)
}

/// A down that leaves something.
pub(super) fn down_left() -> Vec<Event> {
    let mut stream = down_stream();
    removal(
        &mut stream,
        "kafka/cluster",
        3,
        "1 cluster, 2 node pools",
        40,
    );
    stream.start("absence/proof");
    let stays = Leftover {
        resource: "Namespace kafka".to_owned(),
        fate: Fate::StillThere {
            held_by: vec![
                "KafkaTopic kafka/orders".to_owned(),
                "finalizer strimzi.io/topic-operator".to_owned(),
                "its controller is gone".to_owned(),
            ],
            safe_next: Some("pipectl down".to_owned()),
        },
    };
    let unknown = Leftover {
        resource: "group metrics.k8s.io".to_owned(),
        fate: Fate::NotChecked {
            why: "its API service does not answer".to_owned(),
        },
    };
    absence(&mut stream, vec![stays, unknown]);
    stream.at(60).say(EventKind::RemovalStuck {
        step: id("absence/proof"),
        phase: Phase::Readiness,
        error: StepError::new(
            "ABS001",
            "prove the absence of",
            "streaming",
            "1 thing is still there",
        )
        .with_hint("look at what holds it, then run: pipectl down"),
    });
    let totals = Totals {
        changed: 2,
        failed: 1,
        ..Totals::default()
    };
    stream.finish(RunOutcome::Failed, totals, &[("kafka/cluster", 36)])
}
