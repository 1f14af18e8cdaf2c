//! Whole networks, torn down in right and wrong orders.

use crate::aws::testing::Stage;

/// The text at a path of a reply.
fn text(reply: &serde_json::Value, path: &str) -> String {
    let found = reply.pointer(path).and_then(|value| value.as_str());
    found
        .unwrap_or_else(|| panic!("{path} in {reply}"))
        .to_owned()
}

struct Network {
    stage: Stage,
    vpc: String,
    subnets: Vec<String>,
    gateway: String,
}

/// A VPC with an internet gateway and two subnets.
fn network() -> Network {
    let mut stage = Stage::new();
    let vpc = text(
        &stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap(),
        "/vpc/vpcId",
    );
    stage.pass(5);
    let gateway = stage.ec2("CreateInternetGateway", "").unwrap();
    let gateway = text(&gateway, "/internetGateway/internetGatewayId");
    let attach = format!("InternetGatewayId={gateway}&VpcId={vpc}");
    stage.ec2("AttachInternetGateway", &attach).unwrap();
    let subnets = ["a", "b"]
        .iter()
        .enumerate()
        .map(|(index, zone)| {
            let form =
                format!("VpcId={vpc}&CidrBlock=10.0.{index}.0/24&AvailabilityZone=us-west-2{zone}");
            text(
                &stage.ec2("CreateSubnet", &form).unwrap(),
                "/subnet/subnetId",
            )
        })
        .collect();
    Network {
        stage,
        vpc,
        subnets,
        gateway,
    }
}

#[test]
fn a_vpc_comes_with_its_defaults_and_takes_them_along() {
    let Network {
        mut stage,
        vpc,
        subnets,
        gateway,
    } = network();
    let only = format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    let tables = stage.ec2("DescribeRouteTables", &only).unwrap();
    assert_eq!(
        tables["routeTableSet"][0]["associationSet"][0]["main"],
        true
    );
    assert_eq!(
        tables["routeTableSet"][0]["routeSet"][0]["gatewayId"],
        "local"
    );
    let groups = stage.ec2("DescribeSecurityGroups", &only).unwrap();
    assert_eq!(groups["securityGroupInfo"][0]["groupName"], "default");
    let acls = stage.ec2("DescribeNetworkAcls", &only).unwrap();
    assert_eq!(
        acls["networkAclSet"][0]["associationSet"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let main = text(&tables, "/routeTableSet/0/routeTableId");
    let group = text(&groups, "/securityGroupInfo/0/groupId");
    let table = format!("RouteTableId={main}");
    assert_eq!(
        stage.ec2_error("DeleteRouteTable", &table),
        "DependencyViolation"
    );
    assert_eq!(
        stage.ec2_error("DeleteSecurityGroup", &format!("GroupId={group}")),
        "CannotDelete"
    );

    let delete = format!("VpcId={vpc}");
    assert_eq!(stage.ec2_error("DeleteVpc", &delete), "DependencyViolation");
    for subnet in subnets {
        stage
            .ec2("DeleteSubnet", &format!("SubnetId={subnet}"))
            .unwrap();
    }
    assert_eq!(
        stage.ec2_error("DeleteVpc", &delete),
        "DependencyViolation",
        "the gateway holds it"
    );
    let igw = format!("InternetGatewayId={gateway}");
    assert_eq!(
        stage.ec2_error("DeleteInternetGateway", &igw),
        "DependencyViolation"
    );
    stage
        .ec2("DetachInternetGateway", &format!("{igw}&VpcId={vpc}"))
        .unwrap();
    assert_eq!(
        stage.ec2_error("DetachInternetGateway", &format!("{igw}&VpcId={vpc}")),
        "Gateway.NotAttached"
    );
    stage.ec2("DeleteVpc", &delete).unwrap();
    stage.ec2("DeleteInternetGateway", &igw).unwrap();
    assert_eq!(stage.world.inspect(), serde_json::json!({}));
}

#[test]
fn each_dependant_holds_a_vpc() {
    let Network { mut stage, vpc, .. } = network();
    let free = |stage: &mut Stage| {
        let ec2 = &mut stage.world;
        ec2.on(&stage.place, crate::aws::world::clock::Time(0), |scene| {
            let state = &mut scene.region.ec2;
            state.subnets.clear();
            state.internet_gateways.clear();
        });
    };
    free(&mut stage);
    let delete = format!("VpcId={vpc}");
    let cases = [
        (
            "CreateRouteTable",
            String::new(),
            "/routeTable/routeTableId",
            "DeleteRouteTable",
            "RouteTableId",
        ),
        (
            "CreateSecurityGroup",
            "&GroupName=a&GroupDescription=b".to_owned(),
            "/groupId",
            "DeleteSecurityGroup",
            "GroupId",
        ),
        (
            "CreateVpcEndpoint",
            "&ServiceName=com.amazonaws.us-west-2.s3".to_owned(),
            "/vpcEndpoint/vpcEndpointId",
            "DeleteVpcEndpoints",
            "VpcEndpointId.1",
        ),
    ];
    for (create, form, path, remove, name) in cases {
        let made = stage.ec2(create, &format!("VpcId={vpc}{form}")).unwrap();
        let id = text(&made, path);
        assert_eq!(
            stage.ec2_error("DeleteVpc", &delete),
            "DependencyViolation",
            "{create}"
        );
        stage.ec2(remove, &format!("{name}={id}")).unwrap();
        stage.pass(60);
    }
    stage.ec2("DeleteVpc", &delete).unwrap();
}

#[test]
fn a_public_address_holds_the_internet_gateway() {
    let Network {
        mut stage,
        vpc,
        subnets,
        gateway,
    } = network();
    let run = format!(
        "ImageId=ami-1&InstanceType=m6i.large&MinCount=1&MaxCount=1&SubnetId={}&NetworkInterface.1.DeviceIndex=0\
         &NetworkInterface.1.AssociatePublicIpAddress=true",
        subnets[0]
    );
    let run = stage.ec2("RunInstances", &run).unwrap();
    let instance = text(&run, "/instancesSet/0/instanceId");
    let volume = text(
        &stage.ec2("DescribeVolumes", "").unwrap(),
        "/volumeSet/0/volumeId",
    );
    stage.pass(60);
    let detach = format!("InternetGatewayId={gateway}&VpcId={vpc}");
    let subnet = format!("SubnetId={}", subnets[0]);
    assert_eq!(
        stage.ec2_error("DetachInternetGateway", &detach),
        "DependencyViolation"
    );
    assert_eq!(
        stage.ec2_error("DeleteSubnet", &subnet),
        "DependencyViolation"
    );
    assert_eq!(
        stage.ec2_error("DeleteVolume", &format!("VolumeId={volume}")),
        "VolumeInUse"
    );
    stage
        .ec2("TerminateInstances", &format!("InstanceId.1={instance}"))
        .unwrap();
    // While it shuts down it still holds everything.
    assert_eq!(
        stage.ec2_error("DeleteSubnet", &subnet),
        "DependencyViolation"
    );
    stage.pass(120);
    let shown = stage
        .ec2("DescribeInstances", &format!("InstanceId.1={instance}"))
        .unwrap();
    let state = "/reservationSet/0/instancesSet/0/instanceState/name";
    assert_eq!(text(&shown, state), "terminated");
    stage.ec2("DetachInternetGateway", &detach).unwrap();
    stage.ec2("DeleteSubnet", &subnet).unwrap();
    let volumes = stage.ec2("DescribeVolumes", "").unwrap();
    assert!(
        volumes["volumeSet"].as_array().unwrap().is_empty(),
        "the root goes along"
    );
    stage.pass(4000);
    let gone = stage.ec2_error("DescribeInstances", &format!("InstanceId.1={instance}"));
    assert_eq!(gone, "InvalidInstanceID.NotFound");
}

#[test]
fn a_group_is_held_by_interfaces_and_by_rules_of_others() {
    let Network {
        mut stage,
        vpc,
        subnets,
        ..
    } = network();
    let mut group = |name: &str| {
        let form = format!("GroupName={name}&GroupDescription=x&VpcId={vpc}");
        text(
            &stage.ec2("CreateSecurityGroup", &form).unwrap(),
            "/groupId",
        )
    };
    let (one, two) = (group("one"), group("two"));
    let again = format!("GroupName=one&GroupDescription=x&VpcId={vpc}");
    assert_eq!(
        stage.ec2_error("CreateSecurityGroup", &again),
        "InvalidGroup.Duplicate"
    );
    let rule = |group: &str, peer: &str| {
        format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=2\
             &IpPermissions.1.Groups.1.GroupId={peer}"
        )
    };
    stage
        .ec2("AuthorizeSecurityGroupIngress", &rule(&one, &two))
        .unwrap();
    stage
        .ec2("AuthorizeSecurityGroupIngress", &rule(&one, &one))
        .unwrap();
    let duplicate = stage.ec2_error("AuthorizeSecurityGroupIngress", &rule(&one, &two));
    assert_eq!(duplicate, "InvalidPermission.Duplicate");
    let delete = |group: &str| format!("GroupId={group}");
    assert_eq!(
        stage.ec2_error("DeleteSecurityGroup", &delete(&two)),
        "DependencyViolation"
    );
    stage
        .ec2("RevokeSecurityGroupIngress", &rule(&one, &two))
        .unwrap();
    let missing = stage.ec2_error("RevokeSecurityGroupIngress", &rule(&one, &two));
    assert_eq!(missing, "InvalidPermission.NotFound");
    stage.ec2("DeleteSecurityGroup", &delete(&two)).unwrap();
    // Its rule about itself does not hold a group; an interface does.
    let interface = format!("SubnetId={}&SecurityGroupId.1={one}", subnets[0]);
    let interface = stage.ec2("CreateNetworkInterface", &interface).unwrap();
    let interface = text(&interface, "/networkInterface/networkInterfaceId");
    assert_eq!(
        stage.ec2_error("DeleteSecurityGroup", &delete(&one)),
        "DependencyViolation"
    );
    stage
        .ec2(
            "DeleteNetworkInterface",
            &format!("NetworkInterfaceId={interface}"),
        )
        .unwrap();
    stage.ec2("DeleteSecurityGroup", &delete(&one)).unwrap();
}

#[test]
fn routes_follow_their_targets() {
    let Network {
        mut stage,
        vpc,
        subnets,
        gateway,
    } = network();
    let table = stage
        .ec2("CreateRouteTable", &format!("VpcId={vpc}"))
        .unwrap();
    let table = text(&table, "/routeTable/routeTableId");
    let associate = format!("RouteTableId={table}&SubnetId={}", subnets[0]);
    let association = text(
        &stage.ec2("AssociateRouteTable", &associate).unwrap(),
        "/associationId",
    );
    let delete = format!("RouteTableId={table}");
    assert_eq!(
        stage.ec2_error("DeleteRouteTable", &delete),
        "DependencyViolation"
    );
    let other = stage
        .ec2("CreateRouteTable", &format!("VpcId={vpc}"))
        .unwrap();
    let other = text(&other, "/routeTable/routeTableId");
    let conflict = format!("RouteTableId={other}&SubnetId={}", subnets[0]);
    assert_eq!(
        stage.ec2_error("AssociateRouteTable", &conflict),
        "Resource.AlreadyAssociated"
    );
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    stage.ec2("CreateRoute", &route).unwrap();
    stage.ec2("CreateRoute", &route).unwrap();
    let local = format!("RouteTableId={table}&DestinationCidrBlock=10.0.0.0/16");
    assert_eq!(
        stage.ec2_error("DeleteRoute", &local),
        "InvalidParameterValue"
    );
    stage
        .ec2(
            "DetachInternetGateway",
            &format!("InternetGatewayId={gateway}&VpcId={vpc}"),
        )
        .unwrap();
    let shown = stage
        .ec2("DescribeRouteTables", &format!("RouteTableId.1={table}"))
        .unwrap();
    assert_eq!(
        shown["routeTableSet"][0]["routeSet"][1]["state"],
        "blackhole"
    );
    stage
        .ec2(
            "DisassociateRouteTable",
            &format!("AssociationId={association}"),
        )
        .unwrap();
    stage.ec2("DeleteRouteTable", &delete).unwrap();
}

#[test]
fn quotas_are_reached_with_their_codes() {
    let mut stage = Stage::new();
    for _ in 0..5 {
        stage.ec2("AllocateAddress", "").unwrap();
        stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
        stage.ec2("CreateInternetGateway", "").unwrap();
    }
    assert_eq!(
        stage.ec2_error("AllocateAddress", ""),
        "AddressLimitExceeded"
    );
    assert_eq!(
        stage.ec2_error("CreateVpc", "CidrBlock=10.0.0.0/16"),
        "VpcLimitExceeded"
    );
    assert_eq!(
        stage.ec2_error("CreateInternetGateway", ""),
        "InternetGatewayLimitExceeded"
    );
}

#[test]
fn instances_need_capacity_quota_and_a_zone_that_has_their_type() {
    use crate::aws::world::faults::{AwsFaultEffect, AwsFaultRule};
    let Network {
        mut stage, subnets, ..
    } = network();
    let run = |kind: &str, count: u32| {
        format!(
            "ImageId=ami-1&InstanceType={kind}&MinCount={count}&MaxCount={count}&SubnetId={}",
            subnets[0]
        )
    };
    assert_eq!(
        stage.ec2_error("RunInstances", &run("m9z.large", 1)),
        "InvalidParameterValue"
    );
    assert_eq!(
        stage.ec2_error("RunInstances", &run("m6i.24xlarge", 3)),
        "VcpuLimitExceeded"
    );
    stage.world.core.faults.set(vec![AwsFaultRule {
        zone: Some("us-west-2a".to_owned()),
        skip: 1,
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    }]);
    assert_eq!(
        stage.ec2_error("RunInstances", &run("m6i.large", 2)),
        "InsufficientInstanceCapacity"
    );
    let shown = stage.ec2("DescribeInstances", "").unwrap();
    assert_eq!(
        shown["reservationSet"],
        serde_json::json!([]),
        "all or nothing"
    );
    let interfaces = stage.ec2("DescribeNetworkInterfaces", "").unwrap();
    assert_eq!(interfaces["networkInterfaceSet"], serde_json::json!([]));
}

#[test]
fn snapshots_outlive_their_volumes() {
    let mut stage = Stage::new();
    let made = stage
        .ec2(
            "CreateVolume",
            "AvailabilityZone=us-west-2a&Size=8&VolumeType=gp3",
        )
        .unwrap();
    let volume = made["volumeId"].as_str().unwrap().to_owned();
    stage.pass(10);
    let tagged = "TagSpecification.1.ResourceType=snapshot&TagSpecification.1.Tag.1.Key=env&TagSpecification.1.Tag.1.Value=a";
    let made = stage
        .ec2("CreateSnapshot", &format!("VolumeId={volume}&{tagged}"))
        .unwrap();
    assert_eq!(made["status"], "pending");
    let id = made["snapshotId"].as_str().unwrap().to_owned();
    stage
        .ec2("DeleteVolume", &format!("VolumeId={volume}"))
        .unwrap();
    stage.pass(300);
    let ours = "Owner.1=self&Filter.1.Name=tag:env&Filter.1.Value.1=a";
    let found = stage.ec2("DescribeSnapshots", ours).unwrap();
    assert_eq!(found["snapshotSet"][0]["status"], "completed");
    assert_eq!(found["snapshotSet"][0]["volumeId"], volume.as_str());
    let others = stage.ec2("DescribeSnapshots", "Owner.1=amazon").unwrap();
    assert_eq!(others["snapshotSet"], serde_json::json!([]));
    let delete = format!("SnapshotId={id}");
    stage.ec2("DeleteSnapshot", &delete).unwrap();
    assert_eq!(
        stage.ec2_error("DeleteSnapshot", &delete),
        "InvalidSnapshot.NotFound"
    );
    assert_eq!(
        stage.ec2_error("CreateSnapshot", &format!("VolumeId={volume}")),
        "InvalidVolume.NotFound"
    );
}

#[test]
fn families_with_a_quota_of_their_own_leave_that_of_the_others_alone() {
    let Network {
        mut stage, subnets, ..
    } = network();
    let run = |kind: &str, count: u32| {
        format!(
            "ImageId=ami-1&InstanceType={kind}&MinCount={count}&MaxCount={count}&SubnetId={}",
            subnets[0]
        )
    };
    // 256 vCPUs of standard types and 64 of G are granted; each is used up by its own.
    stage.ec2("RunInstances", &run("m6i.16xlarge", 4)).unwrap();
    stage.ec2("RunInstances", &run("g5.8xlarge", 2)).unwrap();
    for kind in ["m6i.large", "g5.xlarge"] {
        assert_eq!(
            stage.ec2_error("RunInstances", &run(kind, 1)),
            "VcpuLimitExceeded",
            "{kind}"
        );
    }
}

#[test]
fn lists_see_new_things_and_changed_tags_late() {
    use std::time::Duration;
    let mut stage = Stage::new();
    stage.world.core.consistency.by_id = Duration::from_secs(1);
    stage.world.core.consistency.by_filter = Duration::from_secs(3);
    let create = "CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=env\
                  &TagSpecification.1.Tag.1.Value=a";
    let vpc = text(&stage.ec2("CreateVpc", create).unwrap(), "/vpc/vpcId");
    let by_id = format!("VpcId.1={vpc}");
    let by_tag = |value: &str| format!("Filter.1.Name=tag:env&Filter.1.Value.1={value}");
    let count = |stage: &mut Stage, form: &str| {
        let found = stage.ec2("DescribeVpcs", form).unwrap();
        found["vpcSet"].as_array().unwrap().len()
    };
    assert_eq!(
        stage.ec2_error("DescribeVpcs", &by_id),
        "InvalidVpcID.NotFound"
    );
    stage.pass(1);
    assert_eq!(count(&mut stage, &by_id), 1);
    assert_eq!(count(&mut stage, &by_tag("a")), 0);
    stage.pass(2);
    assert_eq!(count(&mut stage, &by_tag("a")), 1);
    let change = format!("ResourceId.1={vpc}&Tag.1.Key=env&Tag.1.Value=b");
    stage.ec2("CreateTags", &change).unwrap();
    assert_eq!(
        (
            count(&mut stage, &by_tag("a")),
            count(&mut stage, &by_tag("b"))
        ),
        (1, 0)
    );
    stage.pass(3);
    assert_eq!(
        (
            count(&mut stage, &by_tag("a")),
            count(&mut stage, &by_tag("b"))
        ),
        (0, 1)
    );
}

#[test]
fn an_error_changes_nothing() {
    let Network {
        mut stage,
        vpc,
        subnets,
        ..
    } = network();
    let before = stage.world.inspect();
    let many = format!(
        "VpcId={vpc}&VpcEndpointType=Interface&ServiceName=com.amazonaws.us-west-2.sts&SubnetId.1={}&SubnetId.2=subnet-0a",
        subnets[0]
    );
    assert_eq!(
        stage.ec2_error("CreateVpcEndpoint", &many),
        "InvalidSubnetID.NotFound"
    );
    for (absent, code) in [
        ("vpc-0a", "InvalidVpcID.NotFound"),
        ("sg-0a", "InvalidGroup.NotFound"),
        ("eipalloc-0a", "InvalidID"),
        ("eipassoc-0a", "InvalidID"),
    ] {
        let tags = format!("ResourceId.1={vpc}&ResourceId.2={absent}&Tag.1.Key=a&Tag.1.Value=b");
        assert_eq!(stage.ec2_error("CreateTags", &tags), code);
    }
    assert_eq!(stage.world.inspect(), before);
}
