//! An AWS that has no room, refuses, asks for patience, and answers with errors before and after what it did.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Sandbox, World, small};

#[test]
fn shortages_end_the_run_early_and_passing_faults_pass() {
    let world = World::new();
    let sandbox = world.sandbox_on_aws("faulty", 1);
    let option = sandbox.option();
    let file = world.file("pipeline.yaml", &small("faulty"));
    let up = || world.events(&["up", &file, &option]);

    // A permission is missing, and the credentials end for a moment: what needs them fails by name, everything else is made.
    sandbox.faults(&json!([
        {"action": "CreateNatGateway",
         "effect": {"type": "error", "code": "UnauthorizedOperation", "message": "You are not authorized to perform this operation.", "status": 403}},
        {"action": "CreateOpenIDConnectProvider", "effect": {"type": "expireCredentials"}}
    ]));
    let run = up().exits(1);
    let events = run.events();
    let mut failures: BTreeSet<(String, String)> = events.failures().into_iter().collect();
    // What waits for something to work that cannot work without it ends for that reason, and says so.
    failures.retain(|(_, code)| code != "ENG008");
    assert_eq!(
        failures,
        [
            ("network/nat-gateway-1".to_owned(), "AWS005".to_owned()),
            ("cluster/oidc-provider".to_owned(), "AWS004".to_owned())
        ]
        .into(),
        "{}",
        run.described()
    );
    let error = events.error_of("network/nat-gateway-1");
    let cause = error["cause"].as_str().unwrap_or_default();
    assert!(
        cause.contains("UnauthorizedOperation") && cause.contains("request"),
        "neither AWS's code nor its request: {error:#}"
    );
    let ready = events.steps("step_ready");
    for sibling in ["cluster/control-plane", "environment/identity"] {
        assert!(
            ready.iter().any(|step| step == sibling),
            "{sibling} did not finish\n{}",
            run.described()
        );
    }

    // No capacity: the run ends as soon as the group's health says so, not after EKS has tried for twenty minutes.
    sandbox.faults(&json!([{"effect": {"type": "capacity"}}]));
    let run = up().exits(1);
    let error = the_group_fails(&run.events());
    assert_eq!(error["code"], "NOD001", "{}", run.described());
    let text = error.to_string();
    assert!(
        text.contains("AsgInstanceLaunchFailures") && text.contains("m6i.large"),
        "{error:#}"
    );

    // Nodes that do not join.
    sandbox.faults(&json!([{"effect": {"type": "failToJoin"}}]));
    let run = up().exits(1);
    let error = the_group_fails(&run.events());
    assert!(
        ["NOD001", "NOD002"]
            .iter()
            .any(|code| error["code"] == *code),
        "{}",
        run.described()
    );
    assert!(
        error["evidence"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{error:#}"
    );

    // What passes is waited out, and a group whose creation was not answered is not made twice.
    sandbox.faults(&json!([
        {"action": "DescribeNodegroup", "count": 3, "effect": {"type": "throttle"}},
        {"action": "CreateNodegroup", "count": 1, "effect": {"type": "internal", "status": 500, "when": "after"}},
        {"action": "DescribeCluster", "count": 2, "effect": {"type": "internal", "status": 503}},
        {"action": "DescribeSubnets", "count": 2, "effect": {"type": "throttle"}}
    ]));
    let run = up().exits(0);
    all_struck(&sandbox, &run.described());
    sandbox.account().assert_one_small();
    world.pipectl(&["status", "--check"]).exits(0);
    world.events(&["down", "--yes"]).exits(0);
    sandbox.account().assert_empty();

    // From nothing, with every first answer lost after its effect, and with throttling besides.
    let lost = |action: &str| json!({"action": action, "count": 1, "effect": {"type": "internal", "status": 500, "when": "after"}});
    let broken = |action: &str| json!({"action": action, "count": 1, "effect": {"type": "reset", "when": "after"}});
    let mut plan: Vec<Value> = Vec::new();
    for action in [
        "CreateVpc",
        "CreateNatGateway",
        "CreateCluster",
        "CreateKey",
        "CreateAddon",
        "CreateRole",
        "PutParameter",
        "CreateOpenIDConnectProvider",
    ] {
        plan.push(lost(action));
    }
    for action in [
        "AllocateAddress",
        "CreateSubnet",
        "CreateInternetGateway",
        "CreateSecurityGroup",
        "CreateRouteTable",
        "CreateVpcEndpoint",
        "CreateNodegroup",
        "CreateLogGroup",
    ] {
        plan.push(broken(action));
    }
    plan.push(
        json!({"service": "ec2", "percent": 10, "count": 20, "effect": {"type": "throttle"}}),
    );
    plan.push(
        json!({"service": "eks", "percent": 10, "count": 10, "effect": {"type": "throttle"}}),
    );
    plan.push(json!({"service": "iam", "percent": 20, "count": 10, "effect": {"type": "internal", "status": 503}}));
    sandbox.faults(&Value::Array(plan));
    let run = up().exits(0);
    all_struck(&sandbox, &run.described());
    sandbox.no_faults();
    sandbox.account().assert_one_small();
    sandbox.count_anew();
    up().exits(0);
    assert_eq!(sandbox.aws_calls().changes(), [].into());

    // And on the way down.
    let mut plan: Vec<Value> = [
        "DeleteVpc",
        "DeleteNatGateway",
        "DeleteCluster",
        "DeleteRole",
        "ScheduleKeyDeletion",
    ]
    .into_iter()
    .map(lost)
    .collect();
    plan.extend(
        [
            "ReleaseAddress",
            "DeleteSubnet",
            "DeleteSecurityGroup",
            "DeleteNodegroup",
            "DeleteParameter",
        ]
        .into_iter()
        .map(broken),
    );
    plan.push(
        json!({"service": "ec2", "percent": 10, "count": 20, "effect": {"type": "throttle"}}),
    );
    sandbox.faults(&Value::Array(plan));
    let down = world.events(&["down", "--yes"]).exits(0);
    all_struck(&sandbox, &down.described());
    assert_eq!(down.events().left(), Vec::<Value>::new());
    sandbox.no_faults();
    sandbox.account().assert_empty();
}

/// The error of the node group.
#[track_caller]
fn the_group_fails(events: &crate::support::Events) -> Value {
    let failures = events.failures();
    assert!(
        failures
            .iter()
            .any(|(step, _)| step == "nodes/group-default"),
        "{failures:?}"
    );
    events.error_of("nodes/group-default")
}

/// Every rule struck: otherwise the test would say nothing about it.
#[track_caller]
fn all_struck(sandbox: &Sandbox<'_>, described: &str) {
    for (rule, hits) in sandbox.hits().into_iter().enumerate() {
        assert!(hits > 0, "fault {rule} never struck\n{described}");
    }
}
