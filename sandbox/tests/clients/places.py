"""Accounts and regions are kept apart, quotas are reached, and lists know new things late."""

import os
import time

import boto3
from common import SCALE, cluster_role, code, network, refused, until

OTHER = {
    "aws_access_key_id": os.environ["OTHER_ACCESS_KEY_ID"],
    "aws_secret_access_key": os.environ["OTHER_SECRET_ACCESS_KEY"],
}
# As the test sets it: what lists know is ten minutes of AWS's time old.
LATE = 600 / SCALE
ec2 = boto3.client("ec2")


def apart():
    vpc, _, _, _ = network(ec2)
    for other in (boto3.client("ec2", region_name="eu-west-1"), boto3.client("ec2", **OTHER)):
        refused("InvalidVpcID.NotFound", other.describe_vpcs, VpcIds=[vpc])
        refused("InvalidVpcID.NotFound", other.delete_vpc, VpcId=vpc)
        assert other.describe_vpcs()["Vpcs"] == []
    zones = boto3.client("ec2", region_name="eu-west-1").describe_availability_zones()["AvailabilityZones"]
    assert {zone["RegionName"] for zone in zones} == {"eu-west-1"}, zones
    # What has a name can have the same one elsewhere.
    for elsewhere in ({"region_name": "eu-west-1"}, OTHER):
        for service, call, parameters in [
            ("logs", "create_log_group", {"logGroupName": "same"}),
            ("ssm", "put_parameter", {"Name": "/same", "Value": "v", "Type": "String"}),
        ]:
            assert code(getattr(boto3.client(service, **elsewhere), call), **parameters) is None
    # IAM belongs to the account, whatever the region.
    arn = cluster_role(boto3.client("iam"))
    assert boto3.client("iam", region_name="eu-west-1").get_role(RoleName="cluster")["Role"]["Arn"] == arn
    refused("NoSuchEntity", boto3.client("iam", **OTHER).get_role, RoleName="cluster")
    identity = boto3.client("sts", **OTHER).get_caller_identity()
    assert identity["Account"] == "444455556666" and ":444455556666:" in identity["Arn"], identity
    # A role of another account is not to be had, whether it is there or not.
    name = {"RoleArn": arn, "RoleSessionName": "me"}
    refused("AccessDenied", boto3.client("sts", **OTHER).assume_role, **name)
    assumed = boto3.client("sts").assume_role(**name)
    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::111122223333:assumed-role/cluster/me"


def quotas():
    client = boto3.client("service-quotas", region_name="us-east-1")
    ec2 = boto3.client("ec2", region_name="us-east-1")
    value = lambda service, name: int(
        client.get_service_quota(ServiceCode=service, QuotaCode=name)["Quota"]["Value"]
    )
    for _ in range(value("ec2", "L-0263D0A3")):
        ec2.allocate_address()
    refused("AddressLimitExceeded", ec2.allocate_address)
    for index in range(value("vpc", "L-F678F1CE")):
        ec2.create_vpc(CidrBlock=f"10.{index}.0.0/16")
    refused("VpcLimitExceeded", ec2.create_vpc, CidrBlock="10.99.0.0/16")
    for _ in range(value("vpc", "L-A4707A72")):
        ec2.create_internet_gateway()
    refused("InternetGatewayLimitExceeded", ec2.create_internet_gateway)


def late():
    """What was just made is not in lists yet, whatever tag they ask for; changes of tags neither."""
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "late", "Value": "one"}]}]
    began = time.monotonic()
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]

    def found(value):
        asked = ec2.describe_vpcs(Filters=[{"Name": "tag:late", "Values": [value]}])["Vpcs"]
        return [one["VpcId"] for one in asked]

    early = found("one")
    # Only when the machine was quick enough, it had to be early.
    assert early == [] or time.monotonic() - began > LATE, early
    until("lists know it", lambda: found("one") == [vpc])
    began = time.monotonic()
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "late", "Value": "two"}])
    early = found("two")
    assert early == [] or time.monotonic() - began > LATE, early
    until("lists know the change", lambda: found("two") == [vpc])
    assert found("one") == []


for part in (apart, quotas, late):
    part()
