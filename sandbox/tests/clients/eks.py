"""A sandbox's EKS with real control planes: made with boto3, entered over HTTPS with tokens of the AWS CLI. Arguments: phases."""

import json
import sys

import boto3
from common import cluster, cluster_role, drop_role, network, node_role, refused, until, wait
from kubernetes_api import Kubernetes, token

ec2, iam, eks, logs = (boto3.client(name) for name in ("ec2", "iam", "eks", "logs"))
NAMES = {"clusterName": "demo", "nodegroupName": "workers"}


def up():
    _, _, _, subnets = network(ec2)
    own, nodes = cluster_role(iam), node_role(iam)
    cluster(
        eks,
        "demo",
        own,
        subnets,
        accessConfig={"authenticationMode": "API"},
        bootstrapSelfManagedAddons=False,
        logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
    )
    wait(eks, "cluster_active", name="demo")
    eks.create_addon(clusterName="demo", addonName="vpc-cni")
    eks.create_nodegroup(
        **NAMES,
        subnets=subnets,
        nodeRole=nodes,
        instanceTypes=["m6i.large"],
        scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": 2},
        labels={"team": "x"},
        taints=[{"key": "only", "value": "x", "effect": "PREFER_NO_SCHEDULE"}],
    )
    wait(eks, "nodegroup_active", **NAMES)
    # Before there are nodes these are soon called degraded.
    tags = json.dumps({"controller": {"extraVolumeTags": {"env": "demo"}}})
    eks.create_addon(clusterName="demo", addonName="coredns")
    eks.create_addon(clusterName="demo", addonName="aws-ebs-csi-driver", configurationValues=tags)
    for addon in ("coredns", "aws-ebs-csi-driver"):
        wait(eks, "addon_active", clusterName="demo", addonName=addon)


def entered():
    kubernetes = Kubernetes("demo")
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
    # The API server remembers a token for a while, as EKS does: what has changed shows with a fresh one.
    status = lambda: kubernetes.call("/api/v1/nodes", token("demo", fresh=True))[0]
    eks.delete_access_entry(clusterName="demo", principalArn=me)
    until("without an entry", lambda: status() == 401)
    eks.create_access_entry(clusterName="demo", principalArn=me)
    until("known, without rights", lambda: status() == 403)
    eks.associate_access_policy(
        clusterName="demo",
        principalArn=me,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        accessScope={"type": "cluster"},
    )
    until("with rights", lambda: status() == 200)


def volumes():
    kubernetes = Kubernetes("demo")
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
    kubernetes = Kubernetes("demo")
    update = eks.update_nodegroup_config(**NAMES, scalingConfig={"desiredSize": 1})["update"]
    asked = {"name": "demo", "nodegroupName": "workers", "updateId": update["id"]}
    until("scaled", lambda: eks.describe_update(**asked)["update"]["status"] == "Successful")
    until("one node", lambda: len(kubernetes.items("/api/v1/nodes")) == 1)
    refused("ResourceInUseException", eks.delete_cluster, name="demo")
    eks.delete_nodegroup(**NAMES)
    wait(eks, "nodegroup_deleted", **NAMES)
    until("no node", lambda: not kubernetes.items("/api/v1/nodes"))
    subnets = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["subnetIds"]
    vpc = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["vpcId"]
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnets[0])
    eks.delete_cluster(name="demo")
    wait(eks, "cluster_deleted", name="demo")

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
        drop_role(iam, name)


for phase in sys.argv[1:]:
    {"up": up, "entered": entered, "volumes": volumes, "down": down}[phase]()
    print("done:", phase, flush=True)
