//! Things that hold a removal: finalizers whose controller is gone, and finalizers that somebody put there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Events, Kind, World, tiny};

#[test]
fn finalizers_of_a_dead_operator_are_taken_off_and_said() {
    let world = World::new();
    let sandbox = world.sandbox("orphaned");
    let cluster = sandbox.cluster();
    world.events(&["up", &sandbox.option()]).exits(0);
    let theirs = cluster.create(
        Kind::CONFIG_MAP,
        "default",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "precious"}, "data": {"a": "b"}}),
    );

    // The operators go by other hands, first the one that would bring the other back.
    cluster.delete(Kind::DEPLOYMENT, "kafka", "strimzi-cluster-operator");
    cluster.delete(
        Kind::DEPLOYMENT,
        "kafka",
        "streaming-cluster-entity-operator",
    );

    let down = world.events(&["down", "--yes"]).exits(0);
    assert!(
        remarks(&down.events())
            .iter()
            .any(|words| words.contains("strimzi.io/topic-operator")),
        "the finalizer was taken off in silence\n{}",
        down.described()
    );
    assert_eq!(down.events().absence()["remaining"], json!([]));
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
    let still = cluster
        .get(Kind::CONFIG_MAP, "default", "precious")
        .expect("somebody else's object");
    assert_eq!(still["metadata"]["uid"], theirs["metadata"]["uid"]);
}

#[test]
fn what_holds_a_namespace_is_named_and_down_goes_on_when_it_lets_go() {
    let world = World::new();
    let sandbox = world.sandbox("holding");
    let cluster = sandbox.cluster();
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    world.events(&["up", &file, &sandbox.option()]).exits(0);
    cluster.create(
        Kind::CONFIG_MAP,
        "tiny",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}),
    );

    let mut down = world.events(&["down", "tiny", "--yes"]).start();
    let event = down.until_event("the name of the finalizer", |event| {
        event["type"] == "step_waits"
            && event["waiting_for"]
                .to_string()
                .contains("example.com/hold")
    });
    assert_eq!(event["step"], "namespaces/all", "{event:#}");
    // The finalizer is not ours to take off, and its owner lets go now.
    cluster.patch(
        Kind::CONFIG_MAP,
        "tiny",
        "held",
        &json!({"metadata": {"finalizers": null}}),
    );
    let down = down.wait().exits(0);
    assert_eq!(down.events().absence()["remaining"], json!([]));
    assert!(cluster.get(Kind::NAMESPACE, "", "tiny").is_none());
}

#[test]
fn what_stays_is_reported_with_its_holder_and_the_record_is_kept() {
    let world = World::new();
    let sandbox = world.sandbox("leftover");
    let cluster = sandbox.cluster();
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    world.events(&["up", &file, &sandbox.option()]).exits(0);
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    cluster.patch(Kind::CONFIG_MAP, "tiny", "settings", &hold);

    // Somebody else's finalizer is not taken off; the run is bounded here, since nobody will let go.
    let down = world
        .events(&["down", "tiny", "--yes", "--timeout", "5s"])
        .run();
    assert_ne!(down.code(), 0, "{}", down.described());
    assert!(
        remarks(&down.events())
            .iter()
            .any(|words| words.contains("example.com/hold")),
        "{}",
        down.described()
    );
    let object = cluster
        .get(Kind::CONFIG_MAP, "tiny", "settings")
        .expect("it is held");
    assert_eq!(
        object["metadata"]["finalizers"],
        json!(["example.com/hold"])
    );
    assert_eq!(
        world.pipectl(&["list", "-o", "json"]).exits(0).json()[0]["name"],
        "tiny",
        "the record was dropped too early"
    );

    cluster.patch(
        Kind::CONFIG_MAP,
        "tiny",
        "settings",
        &json!({"metadata": {"finalizers": null}}),
    );
    world.events(&["down", "tiny", "--yes"]).exits(0);
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
}

/// What the run said besides its results.
fn remarks(events: &Events) -> Vec<String> {
    let words = |event: &Value, key: &str| event[key].as_str().map(str::to_owned);
    let progress = events
        .of("step_progress")
        .filter_map(|event| words(event, "message"));
    let waits = events
        .of("step_waits")
        .filter_map(|event| words(event, "waiting_for"));
    progress.chain(waits).collect()
}
