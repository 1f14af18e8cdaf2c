"""What is inside a cluster and owns something outside: services with load balancers, claims with volumes. Arguments: phases."""

import json
import sys

import boto3
from common import cluster, cluster_role, network, node_role, refused, until, wait
from kubernetes_api import Kubernetes

ec2, iam, eks, elb, elbv2 = (boto3.client(name) for name in ("ec2", "iam", "eks", "elb", "elbv2"))
NAMES = {"clusterName": "demo", "nodegroupName": "workers"}
SERVICES = "/api/v1/namespaces/default/services"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
PODS = "/api/v1/namespaces/default/pods"


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}


def claimed():
    owned = [{"Name": "tag:kubernetes.io/cluster/demo", "Values": ["owned"]}]
    return [v for v in ec2.describe_volumes(Filters=owned)["Volumes"] if "CSIVolumeName" in tags(v)]


def interfaces():
    made = [{"Name": "requester-id", "Values": ["amazon-elb"]}]
    return ec2.describe_network_interfaces(Filters=made)["NetworkInterfaces"]


def of_cluster():
    return eks.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]


def groups(prefix):
    all = ec2.describe_security_groups()["SecurityGroups"]
    return [group for group in all if group["GroupName"].startswith(prefix)]


def up():
    _, _, _, subnets = network(ec2)
    own, nodes = cluster_role(iam), node_role(iam)
    access = {"authenticationMode": "API"}
    cluster(eks, "demo", own, subnets, accessConfig=access, bootstrapSelfManagedAddons=False)
    wait(eks, "cluster_active", name="demo")
    eks.create_addon(clusterName="demo", addonName="vpc-cni")
    eks.create_nodegroup(
        **NAMES,
        subnets=subnets,
        nodeRole=nodes,
        instanceTypes=["m6i.large"],
        scalingConfig={"minSize": 1, "maxSize": 4, "desiredSize": 2},
    )
    wait(eks, "nodegroup_active", **NAMES)
    extra = json.dumps({"controller": {"extraVolumeTags": {"env": "demo"}}})
    eks.create_addon(clusterName="demo", addonName="aws-ebs-csi-driver", configurationValues=extra)
    wait(eks, "addon_active", clusterName="demo", addonName="aws-ebs-csi-driver")


def serve(kubernetes, name, **annotations):
    """A service of type LoadBalancer; its name in DNS once it has one."""
    prefix = "service.beta.kubernetes.io/aws-load-balancer-"
    annotations = {prefix + key.replace("_", "-"): value for key, value in annotations.items()}
    kubernetes.make(
        SERVICES,
        {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 9094}], "selector": {"app": name}},
        },
    )

    def host():
        balancer = kubernetes.get(f"{SERVICES}/{name}")["status"]["loadBalancer"]
        return balancer.get("ingress", [{}])[0].get("hostname")

    return until(f"{name} has a name in DNS", host)


def balancers():
    kubernetes = Kubernetes("demo")
    host = serve(kubernetes, "classic")
    service = kubernetes.get(f"{SERVICES}/classic")["metadata"]
    assert service["finalizers"] == ["service.kubernetes.io/load-balancer-cleanup"], service
    (made,) = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    name = made["LoadBalancerName"]
    assert made["DNSName"] == host and name == ("a" + service["uid"].replace("-", ""))[:32], made
    assert made["VPCId"] == of_cluster()["vpcId"] and len(made["Instances"]) == 2, made
    port = int(made["ListenerDescriptions"][0]["Listener"]["InstancePort"])
    assert port == kubernetes.get(f"{SERVICES}/classic")["spec"]["ports"][0]["nodePort"]
    (described,) = elb.describe_tags(LoadBalancerNames=[name])["TagDescriptions"]
    expected = {"kubernetes.io/cluster/demo": "owned", "kubernetes.io/service-name": "default/classic"}
    assert tags(described) == expected, described
    (group,) = groups("k8s-elb-")
    assert group["GroupName"] == "k8s-elb-" + name, group
    nodes = ec2.describe_security_groups(GroupIds=[of_cluster()["clusterSecurityGroupId"]])["SecurityGroups"][0]
    peers = [pair["GroupId"] for rule in nodes["IpPermissions"] for pair in rule["UserIdGroupPairs"]]
    assert group["GroupId"] in peers, nodes
    assert len(interfaces()) == 2 and all(i["RequesterManaged"] for i in interfaces())
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group["GroupId"])
    # The service stays until its load balancer's group could be deleted, and that until the interfaces have gone.
    kubernetes.delete(f"{SERVICES}/classic")
    until("no classic load balancer", lambda: not elb.describe_load_balancers()["LoadBalancerDescriptions"])
    until("no service", lambda: kubernetes.get(f"{SERVICES}/classic") is None)
    assert not groups("k8s-elb-") and not interfaces(), (groups("k8s-elb-"), interfaces())

    host = serve(kubernetes, "network", type="nlb", additional_resource_tags="team=data")
    (made,) = elbv2.describe_load_balancers()["LoadBalancers"]
    assert made["DNSName"] == host and made["Type"] == "network", made
    (described,) = elbv2.describe_tags(ResourceArns=[made["LoadBalancerArn"]])["TagDescriptions"]
    assert tags(described)["team"] == "data", described
    assert len(elbv2.describe_target_groups()["TargetGroups"]) == 1
    kubernetes.delete(f"{SERVICES}/network")
    until("no service", lambda: kubernetes.get(f"{SERVICES}/network") is None)
    assert not elbv2.describe_load_balancers()["LoadBalancers"]
    assert not elbv2.describe_target_groups()["TargetGroups"]
    # A network load balancer has no group to wait for: its interfaces are seen for a while.
    until("no interface", lambda: not interfaces())


def keep(kubernetes, name, size="5Gi"):
    """A claim, and a pod that uses it; the volume once it is attached."""
    kubernetes.make(
        CLAIMS,
        {
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "data",
                "resources": {"requests": {"storage": size}},
            },
        },
    )
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": name}}
    containers = [{"name": "c", "image": "busybox"}]
    kubernetes.make(PODS, {"metadata": {"name": name}, "spec": {"containers": containers, "volumes": [volume]}})

    def attached():
        return [v for v in claimed() if v["Attachments"] and v["Attachments"][0]["State"] == "attached"]

    (made,) = until(f"{name} has a volume", attached)
    return made


def volumes():
    kubernetes = Kubernetes("demo")
    kubernetes.make(
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "metadata": {"name": "data"},
            "provisioner": "ebs.csi.aws.com",
            "parameters": {"type": "gp3", "iops": "4000", "encrypted": "true", "tagSpecification_1": "team=data"},
            "allowVolumeExpansion": True,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    made = keep(kubernetes, "first")
    node = kubernetes.get(f"{PODS}/first")["spec"]["nodeName"]
    provider = kubernetes.get(f"/api/v1/nodes/{node}")["spec"]["providerID"]
    assert made["Attachments"][0]["InstanceId"] == provider.rsplit("/", 1)[1], made
    assert (made["Iops"], made["Encrypted"], made["VolumeType"]) == (4000, True, "gp3"), made
    name = kubernetes.get(f"{CLAIMS}/first")["spec"]["volumeName"]
    expected = {
        "CSIVolumeName": name,
        "KubernetesCluster": "demo",
        "Name": "demo-dynamic-" + name,
        "ebs.csi.aws.com/cluster": "true",
        "env": "demo",
        "kubernetes.io/cluster/demo": "owned",
        "kubernetes.io/created-for/pv/name": name,
        "kubernetes.io/created-for/pvc/name": "first",
        "kubernetes.io/created-for/pvc/namespace": "default",
        "team": "data",
    }
    assert tags(made) == expected, made
    refused("VolumeInUse", ec2.delete_volume, VolumeId=made["VolumeId"])
    kubernetes.delete(f"{PODS}/first")
    until("it is detached", lambda: claimed()[0]["State"] == "available")
    kubernetes.delete(f"{CLAIMS}/first")
    until("the volume goes with its claim", lambda: not claimed())


def leave():
    """The cluster goes first: what its inside made outside stays, and is somebody's to clean up."""
    kubernetes = Kubernetes("demo")
    serve(kubernetes, "left")
    kept = keep(kubernetes, "left")["VolumeId"]
    network = of_cluster()
    eks.delete_nodegroup(**NAMES)
    wait(eks, "nodegroup_deleted", **NAMES)
    eks.delete_cluster(name="demo")
    wait(eks, "cluster_deleted", name="demo")
    (left,) = claimed()
    assert left["VolumeId"] == kept and left["State"] == "available", left
    (balancer,) = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    (group,) = groups("k8s-elb-")
    assert len(interfaces()) == 2
    for subnet in network["subnetIds"]:
        refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
    # In the order in which it can be done.
    elb.delete_load_balancer(LoadBalancerName=balancer["LoadBalancerName"])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group["GroupId"])
    until("no interface", lambda: not interfaces())
    ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_volume(VolumeId=kept)
    for subnet in network["subnetIds"]:
        ec2.delete_subnet(SubnetId=subnet)


for phase in sys.argv[1:]:
    {"up": up, "balancers": balancers, "volumes": volumes, "leave": leave}[phase]()
    print("done:", phase, flush=True)
