//! The Deployment of the topic and user operators, and what it needs.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::labels::{self, Component};

/// The objects of the entity operator; none when the cluster declares none.
pub(super) fn all(cluster: &Cluster<'_>) -> Vec<Value> {
    let Some(declared) = &cluster.spec.entity_operator else {
        return Vec::new();
    };
    if declared.topic_operator.is_none() && declared.user_operator.is_none() {
        return Vec::new();
    }
    let name = cluster.named("entity-operator");
    let metadata = |name: String, namespace: &str| {
        // An owner has to be in the same namespace.
        let owners = if namespace == cluster.namespace {
            json!([cluster.owner()])
        } else {
            json!([])
        };
        json!({
            "name": name,
            "namespace": namespace,
            "labels": labels::of(cluster, Component::EntityOperator),
            "ownerReferences": owners,
        })
    };
    let own = cluster.namespace.as_str();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(name.clone(), own),
        "rules": [
            {
                "apiGroups": ["kafka.strimzi.io"],
                "resources": ["kafkatopics", "kafkatopics/status", "kafkausers", "kafkausers/status"],
                "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"],
            },
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "delete", "patch", "update"]},
        ],
    });
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name.clone(), own)}),
        role,
    ];
    let mut containers = Vec::new();
    for operator in operators(cluster) {
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(cluster.named(&format!("entity-{}-role", operator.name)), own),
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": own}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        }));
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(cluster.named(&format!("entity-{}-config", operator.name)), own),
            "data": {"log4j2.properties": "# stand-in: no operator runs behind this pod\n"},
        }));
        containers.push(operator.container(cluster));
    }
    objects.push(deployment(cluster, &name, containers));
    objects
}

struct Operator {
    name: &'static str,
    image: String,
    watched: String,
    resources: Value,
    port: i32,
}

fn operators(cluster: &Cluster<'_>) -> Vec<Operator> {
    let declared = cluster.spec.entity_operator.clone().unwrap_or_default();
    let own = || cluster.namespace.clone();
    let mut operators = Vec::new();
    if let Some(topic) = declared.topic_operator {
        operators.push(Operator {
            name: "topic-operator",
            image: topic
                .image
                .unwrap_or_else(|| cluster.settings.topic_operator_image.clone()),
            watched: topic.watched_namespace.unwrap_or_else(own),
            resources: json!(topic.resources),
            port: 8080,
        });
    }
    if let Some(user) = declared.user_operator {
        operators.push(Operator {
            name: "user-operator",
            image: user
                .image
                .unwrap_or_else(|| cluster.settings.user_operator_image.clone()),
            watched: user.watched_namespace.unwrap_or_else(own),
            resources: json!(user.resources),
            port: 8081,
        });
    }
    operators
}

impl Operator {
    fn container(&self, cluster: &Cluster<'_>) -> Value {
        let probe = |path: &str| {
            json!({
                "httpGet": {"path": path, "port": "healthcheck"},
                "initialDelaySeconds": 10, "timeoutSeconds": 5, "periodSeconds": 10,
                "successThreshold": 1, "failureThreshold": 3,
            })
        };
        let mut container = json!({
            "name": self.name,
            "image": self.image,
            "args": [format!("/opt/strimzi/bin/{}_run.sh", self.name.replace('-', "_"))],
            "ports": [{"name": "healthcheck", "containerPort": self.port, "protocol": "TCP"}],
            "env": [
                {"name": "STRIMZI_RESOURCE_LABELS", "value": format!("strimzi.io/cluster={}", cluster.name)},
                {"name": "STRIMZI_NAMESPACE", "value": self.watched},
                {"name": "STRIMZI_KAFKA_BOOTSTRAP_SERVERS", "value": format!("{}:9091", cluster.named("kafka-bootstrap"))},
            ],
            "livenessProbe": probe("/healthy"),
            "readinessProbe": probe("/ready"),
        });
        if !self.resources.is_null() {
            container["resources"] = self.resources.clone();
        }
        container
    }
}

fn deployment(cluster: &Cluster<'_>, name: &str, containers: Vec<Value>) -> Value {
    let template = cluster
        .spec
        .entity_operator
        .as_ref()
        .and_then(|declared| declared.template.as_ref());
    let pod = template.map_or(&Value::Null, |template| &template["pod"]);
    let mut labels = labels::of(cluster, Component::EntityOperator);
    let own_labels = json!(labels.clone());
    if let Some(extra) = pod["metadata"]["labels"].as_object() {
        labels.extend(extra.clone());
    }
    let mut spec = json!({
        "serviceAccountName": name,
        "terminationGracePeriodSeconds": 30,
        "containers": containers,
    });
    for field in [
        "affinity",
        "tolerations",
        "priorityClassName",
        "imagePullSecrets",
        "securityContext",
    ] {
        if !pod[field].is_null() {
            spec[field] = pod[field].clone();
        }
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": own_labels,
            "ownerReferences": [cluster.owner()],
        },
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels::selector_of(cluster, Component::EntityOperator)},
            "template": {
                "metadata": {"labels": labels, "annotations": pod["metadata"]["annotations"].as_object().cloned().unwrap_or_default()},
                "spec": spec,
            },
        },
    })
}
