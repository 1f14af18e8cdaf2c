//! The files of each stand-in chart.

use std::path::Path;

use pipectl_kinds::spark::{scheduled_spark_application_crd, spark_application_crd};
use pipectl_kinds::strimzi;
use pipectl_kinds::strimzi::releases::{RELEASES, Release, at_least};
use serde_json::{Value, json};

/// One version of one chart.
pub(super) struct Chart {
    /// Chart name.
    pub name: &'static str,
    /// Chart version; the operator's version is the same, as in both real charts.
    pub version: &'static str,
    /// What `helm search` shows.
    pub description: &'static str,
    /// Path in the chart, and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The oldest Strimzi that is offered.
const OLDEST_STRIMZI: &str = "0.44.0";

/// Versions of the Spark operator's chart, all of the layout that came with 2.0.0 (`spark.jobNamespaces`, a separate
/// webhook).
const SPARK_OPERATOR: [&str; 3] = ["2.3.0", "2.4.0", "2.5.2"];

const STRIMZI_DESCRIPTION: &str =
    "The sandbox's stand-in for Strimzi: Kafka's objects on Kubernetes, without Kafka";
const SPARK_DESCRIPTION: &str =
    "The sandbox's stand-in for the Spark operator: Spark's objects on Kubernetes, without Spark";

macro_rules! chart_files {
    ($chart:literal: $($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../charts/", $chart, "/", $path)))),+]
    };
}

/// Strimzi's charts, oldest first.
pub(super) fn strimzi_charts(official: Option<&Path>) -> Vec<Chart> {
    RELEASES
        .iter()
        .filter(|release| at_least(release.strimzi, OLDEST_STRIMZI))
        .map(|release| strimzi_chart(release, official))
        .collect()
}

fn strimzi_chart(release: &Release, official: Option<&Path>) -> Chart {
    let kafka: Vec<String> = release
        .kafka
        .iter()
        .map(|version| format!("\"{version}\""))
        .collect();
    // Up to 0.x a watched namespace that is the operator's own makes two bindings of one name, which Helm refuses; the
    // values file of 0.47.0 warns of it, that of 1.2.0 doesn't any more.
    let unique = if at_least(release.strimzi, "1.0.0") {
        "true"
    } else {
        "false"
    };
    let fill = |text: &str| {
        text.replace("@VERSION@", release.strimzi)
            .replace("@KAFKA_VERSIONS@", &kafka.join(" "))
            .replace("@UNIQUE_NAMESPACES@", unique)
    };
    let templates = chart_files!("strimzi-kafka-operator":
        "values.yaml",
        "templates/_names.tpl",
        "templates/accounts.yaml",
        "templates/roles.yaml",
        "templates/deployment.yaml",
        "templates/NOTES.txt",
    );
    chart(
        "strimzi-kafka-operator",
        release.strimzi,
        STRIMZI_DESCRIPTION,
        &templates.map(|(path, text)| (path, fill(text))),
        crds(official, &format!("strimzi-{}", release.strimzi), || {
            strimzi::crds(release.strimzi)
        }),
    )
}

/// The Spark operator's charts, oldest first.
pub(super) fn spark_charts(official: Option<&Path>) -> Vec<Chart> {
    let templates = chart_files!("spark-operator":
        "values.yaml",
        "templates/_names.tpl",
        "templates/accounts.yaml",
        "templates/spark.yaml",
        "templates/controller.yaml",
        "templates/webhook.yaml",
        "templates/NOTES.txt",
    );
    SPARK_OPERATOR
        .iter()
        .map(|&version| {
            let own = || vec![spark_application_crd(), scheduled_spark_application_crd()];
            chart(
                "spark-operator",
                version,
                SPARK_DESCRIPTION,
                &templates.map(|(path, text)| (path, text.replace("@VERSION@", version))),
                crds(official, &format!("spark-operator-{version}"), own),
            )
        })
        .collect()
}

fn chart(
    name: &'static str,
    version: &'static str,
    description: &'static str,
    templates: &[(&str, String)],
    crds: Vec<(String, Vec<u8>)>,
) -> Chart {
    let metadata = json!({
        "apiVersion": "v2",
        "name": name,
        "version": version,
        "appVersion": version,
        "type": "application",
        "description": description,
    });
    let mut files = vec![("Chart.yaml".to_owned(), metadata.to_string().into_bytes())];
    files.extend(
        templates
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes())),
    );
    files.extend(crds);
    Chart {
        name,
        version,
        description,
        files,
    }
}

/// The official definitions of `release` below `dir`, if there are any, else our own.
fn crds(
    dir: Option<&Path>,
    release: &str,
    own: impl FnOnce() -> Vec<Value>,
) -> Vec<(String, Vec<u8>)> {
    let official = dir
        .map(|dir| dir.join(release).join("crds"))
        .and_then(|dir| std::fs::read_dir(dir).ok());
    let mut files: Vec<(String, Vec<u8>)> = official
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((format!("crds/{name}"), std::fs::read(entry.path()).ok()?))
        })
        .collect();
    if files.is_empty() {
        files = own()
            .iter()
            .filter_map(|definition| {
                let name = definition["metadata"]["name"].as_str()?;
                // JSON is YAML, and Helm reads definitions as YAML.
                Some((
                    format!("crds/{name}.yaml"),
                    definition.to_string().into_bytes(),
                ))
            })
            .collect();
    }
    files.sort();
    files
}
