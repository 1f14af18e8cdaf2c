//! Environments side by side: in two sandboxes at the same time, and in one, where neither touches the other's things.

use serde_json::{Value, json};

use crate::support::{Kind, TINY, World, tiny, tiny_named};

#[test]
fn two_platforms_in_two_sandboxes_at_the_same_time() {
    let world = World::new();
    let (left, right) = world.two_sandboxes("left", "right");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            world
                .events(&["up", "--env", "one", &left.option()])
                .exits(0)
        });
        world
            .events(&["up", "--env", "two", &right.option()])
            .exits(0);
    });
    for name in ["one", "two"] {
        world.pipectl(&["status", name, "--check"]).exits(0);
    }
    // With two, one must be named.
    world.pipectl(&["status"]).exits(3).complains("CLI003");
    // An environment stays where it was brought up.
    world
        .pipectl(&["up", "--env", "one", &right.option()])
        .exits(7)
        .complains("CLI008");

    let before = right.cluster().everything("pipectl.dev/environment");
    world.events(&["down", "one", "--yes"]).exits(0);
    assert!(
        left.cluster()
            .everything("pipectl.dev/environment")
            .is_empty()
    );
    assert_eq!(
        right.cluster().everything("pipectl.dev/environment"),
        before,
        "the neighbour was touched"
    );
    world.pipectl(&["status", "two", "--check"]).exits(0);
}

#[test]
fn two_environments_in_one_sandbox() {
    let world = World::new();
    let sandbox = world.sandbox("shared");
    let (option, cluster) = (sandbox.option(), sandbox.cluster());
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    // A plan before anything is there says what comes, and makes none of it.
    sandbox.count_anew();
    let plan = world
        .pipectl(&["plan", &file, &option, "-o", "json", "--detailed-exitcode"])
        .exits(2);
    for object in [
        "Namespace tiny",
        "ConfigMap tiny/settings",
        "Deployment tiny/web",
    ] {
        assert!(
            plan.stdout.contains(object),
            "{object}\n{}",
            plan.described()
        );
    }
    world.pipectl(&["plan", &file, &option]).exits(0);
    assert_eq!(sandbox.calls().writes(), []);
    world.assert_nothing_recorded();
    world.events(&["up", &file, &option]).exits(0);
    let first = cluster.everything("pipectl.dev/environment=tiny");

    // Another environment of the same pipeline wants the same names: it takes over nothing.
    let other = world
        .events(&["up", &file, "--env", "other", &option])
        .exits(7);
    let events = other.events();
    let codes: Vec<String> = events
        .failures()
        .into_iter()
        .map(|(_, code)| code)
        .collect();
    assert!(!codes.is_empty(), "{}", other.described());
    for code in codes {
        assert!(
            code == "STG001" || code == "ENG004",
            "{code}\n{}",
            other.described()
        );
    }
    let error = events.error_of("namespaces/tiny");
    assert!(
        error["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains(TINY)),
        "whose it is: {error:#}"
    );
    assert!(error["hint"].is_string(), "{error:#}");
    assert_eq!(
        cluster.everything("pipectl.dev/environment=tiny"),
        first,
        "the first one was touched"
    );

    // A namespace that somebody made is used as it is: neither labelled nor deleted, and what else is in it stays.
    cluster.create(
        Kind::NAMESPACE,
        "",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "taken"}}),
    );
    let precious =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "precious"}});
    cluster.create(Kind::CONFIG_MAP, "taken", precious);
    // An object of the wanted name that is nobody's of ours is not taken over.
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "green"}});
    cluster.create(Kind::CONFIG_MAP, "taken", settings);
    let taken = world.file("taken.yaml", &tiny_named("taken", "busybox:1"));
    let refused = world.events(&["up", &taken, &option]).exits(7);
    assert_eq!(
        refused.events().error_of("workloads/web")["code"],
        "ENG004",
        "{}",
        refused.described()
    );
    let settings = cluster
        .get(Kind::CONFIG_MAP, "taken", "settings")
        .expect("it is still there");
    assert_eq!(settings["data"]["color"], "green");
    cluster.delete(Kind::CONFIG_MAP, "taken", "settings");
    world.events(&["up", &taken, &option]).exits(0);
    let namespace = cluster
        .get(Kind::NAMESPACE, "", "taken")
        .expect("the namespace");
    assert_eq!(
        namespace["metadata"]["labels"]["pipectl.dev/environment"],
        Value::Null
    );
    world.events(&["down", "taken", "--yes"]).exits(0);
    assert!(
        cluster.get(Kind::CONFIG_MAP, "taken", "precious").is_some(),
        "somebody else's object was deleted"
    );
    assert!(cluster.get(Kind::DEPLOYMENT, "taken", "web").is_none());

    // With names of its own, a second one lives beside the first, and goes without it.
    world.events(&["down", "other", "--yes"]).exits(0);
    assert_eq!(
        cluster.everything("pipectl.dev/environment=tiny"),
        first,
        "the first one was touched"
    );
    let second = world.file("second.yaml", &tiny_named("second", "busybox:1"));
    // Said in plain lines where nobody draws, with a summary for those who want to keep one.
    let summary = world.directory().join("summary.md");
    let plain = world
        .pipectl(&["up", &second, &option, "--summary"])
        .arg(&summary)
        .exits(0);
    assert!(
        plain.stdout.lines().count() > 3 && !plain.stdout.contains('\u{1b}'),
        "{}",
        plain.described()
    );
    let summary = std::fs::read_to_string(&summary).expect("the summary");
    assert!(
        summary.contains('#') && summary.contains("second"),
        "{summary}"
    );
    world.pipectl(&["status", "second", "--check"]).exits(0);
    world.events(&["down", TINY, "--yes"]).exits(0);
    assert!(
        cluster
            .everything("pipectl.dev/environment=tiny")
            .is_empty()
    );
    world.pipectl(&["status", "second", "--check"]).exits(0);
    assert!(cluster.get(Kind::NAMESPACE, "", "second").is_some());
}
