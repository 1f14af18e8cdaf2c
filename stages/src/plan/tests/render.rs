use std::collections::BTreeMap;

use serde_json::Value;

use super::streaming;
use crate::{plan::rendered_objects, ports::objects::ObjectRef};

fn rendered(version: &str) -> Vec<Value> {
    rendered_objects(&streaming(&[]), version, &|_| None)
}

#[test]
fn the_streaming_blueprint_renders_as_documented() {
    let yaml: Vec<String> = rendered("v1")
        .iter()
        .map(|object| {
            let mut object = object.clone();
            // The program itself is the blueprint's business.
            if object["metadata"]["name"] == "spark-code" {
                for value in object["data"].as_object_mut().unwrap().values_mut() {
                    *value = "...".into();
                }
            }
            serde_norway::to_string(&object).unwrap()
        })
        .collect();
    insta::with_settings!({filters => vec![("pipectl.dev/code: [0-9a-f]{32}", "pipectl.dev/code: DIGEST")]}, {
        insta::assert_snapshot!(yaml.join("---\n"));
    });
}

#[test]
fn every_figure_of_the_document_is_there() {
    let objects = rendered("v1");
    let find = |kind: &str, name: &str| {
        let found = objects
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let pool = find("KafkaNodePool", "broker-pool");
    assert_eq!(pool["spec"]["replicas"], 3);
    assert_eq!(pool["spec"]["storage"]["volumes"][0]["size"], "10Gi");
    let kafka = find("Kafka", "streaming-cluster");
    assert_eq!(kafka["spec"]["kafka"]["listeners"][0]["port"], 9092);
    assert_eq!(kafka["spec"]["kafka"]["listeners"][0]["type"], "internal");
    assert_eq!(kafka["spec"]["kafka"]["listeners"][0]["tls"], false);
    assert_eq!(kafka["spec"]["kafka"]["config"]["min.insync.replicas"], 2);
    let topic = find("KafkaTopic", "streaming-topic");
    assert_eq!(topic["spec"]["partitions"], 3);
    assert_eq!(topic["spec"]["replicas"], 3);
    assert_eq!(topic["spec"]["config"]["retention.ms"], 600_000);
    assert_eq!(topic["spec"]["config"]["min.insync.replicas"], 2);
    assert_eq!(
        topic["metadata"]["labels"]["strimzi.io/cluster"],
        "streaming-cluster"
    );
    let was = find("Deployment", "was");
    let container = &was["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(was["spec"]["replicas"], 2);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/main");
    assert_eq!(container["livenessProbe"]["initialDelaySeconds"], 60);
    assert_eq!(container["readinessProbe"]["initialDelaySeconds"], 30);
    assert_eq!(container["resources"]["requests"]["memory"], "512Mi");
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(
        find("Service", "was-service-external")["spec"]["ports"][0]["nodePort"],
        30080
    );
    let app = &find("SparkApplication", "spark-kafka-consumer")["spec"];
    assert_eq!(app["driver"]["cores"], 1);
    assert_eq!(app["driver"]["memory"], "1g");
    assert_eq!(app["driver"]["serviceAccount"], "spark");
    assert_eq!(app["executor"]["instances"], 2);
    assert_eq!(app["executor"]["memory"], "2g");
    assert_eq!(app["imagePullPolicy"], "Always");
    assert_eq!(
        app["sparkConf"]["spark.kubernetes.driver.podTemplateFile"],
        ""
    );
    assert_eq!(
        app["sparkConf"]["spark.kubernetes.executor.podTemplateFile"],
        ""
    );
    assert_eq!(app["driver"]["configMaps"][0]["name"], "spark-code");
    assert_eq!(
        app["driver"]["envVars"]["KAFKA_BOOTSTRAP_SERVERS"],
        "streaming-cluster-kafka-bootstrap.kafka.svc.cluster.local:9092"
    );
}

#[test]
fn old_strimzi_needs_annotations_and_new_ones_do_not() {
    let mut loaded = streaming(&[]);
    assert!(
        rendered("v1")
            .iter()
            .all(|object| object["metadata"]["annotations"]["strimzi.io/kraft"].is_null())
    );
    if let Some(strimzi) = &mut loaded.pipeline.spec.strimzi {
        strimzi.version = "0.45.1".parse().unwrap();
    }
    let objects = rendered_objects(&loaded, "v1beta2", &|_| None);
    let kafka = objects
        .iter()
        .find(|object| object["kind"] == "Kafka")
        .unwrap();
    assert_eq!(kafka["apiVersion"], "kafka.strimzi.io/v1beta2");
    assert_eq!(
        kafka["metadata"]["annotations"]["strimzi.io/kraft"],
        "enabled"
    );
}

/// Holds what is rendered against the official definitions: every field must be known there, of the right type, with
/// an allowed value, and nothing required may be missing.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn the_official_definitions_know_every_field() {
    let Ok(reference) = std::env::var("PIPECTL_REFERENCE_DIR") else {
        eprintln!("skipped: PIPECTL_REFERENCE_DIR is not set");
        return;
    };
    let reference = std::path::Path::new(&reference);
    for (folder, version) in [("strimzi-0.47.0", "v1beta2"), ("strimzi-1.2.0", "v1")] {
        let mut schemas = schemas_in(&reference.join(folder).join("crds"));
        schemas.extend(schemas_in(
            &reference.join("spark-operator-2.5.2").join("crds"),
        ));
        let mut held = 0;
        for object in rendered(version) {
            let at = ObjectRef::of(&object);
            let key = (
                at.kind.group.clone(),
                at.kind.version.clone(),
                at.kind.kind.clone(),
            );
            let Some(schema) = schemas.get(&key) else {
                assert!(
                    !at.kind.group.ends_with("strimzi.io")
                        && at.kind.group != "sparkoperator.k8s.io",
                    "{folder} has no {at} in {}",
                    at.kind.version
                );
                continue;
            };
            held += 1;
            let mut troubles = Vec::new();
            hold(
                &object["spec"],
                &schema["properties"]["spec"],
                "spec",
                &mut troubles,
            );
            assert_eq!(troubles, Vec::<String>::new(), "{at} against {folder}");
        }
        assert_eq!(held, 5, "two pools, Kafka, a topic, an application");
    }
}

type Schemas = BTreeMap<(String, String, String), Value>;

fn schemas_in(folder: &std::path::Path) -> Schemas {
    let mut schemas = Schemas::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for document in text.split("\n---") {
            let Ok(crd) = serde_norway::from_str::<Value>(document) else {
                continue;
            };
            let spec = &crd["spec"];
            for version in spec["versions"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let key = (
                    text(&spec["group"]),
                    text(&version["name"]),
                    text(&spec["names"]["kind"]),
                );
                schemas.insert(key, version["schema"]["openAPIV3Schema"].clone());
            }
        }
    }
    schemas
}

fn hold(value: &Value, schema: &Value, path: &str, troubles: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true && schema["properties"].is_null() {
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        troubles.push(format!("{path}: {value} is not among {allowed:?}"));
    }
    let type_fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !type_fits {
        troubles.push(format!("{path}: {value} is no {}", schema["type"]));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap_or_default();
        if value.get(name).is_none() {
            troubles.push(format!("{path}.{name} is required"));
        }
    }
    if let Some(map) = value.as_object() {
        for (key, part) in map {
            let below = &schema["properties"][key];
            if !below.is_null() {
                hold(part, below, &format!("{path}.{key}"), troubles);
            } else if schema["additionalProperties"].is_object() {
                hold(
                    part,
                    &schema["additionalProperties"],
                    &format!("{path}.{key}"),
                    troubles,
                );
            } else if schema["additionalProperties"].is_null()
                && schema["x-kubernetes-preserve-unknown-fields"] != true
            {
                troubles.push(format!("{path}.{key} is not known"));
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        hold(
            item,
            &schema["items"],
            &format!("{path}[{index}]"),
            troubles,
        );
    }
}
