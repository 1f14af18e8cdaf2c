"""The AWS CLI, unchanged, through what a user of this platform does with it by hand."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

AWS = shutil.which("aws", path=os.path.dirname(sys.executable))
SCALE = float(os.environ.get("PIPECTL_TEST_TIME_SCALE", "60"))


def aws(*words):
    done = subprocess.run([AWS, *words, "--output", "json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"aws {' '.join(words)}: {done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def refused(wanted, *words):
    done = subprocess.run([AWS, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and f"({wanted})" in done.stderr, f"aws {' '.join(words)}: {done.stderr}"


def until(what, ask):
    for _ in range(100):
        if ask():
            return
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


me = aws("sts", "get-caller-identity")
assert me["Account"] == "111122223333", me
tags = "ResourceType=vpc,Tags=[{Key=Name,Value=by-hand},{Key=env,Value=pr-1}]"
vpc = aws("ec2", "create-vpc", "--cidr-block", "10.40.0.0/16", "--tag-specifications", tags)["Vpc"]["VpcId"]
subnets = [
    aws("ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", f"10.40.{index}.0/24",
        "--availability-zone", zone, "--query", "Subnet.SubnetId")
    for index, zone in enumerate(("us-west-2a", "us-west-2b"))
]
named = lambda: aws("ec2", "describe-vpcs", "--filters", "Name=tag:Name,Values=by-*", "--query", "Vpcs[].VpcId")
until("the VPC is listed", lambda: named() == [vpc])
arns = aws("resourcegroupstaggingapi", "get-resources", "--tag-filters", "Key=env,Values=pr-1",
           "--query", "ResourceTagMappingList[].ResourceARN")
assert arns == [f"arn:aws:ec2:us-west-2:111122223333:vpc/{vpc}"], arns
refused("DependencyViolation", "ec2", "delete-vpc", "--vpc-id", vpc)
refused("DryRunOperation", "ec2", "create-vpc", "--cidr-block", "10.41.0.0/16", "--dry-run")
refused("NotSimulated", "rds", "describe-db-instances")

trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    json.dump(trust, file)
    file.flush()
    role = aws("iam", "create-role", "--role-name", "by-hand", "--assume-role-policy-document", f"file://{file.name}",
               "--query", "Role.Arn")
aws("iam", "attach-role-policy", "--role-name", "by-hand",
    "--policy-arn", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
time.sleep(10 / SCALE)
create = ["eks", "create-cluster", "--name", "by-hand", "--role-arn", role,
          "--resources-vpc-config", f"subnetIds={','.join(subnets)}"]
status = aws(*create, "--query", "cluster.status")
assert status == "CREATING", status
refused("ResourceInUseException", *create)
asked = ["eks", "describe-cluster", "--name", "by-hand"]
until("the cluster is active", lambda: aws(*asked, "--query", "cluster.status") == "ACTIVE")
aws("eks", "wait", "cluster-active", "--name", "by-hand")
token = aws("eks", "get-token", "--cluster-name", "by-hand")
assert token["kind"] == "ExecCredential" and token["status"]["token"].startswith("k8s-aws-v1."), token
assert aws("eks", "list-clusters", "--max-items", "1")["clusters"] == ["by-hand"]
versions = aws("eks", "describe-addon-versions", "--addon-name", "aws-ebs-csi-driver", "--kubernetes-version", "1.33",
               "--query", "addons[].addonVersions[].addonVersion")
assert versions, versions
aws("eks", "delete-cluster", "--name", "by-hand")
until("the cluster is gone", lambda: aws("eks", "list-clusters")["clusters"] == [])
refused("ResourceNotFoundException", *asked)

aws("ssm", "put-parameter", "--name", "/by/hand", "--value", "v", "--type", "String")
refused("ParameterAlreadyExists", "ssm", "put-parameter", "--name", "/by/hand", "--value", "w", "--type", "String")
assert aws("ssm", "get-parameter", "--name", "/by/hand", "--query", "Parameter.Value") == "v"
aws("ssm", "delete-parameter", "--name", "/by/hand")
assert aws("ec2", "describe-vpc-peering-connections")["VpcPeeringConnections"] == []
assert aws("elbv2", "describe-load-balancers")["LoadBalancers"] == []
assert aws("elb", "describe-load-balancers")["LoadBalancerDescriptions"] == []
quota = aws("service-quotas", "get-service-quota", "--service-code", "ec2", "--quota-code", "L-0263D0A3")
assert quota["Quota"]["Value"] == 5.0, quota

for subnet in subnets:
    until("the subnet goes", lambda: subprocess.run(
        [AWS, "ec2", "delete-subnet", "--subnet-id", subnet], capture_output=True, timeout=60).returncode == 0)
aws("ec2", "delete-vpc", "--vpc-id", vpc)
aws("iam", "detach-role-policy", "--role-name", "by-hand",
    "--policy-arn", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
aws("iam", "delete-role", "--role-name", "by-hand")
