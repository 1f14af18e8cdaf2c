//! What a fresh EKS cluster has: nodes and a storage class.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::error::SandboxError;

/// Label by which the sandbox knows the nodes that it made itself.
const NODE_GROUP: &str = "eks.amazonaws.com/nodegroup";
/// Name of the node group that they pretend to be of.
const DEFAULT_GROUP: &str = "sandbox";

/// As many pod ranges (/24) as fit beside the nodes' own in the three zones' subnets (/19).
const MOST_NODES: u16 = 93;

/// Size of an instance type, and what is left of it for pods.
///
/// CPU: EKS reserves 60m + 10m for 2 cores, then 5m a core up to 4 and 2.5m beyond. Memory: 255 MiB + 11 MiB a pod, and
/// 100 MiB before eviction; the system itself takes the rest of the nominal size. Pods: the limits by network interface
/// (amazon-eks-ami: `files/bootstrap.sh`, `eni-max-pods.txt`).
struct InstanceType {
    name: &'static str,
    cores: u32,
    allocatable_millicores: u32,
    memory_mib: u32,
    pods: u32,
}

const INSTANCE_TYPES: [InstanceType; 4] = [
    InstanceType {
        name: "m6i.large",
        cores: 2,
        allocatable_millicores: 1930,
        memory_mib: 7_783,
        pods: 29,
    },
    InstanceType {
        name: "m6i.xlarge",
        cores: 4,
        allocatable_millicores: 3920,
        memory_mib: 15_695,
        pods: 58,
    },
    InstanceType {
        name: "m6i.2xlarge",
        cores: 8,
        allocatable_millicores: 7910,
        memory_mib: 31_518,
        pods: 58,
    },
    InstanceType {
        name: "m6i.4xlarge",
        cores: 16,
        allocatable_millicores: 15_890,
        memory_mib: 63_163,
        pods: 234,
    },
];

/// Instance types that nodes of a sandbox can have.
#[must_use]
pub fn instance_types() -> Vec<&'static str> {
    INSTANCE_TYPES
        .iter()
        .map(|instance_type| instance_type.name)
        .collect()
}

fn instance_type(name: &str) -> Result<&'static InstanceType, SandboxError> {
    INSTANCE_TYPES
        .iter()
        .find(|instance_type| instance_type.name == name)
        .ok_or_else(|| SandboxError::InvalidSetting {
            setting: "instance type",
            reason: format!(
                "{name} is not known here; known are {}",
                instance_types().join(", ")
            ),
        })
}

/// Refuses what [`ensure`] could not make.
pub(crate) fn check(count: u16, type_name: &str) -> Result<(), SandboxError> {
    instance_type(type_name)?;
    if count > MOST_NODES {
        let reason = format!("{count} is too many; a sandbox takes up to {MOST_NODES}");
        return Err(SandboxError::InvalidSetting {
            setting: "nodes",
            reason,
        });
    }
    Ok(())
}

/// One node as a managed node group would bring it: name, labels, provider ID, addresses and sizes.
fn node(index: u16, size: &InstanceType) -> (String, Value, Value) {
    let zone_index = index % 3;
    let zone = ["us-west-2a", "us-west-2b", "us-west-2c"][usize::from(zone_index)];
    // One private /19 a zone; the first address that EC2 gives out in a subnet is the fifth (AWS: subnet sizing).
    let address = format!("10.0.{}.{}", zone_index * 32, 4 + index / 3);
    let name = format!(
        "ip-{}.us-west-2.compute.internal",
        address.replace('.', "-")
    );
    let allocatable_mib = size.memory_mib - 255 - 11 * size.pods - 100;
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": { "kwok.x-k8s.io/node": "fake" },
            "labels": {
                NODE_GROUP: DEFAULT_GROUP,
                "eks.amazonaws.com/capacityType": "ON_DEMAND",
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "node.kubernetes.io/instance-type": size.name,
                "topology.kubernetes.io/region": "us-west-2",
                "topology.kubernetes.io/zone": zone,
                "topology.k8s.aws/zone-id": format!("usw2-az{}", zone_index + 1),
            },
        },
        "spec": {
            "providerID": format!("aws:///{zone}/i-{:017x}", 0x5a0d_b0c5_0000_u64 + u64::from(index)),
            // KWOK takes pod addresses from here; on EKS they come from the zone's subnet as well.
            "podCIDR": format!("10.0.{}.0/24", zone_index * 32 + 1 + index / 3 % 31),
        },
    });
    let resources = |cpu: String, memory_mib: u32, disk: &str| {
        json!({ "cpu": cpu, "memory": format!("{memory_mib}Mi"), "ephemeral-storage": disk, "pods": size.pods.to_string(),
                "hugepages-1Gi": "0", "hugepages-2Mi": "0" })
    };
    let status = json!({
        "status": {
            // A 20 GiB root volume, as managed node groups have by default, less the file system's own and the kubelet's share.
            "capacity": resources(size.cores.to_string(), size.memory_mib, "20959212Ki"),
            "allocatable": resources(format!("{}m", size.allocatable_millicores), allocatable_mib, "18242267924"),
            "addresses": [
                { "type": "InternalIP", "address": address },
                { "type": "InternalDNS", "address": name },
                { "type": "Hostname", "address": name },
            ],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "machineID": "", "systemUUID": "", "operatingSystem": "linux",
                "osImage": "simulated by KWOK", "kernelVersion": "simulated", "kubeProxyVersion": "",
                "containerRuntimeVersion": "kwok://0.8.0", "kubeletVersion": "v1.35.4",
            },
        },
    });
    (name, object, status)
}

/// Forget who simulated the nodes' kubelets when the sandbox last ran. KWOK gives itself a new identity at each start
/// (its `controllers.Identity`) and waits for its predecessor's leases to run out, 40 s in which no pod would start.
pub(crate) async fn release(client: &kube::Client) -> Result<(), SandboxError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    leases
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .map_err(SandboxError::cluster("delete node leases"))?;
    Ok(())
}

/// Make the default nodes and the default storage class; take away default nodes that are too many.
pub(crate) async fn ensure(
    client: &kube::Client,
    count: u16,
    type_name: &str,
) -> Result<(), SandboxError> {
    let size = instance_type(type_name)?;
    let nodes: Api<Node> = Api::all(client.clone());
    let apply = PatchParams::apply("pipectl-sandbox").force();
    let made = futures::future::try_join_all((0..count).map(|index| {
        let (nodes, apply) = (nodes.clone(), apply.clone());
        let (name, object, status) = node(index, size);
        async move {
            nodes.patch(&name, &apply, &Patch::Apply(&object)).await?;
            nodes
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
                .await?;
            Ok(name)
        }
    }));
    let wanted = made.await.map_err(SandboxError::cluster("create nodes"))?;
    let group = ListParams::default().labels(&format!("{NODE_GROUP}={DEFAULT_GROUP}"));
    for node in nodes
        .list(&group)
        .await
        .map_err(SandboxError::cluster("list nodes"))?
    {
        if let Some(name) = node.metadata.name.filter(|name| !wanted.contains(name)) {
            nodes
                .delete(&name, &DeleteParams::default())
                .await
                .map_err(SandboxError::cluster("delete nodes"))?;
        }
    }
    storage_class(client).await
}

/// The storage class that the EBS CSI driver's documentation has users create, as default.
async fn storage_class(client: &kube::Client) -> Result<(), SandboxError> {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "gp3",
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "ebs.csi.aws.com",
        "parameters": { "type": "gp3" },
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
        "reclaimPolicy": "Delete",
    });
    let classes: Api<k8s_openapi::api::storage::v1::StorageClass> = Api::all(client.clone());
    let apply = PatchParams::apply("pipectl-sandbox").force();
    classes
        .patch("gp3", &apply, &Patch::Apply(&class))
        .await
        .map_err(SandboxError::cluster("create gp3"))?;
    Ok(())
}

/// Whether every node is ready and pods can be made: each needs the namespace's default service account.
pub(crate) async fn usable(client: &kube::Client, count: u16) -> Result<bool, kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let (nodes, account) = tokio::try_join!(
        async {
            Api::<Node>::all(client.clone())
                .list(&ListParams::default())
                .await
        },
        accounts.get_opt("default"),
    )?;
    let ready = nodes.iter().filter(|node| is_ready(node)).count();
    Ok(account.is_some() && ready >= usize::from(count))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| {
        all.iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_node_has_a_name_address_and_pod_range_of_its_own() {
        let nodes: Vec<_> = (0..MOST_NODES)
            .map(|index| node(index, &INSTANCE_TYPES[0]))
            .collect();
        let distinct = |get: &dyn Fn(&(String, Value, Value)) -> String| {
            nodes.iter().map(get).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(
            distinct(&|(name, _, _)| name.clone()),
            usize::from(MOST_NODES)
        );
        assert_eq!(
            distinct(&|(_, object, _)| object["spec"]["providerID"].to_string()),
            usize::from(MOST_NODES)
        );
        assert_eq!(
            distinct(&|(_, object, _)| object["spec"]["podCIDR"].to_string()),
            usize::from(MOST_NODES)
        );
    }

    #[test]
    fn the_first_three_nodes_are_in_three_zones() {
        let zones: Vec<_> = (0..3)
            .map(|index| node(index, &INSTANCE_TYPES[0]).1["metadata"]["labels"]["topology.kubernetes.io/zone"].clone())
            .collect();
        assert_eq!(zones, ["us-west-2a", "us-west-2b", "us-west-2c"]);
    }

    #[test]
    fn unknown_sizes_are_refused() {
        assert!(matches!(
            check(3, "t2.nano"),
            Err(SandboxError::InvalidSetting { .. })
        ));
        assert!(check(MOST_NODES + 1, "m6i.large").is_err());
        assert!(check(0, "m6i.4xlarge").is_ok());
    }
}
