"""What the scripts share: clients, refusals, bounded waits, and the door to the sandbox's raw graph and fault plan."""

import json
import os
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import boto3
from botocore.exceptions import ClientError

SCALE = float(os.environ.get("PIPECTL_TEST_TIME_SCALE", "60"))
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


def code(call, /, **parameters):
    """The code with which a call is refused; None when it is not."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def refused(wanted, call, /, **parameters):
    found = code(call, **parameters)
    assert found == wanted, f"{parameters} of {call.__name__}: {found} instead of {wanted}"


def until(what, ask, attempts=600):
    """Asks until the answer is true, in a bounded number of attempts."""
    for _ in range(attempts):
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def wait(client, waiter_name, /, **parameters):
    """boto3's own waiter, its pauses shrunk like AWS's time; more attempts, since answers take as long as ever."""
    waiter = client.get_waiter(waiter_name)
    delay = max(waiter.config.delay / SCALE, 0.02)
    waiter.wait(**parameters, WaiterConfig={"Delay": delay, "MaxAttempts": 2400})


def at_once(number, call):
    """What `call(index)` gives in so many threads that begin together: results and codes of errors."""
    barrier = Barrier(number)

    def one(index):
        barrier.wait(30)
        try:
            return call(index), None
        except ClientError as error:
            return None, error.response["Error"]["Code"]

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def door(method, what, body=None):
    """The sandbox's own path beside the services."""
    key = {"x-sandbox-key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_sandbox/{what}", data, key, method=method)
    with urllib.request.urlopen(request) as reply:
        text = reply.read()
    return json.loads(text) if method == "GET" else None


def graph(region="us-west-2", account="111122223333"):
    """What there is in a region, by service."""
    return door("GET", "inspect").get("regions", {}).get(account, {}).get(region, {})


def faults(*rules):
    door("PUT", "faults", list(rules))


def network(ec2, zones=("us-west-2a", "us-west-2b"), cidr="10.20"):
    """A VPC with an internet gateway and a public subnet in each zone."""
    vpc = ec2.create_vpc(CidrBlock=f"{cidr}.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = until("a route table", lambda: ec2.describe_route_tables(Filters=of_vpc)["RouteTables"])
    table = tables[0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    subnets = []
    for index, zone in enumerate(zones):
        new = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{cidr}.{index}.0/24", AvailabilityZone=zone)
        subnets.append(new["Subnet"]["SubnetId"])
        # Not by boto3's waiter: that gives up on one that reads do not show yet.
        known = lambda: code(ec2.describe_subnets, SubnetIds=subnets[-1:]) is None
        until("the subnet is known", known)
        ec2.modify_subnet_attribute(SubnetId=subnets[-1], MapPublicIpOnLaunch={"Value": True})
    return vpc, gateway, table, subnets


def role(iam, name, service, policies=(), **more):
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return made["Role"]["Arn"]


def cluster_role(iam, name="cluster"):
    return role(iam, name, "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])


def node_role(iam, name="workers"):
    policies = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKS_CNI_Policy"]
    return role(iam, name, "ec2.amazonaws.com", policies)


def drop_role(iam, name):
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def cluster(eks, name, role, subnets, **more):
    """A cluster, asked for until its new role is known to EKS."""

    def create():
        try:
            return eks.create_cluster(
                name=name, roleArn=role, resourcesVpcConfig={"subnetIds": subnets}, **more
            )["cluster"]
        except eks.exceptions.InvalidParameterException:
            return None

    return until(f"the cluster {name} is accepted", create)
