"""An account as a client sees it. Arguments: phases."""

import sys

import boto3
from common import refused

ec2 = boto3.client("ec2")


def make():
    ec2.create_vpc(CidrBlock="10.0.0.0/16")


def denied():
    refused("UnauthorizedOperation", ec2.create_vpc, CidrBlock="10.1.0.0/16")
    make()


def empty():
    found = ec2.describe_vpcs()["Vpcs"]
    assert not found, found


for phase in sys.argv[1:]:
    globals()[phase]()
    print("done:", phase, flush=True)
