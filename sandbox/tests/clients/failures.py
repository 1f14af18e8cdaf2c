"""Node groups of a cluster with a real control plane: how they fail, grow and shrink. Arguments: phases."""

import sys

import boto3
from common import cluster, cluster_role, faults, network, node_role, until, wait
from kubernetes_api import Kubernetes

ec2, iam, eks = (boto3.client(name) for name in ("ec2", "iam", "eks"))


def names(group="workers"):
    return {"clusterName": "demo", "nodegroupName": group}


def up():
    _, _, _, subnets = network(ec2)
    own, _ = cluster_role(iam), node_role(iam)
    access = {"authenticationMode": "API"}
    cluster(eks, "demo", own, subnets, accessConfig=access, bootstrapSelfManagedAddons=False)
    wait(eks, "cluster_active", name="demo")
    eks.create_addon(clusterName="demo", addonName="vpc-cni")


def create(group, size=2):
    found = eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]["subnetIds"]
    eks.create_nodegroup(
        **names(group),
        subnets=found,
        nodeRole=iam.get_role(RoleName="workers")["Role"]["Arn"],
        instanceTypes=["m6i.large"],
        scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": size},
    )


def describe(group):
    return eks.describe_nodegroup(**names(group))["nodegroup"]


def ready():
    found = Kubernetes("demo").items("/api/v1/nodes")
    good = lambda node: any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    return sum(good(node) for node in found)


def no_capacity():
    # The token that this needs takes longer to get than AWS's minutes last here.
    assert ready() == 0
    faults({"instance_type": "m6i.large", "effect": {"type": "capacity"}})
    create("short")
    (issue,) = until("an issue", lambda: describe("short")["health"]["issues"])
    assert issue["code"] == "AsgInstanceLaunchFailures", issue
    assert "InsufficientInstanceCapacity" in issue["message"], issue
    assert issue["message"].startswith("Could not launch On-Demand Instances."), issue
    assert describe("short")["status"] == "CREATING"
    # The Auto Scaling group goes on trying, and gets what it wants once there is some.
    faults()
    wait(eks, "nodegroup_active", **names("short"))
    assert not describe("short")["health"]["issues"]
    until("two nodes are ready", lambda: ready() == 2)
    eks.delete_nodegroup(**names("short"))
    wait(eks, "nodegroup_deleted", **names("short"))


def no_join():
    faults({"effect": {"type": "failToJoin"}})
    create("lost")
    until("it has failed", lambda: describe("lost")["status"] == "CREATE_FAILED")
    (issue,) = describe("lost")["health"]["issues"]
    assert issue["code"] == "NodeCreationFailure", issue
    assert issue["message"] == "Instances failed to join the kubernetes cluster", issue
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    reservations = ec2.describe_instances(Filters=running)["Reservations"]
    instances = {instance["InstanceId"] for one in reservations for instance in one["Instances"]}
    assert set(issue["resourceIds"]) == instances and len(instances) == 2, (issue, instances)
    assert not Kubernetes("demo").items("/api/v1/nodes")
    faults()
    eks.delete_nodegroup(**names("lost"))
    wait(eks, "nodegroup_deleted", **names("lost"))


def grow():
    create("workers", 2)
    wait(eks, "nodegroup_active", **names())
    nodes()


def nodes():
    until("two nodes are ready", lambda: ready() == 2)


def follow():
    """Labels and taints of a group reach the nodes that are there, and leave them; what others gave a node stays."""
    cluster = Kubernetes("demo")
    own = {"key": "mine", "value": "yes", "effect": "NoSchedule"}
    for node in cluster.items("/api/v1/nodes"):
        path = "/api/v1/nodes/" + node["metadata"]["name"]
        taints = [{"op": "add", "path": "/spec/taints", "value": node["spec"].get("taints", []) + [own]}]
        cluster.patch(path, "json", taints)
        cluster.patch(path, "merge", {"metadata": {"labels": {"mine": "yes"}}})

    def changed(labels, taints, kind, wanted):
        eks.update_nodegroup_config(**names(), labels=labels, taints=taints)
        until("active again", lambda: describe("workers")["status"] == "ACTIVE")

        def is_so(node):
            has = node["metadata"]["labels"]
            found = {(taint["key"], taint.get("value")) for taint in node["spec"].get("taints", [])}
            return has.get("kind") == kind and has["mine"] == "yes" and found == {("mine", "yes"), *wanted}

        until(f"{kind}, {wanted}", lambda: all(map(is_so, cluster.items("/api/v1/nodes"))))

    only = lambda value: {"key": "only", "value": value, "effect": "PREFER_NO_SCHEDULE"}
    add = {"addOrUpdateLabels": {"kind": "a"}}
    changed(add, {"addOrUpdateTaints": [only("kafka")]}, "a", {("only", "kafka")})
    add = {"addOrUpdateLabels": {"kind": "b"}}
    changed(add, {"addOrUpdateTaints": [only("spark")]}, "b", {("only", "spark")})
    changed({"removeLabels": ["kind"]}, {"removeTaints": [only("spark")]}, None, set())


def shrink():
    eks.update_nodegroup_config(**names(), scalingConfig={"desiredSize": 1})
    until("active again", lambda: describe("workers")["status"] == "ACTIVE")


def one_node():
    until("one node is ready", lambda: ready() == 1)


for phase in sys.argv[1:]:
    globals()[phase]()
    print("done:", phase, flush=True)
