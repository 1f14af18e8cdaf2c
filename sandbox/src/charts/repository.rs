//! Everything that the chart server serves, by path.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::pack;
use super::sources::{Chart, spark_charts, strimzi_charts};
use super::{SPARK_OPERATOR_PATH, STRIMZI_PATH};

/// A served file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its content.
    pub bytes: Bytes,
    /// Its media type.
    pub content_type: &'static str,
}

/// The files of both repositories, by absolute path.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    files: BTreeMap<String, File>,
}

/// When the charts "were made": a constant, so that the index is the same each time.
const CREATED: &str = "2025-01-01T00:00:00Z";

impl Repository {
    /// Packs every chart and writes the indexes; `crds` as in [`super::serve_with`].
    #[must_use]
    pub fn build(crds: Option<&Path>) -> Self {
        let mut repository = Repository::default();
        repository.add(STRIMZI_PATH, strimzi_charts(crds));
        repository.add(SPARK_OPERATOR_PATH, spark_charts(crds));
        repository
    }

    /// The file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Adds one repository below `path`.
    fn add(&mut self, path: &str, charts: Vec<Chart>) {
        let mut entries: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        // An index lists the newest version first.
        for chart in charts.into_iter().rev() {
            let archive = match pack(chart.name, &chart.files) {
                Ok(archive) => archive,
                Err(error) => {
                    tracing::error!(%error, chart = chart.name, version = chart.version, "a chart could not be packed");
                    continue;
                }
            };
            let file = format!("{}-{}.tgz", chart.name, chart.version);
            entries.entry(chart.name).or_default().push(json!({
                "apiVersion": "v2",
                "name": chart.name,
                "version": chart.version,
                "appVersion": chart.version,
                "type": "application",
                "description": chart.description,
                "created": CREATED,
                "digest": hex(&Sha256::digest(&archive)),
                "urls": [file],
            }));
            self.insert(format!("{path}/{file}"), archive, "application/gzip");
        }
        let index = json!({"apiVersion": "v1", "generated": CREATED, "entries": entries});
        self.insert(
            format!("{path}/index.yaml"),
            index.to_string().into_bytes(),
            "text/yaml",
        );
    }

    fn insert(&mut self, path: String, bytes: Vec<u8>, content_type: &'static str) {
        self.files.insert(
            path,
            File {
                bytes: Bytes::from(bytes),
                content_type,
            },
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_of_the_index_is_there_with_its_digest() {
        let repository = Repository::build(None);
        for (path, chart, newest) in [
            (STRIMZI_PATH, "strimzi-kafka-operator", "1.2.0"),
            (SPARK_OPERATOR_PATH, "spark-operator", "2.5.2"),
        ] {
            let index = &repository.get(&format!("{path}/index.yaml")).unwrap().bytes;
            let index: Value = serde_norway::from_slice(index).unwrap();
            let versions = index["entries"][chart].as_array().unwrap();
            assert_eq!(versions[0]["version"], newest);
            assert!(
                versions[0]["description"]
                    .as_str()
                    .unwrap()
                    .contains("stand-in")
            );
            for version in versions {
                let file = version["urls"][0].as_str().unwrap();
                let archive = &repository.get(&format!("{path}/{file}")).unwrap().bytes;
                assert_eq!(version["digest"], hex(&Sha256::digest(archive)));
            }
        }
    }

    #[test]
    fn the_archives_have_templates_values_and_definitions() {
        let repository = Repository::build(None);
        let archive = &repository
            .get("/strimzi/strimzi-kafka-operator-0.47.0.tgz")
            .unwrap()
            .bytes;
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&archive[..]));
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        for expected in [
            "strimzi-kafka-operator/Chart.yaml",
            "strimzi-kafka-operator/values.yaml",
            "strimzi-kafka-operator/templates/deployment.yaml",
            "strimzi-kafka-operator/crds/kafkas.kafka.strimzi.io.yaml",
        ] {
            assert!(
                names.iter().any(|name| name == expected),
                "{expected} is not among {names:?}"
            );
        }
    }

    #[test]
    fn official_definitions_take_the_place_of_our_own_where_they_are_given() {
        let dir = tempfile::tempdir().unwrap();
        let crds = dir.path().join("strimzi-1.2.0/crds");
        std::fs::create_dir_all(&crds).unwrap();
        std::fs::write(crds.join("040-Crd-kafka.yaml"), "official").unwrap();
        let repository = Repository::build(Some(dir.path()));
        let definitions = |version: &str| -> Vec<String> {
            let path = format!("/strimzi/strimzi-kafka-operator-{version}.tgz");
            let archive = &repository.get(&path).unwrap().bytes;
            tar::Archive::new(flate2::read::GzDecoder::new(&archive[..]))
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().path().unwrap().display().to_string())
                .filter(|path| path.contains("/crds/"))
                .collect()
        };
        assert_eq!(
            definitions("1.2.0"),
            ["strimzi-kafka-operator/crds/040-Crd-kafka.yaml"]
        );
        assert_eq!(definitions("0.47.0").len(), 5);
    }
}
