"""Wrong orders of a teardown are refused with AWS's codes; the right order leaves nothing."""

import boto3
from common import cluster, cluster_role, code, drop_role, graph, network, node_role, refused, until, wait

ec2, iam, eks, elb, kms = (boto3.client(name) for name in ("ec2", "iam", "eks", "elbv2", "kms"))
logs = boto3.client("logs")

# Everything that can hold something else.
vpc, gateway, main_table, (subnet, other_subnet) = network(ec2)
table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
address = ec2.allocate_address(Domain="vpc")["AllocationId"]
until("the address is known", lambda: ec2.describe_addresses(AllocationIds=[address]))
nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
wait(ec2, "nat_gateway_available", NatGatewayIds=[nat])
own, named = (
    ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    for name in ("own", "named")
)
peer = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": named}]}]
ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=peer)
interface = ec2.create_network_interface(SubnetId=other_subnet, Groups=[own])
interface = interface["NetworkInterface"]["NetworkInterfaceId"]
endpoint = ec2.create_vpc_endpoint(
    VpcId=vpc,
    ServiceName="com.amazonaws.us-west-2.ec2",
    VpcEndpointType="Interface",
    SubnetIds=[other_subnet],
)["VpcEndpoint"]["VpcEndpointId"]
machine = ec2.run_instances(
    ImageId="ami-0123456789abcdef0",
    InstanceType="m6i.large",
    MinCount=1,
    MaxCount=1,
    SubnetId=other_subnet,
)["Instances"][0]["InstanceId"]
wait(ec2, "instance_running", InstanceIds=[machine])
volume = ec2.create_volume(AvailabilityZone="us-west-2b", Size=1, VolumeType="gp3")["VolumeId"]
wait(ec2, "volume_available", VolumeIds=[volume])
ec2.attach_volume(VolumeId=volume, InstanceId=machine, Device="/dev/sdf")
wait(ec2, "volume_in_use", VolumeIds=[volume])
default_group = ec2.describe_security_groups(
    Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
)["SecurityGroups"][0]["GroupId"]

balancer = elb.create_load_balancer(Name="nlb", Type="network", Subnets=[subnet])
balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
wait(elb, "load_balancer_available", LoadBalancerArns=[balancer])
target = elb.create_target_group(Name="tg", Protocol="TCP", Port=80, VpcId=vpc)
target = target["TargetGroups"][0]["TargetGroupArn"]
elb.create_listener(
    LoadBalancerArn=balancer,
    Protocol="TCP",
    Port=80,
    DefaultActions=[{"Type": "forward", "TargetGroupArn": target}],
)

policy = iam.create_policy(
    PolicyName="own",
    PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
)["Policy"]["Arn"]
nodes = node_role(iam)
iam.attach_role_policy(RoleName="workers", PolicyArn=policy)
iam.create_instance_profile(InstanceProfileName="own")
iam.add_role_to_instance_profile(InstanceProfileName="own", RoleName="workers")
key = kms.create_key()["KeyMetadata"]["KeyId"]
kms.create_alias(AliasName="alias/own", TargetKeyId=key)

made = cluster(
    eks,
    "demo",
    cluster_role(iam),
    [subnet, other_subnet],
    logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
)
wait(eks, "cluster_active", name="demo")
group = {"clusterName": "demo", "nodegroupName": "workers"}
eks.create_nodegroup(
    **group,
    subnets=[other_subnet],
    nodeRole=nodes,
    scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1},
)
wait(eks, "nodegroup_active", **group)
eks_group = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
of_cluster = [{"Name": "description", "Values": ["Amazon EKS demo"]}]
eks_interface = ec2.describe_network_interfaces(Filters=of_cluster)["NetworkInterfaces"][0]
of_nat = [{"Name": "description", "Values": [f"Interface for NAT Gateway {nat}"]}]
nat_interface = ec2.describe_network_interfaces(Filters=of_nat)["NetworkInterfaces"][0]

WRONG = [
    ("DependencyViolation", ec2.delete_vpc, {"VpcId": vpc}),
    ("DependencyViolation", ec2.delete_subnet, {"SubnetId": subnet}),  # NAT gateway, balancer
    ("DependencyViolation", ec2.delete_subnet, {"SubnetId": other_subnet}),  # cluster, instances
    ("DependencyViolation", ec2.detach_internet_gateway, {"InternetGatewayId": gateway, "VpcId": vpc}),
    ("DependencyViolation", ec2.delete_internet_gateway, {"InternetGatewayId": gateway}),
    ("DependencyViolation", ec2.delete_route_table, {"RouteTableId": table}),
    ("DependencyViolation", ec2.delete_route_table, {"RouteTableId": main_table}),
    ("DependencyViolation", ec2.delete_security_group, {"GroupId": own}),  # an interface has it
    ("DependencyViolation", ec2.delete_security_group, {"GroupId": named}),  # a rule names it
    ("DependencyViolation", ec2.delete_security_group, {"GroupId": eks_group}),
    ("CannotDelete", ec2.delete_security_group, {"GroupId": default_group}),
    ("AuthFailure", ec2.release_address, {"AllocationId": address}),
    (
        "InvalidParameterValue",
        ec2.delete_network_interface,
        {"NetworkInterfaceId": nat_interface["NetworkInterfaceId"]},
    ),
    (
        "OperationNotPermitted",
        ec2.detach_network_interface,
        {"AttachmentId": eks_interface["Attachment"]["AttachmentId"]},
    ),
    ("VolumeInUse", ec2.delete_volume, {"VolumeId": volume}),
    ("ResourceInUse", elb.delete_target_group, {"TargetGroupArn": target}),
    ("DeleteConflict", iam.delete_role, {"RoleName": "workers"}),
    ("DeleteConflict", iam.delete_role, {"RoleName": "cluster"}),
    ("DeleteConflict", iam.delete_policy, {"PolicyArn": policy}),
    ("DeleteConflict", iam.delete_instance_profile, {"InstanceProfileName": "own"}),
    ("ResourceInUseException", eks.delete_cluster, {"name": "demo"}),
]
before = graph()
for wanted, call, parameters in WRONG:
    refused(wanted, call, **parameters)
assert graph() == before, "a refused call changed something"


def while_it(state, *calls):
    """Each call is refused as long as the state lasts: true right before it and right after it."""
    for wanted, call, parameters in calls:
        if state():
            found = code(call, **parameters)
            assert found == wanted or not state(), f"{parameters}: {found}"


# The right order.
eks.delete_nodegroup(**group)
still_there = lambda: code(eks.describe_nodegroup, **group) is None
while_it(still_there, ("ResourceInUseException", eks.delete_cluster, {"name": "demo"}))
wait(eks, "nodegroup_deleted", **group)
assert code(eks.delete_cluster, name="demo") in (None, "ResourceInUseException", "ResourceNotFoundException")
wait(eks, "cluster_deleted", name="demo")
logs.delete_log_group(logGroupName="/aws/eks/demo/cluster")

elb.delete_load_balancer(LoadBalancerArn=balancer)
wait(elb, "load_balancers_deleted", LoadBalancerArns=[balancer])
elb.delete_target_group(TargetGroupArn=target)

ec2.detach_volume(VolumeId=volume)
wait(ec2, "volume_available", VolumeIds=[volume])
ec2.delete_volume(VolumeId=volume)
wait(ec2, "volume_deleted", VolumeIds=[volume])
ec2.terminate_instances(InstanceIds=[machine])
wait(ec2, "instance_terminated", InstanceIds=[machine])

ec2.delete_nat_gateway(NatGatewayId=nat)
deleting = lambda: ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"] == "deleting"
while_it(
    deleting,
    ("AuthFailure", ec2.release_address, {"AllocationId": address}),
    ("DependencyViolation", ec2.delete_subnet, {"SubnetId": subnet}),
    ("DependencyViolation", ec2.detach_internet_gateway, {"InternetGatewayId": gateway, "VpcId": vpc}),
)
wait(ec2, "nat_gateway_deleted", NatGatewayIds=[nat])
assert code(ec2.release_address, AllocationId=address) in (None, "InvalidAllocationID.NotFound")
ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
ec2.delete_network_interface(NetworkInterfaceId=interface)
ec2.delete_security_group(GroupId=own)
ec2.delete_security_group(GroupId=named)
ec2.disassociate_route_table(AssociationId=association)
ec2.delete_route_table(RouteTableId=table)
assert code(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) in (None, "Gateway.NotAttached")
ec2.delete_internet_gateway(InternetGatewayId=gateway)
for one in (subnet, other_subnet):
    # Interfaces of the balancer and of the endpoint linger.
    gone = lambda: code(ec2.delete_subnet, SubnetId=one) in (None, "InvalidSubnetID.NotFound")
    until("nothing is left in the subnet", gone)
ec2.delete_vpc(VpcId=vpc)

iam.remove_role_from_instance_profile(InstanceProfileName="own", RoleName="workers")
iam.delete_instance_profile(InstanceProfileName="own")
drop_role(iam, "workers")
drop_role(iam, "cluster")
iam.delete_policy(PolicyArn=policy)
kms.delete_alias(AliasName="alias/own")
kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
refused("KMSInvalidStateException", kms.schedule_key_deletion, KeyId=key)
refused("KMSInvalidStateException", kms.create_alias, AliasName="alias/own", TargetKeyId=key)
