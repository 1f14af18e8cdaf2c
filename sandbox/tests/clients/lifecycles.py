"""Every lifecycle, watched with boto3's own waiters; and what EKS makes behind one's back."""

import json

import boto3
from common import cluster, cluster_role, code, faults, graph, network, node_role, refused, until, wait

ec2, iam, eks, elb, logs = (boto3.client(name) for name in ("ec2", "iam", "eks", "elbv2", "logs"))


def networks():
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    wait(ec2, "vpc_exists", VpcIds=[vpc])
    wait(ec2, "vpc_available", VpcIds=[vpc])
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    wait(ec2, "subnet_available", SubnetIds=[subnet])
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    wait(ec2, "security_group_exists", GroupIds=[group])
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    wait(ec2, "network_interface_available", NetworkInterfaceIds=[interface["NetworkInterfaceId"]])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    wait(ec2, "internet_gateway_exists", InternetGatewayIds=[gateway])

    # Without a way out, a NAT gateway is accepted and fails later.
    address = ec2.allocate_address()["AllocationId"]
    known = lambda: code(ec2.describe_addresses, AllocationIds=[address]) is None
    until("the address is known", known)
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    assert nat["State"] == "pending", nat
    found = lambda: ec2.describe_nat_gateways(NatGatewayIds=[nat["NatGatewayId"]])["NatGateways"][0]
    until("it fails", lambda: code(found) is None and found()["State"] == "failed")
    assert found()["FailureCode"] == "Gateway.NotAttached", found()

    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    wait(ec2, "nat_gateway_available", NatGatewayIds=[nat])
    ec2.delete_nat_gateway(NatGatewayId=nat)
    wait(ec2, "nat_gateway_deleted", NatGatewayIds=[nat])
    ec2.release_address(AllocationId=address)


def machines():
    zone = "us-west-2a"
    volume = ec2.create_volume(AvailabilityZone=zone, Size=2)
    assert volume["State"] == "creating", volume
    wait(ec2, "volume_available", VolumeIds=[volume["VolumeId"]])
    _, _, _, subnets = network(ec2, [zone], "10.10")
    machine = ec2.run_instances(
        ImageId="ami-0123456789abcdef0", InstanceType="m6i.large", MinCount=1, MaxCount=1, SubnetId=subnets[0]
    )["Instances"][0]
    assert machine["State"]["Name"] == "pending", machine
    machine = {"InstanceIds": [machine["InstanceId"]]}
    wait(ec2, "instance_exists", **machine)
    wait(ec2, "instance_running", **machine)
    wait(ec2, "instance_status_ok", **machine)
    wait(ec2, "system_status_ok", **machine)
    ec2.attach_volume(VolumeId=volume["VolumeId"], InstanceId=machine["InstanceIds"][0], Device="/dev/sdf")
    wait(ec2, "volume_in_use", VolumeIds=[volume["VolumeId"]])
    ec2.terminate_instances(**machine)
    wait(ec2, "instance_terminated", **machine)
    wait(ec2, "volume_available", VolumeIds=[volume["VolumeId"]])
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    wait(ec2, "volume_deleted", VolumeIds=[volume["VolumeId"]])


def balancers():
    _, _, _, subnets = network(ec2, cidr="10.11")
    made = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]
    assert made["State"]["Code"] == "provisioning", made
    named = {"LoadBalancerArns": [made["LoadBalancerArn"]]}
    wait(elb, "load_balancer_exists", **named)
    wait(elb, "load_balancer_available", **named)
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    wait(elb, "load_balancers_deleted", **named)


def clusters():
    vpc, _, _, subnets = network(ec2)
    own, nodes = cluster_role(iam), node_role(iam)
    made = cluster(
        eks,
        "demo",
        own,
        subnets,
        bootstrapSelfManagedAddons=False,
        accessConfig={"authenticationMode": "API"},
        logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
    )
    assert made["status"] == "CREATING" and "endpoint" not in made, made
    wait(eks, "cluster_active", name="demo")
    group = {"clusterName": "demo", "nodegroupName": "workers"}
    scaling = {"minSize": 1, "maxSize": 3, "desiredSize": 2}
    create = {"subnets": subnets, "nodeRole": nodes, "scalingConfig": scaling, "instanceTypes": ["m6i.large"]}

    def install(*addons):
        for addon in addons:
            made = eks.create_addon(clusterName="demo", addonName=addon)["addon"]
            assert made["status"] == "CREATING", made

    install("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
    eks.create_nodegroup(**group, **create)
    wait(eks, "nodegroup_active", **group)
    # Before there are nodes these would soon be called degraded.
    install("coredns", "aws-ebs-csi-driver")
    for addon in ("vpc-cni", "coredns", "aws-ebs-csi-driver"):
        wait(eks, "addon_active", clusterName="demo", addonName=addon)

    behind(vpc, subnets, nodes)

    # Capacity is short: it shows in the health while it is tried again.
    faults({"effect": {"type": "capacity"}, "instance_type": "m6i.xlarge"})
    poor = {"clusterName": "demo", "nodegroupName": "poor"}
    eks.create_nodegroup(**poor, **(create | {"instanceTypes": ["m6i.xlarge"]}))
    issues = lambda: eks.describe_nodegroup(**poor)["nodegroup"]["health"]["issues"]
    assert until("an issue", issues)[0]["code"] == "AsgInstanceLaunchFailures", issues()
    faults()
    eks.delete_nodegroup(**poor)
    wait(eks, "nodegroup_deleted", **poor)

    for addon in ("vpc-cni", "coredns"):
        eks.delete_addon(clusterName="demo", addonName=addon)
        wait(eks, "addon_deleted", clusterName="demo", addonName=addon)
    eks.delete_nodegroup(**group)
    wait(eks, "nodegroup_deleted", **group)
    refused("ResourceNotFoundException", eks.describe_nodegroup, **group)
    assert not iam.list_instance_profiles()["InstanceProfiles"], "the profile of the group is left"
    assert eks.delete_cluster(name="demo")["cluster"]["status"] == "DELETING"
    wait(eks, "cluster_deleted", name="demo")
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"], groups
    # The log group is nobody's: it stays, and nothing makes it again.
    logs.delete_log_group(logGroupName="/aws/eks/demo/cluster")


def behind(vpc, subnets, nodes):
    shown = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    (group,) = ec2.describe_security_groups(GroupIds=[shown["clusterSecurityGroupId"]])["SecurityGroups"]
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    assert group["GroupName"].startswith("eks-cluster-sg-demo-"), group
    assert tags["kubernetes.io/cluster/demo"] == "owned" and tags["aws:eks:cluster-name"] == "demo", tags
    named = [{"Name": "description", "Values": ["Amazon EKS demo"]}]
    interfaces = ec2.describe_network_interfaces(Filters=named)["NetworkInterfaces"]
    assert {interface["SubnetId"] for interface in interfaces} == set(subnets), interfaces
    assert all(interface["RequesterManaged"] for interface in interfaces), interfaces
    entries = eks.list_access_entries(clusterName="demo")["accessEntries"]
    me = boto3.client("sts").get_caller_identity()["Arn"]
    assert {nodes, me} <= set(entries), entries
    # A living cluster makes its log group again, without tags and retention.
    name = {"logGroupName": "/aws/eks/demo/cluster"}
    logs.put_retention_policy(**name, retentionInDays=7)
    logs.delete_log_group(**name)
    found = lambda: logs.describe_log_groups(logGroupNamePrefix="/aws/eks/demo")["logGroups"]
    assert "retentionInDays" not in until("it comes back", found)[0], found()
    reservations = ec2.describe_instances(
        Filters=[{"Name": "tag:eks:nodegroup-name", "Values": ["workers"]}]
    )["Reservations"]
    machines = [machine for reservation in reservations for machine in reservation["Instances"]]
    assert {machine["SubnetId"] for machine in machines} == set(subnets), machines
    assert all(machine["State"]["Name"] == "running" for machine in machines), machines


for lifecycle in (networks, machines, balancers, clusters):
    lifecycle()
assert "eks" not in graph(), json.dumps(graph().get("eks"))
