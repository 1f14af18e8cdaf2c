//! Strimzi in a sandbox: its kinds, applied and waited for.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use pipectl_sandbox::StartOptions;
use serde_json::{Value, json};

use super::{Cluster, custom};

/// Namespace of the operator and of the cluster.
pub const NAMESPACE: &str = "kafka";
/// Name of the cluster.
pub const KAFKA: &str = "streaming-cluster";

/// Strimzi in a sandbox, installed by Helm in the namespace [`NAMESPACE`].
pub struct Strimzi {
    /// The sandbox.
    pub cluster: Cluster,
    version: &'static str,
}

impl Strimzi {
    pub async fn install(version: &str) -> Self {
        Self::install_with(version, &StartOptions::default()).await
    }

    pub async fn install_with(version: &str, options: &StartOptions) -> Self {
        let cluster = Cluster::start_with("strimzi", options).await;
        cluster.namespace(NAMESPACE).await;
        cluster
            .helm(
                &[
                    "install",
                    "strimzi",
                    "strimzi-kafka-operator",
                    "--version",
                    version,
                    "-n",
                    NAMESPACE,
                ],
                "strimzi",
            )
            .await;
        let api = if version.starts_with('1') {
            "v1"
        } else {
            "v1beta2"
        };
        Strimzi {
            cluster,
            version: api,
        }
    }

    pub fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = custom("kafka.strimzi.io", self.version, kind, plural);
        Api::namespaced_with(self.cluster.client.clone(), NAMESPACE, &resource)
    }

    pub fn kafka(&self) -> Api<DynamicObject> {
        self.api("Kafka", "kafkas")
    }

    pub fn topics(&self) -> Api<DynamicObject> {
        self.api("KafkaTopic", "kafkatopics")
    }

    pub fn pools(&self) -> Api<DynamicObject> {
        self.api("KafkaNodePool", "kafkanodepools")
    }

    pub fn core(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.cluster.client.clone(),
            NAMESPACE,
            &custom("", "v1", kind, plural),
        )
    }

    pub fn pods(&self) -> Api<DynamicObject> {
        self.core("Pod", "pods")
    }

    pub fn claims(&self) -> Api<DynamicObject> {
        self.core("PersistentVolumeClaim", "persistentvolumeclaims")
    }

    pub async fn apply(
        &self,
        api: &Api<DynamicObject>,
        kind: &str,
        name: &str,
        labels: Value,
        spec: Value,
    ) {
        let object = json!({
            "apiVersion": format!("kafka.strimzi.io/{}", self.version), "kind": kind,
            "metadata": {"name": name, "labels": labels}, "spec": spec,
        });
        let parameters = PatchParams::apply("test").force();
        api.patch(name, &parameters, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    pub async fn apply_pool(&self, name: &str, role: &str, replicas: i32, delete_claim: bool) {
        let spec = json!({"replicas": replicas, "roles": [role], "storage": {
            "type": "persistent-claim", "size": "10Gi", "deleteClaim": delete_claim
        }});
        self.apply(&self.pools(), "KafkaNodePool", name, of_cluster(), spec)
            .await;
    }

    pub async fn apply_kafka(&self, version: &str, config: Value) {
        let spec = json!({
            "kafka": {
                "version": version,
                "listeners": [{"name": "plain", "port": 9092, "type": "internal", "tls": false}],
                "config": config,
            },
            "entityOperator": {"topicOperator": {}, "userOperator": {}},
        });
        self.apply(&self.kafka(), "Kafka", KAFKA, json!({}), spec)
            .await;
    }

    pub async fn apply_topic(&self, name: &str, partitions: i32, replicas: i32) {
        let spec = json!({"partitions": partitions, "replicas": replicas, "config": {"retention.ms": 600_000}});
        self.apply(&self.topics(), "KafkaTopic", name, of_cluster(), spec)
            .await;
    }

    /// Waits until the newest spec is reported `condition`, and gives the object.
    pub async fn until(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        condition: &str,
    ) -> DynamicObject {
        let mut last = None;
        for _ in 0..900 {
            if let Some(object) = api.get_opt(name).await.unwrap() {
                let observed = object.data["status"]["observedGeneration"].as_i64();
                if observed == object.metadata.generation && has(&object, condition) {
                    return object;
                }
                last = Some(object);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{name} never was {condition}: {last:#?}");
    }

    pub async fn names(&self, api: &Api<DynamicObject>, selector: &str) -> Vec<String> {
        self.cluster.names(api, selector).await
    }
}

/// The label of everything that belongs to the cluster.
pub fn of_cluster() -> Value {
    json!({"strimzi.io/cluster": KAFKA})
}

/// Whether a condition, `Type=Status` with an optional `/Reason`, is among the object's.
pub fn has(object: &DynamicObject, condition: &str) -> bool {
    let (condition, reason) = condition
        .split_once('/')
        .map_or((condition, None), |(left, right)| (left, Some(right)));
    let (kind, status) = condition.split_once('=').unwrap();
    object.data["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions.iter().any(|one| {
                one["type"] == kind
                    && one["status"] == status
                    && reason.is_none_or(|reason| one["reason"] == reason)
            })
        })
}

/// A condition.
pub const READY: &str = "Ready=True";
