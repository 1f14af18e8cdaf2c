//! Chart values against the keys that the official charts know.
//!
//! A key that a chart doesn't know is no error to Helm: it is silently without effect. So every key that pipectl sets by
//! itself must be in the chart's own `values.yaml`.

use std::path::Path;

use pipectl_config::Loaded;
use pipectl_stages::{spark_operator, strimzi};
use serde_json::{Value, json};

use crate::{pipelines::RELEASES, support::reference};

/// Keys of `values` that `known` has not, as dotted paths. What is empty, a list or a plain value in the chart may hold
/// anything of the user's below it.
fn unknown(path: &str, values: &Value, known: &Value, found: &mut Vec<String>) {
    let (Some(values), Some(known)) = (values.as_object(), known.as_object()) else {
        return;
    };
    if known.is_empty() {
        return;
    }
    for (key, value) in values {
        let path = format!("{path}.{key}");
        match known.get(key) {
            Some(known) => unknown(&path, value, known, found),
            None => found.push(path),
        }
    }
}

fn known_values(reference: &Path, release: &str) -> Value {
    let path = reference.join(release).join("values.yaml");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_norway::from_str(&text).unwrap()
}

/// What is set for the pipeline's two charts.
fn set_values(loaded: &Loaded) -> (Value, Value) {
    let spec = &loaded.pipeline.spec;
    (
        strimzi::chart_values(loaded, spec.strimzi.as_ref().unwrap()),
        spec.spark_operator.as_ref().map_or_else(
            || json!({}),
            |operator| spark_operator::chart_values(loaded, operator),
        ),
    )
}

#[test]
fn every_chart_value_is_one_that_the_official_chart_knows() {
    let Some(reference) = reference() else { return };
    let spark = known_values(&reference, "spark-operator-2.5.2");
    let mut found = Vec::new();
    for release in &RELEASES {
        let strimzi = known_values(&reference, &format!("strimzi-{}", release.strimzi));
        for (name, loaded) in release.pipelines() {
            let (for_strimzi, for_spark) = set_values(&loaded);
            let at = format!("{name}: strimzi {}", release.strimzi);
            unknown(&at, &for_strimzi, &strimzi, &mut found);
            unknown(
                &format!("{name}: spark-operator"),
                &for_spark,
                &spark,
                &mut found,
            );
        }
    }
    assert!(found.is_empty(), "the charts don't know {found:?}");
}

/// The mirrors and namespaces of a pipeline must be among what is checked above.
#[test]
fn mirrors_and_namespaces_reach_the_charts() {
    let (_, rich) = RELEASES[2].pipelines().swap_remove(1);
    let (for_strimzi, for_spark) = set_values(&rich);
    assert_eq!(for_strimzi["watchNamespaces"], json!(["events"]));
    assert_eq!(
        for_strimzi["defaultImageRegistry"],
        "registry.example.com:5000"
    );
    assert_eq!(for_strimzi["defaultImageRepository"], "mirror/strimzi");
    assert_eq!(for_strimzi["replicas"], 2);
    assert_eq!(for_spark["spark"]["jobNamespaces"], json!(["jobs"]));
    assert_eq!(
        for_spark["image"]["repository"],
        "mirror/kubeflow/spark-operator/controller"
    );
    assert_eq!(for_spark["controller"]["replicas"], 2);
}

#[test]
fn a_key_that_a_chart_does_not_know_is_found() {
    let known = json!({"image": {"tag": ""}, "labels": {}, "replicas": 1});
    let values = json!({"image": {"tagg": "x"}, "labels": {"a": "b"}, "replica": 2, "replicas": 2});
    let mut found = Vec::new();
    unknown("values", &values, &known, &mut found);
    assert_eq!(found, ["values.image.tagg", "values.replica"]);
}
