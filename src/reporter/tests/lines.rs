//! What is written where there is no terminal: plain lines, NDJSON, the Markdown summary.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use insta::assert_snapshot;

use super::streams;
use crate::{
    engine::{Event, EventKind, event::EVENT_VERSION},
    reporter::{
        Reporter,
        attach::attach_all,
        ndjson::Ndjson,
        plain::Plain,
        summary::{Summary, Target},
    },
};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("text")
    }
}

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plain(events: &[Event], verbose: bool, quiet: bool) -> String {
    let paper = Paper::default();
    let mut plain = Plain::new(paper.clone(), verbose, quiet, false);
    for event in events {
        plain.event(event).expect("paper takes everything");
    }
    paper.text()
}

#[test]
fn a_long_wait_is_told_again_now_and_then() {
    let paper = Paper::default();
    let mut plain = Plain::new(paper.clone(), false, false, false);
    let events = streams::up_ok();
    let waits = |event: &Event| matches!(event.kind, EventKind::StepWaits { .. });
    let first = events.iter().position(waits).expect("something waits");
    for event in &events[..=first] {
        plain.event(event).expect("paper takes everything");
    }
    let begun = events[first].elapsed_ms;
    let mut lines = Vec::new();
    for second in 1..600 {
        plain.tick(begun + second * 1_000);
        let count = paper.text().lines().count();
        if lines.last().is_none_or(|(_, last)| *last != count) {
            lines.push((second, count));
        }
    }
    let silences: Vec<u64> = lines.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(!silences.is_empty(), "nothing was said in ten minutes");
    assert!(
        silences.iter().all(|seconds| *seconds <= 180),
        "{silences:?}"
    );
    assert!(lines.len() < 20, "not every second: {}", paper.text());
}

#[test]
fn an_up_in_a_log() {
    assert_snapshot!(plain(&streams::up_ok(), false, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:20 strimzi   done: 11 definitions, strimzi-kafka-operator 0.47.0 (20s)
    00:00:31 spark     done: spark-operator 2.5.2 (31s)
    00:00:45 kafka     waits: brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image
    00:00:50 workloads done: 2 of 2 pods (42s)
    00:02:10 kafka     done: 3 brokers, 3 controllers, 1 topic (2m 08s)
    00:02:24 verify    done: 2 of 2 checks (13s)

    streaming is up and verified                                                                  2m 24s

      bootstrap      streaming-cluster-kafka-bootstrap.kafka.svc:9092
      WAS            http://<node>:30080
      kubeconfig     pipectl kubeconfig streaming

      verified       2 of 2 checks (1 not checkable here, --show-checks)
      critical path  strimzi 2s → kafka 2m 09s → verify 13s
      next           pipectl status · pipectl down
    ");
}

#[test]
fn a_failed_up_in_a_log() {
    assert_snapshot!(plain(&streams::up_failed(), false, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:20 strimzi   done: 11 definitions, strimzi-kafka-operator 0.47.0 (20s)
    00:00:31 spark     done: spark-operator 2.5.2 (31s)
    00:00:45 kafka     waits: brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image
    00:01:30 kafka     cluster failed: KFK003
    error[KFK003]: cannot wait for Kafka kafka/streaming-cluster
      cause    pod streaming-cluster-broker-pool-1 cannot be scheduled: 0/3 nodes are available: 3
               Insufficient memory
      seen     FailedScheduling 4 times, last 20s ago
      so far   kafka 0 of 2 steps done and kept; workloads still going on
      help     give the nodes more memory or the brokers less, then run: pipectl up
      more     pipectl explain KFK003
    00:01:30           2 steps not begun because of it
    00:01:35 workloads done: 2 of 2 pods (1m 27s)

    streaming is not up: 1 step failed, 2 not begun because of it                                 1m 35s

      failed         kafka/cluster (KFK003)
      not begun      kafka/topics, verify/platform
      done and kept  4 of 7 steps
      next           pipectl up goes on from here
    ");
}

#[test]
fn an_ended_up_in_a_log() {
    assert_snapshot!(plain(&streams::up_cancelled(), false, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:20 strimzi   done: 11 definitions, strimzi-kafka-operator 0.47.0 (20s)
    00:00:31 spark     done: spark-operator 2.5.2 (31s)
    00:00:45 kafka     waits: brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image
    00:01:00           a signal came: nothing new is begun, 2 steps may end

    streaming: up was ended by a signal                                                           1m 00s

      done and kept  3 of 7 steps
      next           pipectl up goes on from here
    ");
}

#[test]
fn nothing_to_do_in_a_log() {
    assert_snapshot!(plain(&streams::noop(), false, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:00 spark     unchanged: spark-operator 2.5.2 (0s)
    00:00:00 strimzi   unchanged: 11 definitions, strimzi-kafka-operator 0.47.0 (0s)
    00:00:00 workloads unchanged: 2 of 2 pods (0s)
    00:00:00 kafka     unchanged: 3 brokers, 3 controllers, 1 topic (0s)
    00:00:00 verify    done: 2 of 2 checks (0s)

    streaming is up and verified; nothing had to change                                               1s

      bootstrap      streaming-cluster-kafka-bootstrap.kafka.svc:9092
      WAS            http://<node>:30080
      kubeconfig     pipectl kubeconfig streaming

      verified       1 of 1 checks
      next           pipectl status · pipectl down
    ");
}

#[test]
fn a_down_in_a_log() {
    assert_snapshot!(plain(&streams::down_ok(), false, false), @r"
    00:00:00 down     streaming sandbox default run 01JD
    00:00:40 kafka    gone: 1 topic, 1 cluster, 2 node pools (40s)
    00:00:42 absence  done: 54 of 54 gone (2s)

    streaming is gone                                                                                42s

      checked        54 things over Kubernetes (31 kinds), Helm releases
      gone           54
      left           0
      critical path  kafka 40s → absence 2s
    ");
}

#[test]
fn quiet_says_the_result_only() {
    assert_snapshot!(plain(&streams::noop(), false, true), @r"
    streaming is up and verified; nothing had to change                                               1s

      bootstrap      streaming-cluster-kafka-bootstrap.kafka.svc:9092
      WAS            http://<node>:30080
      kubeconfig     pipectl kubeconfig streaming

      verified       1 of 1 checks
      next           pipectl status · pipectl down
    ");
}

#[test]
fn verbose_says_every_step() {
    assert_snapshot!(plain(&streams::up_cancelled(), true, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:00 strimzi   crds: begins
    00:00:00 spark     operator: begins
    00:00:02 strimzi   crds: created: 11 definitions
    00:00:02 strimzi   crds: ready: 11 definitions
    00:00:02 strimzi   operator: begins
    00:00:02 kafka     cluster: begins
    00:00:06 spark     operator: created: spark-operator 2.5.2
    00:00:06 spark     operator: waits: webhook has no endpoints yet
    00:00:08 strimzi   operator: created: strimzi-kafka-operator 0.47.0
    00:00:08 kafka     cluster: created: Kafka 3.9.0, 2 node pools
    00:00:08 workloads was: begins
    00:00:08 workloads was: created: 5 objects
    00:00:08 workloads was: waits: deployment was: 0 of 2 pods ready
    00:00:20 strimzi   operator: ready: strimzi-kafka-operator 0.47.0
    00:00:20 strimzi   done: 11 definitions, strimzi-kafka-operator 0.47.0 (20s)
    00:00:31 spark     operator: ready: spark-operator 2.5.2
    00:00:31 spark     done: spark-operator 2.5.2 (31s)
    00:00:45 kafka     cluster: waits: brokers 1/3, controllers 3/3 · pod streaming-cluster-broker-pool-1: pulling image
    00:01:00           a signal came: nothing new is begun, 2 steps may end

    streaming: up was ended by a signal                                                           1m 00s

      done and kept  3 of 7 steps
      next           pipectl up goes on from here
    ");
}

#[test]
fn json_lines_read_back_as_the_same_events() {
    let events = streams::up_failed();
    let paper = Paper::default();
    let mut ndjson = Ndjson::new(paper.clone());
    for event in &events {
        ndjson.event(event).expect("paper takes everything");
    }
    let text = paper.text();
    let read: Vec<Event> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    assert_eq!(read, events);
    assert!(read.iter().all(|event| event.version == EVENT_VERSION));
    let ready = text.lines().find(|line| line.contains("step_ready"));
    assert_snapshot!(ready.unwrap_or_default(), @r#"{"version":1,"run":"01JD","index":4,"at":"2026-11-21T08:00:02Z","elapsed_ms":2000,"type":"step_ready","step":"strimzi/crds","summary":"11 definitions"}"#);
}

#[test]
fn the_summary_of_a_failed_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("summary.md");
    std::fs::write(&path, "before\n").expect("a file");
    for target in [Target::Append(path.clone()), Target::File(path.clone())] {
        let appends = matches!(target, Target::Append(_));
        let mut summary = Summary::new(target);
        for event in &streams::up_failed() {
            summary.event(event).expect("the file takes it");
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text.starts_with("before\n"), appends);
    }
    assert_snapshot!(std::fs::read_to_string(&path).expect("a file"), @r"
    ## pipectl up streaming: ✖ failed in 1m 35s

    sandbox default · run `01JD`

    | stage | | | time |
    | --- | --- | --- | ---: |
    | strimzi | ✔ | 11 definitions, strimzi-kafka-operator 0.47.0 | 20s |
    | kafka | ✖ | KFK003 Kafka cluster streaming-cluster | 1m 28s |
    | spark | ✔ | spark-operator 2.5.2 | 31s |
    | workloads | ✔ | 2 of 2 pods | 1m 27s |
    | verify | · | not begun: kafka/cluster failed |  |

    Critical path: strimzi 2s → kafka 1m 28s

    ```
    error[KFK003]: cannot wait for Kafka kafka/streaming-cluster
      cause    pod streaming-cluster-broker-pool-1 cannot be scheduled: 0/3 nodes are available: 3
               Insufficient memory
      seen     FailedScheduling 4 times, last 20s ago
      so far   kafka 0 of 2 steps done and kept
      help     give the nodes more memory or the brokers less, then run: pipectl up
      more     pipectl explain KFK003
    ```
    ");
}

#[test]
fn the_summary_of_an_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("summary.md");
    let mut summary = Summary::new(Target::File(path.clone()));
    for event in &streams::up_ok() {
        summary.event(event).expect("the file takes it");
    }
    assert_snapshot!(std::fs::read_to_string(&path).expect("a file"), @r"
    ## pipectl up streaming: ✔ succeeded in 2m 24s

    sandbox default · run `01JD`

    | stage | | | time |
    | --- | --- | --- | ---: |
    | strimzi | ✔ | 11 definitions, strimzi-kafka-operator 0.47.0 | 20s |
    | kafka | ✔ | 3 brokers, 3 controllers, 1 topic | 2m 08s |
    | spark | ✔ | spark-operator 2.5.2 | 31s |
    | workloads | ✔ | 2 of 2 pods | 42s |
    | verify | ✔ | 2 of 2 checks | 13s |

    Critical path: strimzi 2s → kafka 2m 09s → verify 13s

    | endpoint | |
    | --- | --- |
    | bootstrap | `streaming-cluster-kafka-bootstrap.kafka.svc:9092` |
    | WAS | `http://<node>:30080` |
    | kubeconfig | `pipectl kubeconfig streaming` |

    <details><summary>Verified: 2 of 2 checks (1 not checkable here)</summary>

    | check | | expected | seen |
    | --- | --- | --- | --- |
    | topic streaming-topic has 3 partitions | ✔ | 3 | 3 |
    | 3 brokers are ready | ✔ | 3 | 3 |
    | a record goes through Kafka | not checkable here | 3 | pods are simulated |

    </details>
    ");
}

struct Broken;

impl Reporter for Broken {
    fn event(&mut self, _: &Event) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

#[tokio::test]
async fn a_reporter_that_cannot_write_is_said_and_stops_nobody() {
    let paper = Paper::default();
    let ndjson = Ndjson::new(paper.clone());
    let (sender, attached) = attach_all(vec![Box::new(Broken), Box::new(ndjson)]);
    let events = streams::noop();
    for event in &events {
        sender.send(event.clone()).expect("somebody listens");
    }
    drop(sender);
    let failures = attached.finish().await;
    assert_eq!(failures.len(), 1, "said once, not once an event");
    assert_eq!(failures[0].kind(), io::ErrorKind::StorageFull);
    assert_eq!(paper.text().lines().count(), events.len());
}

#[test]
fn a_run_that_goes_on_after_another_says_so() {
    use crate::engine::{EventKind, recovery::Interrupted};
    let mut events = streams::noop();
    if let EventKind::RunStarted { continues, .. } = &mut events[0].kind {
        *continues = Some(Interrupted {
            run: "01JC".to_owned(),
            intended: vec!["kafka/cluster".into()],
            applied: vec!["old/thing".into()],
            removing: Vec::new(),
            beyond_this_run: vec!["old/thing".into()],
        });
    }
    assert_snapshot!(plain(&events[..1], false, false), @r"
    00:00:00 up        streaming sandbox default run 01JD
    00:00:00           goes on where run 01JC was interrupted (2 steps half done; 1 step of it not in this run's plan, left alone until `pipectl down`)
    ");
}
