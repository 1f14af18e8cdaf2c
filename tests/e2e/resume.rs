//! Killed, interrupted, and run again: nothing is lost, nothing is doubled, nothing needs a person.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Kind, Outcome, Running, Sandbox, TINY, World, processes_with, tiny, until};

/// A signal is obeyed in under five seconds; a busy machine gets as much again before the test gives up.
const OBEYED: Duration = Duration::from_secs(10);

#[test]
fn killed_in_the_middle_of_up_and_of_down() {
    let world = World::new();
    let sandbox = world.sandbox("killed");
    let option = sandbox.option();
    let up = || world.events(&["up", &option]).start();

    // Each kill comes at another point of the same work, which gets further each time.
    killed(up(), "step_applied", "environment/identity");
    killed(up(), "step_applied", "namespaces/kafka");
    killed_with_helm(&world, up());
    killed(up(), "step_applied", "kafka/cluster");
    killed(up(), "step_waits", "kafka/cluster");
    killed(up(), "step_applied", "spark/spark-kafka-consumer");
    let cluster = sandbox.cluster();
    let finished = world.events(&["up", &option]).exits(0);
    assert!(
        !finished.stderr.contains("no life"),
        "a killed holder was waited for\n{}",
        finished.described()
    );
    assert!(
        finished
            .events()
            .of("run_started")
            .any(|event| !event["continues"].is_null())
    );
    world.pipectl(&["status", "--check"]).exits(0);
    // Nothing was made twice.
    assert_eq!(
        releases(&cluster.revisions()),
        ["spark-operator", "strimzi"]
    );
    assert_eq!(
        cluster
            .list(Kind("kafka.strimzi.io", "v1", "Kafka", "kafkas"), "", "")
            .len(),
        1
    );
    sandbox.count_anew();
    world.events(&["up", &option]).exits(0);
    assert_eq!(sandbox.calls().writes(), []);

    let down = || world.events(&["down", "--yes"]).start();
    killed(down(), "step_started", "kafka/cluster");
    killed(down(), "removal_started", "workloads/objects");
    killed_with_helm(&world, down());
    killed(down(), "step_started", "namespaces/all");
    let gone = world.events(&["down", "--yes"]).exits(0);
    assert_eq!(
        gone.events().absence()["remaining"],
        json!([]),
        "{}",
        gone.described()
    );
    assert_eq!(
        cluster.everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
    assert_eq!(cluster.revisions(), Vec::<String>::new());
    world.assert_nothing_recorded();
}

/// The releases that these records are of.
fn releases(records: &[String]) -> Vec<&str> {
    let names = records.iter().filter_map(|record| {
        record
            .strip_prefix("sh.helm.release.v1.")?
            .split(".v")
            .next()
    });
    let names: std::collections::BTreeSet<&str> = names.collect();
    names.into_iter().collect()
}

/// Kills it at an event of a step.
fn killed(mut run: Running<'_>, kind: &str, step: &str) -> Outcome {
    run.until_step(kind, step);
    run.kill()
}

/// Kills it while it runs helm; helm is ended too.
fn killed_with_helm(world: &World, run: Running<'_>) {
    until("a helm process", || {
        (!helm_processes(world).is_empty()).then_some(())
    });
    let ended = run.kill();
    until("the end of helm", || {
        helm_processes(world).is_empty().then_some(())
    });
    assert_eq!(ended.code(), 137, "{}", ended.described());
}

/// Helm and the guards of helm, of this test; the sandbox's own programs have guards too.
fn helm_processes(world: &World) -> Vec<String> {
    let ours = processes_with(world.root());
    ours.into_iter()
        .filter(|line| line.split(' ').any(|word| word.ends_with("/helm")))
        .collect()
}

#[test]
fn one_signal_ends_in_order_and_two_end_at_once() {
    let world = World::new();
    let sandbox = world.sandbox("signalled");
    let option = sandbox.option();

    // In the middle of everything, with helm running.
    let run = world.events(&["up", &option]).start();
    until("a helm process", || {
        (!helm_processes(&world).is_empty()).then_some(())
    });
    let ended = interrupted(run).exits(130);
    assert_eq!(
        ended.events().outcome(),
        Some("cancelled"),
        "{}",
        ended.described()
    );
    assert!(
        helm_processes(&world).is_empty(),
        "children of a cancelled run are left"
    );
    let status = world
        .pipectl(&["status", "streaming", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(status["lastRun"]["outcome"], "cancelled");

    // While something is only waited for, nothing is in flight, so the lease is given back and the next run begins at once.
    let slow = slow(&world);
    let mut run = world.events(&["up", &slow, &option]).start();
    run.until_step("step_waits", "workloads/web");
    let ended = interrupted(run).exits(130);
    assert_eq!(ended.events().of("cancelling").count(), 1);
    let mut again = world.events(&["up", &slow, &option]).start();
    again.until_step("step_waits", "workloads/web");
    // A closed terminal and a CI job that is cancelled are the same to us.
    again.signal(Signal::TERM);
    let ended = again.wait_at_most(OBEYED * 6).exits(130);
    assert!(
        !ended.stderr.contains("no life"),
        "the lease was not given back\n{}",
        ended.described()
    );

    at_once(&world, &sandbox, &slow);
    world.events(&["down", TINY, "--yes"]).exits(0);
    world.events(&["down", "streaming", "--yes"]).exits(0);
    assert_eq!(
        sandbox.cluster().everything("pipectl.dev/environment"),
        BTreeMap::new()
    );
}

/// With a call that hangs, the first signal waits for it and the second does not.
fn at_once(world: &World, sandbox: &Sandbox<'_>, file: &str) {
    sandbox.faults(&json!([
        {"verb": "apply", "resource": "configmaps", "namespace": TINY, "user_agent": "pipectl/",
         "effect": {"type": "delay", "milliseconds": 60_000}}
    ]));
    let set = ["--set", "workloads[web].objects[0].data.color=blue"];
    let mut run = world
        .events(&["up", file, &sandbox.option(), set[0], set[1]])
        .start();
    run.until_step("step_started", "workloads/web");
    until("the call that hangs", || {
        sandbox.hits().first().filter(|hits| **hits > 0).map(|_| ())
    });
    run.signal(Signal::INT);
    run.until_event("the first signal's event", |event| {
        event["type"] == "cancelling" && event["urgency"] == "soon"
    });
    run.signal(Signal::INT);
    let ended = run.wait().exits(130);
    assert!(
        ended
            .events()
            .of("cancelling")
            .any(|event| event["urgency"] == "now"),
        "the second signal was not obeyed\n{}",
        ended.described()
    );
    sandbox.no_faults();
}

/// Sends one interrupt as a terminal does, to everything in the foreground, and gives the promised time for it.
fn interrupted(run: Running<'_>) -> Outcome {
    let before = run.elapsed();
    run.signal_group(Signal::INT);
    run.wait_at_most(before + OBEYED)
}

/// A pipeline whose pod takes longer than any test.
fn slow(world: &World) -> String {
    let text = tiny("busybox:1").replace(
        "annotations: {}",
        "annotations: {sandbox.pipectl.dev/start-after: 20m}",
    );
    world.file("slow.yaml", &text)
}
