use serde_json::{Value, json};

use crate::aws::testing::Stage;

fn call(stage: &mut Stage, action: &str, tree: &Value) -> Value {
    stage.call("elasticloadbalancing", action, tree).unwrap()
}

#[test]
fn a_balancer_holds_its_subnets_and_lingers_in_them() {
    let mut stage = Stage::new();
    let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
    let vpc = vpc["vpc"]["vpcId"].as_str().unwrap().to_owned();
    let subnet = stage
        .ec2(
            "CreateSubnet",
            &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24&AvailabilityZone=us-west-2a"),
        )
        .unwrap();
    let subnet = subnet["subnet"]["subnetId"].as_str().unwrap().to_owned();
    let new = json!({"Name": "lb", "Type": "network", "Subnets": [subnet]});
    let made = call(&mut stage, "CreateLoadBalancer", &new);
    let arn = made["LoadBalancers"][0]["LoadBalancerArn"].clone();
    assert_eq!(made["LoadBalancers"][0]["State"]["Code"], "provisioning");
    let error = stage
        .call("elasticloadbalancing", "CreateLoadBalancer", &new)
        .unwrap_err();
    assert_eq!(error.code_for(None), "DuplicateLoadBalancerName");
    stage.pass(300);
    let shown = call(&mut stage, "DescribeLoadBalancers", &json!({}));
    assert_eq!(shown["LoadBalancers"][0]["State"]["Code"], "active");
    let group = json!({"Name": "tg", "Protocol": "TCP", "Port": 80, "VpcId": vpc});
    let group =
        call(&mut stage, "CreateTargetGroup", &group)["TargetGroups"][0]["TargetGroupArn"].clone();
    let listener = json!({
        "LoadBalancerArn": arn, "Protocol": "TCP", "Port": 80,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
    });
    call(&mut stage, "CreateListener", &listener);
    let named = json!({"TargetGroupArn": group});
    let error = stage
        .call("elasticloadbalancing", "DeleteTargetGroup", &named)
        .unwrap_err();
    assert_eq!(error.code_for(None), "ResourceInUse");
    let named = json!({"LoadBalancerArn": arn});
    call(&mut stage, "DeleteLoadBalancer", &named);
    call(&mut stage, "DeleteLoadBalancer", &named);
    call(
        &mut stage,
        "DeleteTargetGroup",
        &json!({"TargetGroupArn": group}),
    );
    // Its interfaces are still there.
    assert_eq!(
        stage.ec2_error("DeleteSubnet", &format!("SubnetId={subnet}")),
        "DependencyViolation"
    );
    stage.pass(600);
    stage
        .ec2("DeleteSubnet", &format!("SubnetId={subnet}"))
        .unwrap();
}
