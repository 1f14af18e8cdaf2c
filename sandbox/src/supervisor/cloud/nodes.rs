//! The nodes of an EKS cluster: those of its node groups' instances, and no others.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::{ClusterView, NodeView};
use crate::error::SandboxError;

/// By this label nodes of node groups are known.
const GROUP: &str = "eks.amazonaws.com/nodegroup";

/// What a node has from its group is noted here: only so what the group no longer has is told from what others gave the node.
const FROM_GROUP: &str = "sandbox.pipectl.dev/from-node-group";

/// What a group gives its nodes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct FromGroup {
    /// Keys of labels; their values are set again and again.
    labels: BTreeSet<String>,
    /// Key, value, effect.
    taints: Vec<(String, String, String)>,
}

impl FromGroup {
    fn now(view: &NodeView) -> Self {
        let taint = |(key, value, effect): &(String, String, &str)| {
            (key.clone(), value.clone(), (*effect).to_owned())
        };
        Self {
            labels: view.labels.keys().cloned().collect(),
            taints: view.taints.iter().map(taint).collect(),
        }
    }

    /// As the node has it; nothing where nothing (readable) is noted.
    fn noted(node: &Node) -> Self {
        let noted = node.annotations().get(FROM_GROUP);
        noted
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// A taint is known by key and effect; its value is only what it says.
    fn has_taint(&self, key: &str, effect: &str) -> bool {
        let mut taints = self.taints.iter();
        taints.any(|taint| taint.0 == key && taint.2 == effect)
    }
}

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
    let mut annotations = json!({FROM_GROUP: json!(FromGroup::now(view)).to_string()});
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

/// What changes on a node that is there. Labels and taints follow its group (EKS API reference: `UpdateNodegroupConfig`);
/// Kubernetes' own and the user's stay as they are.
fn change(there: &Node, view: &NodeView, mut object: Value) -> Value {
    let (before, now) = (FromGroup::noted(there), FromGroup::now(view));
    for key in before.labels.difference(&now.labels) {
        let labels = &mut object["metadata"]["labels"];
        if labels.get(key).is_none() {
            labels[key] = Value::Null;
        }
    }
    if before.taints == now.taints {
        // An apply that leaves them out would take ours away: this is a merge.
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("taints");
        }
        return object;
    }
    let has = there.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let has = has.into_iter().flatten();
    let others = has.filter(|taint| {
        !before.has_taint(&taint.key, &taint.effect) && !now.has_taint(&taint.key, &taint.effect)
    });
    let mut taints: Vec<Value> = others.map(|taint| json!(taint)).collect();
    if let Some(ours) = object["spec"]["taints"].as_array() {
        taints.extend(ours.iter().cloned());
    }
    object["spec"]["taints"] = json!(taints);
    // The list is replaced whole: one that came meanwhile must not be lost, so the change is refused then, and tried again.
    object["metadata"]["resourceVersion"] = json!(there.resource_version());
    object
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
        let (object, status) = node(wanted, &view.region);
        let known = there.iter().find(|node| node.name_any() == wanted.name);
        let made = if let Some(known) = known {
            let change = change(known, wanted, object);
            let merge = Patch::Merge(&change);
            nodes
                .patch(&wanted.name, &PatchParams::default(), &merge)
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

    fn view(labels: &[(&str, &str)], taints: &[(&str, &str, &'static str)]) -> NodeView {
        let text = |text: &str| text.to_owned();
        NodeView {
            name: text("ip-10-0-1-5.us-west-2.compute.internal"),
            instance: text("i-0123456789abcdef0"),
            zone: text("us-west-2a"),
            zone_id: text("usw2-az1"),
            address: text("10.0.1.5"),
            instance_type: text("m6i.large"),
            architecture: "amd64",
            vcpus: 2,
            memory_mib: 8192,
            pods: 29,
            disk_gib: 20,
            group: text("workers"),
            spot: false,
            version: text("1.35.4"),
            labels: labels
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
            taints: taints
                .iter()
                .map(|(key, value, effect)| (text(key), text(value), *effect))
                .collect(),
            ready: true,
            leaving: false,
        }
    }

    /// The node of a view, with what Kubernetes and a user gave it.
    fn standing(view: &NodeView) -> Node {
        let (mut object, _) = node(view, "us-west-2");
        object["metadata"]["resourceVersion"] = json!("7");
        object["metadata"]["labels"]["mine"] = json!("yes");
        let taints = object["spec"]["taints"].as_array_mut().unwrap();
        taints.push(json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}));
        taints.push(json!({"key": "mine", "value": "yes", "effect": "NoExecute"}));
        serde_json::from_value(object).unwrap()
    }

    fn changed(before: &NodeView, after: &NodeView) -> Value {
        change(&standing(before), after, node(after, "us-west-2").0)
    }

    #[test]
    fn nodes_follow_their_group_and_keep_what_others_gave_them() {
        let before = view(
            &[("kind", "a"), ("tier", "1")],
            &[("only", "kafka", "NoSchedule"), ("old", "", "NoExecute")],
        );
        let after = view(&[("kind", "b")], &[("only", "spark", "NoSchedule")]);
        let change = changed(&before, &after);
        let labels = &change["metadata"]["labels"];
        assert_eq!(labels["kind"], "b");
        assert!(labels.get("tier").is_some_and(Value::is_null), "{labels}");
        assert!(labels.get("mine").is_none(), "{labels}");
        assert_eq!(
            change["spec"]["taints"],
            json!([
                {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
                {"key": "mine", "value": "yes", "effect": "NoExecute"},
                {"key": "only", "value": "spark", "effect": "NoSchedule"},
            ])
        );
        assert_eq!(change["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn a_group_that_has_not_changed_leaves_taints_alone() {
        let same = view(&[("kind", "a")], &[("only", "kafka", "NoSchedule")]);
        let change = changed(&same, &same);
        assert!(change["spec"].get("taints").is_none(), "{change}");
        assert!(change["metadata"].get("resourceVersion").is_none());
        let labels = change["metadata"]["labels"].as_object().unwrap();
        assert!(labels.values().all(|value| !value.is_null()), "{labels:?}");
    }
}
