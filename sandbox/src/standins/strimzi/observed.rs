//! What the stand-in makes of a cluster, against what the real operator 0.47.0 made of the same one.

use std::sync::Arc;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::cluster::{Cluster, Node};
use super::settings::tests::sample;
use super::{config, entity_operator, guards, pods, secrets, services, status};

const NAMES: [&str; 2] = ["broker-pool", "controller"];

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn kafka(spec: Value) -> DynamicObject {
    object(json!({
        "apiVersion": "kafka.strimzi.io/v1beta2", "kind": "Kafka",
        "metadata": {"name": "streaming-cluster", "namespace": "kafka", "uid": "u", "generation": 1},
        "spec": spec,
    }))
}

fn pools() -> Vec<Arc<DynamicObject>> {
    let roles = [json!(["broker"]), json!(["controller"])];
    NAMES
        .iter()
        .zip(roles)
        .map(|(name, roles)| {
            Arc::new(object(json!({
                "apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaNodePool",
                "metadata": {
                    "name": name, "namespace": "kafka", "uid": name, "generation": 1,
                    "labels": {"strimzi.io/cluster": "streaming-cluster"}
                },
                "spec": {"replicas": 3, "roles": roles, "storage": {"type": "jbod", "volumes": [
                    {"id": 0, "type": "persistent-claim", "size": "10Gi", "deleteClaim": true}
                ]}},
            })))
        })
        .collect()
}

fn spec() -> Value {
    json!({"kafka": {
        "version": "3.9.0",
        "listeners": [{"name": "plain", "port": 9092, "type": "internal", "tls": false}],
        "config": {"default.replication.factor": 3, "min.insync.replicas": 2},
    }})
}

/// Everything that the stand-in makes of the cluster.
fn made(cluster: &Cluster<'_>) -> Vec<Value> {
    let mut objects = services::all(cluster);
    objects.extend(guards::all(cluster));
    objects.extend(
        cluster
            .nodes()
            .map(|node| config::config_map(cluster, node)),
    );
    objects.extend(
        secrets::wanted(cluster)
            .iter()
            .map(|secret| secrets::object(cluster, secret, json!({}))),
    );
    for pool in &cluster.pools {
        objects.extend(
            pods::claims(cluster, pool)
                .into_iter()
                .map(|(claim, _)| claim),
        );
        let set = pods::pod_set(cluster, pool, "core.strimzi.io/v1beta2");
        let pods = set["spec"]["pods"].as_array().unwrap().clone();
        objects.extend(pods.into_iter().map(|mut pod| {
            pod["metadata"]["ownerReferences"] = json!([{
                "kind": "StrimziPodSet", "name": set["metadata"]["name"], "controller": true, "blockOwnerDeletion": false
            }]);
            pod
        }));
        objects.push(set);
    }
    objects
}

/// One side of the comparison, in the form of the reference.
fn outline(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let owners: Vec<Value> = metadata["ownerReferences"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|owner| {
            json!([
                owner["kind"],
                owner["name"],
                owner["controller"],
                owner["blockOwnerDeletion"]
            ])
        })
        .collect();
    let mut outline = json!({
        "kind": object["kind"],
        "apiVersion": object["apiVersion"],
        "name": metadata["name"],
        "labels": metadata["labels"],
        "ownerReferences": owners,
        "annotations": sorted_keys(&metadata["annotations"]),
    });
    let spec = &object["spec"];
    match object["kind"].as_str().unwrap() {
        "Service" => {
            let ports: Vec<Value> = spec["ports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|port| json!([port["name"], port["port"]]))
                .collect();
            outline["spec"] = json!({
                "type": spec["type"],
                "ports": ports,
                "selector": spec["selector"],
                "publishNotReadyAddresses": spec["publishNotReadyAddresses"],
            });
        }
        "Pod" => {
            let pairs = |list: &Value, left: &str, right: &str| -> Value {
                list.as_array()
                    .unwrap()
                    .iter()
                    .map(|one| json!([one[left], one[right]]))
                    .collect()
            };
            let container = &spec["containers"][0];
            outline["spec"] = json!({
                "hostname": spec["hostname"],
                "subdomain": spec["subdomain"],
                "serviceAccountName": spec["serviceAccountName"],
                "volumes": spec["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].clone()).collect::<Vec<_>>(),
                "containers": [{
                    "name": container["name"],
                    "image": container["image"],
                    "ports": pairs(&container["ports"], "name", "containerPort"),
                    "readinessProbe": container["readinessProbe"],
                    "volumeMounts": pairs(&container["volumeMounts"], "name", "mountPath"),
                }],
            });
        }
        "ConfigMap" => outline["keys"] = sorted_keys(&object["data"]),
        "PersistentVolumeClaim" => outline["spec"] = spec.clone(),
        "PodDisruptionBudget" => outline["spec"] = spec.clone(),
        "StrimziPodSet" => outline["pods"] = json!(spec["pods"].as_array().unwrap().len()),
        _ => {}
    }
    outline
}

fn sorted_keys(map: &Value) -> Value {
    let mut keys: Vec<String> = map
        .as_object()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    keys.sort();
    json!(keys)
}

/// What the API server and other controllers add to what the operator writes.
fn without_additions(mut seen: Value) -> Value {
    let map = seen.as_object_mut().unwrap();
    for field in ["finalizers", "status"] {
        map.shift_remove(field);
    }
    if map["kind"] == "Secret" {
        // Ours are compared by name; their content is checked where they are made.
        map.shift_remove("keys");
    }
    if let Some(annotations) = map["annotations"].as_array_mut() {
        annotations.retain(|one| {
            one.as_str()
                .is_some_and(|one| one.starts_with("strimzi.io/"))
        });
    }
    if let Some(labels) = map["labels"].as_object_mut() {
        labels.shift_remove("topology.kubernetes.io/zone");
    }
    if let Some(spec) = map.get_mut("spec").and_then(Value::as_object_mut) {
        spec.shift_remove("clusterIP");
    }
    seen
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_objects_are_those_of_the_real_operator() {
    let Ok(dir) = std::env::var("PIPECTL_REFERENCE_DIR") else {
        eprintln!("skipped: PIPECTL_REFERENCE_DIR is not set");
        return;
    };
    let text =
        std::fs::read_to_string(format!("{dir}/strimzi-0.47.0/observed-objects.json")).unwrap();
    let observed: Vec<Value> = serde_json::from_str(&text).unwrap();
    let settings = sample("0.47.0");
    let cluster = Cluster::of(
        &kafka(spec()),
        &pools(),
        &[],
        &settings,
        || "id".into(),
        |_| [].into(),
    )
    .unwrap();
    let made = made(&cluster);
    let mut compared = 0;
    for seen in &observed {
        if seen["kind"] == "KafkaNodePool" {
            let pool = cluster
                .pools
                .iter()
                .find(|pool| seen["name"] == pool.name.as_str())
                .unwrap();
            let mut expected = seen["status"].clone();
            expected["clusterId"] = json!("id");
            assert_eq!(status::pool(&cluster, pool), expected);
            continue;
        }
        let ours = made
            .iter()
            .find(|object| {
                object["kind"] == seen["kind"] && object["metadata"]["name"] == seen["name"]
            })
            .unwrap_or_else(|| panic!("not made: {} {}", seen["kind"], seen["name"]));
        assert_eq!(
            outline(ours),
            without_additions(seen.clone()),
            "{} {}",
            seen["kind"],
            seen["name"]
        );
        compared += 1;
    }
    let kinds = ["KafkaNodePool", "Kafka"];
    let others = observed
        .iter()
        .filter(|seen| !kinds.iter().any(|kind| seen["kind"] == *kind))
        .count();
    assert_eq!(compared, others);
    assert_eq!(
        made.len(),
        others,
        "objects that the real operator did not make"
    );
}

#[test]
fn owner_references_block_deletion_since_0_49() {
    for (version, kafka_version, blocks) in [("0.47.0", "3.9.0", false), ("0.49.0", "4.1.0", true)]
    {
        let settings = sample(version);
        let mut spec = spec();
        spec["kafka"]["version"] = json!(kafka_version);
        let cluster = Cluster::of(
            &kafka(spec),
            &pools(),
            &[],
            &settings,
            || "id".into(),
            |_| [].into(),
        )
        .unwrap();
        assert_eq!(cluster.owner()["blockOwnerDeletion"], blocks);
    }
}

#[test]
fn retained_claims_have_no_owner() {
    let mut pools = pools();
    let pool = Arc::make_mut(&mut pools[0]);
    pool.data["spec"]["storage"]["volumes"][0]["deleteClaim"] = json!(false);
    let settings = sample("0.47.0");
    let cluster = Cluster::of(
        &kafka(spec()),
        &pools,
        &[],
        &settings,
        || "id".into(),
        |_| [].into(),
    )
    .unwrap();
    let owners = |at: usize| {
        pods::claims(&cluster, &cluster.pools[at])[0].0["metadata"]["ownerReferences"].clone()
    };
    assert_eq!(owners(0), json!([]));
    assert_eq!(owners(1)[0]["kind"], "KafkaNodePool");
}

#[test]
fn only_settings_that_need_it_change_a_pod() {
    let settings = sample("0.47.0");
    let revision = |change: &dyn Fn(&mut Value)| {
        let mut spec = spec();
        change(&mut spec);
        let cluster = Cluster::of(
            &kafka(spec),
            &pools(),
            &[],
            &settings,
            || "id".into(),
            |_| [].into(),
        )
        .unwrap();
        let set = pods::pod_set(&cluster, &cluster.pools[0], "core.strimzi.io/v1beta2");
        set["spec"]["pods"][0]["metadata"]["annotations"][pods::REVISION].clone()
    };
    let before = revision(&|_| {});
    assert_eq!(
        before,
        revision(&|spec| spec["kafka"]["config"]["log.retention.ms"] = json!(1))
    );
    assert_ne!(
        before,
        revision(&|spec| spec["kafka"]["config"]["auto.create.topics.enable"] = json!(false))
    );
    assert_ne!(
        before,
        revision(&|spec| spec["kafka"]["version"] = json!("3.9.1"))
    );
    assert_ne!(
        before,
        revision(&|spec| spec["kafka"]["resources"] = json!({"requests": {"memory": "2Gi"}}))
    );
}

#[test]
fn occupied_brokers_are_not_removed() {
    let mut pools = pools();
    let pool = Arc::make_mut(&mut pools[0]);
    pool.data["spec"]["replicas"] = json!(2);
    pool.data["status"] = json!({"nodeIds": [0, 1, 2]});
    let settings = sample("0.47.0");
    let mut spec = spec();
    spec["kafka"]["config"]["default.replication.factor"] = json!(2);
    let of = |occupied: &[i32]| {
        let occupied: std::collections::BTreeSet<i32> = occupied.iter().copied().collect();
        let cluster = Cluster::of(
            &kafka(spec.clone()),
            &pools,
            &[],
            &settings,
            || "id".into(),
            |_| occupied,
        )
        .unwrap();
        (
            cluster.pools[0].node_ids.clone(),
            cluster
                .warnings
                .iter()
                .map(|(reason, _)| *reason)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(of(&[0, 1]), (vec![0, 1], vec![]));
    assert_eq!(of(&[2]), (vec![0, 1, 2], vec!["ScaleDownPreventionCheck"]));
}

#[test]
fn the_entity_operator_is_made_only_where_it_is_declared() {
    let settings = sample("0.47.0");
    let of = |declared: Value| {
        let mut spec = spec();
        spec["entityOperator"] = declared;
        let cluster = Cluster::of(
            &kafka(spec),
            &pools(),
            &[],
            &settings,
            || "id".into(),
            |_| [].into(),
        )
        .unwrap();
        let names = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        let all = entity_operator::all(&cluster);
        let deployment = all
            .iter()
            .find(|object| object["kind"] == "Deployment")
            .cloned();
        (all.iter().map(names).collect::<Vec<_>>(), deployment)
    };
    assert!(of(json!({})).0.is_empty());
    let (names, deployment) = of(json!({"topicOperator": {}}));
    assert!(names.iter().all(|name| !name.contains("user")), "{names:?}");
    let deployment = deployment.unwrap();
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "quay.io/strimzi/operator:0.47.0"
    );
}

#[test]
fn nodes_are_named_after_cluster_pool_and_id() {
    let settings = sample("0.47.0");
    let cluster = Cluster::of(
        &kafka(spec()),
        &pools(),
        &[],
        &settings,
        || "id".into(),
        |_| [].into(),
    )
    .unwrap();
    let names: Vec<String> = cluster
        .nodes()
        .map(|node: Node<'_>| cluster.pod_name(node))
        .collect();
    assert_eq!(names[0], "streaming-cluster-broker-pool-0");
    assert_eq!(names[5], "streaming-cluster-controller-5");
}
