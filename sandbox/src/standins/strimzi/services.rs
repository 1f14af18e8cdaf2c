//! Services: of the cluster, of its brokers, and of listeners that are reached from outside.

use pipectl_kinds::strimzi::kafka::{Listener, ListenerType};
use pipectl_kinds::strimzi::node_pool::Role;
use serde_json::{Value, json};

use super::cluster::{Cluster, Node};
use super::labels::{self, Component};

/// Port between controllers.
pub(super) const CONTROL_PLANE_PORT: i32 = 9090;
/// Port between brokers.
pub(super) const REPLICATION_PORT: i32 = 9091;
/// Port of the agent in each Kafka pod.
pub(super) const AGENT_PORT: i32 = 8443;

/// Name of a listener's port in services and pods.
///
/// The listeners `plain` and `tls` were once fixed, and their ports keep the old names.
pub(super) fn port_name(listener: &Listener) -> String {
    match (listener.name.as_str(), listener.port, listener.kind) {
        ("plain", 9092, ListenerType::Internal) => "tcp-clients".to_owned(),
        ("tls", 9093, ListenerType::Internal) => "tcp-clientstls".to_owned(),
        _ => format!("tcp-{}", listener.name),
    }
}

fn port(name: &str, number: i32) -> Value {
    json!({"name": name, "port": number, "targetPort": number, "protocol": "TCP"})
}

fn listener_port(listener: &Listener) -> Value {
    port(&port_name(listener), listener.port)
}

fn service(cluster: &Cluster<'_>, name: String, spec: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": labels::of(cluster, Component::Kafka),
            "ownerReferences": [cluster.owner()],
        },
        "spec": spec,
    })
}

/// Every service of the cluster.
pub(super) fn all(cluster: &Cluster<'_>) -> Vec<Value> {
    let mut services = vec![bootstrap(cluster), brokers(cluster)];
    for listener in external(cluster) {
        services.extend(external_services(cluster, listener));
    }
    services
}

/// The listeners that have services of their own.
pub(super) fn external<'a>(cluster: &'a Cluster<'_>) -> impl Iterator<Item = &'a Listener> {
    cluster.spec.kafka.listeners.iter().filter(|listener| {
        matches!(
            listener.kind,
            ListenerType::Loadbalancer | ListenerType::Nodeport | ListenerType::ClusterIp
        )
    })
}

fn internal<'a>(cluster: &'a Cluster<'_>) -> impl Iterator<Item = &'a Listener> {
    cluster
        .spec
        .kafka
        .listeners
        .iter()
        .filter(|listener| listener.kind == ListenerType::Internal)
}

/// The service at which clients inside the cluster start.
fn bootstrap(cluster: &Cluster<'_>) -> Value {
    let mut selector = labels::selector(cluster);
    selector.insert("strimzi.io/broker-role".to_owned(), json!("true"));
    let ports: Vec<Value> = std::iter::once(port("tcp-replication", REPLICATION_PORT))
        .chain(internal(cluster).map(listener_port))
        .collect();
    let discovery: Vec<Value> = internal(cluster)
        .map(|listener| {
            let auth = listener
                .authentication
                .as_ref()
                .map_or(json!("none"), |auth| auth["type"].clone());
            json!({"port": listener.port, "tls": listener.tls, "protocol": "kafka", "auth": auth})
        })
        .collect();
    let mut service = service(
        cluster,
        cluster.named("kafka-bootstrap"),
        json!({"type": "ClusterIP", "selector": selector, "ports": ports}),
    );
    service["metadata"]["labels"]["strimzi.io/discovery"] = json!("true");
    service["metadata"]["annotations"] =
        json!({"strimzi.io/discovery": Value::Array(discovery).to_string()});
    service
}

/// The headless service that names every pod.
fn brokers(cluster: &Cluster<'_>) -> Value {
    let ports: Vec<Value> = [
        port("tcp-ctrlplane", CONTROL_PLANE_PORT),
        port("tcp-replication", REPLICATION_PORT),
        port("tcp-kafkaagent", AGENT_PORT),
    ]
    .into_iter()
    .chain(internal(cluster).map(listener_port))
    .collect();
    service(
        cluster,
        cluster.named("kafka-brokers"),
        json!({
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": labels::selector(cluster),
            "ports": ports,
        }),
    )
}

/// A listener from outside has a service to start at and one for each broker.
fn external_services(cluster: &Cluster<'_>, listener: &Listener) -> Vec<Value> {
    let kind = match listener.kind {
        ListenerType::Loadbalancer => "LoadBalancer",
        ListenerType::Nodeport => "NodePort",
        _ => "ClusterIP",
    };
    let configuration = listener.configuration.clone().unwrap_or_default();
    let spec = |selector: Value| {
        let mut spec =
            json!({"type": kind, "selector": selector, "ports": [listener_port(listener)]});
        for (field, from) in [
            ("externalTrafficPolicy", "externalTrafficPolicy"),
            ("loadBalancerSourceRanges", "loadBalancerSourceRanges"),
            ("loadBalancerClass", "class"),
        ] {
            let applies =
                kind == "LoadBalancer" || (kind == "NodePort" && field == "externalTrafficPolicy");
            if applies && !configuration[from].is_null() {
                spec[field] = configuration[from].clone();
            }
        }
        spec
    };
    let mut selector = labels::selector(cluster);
    selector.insert("strimzi.io/broker-role".to_owned(), json!("true"));
    let mut bootstrap = service(
        cluster,
        external_bootstrap_name(cluster, listener),
        spec(Value::Object(selector)),
    );
    describe(&mut bootstrap, &configuration["bootstrap"]);
    let mut services = vec![bootstrap];
    for node in cluster.nodes().filter(|node| node.pool.has(Role::Broker)) {
        let mut selector = labels::selector(cluster);
        selector.insert(
            "strimzi.io/pod-name".to_owned(),
            json!(cluster.pod_name(node)),
        );
        let mut one = service(
            cluster,
            external_broker_name(cluster, listener, node),
            spec(Value::Object(selector)),
        );
        one["metadata"]["labels"] = Value::Object(labels::of_pool(cluster, node.pool));
        one["metadata"]["ownerReferences"] = json!([cluster.pool_owner(node.pool)]);
        let own = configuration["brokers"]
            .as_array()
            .and_then(|brokers| brokers.iter().find(|broker| broker["broker"] == node.id));
        describe(&mut one, own.unwrap_or(&Value::Null));
        services.push(one);
    }
    services
}

/// Annotations, labels, node port and address that the listener's configuration gives a service.
fn describe(service: &mut Value, configuration: &Value) {
    if let Some(annotations) = configuration["annotations"].as_object() {
        service["metadata"]["annotations"] = json!(annotations);
    }
    if let Some(extra) = configuration["labels"].as_object()
        && let Some(all) = service["metadata"]["labels"].as_object_mut()
    {
        all.extend(extra.clone());
    }
    if !configuration["nodePort"].is_null() {
        service["spec"]["ports"][0]["nodePort"] = configuration["nodePort"].clone();
    }
    if !configuration["loadBalancerIP"].is_null() {
        service["spec"]["loadBalancerIP"] = configuration["loadBalancerIP"].clone();
    }
}

/// Name of the service at which clients of a listener from outside start.
pub(super) fn external_bootstrap_name(cluster: &Cluster<'_>, listener: &Listener) -> String {
    cluster.named(&format!("kafka-{}-bootstrap", listener.name))
}

fn external_broker_name(cluster: &Cluster<'_>, listener: &Listener, node: Node<'_>) -> String {
    format!(
        "{}-{}-{}",
        cluster.pod_set_name(node.pool),
        listener.name,
        node.id
    )
}
