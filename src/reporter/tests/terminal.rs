//! What is drawn on a terminal, during and after.

use insta::assert_snapshot;

use super::streams;
use crate::{
    engine::Event,
    reporter::{result, screen, theme::Theme, view::View},
};

fn view(events: &[Event]) -> View {
    let mut view = View::default();
    for event in events {
        view.take(event);
    }
    view
}

fn screen_at(events: &[Event], seconds: u64, width: usize) -> String {
    let theme = Theme {
        width,
        color: false,
    };
    let view = view(events);
    let lines = screen::lines(&view, seconds * 1000, &theme);
    for line in &lines {
        assert!(
            console::measure_text_width(line) <= width,
            "too wide: {line:?}"
        );
    }
    trimmed(&lines)
}

fn trimmed(lines: &[String]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn result(events: &[Event], show_checks: bool) -> String {
    trimmed(&result::lines(&view(events), show_checks, &Theme::plain()))
}

#[test]
fn up_at_its_beginning() {
    let events = streams::up_under_way();
    assert_snapshot!(screen_at(&events[..3], 1, 80), @r"
    pipectl up  streaming  sandbox default                             1s of ~3m 10s

      ◐ strimzi    Strimzi's definitions                                  1s of ~25s
      · kafka      waits for strimzi
      ◐ spark      release spark-operator                    ░░░░░░░░░░░  1s of ~30s
      · workloads  waits for kafka to be applied
      · verify     waits for everything

      critical path  strimzi → kafka → verify
    ");
}

#[test]
fn up_under_way() {
    assert_snapshot!(screen_at(&streams::up_under_way(), 47, 80), @r"
    pipectl up  streaming  sandbox default                            47s of ~3m 10s

      ✔ strimzi    11 definitions, strimzi-kafka-operator 0.47.0                 20s
      ◐ kafka      brokers 1/3, controllers 3/3 · pod
                   streaming-cluster-broker-pool-1: pulling image     45s of ~2m 50s
      ✔ spark      spark-operator 2.5.2                                          31s
      ◐ workloads  deployment was: 0 of 2 pods ready        ██████████░  39s of ~40s
      · verify     waits for kafka, workloads

      critical path  kafka → verify
    ");
}

#[test]
fn up_under_way_on_a_narrow_terminal() {
    assert_snapshot!(screen_at(&streams::up_under_way(), 47, 48), @r"
    pipectl up  streaming  sandbox d… 47s of ~3m 10s

      ✔ strimzi    11 definitions, strimzi-kafk… 20s
      ◐ kafka      brokers 1/3,
                   controllers 3/3 ·… 45s of ~2m 50s
      ✔ spark      spark-operator 2.5.2          31s
      ◐ workloads  deployment was: 0 of
                   2 pods ready          39s of ~40s
      · verify     waits for kafka, workloads

      critical path  kafka → verify
    ");
}

#[test]
fn up_with_a_failure() {
    let events = streams::up_failed();
    assert_snapshot!(screen_at(&events[..events.len() - 2], 92, 80), @r"
    pipectl up  streaming  sandbox default                                    1m 32s

      ✔ strimzi    11 definitions, strimzi-kafka-operator 0.47.0                 20s
      ✖ kafka      KFK003 Kafka cluster streaming-cluster                     1m 28s
      ✔ spark      spark-operator 2.5.2                                          31s
      ◐ workloads  deployment was: 0 of 2 pods ready             ██████████░  1m 24s
      · verify     not begun: kafka/cluster failed
    ");
}

#[test]
fn up_being_ended() {
    let events = streams::up_cancelled();
    assert_snapshot!(screen_at(&events[..events.len() - 1], 61, 80), @r"
    pipectl up  streaming  sandbox default                           1m 01s · ending

      ✔ strimzi    11 definitions, strimzi-kafka-operator 0.47.0                 20s
      ◐ kafka      brokers 1/3, controllers 3/3 · pod
                   streaming-cluster-broker-pool-1: pulling image     59s of ~2m 50s
      ✔ spark      spark-operator 2.5.2                                          31s
      ◐ workloads  deployment was: 0 of 2 pods ready                ██████████░  53s
      · verify     waits for kafka, workloads
    ");
}

#[test]
fn up_finished() {
    assert_snapshot!(result(&streams::up_ok(), true), @r"
    streaming is up and verified                                              2m 24s

      bootstrap      streaming-cluster-kafka-bootstrap.kafka.svc:9092
      WAS            http://<node>:30080
      kubeconfig     pipectl kubeconfig streaming

      verified       2 of 2 checks (1 not checkable here)
      critical path  strimzi 2s → kafka 2m 09s → verify 13s
      next           pipectl status · pipectl down

      ✔ topic streaming-topic has 3 partitions
          expected  3
          seen      3
          command   kubectl get kafkatopic -n kafka
      ✔ 3 brokers are ready
          expected  3
          seen      3
          command   kubectl get kafkatopic -n kafka
      – a record goes through Kafka  not checkable here
          expected  3
          seen      pods are simulated
          command   kubectl get kafkatopic -n kafka
    ");
}

#[test]
fn up_unfinished() {
    assert_snapshot!(result(&streams::up_failed(), false), @r"
    streaming is not up: 1 step failed, 2 not begun because of it             1m 35s

      failed         kafka/cluster (KFK003)
      not begun      kafka/topics, verify/platform
      done and kept  4 of 7 steps
      next           pipectl up goes on from here
    ");
}

#[test]
fn up_ended_by_a_signal() {
    assert_snapshot!(result(&streams::up_cancelled(), false), @r"
    streaming: up was ended by a signal                                       1m 00s

      done and kept  3 of 7 steps
      next           pipectl up goes on from here
    ");
}

#[test]
fn nothing_had_to_change() {
    assert_snapshot!(screen_at(&streams::noop(), 1, 80), @r"
    pipectl up  streaming  sandbox default                                        1s

      ✔ strimzi    unchanged: 11 definitions, strimzi-kafka-operator 0.47.0       0s
      ✔ kafka      unchanged: 3 brokers, 3 controllers, 1 topic                   0s
      ✔ spark      unchanged: spark-operator 2.5.2                                0s
      ✔ workloads  unchanged: 2 of 2 pods                                         0s
      ✔ verify     2 of 2 checks                                                  0s
    ");
    assert_snapshot!(result(&streams::noop(), false), @r"
    streaming is up and verified; nothing had to change                           1s

      bootstrap      streaming-cluster-kafka-bootstrap.kafka.svc:9092
      WAS            http://<node>:30080
      kubeconfig     pipectl kubeconfig streaming

      verified       1 of 1 checks
      next           pipectl status · pipectl down
    ");
}

#[test]
fn down_finished() {
    assert_snapshot!(result(&streams::down_ok(), false), @r"
    streaming is gone                                                            42s

      checked        54 things over Kubernetes (31 kinds), Helm releases
      gone           54
      left           0
      critical path  kafka 40s → absence 2s
    ");
}

#[test]
fn down_with_something_left() {
    assert_snapshot!(result(&streams::down_left(), false), @r"
    streaming is not gone: 1 step failed, 1 thing left, 1 thing not checked   1m 00s

      checked        54 things over Kubernetes (31 kinds), Helm releases
      gone           52
      left           1 or more
      still there    Namespace kafka ← KafkaTopic kafka/orders ← finalizer
                     strimzi.io/topic-operator ← its controller is gone
                     safe next: pipectl down
      not checked    group metrics.k8s.io: its API service does not answer
      failed         absence/proof (ABS001)
      steps gone     2 of 3 steps
      next           pipectl down goes on from here
    ");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let plain = Theme::plain();
    let colour = Theme {
        color: true,
        ..plain
    };
    let show = |events: &[Event], theme: &Theme| {
        let view = view(events);
        let mut lines = screen::lines(&view, 47_000, theme);
        lines.extend(result::lines(&view, true, theme));
        lines.join("\n")
    };
    for events in [
        streams::up_under_way(),
        streams::up_ok(),
        streams::up_failed(),
        streams::down_left(),
    ] {
        let coloured = show(&events, &colour);
        assert!(coloured.contains("\u{1b}["));
        let stripped = console::strip_ansi_codes(&coloured).into_owned();
        assert_eq!(stripped, show(&events, &plain));
    }
}
