"""Drives a sandbox's EKS with boto3 and plain HTTPS; every expectation is an assertion. The first argument is the phase."""

import base64
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.signers import RequestSigner

ec2, iam, eks, logs = (boto3.client(name) for name in ("ec2", "iam", "eks", "logs"))
NAMES = {"clusterName": "demo", "nodegroupName": "workers"}


def until(what, ask, attempts=400):
    """Asks until the answer is true, in a bounded number of attempts."""
    for _ in range(attempts):
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except Exception as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{call} was not refused with {code}")


def token(cluster):
    """As `aws eks get-token` makes it."""
    session = boto3.session.Session()
    service = session.client("sts").meta.service_model.service_id
    signer = RequestSigner(
        service, session.region_name, "sts", "v4", session.get_credentials(), session.events
    )
    request = {
        "method": "GET",
        "url": os.environ["AWS_ENDPOINT_URL"] + "/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(
        request, region_name=session.region_name, expires_in=60, operation_name=""
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


class Kubernetes:
    """The cluster's API, as far as this test needs it."""

    def __init__(self):
        cluster = eks.describe_cluster(name="demo")["cluster"]
        self.server = cluster["endpoint"]
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)

    def call(self, path, bearer, method="GET", body=None):
        headers = {"Authorization": "Bearer " + bearer, "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def items(self, path):
        status, reply = self.call(path, token("demo"))
        assert status == 200, reply
        return reply["items"]

    def make(self, path, body):
        status, reply = self.call(path, token("demo"), "POST", body)
        assert status == 201, reply


def network():
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    tables = until("a route table", lambda: ec2.describe_route_tables(Filters=of_vpc)["RouteTables"])
    table = tables[0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    subnets = []
    for index, zone in enumerate(("us-west-2a", "us-west-2b")):
        new = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.20.{index}.0/24", AvailabilityZone=zone
        )
        subnets.append(new["Subnet"]["SubnetId"])
        ec2.get_waiter("subnet_available").wait(SubnetIds=subnets[-1:])
        ec2.modify_subnet_attribute(SubnetId=subnets[-1], MapPublicIpOnLaunch={"Value": True})
    return vpc, gateway, subnets


def role(name, service, policies):
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return arn


def up():
    _, _, subnets = network()
    own = role("cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
    workers = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly"]
    nodes = role("workers", "ec2.amazonaws.com", workers)

    def create():
        try:
            return eks.create_cluster(
                name="demo",
                roleArn=own,
                resourcesVpcConfig={"subnetIds": subnets},
                accessConfig={"authenticationMode": "API"},
                bootstrapSelfManagedAddons=False,
                logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
            )
        except eks.exceptions.InvalidParameterException:
            return None  # The role is not known to EKS yet.

    until("the cluster is accepted", create)
    eks.get_waiter("cluster_active").wait(name="demo", WaiterConfig={"Delay": 1})
    for addon in ("vpc-cni", "coredns"):
        eks.create_addon(clusterName="demo", addonName=addon)
    tags = json.dumps({"controller": {"extraVolumeTags": {"env": "demo"}}})
    eks.create_addon(clusterName="demo", addonName="aws-ebs-csi-driver", configurationValues=tags)
    eks.create_nodegroup(
        **NAMES,
        subnets=subnets,
        nodeRole=nodes,
        instanceTypes=["m6i.large"],
        scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": 2},
        labels={"team": "x"},
        taints=[{"key": "only", "value": "x", "effect": "PREFER_NO_SCHEDULE"}],
    )
    eks.get_waiter("nodegroup_active").wait(**NAMES, WaiterConfig={"Delay": 1})
    for addon in ("coredns", "aws-ebs-csi-driver"):
        named = {"clusterName": "demo", "addonName": addon}
        eks.get_waiter("addon_active").wait(**named, WaiterConfig={"Delay": 1})


def entered():
    kubernetes = Kubernetes()
    nodes = until("two nodes", lambda: len(found := kubernetes.items("/api/v1/nodes")) == 2 and found)
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"us-west-2a", "us-west-2b"}, zones
    instances = {i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]}
    for node in nodes:
        assert node["metadata"]["labels"]["team"] == "x", node
        assert node["spec"]["providerID"].rsplit("/", 1)[1] in instances, node
        assert any(taint["key"] == "only" for taint in node["spec"]["taints"]), node
    # Neither another cluster's token nor nonsense lets anybody in, nor one without an entry.
    assert kubernetes.call("/api/v1/nodes", token("other"))[0] == 401
    assert kubernetes.call("/api/v1/nodes", "k8s-aws-v1.nonsense")[0] == 401
    me = boto3.client("sts").get_caller_identity()["Arn"]
    eks.delete_access_entry(clusterName="demo", principalArn=me)
    until("without an entry", lambda: kubernetes.call("/api/v1/nodes", token("demo"))[0] == 401)
    eks.create_access_entry(clusterName="demo", principalArn=me)
    until("known, without rights", lambda: kubernetes.call("/api/v1/nodes", token("demo"))[0] == 403)
    eks.associate_access_policy(
        clusterName="demo",
        principalArn=me,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        accessScope={"type": "cluster"},
    )
    until("with rights", lambda: kubernetes.call("/api/v1/nodes", token("demo"))[0] == 200)


def volumes():
    kubernetes = Kubernetes()
    owned = [{"Name": "tag:kubernetes.io/cluster/demo", "Values": ["owned"]}]

    def claimed():
        found = ec2.describe_volumes(Filters=owned)["Volumes"]
        return [v for v in found if any(t["Key"] == "CSIVolumeName" for t in v["Tags"])]

    kubernetes.make(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": "gp3"},
            "provisioner": "ebs.csi.aws.com",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gp3",
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }
    kubernetes.make("/api/v1/namespaces/default/persistentvolumeclaims", claim)
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    pod = {
        "metadata": {"name": "pod"},
        "spec": {"containers": [{"name": "c", "image": "busybox"}], "volumes": [volume]},
    }
    kubernetes.make("/api/v1/namespaces/default/pods", pod)
    path = "/api/v1/namespaces/default/pods/pod"
    phase = lambda: kubernetes.call(path, token("demo"))[1]["status"].get("phase")
    until("the pod runs", lambda: phase() == "Running")
    (made,) = until("a volume", claimed)
    tags = {tag["Key"]: tag["Value"] for tag in made["Tags"]}
    assert made["Size"] == 5 and tags["env"] == "demo", made
    assert tags["kubernetes.io/created-for/pvc/name"] == "data", tags
    kubernetes.call(path, token("demo"), "DELETE")
    kubernetes.call("/api/v1/namespaces/default/persistentvolumeclaims/data", token("demo"), "DELETE")
    until("the volume is gone", lambda: not claimed())


def down():
    kubernetes = Kubernetes()
    update = eks.update_nodegroup_config(**NAMES, scalingConfig={"desiredSize": 1})["update"]
    asked = {"name": "demo", "nodegroupName": "workers", "updateId": update["id"]}
    until("scaled", lambda: eks.describe_update(**asked)["update"]["status"] == "Successful")
    until("one node", lambda: len(kubernetes.items("/api/v1/nodes")) == 1)
    refused("ResourceInUseException", eks.delete_cluster, name="demo")
    eks.delete_nodegroup(**NAMES)
    eks.get_waiter("nodegroup_deleted").wait(**NAMES, WaiterConfig={"Delay": 1})
    until("no node", lambda: not kubernetes.items("/api/v1/nodes"))
    subnets = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["subnetIds"]
    vpc = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["vpcId"]
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnets[0])
    eks.delete_cluster(name="demo")
    eks.get_waiter("cluster_deleted").wait(name="demo", WaiterConfig={"Delay": 1})

    def unreachable():
        try:
            kubernetes.call("/version", "none")
        except OSError:
            return True
        return False

    until("the control plane ended", unreachable)
    logs.delete_log_group(logGroupName="/aws/eks/demo/cluster")
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
        ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_vpc(VpcId=vpc)
    for name in ("cluster", "workers"):
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)


for phase in sys.argv[1:]:
    {"up": up, "entered": entered, "volumes": volumes, "down": down}[phase]()
    print("done:", phase, flush=True)
