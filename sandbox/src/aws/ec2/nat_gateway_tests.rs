use crate::aws::testing::Stage;

/// A VPC with one subnet, and what is asked for more.
fn network(gateway: bool) -> (Stage, String, String, String) {
    let mut stage = Stage::new();
    let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap()["vpc"]["vpcId"]
        .as_str()
        .unwrap()
        .to_owned();
    let subnet = stage
        .ec2(
            "CreateSubnet",
            &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24"),
        )
        .unwrap();
    let subnet = subnet["subnet"]["subnetId"].as_str().unwrap().to_owned();
    if gateway {
        let igw = stage.ec2("CreateInternetGateway", "").unwrap();
        let igw = igw["internetGateway"]["internetGatewayId"]
            .as_str()
            .unwrap()
            .to_owned();
        stage
            .ec2(
                "AttachInternetGateway",
                &format!("InternetGatewayId={igw}&VpcId={vpc}"),
            )
            .unwrap();
    }
    let address = stage.ec2("AllocateAddress", "Domain=vpc").unwrap();
    let address = address["allocationId"].as_str().unwrap().to_owned();
    (stage, vpc, subnet, address)
}

fn state(stage: &mut Stage, nat: &str) -> String {
    let all = stage
        .ec2("DescribeNatGateways", &format!("NatGatewayId.1={nat}"))
        .unwrap();
    all["natGatewaySet"][0]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn it_holds_its_subnet_and_its_address_until_it_has_gone() {
    let (mut stage, _, subnet, address) = network(true);
    let create = format!("SubnetId={subnet}&AllocationId={address}&ClientToken=t");
    let nat = stage.ec2("CreateNatGateway", &create).unwrap()["natGateway"]["natGatewayId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(state(&mut stage, &nat), "pending");
    stage.pass(200);
    assert_eq!(state(&mut stage, &nat), "available");
    // The same call again makes nothing new.
    let again = stage.ec2("CreateNatGateway", &create).unwrap();
    assert_eq!(again["natGateway"]["natGatewayId"], nat.as_str());
    let other = format!("{create}&ConnectivityType=private");
    assert_eq!(
        stage.ec2_error("CreateNatGateway", &other),
        "IdempotentParameterMismatch"
    );

    let release = format!("AllocationId={address}");
    assert_eq!(
        stage.ec2_error("DeleteSubnet", &format!("SubnetId={subnet}")),
        "DependencyViolation"
    );
    assert_eq!(stage.ec2_error("ReleaseAddress", &release), "AuthFailure");
    stage
        .ec2("DeleteNatGateway", &format!("NatGatewayId={nat}"))
        .unwrap();
    assert_eq!(state(&mut stage, &nat), "deleting");
    assert_eq!(stage.ec2_error("ReleaseAddress", &release), "AuthFailure");
    assert_eq!(
        stage.ec2_error("DeleteSubnet", &format!("SubnetId={subnet}")),
        "DependencyViolation"
    );
    stage.pass(120);
    assert_eq!(state(&mut stage, &nat), "deleted");
    stage.ec2("ReleaseAddress", &release).unwrap();
    stage
        .ec2("DeleteSubnet", &format!("SubnetId={subnet}"))
        .unwrap();
    stage.pass(4000);
    let gone = stage.ec2_error("DescribeNatGateways", &format!("NatGatewayId.1={nat}"));
    assert_eq!(gone, "NatGatewayNotFound");
}

#[test]
fn without_an_internet_gateway_it_fails_later_and_its_token_stands_for_the_failed_one() {
    let (mut stage, _, subnet, address) = network(false);
    let create = format!("SubnetId={subnet}&AllocationId={address}&ClientToken=t");
    let nat = stage.ec2("CreateNatGateway", &create).unwrap();
    assert_eq!(nat["natGateway"]["state"], "pending");
    stage.pass(60);
    let again = stage.ec2("CreateNatGateway", &create).unwrap();
    assert_eq!(
        again["natGateway"]["natGatewayId"],
        nat["natGateway"]["natGatewayId"]
    );
    assert_eq!(again["natGateway"]["state"], "failed");
    assert_eq!(again["natGateway"]["failureCode"], "Gateway.NotAttached");
    // A failed one holds nothing.
    stage
        .ec2("DeleteSubnet", &format!("SubnetId={subnet}"))
        .unwrap();
    stage
        .ec2("ReleaseAddress", &format!("AllocationId={address}"))
        .unwrap();
}

#[test]
fn an_address_serves_one_gateway() {
    let (mut stage, _, subnet, address) = network(true);
    let create = format!("SubnetId={subnet}&AllocationId={address}");
    stage.ec2("CreateNatGateway", &create).unwrap();
    let second = stage.ec2("CreateNatGateway", &create).unwrap();
    let second = second["natGateway"]["natGatewayId"]
        .as_str()
        .unwrap()
        .to_owned();
    stage.pass(300);
    assert_eq!(state(&mut stage, &second), "failed");
    let missing = format!("SubnetId={subnet}&AllocationId=eipalloc-00000000000000001");
    assert_eq!(
        stage.ec2_error("CreateNatGateway", &missing),
        "InvalidElasticIpID.NotFound"
    );
}

#[test]
fn a_full_subnet_makes_it_fail_later() {
    let (mut stage, vpc, _, address) = network(true);
    let small = format!("VpcId={vpc}&CidrBlock=10.0.9.0/28");
    let small = stage.ec2("CreateSubnet", &small).unwrap();
    let small = small["subnet"]["subnetId"].as_str().unwrap().to_owned();
    assert_eq!(free(&mut stage, &small), 11);
    let ten = format!("SubnetId={small}&SecondaryPrivateIpAddressCount=10");
    stage.ec2("CreateNetworkInterface", &ten).unwrap();
    assert_eq!(free(&mut stage, &small), 0);
    let more = stage.ec2_error("CreateNetworkInterface", &format!("SubnetId={small}"));
    assert_eq!(more, "InsufficientFreeAddressesInSubnet");
    let create = format!("SubnetId={small}&AllocationId={address}");
    let nat = stage.ec2("CreateNatGateway", &create).unwrap();
    let nat = nat["natGateway"]["natGatewayId"]
        .as_str()
        .unwrap()
        .to_owned();
    stage.pass(60);
    assert_eq!(state(&mut stage, &nat), "failed");
}

fn free(stage: &mut Stage, subnet: &str) -> i64 {
    let shown = stage
        .ec2("DescribeSubnets", &format!("SubnetId.1={subnet}"))
        .unwrap();
    shown["subnetSet"][0]["availableIpAddressCount"]
        .as_i64()
        .unwrap()
}
