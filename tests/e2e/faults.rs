//! A cluster that answers with errors, breaks connections and asks for patience.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Kind, World};

#[test]
fn a_failure_withholds_its_dependents_and_passing_faults_pass() {
    let world = World::new();
    let sandbox = world.sandbox("faulty");
    let (option, cluster) = (sandbox.option(), sandbox.cluster());

    // One call is refused for good.
    sandbox.faults(&json!([
        {"verb": "apply", "resource": "kafkas", "user_agent": "pipectl/", "effect": {"type": "status", "code": 403}}
    ]));
    let up = world.events(&["up", &option]).exits(1);
    let events = up.events();
    assert_eq!(
        events.failures(),
        [("kafka/cluster".to_owned(), "K8S007".to_owned())],
        "{}",
        up.described()
    );
    let error = events.error_of("kafka/cluster");
    assert_eq!(
        error["resource"], "Kafka kafka/streaming-cluster",
        "{error:#}"
    );
    assert!(error["hint"].is_string(), "{error:#}");
    let ready = events.steps("step_ready");
    for sibling in [
        "workloads/was",
        "workloads/log-generator",
        "strimzi/operator",
        "spark-operator/operator",
    ] {
        assert!(
            ready.iter().any(|step| step == sibling),
            "{sibling} did not finish\n{}",
            up.described()
        );
    }
    let withheld = events.steps("step_withheld");
    assert!(
        withheld.iter().any(|step| step == "verification/checks"),
        "{withheld:?}"
    );
    assert!(
        cluster
            .list(Kind("kafka.strimzi.io", "v1", "Kafka", "kafkas"), "", "")
            .is_empty()
    );
    let status = world.pipectl(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(status["phase"], "incomplete");
    world.pipectl(&["status", "--check"]).exits(1);

    // The next run goes on, over faults of every sort that pass.
    let own = |rule: serde_json::Value| {
        let mut rule = rule;
        rule["user_agent"] = json!("pipectl/");
        rule
    };
    sandbox.faults(&json!([
        own(json!({"verb": "apply", "resource": "kafkas", "count": 2, "effect": {"type": "status", "code": 500}})),
        own(json!({"verb": "apply", "resource": "kafkas", "skip": 0, "count": 1, "effect": {"type": "reset", "when": "after"}})),
        own(json!({"verb": "list", "count": 3, "effect": {"type": "status", "code": 429, "retry_after": 1}})),
        own(json!({"verb": "list", "resource": "kafkanodepools", "count": 1, "effect": {"type": "reset"}})),
        own(json!({"verb": "watch", "count": 2, "effect": {"type": "status", "code": 503}})),
        own(json!({"verb": "get", "resource": "namespaces", "skip": 2, "count": 1, "effect": {"type": "status", "code": 504}}))
    ]));
    world.events(&["up", &option]).exits(0);
    for (rule, hits) in sandbox.hits().into_iter().enumerate() {
        assert!(
            hits > 0,
            "fault {rule} never struck, so this test says nothing about it"
        );
    }
    sandbox.no_faults();
    let count = |kind: &'static str, plural: &'static str| {
        cluster
            .list(Kind("kafka.strimzi.io", "v1", kind, plural), "", "")
            .len()
    };
    assert_eq!(
        (
            count("Kafka", "kafkas"),
            count("KafkaNodePool", "kafkanodepools"),
            count("KafkaTopic", "kafkatopics")
        ),
        (1, 2, 1)
    );
    world.pipectl(&["status", "--check"]).exits(0);

    // And so does the way down, where a delete that took effect and was not answered is the awkward one.
    sandbox.faults(&json!([
        own(json!({"verb": "delete", "resource": "kafkas", "count": 1, "effect": {"type": "reset", "when": "after"}})),
        own(json!({"verb": "delete", "resource": "namespaces", "count": 2, "effect": {"type": "status", "code": 500, "when": "after"}})),
        own(json!({"verb": "delete", "resource": "deployments", "count": 1, "effect": {"type": "status", "code": 429, "retry_after": 1}}))
    ]));
    let down = world.events(&["down", "--yes"]).exits(0);
    for (rule, hits) in sandbox.hits().into_iter().enumerate() {
        assert!(hits > 0, "fault {rule} never struck\n{}", down.described());
    }
    sandbox.no_faults();
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
}
