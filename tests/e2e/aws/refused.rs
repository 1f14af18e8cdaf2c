//! What cannot work is refused before anything is made.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Outcome, Stranger, World, small};

#[test]
fn what_cannot_work_is_refused_before_anything_is_made() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("strict", 2);
    let option = sandbox.option();
    let stranger = Stranger::of(&sandbox);
    let file = world.file("pipeline.yaml", &small("strict"));
    let up = |set: &[&str]| -> Outcome {
        let mut words = vec!["up", &file, &option];
        words.extend(set.iter().flat_map(|change| ["--set", change]));
        world.events(&words).run()
    };
    let before = sandbox.account();
    let holds = |what: &str, others: &crate::support::Account| {
        let made = sandbox.account().changed_since(others);
        assert!(made.is_empty(), "{what}: something was made: {made:?}");
    };

    // What the file says.
    for (set, code, words) in [
        (
            "nodeGroups[default].instanceTypes=[m6i.larger]",
            "ACC005",
            "m6i.larger",
        ),
        (
            "nodeGroups[default].instanceTypes=[m6g.large]",
            "ACC006",
            "arm64",
        ),
        (
            "network.zones=[us-west-2a, us-west-2z]",
            "ACC004",
            "us-west-2z",
        ),
        ("cluster.kubernetesVersion=1.29", "ACC007", "1.29"),
        (
            "addons=[{name: coredns, version: v0.0.1-eksbuild.1}]",
            "ADD001",
            "coredns",
        ),
    ] {
        step_fails(&up(&[set]), "account/preflight", code, words);
        holds(set, &before);
    }
    // The sandbox stands for any account, so that this is asked of the account itself, as of one on AWS.
    let as_on_aws = |words: &[&str]| {
        let mut run = world.events(words);
        for (name, value) in sandbox.variables() {
            if name.starts_with("AWS_") || name == "PIPECTL_TIME_SCALE" {
                run = run.env(&name, value);
            }
        }
        run
    };
    let pinned = ["--set", "provider.eks.account=444455556666"];
    as_on_aws(&["up", &file, "--env", "mine", pinned[0], pinned[1]])
        .exits(7)
        .complains("FEN002")
        .says("444455556666");
    holds("another account", &before);

    // What the account says.
    let addresses: Vec<String> = (0..5).map(|_| stranger.address()).collect();
    let full = sandbox.account();
    step_fails(&up(&[]), "account/preflight", "ACC008", "5 of 5");
    holds("no address left", &full);
    for address in &addresses {
        stranger.release(address);
    }
    let vpcs: Vec<String> = (0..5).map(|_| stranger.vpc()).collect();
    let full = sandbox.account();
    step_fails(&up(&[]), "account/preflight", "ACC008", "VPC");
    holds("no VPC left", &full);
    let [vpc, others @ ..] = &vpcs[..] else {
        unreachable!()
    };
    for other in others {
        stranger.remove_vpc(other);
    }

    // What its credentials say.
    for (effect, exit, code) in [
        (json!({"type": "expireCredentials"}), 8, "AWS004"),
        (
            json!({"type": "error", "code": "AccessDenied", "message": "not authorized to perform sts:GetCallerIdentity", "status": 403}),
            1,
            "AWS005",
        ),
    ] {
        sandbox.faults(&json!([{"action": "GetCallerIdentity", "effect": effect}]));
        up(&[]).exits(exit).complains(code);
        sandbox.no_faults();
    }
    // Without a sandbox, without credentials, and without a way to any.
    world
        .events(&["up", &file, "--env", "mine"])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .exits(8)
        .complains("AWS003");

    // A cluster of that name is somebody else's; beside it there is room.
    let role = stranger.role("/", "cluster-of-mine", "AmazonEKSClusterPolicy");
    let subnets = [("us-west-2a", "10.0.0.0/24"), ("us-west-2b", "10.0.1.0/24")];
    let subnets = subnets.map(|(zone, range)| stranger.subnet(vpc, zone, range));
    stranger.cluster("pipectl-strict", &role, &subnets);
    let taken = sandbox.account();
    step_fails(&up(&[]), "account/preflight", "ACC009", "pipectl-strict");
    // What is refused is no work to do, and nothing to go on with.
    let planned = world.pipectl(&["plan", &file, &option, "--detailed-exitcode"]);
    let planned = planned.exits(7).complains("ACC009").says("pipectl-strict");
    assert!(!planned.stderr.contains("next:"), "{}", planned.described());
    holds("a cluster of that name", &taken);
    let named = ["--set", "cluster.name=beside"];
    let beside = ["up", &file, "--env", "mine", named[0], named[1]];
    as_on_aws(&beside).exits(0);
    assert_eq!(sandbox.account().counts().get("clusters"), Some(&2));

    // An environment stays where it is.
    let moved = ["--set", "provider.eks.region=eu-west-1"];
    as_on_aws(&["up", &file, "--env", "mine", moved[0], moved[1]])
        .exits(7)
        .complains("CLI008")
        .says("us-west-2");

    // By its record in the account alone, the cluster of another name is found, and the stranger's is not touched.
    fs::remove_dir_all(world.environment("mine")).expect("the record");
    let down = ["down", "--env", "mine", "--region", "us-west-2", "--yes"];
    let down = as_on_aws(&down).exits(0);
    assert_eq!(down.events().left(), Vec::<Value>::new());
    sandbox.account().assert_only(&taken);
}

/// As on AWS: with the keys of a user under the policy that is published, less one permission.
#[test]
fn missing_permissions_are_named_before_anything_is_made() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("lacking", 1);
    let file = world.file("pipeline.yaml", &small("lacking"));
    let policy = include_str!("../../../docs/reference/aws-permissions.json");
    let policy = policy.replace("eks:CreateNodegroup", "eks:CreateNothing");
    let policy = world.file("policy.json", &policy);
    let variables = sandbox.variables_with(&["--policy", &policy, "--user", "ci"]);
    assert_ne!(
        variables["AWS_ACCESS_KEY_ID"],
        sandbox.variable("AWS_ACCESS_KEY_ID")
    );
    let before = sandbox.account();
    let mut up = world.events(&["up", &file]);
    for (name, value) in &variables {
        if name.starts_with("AWS_") || name == "PIPECTL_TIME_SCALE" {
            up = up.env(name, value);
        }
    }
    step_fails(
        &up.run(),
        "account/preflight",
        "ACC012",
        ":user/ci may not eks:CreateNodegroup",
    );
    let made = sandbox.account().changed_since(&before);
    assert!(made.is_empty(), "something was made: {made:?}");

    // The same user again has the same key, and whatever is no policy makes none.
    let again = sandbox.variables_with(&["--policy", &policy, "--user", "ci"]);
    assert_eq!(again, variables);
    let none = world.file("none.json", "{}");
    let words = ["sandbox", "env", "--name", "lacking", "--policy", &none];
    world.pipectl(&words).exits(3).complains("SBX018");
}

/// Holds that a run failed in this step with this error, which says what it is about and what to do.
#[track_caller]
fn step_fails(run: &Outcome, step: &str, code: &str, words: &str) {
    let exit = if code == "ACC009" { 7 } else { 1 };
    assert_eq!(run.code(), exit, "{}", run.described());
    let events = run.events();
    assert_eq!(
        events.failures(),
        [(step.to_owned(), code.to_owned())],
        "{}",
        run.described()
    );
    let error = events.error_of(step);
    assert!(error.to_string().contains(words), "{words}: {error:#}");
    assert!(error["hint"].is_string(), "{error:#}");
}
