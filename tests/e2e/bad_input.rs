//! Everything that can be wrong before or around a run: a code, an exit code, a hint, and nothing half-written.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Kind, Outcome, TINY, World, loudly, tiny};

#[test]
fn wrong_files_and_arguments_change_nothing() {
    let world = World::new();
    let sandbox = world.sandbox("untouched");
    let option = sandbox.option();
    sandbox.count_anew();
    let good = tiny("busybox:1");
    let path = |name: &str, text: &str| world.file(name, text);
    let up = |arguments: &[&str]| {
        let run = world.events(&["up", &option]);
        arguments
            .iter()
            .fold(run, |run, argument| run.arg(argument))
            .run()
    };

    // What cannot be read as a pipeline, with the place.
    up(&[&path("broken.yaml", "metadata: [\n")])
        .exits(3)
        .complains("CFG006")
        .says("broken.yaml:1:");
    up(&[&path("empty.yaml", "# nothing\n")])
        .exits(3)
        .complains("CFG004");
    up(&[&path(
        "other.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
    )])
    .exits(3)
    .complains("CFG009");
    up(&["no-such-file.yaml"]).exits(3).complains("CFG001");
    up(&[&world.directory().display().to_string()])
        .exits(3)
        .complains("CFG002");

    // Unknown fields with the one that was meant, and all errors at once, each with its line and column.
    let misspelt = good.replace("  workloads:", "  worklaods:");
    up(&[&path("field.yaml", &misspelt)])
        .exits(3)
        .complains("CFG010")
        .says("field.yaml:8:3")
        .says("workloads");
    // Who reads events reads the same there, in their form.
    let told = up(&[&path("field.yaml", &misspelt)]).exits(3).json();
    assert_eq!(told["type"], "error", "{told:#}");
    assert_eq!(told["exit"], 3, "{told:#}");
    assert_eq!(told["error"]["code"], "CFG010", "{told:#}");
    let place = told["error"]["resource"].as_str().expect("a place");
    assert!(place.ends_with("field.yaml:8:3"), "{told:#}");
    let unknown = world.pipectl(&["status", "nobody", "-o", "json"]).exits(3);
    assert_eq!(
        unknown.complains("STA001").json()["error"]["code"],
        "STA001"
    );
    let several = "apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata: {name: tiny}\nspec:\n  kafka:\n    topics:\n      \
                   - name: a\n        partitons: 3\n        retention: 10 minutes\n  workloads:\n    - name: w\n      namespace: tiny\n      \
                   manifests: [gone.yaml]\n";
    up(&[&path("several.yaml", several)])
        .exits(3)
        .complains("CFG010")
        .says("several.yaml:8:9")
        .says("partitions")
        .complains("CFG015")
        .says("several.yaml:9:20")
        .complains("CFG038")
        .says("gone.yaml");
    let contradicting = "apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata: {name: tiny}\nspec:\n  strimzi: {version: 0.47.0}\n  kafka:\n    \
                         name: c\n    version: 3.7.0\n    topics:\n      - {name: a, partitions: 1, replicas: 9}\n";
    up(&[&path("versions.yaml", contradicting)])
        .exits(3)
        .complains("CFG014")
        .says("3.9")
        .complains("CFG023");
    let undeclared = good.replace("      namespace: tiny", "      namespace: tinny");
    up(&[&path("namespace.yaml", &undeclared)])
        .exits(3)
        .complains("CFG029")
        .says("tiny");

    // Files that the pipeline names.
    let manifest = good.replace(
        "      objects:",
        "      manifests: [gone.yaml]\n      objects:",
    );
    up(&[&path("manifest.yaml", &manifest)])
        .exits(3)
        .complains("CFG038")
        .says("gone.yaml");
    path("no-object.yaml", "replicas: 3\n");
    let no_object = good.replace(
        "      objects:",
        "      manifests: [no-object.yaml]\n      objects:",
    );
    up(&[&path("manifest.yaml", &no_object)])
        .exits(3)
        .complains("CFG039")
        .says("no-object.yaml");

    // Arguments.
    up(&["--blueprint", "straeming"])
        .exits(3)
        .complains("CLI001")
        .says("streaming");
    up(&["--set", "kafka"]).exits(3).complains("CFG017");
    up(&["--set", "kafka.topics[nobody].partitions=6"])
        .exits(3)
        .complains("CFG017");
    up(&["--env", "Not_A_Name"]).exits(3).complains("STA002");
    up(&["--no-such-option"]).exits(2);
    up(&["--parallelism", "0"]).exits(2);
    up(&["--timeout", "soon"]).exits(2);
    // Without a name, a file and a sandbox nothing goes to AWS.
    world
        .events(&["up"])
        .on_aws()
        .exits(3)
        .complains("CLI021")
        .says("pipectl up --sandbox");
    world
        .pipectl(&["plan"])
        .on_aws()
        .exits(3)
        .complains("CLI021");
    world
        .pipectl(&["validate", &path("field.yaml", &misspelt)])
        .exits(3)
        .complains("CFG010");
    world
        .pipectl(&["plan", &path("field.yaml", &misspelt), &option])
        .exits(3)
        .complains("CFG010");
    world
        .pipectl(&["down", "nobody", "--yes"])
        .exits(3)
        .complains("STA001");
    world
        .pipectl(&["down", "--env", "nobody", "--yes", &option])
        .exits(3)
        .complains("STA001");
    world.pipectl(&["status"]).exits(3).complains("CLI004");
    world
        .pipectl(&["forget", "nobody", "--yes"])
        .exits(3)
        .complains("STA001");
    world
        .pipectl(&["sandbox", "start", "--name", "../up"])
        .exits(3)
        .complains("SBX012");
    world
        .pipectl(&["sandbox", "calls", "--name", "asleep"])
        .exits(8)
        .complains("SBX009");
    world
        .pipectl(&["sandbox", "logs", "--name", &sandbox.name, "nobody"])
        .exits(3)
        .complains("CLI011");
    world
        .pipectl(&["sandbox", "faults", "--name", &sandbox.name, "--set", "-"])
        .input("[{verbs: x}]")
        .exits(3)
        .complains("CLI012");

    world.assert_nothing_recorded();
    assert_eq!(sandbox.calls().writes(), []);
    assert!(
        sandbox
            .cluster()
            .everything("pipectl.dev/environment")
            .is_empty()
    );
}

#[test]
fn programs_clusters_and_ports_that_are_not_there() {
    let world = World::new();
    let sandbox = world.sandbox("reachable");
    let kubeconfig = sandbox.kubeconfig().display().to_string();
    let existing = |kubeconfig: &str, context: &str, text: String| {
        let provider = format!(
            "spec:\n  provider: {{existing: {{kubeconfig: {kubeconfig}, context: {context}}}}}\n"
        );
        text.replacen("spec:\n", &provider, 1)
    };

    // A cluster that does not answer: a port that was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let text = fs::read_to_string(sandbox.kubeconfig()).expect("the sandbox's kubeconfig");
    let server = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: "))
        .expect("a server")
        .trim_matches('"');
    let nowhere = world.file(
        "nowhere.kubeconfig",
        &text.replace(server, &format!("https://{closed}")),
    );
    let file = world.file(
        "nowhere.yaml",
        &existing(&nowhere, "pipectl-sandbox-reachable", tiny("busybox:1")),
    );
    world
        .events(&["up", &file])
        .exits(8)
        .complains("K8S004")
        .says(&closed.to_string());
    // A kubeconfig that is not there, and a context that is not in it.
    let file = world.file(
        "missing.yaml",
        &existing("gone.kubeconfig", "a", tiny("busybox:1")),
    );
    world
        .events(&["up", &file])
        .exits(3)
        .complains("K8S001")
        .says("gone.kubeconfig");
    let file = world.file(
        "context.yaml",
        &existing(&kubeconfig, "nobody", tiny("busybox:1")),
    );
    let outcome = world.events(&["up", &file]).exits(3).complains("K8S002");
    assert!(
        outcome.stderr.contains("pipectl-sandbox-reachable"),
        "the contexts that there are\n{}",
        outcome.described()
    );
    world.assert_nothing_recorded();

    // A port that somebody has, and a directory without the programs.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    world
        .pipectl(&["sandbox", "start", "--name", "late", "--api-port", &port])
        .exits(3)
        .complains("SBX006")
        .says(&port);
    let empty = world.root().join("bin");
    world
        .pipectl(&["sandbox", "start", "--name", "late"])
        .env("PIPECTL_SANDBOX_BIN", &empty)
        .exits(8)
        .complains("SBX004");
    // No Go to build them with.
    world
        .pipectl(&["sandbox", "install"])
        .without("PIPECTL_SANDBOX_BIN")
        .env("PATH", &empty)
        .exits(8)
        .complains("SBX001")
        .says("PIPECTL_SANDBOX_BIN");

    // Helm that is not there: neither named nor on the path, and named where nothing is.
    let charts = tiny("busybox:1")
        + "      charts:\n        - {name: extra, repo: https://strimzi.io/charts/, chart: strimzi-kafka-operator, version: 1.2.0}\n";
    let file = world.file(
        "charts.yaml",
        &existing(&kubeconfig, "pipectl-sandbox-reachable", charts),
    );
    sandbox.count_anew();
    let nowhere = world.root().join("bin/helm");
    for run in [
        world.events(&["up", &file]).env("PATH", &empty),
        world.events(&["up", &file]).env("PIPECTL_HELM", &nowhere),
    ] {
        let outcome = run.run();
        assert_ne!(outcome.code(), 0, "{}", outcome.described());
        let said = outcome
            .events()
            .failures()
            .iter()
            .any(|(_, code)| code == "HLM001")
            || outcome.stderr.contains("error[HLM001]");
        assert!(said, "{}", outcome.described());
        assert!(
            (outcome.stdout.clone() + &outcome.stderr).contains("PIPECTL_HELM"),
            "the way out\n{}",
            outcome.described()
        );
    }
    // It may have begun (what needs no helm is made), and then it goes like everything else.
    if world.environment(TINY).exists() {
        world
            .events(&["down", TINY, "--yes"])
            .env("PIPECTL_HELM", sandbox.variable("PIPECTL_HELM"))
            .exits(0);
    }
    assert!(
        sandbox
            .cluster()
            .everything("pipectl.dev/environment")
            .is_empty()
    );
}

#[test]
fn disks_that_are_full_or_closed() {
    let world = World::new();
    let sandbox = world.sandbox("cramped");
    let (option, cluster) = (sandbox.option(), sandbox.cluster());
    let environments = world.state().join("environments");
    fs::create_dir_all(&environments).expect("a directory");
    if !may_mount() {
        loudly(
            "e2e: SKIPPED disks_that_are_full_or_closed: this user may not mount in a namespace of its own (unshare -rm)",
        );
        return;
    }
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    let on = |options: &str, blueprint: &[&str]| {
        let run = world.pipectl(&["up", &option, "--output", "json"]);
        let run = blueprint
            .iter()
            .fold(run, |run, argument| run.arg(argument));
        // A file system that only this process sees.
        run.in_namespace(&format!(
            "mount -t tmpfs -o {options} tmpfs '{}'",
            environments.display()
        ))
        .run()
    };

    sandbox.count_anew();
    on("ro", &[&file]).exits(8).complains("STA007");
    assert_eq!(
        sandbox.calls().writes(),
        [],
        "something was made that could not be recorded"
    );

    // Full at once, and full in the middle: nothing is begun that is not recorded.
    let full = on("size=4k", &[&file]).exits(8);
    assert!(disk_full(&full), "{}", full.described());
    let before = cluster.everything("pipectl.dev/environment");
    assert!(before.is_empty(), "{before:#?}\n{}", full.described());

    let full = on("size=32k", &["--blueprint", "streaming"]).exits(8);
    assert!(disk_full(&full), "{}", full.described());
    assert_eq!(
        full.events().outcome(),
        Some("journal_failed"),
        "{}",
        full.described()
    );
    let made = cluster.everything("pipectl.dev/environment");
    assert!(
        made.len() < 60,
        "it went on without a journal\n{}",
        full.described()
    );

    // The record went with its disk; the cluster tells what there is.
    world
        .events(&["down", "--env", "streaming", &option, "--yes"])
        .exits(0);
    assert!(cluster.everything("pipectl.dev/environment").is_empty());
    assert!(cluster.get(Kind::NAMESPACE, "", "kafka").is_none());
}

/// Whether the lack of space is what was said.
fn disk_full(outcome: &Outcome) -> bool {
    let failed = outcome.events();
    let failed = failed
        .of("journal_failed")
        .any(|event| event["error"]["code"] == "STA006");
    failed || outcome.stderr.contains("error[STA006]")
}

fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs -o size=4k tmpfs /mnt"])
        .stdin(Stdio::null())
        .output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn limits_and_damage_of_the_record() {
    let world = World::new();
    let sandbox = world.sandbox("damaged");
    let option = sandbox.option();
    let file = world.file("tiny.yaml", &tiny("busybox:1"));
    world.events(&["up", &file, &option]).exits(0);

    // A torn end is what a power cut leaves: it is tolerated.
    let journal = journal(&world);
    let intact = fs::read(&journal).expect("the journal");
    let mut torn = intact.clone();
    torn.extend_from_slice(b"{\"torn");
    fs::write(&journal, &torn).expect("a file");
    world.pipectl(&["status", TINY, "--check"]).exits(0);
    world.events(&["up", &file, &option]).exits(0);

    // Damage before the end is not: nothing is guessed, and the way out is said.
    let mut damaged = fs::read(&journal).expect("the journal");
    let middle = damaged.len() / 3;
    damaged[middle] ^= 0x20;
    fs::write(&journal, &damaged).expect("a file");
    sandbox.count_anew();
    for command in [
        vec!["up", &file, &option],
        vec!["down", TINY, "--yes"],
        vec!["status", TINY],
    ] {
        let outcome = world.pipectl(&command).run();
        assert_ne!(outcome.code(), 0, "{}", outcome.described());
        let _ = outcome.complains("STA003");
    }
    assert_eq!(sandbox.calls().writes(), []);
    let listed = world.pipectl(&["list", "-o", "json"]).exits(0).json();
    assert!(
        listed[0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("STA003")),
        "{listed:#}"
    );

    // As the hint says: move it aside, and what is there is found again.
    fs::rename(&journal, journal.with_extension("aside")).expect("a file that can be moved");
    world.events(&["up", &file, &option]).exits(0);
    let down = world.events(&["down", TINY, "--yes"]).exits(0);
    assert_eq!(
        down.events().absence()["remaining"],
        json!([]),
        "{}",
        down.described()
    );
    assert!(
        sandbox
            .cluster()
            .everything("pipectl.dev/environment")
            .is_empty()
    );
}

/// The journal's file.
fn journal(world: &World) -> std::path::PathBuf {
    let files = fs::read_dir(world.environment(TINY))
        .expect("the record")
        .flatten();
    let journal = files
        .filter(|file| file.file_name().to_string_lossy().contains("journal"))
        .map(|file| file.path());
    let journals: Vec<_> = journal.collect();
    assert_eq!(journals.len(), 1, "{journals:?}");
    journals[0].clone()
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    let world = World::new();
    let closed = world.pipectl(&["explain"]).piped_into("head -1").exits(0);
    assert_eq!(closed.stdout.lines().count(), 1, "{}", closed.described());
    assert_eq!(closed.stderr, "");
    let schema: Value = world.pipectl(&["schema"]).exits(0).json();
    assert!(
        schema["$defs"].is_object() || schema["definitions"].is_object(),
        "{schema:#}"
    );
}
