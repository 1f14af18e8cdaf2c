"""Tokens, pages, filters, dry runs, refused signatures, retries: what every client meets whatever it calls."""

import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from unittest import mock

import boto3
import jmespath
from botocore.exceptions import ClientError
from common import cluster, cluster_role, code, faults, graph, network, node_role, refused, until, wait

NAMES = ("ec2", "iam", "eks", "elbv2", "kms", "logs", "ssm", "sts")
ec2, iam, eks, elb, kms, logs, ssm, sts = (boto3.client(name) for name in NAMES)
quotas, tagging = boto3.client("service-quotas"), boto3.client("resourcegroupstaggingapi")
vpc, _, table, subnets = network(ec2)


def tokens():
    """The same token gives the same thing again; with other parameters it is refused."""
    address = ec2.allocate_address()["AllocationId"]
    known = lambda: code(ec2.describe_addresses, AllocationIds=[address]) is None
    until("the address is known", known)
    subnet = subnets[0]
    tag = [{"ResourceType": "natgateway", "Tags": [{"Key": "a", "Value": "b"}]}]
    machine = {"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    service = "com.amazonaws.us-west-2.s3"
    for call, key, id, parameters, other in [
        (
            ec2.create_nat_gateway,
            "NatGateway",
            "NatGatewayId",
            {"SubnetId": subnet, "AllocationId": address},
            {"TagSpecifications": tag},
        ),
        (ec2.create_route_table, "RouteTable", "RouteTableId", {"VpcId": vpc}, {"VpcId": "vpc-0"}),
        (
            ec2.create_vpc_endpoint,
            "VpcEndpoint",
            "VpcEndpointId",
            {"VpcId": vpc, "ServiceName": service},
            {"RouteTableIds": [table]},
        ),
        (ec2.create_network_interface, "NetworkInterface", "NetworkInterfaceId", {"SubnetId": subnet}, {"Description": "x"}),
        (ec2.create_volume, None, "VolumeId", {"AvailabilityZone": "us-west-2a", "Size": 1}, {"Size": 2}),
        (
            ec2.create_launch_template,
            "LaunchTemplate",
            "LaunchTemplateId",
            {"LaunchTemplateName": "t", "LaunchTemplateData": {"InstanceType": "m6i.large"}},
            {"LaunchTemplateName": "u"},
        ),
        (ec2.run_instances, "Instances", "InstanceId", {**machine, "InstanceType": "m6i.large"}, {"MaxCount": 2}),
    ]:

        def made(**more):
            reply = call(**(parameters | more), ClientToken="one")
            reply = reply[key] if key else reply
            return (reply[0] if isinstance(reply, list) else reply)[id]

        made.__name__ = call.__name__
        first = made()
        assert made() == first, call.__name__
        refused("IdempotentParameterMismatch", made, **other)

    own, nodes = cluster_role(iam), node_role(iam)
    new = {"accessConfig": {"authenticationMode": "API"}, "clientRequestToken": "one"}
    first = cluster(eks, "demo", own, subnets, **new)
    again = cluster(eks, "demo", own, subnets, **new)
    assert first["createdAt"] == again["createdAt"], again
    more = {"name": "demo", "roleArn": own, "resourcesVpcConfig": {"subnetIds": subnets}}
    refused("ResourceInUseException", eks.create_cluster, **more, clientRequestToken="two")
    refused("InvalidParameterException", eks.create_cluster, **more, clientRequestToken="one", tags={"a": "b"})
    wait(eks, "cluster_active", name="demo")
    group = {
        "clusterName": "demo",
        "nodegroupName": "workers",
        "nodeRole": nodes,
        "subnets": subnets,
        "scalingConfig": {"minSize": 0, "maxSize": 1, "desiredSize": 0},
    }
    for call, parameters in [
        (eks.create_nodegroup, group),
        (eks.create_addon, {"clusterName": "demo", "addonName": "kube-proxy"}),
    ]:
        call(**parameters, clientRequestToken="one")
        call(**parameters, clientRequestToken="one")
        refused("ResourceInUseException", call, **parameters, clientRequestToken="two")
        changed = {**parameters, "tags": {"a": "b"}, "clientRequestToken": "one"}
        refused("InvalidParameterException", call, **changed)


def pages():
    """Small pages give the same as one big one, nothing twice, in every service."""
    for index in range(7):
        name = f"page-{index}"
        ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)
        iam.create_role(RoleName=name, Path="/pages/", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="page-0", PolicyArn=f"arn:aws:iam::aws:policy/{POLICIES[index]}")
        logs.create_log_group(logGroupName=name)
        ssm.put_parameter(Name=f"/pages/{name}", Value="v", Type="String", Tags=[{"Key": "paged", "Value": "v"}])
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
        elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=vpc)
        eks.create_access_entry(clusterName="demo", principalArn=f"arn:aws:iam::111122223333:role/pages/{name}")
    of_vpc = {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]}
    until("lists know all", lambda: len(ec2.describe_security_groups(**of_vpc)["SecurityGroups"]) >= 8)
    until("and tags", lambda: len(tagging.get_resources(TagFilters=[{"Key": "paged"}])["ResourceTagMappingList"]) == 7)
    for client, operation, result, sizes, parameters, least in [
        (ec2, "describe_security_groups", "SecurityGroups[].GroupId", (5,), of_vpc, 8),
        (ec2, "describe_security_group_rules", "SecurityGroupRules[].SecurityGroupRuleId", (5,), {}, 8),
        (ec2, "describe_instance_types", "InstanceTypes[].InstanceType", (5,), {}, 6),
        (ec2, "describe_network_interfaces", "NetworkInterfaces[].NetworkInterfaceId", (5,), {}, 3),
        (ec2, "describe_tags", "Tags[].Key", (5,), {}, 1),
        (iam, "list_roles", "Roles[].Arn", (1, 3), {"PathPrefix": "/pages/"}, 7),
        (iam, "list_attached_role_policies", "AttachedPolicies[].PolicyArn", (1, 2), {"RoleName": "page-0"}, 7),
        (logs, "describe_log_groups", "logGroups[].logGroupName", (1, 4), {"logGroupNamePrefix": "page"}, 7),
        (ssm, "get_parameters_by_path", "Parameters[].Name", (1, 2), {"Path": "/pages"}, 7),
        (ssm, "describe_parameters", "Parameters[].Name", (1, 3), {}, 7),
        (kms, "list_keys", "Keys[].KeyId", (1, 3), {}, 7),
        (kms, "list_aliases", "Aliases[].AliasName", (2,), {}, 7),
        (elb, "describe_target_groups", "TargetGroups[].TargetGroupArn", (1, 3), {}, 7),
        (eks, "list_access_entries", "accessEntries[]", (1, 4), {"clusterName": "demo"}, 7),
        (eks, "list_clusters", "clusters[]", (1,), {}, 1),
        (eks, "describe_addon_versions", "addons[].addonName", (1, 2), {}, 5),
        (quotas, "list_service_quotas", "Quotas[].QuotaCode", (1, 5), {"ServiceCode": "vpc"}, 6),
        (tagging, "get_resources", "ResourceTagMappingList[].ResourceARN", (1, 3), {"TagFilters": [{"Key": "paged"}]}, 7),
    ]:
        paginator = client.get_paginator(operation)
        whole = list(paginator.paginate(**parameters).search(result))
        assert len(whole) >= least, f"{operation}: {whole}"
        for size in sizes:
            small = list(paginator.paginate(**parameters, PaginationConfig={"PageSize": size}))
            parts = [jmespath.search(result, page) or [] for page in small]
            assert all(len(part) <= size for part in parts), f"{operation} by {size}: {parts}"
            found = sum(parts, [])
            assert sorted(found) == sorted(whole), f"{operation} by {size}: {found} instead of {whole}"
    # What cannot be made here can be looked for.
    for operation, result in [
        ("describe_vpc_peering_connections", "VpcPeeringConnections"),
        ("describe_vpn_gateways", "VpnGateways"),
        ("describe_vpn_connections", "VpnConnections"),
        ("describe_egress_only_internet_gateways", "EgressOnlyInternetGateways"),
        ("describe_transit_gateway_attachments", "TransitGatewayAttachments"),
        ("describe_carrier_gateways", "CarrierGateways"),
        ("describe_flow_logs", "FlowLogs"),
        ("describe_key_pairs", "KeyPairs"),
    ]:
        assert getattr(ec2, operation)()[result] == [], operation
    refused("InvalidNextToken", ec2.describe_vpcs, MaxResults=5, NextToken="nonsense")
    refused("InvalidParameterCombination", ec2.describe_vpcs, MaxResults=5, VpcIds=[vpc])


TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)
POLICIES = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEKSVPCResourceController",
    "AmazonEKSServicePolicy",
    "AmazonSSMManagedInstanceCore",
)


def filters():
    tagged = ec2.create_vpc(
        CidrBlock="10.77.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "a-filtered-one"}]}],
    )["Vpc"]["VpcId"]

    def found(*filters):
        asked = [{"Name": name, "Values": values} for name, *values in filters]
        return [vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=asked)["Vpcs"]]

    until("lists know it", lambda: tagged in found(("tag:Name", "a-filtered-one")))
    assert found(("tag:Name", "a-*", "b")) == [tagged]
    assert found(("tag:Name", "a-filtered-on?"), ("cidr", "10.77.0.0/16")) == [tagged]
    assert found(("tag:Name", "a-*"), ("cidr", "10.20.0.0/16")) == []
    assert found(("tag-key", "Name")) == [tagged] and found(("tag:name", "a-*")) == []
    refused("InvalidParameterValue", ec2.describe_vpcs, Filters=[{"Name": "nonsense", "Values": ["x"]}])
    ec2.delete_vpc(VpcId=tagged)


def rules():
    """Rules are changed in place, and keep their identifiers."""
    group = ec2.create_security_group(GroupName="rules", Description="d", VpcId=vpc)["GroupId"]
    asked = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    (made,) = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[asked])["SecurityGroupRules"]
    named = {"SecurityGroupRuleId": made["SecurityGroupRuleId"]}
    changed = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "ReferencedGroupId": group}
    ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{**named, "SecurityGroupRule": changed}]
    )
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group, SecurityGroupRuleDescriptions=[{**named, "Description": "inside"}]
    )
    (shown,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])[
        "SecurityGroupRules"
    ]
    assert shown["FromPort"] == 443 and shown["ReferencedGroupInfo"]["GroupId"] == group, shown
    assert shown["Description"] == "inside" and "CidrIpv4" not in shown, shown


def dry_runs():
    before = graph()
    for call, parameters in [
        (ec2.create_vpc, {"CidrBlock": "10.1.0.0/16"}),
        (ec2.delete_vpc, {"VpcId": vpc}),
        (ec2.describe_instances, {}),
    ]:
        refused("DryRunOperation", call, **parameters, DryRun=True)
    assert graph() == before


def retries():
    """Too many calls: each protocol has its words for it, and botocore knows them all."""
    for service, action, call in [
        ("ec2", "DescribeVpcs", ec2.describe_vpcs),
        ("sts", "GetCallerIdentity", sts.get_caller_identity),
        ("iam", "ListRoles", iam.list_roles),
        ("eks", "ListClusters", eks.list_clusters),
        ("kms", "ListKeys", kms.list_keys),
        ("ssm", "DescribeParameters", ssm.describe_parameters),
        ("logs", "DescribeLogGroups", logs.describe_log_groups),
    ]:
        for effect in ({"type": "throttle"}, {"type": "internal", "status": 500}):
            faults({"service": service, "action": action, "count": 1, "effect": effect})
            reply = call()["ResponseMetadata"]
            assert reply["RetryAttempts"] == 1, f"{service} {effect}: {reply}"
    # A create whose answer was lost is asked again under its token, and made once.
    faults({"action": "CreateLaunchTemplate", "count": 1, "effect": {"type": "reset", "when": "after"}})
    ec2.create_launch_template(LaunchTemplateName="lost", LaunchTemplateData={"InstanceType": "m6i.large"})
    faults()


def unknown():
    """What is not simulated says so, once, and changes nothing."""
    before = graph()
    for call, parameters in [
        (ec2.create_transit_gateway, {}),
        (ec2.create_vpc, {"CidrBlock": "10.1.0.0/16", "AmazonProvidedIpv6CidrBlock": True}),
        (iam.create_group, {"GroupName": "g"}),
        (eks.create_fargate_profile, {"fargateProfileName": "f", "clusterName": "demo", "podExecutionRoleArn": "arn:aws:iam::1:role/r"}),
        (kms.encrypt, {"KeyId": "k", "Plaintext": b"x"}),
        (boto3.client("sqs").list_queues, {}),
        (boto3.client("s3").list_buckets, {}),
        (boto3.client("rds").describe_db_instances, {}),
    ]:
        try:
            call(**parameters)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NotSimulated", error
            meta = error.response["ResponseMetadata"]
            assert meta["HTTPStatusCode"] == 501 and meta["RetryAttempts"] == 0, meta
            assert "not simulated" in str(error), error
        else:
            raise AssertionError(f"{call} was answered")
    assert graph() == before


def signatures():
    wrong = {"aws_secret_access_key": "wrong", "aws_access_key_id": boto3.Session().get_credentials().access_key}
    nobody = {"aws_secret_access_key": "wrong", "aws_access_key_id": "AKIANOBODY"}
    for service, call, badly_signed, unheard_of in [
        ("ec2", "describe_vpcs", "AuthFailure", "AuthFailure"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("iam", "list_roles", "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("eks", "list_clusters", "InvalidSignatureException", "UnrecognizedClientException"),
        ("kms", "list_keys", "InvalidSignatureException", "UnrecognizedClientException"),
    ]:
        refused(badly_signed, getattr(boto3.client(service, **wrong), call))
        refused(unheard_of, getattr(boto3.client(service, **nobody), call))

    def status(url):
        try:
            with urllib.request.urlopen(url) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    def presigned(minutes_ago, seconds):
        signed = datetime.now(timezone.utc) - timedelta(minutes=minutes_ago)
        with mock.patch("botocore.auth.get_current_datetime", return_value=signed):
            return sts.generate_presigned_url("get_caller_identity", ExpiresIn=seconds, HttpMethod="GET")

    # STS gives every presigned URL 15 minutes; tokens for clusters rely on it.
    assert status(presigned(0, 60)) == 200
    assert status(presigned(0, 60).replace("X-Amz-Expires=60", "X-Amz-Expires=600")) == 403
    assert status(presigned(14, 60)) == 200
    assert status(presigned(16, 3600)) == 403
    # Credentials of a session hold only with their token.
    session = sts.get_session_token()["Credentials"]
    keys = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"]}
    refused("InvalidClientTokenId", boto3.client("sts", **keys).get_caller_identity)
    keys["aws_session_token"] = session["SessionToken"]
    assert boto3.client("sts", **keys).get_caller_identity()["Account"] == "111122223333"


for part in (tokens, pages, filters, rules, dry_runs, retries, unknown, signatures):
    part()
