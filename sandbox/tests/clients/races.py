"""Names that many ask for at once: exactly one gets each, the others are told so."""

import boto3
from common import at_once, cluster, cluster_role, network, node_role, until, wait

MANY = 8
ec2, iam, eks, elb, kms = (boto3.client(name) for name in ("ec2", "iam", "eks", "elbv2", "kms"))
logs, ssm = boto3.client("logs"), boto3.client("ssm")

TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)
vpc, _, _, subnets = network(ec2)
own, nodes = cluster_role(iam), node_role(iam)
keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(MANY)]
cluster(eks, "there", own, subnets, accessConfig={"authenticationMode": "API"})
wait(eks, "cluster_active", name="there")
scaling = {"minSize": 0, "maxSize": 1, "desiredSize": 0}

RACES = [
    (
        "ResourceInUseException",
        lambda _: eks.create_cluster(name="won", roleArn=own, resourcesVpcConfig={"subnetIds": subnets}),
    ),
    (
        "ResourceInUseException",
        lambda _: eks.create_nodegroup(
            clusterName="there", nodegroupName="won", nodeRole=nodes, subnets=subnets, scalingConfig=scaling
        ),
    ),
    ("ResourceInUseException", lambda _: eks.create_addon(clusterName="there", addonName="kube-proxy")),
    ("ResourceInUseException", lambda _: eks.create_access_entry(clusterName="there", principalArn=own)),
    ("EntityAlreadyExists", lambda _: iam.create_role(RoleName="won", AssumeRolePolicyDocument=TRUST)),
    ("EntityAlreadyExists", lambda _: iam.create_instance_profile(InstanceProfileName="won")),
    (
        "ParameterAlreadyExists",
        lambda index: ssm.put_parameter(Name="/won", Value=str(index), Type="String"),
    ),
    ("ResourceAlreadyExistsException", lambda _: logs.create_log_group(logGroupName="won")),
    ("AlreadyExistsException", lambda index: kms.create_alias(AliasName="alias/won", TargetKeyId=keys[index])),
    (
        "InvalidGroup.Duplicate",
        lambda _: ec2.create_security_group(GroupName="won", Description="won", VpcId=vpc),
    ),
    (
        "InvalidLaunchTemplateName.AlreadyExistsException",
        lambda _: ec2.create_launch_template(
            LaunchTemplateName="won", LaunchTemplateData={"InstanceType": "m6i.large"}
        ),
    ),
    ("InvalidSubnet.Conflict", lambda _: ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.200.0/24")),
    (
        "DuplicateTargetGroupName",
        lambda index: elb.create_target_group(Name="won", Protocol="TCP", Port=80 + index, VpcId=vpc),
    ),
]
for wanted, call in RACES:
    ends = at_once(MANY, call)
    won = [result for result, error in ends if error is None]
    errors = [error for _, error in ends if error is not None]
    assert len(won) == 1 and set(errors) == {wanted}, f"{wanted}: {len(won)} won, {errors}"

# One client token is one thing, however many ask at once.
address = ec2.allocate_address()["AllocationId"]
until("the address is known", lambda: ec2.describe_addresses()["Addresses"])
nat = {"SubnetId": subnets[0], "AllocationId": address, "ClientToken": "one"}
made = at_once(MANY, lambda _: ec2.create_nat_gateway(**nat))
ids = {result["NatGateway"]["NatGatewayId"] for result, error in made if error is None}
assert len(ids) == 1 and all(error is None for _, error in made), made

# As are load balancers of the same name and settings.
made = at_once(MANY, lambda _: elb.create_load_balancer(Name="one", Type="network", Subnets=subnets[:1]))
ids = {result["LoadBalancers"][0]["LoadBalancerArn"] for result, error in made if error is None}
assert len(ids) == 1 and all(error is None for _, error in made), made

# The last of a quota.
ends = at_once(MANY, lambda _: ec2.allocate_address())
assert sum(error is None for _, error in ends) == 4, ends
assert {error for _, error in ends} == {None, "AddressLimitExceeded"}, ends
