//! Single calls at their edges: what is refused, and in which words.

use std::time::Duration;

use serde_json::Value;

use crate::aws::testing::Stage;

fn text(reply: &Value, path: &str) -> String {
    let found = reply.pointer(path).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{path} in {reply}"))
        .to_owned()
}

fn vpc(stage: &mut Stage) -> String {
    text(
        &stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap(),
        "/vpc/vpcId",
    )
}

fn subnet(stage: &mut Stage, vpc: &str, third: u8) -> String {
    let form = format!("VpcId={vpc}&CidrBlock=10.0.{third}.0/24");
    text(
        &stage.ec2("CreateSubnet", &form).unwrap(),
        "/subnet/subnetId",
    )
}

/// An internet gateway on the VPC, and an address.
fn outside(stage: &mut Stage, vpc: &str) -> String {
    let gateway = stage.ec2("CreateInternetGateway", "").unwrap();
    let gateway = text(&gateway, "/internetGateway/internetGatewayId");
    let attach = format!("InternetGatewayId={gateway}&VpcId={vpc}");
    stage.ec2("AttachInternetGateway", &attach).unwrap();
    assert_eq!(
        stage.ec2_error("AttachInternetGateway", &attach),
        "Resource.AlreadyAssociated"
    );
    text(&stage.ec2("AllocateAddress", "").unwrap(), "/allocationId")
}

#[test]
fn a_vpc_gets_further_ranges_with_routes_and_room_for_subnets() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let beyond = format!("VpcId={vpc}&CidrBlock=100.64.1.0/24");
    assert_eq!(
        stage.ec2_error("CreateSubnet", &beyond),
        "InvalidSubnet.Range"
    );
    let further = format!("VpcId={vpc}&CidrBlock=100.64.0.0/16");
    stage.ec2("AssociateVpcCidrBlock", &further).unwrap();
    stage.ec2("CreateSubnet", &beyond).unwrap();
    let made = format!("VpcId={vpc}");
    stage.ec2("CreateRouteTable", &made).unwrap();
    let tables = stage.ec2("DescribeRouteTables", "").unwrap();
    for table in tables["routeTableSet"].as_array().unwrap() {
        let routes = table["routeSet"].to_string();
        assert!(routes.contains("100.64.0.0/16"), "{routes}");
    }
    let shown = stage.ec2("DescribeVpcs", "").unwrap();
    let ranges = &shown["vpcSet"][0]["cidrBlockAssociationSet"];
    assert_eq!(ranges.as_array().unwrap().len(), 2);
    assert_eq!(ranges[1]["cidrBlock"], "100.64.0.0/16");
}

#[test]
fn ranges_and_zones_are_checked() {
    let mut stage = Stage::new();
    for (form, code) in [
        ("CidrBlock=10.0.0.0/8", "InvalidVpc.Range"),
        ("CidrBlock=10.0.0.0/29", "InvalidVpc.Range"),
        ("CidrBlock=169.254.0.0/16", "InvalidVpc.Range"),
        ("CidrBlock=ten", "InvalidParameterValue"),
        ("", "MissingParameter"),
    ] {
        assert_eq!(stage.ec2_error("CreateVpc", form), code, "{form}");
    }
    let vpc = vpc(&mut stage);
    subnet(&mut stage, &vpc, 1);
    for (form, code) in [
        ("CidrBlock=10.0.1.128/25", "InvalidSubnet.Conflict"),
        ("CidrBlock=10.1.0.0/24", "InvalidSubnet.Range"),
        (
            "CidrBlock=10.0.2.0/24&AvailabilityZone=us-west-2x",
            "InvalidParameterValue",
        ),
        (
            "CidrBlock=10.0.2.0/24&AvailabilityZone=eu-west-1a",
            "InvalidParameterValue",
        ),
    ] {
        let form = format!("VpcId={vpc}&{form}");
        assert_eq!(stage.ec2_error("CreateSubnet", &form), code, "{form}");
    }
    let nowhere = "VpcId=vpc-00000000000000001&CidrBlock=10.0.2.0/24";
    assert_eq!(
        stage.ec2_error("CreateSubnet", nowhere),
        "InvalidVpcID.NotFound"
    );
    assert_eq!(
        stage.ec2_error("DescribeVpcs", "VpcId.1=nonsense"),
        "InvalidVpcID.Malformed"
    );
}

#[test]
fn attributes_change_one_at_a_time() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let names = format!("VpcId={vpc}&Attribute=enableDnsHostnames");
    let value = |stage: &mut Stage| {
        let shown = stage.ec2("DescribeVpcAttribute", &names).unwrap();
        shown["enableDnsHostnames"]["value"].as_bool().unwrap()
    };
    assert!(
        !value(&mut stage),
        "a VPC that is not the default one begins without names"
    );
    let on = format!("VpcId={vpc}&EnableDnsHostnames.Value=true");
    stage.ec2("ModifyVpcAttribute", &on).unwrap();
    assert!(value(&mut stage));
    let both = format!("{on}&EnableDnsSupport.Value=true");
    assert_eq!(
        stage.ec2_error("ModifyVpcAttribute", &both),
        "InvalidParameterCombination"
    );
}

#[test]
fn fresh_addresses_and_gateways_are_not_known_to_the_calls_where_users_met_it() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let subnet = subnet(&mut stage, &vpc, 1);
    stage.world.core.consistency.by_id = Duration::from_secs(1);
    let address = outside(&mut stage, &vpc);
    let create = format!("SubnetId={subnet}&AllocationId={address}");
    assert_eq!(
        stage.ec2_error("CreateNatGateway", &create),
        "InvalidElasticIpID.NotFound"
    );
    stage.pass(1);
    let nat = text(
        &stage.ec2("CreateNatGateway", &create).unwrap(),
        "/natGateway/natGatewayId",
    );
    let table = stage
        .ec2("CreateRouteTable", &format!("VpcId={vpc}"))
        .unwrap();
    let table = text(&table, "/routeTable/routeTableId");
    let route = format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&NatGatewayId={nat}");
    assert_eq!(
        stage.ec2_error("CreateRoute", &route),
        "InvalidNatGatewayID.NotFound"
    );
    stage.pass(1);
    stage.ec2("CreateRoute", &route).unwrap();
}

#[test]
fn addresses_move_between_interfaces_of_the_account_only() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let subnet = subnet(&mut stage, &vpc, 1);
    let mut interface = || {
        let made = stage
            .ec2("CreateNetworkInterface", &format!("SubnetId={subnet}"))
            .unwrap();
        text(&made, "/networkInterface/networkInterfaceId")
    };
    let (one, two) = (interface(), interface());
    let lonely = text(&stage.ec2("AllocateAddress", "").unwrap(), "/allocationId");
    let to = |address: &str, interface: &str| {
        format!("AllocationId={address}&NetworkInterfaceId={interface}")
    };
    assert_eq!(
        stage.ec2_error("AssociateAddress", &to(&lonely, &one)),
        "Gateway.NotAttached"
    );
    let address = outside(&mut stage, &vpc);
    let first = stage.ec2("AssociateAddress", &to(&address, &one)).unwrap();
    assert_eq!(
        stage.ec2_error("AssociateAddress", &to(&address, &two)),
        "Resource.AlreadyAssociated"
    );
    let release = format!("AllocationId={address}");
    assert_eq!(
        stage.ec2_error("ReleaseAddress", &release),
        "InvalidIPAddress.InUse"
    );
    let moved = format!("{}&AllowReassociation=true", to(&address, &two));
    let second = stage.ec2("AssociateAddress", &moved).unwrap();
    let gone = format!("AssociationId={}", text(&first, "/associationId"));
    assert_eq!(
        stage.ec2_error("DisassociateAddress", &gone),
        "InvalidAssociationID.NotFound"
    );
    let now = format!("AssociationId={}", text(&second, "/associationId"));
    stage.ec2("DisassociateAddress", &now).unwrap();
    stage.ec2("ReleaseAddress", &release).unwrap();
}

#[test]
fn what_a_service_attached_nobody_else_detaches() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let subnet = subnet(&mut stage, &vpc, 1);
    let address = outside(&mut stage, &vpc);
    let create = format!("SubnetId={subnet}&AllocationId={address}");
    stage.ec2("CreateNatGateway", &create).unwrap();
    stage.pass(200);
    let only = "Filter.1.Name=interface-type&Filter.1.Value.1=nat_gateway";
    let shown = stage.ec2("DescribeNetworkInterfaces", only).unwrap();
    let interface = text(&shown, "/networkInterfaceSet/0/networkInterfaceId");
    let attachment = text(&shown, "/networkInterfaceSet/0/attachment/attachmentId");
    assert_eq!(shown["networkInterfaceSet"][0]["requesterManaged"], true);
    let delete = format!("NetworkInterfaceId={interface}");
    assert_eq!(
        stage.ec2_error("DeleteNetworkInterface", &delete),
        "InvalidParameterValue"
    );
    let detach = format!("AttachmentId={attachment}&Force=true");
    assert_eq!(
        stage.ec2_error("DetachNetworkInterface", &detach),
        "OperationNotPermitted"
    );
    let association = stage.ec2("DescribeAddresses", "").unwrap();
    let association = text(&association, "/addressesSet/0/associationId");
    let form = format!("AssociationId={association}");
    assert_eq!(stage.ec2_error("DisassociateAddress", &form), "AuthFailure");
}

#[test]
fn lists_come_in_pages() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    for third in 0..7 {
        subnet(&mut stage, &vpc, third);
    }
    let first = stage.ec2("DescribeSubnets", "MaxResults=5").unwrap();
    assert_eq!(first["subnetSet"].as_array().unwrap().len(), 5);
    let token = text(&first, "/nextToken");
    let second = stage
        .ec2(
            "DescribeSubnets",
            &format!("MaxResults=5&NextToken={token}"),
        )
        .unwrap();
    assert_eq!(second["subnetSet"].as_array().unwrap().len(), 2);
    assert!(second.get("nextToken").is_none());
    assert_eq!(
        stage.ec2_error("DescribeSubnets", "MaxResults=4"),
        "InvalidParameterValue"
    );
    stage.ec2("DescribeSubnets", "MaxResults=1000").unwrap();
    assert_eq!(
        stage.ec2_error("DescribeRouteTables", "MaxResults=101"),
        "InvalidParameterValue"
    );
    assert_eq!(
        stage.ec2_error("DescribeSubnets", "NextToken=zz"),
        "InvalidNextToken"
    );
    let id = text(&second, "/subnetSet/0/subnetId");
    let both = format!("MaxResults=5&SubnetId.1={id}");
    assert_eq!(
        stage.ec2_error("DescribeSubnets", &both),
        "InvalidParameterCombination"
    );
}

#[test]
fn volumes_attach_in_their_zone_and_leave_when_detached() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let subnet = subnet(&mut stage, &vpc, 1);
    let run =
        format!("ImageId=ami-1&InstanceType=t3.micro&MinCount=1&MaxCount=1&SubnetId={subnet}");
    let instance = text(
        &stage.ec2("RunInstances", &run).unwrap(),
        "/instancesSet/0/instanceId",
    );
    stage.pass(60);
    let mut volume = |zone: &str| {
        let form =
            format!("AvailabilityZone=us-west-2{zone}&Size=10&VolumeType=gp3&ClientToken={zone}");
        text(&stage.ec2("CreateVolume", &form).unwrap(), "/volumeId")
    };
    let (near, far) = (volume("a"), volume("b"));
    stage.pass(10);
    let attach = |id: &str| format!("VolumeId={id}&InstanceId={instance}&Device=/dev/sdf");
    assert_eq!(
        stage.ec2_error("AttachVolume", &attach(&far)),
        "InvalidVolume.ZoneMismatch"
    );
    stage.ec2("AttachVolume", &attach(&near)).unwrap();
    stage.pass(10);
    let delete = format!("VolumeId={near}");
    assert_eq!(stage.ec2_error("DeleteVolume", &delete), "VolumeInUse");
    stage.ec2("DetachVolume", &delete).unwrap();
    assert_eq!(
        stage.ec2_error("DeleteVolume", &delete),
        "VolumeInUse",
        "not detached yet"
    );
    stage.pass(10);
    stage.ec2("DeleteVolume", &delete).unwrap();
    stage.pass(10);
    let gone = stage.ec2_error("DescribeVolumes", &format!("VolumeId.1={near}"));
    assert_eq!(gone, "InvalidVolume.NotFound");
}

#[test]
fn a_launch_template_says_what_the_call_leaves_open() {
    let mut stage = Stage::new();
    let vpc = vpc(&mut stage);
    let subnet = subnet(&mut stage, &vpc, 1);
    let create = "LaunchTemplateName=t&LaunchTemplateData.InstanceType=m6i.large&LaunchTemplateData.ImageId=ami-1\
                  &LaunchTemplateData.TagSpecification.1.ResourceType=instance\
                  &LaunchTemplateData.TagSpecification.1.Tag.1.Key=a&LaunchTemplateData.TagSpecification.1.Tag.1.Value=b";
    let made = stage.ec2("CreateLaunchTemplate", create).unwrap();
    let template = text(&made, "/launchTemplate/launchTemplateId");
    let taken = stage.ec2_error("CreateLaunchTemplate", create);
    assert_eq!(taken, "InvalidLaunchTemplateName.AlreadyExistsException");
    let next = format!(
        "LaunchTemplateId={template}&SourceVersion=1&LaunchTemplateData.InstanceType=m6i.xlarge"
    );
    stage.ec2("CreateLaunchTemplateVersion", &next).unwrap();
    let run = |version: &str| {
        format!(
            "LaunchTemplate.LaunchTemplateName=t&LaunchTemplate.Version={version}&MinCount=1&MaxCount=1&SubnetId={subnet}"
        )
    };
    for (version, kind) in [("$Default", "m6i.large"), ("$Latest", "m6i.xlarge")] {
        let reply = stage.ec2("RunInstances", &run(version)).unwrap();
        assert_eq!(text(&reply, "/instancesSet/0/instanceType"), kind);
        assert_eq!(text(&reply, "/instancesSet/0/tagSet/0/value"), "b");
    }
    let missing = stage.ec2_error("RunInstances", &run("7"));
    assert_eq!(missing, "InvalidLaunchTemplateId.VersionNotFound");
}
