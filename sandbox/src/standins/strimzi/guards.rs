//! Objects around the pods: account, disruption budget, network policy, and the binding that lets pods read nodes.

use pipectl_kinds::strimzi::kafka::ListenerType;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::labels::{self, Component};
use super::services::{AGENT_PORT, CONTROL_PLANE_PORT, REPLICATION_PORT};

/// The objects of this kind that the cluster has.
pub(super) fn all(cluster: &Cluster<'_>) -> Vec<Value> {
    let mut objects = vec![account(cluster)];
    if cluster.settings.disruption_budgets {
        objects.push(disruption_budget(cluster));
    }
    if cluster.settings.network_policies {
        objects.push(network_policy(cluster));
    }
    if needs_node_access(cluster) {
        objects.push(node_access(cluster));
    }
    objects
}

fn metadata(cluster: &Cluster<'_>, name: String) -> Value {
    json!({
        "name": name,
        "namespace": cluster.namespace,
        "labels": labels::of(cluster, Component::Kafka),
        "ownerReferences": [cluster.owner()],
    })
}

fn account(cluster: &Cluster<'_>) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(cluster, cluster.named("kafka"))})
}

/// One pod of the cluster may be away at a time.
fn disruption_budget(cluster: &Cluster<'_>) -> Value {
    let minimum = cluster.nodes().count().saturating_sub(1);
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(cluster, cluster.named("kafka")),
        "spec": {"minAvailable": minimum, "selector": {"matchLabels": labels::selector(cluster)}},
    })
}

/// Nodes talk to each other and to the operators; everybody talks to listeners, unless a listener says who.
fn network_policy(cluster: &Cluster<'_>) -> Value {
    let port = |number: i32| json!([{"port": number, "protocol": "TCP"}]);
    let of_cluster = |name: &str| {
        json!({"podSelector": {"matchLabels": {
            "strimzi.io/cluster": cluster.name, "strimzi.io/kind": "Kafka", "strimzi.io/name": cluster.named(name)
        }}})
    };
    let operator = json!({
        "podSelector": {"matchLabels": {"strimzi.io/kind": "cluster-operator"}},
        "namespaceSelector": {},
    });
    let nodes = of_cluster("kafka");
    let mut ingress = vec![
        json!({"from": [nodes], "ports": port(CONTROL_PLANE_PORT)}),
        json!({
            "from": [operator, nodes, of_cluster("entity-operator"), of_cluster("kafka-exporter"), of_cluster("cruise-control")],
            "ports": port(REPLICATION_PORT),
        }),
        json!({"from": [operator], "ports": port(AGENT_PORT)}),
    ];
    for listener in &cluster.spec.kafka.listeners {
        let mut rule = json!({"ports": port(listener.port)});
        if !listener.network_policy_peers.is_empty() {
            rule["from"] = json!(listener.network_policy_peers);
        }
        ingress.push(rule);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(cluster, cluster.named("network-policy-kafka")),
        "spec": {
            "podSelector": {"matchLabels": labels::selector(cluster)},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    })
}

/// Pods read their node for its rack, and for its address behind a node port.
pub(super) fn needs_node_access(cluster: &Cluster<'_>) -> bool {
    cluster
        .spec
        .kafka
        .rack
        .as_ref()
        .is_some_and(|rack| rack.topology_key.is_some())
        || cluster
            .spec
            .kafka
            .listeners
            .iter()
            .any(|listener| listener.kind == ListenerType::Nodeport)
}

/// Name of the binding; it is of the whole Kubernetes cluster, so no owner removes it.
pub(super) fn node_access_name(namespace: &str, cluster: &str) -> String {
    format!("strimzi-{namespace}-{cluster}-kafka-init")
}

fn node_access(cluster: &Cluster<'_>) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": node_access_name(&cluster.namespace, &cluster.name),
            "labels": labels::of(cluster, Component::Kafka),
        },
        "subjects": [{"kind": "ServiceAccount", "name": cluster.named("kafka"), "namespace": cluster.namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "strimzi-kafka-broker"},
    })
}
