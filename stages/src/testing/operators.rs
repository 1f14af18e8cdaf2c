//! The controllers and operators of the cluster in memory: one call lets all of them act once.

use serde_json::{Value, json};

use super::FakeCluster;
use crate::objects::ownership::{terminating, uid};

/// Lets every controller act once: definitions become established, workloads get their pods, Kafka its brokers, topics
/// their finalizers, applications their drivers.
pub fn act(cluster: &FakeCluster) {
    if cluster.find("Node", "node-0").is_none() {
        cluster.put(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-0",
            "annotations": {"kwok.x-k8s.io/node": "fake"}}}),
        );
    }
    for crd in cluster.all("CustomResourceDefinition") {
        set_status(
            cluster,
            &crd,
            json!({"conditions": [{"type": "Established", "status": "True"}]}),
        );
    }
    for deployment in cluster.all("Deployment") {
        let replicas = deployment["spec"]["replicas"].clone();
        let generation = deployment["metadata"]["generation"].clone();
        let number = replicas.as_u64().unwrap_or(1);
        set_status(
            cluster,
            &deployment,
            json!({"observedGeneration": generation, "replicas": number,
            "updatedReplicas": number, "availableReplicas": number, "readyReplicas": number}),
        );
        let template = &deployment["spec"]["template"]["metadata"]["labels"];
        if template.is_object() {
            for index in 0..number {
                let name = format!("{}-{index}", name_of(&deployment));
                put_pod(cluster, &deployment, &name, template.clone(), "Running");
            }
        }
    }
    for service in cluster.all("Service") {
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("{}-x", name_of(&service)), "namespace": service["metadata"]["namespace"],
                "labels": {"kubernetes.io/service-name": name_of(&service)},
                "ownerReferences": [{"kind": "Service", "name": name_of(&service), "uid": uid(&service)}]},
            "endpoints": [{"conditions": {"ready": true}}]});
        put_once(cluster, slice);
    }
    for hook in cluster.all("MutatingWebhookConfiguration") {
        cluster.edit("MutatingWebhookConfiguration", name_of(&hook), |hook| {
            hook["webhooks"][0]["clientConfig"]["caBundle"] = json!("Q0E=");
        });
        put_once(
            cluster,
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "spark-webhook-x", "namespace": "spark-operator",
                "labels": {"kubernetes.io/service-name": "spark-webhook"}},
            "endpoints": [{"conditions": {"ready": true}}]}),
        );
    }
    strimzi(cluster);
    spark(cluster);
}

fn strimzi(cluster: &FakeCluster) {
    for kafka in cluster.all("Kafka") {
        let name = name_of(&kafka).to_owned();
        let namespace = kafka["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let port = kafka["spec"]["kafka"]["listeners"][0]["port"].clone();
        put_once(
            cluster,
            json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("{name}-kafka-bootstrap"), "namespace": namespace,
                "ownerReferences": [{"kind": "Kafka", "name": name, "uid": uid(&kafka)}]},
            "spec": {"ports": [{"port": port}]}}),
        );
        put_once(
            cluster,
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": format!("{name}-entity-operator"), "namespace": namespace, "generation": 1,
                "ownerReferences": [{"kind": "Kafka", "name": name, "uid": uid(&kafka)}]},
            "spec": {"replicas": 1}}),
        );
        set_status(
            cluster,
            &kafka,
            json!({"observedGeneration": kafka["metadata"]["generation"],
            "kafkaVersion": kafka["spec"]["kafka"]["version"],
            "conditions": [{"type": "Ready", "status": "True"}],
            "listeners": [{"name": "plain", "bootstrapServers": format!("{name}-kafka-bootstrap.{namespace}.svc:{port}")}]}),
        );
    }
    for pool in cluster.all("KafkaNodePool") {
        let replicas = pool["spec"]["replicas"].as_u64().unwrap_or(0);
        let kafka = pool["metadata"]["labels"]["strimzi.io/cluster"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let size = pool["spec"]["storage"]["volumes"][0]["size"].clone();
        for index in 0..replicas {
            let name = format!("{kafka}-{}-{index}", name_of(&pool));
            let labels =
                json!({"strimzi.io/cluster": kafka, "strimzi.io/pool-name": name_of(&pool)});
            put_pod(cluster, &pool, &name, labels.clone(), "Running");
            put_once(
                cluster,
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": format!("data-0-{name}"), "namespace": pool["metadata"]["namespace"], "labels": labels},
                "spec": {"resources": {"requests": {"storage": size}}}, "status": {"phase": "Bound"}}),
            );
        }
        put_once(
            cluster,
            json!({"apiVersion": "core.strimzi.io/v1", "kind": "StrimziPodSet",
            "metadata": {"name": format!("{kafka}-{}", name_of(&pool)), "namespace": pool["metadata"]["namespace"], "generation": 1,
                "ownerReferences": [{"kind": "KafkaNodePool", "name": name_of(&pool), "uid": uid(&pool)}]},
            "status": {"observedGeneration": 1, "pods": replicas, "readyPods": replicas, "currentPods": replicas}}),
        );
        let ids: Vec<u64> = (0..replicas).collect();
        set_status(
            cluster,
            &pool,
            json!({"observedGeneration": pool["metadata"]["generation"], "nodeIds": ids}),
        );
    }
    let operator = cluster
        .all("Deployment")
        .iter()
        .any(|deployment| name_of(deployment).ends_with("-entity-operator"));
    for topic in cluster.all("KafkaTopic").iter().filter(|_| operator) {
        if terminating(topic) {
            cluster.erase("KafkaTopic", name_of(topic));
            continue;
        }
        cluster.edit("KafkaTopic", name_of(topic), |topic| {
            topic["metadata"]["finalizers"] = json!(["strimzi.io/topic-operator"]);
        });
        set_status(
            cluster,
            topic,
            json!({"observedGeneration": topic["metadata"]["generation"],
            "conditions": [{"type": "Ready", "status": "True"}]}),
        );
    }
}

fn spark(cluster: &FakeCluster) {
    for app in cluster.all("SparkApplication") {
        if app["status"]["applicationState"]["state"] == "FAILED" {
            continue;
        }
        let name = name_of(&app).to_owned();
        let labels =
            |role: &str| json!({"sparkoperator.k8s.io/app-name": name, "spark-role": role});
        put_pod(
            cluster,
            &app,
            &format!("{name}-driver"),
            labels("driver"),
            "Running",
        );
        let executors = app["spec"]["executor"]["instances"].as_u64().unwrap_or(1);
        let mut states = json!({});
        for index in 1..=executors {
            let executor = format!("{name}-exec-{index}");
            put_pod(cluster, &app, &executor, labels("executor"), "Running");
            states[executor] = json!("RUNNING");
        }
        set_status(
            cluster,
            &app,
            json!({"applicationState": {"state": "RUNNING"},
            "driverInfo": {"podName": format!("{name}-driver")}, "executorState": states}),
        );
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn set_status(cluster: &FakeCluster, object: &Value, status: Value) {
    if object["status"] != status {
        let kind = object["kind"].as_str().unwrap_or_default();
        cluster.edit(kind, name_of(object), |object| object["status"] = status);
    }
}

fn put_once(cluster: &FakeCluster, object: Value) {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if cluster.find(&kind, name_of(&object)).is_none() {
        cluster.put(object);
    }
}

fn put_pod(cluster: &FakeCluster, owner: &Value, name: &str, labels: Value, phase: &str) {
    put_once(
        cluster,
        json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": owner["metadata"]["namespace"], "labels": labels,
            "ownerReferences": [{"kind": owner["kind"], "name": name_of(owner), "uid": uid(owner)}]},
        "spec": {"nodeName": "node-0"},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "c", "image": "i", "state": {"running": {}}}]}}),
    );
}
