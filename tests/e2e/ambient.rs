//! A cluster that existed before, reached by a kubeconfig and a context, while everything ambient points elsewhere.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{Kind, Run, World};

#[test]
fn an_existing_cluster_in_hostile_surroundings() {
    let world = World::new();
    let (mine, other) = world.two_sandboxes("mine", "other");
    let directory = world.directory().join("mine");
    world
        .pipectl(&[
            "blueprint",
            "export",
            "streaming",
            &directory.display().to_string(),
        ])
        .exits(0);

    // The user's kubeconfig, the chart mirrors and helm: all of it settings that anybody could give.
    fs::copy(mine.kubeconfig(), directory.join("cluster.kubeconfig"))
        .expect("the sandbox's kubeconfig");
    let file = directory.join("pipeline.yaml");
    let text = fs::read_to_string(&file).expect("the exported pipeline");
    let mut mirrors = String::from("  mirrors:\n    charts:\n");
    for charts in ["STRIMZI", "SPARK_OPERATOR"] {
        let to = mine.variable(&format!("PIPECTL_SANDBOX_CHARTS_{charts}"));
        let from = mine.variable(&format!("PIPECTL_SANDBOX_CHARTS_{charts}_FOR"));
        mirrors.push_str(&format!("      - {{from: \"{from}\", to: \"{to}\"}}\n"));
    }
    let existing =
        "  provider: {existing: {kubeconfig: cluster.kubeconfig, context: pipectl-sandbox-mine}}\n";
    let shipped = "  provider: {eks: {region: us-west-2}}\n";
    assert!(text.contains(shipped));
    fs::write(
        &file,
        text.replace(shipped, &format!("{existing}{mirrors}")),
    )
    .expect("a file");
    let helm = mine.variable("PIPECTL_HELM");

    // Everything ambient names the other cluster.
    let ambient = world.root().join("home/.kube/config");
    fs::create_dir_all(ambient.parent().expect("a parent")).expect("a directory");
    fs::copy(other.kubeconfig(), &ambient).expect("the other sandbox's kubeconfig");
    let before = fs::read(&ambient).expect("the ambient kubeconfig");
    other.count_anew();
    let hostile = |run: Run<'_>| -> _ {
        run.env("KUBECONFIG", &ambient)
            .env("HELM_KUBECONTEXT", "pipectl-sandbox-other")
            .env("HELM_NAMESPACE", "kube-system")
            .env("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", "1")
            .env("PIPECTL_HELM", &helm)
            .directory(&directory)
            .run()
    };
    hostile(world.events(&["up"])).exits(0);
    hostile(world.pipectl(&["status", "--check"])).exits(0);
    hostile(world.pipectl(&["plan", "--detailed-exitcode"])).exits(0);
    assert!(mine.cluster().get(Kind::NAMESPACE, "", "kafka").is_some());

    // The environment needs its user's kubeconfig no more: it has one of its own.
    let listed = world.pipectl(&["list", "-o", "json"]).exits(0).json();
    assert_eq!(listed[0]["name"], "streaming");
    fs::remove_file(directory.join("cluster.kubeconfig")).expect("the user's kubeconfig");
    hostile(world.events(&["down", "--yes"])).exits(0);

    assert_eq!(
        mine.cluster().everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
    let calls = other.calls();
    assert_eq!(
        calls.own().count() + calls.helm().count(),
        0,
        "the other cluster was asked: {calls:#?}"
    );
    assert_eq!(
        fs::read(&ambient).expect("the ambient kubeconfig"),
        before,
        "the ambient kubeconfig was changed"
    );
}

#[test]
fn a_recreated_cluster_is_another_cluster() {
    let world = World::new();
    let sandbox = world.sandbox("again");
    let option = sandbox.option();
    let file = world.file("tiny.yaml", &crate::support::tiny("busybox:1"));
    world.events(&["up", &file, &option]).exits(0);
    world
        .pipectl(&["sandbox", "reset", "--name", &sandbox.name])
        .exits(0);
    sandbox.count_anew();

    world
        .events(&["up", &file, &option])
        .exits(7)
        .complains("FEN001")
        .says("forget");
    world
        .events(&["down", "tiny", "--yes"])
        .exits(7)
        .complains("FEN001");
    let status = world
        .pipectl(&["status", "tiny", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(status["live"]["asked"], false);
    assert!(
        status["live"]["whyNot"]
            .as_str()
            .is_some_and(|why| why.starts_with("FEN001")),
        "{status:#}"
    );
    assert_eq!(sandbox.calls().writes(), []);
    assert_eq!(
        sandbox.cluster().everything("pipectl.dev/environment"),
        BTreeMap::new()
    );

    world
        .pipectl(&["forget", "tiny"])
        .exits(7)
        .complains("CLI005");
    world.pipectl(&["forget", "tiny", "--yes"]).exits(0);
    assert_eq!(
        world.pipectl(&["list", "-o", "json"]).exits(0).json(),
        Value::Array(Vec::new())
    );
    world.events(&["up", &file, &option]).exits(0);
    world.events(&["down", "--yes"]).exits(0);
}
