//! Node groups: how they come, change, fail and go.

use serde_json::{Value, json};

use super::{Ground, call, ground, refused};
use crate::aws::world::faults::{AwsFaultEffect, AwsFaultRule};

#[test]
fn a_node_group_needs_a_network_and_goes_before_its_cluster() {
    let mut ground = ground();
    ground.up();
    let new = ground.group(2);
    call(&mut ground.stage, "CreateNodegroup", new.clone());
    assert_eq!(
        refused(&mut ground.stage, "CreateNodegroup", new),
        "ResourceInUseException"
    );
    ground.addon("coredns");
    ground.stage.pass(400);
    // Joined, but without the CNI nodes are not ready.
    assert_eq!(ground.group_shown()["status"], "CREATING");
    assert_eq!(ground.addon_status("coredns"), "DEGRADED");
    ground.addon("vpc-cni");
    ground.stage.pass(31);
    // The nodes are ready before EKS calls their group so, and what waits for nodes does not wait for that.
    assert_eq!(ground.group_shown()["status"], "CREATING");
    ground.stage.pass(31);
    assert_eq!(ground.addon_status("coredns"), "ACTIVE");
    assert_eq!(ground.group_shown()["status"], "CREATING");
    ground.stage.pass(31);
    assert_eq!(ground.group_shown()["status"], "ACTIVE");
    assert_eq!(
        refused(&mut ground.stage, "DeleteCluster", json!({"name": "c"})),
        "ResourceInUseException"
    );
    let instances = ground.stage.ec2("DescribeInstances", "").unwrap();
    let zones: Vec<_> = instances["reservationSet"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["instancesSet"][0]["placement"]["availabilityZone"].clone())
        .collect();
    assert!(
        zones.contains(&json!("us-west-2a")) && zones.contains(&json!("us-west-2b")),
        "{zones:?}"
    );
    // One more, then two fewer.
    let scale = |desired: i64| {
        json!({
            "clusterName": "c", "nodegroupName": "g", "scalingConfig": {"minSize": 1, "maxSize": 5, "desiredSize": desired},
        })
    };
    let update = call(&mut ground.stage, "UpdateNodegroupConfig", scale(3));
    assert_eq!(
        refused(&mut ground.stage, "UpdateNodegroupConfig", scale(1)),
        "ResourceInUseException"
    );
    ground.stage.pass(300);
    let asked = json!({"name": "c", "nodegroupName": "g", "updateId": update["update"]["id"]});
    assert_eq!(
        call(&mut ground.stage, "DescribeUpdate", asked)["update"]["status"],
        "Successful"
    );
    call(&mut ground.stage, "UpdateNodegroupConfig", scale(1));
    ground.stage.pass(300);
    let running = ground
        .stage
        .ec2(
            "DescribeInstances",
            "Filter.1.Name=instance-state-name&Filter.1.Value.1=running",
        )
        .unwrap();
    assert_eq!(running["reservationSet"].as_array().unwrap().len(), 1);
    call(
        &mut ground.stage,
        "DeleteNodegroup",
        json!({"clusterName": "c", "nodegroupName": "g"}),
    );
    assert_eq!(ground.group_shown()["status"], "DELETING");
    ground.stage.pass(300);
    let named = json!({"clusterName": "c", "nodegroupName": "g"});
    assert_eq!(
        refused(&mut ground.stage, "DescribeNodegroup", named),
        "ResourceNotFoundException"
    );
    call(&mut ground.stage, "DeleteCluster", json!({"name": "c"}));
    ground.stage.pass(1000);
    for subnet in ground.subnets.clone() {
        ground
            .stage
            .ec2("DeleteSubnet", &format!("SubnetId={subnet}"))
            .unwrap();
    }
}

#[test]
fn labels_taints_and_disks_are_checked() {
    let mut ground = ground();
    ground.up();
    let taint =
        |key: &str, value: &str| json!([{"key": key, "value": value, "effect": "NO_SCHEDULE"}]);
    for (field, value, code) in [
        ("taints", taint("a b", ""), "InvalidParameterException"),
        ("taints", taint("a", "b c"), "InvalidParameterException"),
        ("labels", json!({"a b": "c"}), "InvalidParameterException"),
        ("labels", json!({"a": ""}), "InvalidParameterException"),
        ("diskSize", json!(19), "InvalidRequestException"),
        ("diskSize", json!(65_537), "InvalidParameterException"),
    ] {
        let mut new = ground.group(1);
        new[field] = value.clone();
        let answer = refused(&mut ground.stage, "CreateNodegroup", new);
        assert_eq!(answer, code, "{field}: {value}");
    }
    let mut new = ground.group(1);
    new["taints"] = taint("example.org/dedicated", "");
    new["labels"] = json!({"example.org/team": "a"});
    new["diskSize"] = json!(65_536);
    call(&mut ground.stage, "CreateNodegroup", new);
    ground.addon("vpc-cni");
    ground.stage.pass(400);
    let change = json!({
        "clusterName": "c", "nodegroupName": "g", "labels": {"addOrUpdateLabels": {"team": ""}},
    });
    assert_eq!(
        refused(&mut ground.stage, "UpdateNodegroupConfig", change),
        "InvalidParameterException"
    );
}

#[test]
fn nodes_that_do_not_join_fail_their_group() {
    let mut ground = ground();
    ground.up();
    ground.addon("vpc-cni");
    ground.stage.world.core.faults.set(vec![AwsFaultRule {
        effect: AwsFaultEffect::FailToJoin,
        ..AwsFaultRule::default()
    }]);
    let new = ground.group(2);
    call(&mut ground.stage, "CreateNodegroup", new);
    ground.stage.pass(600);
    assert_eq!(ground.group_shown()["status"], "CREATING");
    ground.stage.pass(800);
    let shown = ground.group_shown();
    assert_eq!(shown["status"], "CREATE_FAILED");
    assert_eq!(shown["health"]["issues"][0]["code"], "NodeCreationFailure");
}

#[test]
fn a_lack_of_capacity_shows_while_it_is_tried_again() {
    let mut ground = ground();
    ground.up();
    ground.addon("vpc-cni");
    let rule = AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    };
    ground.stage.world.core.faults.set(vec![rule]);
    let new = ground.group(1);
    call(&mut ground.stage, "CreateNodegroup", new);
    ground.stage.pass(100);
    let shown = ground.group_shown();
    assert_eq!(shown["status"], "CREATING");
    assert_eq!(
        shown["health"]["issues"][0]["code"],
        "AsgInstanceLaunchFailures"
    );
    ground.stage.world.core.faults.set(Vec::new());
    ground.stage.pass(400);
    assert_eq!(ground.group_shown()["status"], "ACTIVE");
}

#[test]
fn a_group_that_cannot_grow_is_degraded_until_it_has_grown() {
    let mut ground = ground();
    ground.up();
    ground.addon("vpc-cni");
    let new = ground.group(1);
    call(&mut ground.stage, "CreateNodegroup", new);
    ground.stage.pass(400);
    assert_eq!(ground.group_shown()["status"], "ACTIVE");
    let shortage = AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    };
    ground.stage.world.core.faults.set(vec![shortage.clone()]);
    let scale = |desired: i64| json!({"clusterName": "c", "nodegroupName": "g", "scalingConfig": {"desiredSize": desired}});
    let update = call(&mut ground.stage, "UpdateNodegroupConfig", scale(2));
    let ended = |ground: &mut Ground, begun: Value| {
        let id = &begun["update"]["id"];
        let asked = json!({"name": "c", "nodegroupName": "g", "updateId": id});
        ground.stage.pass(60);
        call(&mut ground.stage, "DescribeUpdate", asked)["update"].clone()
    };
    // The change itself is carried out.
    assert_eq!(ended(&mut ground, update)["status"], "Successful");
    let degraded = |ground: &mut Ground| {
        let shown = ground.group_shown();
        assert_eq!(shown["status"], "DEGRADED");
        let issue = &shown["health"]["issues"][0]["code"];
        assert_eq!(*issue, "AsgInstanceLaunchFailures");
    };
    degraded(&mut ground);
    // Wanting fewer again does not make it well.
    call(&mut ground.stage, "UpdateNodegroupConfig", scale(1));
    ground.stage.pass(200);
    degraded(&mut ground);
    call(&mut ground.stage, "UpdateNodegroupConfig", scale(2));
    ground.stage.pass(200);
    degraded(&mut ground);
    // The Auto Scaling group has gone on trying.
    ground.stage.world.core.faults.set(Vec::new());
    ground.stage.pass(400);
    let shown = ground.group_shown();
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(shown["health"]["issues"], json!([]));
    // New nodes of another version are waited for.
    ground.stage.world.core.faults.set(vec![shortage]);
    let named = json!({"clusterName": "c", "nodegroupName": "g"});
    let update = call(&mut ground.stage, "UpdateNodegroupVersion", named);
    ground.stage.pass(200);
    let update = ended(&mut ground, update);
    assert_eq!(update["status"], "Failed");
    assert_eq!(update["errors"][0]["errorCode"], "NodeCreationFailure");
}

#[test]
fn public_subnets_without_public_addresses_and_those_without_a_way_out_fail() {
    let mut ground = ground();
    ground.up();
    ground.addon("vpc-cni");
    for subnet in ground.subnets.clone() {
        ground
            .stage
            .ec2(
                "ModifySubnetAttribute",
                &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=false"),
            )
            .unwrap();
    }
    let new = ground.group(1);
    call(&mut ground.stage, "CreateNodegroup", new);
    ground.stage.pass(300);
    let shown = ground.group_shown();
    assert_eq!(shown["status"], "CREATE_FAILED");
    assert_eq!(
        shown["health"]["issues"][0]["code"],
        "Ec2SubnetInvalidConfiguration"
    );
}
