//! Pod sets with their pods, and claims.

use pipectl_kinds::strimzi::common::Probe;
use pipectl_kinds::strimzi::node_pool::Role;
use pipectl_kinds::strimzi::storage::{Storage, StorageType};
use serde_json::{Value, json};

use super::cluster::{Cluster, Node, Pool, volumes};
use super::config::restart_digest;
use super::labels;
use super::services::{AGENT_PORT, CONTROL_PLANE_PORT, REPLICATION_PORT, port_name};
use crate::standins::common::writer::digest;

/// The annotation by which a pod's definition is told from an older one.
pub(super) const REVISION: &str = "strimzi.io/revision";

/// The pod set of a pool. `api_version` is that of its kind in this cluster.
pub(super) fn pod_set(cluster: &Cluster<'_>, pool: &Pool, api_version: &str) -> Value {
    let labels = labels::of_pool(cluster, pool);
    let pods: Vec<Value> = pool
        .node_ids
        .iter()
        .map(|&id| pod(cluster, Node { pool, id }))
        .collect();
    json!({
        "apiVersion": api_version,
        "kind": "StrimziPodSet",
        "metadata": {
            "name": cluster.pod_set_name(pool),
            "namespace": cluster.namespace,
            "labels": labels,
            "annotations": {
                "strimzi.io/kafka-version": cluster.kafka_version,
                "strimzi.io/storage": json!(pool.spec.storage).to_string(),
            },
            "ownerReferences": [cluster.pool_owner(pool)],
        },
        "spec": {
            "selector": {"matchLabels": {
                "strimzi.io/cluster": cluster.name,
                "strimzi.io/kind": "Kafka",
                "strimzi.io/name": cluster.named("kafka"),
                "strimzi.io/pool-name": pool.name,
            }},
            "pods": pods,
        },
    })
}

/// One pod, as it stands in its pod set; the owner is added when it is made.
fn pod(cluster: &Cluster<'_>, node: Node<'_>) -> Value {
    let name = cluster.pod_name(node);
    let pool = node.pool;
    let mut labels = labels::of_pool(cluster, pool);
    for (key, value) in [
        ("strimzi.io/broker-role", pool.has(Role::Broker).to_string()),
        ("strimzi.io/controller", "strimzipodset".to_owned()),
        ("strimzi.io/controller-name", cluster.pod_set_name(pool)),
        (
            "strimzi.io/controller-role",
            pool.has(Role::Controller).to_string(),
        ),
        ("strimzi.io/pod-name", name.clone()),
    ] {
        labels.insert(key.to_owned(), json!(value));
    }
    let template = pool
        .spec
        .template
        .as_ref()
        .or(cluster.spec.kafka.template.as_ref());
    let own = template.map_or(&Value::Null, |template| &template["pod"]);
    extend(&mut labels, &own["metadata"]["labels"]);
    let spec = pod_spec(cluster, node, &name, own);
    let mut annotations = json!({
        "strimzi.io/clients-ca-cert-generation": "0",
        "strimzi.io/cluster-ca-cert-generation": "0",
        "strimzi.io/cluster-ca-key-generation": "0",
        "strimzi.io/configuration-hash": restart_digest(cluster),
        "strimzi.io/kafka-version": cluster.kafka_version,
        "strimzi.io/logging-hash": digest(&json!(cluster.spec.kafka.logging)),
        "strimzi.io/server-cert-hash": digest(&json!([cluster.uid, name])),
    });
    if let Some(all) = annotations.as_object_mut() {
        extend(all, &own["metadata"]["annotations"]);
    }
    annotations[REVISION] = json!(digest(&json!([spec, annotations, labels])));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
    })
}

fn pod_spec(cluster: &Cluster<'_>, node: Node<'_>, name: &str, template: &Value) -> Value {
    let pool = node.pool;
    let mut all_volumes = Vec::new();
    let mut mounts = Vec::new();
    for (volume, storage) in volumes(&pool.spec.storage) {
        let source = match storage.kind {
            StorageType::Ephemeral => {
                let mut empty = json!({});
                if let Some(limit) = &storage.size_limit {
                    empty["sizeLimit"] = json!(limit);
                }
                json!({"name": volume, "emptyDir": empty})
            }
            StorageType::PersistentClaim | StorageType::Jbod => {
                json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{volume}-{name}")}})
            }
        };
        mounts.push(json!({"name": volume, "mountPath": format!("/var/lib/kafka/{volume}")}));
        all_volumes.push(source);
    }
    let secret = |name: String| json!({"secretName": name, "defaultMode": 292});
    for (volume, source, path) in [
        (
            "strimzi-tmp",
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": "5Mi"}}),
            "/tmp",
        ),
        (
            "cluster-ca",
            json!({"secret": secret(cluster.named("cluster-ca-cert"))}),
            "/opt/kafka/cluster-ca-certs",
        ),
        (
            "broker-certs",
            json!({"secret": secret(name.to_owned())}),
            "/opt/kafka/broker-certs",
        ),
        (
            "client-ca-cert",
            json!({"secret": secret(cluster.named("clients-ca-cert"))}),
            "/opt/kafka/client-ca-certs",
        ),
        (
            "kafka-metrics-and-logging",
            json!({"configMap": {"name": name}}),
            "/opt/kafka/custom-config/",
        ),
        (
            "ready-files",
            json!({"emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}}),
            "/var/opt/kafka",
        ),
    ] {
        let mut entry = source;
        entry["name"] = json!(volume);
        all_volumes.push(entry);
        mounts.push(json!({"name": volume, "mountPath": path}));
    }
    let kafka = &cluster.spec.kafka;
    let resources = pool.spec.resources.as_ref().or(kafka.resources.as_ref());
    let mut container = json!({
        "name": "kafka",
        "image": cluster.image,
        "command": ["/opt/kafka/kafka_run.sh"],
        "ports": ports(cluster, pool),
        "volumeMounts": mounts,
        "livenessProbe": probe("/opt/kafka/kafka_liveness.sh", kafka.liveness_probe.as_ref()),
        "readinessProbe": probe("/opt/kafka/kafka_readiness.sh", kafka.readiness_probe.as_ref()),
        "env": [{"name": "STRIMZI_KAFKA_METRICS_ENABLED", "value": kafka.metrics_config.is_some().to_string()}],
    });
    if let Some(resources) = resources {
        container["resources"] = json!(resources);
    }
    if let Some(options) = pool
        .spec
        .jvm_options
        .as_ref()
        .or(kafka.jvm_options.as_ref())
        && let Some(env) = container["env"].as_array_mut()
    {
        env.push(json!({"name": "STRIMZI_JAVA_OPTS", "value": json!(options).to_string()}));
    }
    let mut spec = json!({
        "hostname": name,
        "subdomain": cluster.named("kafka-brokers"),
        "serviceAccountName": cluster.named("kafka"),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": template["terminationGracePeriodSeconds"].as_i64().unwrap_or(30),
        "volumes": all_volumes,
        "containers": [container],
    });
    for field in [
        "affinity",
        "tolerations",
        "topologySpreadConstraints",
        "priorityClassName",
        "imagePullSecrets",
        "securityContext",
        "schedulerName",
    ] {
        if !template[field].is_null() {
            spec[field] = template[field].clone();
        }
    }
    if super::guards::needs_node_access(cluster) {
        let key = kafka
            .rack
            .as_ref()
            .and_then(|rack| rack.topology_key.clone())
            .unwrap_or_default();
        spec["initContainers"] = json!([{
            "name": "kafka-init",
            "image": kafka.broker_rack_init_image.clone().unwrap_or_else(|| cluster.settings.init_image.clone()),
            "args": ["/opt/strimzi/bin/kafka_init_run.sh"],
            "env": [
                {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
                {"name": "RACK_TOPOLOGY_KEY", "value": key},
            ],
        }]);
    }
    spec
}

fn ports(cluster: &Cluster<'_>, pool: &Pool) -> Vec<Value> {
    let port =
        |name: &str, number: i32| json!({"name": name, "containerPort": number, "protocol": "TCP"});
    let mut ports = vec![port("tcp-kafkaagent", AGENT_PORT)];
    if pool.has(Role::Controller) {
        ports.push(port("tcp-ctrlplane", CONTROL_PLANE_PORT));
    }
    if pool.has(Role::Broker) {
        ports.push(port("tcp-replication", REPLICATION_PORT));
        ports.extend(
            cluster
                .spec
                .kafka
                .listeners
                .iter()
                .map(|listener| port(&port_name(listener), listener.port)),
        );
    }
    ports
}

fn probe(script: &str, timing: Option<&Probe>) -> Value {
    let timing = timing.cloned().unwrap_or_default();
    json!({
        "exec": {"command": [script]},
        "initialDelaySeconds": timing.initial_delay_seconds.unwrap_or(15),
        "timeoutSeconds": timing.timeout_seconds.unwrap_or(5),
        "periodSeconds": timing.period_seconds.unwrap_or(10),
        "successThreshold": timing.success_threshold.unwrap_or(1),
        "failureThreshold": timing.failure_threshold.unwrap_or(3),
    })
}

fn extend(into: &mut serde_json::Map<String, Value>, from: &Value) {
    if let Some(extra) = from.as_object() {
        into.extend(extra.clone());
    }
}

/// The claims of a pool: object and storage, node by node.
pub(super) fn claims(cluster: &Cluster<'_>, pool: &Pool) -> Vec<(Value, Storage)> {
    let mut claims = Vec::new();
    for &id in &pool.node_ids {
        let pod = cluster.pod_name(Node { pool, id });
        for (volume, storage) in volumes(&pool.spec.storage) {
            if storage.kind == StorageType::PersistentClaim {
                claims.push((
                    claim(cluster, pool, &format!("{volume}-{pod}"), id, &storage),
                    storage,
                ));
            }
        }
    }
    claims
}

fn claim(cluster: &Cluster<'_>, pool: &Pool, name: &str, id: i32, storage: &Storage) -> Value {
    let delete = storage.delete_claim == Some(true);
    // A claim that outlives the cluster has no owner, or the garbage collector would take it.
    let owners = if delete {
        json!([cluster.pool_owner(pool)])
    } else {
        json!([])
    };
    let own_class = storage
        .overrides
        .iter()
        .find(|one| one["broker"] == id)
        .and_then(|one| one["class"].as_str().map(str::to_owned));
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    });
    if let Some(class) = own_class.or_else(|| storage.class.clone()) {
        spec["storageClassName"] = json!(class);
    }
    if !storage.selector.is_empty() {
        spec["selector"] = json!({"matchLabels": storage.selector});
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": labels::of_pool(cluster, pool),
            "annotations": {"strimzi.io/delete-claim": delete.to_string()},
            "ownerReferences": owners,
        },
        "spec": spec,
    })
}
