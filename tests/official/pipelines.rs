//! The pipelines that are rendered: the blueprint, and some that together set every option that ends in a custom resource.

use std::{collections::BTreeSet, sync::Arc};

use pipectl_config::{
    Blueprint, LoadOptions, Loaded, Override, load, pipeline_schema, source::MemorySource,
};
use serde_json::Value;

const RICH: &str = include_str!("pipelines/rich.yaml");
const LEAN: &str = include_str!("pipelines/lean.yaml");
const ZOOKEEPER: &str = include_str!("pipelines/zookeeper.yaml");

/// A Strimzi release with what goes with it.
pub struct Release {
    /// The release.
    pub strimzi: &'static str,
    /// The version of its API.
    pub api: &'static str,
    /// A Kafka version that it runs.
    pub kafka: &'static str,
    /// A metadata version of that.
    pub metadata: &'static str,
    /// A Kubernetes version that it runs on.
    pub kubernetes: &'static str,
}

/// The releases with reference data, oldest first.
pub const RELEASES: [Release; 3] = [
    Release {
        strimzi: "0.44.0",
        api: "v1beta2",
        kafka: "3.7.0",
        metadata: "3.7-IV4",
        kubernetes: "1.32",
    },
    Release {
        strimzi: "0.47.0",
        api: "v1beta2",
        kafka: "3.9.0",
        metadata: "3.9-IV0",
        kubernetes: "1.35",
    },
    Release {
        strimzi: "1.2.0",
        api: "v1",
        kafka: "4.3.1",
        metadata: "4.3-IV0",
        kubernetes: "1.35",
    },
];

impl Release {
    fn options(&self) -> LoadOptions {
        let set = |path: &str, value: &str| Override {
            path: path.to_owned(),
            value: format!("{value:?}"),
        };
        LoadOptions {
            overrides: vec![
                set("strimzi.version", self.strimzi),
                set("kafka.version", self.kafka),
                set("cluster.kubernetesVersion", self.kubernetes),
            ],
            sandbox: false,
        }
    }

    /// The pipelines for this release, by name.
    pub fn pipelines(&self) -> Vec<(&'static str, Loaded)> {
        let options = self.options();
        let blueprint = Blueprint::get("streaming").unwrap().load(&options).unwrap();
        let mut pipelines = vec![("streaming", blueprint)];
        let mut texts = vec![("rich", RICH), ("lean", LEAN)];
        if pipectl_config::compat::strimzi_has_zookeeper(&self.strimzi.parse().unwrap()) {
            texts.push(("zookeeper", ZOOKEEPER));
        }
        for (name, text) in texts {
            let files = MemorySource::new(format!("{name}: "))
                .with("pipeline.yaml", text.replace("@METADATA@", self.metadata))
                .with("app.py", "print('hello')\n")
                .with("account.yaml", ACCOUNT)
                .with("zookeeper.yaml", SERVICE);
            let loaded = load(Arc::new(files), "pipeline.yaml", &options);
            let loaded = loaded.unwrap_or_else(|findings| panic!("{name}: {findings:?}"));
            pipelines.push((name, loaded));
        }
        pipelines
    }
}

const ACCOUNT: &str = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}\n";
const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: zookeeper}, spec: {ports: [{port: 2181}]}}\n";

/// Options and words of the schema below `schema` that `value` uses, as `Type.field` and `Type=word`.
fn used(root: &Value, schema: &Value, name: &str, value: &Value, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        used(root, &root["$defs"][name], name, value, found);
        return;
    }
    for alternative in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[alternative].as_array().into_iter().flatten() {
            if schema["const"].is_null() || schema["const"] == *value {
                used(root, schema, name, value, found);
            }
        }
    }
    for word in schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&schema["const"]])
    {
        if !word.is_null() && word == value {
            found.insert(format!("{name}={}", word.as_str().unwrap_or_default()));
        }
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(field) {
            found.insert(format!("{name}.{field}"));
            used(root, schema, name, value, found);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        used(root, &schema["items"], name, item, found);
    }
    for (_, item) in value.as_object().into_iter().flatten() {
        used(root, &schema["additionalProperties"], name, item, found);
    }
}

/// Everything that could be used below `schema`.
fn usable(root: &Value, schema: &Value, name: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        if found.insert(name.to_owned()) {
            usable(root, &root["$defs"][name], name, found);
        }
        return;
    }
    for alternative in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[alternative].as_array().into_iter().flatten() {
            usable(root, schema, name, found);
        }
    }
    for word in schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&schema["const"]])
    {
        if let Some(word) = word.as_str() {
            found.insert(format!("{name}={word}"));
        }
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{name}.{field}"));
        usable(root, schema, name, found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            usable(root, &schema[inner], name, found);
        }
    }
}

/// A new option of a Kafka cluster or Spark application must be rendered by one of the pipelines here.
#[test]
fn the_pipelines_set_every_option_of_kafka_and_of_spark_applications() {
    let schema = serde_json::to_value(pipeline_schema()).unwrap();
    let sections = [
        ("Kafka", "/spec/kafka"),
        ("SparkApplication", "/spec/sparkApplications"),
    ];
    let (mut all, mut some) = (BTreeSet::new(), BTreeSet::new());
    for (name, place) in sections {
        let definition = &schema["$defs"][name];
        assert!(
            definition["properties"].is_object(),
            "{name} is in the schema"
        );
        usable(&schema, definition, name, &mut all);
        for text in [RICH, LEAN, ZOOKEEPER] {
            let pipeline: Value = serde_norway::from_str(text).unwrap();
            let section = pipeline.pointer(place).cloned().unwrap_or_default();
            let values = match section {
                Value::Array(items) => items,
                one => vec![one],
            };
            for value in values {
                used(&schema, definition, name, &value, &mut some);
            }
        }
    }
    all.retain(|option| option.contains(['.', '=']));
    // Where the value of a secret is kept shows in no custom resource.
    all.retain(|option| !option.starts_with("Secret"));
    assert!(all.len() > 60, "the schema is read: {all:?}");
    let forgotten: Vec<&String> = all.difference(&some).collect();
    assert!(forgotten.is_empty(), "no pipeline sets {forgotten:?}");
}
