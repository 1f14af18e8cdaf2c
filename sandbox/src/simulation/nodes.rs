//! The sandbox's nodes: what they look like and how they stay alive.

use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::stage::Stage;

/// Zones of the nodes; the region follows from the first.
pub const ZONES: [&str; 3] = ["us-west-2a", "us-west-2b", "us-west-2c"];

/// Machine type of the nodes: the smallest that document 000's platform asks for.
pub const INSTANCE_TYPE: &str = "m6i.large";

/// The nodes that a sandbox without a simulated EKS has: one in each zone, sized and labelled as EKS makes them.
///
/// An m6i.large has 2 CPUs and 8 GiB; EKS keeps back 70m CPU and, at 29 pods, 11 × 29 + 255 MiB and the eviction
/// threshold of 100 MiB (the `nodeadm` and Bottlerocket defaults).
#[must_use]
pub fn default_nodes() -> Vec<Node> {
    ZONES.iter().enumerate().map(|(index, zone)| node(index, zone)).collect()
}

fn node(index: usize, zone: &str) -> Node {
    let region = &zone[..zone.len() - 1];
    let octet = 10 + index;
    let address = format!("10.0.{octet}.{octet}");
    let name = format!("ip-{}.{region}.compute.internal", address.replace('.', "-"));
    let value = json!({
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "eks.amazonaws.com/capacityType": "ON_DEMAND",
                "eks.amazonaws.com/nodegroup": "sandbox",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": INSTANCE_TYPE,
                "topology.ebs.csi.aws.com/zone": zone,
                "topology.kubernetes.io/region": region,
                "topology.kubernetes.io/zone": zone,
            },
            "annotations": {"sandbox.pipectl.dev/simulated": "kwok"},
        },
        "spec": {"providerID": format!("aws:///{zone}/i-{:017x}", 0x0a00_0000_0000_0001_u64 + index as u64)},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "InternalDNS", "address": name},
                {"type": "Hostname", "address": name},
            ],
            "capacity": {"cpu": "2", "memory": "7934Mi", "pods": "29", "ephemeral-storage": "80Gi"},
            "allocatable": {"cpu": "1930m", "memory": "7260Mi", "pods": "29", "ephemeral-storage": "72Gi"},
        }
    });
    serde_json::from_value(value).expect("a node of constants")
}

/// Create the default nodes where the cluster has no node at all.
///
/// # Errors
/// When the API server refuses a call.
pub async fn ensure_default_nodes(client: &Client) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    if !nodes.list_metadata(&kube::api::ListParams::default().limit(1)).await?.items.is_empty() {
        return Ok(());
    }
    for node in default_nodes() {
        match nodes.create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The node's stages: it becomes ready half a second after it appeared, and repeats its status every five minutes as a
/// kubelet does when nothing changes (`nodeStatusReportFrequency`); in between KWOK renews its lease.
pub(super) fn stages() -> Vec<Stage> {
    let ready = r#".status.conditions[]? | select(.type == "Ready") | .status"#;
    vec![
        Stage::new("Node", "node-initialize")
            .absent(".metadata.deletionTimestamp")
            .when(format!(r#"[{ready}] | if any(. == "True") then "ready" else "new" end"#), &["new"])
            .after(500)
            .event("Normal", "NodeReady", "Node is ready (simulated)")
            .status(format!(
                r#"
{{{{ $now := now | date "2006-01-02T15:04:05Z07:00" }}}}
conditions:
{CONDITIONS}
nodeInfo:
  architecture: amd64
  operatingSystem: linux
  osImage: "Amazon Linux 2023 (simulated)"
  kernelVersion: "simulated"
  containerRuntimeVersion: "containerd://simulated"
  kubeletVersion: {{{{ printf "kwok-%s" Version | Quote }}}}
  kubeProxyVersion: ""
  bootID: {{{{ .metadata.uid | Quote }}}}
  machineID: {{{{ .metadata.uid | Quote }}}}
  systemUUID: {{{{ .metadata.uid | Quote }}}}
{{{{ if not .status.capacity }}}}
capacity:
  cpu: "2"
  memory: 7934Mi
  pods: "29"
allocatable:
  cpu: 1930m
  memory: 7260Mi
  pods: "29"
{{{{ end }}}}
"#
            )),
        Stage::new("Node", "node-heartbeat")
            .absent(".metadata.deletionTimestamp")
            .when(ready, &["True"])
            .after(300_000)
            .status(format!(
                r#"
{{{{ $now := now | date "2006-01-02T15:04:05Z07:00" }}}}
conditions:
{{{{ range .status.conditions }}}}
- type: {{{{ .type | Quote }}}}
  status: {{{{ .status | Quote }}}}
  reason: {{{{ .reason | Quote }}}}
  message: {{{{ .message | Quote }}}}
  lastHeartbeatTime: {{{{ $now | Quote }}}}
  lastTransitionTime: {{{{ .lastTransitionTime | Quote }}}}
{{{{ end }}}}
"#
            )),
    ]
}

const CONDITIONS: &str = r"{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_in_three_zones_with_room_for_the_platform() {
        let nodes = default_nodes();
        let zones: Vec<_> = nodes
            .iter()
            .filter_map(|node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned())
            .collect();
        assert_eq!(zones, ZONES);
        let names: std::collections::BTreeSet<_> = nodes.iter().filter_map(|node| node.metadata.name.clone()).collect();
        assert_eq!(names.len(), ZONES.len());
        assert!(names.contains("ip-10-0-10-10.us-west-2.compute.internal"), "{names:?}");
    }
}
