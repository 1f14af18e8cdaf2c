//! The whole life of an environment: up, status, an `up` that writes nothing, one changed value, drift, down, absence.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::support::{Cluster, Kind, Outcome, Sandbox, World};

/// What carries an environment's ownership.
const OWNED: &str = "pipectl.dev/environment";

/// Lists of an `up` that changes nothing. Each kind that the pipeline uses costs one list by the environment's label
/// (it opens the kind's shared watch), which is 16 kinds for this blueprint; verification reads pods and endpoints by
/// namespace, and Helm's records are looked for by two labels. It must not grow with the number of objects.
const MOST_LISTS: u64 = 40;

#[test]
fn up_status_up_again_change_and_down() {
    let world = World::new();
    let sandbox = world.reserve("life");
    let option = sandbox.option();

    // The first `up` prepares everything by itself.
    let up = world.events(&["up", &option]).exits(0);
    assert_eq!(
        up.events().outcome(),
        Some("succeeded"),
        "{}",
        up.described()
    );
    assert!(up.events().failures().is_empty());
    let cluster = sandbox.cluster();
    figures_of_the_blueprint(&cluster);
    everything_is_in_place(&world);
    let plan = world
        .pipectl(&["plan", &option, "-o", "json", "--detailed-exitcode"])
        .exits(0);
    assert!(differences(&plan).is_empty(), "{}", plan.described());
    kubeconfig_works(&world, &sandbox);

    nothing_is_written(&world, &sandbox, &cluster, &[&option]);
    one_value_changes_one_object(&world, &sandbox, &cluster);
    a_file_changes_one_object(&world, &sandbox, &cluster);
    drift_is_seen_and_mended(&world, &sandbox, &cluster);

    nothing_is_left(&world, &sandbox, &cluster);
    sandbox.stop();
}

/// What document and blueprint promise, seen in the cluster.
fn figures_of_the_blueprint(cluster: &Cluster) {
    let topic = cluster
        .get(Kind::TOPIC, "kafka", "streaming-topic")
        .expect("the topic");
    assert_eq!(topic["spec"]["partitions"], 3);
    assert_eq!(topic["spec"]["replicas"], 3);
    assert_eq!(
        topic["spec"]["config"]["retention.ms"]
            .to_string()
            .trim_matches('"'),
        "600000"
    );
    assert_eq!(
        topic["spec"]["config"]["min.insync.replicas"]
            .to_string()
            .trim_matches('"'),
        "2"
    );
    let pods = cluster.list(Kind::POD, "kafka", "strimzi.io/cluster=streaming-cluster");
    let names: Vec<&str> = pods
        .iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str())
        .collect();
    for broker in 0..3 {
        let name = format!("streaming-cluster-broker-pool-{broker}");
        assert!(
            names.contains(&name.as_str()),
            "{name} is not among {names:?}"
        );
    }
    let claims = cluster.list(Kind::CLAIM, "kafka", "strimzi.io/pool-name=broker-pool");
    assert_eq!(claims.len(), 3);
    for claim in claims {
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
    }
    let was = cluster
        .get(Kind::DEPLOYMENT, "was", "was")
        .expect("the web application");
    assert_eq!(was["spec"]["replicas"], 2);
    assert_eq!(was["status"]["readyReplicas"], 2);
}

fn everything_is_in_place(world: &World) {
    let status = world.pipectl(&["status", "-o", "json"]).exits(0).json();
    assert_eq!(status["phase"], "up");
    assert_eq!(status["live"]["asked"], true);
    let stages = status["stages"].as_array().expect("stages");
    let names: Vec<&str> = stages
        .iter()
        .filter_map(|stage| stage["stage"].as_str())
        .collect();
    for stage in [
        "namespaces",
        "strimzi",
        "kafka",
        "spark-operator",
        "workloads",
        "spark",
        "verification",
    ] {
        assert!(names.contains(&stage), "{stage} is not among {names:?}");
    }
    for stage in stages {
        assert_eq!(stage["standing"], "in_place", "{stage:#}");
    }
    let addresses: Vec<&str> = status["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|end| end["address"].as_str())
        .collect();
    assert!(
        addresses.contains(&"streaming-cluster-kafka-bootstrap.kafka.svc:9092"),
        "{addresses:?}"
    );
    assert!(
        addresses.iter().any(|address| address.ends_with(":30080")),
        "{addresses:?}"
    );

    let text = world.pipectl(&["status", "--steps"]).exits(0);
    assert!(
        text.stdout.contains("streaming") && text.stdout.contains("kafka"),
        "{}",
        text.described()
    );
    world.pipectl(&["status", "streaming", "--check"]).exits(0);
    let yaml = world.pipectl(&["status", "-o", "yaml"]).exits(0);
    let yaml: Value = serde_norway::from_str(&yaml.stdout).expect("YAML");
    assert_eq!(yaml["environment"], "streaming");
    let listed = world.pipectl(&["list", "-o", "json"]).exits(0).json();
    assert_eq!(listed[0]["name"], "streaming");
    assert_eq!(listed[0]["phase"], "up");
}

/// The environment's own kubeconfig leads to the cluster.
fn kubeconfig_works(world: &World, sandbox: &Sandbox<'_>) {
    let printed = world.pipectl(&["kubeconfig"]).exits(0);
    let path = printed.stdout.trim();
    assert!(
        path.starts_with(&world.environment("streaming").display().to_string()),
        "{path}"
    );
    assert_ne!(path, sandbox.kubeconfig().display().to_string());
    let seen = Cluster::open(path.as_ref()).get(Kind::NAMESPACE, "", "kafka");
    assert!(
        seen.is_some(),
        "the environment's own kubeconfig does not show its namespace"
    );
}

/// An `up` with these arguments finds everything as it should be.
#[track_caller]
fn nothing_is_written(world: &World, sandbox: &Sandbox<'_>, cluster: &Cluster, arguments: &[&str]) {
    let (before, revisions) = (cluster.owned(), cluster.revisions());
    sandbox.count_anew();
    let again = world.events(&["up"]);
    let again = arguments
        .iter()
        .fold(again, |run, argument| run.arg(argument))
        .exits(0);
    let calls = sandbox.calls();
    assert_eq!(calls.writes(), [], "{}", again.described());
    assert_eq!(
        calls.helm().count(),
        0,
        "helm was run\n{}",
        again.described()
    );
    assert!(
        calls.lists() <= MOST_LISTS,
        "{} lists: {calls:#?}",
        calls.lists()
    );
    assert!(calls.lists() > 0, "nobody looked: {calls:#?}");
    assert!(
        again.events().of("step_applied").next().is_none(),
        "{}",
        again.described()
    );
    assert_eq!(cluster.revisions(), revisions);
    assert_eq!(changed(&before, &cluster.owned()), BTreeMap::new());
}

fn one_value_changes_one_object(world: &World, sandbox: &Sandbox<'_>, cluster: &Cluster) {
    let set = [
        "--set",
        "kafka.topics[streaming-topic].retention=20m",
        &sandbox.option(),
    ];
    let plan = world.pipectl(&["plan", "-o", "json", "--detailed-exitcode"]);
    let plan = set
        .iter()
        .fold(plan, |run, argument| run.arg(argument))
        .exits(2);
    let planned = differences(&plan);
    assert_eq!(planned.len(), 1, "{}", plan.described());
    assert_eq!(planned[0]["resource"], "KafkaTopic kafka/streaming-topic");
    assert_eq!(planned[0]["change"], "updated");

    let up = world.events(&["up"]);
    let up = set.iter().fold(up, |run, argument| run.arg(argument));
    only_one_is_written(
        sandbox,
        cluster,
        "kafkatopics",
        "KafkaTopic kafka/streaming-topic",
        || up.exits(0),
    );
    let topic = cluster
        .get(Kind::TOPIC, "kafka", "streaming-topic")
        .expect("the topic");
    assert_eq!(
        topic["spec"]["config"]["retention.ms"]
            .to_string()
            .trim_matches('"'),
        "1200000"
    );
}

fn a_file_changes_one_object(world: &World, sandbox: &Sandbox<'_>, cluster: &Cluster) {
    let directory = world.directory().join("mine");
    let exported = directory.display().to_string();
    world
        .pipectl(&["blueprint", "export", "streaming", &exported])
        .exits(0);
    let file = directory.join("pipeline.yaml");
    replace(&file, "retention: 600000ms", "retention: 20m");
    // The same pipeline from another place is the same pipeline.
    let path = file.display().to_string();
    nothing_is_written(world, sandbox, cluster, &[&path, &sandbox.option()]);

    replace(
        &directory.join("manifests/was-deployment.yaml"),
        "replicas: 2",
        "replicas: 3",
    );
    let up = world
        .events(&["up", &sandbox.option()])
        .directory(&directory);
    only_one_is_written(
        sandbox,
        cluster,
        "deployments",
        "Deployment was/was",
        || up.exits(0),
    );
    let was = cluster
        .get(Kind::DEPLOYMENT, "was", "was")
        .expect("the web application");
    assert_eq!(
        was["status"]["readyReplicas"], 3,
        "up does not end before it is ready"
    );
}

fn drift_is_seen_and_mended(world: &World, sandbox: &Sandbox<'_>, cluster: &Cluster) {
    let by_hand = json!({"spec": {"config": {"retention.ms": 3_600_000}}});
    cluster.patch(Kind::TOPIC, "kafka", "streaming-topic", &by_hand);
    let status = world.pipectl(&["status", "-o", "json"]).exits(0).json();
    let kafka = status["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|stage| stage["stage"] == "kafka");
    let kafka = kafka.expect("stage kafka");
    assert_eq!(kafka["standing"], "drifted", "{kafka:#}");
    assert!(
        kafka["words"]
            .as_str()
            .is_some_and(|words| words.contains("retention.ms")),
        "{kafka:#}"
    );
    world.pipectl(&["status", "--check"]).exits(1);

    let directory = world.directory().join("mine");
    let up = world
        .events(&["up", &sandbox.option()])
        .directory(&directory);
    only_one_is_written(
        sandbox,
        cluster,
        "kafkatopics",
        "KafkaTopic kafka/streaming-topic",
        || up.exits(0),
    );
    world.pipectl(&["status", "--check"]).exits(0);
}

fn nothing_is_left(world: &World, sandbox: &Sandbox<'_>, cluster: &Cluster) {
    let refused = world.pipectl(&["down", "streaming"]).exits(7);
    assert!(refused.complains("CLI005").stdout.is_empty());
    assert!(
        !cluster.owned().is_empty(),
        "nothing goes before somebody agreed"
    );

    let down = world.events(&["down", "--yes"]).exits(0);
    let absence = down.events().absence();
    assert_eq!(absence["remaining"], json!([]), "{absence:#}");
    assert_eq!(absence["checked"], absence["gone"]);
    assert!(
        absence["checked"]
            .as_u64()
            .is_some_and(|checked| checked > 40),
        "{absence:#}"
    );

    assert_eq!(cluster.owned(), BTreeMap::new());
    assert_eq!(
        cluster.everything("pipectl.dev/environment-uid"),
        BTreeMap::new()
    );
    assert_eq!(
        cluster.everything("app.kubernetes.io/managed-by=Helm"),
        BTreeMap::new()
    );
    assert_eq!(cluster.revisions(), Vec::<String>::new());
    assert_eq!(cluster.list(Kind::CLAIM, "", ""), Vec::<Value>::new());
    let definitions = cluster.list(Kind::DEFINITION, "", "");
    let groups: Vec<&Value> = definitions
        .iter()
        .map(|definition| &definition["spec"]["group"])
        .collect();
    assert!(
        !groups
            .iter()
            .any(|group| *group == "kafka.strimzi.io" || *group == "sparkoperator.k8s.io"),
        "{groups:?}"
    );
    for namespace in ["kafka", "was", "logging-system", "spark-operator"] {
        assert!(
            cluster.get(Kind::NAMESPACE, "", namespace).is_none(),
            "{namespace}"
        );
    }
    assert!(
        cluster.get(Kind::NAMESPACE, "", "default").is_some(),
        "what the user brought stays"
    );

    world.assert_nothing_recorded();
    assert!(
        !world.environment("streaming").exists(),
        "the record is still among the living"
    );
    let history = fs::read_dir(world.state().join("history"))
        .into_iter()
        .flatten()
        .count();
    assert_eq!(history, 1, "the record is kept in the history");

    world
        .pipectl(&["down", "streaming", "--yes"])
        .exits(3)
        .complains("STA001");
    world
        .pipectl(&["down", "--yes"])
        .exits(3)
        .complains("CLI004");
    world
        .pipectl(&["down", "streaming", "--yes", &sandbox.option()])
        .exits(3)
        .complains("STA001");
    world
        .pipectl(&["status", "streaming"])
        .exits(3)
        .complains("STA001");
}

/// A run by which pipectl writes one object of these resources and nothing else.
#[track_caller]
fn only_one_is_written(
    sandbox: &Sandbox<'_>,
    cluster: &Cluster,
    resource: &str,
    object: &str,
    run: impl FnOnce() -> Outcome,
) {
    let (before, revisions) = (cluster.owned(), cluster.revisions());
    sandbox.count_anew();
    let run = run();
    let calls = sandbox.calls();
    assert_eq!(
        calls.writes(),
        [(format!("apply {resource}"), 1)],
        "{}",
        run.described()
    );
    assert_eq!(cluster.revisions(), revisions);
    let changed = changed(&before, &cluster.owned());
    let names: Vec<&String> = changed
        .keys()
        .filter(|name| !made_by_controllers(name))
        .collect();
    assert_eq!(names, [object], "{changed:#?}");
    assert_eq!(
        changed[object].0, changed[object].2,
        "{object} was replaced and not changed"
    );
}

/// Objects to which controllers hand the labels of ours, and which follow what pipectl changes.
fn made_by_controllers(name: &str) -> bool {
    ["Pod ", "ReplicaSet ", "EndpointSlice ", "Endpoints "]
        .iter()
        .any(|kind| name.starts_with(kind))
}

/// What differs between two looks: (UID, version) before and after.
fn changed(
    before: &BTreeMap<String, (String, String)>,
    after: &BTreeMap<String, (String, String)>,
) -> BTreeMap<String, (String, String, String, String)> {
    let none = || (String::new(), String::new());
    let mut changed = BTreeMap::new();
    for name in before.keys().chain(after.keys()) {
        let was = before.get(name).cloned().unwrap_or_else(none);
        let is = after.get(name).cloned().unwrap_or_else(none);
        if was != is {
            changed.insert(name.clone(), (was.0, was.1, is.0, is.1));
        }
    }
    changed
}

fn differences(plan: &Outcome) -> Vec<Value> {
    let planned = plan.json();
    let steps = planned.as_array().expect("steps");
    steps
        .iter()
        .flat_map(|step| step["differences"].as_array().cloned().unwrap_or_default())
        .collect()
}

fn replace(file: &std::path::Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).expect("an exported file");
    assert!(text.contains(old), "{old:?} is not in {}", file.display());
    fs::write(file, text.replace(old, new)).expect("a file that can be written");
}

impl Cluster {
    /// Everything that carries an environment's ownership.
    fn owned(&self) -> BTreeMap<String, (String, String)> {
        self.everything(OWNED)
    }
}
