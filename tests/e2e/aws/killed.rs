//! Killed and interrupted in the middle of work on AWS, and run again.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Running, World, small};

/// A signal is obeyed in under five seconds; a busy machine gets as much again before the test gives up.
const OBEYED: Duration = Duration::from_secs(10);

#[test]
fn killed_and_interrupted_on_the_way_up_and_on_the_way_down() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("cut", 1);
    let option = sandbox.option();
    let file = world.file("pipeline.yaml", &small("cut"));
    let up = || world.events(&["up", &file, &option]).start();

    // At other points each time, as the work gets further: right after an intent, between a call and its record, while something
    // is waited for.
    killed(up(), "step_applied", "account/anchor");
    killed(up(), "step_started", "network/vpc");
    killed(up(), "step_started", "network/nat-address-1");
    killed(up(), "step_applied", "network/public-subnet-1");
    killed(up(), "step_started", "cluster/control-plane");

    // One interrupt ends it in order while the control plane is being made, and gives the environment back at once.
    let mut run = up();
    run.until_step("step_waits", "cluster/control-plane");
    let before = run.elapsed();
    run.signal_group(Signal::INT);
    let ended = run.wait_at_most(before + OBEYED).exits(130);
    assert_eq!(
        ended.events().outcome(),
        Some("cancelled"),
        "{}",
        ended.described()
    );

    killed(up(), "step_applied", "nodes/group-default");
    killed(up(), "step_waits", "workloads/web");
    let finished = world.events(&["up", &file, &option]).exits(0);
    assert!(
        !finished.stderr.contains("no life"),
        "a holder that was gone was waited for\n{}",
        finished.described()
    );
    sandbox.account().assert_one_small();
    world.pipectl(&["status", "--check"]).exits(0);
    sandbox.count_anew();
    world.events(&["up", &file, &option]).exits(0);
    assert_eq!(sandbox.aws_calls().changes(), [].into());
    assert_eq!(sandbox.calls().writes(), []);

    let down = || world.events(&["down", "--yes"]).start();
    killed(down(), "removal_started", "nodes/groups");
    killed(down(), "step_waits", "cluster/control-plane");
    killed(down(), "removal_started", "cluster/roles");
    killed(down(), "step_started", "network/vpc");
    let gone = world.events(&["down", "--yes"]).exits(0);
    assert_eq!(gone.events().left(), Vec::<Value>::new());
    sandbox.account().assert_empty();
    world.assert_nothing_recorded();
}

/// Kills it at an event of a step.
#[track_caller]
fn killed(mut run: Running<'_>, kind: &str, step: &str) {
    run.until_step(kind, step);
    let ended = run.kill();
    assert_eq!(ended.code(), 137, "{}", ended.described());
}
