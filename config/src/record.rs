//! A loaded pipeline as the journal keeps it: complete, so that a later command needs no file of the user's.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    loaded::{Loaded, ManifestObject},
    model::Pipeline,
    source::MemorySource,
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    file: String,
    pipeline: Pipeline,
    #[serde(default)]
    workloads: BTreeMap<String, Vec<ManifestObject>>,
    #[serde(default)]
    applications: Vec<ApplicationRecord>,
    #[serde(default)]
    zookeeper: Vec<ManifestObject>,
}

#[derive(Serialize, Deserialize)]
struct ApplicationRecord {
    namespace: String,
    name: String,
    #[serde(default)]
    objects: Vec<ManifestObject>,
    #[serde(default)]
    code: BTreeMap<String, String>,
}

impl Loaded {
    /// The pipeline with the content of every file it names. Secrets are in it by reference only, as in the file.
    #[must_use]
    pub fn to_record(&self) -> Value {
        let keys: std::collections::BTreeSet<_> =
            self.applications.keys().chain(self.code.keys()).collect();
        let applications = keys
            .into_iter()
            .map(|key| ApplicationRecord {
                namespace: key.0.clone(),
                name: key.1.clone(),
                objects: self.applications.get(key).cloned().unwrap_or_default(),
                code: self.code.get(key).cloned().unwrap_or_default(),
            })
            .collect();
        let record = Record {
            file: self.file.clone(),
            pipeline: self.pipeline.clone(),
            workloads: self.workloads.clone(),
            applications,
            zookeeper: self.zookeeper.clone(),
        };
        serde_json::to_value(record).unwrap_or_default()
    }

    /// What [`Loaded::to_record`] kept; `None` when it was kept in a form that this version does not read.
    #[must_use]
    pub fn from_record(record: &Value) -> Option<Self> {
        let record = Record::deserialize(record).ok()?;
        let mut applications = BTreeMap::new();
        let mut code = BTreeMap::new();
        for application in record.applications {
            let key = (application.namespace, application.name);
            applications.insert(key.clone(), application.objects);
            code.insert(key, application.code);
        }
        Some(Self {
            pipeline: record.pipeline,
            warnings: Vec::new(),
            literal_secrets: Vec::new(),
            file: record.file,
            files: Arc::new(MemorySource::new("recorded: ")),
            workloads: record.workloads,
            applications,
            code,
            zookeeper: record.zookeeper,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blueprint, LoadOptions};

    #[test]
    fn a_recorded_pipeline_comes_back_whole() {
        for blueprint in Blueprint::list() {
            let loaded = blueprint.load(&LoadOptions::default()).unwrap();
            let back = Loaded::from_record(&loaded.to_record()).unwrap();
            assert_eq!(back.pipeline, loaded.pipeline);
            assert_eq!(back.workloads, loaded.workloads);
            assert_eq!(back.to_record(), loaded.to_record());
            for application in &loaded.pipeline.spec.spark_applications {
                assert_eq!(
                    back.application_code(&application.namespace, &application.name),
                    loaded.application_code(&application.namespace, &application.name)
                );
            }
        }
    }
}
