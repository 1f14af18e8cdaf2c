//! The simulated EKS, call by call.

mod nodegroups;

use serde_json::{Value, json};

use crate::aws::testing::Stage;

fn trust(service: &str) -> String {
    json!({"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}).to_string()
}

fn call(stage: &mut Stage, action: &str, tree: Value) -> Value {
    stage
        .call("eks", action, &tree)
        .unwrap_or_else(|error| panic!("{action}: {error:?}"))
}

fn refused(stage: &mut Stage, action: &str, tree: Value) -> String {
    let error = stage.call("eks", action, &tree).expect_err(action);
    error.code_for(None).into_owned()
}

fn role(stage: &mut Stage, name: &str, service: &str, policies: &[&str]) -> String {
    let new = json!({"RoleName": name, "AssumeRolePolicyDocument": trust(service)});
    let made = stage.call("iam", "CreateRole", &new).unwrap();
    for policy in policies {
        let arn = format!("arn:aws:iam::aws:policy/{policy}");
        let attach = json!({"RoleName": name, "PolicyArn": arn});
        stage.call("iam", "AttachRolePolicy", &attach).unwrap();
    }
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// A VPC with a public subnet in each of two zones, and both roles.
struct Ground {
    stage: Stage,
    vpc: String,
    subnets: Vec<String>,
    cluster_role: String,
    node_role: String,
}

fn ground() -> Ground {
    let mut stage = Stage::new();
    let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
    let vpc = vpc["vpc"]["vpcId"].as_str().unwrap().to_owned();
    let gateway = stage.ec2("CreateInternetGateway", "").unwrap();
    let gateway = gateway["internetGateway"]["internetGatewayId"]
        .as_str()
        .unwrap()
        .to_owned();
    stage
        .ec2(
            "AttachInternetGateway",
            &format!("InternetGatewayId={gateway}&VpcId={vpc}"),
        )
        .unwrap();
    let tables = stage
        .ec2(
            "DescribeRouteTables",
            &format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}"),
        )
        .unwrap();
    let table = tables["routeTableSet"][0]["routeTableId"]
        .as_str()
        .unwrap()
        .to_owned();
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    stage.ec2("CreateRoute", &route).unwrap();
    let mut subnets = Vec::new();
    for (at, zone) in ["us-west-2a", "us-west-2b"].into_iter().enumerate() {
        let new = format!("VpcId={vpc}&CidrBlock=10.0.{at}.0/24&AvailabilityZone={zone}");
        let made = stage.ec2("CreateSubnet", &new).unwrap();
        let id = made["subnet"]["subnetId"].as_str().unwrap().to_owned();
        stage
            .ec2(
                "ModifySubnetAttribute",
                &format!("SubnetId={id}&MapPublicIpOnLaunch.Value=true"),
            )
            .unwrap();
        subnets.push(id);
    }
    let cluster_role = role(
        &mut stage,
        "cluster",
        "eks.amazonaws.com",
        &["AmazonEKSClusterPolicy"],
    );
    let workers = [
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryReadOnly",
    ];
    let node_role = role(&mut stage, "nodes", "ec2.amazonaws.com", &workers);
    Ground {
        stage,
        vpc,
        subnets,
        cluster_role,
        node_role,
    }
}

impl Ground {
    fn cluster(&self, token: &str) -> Value {
        json!({
            "name": "c", "version": "1.35", "roleArn": self.cluster_role,
            "resourcesVpcConfig": {"subnetIds": self.subnets},
            "logging": {"clusterLogging": [{"types": ["api", "audit"], "enabled": true}]},
            "accessConfig": {"authenticationMode": "API"},
            "bootstrapSelfManagedAddons": false,
            "clientRequestToken": token,
        })
    }

    fn group(&self, desired: i64) -> Value {
        json!({
            "clusterName": "c", "nodegroupName": "g", "subnets": self.subnets, "nodeRole": self.node_role,
            "instanceTypes": ["m6i.large"],
            "scalingConfig": {"minSize": 1, "maxSize": 5, "desiredSize": desired},
        })
    }

    /// A cluster that is up.
    fn up(&mut self) {
        self.stage.pass(10);
        let new = self.cluster("t");
        call(&mut self.stage, "CreateCluster", new);
        self.stage.pass(600);
        assert_eq!(self.status(), "ACTIVE");
    }

    fn addon(&mut self, name: &str) {
        call(
            &mut self.stage,
            "CreateAddon",
            json!({"clusterName": "c", "addonName": name}),
        );
    }

    fn status(&mut self) -> String {
        let shown = call(&mut self.stage, "DescribeCluster", json!({"name": "c"}));
        shown["cluster"]["status"].as_str().unwrap().to_owned()
    }

    fn group_shown(&mut self) -> Value {
        let named = json!({"clusterName": "c", "nodegroupName": "g"});
        call(&mut self.stage, "DescribeNodegroup", named)["nodegroup"].clone()
    }

    fn addon_status(&mut self, name: &str) -> String {
        let named = json!({"clusterName": "c", "addonName": name});
        let shown = call(&mut self.stage, "DescribeAddon", named);
        shown["addon"]["status"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_cluster_becomes_active_and_goes_with_what_was_made_for_it() {
    let mut ground = ground();
    // The role is too new.
    let new = ground.cluster("t");
    assert_eq!(
        refused(&mut ground.stage, "CreateCluster", new.clone()),
        "InvalidParameterException"
    );
    ground.stage.pass(10);
    call(&mut ground.stage, "CreateCluster", new.clone());
    assert_eq!(ground.status(), "CREATING");
    let again = call(&mut ground.stage, "CreateCluster", new);
    assert_eq!(again["cluster"]["name"], "c");
    let other = ground.cluster("u");
    assert_eq!(
        refused(&mut ground.stage, "CreateCluster", other),
        "ResourceInUseException"
    );
    assert_eq!(
        refused(&mut ground.stage, "DeleteCluster", json!({"name": "c"})),
        "ResourceInUseException"
    );
    ground.stage.pass(600);
    let shown = call(&mut ground.stage, "DescribeCluster", json!({"name": "c"}));
    let cluster = &shown["cluster"];
    assert_eq!(cluster["status"], "ACTIVE");
    assert_eq!(
        cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"],
        "172.20.0.0/16"
    );
    let own = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        .as_str()
        .unwrap()
        .to_owned();
    // Its interfaces hold the subnets and the group.
    let subnet = format!("SubnetId={}", ground.subnets[0]);
    assert_eq!(
        ground.stage.ec2_error("DeleteSubnet", &subnet),
        "DependencyViolation"
    );
    assert_eq!(
        ground
            .stage
            .ec2_error("DeleteSecurityGroup", &format!("GroupId={own}")),
        "DependencyViolation"
    );
    // The creator may enter.
    let entries = call(
        &mut ground.stage,
        "ListAccessEntries",
        json!({"clusterName": "c"}),
    );
    assert_eq!(
        entries["accessEntries"],
        json!(["arn:aws:iam::111122223333:user/sandbox"])
    );
    // Its log group comes back as long as it lives.
    let group = json!({"logGroupName": "/aws/eks/c/cluster"});
    ground.stage.call("logs", "DeleteLogGroup", &group).unwrap();
    call(&mut ground.stage, "DeleteCluster", json!({"name": "c"}));
    ground.stage.pass(100);
    ground.stage.call("logs", "DeleteLogGroup", &group).unwrap();
    ground.stage.pass(1000);
    assert_eq!(
        refused(&mut ground.stage, "DescribeCluster", json!({"name": "c"})),
        "ResourceNotFoundException"
    );
    ground.stage.call("logs", "DeleteLogGroup", &group).unwrap();
    ground.stage.pass(1000);
    assert!(ground.stage.call("logs", "DeleteLogGroup", &group).is_err());
    ground.stage.ec2("DeleteSubnet", &subnet).unwrap();
    assert_eq!(
        ground
            .stage
            .ec2_error("DescribeSecurityGroups", &format!("GroupId.1={own}")),
        "InvalidGroup.NotFound"
    );
}

#[test]
fn what_cannot_be_a_cluster_is_refused_and_leaves_nothing() {
    let mut ground = ground();
    ground.stage.pass(10);
    let before = ground.stage.world.inspect();
    let mut refuse = |change: &dyn Fn(&mut Value), code: &str| {
        let mut new = ground.cluster("t");
        change(&mut new);
        assert_eq!(refused(&mut ground.stage, "CreateCluster", new), code);
    };
    let invalid = "InvalidParameterException";
    refuse(&|new| new["version"] = json!("1.12"), invalid);
    refuse(&|new| new["name"] = json!("a b"), invalid);
    refuse(
        &|new| new["roleArn"] = json!("arn:aws:iam::111122223333:role/nodes"),
        invalid,
    );
    refuse(
        &|new| new["resourcesVpcConfig"]["subnetIds"] = json!(["subnet-1", "subnet-2"]),
        invalid,
    );
    refuse(
        &|new| {
            let first = new["resourcesVpcConfig"]["subnetIds"][0].clone();
            new["resourcesVpcConfig"]["subnetIds"] = json!([first]);
        },
        invalid,
    );
    refuse(
        &|new| new["resourcesVpcConfig"]["securityGroupIds"] = json!(["sg-1"]),
        invalid,
    );
    refuse(
        &|new| new["logging"]["clusterLogging"][0]["types"] = json!(["x"]),
        invalid,
    );
    let without = |tree: Value| {
        let mut tree = tree;
        tree["core"] = Value::Null;
        tree
    };
    assert_eq!(without(ground.stage.world.inspect()), without(before));
    assert!(!ground.vpc.is_empty());
}

#[test]
fn add_ons_conflict_with_what_came_with_the_cluster() {
    let mut ground = ground();
    ground.stage.pass(10);
    let mut new = ground.cluster("t");
    new["bootstrapSelfManagedAddons"] = json!(true);
    call(&mut ground.stage, "CreateCluster", new);
    ground.stage.pass(600);
    ground.addon("kube-proxy");
    ground.stage.pass(60);
    assert_eq!(ground.addon_status("kube-proxy"), "CREATE_FAILED");
    let named = json!({"clusterName": "c", "addonName": "kube-proxy"});
    call(&mut ground.stage, "DeleteAddon", named.clone());
    ground.stage.pass(60);
    assert_eq!(
        refused(&mut ground.stage, "DescribeAddon", named),
        "ResourceNotFoundException"
    );
    let over =
        json!({"clusterName": "c", "addonName": "kube-proxy", "resolveConflicts": "OVERWRITE"});
    call(&mut ground.stage, "CreateAddon", over);
    ground.stage.pass(60);
    assert_eq!(ground.addon_status("kube-proxy"), "ACTIVE");
    let versions = call(
        &mut ground.stage,
        "DescribeAddonVersions",
        json!({"addonName": "kube-proxy", "kubernetesVersion": "1.35"}),
    );
    let version = versions["addons"][0]["addonVersions"][0]["addonVersion"].clone();
    let change = json!({"clusterName": "c", "addonName": "kube-proxy", "addonVersion": version});
    call(&mut ground.stage, "UpdateAddon", change);
    assert_eq!(ground.addon_status("kube-proxy"), "UPDATING");
    let named = json!({"clusterName": "c", "addonName": "kube-proxy"});
    assert_eq!(
        refused(&mut ground.stage, "DeleteAddon", named),
        "InvalidRequestException"
    );
    ground.stage.pass(60);
    assert_eq!(ground.addon_status("kube-proxy"), "ACTIVE");
}

#[test]
fn one_change_of_a_cluster_at_a_time() {
    let mut ground = ground();
    ground.up();
    let logging = |on: bool| {
        json!({
            "name": "c", "logging": {"clusterLogging": [{"types": ["api"], "enabled": on}]},
        })
    };
    assert_eq!(
        refused(
            &mut ground.stage,
            "UpdateClusterVersion",
            json!({"name": "c", "version": "1.34"})
        ),
        "InvalidParameterException"
    );
    let update = call(&mut ground.stage, "UpdateClusterConfig", logging(true));
    assert_eq!(ground.status(), "UPDATING");
    assert_eq!(
        refused(&mut ground.stage, "UpdateClusterConfig", logging(false)),
        "ResourceInUseException"
    );
    assert_eq!(
        refused(&mut ground.stage, "DeleteCluster", json!({"name": "c"})),
        "ResourceInUseException"
    );
    let group = ground.group(1);
    assert_eq!(
        refused(&mut ground.stage, "CreateNodegroup", group),
        "InvalidRequestException"
    );
    ground.stage.pass(200);
    let asked = json!({"name": "c", "updateId": update["update"]["id"]});
    assert_eq!(
        call(&mut ground.stage, "DescribeUpdate", asked)["update"]["status"],
        "Successful"
    );
    assert_eq!(
        refused(&mut ground.stage, "UpdateClusterConfig", logging(true)),
        "InvalidParameterException"
    );
}

#[test]
fn a_control_plane_moves_within_its_zones_and_vpc() {
    let mut ground = ground();
    ground.up();
    let vpc = ground.vpc.clone();
    let mut subnet = |number: u8, zone: &str| {
        let new = format!("VpcId={vpc}&CidrBlock=10.0.{number}.0/24&AvailabilityZone={zone}");
        let made = ground.stage.ec2("CreateSubnet", &new).unwrap();
        made["subnet"]["subnetId"].as_str().unwrap().to_owned()
    };
    let (same, other) = (subnet(11, "us-west-2b"), subnet(12, "us-west-2c"));
    let (first, left) = (ground.subnets[0].clone(), ground.subnets[1].clone());
    let to =
        |subnets: [&String; 2]| json!({"name": "c", "resourcesVpcConfig": {"subnetIds": subnets}});
    for elsewhere in [
        to([&first, &other]),
        to([&first, &first]),
        to([&first, &left]),
    ] {
        assert_eq!(
            refused(&mut ground.stage, "UpdateClusterConfig", elsewhere),
            "InvalidParameterException"
        );
    }
    let mut both = to([&first, &same]);
    both["resourcesVpcConfig"]["endpointPrivateAccess"] = json!(true);
    assert_eq!(
        refused(&mut ground.stage, "UpdateClusterConfig", both),
        "InvalidParameterException"
    );
    let moved = to([&first, &same]);
    let update = call(&mut ground.stage, "UpdateClusterConfig", moved);
    assert_eq!(update["update"]["type"], "VpcConfigUpdate");
    assert_eq!(ground.status(), "UPDATING");
    ground.stage.pass(200);
    assert_eq!(ground.status(), "ACTIVE");
    // Nothing of it is left in the subnet that it came from.
    let gone = format!("SubnetId={left}");
    ground.stage.ec2("DeleteSubnet", &gone).unwrap();
    let held = format!("SubnetId={same}");
    assert_eq!(
        ground.stage.ec2_error("DeleteSubnet", &held),
        "DependencyViolation"
    );
}

#[test]
fn entries_and_associations_are_there_once() {
    let mut ground = ground();
    ground.up();
    let role = ground.node_role.clone();
    let new = json!({"clusterName": "c", "principalArn": role});
    call(&mut ground.stage, "CreateAccessEntry", new.clone());
    assert_eq!(
        refused(&mut ground.stage, "CreateAccessEntry", new.clone()),
        "ResourceInUseException"
    );
    let bad = json!({"clusterName": "c", "principalArn": "arn:aws:iam::111122223333:role/none"});
    assert_eq!(
        refused(&mut ground.stage, "CreateAccessEntry", bad),
        "InvalidParameterException"
    );
    let policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
    let scope = json!({"type": "namespace", "namespaces": ["kafka"]});
    let both = json!({"clusterName": "c", "principalArn": role, "policyArn": policy, "accessScope": scope});
    call(&mut ground.stage, "AssociateAccessPolicy", both);
    let listed = call(
        &mut ground.stage,
        "ListAssociatedAccessPolicies",
        new.clone(),
    );
    assert_eq!(listed["associatedAccessPolicies"][0]["accessScope"], scope);
    call(&mut ground.stage, "DeleteAccessEntry", new);
    let pods =
        json!({"clusterName": "c", "namespace": "n", "serviceAccount": "s", "roleArn": role});
    let made = call(
        &mut ground.stage,
        "CreatePodIdentityAssociation",
        pods.clone(),
    );
    assert_eq!(
        refused(&mut ground.stage, "CreatePodIdentityAssociation", pods),
        "ResourceInUseException"
    );
    let id = json!({"clusterName": "c", "associationId": made["association"]["associationId"]});
    let arn = made["association"]["associationArn"].clone();
    call(
        &mut ground.stage,
        "TagResource",
        json!({"resourceArn": arn, "tags": {"a": "b"}}),
    );
    assert_eq!(
        call(
            &mut ground.stage,
            "ListTagsForResource",
            json!({"resourceArn": arn})
        ),
        json!({"tags": {"a": "b"}})
    );
    call(
        &mut ground.stage,
        "DeletePodIdentityAssociation",
        id.clone(),
    );
    assert_eq!(
        refused(&mut ground.stage, "DescribePodIdentityAssociation", id),
        "ResourceNotFoundException"
    );
}
