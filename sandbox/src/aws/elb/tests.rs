use serde_json::{Value, json};

use super::service::{self, OfCluster, ServiceBalancer};
use crate::aws::testing::Stage;
use crate::aws::world::scene::Scene;

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
    let again = call(&mut stage, "CreateLoadBalancer", &new);
    assert_eq!(again["LoadBalancers"][0]["LoadBalancerArn"], arn);
    let other = json!({"Name": "lb", "Type": "network", "Subnets": [subnet], "Scheme": "internal"});
    let error = stage
        .call("elasticloadbalancing", "CreateLoadBalancer", &other)
        .unwrap_err();
    assert_eq!(error.code_for(None), "DuplicateLoadBalancerName");
    let protect = |on: &str| {
        let attribute = json!({"Key": "deletion_protection.enabled", "Value": on});
        json!({"LoadBalancerArn": arn, "Attributes": [attribute]})
    };
    call(&mut stage, "ModifyLoadBalancerAttributes", &protect("true"));
    let error = stage
        .call(
            "elasticloadbalancing",
            "DeleteLoadBalancer",
            &json!({ "LoadBalancerArn": arn }),
        )
        .unwrap_err();
    assert_eq!(error.code_for(None), "OperationNotPermitted");
    call(
        &mut stage,
        "ModifyLoadBalancerAttributes",
        &protect("false"),
    );
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

/// A VPC with a public and a private subnet in each of two zones, and the group of a cluster's nodes.
fn cluster_network(stage: &mut Stage) -> (String, Vec<String>, String) {
    let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
    let vpc = vpc["vpc"]["vpcId"].as_str().unwrap().to_owned();
    let gateway = stage.ec2("CreateInternetGateway", "").unwrap();
    let gateway = gateway["internetGateway"]["internetGatewayId"]
        .as_str()
        .unwrap()
        .to_owned();
    let attach = format!("InternetGatewayId={gateway}&VpcId={vpc}");
    stage.ec2("AttachInternetGateway", &attach).unwrap();
    let table = stage
        .ec2("CreateRouteTable", &format!("VpcId={vpc}"))
        .unwrap();
    let table = table["routeTable"]["routeTableId"]
        .as_str()
        .unwrap()
        .to_owned();
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    stage.ec2("CreateRoute", &route).unwrap();
    let mut public = Vec::new();
    for (number, zone) in ["us-west-2a", "us-west-2b"].iter().enumerate() {
        for side in ["public", "private"] {
            let third = number * 2 + usize::from(side == "private");
            let form = format!("VpcId={vpc}&CidrBlock=10.0.{third}.0/24&AvailabilityZone={zone}");
            let subnet = stage.ec2("CreateSubnet", &form).unwrap();
            let subnet = subnet["subnet"]["subnetId"].as_str().unwrap().to_owned();
            if side == "public" {
                let form = format!("RouteTableId={table}&SubnetId={subnet}");
                stage.ec2("AssociateRouteTable", &form).unwrap();
                public.push(subnet);
            }
        }
    }
    let form = format!("VpcId={vpc}&GroupName=nodes&GroupDescription=nodes");
    let group = stage.ec2("CreateSecurityGroup", &form).unwrap();
    (vpc, public, group["groupId"].as_str().unwrap().to_owned())
}

fn asked(network: bool) -> ServiceBalancer {
    ServiceBalancer {
        namespace: "kafka".to_owned(),
        service: "external-bootstrap".to_owned(),
        name: "a5ddc1f328a1c4f0e9d623f0a1f6f2a7".to_owned(),
        network,
        internal: false,
        ports: vec![("TCP".to_owned(), 9094, 31_000)],
        sources: vec!["0.0.0.0/0".to_owned()],
        tags: std::collections::BTreeMap::new(),
    }
}

fn in_scene<T>(stage: &mut Stage, work: impl FnOnce(&mut Scene<'_>) -> T) -> T {
    let (place, now) = (stage.place.clone(), stage.world.core.clock.now());
    stage.world.on(&place, now, work)
}

fn ensure(
    stage: &mut Stage,
    vpc: &str,
    group: &str,
    wanted: &ServiceBalancer,
) -> Result<String, String> {
    in_scene(stage, |scene| {
        let cluster = OfCluster {
            name: "demo",
            vpc,
            group,
            instances: vec!["i-0123456789abcdef0".to_owned()],
        };
        service::ensure(scene, &cluster, wanted)
    })
}

#[test]
fn a_service_gets_a_classic_balancer_whose_group_goes_after_its_interfaces() {
    let mut stage = Stage::new();
    let (vpc, public, nodes) = cluster_network(&mut stage);
    let wanted = asked(false);
    let host = ensure(&mut stage, &vpc, &nodes, &wanted).unwrap();
    assert!(host.ends_with(".us-west-2.elb.amazonaws.com"), "{host}");
    assert_eq!(ensure(&mut stage, &vpc, &nodes, &wanted).unwrap(), host);
    let classic = json!({"Version": "2012-06-01"});
    let shown = call(&mut stage, "DescribeLoadBalancers", &classic);
    let shown = &shown["LoadBalancerDescriptions"];
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(shown[0]["DNSName"], host);
    assert_eq!(shown[0]["Subnets"], json!(public), "public subnets only");
    let named = json!({"Version": "2012-06-01", "LoadBalancerNames": [wanted.name]});
    let tags = call(&mut stage, "DescribeTags", &named)["TagDescriptions"][0]["Tags"].clone();
    assert_eq!(
        tags,
        json!([
            {"Key": "kubernetes.io/cluster/demo", "Value": "owned"},
            {"Key": "kubernetes.io/service-name", "Value": "kafka/external-bootstrap"},
        ])
    );
    let version2 = call(&mut stage, "DescribeLoadBalancers", &json!({}));
    assert_eq!(version2["LoadBalancers"], json!([]));
    // Nodes let it in, so its group is in use by a rule, and its interfaces have public addresses.
    let interfaces = "Filter.1.Name=requester-id&Filter.1.Value.1=amazon-elb";
    let interfaces = |stage: &mut Stage| {
        let all = stage.ec2("DescribeNetworkInterfaces", interfaces).unwrap();
        all["networkInterfaceSet"].as_array().unwrap().clone()
    };
    let made = interfaces(&mut stage);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["association"]["ipOwnerId"], "amazon-elb");
    assert_eq!(
        made[0]["description"],
        "ELB a5ddc1f328a1c4f0e9d623f0a1f6f2a7"
    );
    let group = made[0]["groupSet"][0]["groupId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        made[0]["groupSet"][0]["groupName"],
        "k8s-elb-a5ddc1f328a1c4f0e9d623f0a1f6f2a7"
    );
    let open = format!("Filter.1.Name=ip-permission.group-id&Filter.1.Value.1={group}");
    let open = stage.ec2("DescribeSecurityGroups", &open).unwrap();
    assert_eq!(open["securityGroupInfo"][0]["groupId"], json!(nodes));

    let groups = in_scene(&mut stage, |scene| {
        service::release(scene, "demo", &wanted.name)
    });
    assert_eq!(groups, std::slice::from_ref(&group));
    let forget = |stage: &mut Stage| in_scene(stage, |scene| service::forget_group(scene, &group));
    assert!(!forget(&mut stage), "its interfaces linger");
    assert_eq!(interfaces(&mut stage).len(), 2);
    stage.pass(300);
    assert!(forget(&mut stage));
    assert_eq!(interfaces(&mut stage).len(), 0);
    let again = in_scene(&mut stage, |scene| {
        service::release(scene, "demo", &wanted.name)
    });
    assert_eq!(again, Vec::<String>::new());
}

#[test]
fn a_service_gets_a_network_balancer_with_listener_and_target_group() {
    let mut stage = Stage::new();
    let (vpc, _, nodes) = cluster_network(&mut stage);
    let wanted = asked(true);
    let host = ensure(&mut stage, &vpc, &nodes, &wanted).unwrap();
    assert!(host.contains(".elb.us-west-2."), "{host}");
    ensure(&mut stage, &vpc, &nodes, &wanted).unwrap();
    let groups = call(&mut stage, "DescribeTargetGroups", &json!({}));
    assert_eq!(groups["TargetGroups"].as_array().unwrap().len(), 1);
    assert_eq!(groups["TargetGroups"][0]["Port"], 31_000);
    let rules = |stage: &mut Stage| {
        let form = format!("GroupId.1={nodes}");
        let shown = stage.ec2("DescribeSecurityGroups", &form).unwrap();
        shown["securityGroupInfo"][0]["ipPermissions"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(rules(&mut stage), 1, "clients and health checks, one port");
    let left = in_scene(&mut stage, |scene| {
        service::release(scene, "demo", &wanted.name)
    });
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(rules(&mut stage), 0);
    let groups = call(&mut stage, "DescribeTargetGroups", &json!({}));
    assert_eq!(groups["TargetGroups"], json!([]));
}

#[test]
fn without_a_public_subnet_there_is_no_balancer_on_the_internet() {
    let mut stage = Stage::new();
    let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
    let vpc = vpc["vpc"]["vpcId"].as_str().unwrap().to_owned();
    let form = format!("VpcId={vpc}&CidrBlock=10.0.0.0/24&AvailabilityZone=us-west-2a");
    stage.ec2("CreateSubnet", &form).unwrap();
    let reason = ensure(&mut stage, &vpc, "sg-none", &asked(false)).unwrap_err();
    assert!(reason.contains("suitable subnets"), "{reason}");
    let internal = ServiceBalancer {
        internal: true,
        ..asked(true)
    };
    ensure(&mut stage, &vpc, "sg-none", &internal).unwrap();
}
