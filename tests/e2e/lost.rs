//! The records on this machine are lost: the cluster still tells everything.

use std::{collections::BTreeMap, fs};

use serde_json::json;

use crate::support::{Kind, TINY, World, tiny};

#[test]
fn everything_is_found_without_any_record() {
    let world = World::new();
    let sandbox = world.sandbox("lost");
    let cluster = sandbox.cluster();
    world.events(&["up", &sandbox.option()]).exits(0);
    fs::remove_dir_all(world.environment("streaming")).expect("the record");
    world
        .pipectl(&["status", "streaming"])
        .exits(3)
        .complains("STA001");

    let down = world
        .events(&["down", "--env", "streaming", &sandbox.option(), "--yes"])
        .exits(0);
    let absence = down.events().absence();
    assert_eq!(absence["remaining"], json!([]), "{absence:#}");
    assert!(
        absence["checked"]
            .as_u64()
            .is_some_and(|checked| checked > 40),
        "{absence:#}"
    );
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
    assert_eq!(cluster.revisions(), Vec::<String>::new());
    for namespace in ["kafka", "was", "logging-system", "spark-operator"] {
        assert!(
            cluster.get(Kind::NAMESPACE, "", namespace).is_none(),
            "{namespace}"
        );
    }
    world.assert_nothing_recorded();
}

#[test]
fn up_goes_on_with_what_is_there_and_labels_alone_are_enough() {
    let world = World::new();
    let sandbox = world.sandbox("relabelled");
    let cluster = sandbox.cluster();
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    world.events(&["up", &file, &sandbox.option()]).exits(0);
    let before = cluster.everything("pipectl.dev/environment");

    // `up` takes its own things up again: the same identity, no second copy, nothing made anew.
    fs::remove_dir_all(world.environment(TINY)).expect("the record");
    world.events(&["up", &file, &sandbox.option()]).exits(0);
    let uids = |all: &BTreeMap<String, (String, String)>| -> BTreeMap<String, String> {
        all.iter()
            .map(|(name, (uid, _))| (name.clone(), uid.clone()))
            .collect()
    };
    assert_eq!(
        uids(&cluster.everything("pipectl.dev/environment")),
        uids(&before)
    );
    sandbox.count_anew();
    world.events(&["up", &file, &sandbox.option()]).exits(0);
    assert_eq!(sandbox.calls().writes(), []);

    // Even the record in the cluster is gone: only the labels are left.
    fs::remove_dir_all(world.environment(TINY)).expect("the record");
    cluster.delete(Kind::CONFIG_MAP, "kube-system", "pipectl-environment-tiny");
    let down = world
        .events(&["down", "--env", TINY, &sandbox.option(), "--yes"])
        .exits(0);
    assert_eq!(down.events().absence()["remaining"], json!([]));
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
    assert!(cluster.get(Kind::NAMESPACE, "", TINY).is_none());
}
