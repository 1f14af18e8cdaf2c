//! The nodes of an EKS cluster: those of its node groups' instances, and no others.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::aws::{ClusterView, NodeView};
use crate::error::SandboxError;

/// By this label nodes of node groups are known.
const GROUP: &str = "eks.amazonaws.com/nodegroup";

/// CPU that is left for pods: EKS reserves 60m for the first core, 10m for the second, 5m for each of the next two and 2.5m for
/// each beyond (amazon-eks-ami: `bootstrap.sh`).
fn allocatable_millicores(cores: u32) -> u32 {
    let reserved = match cores {
        0 => 0,
        1 => 600,
        2 => 700,
        3 => 750,
        more => 800 + (more - 4) * 25,
    };
    cores * 1000 - reserved / 10
}

/// One node as a managed node group brings it.
fn node(view: &NodeView, region: &str) -> (Value, Value) {
    // The kernel and the firmware take about a twentieth of the nominal size.
    let memory = view.memory_mib * 95 / 100;
    let reserved = 255 + 11 * u64::from(view.pods) + 100;
    let mut labels = json!({
        GROUP: view.group,
        "eks.amazonaws.com/capacityType": if view.spot { "SPOT" } else { "ON_DEMAND" },
        "beta.kubernetes.io/arch": view.architecture,
        "beta.kubernetes.io/instance-type": view.instance_type,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": view.architecture,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": view.name,
        "node.kubernetes.io/instance-type": view.instance_type,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": view.zone,
        "topology.k8s.aws/zone-id": view.zone_id,
        "topology.ebs.csi.aws.com/zone": view.zone,
    });
    for (key, value) in &view.labels {
        labels[key] = json!(value);
    }
    let taints: Vec<Value> = view
        .taints
        .iter()
        .map(|(key, value, effect)| json!({"key": key, "value": value, "effect": effect}))
        .collect();
    // KWOK takes pod addresses from here; on EKS they come from the zone's subnet. Two nodes of a VPC never share both of the
    // last numbers of their addresses in a range that they also share with 64 others only.
    let octets: Vec<u8> = view
        .address
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    let (third, fourth) = (
        octets.get(2).copied().unwrap_or(0),
        octets.get(3).copied().unwrap_or(0),
    );
    let pods = format!("100.{}.{fourth}.0/24", 64 + u32::from(third) % 64);
    let mut annotations = json!({});
    if view.ready {
        // Only then somebody says that it is ready.
        annotations["kwok.x-k8s.io/node"] = json!("fake");
    }
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": view.name, "annotations": annotations, "labels": labels},
        "spec": {
            "providerID": format!("aws:///{}/{}", view.zone, view.instance),
            "podCIDR": pods,
            "taints": taints,
            "unschedulable": view.leaving,
        },
    });
    let disk_kib = view.disk_gib * 1024 * 1024;
    let resources = |cpu: String, memory: u64, disk: i64| {
        json!({
            "cpu": cpu, "memory": format!("{memory}Mi"), "ephemeral-storage": format!("{disk}Ki"),
            "pods": view.pods.to_string(), "hugepages-1Gi": "0", "hugepages-2Mi": "0",
        })
    };
    let status = json!({"status": {
        "capacity": resources(view.vcpus.to_string(), memory, disk_kib),
        "allocatable": resources(
            format!("{}m", allocatable_millicores(view.vcpus)),
            memory.saturating_sub(reserved),
            disk_kib * 85 / 100,
        ),
        "addresses": [
            {"type": "InternalIP", "address": view.address},
            {"type": "InternalDNS", "address": view.name},
            {"type": "Hostname", "address": view.name},
        ],
        "nodeInfo": {
            "architecture": view.architecture, "bootID": "", "machineID": "", "systemUUID": "", "operatingSystem": "linux",
            "osImage": "simulated by KWOK", "kernelVersion": "simulated", "kubeProxyVersion": "",
            "containerRuntimeVersion": "kwok://0.8.0", "kubeletVersion": format!("v{}", view.version),
        },
    }});
    (object, status)
}

/// Make the nodes those of the view. What runs on one that goes or is drained ends.
pub(super) async fn ensure(client: &kube::Client, view: &ClusterView) -> Result<(), SandboxError> {
    let nodes: Api<Node> = Api::all(client.clone());
    let apply = PatchParams::apply("eks").force();
    let there = nodes
        .list(&ListParams::default().labels(GROUP))
        .await
        .map_err(SandboxError::cluster("list nodes"))?;
    for wanted in &view.nodes {
        let (mut object, status) = node(wanted, &view.region);
        let known = there.iter().find(|node| node.name_any() == wanted.name);
        let made = if known.is_some() {
            // Kubernetes' own taints and the user's stay as they are. An apply that leaves them out would take ours away.
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.shift_remove("taints");
            }
            let change = Patch::Merge(&object);
            nodes
                .patch(&wanted.name, &PatchParams::default(), &change)
                .await
        } else {
            nodes
                .patch(&wanted.name, &apply, &Patch::Apply(&object))
                .await
        };
        made.map_err(SandboxError::cluster("make nodes"))?;
        if known.is_none() {
            nodes
                .patch_status(
                    &wanted.name,
                    &PatchParams::default(),
                    &Patch::Merge(&status),
                )
                .await
                .map_err(SandboxError::cluster("make nodes"))?;
        }
        if wanted.leaving {
            empty(client, &wanted.name, false).await?;
        }
    }
    for node in there {
        let name = node.name_any();
        if view.nodes.iter().any(|wanted| wanted.name == name) {
            continue;
        }
        gone(
            nodes
                .delete(&name, &DeleteParams::default())
                .await
                .map(drop),
        )?;
        empty(client, &name, true).await?;
    }
    Ok(())
}

fn gone(result: Result<(), kube::Error>) -> Result<(), SandboxError> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map_err(SandboxError::cluster("delete nodes and their pods")),
    }
}

/// Delete the pods of a node: in peace while it is drained, at once when it is gone. Those of daemon sets stay on it.
async fn empty(client: &kube::Client, node: &str, at_once: bool) -> Result<(), SandboxError> {
    let all: Api<Pod> = Api::all(client.clone());
    let mine = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = all
        .list(&mine)
        .await
        .map_err(SandboxError::cluster("list pods"))?;
    for pod in pods {
        let of_daemon_set = pod
            .owner_references()
            .iter()
            .any(|owner| owner.kind == "DaemonSet");
        if !at_once && (of_daemon_set || pod.metadata.deletion_timestamp.is_some()) {
            continue;
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let how = if at_once {
            DeleteParams::default().grace_period(0)
        } else {
            DeleteParams::default()
        };
        gone(pods.delete(&pod.name_any(), &how).await.map(drop))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_follows_the_image() {
        assert_eq!(allocatable_millicores(2), 1930);
        assert_eq!(allocatable_millicores(4), 3920);
        assert_eq!(allocatable_millicores(8), 7910);
        assert_eq!(allocatable_millicores(16), 15_890);
    }
}
