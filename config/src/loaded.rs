//! A pipeline with everything its file names: manifests parsed, substitutions made, program files read.

use crate::{
    clients::{env_values, is_bootstrap_variable},
    diagnostics::Diagnostic,
    model::{EnvValue, JsonObject, Pipeline},
    source::FileSource,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A Kubernetes object that the user wrote, in a manifest file or inline, with substitutions made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// The object.
    pub object: JsonObject,
    /// The file it stands in, as a person would write it.
    pub file: String,
    /// The line at which it begins, from 1.
    pub line: usize,
}

impl ManifestObject {
    fn text(&self, path: &[&str]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.object.get(*first)?, |value, key| value.get(key))?
            .as_str()
    }

    /// The object's API version; loading refuses objects without one.
    pub fn api_version(&self) -> &str {
        self.text(&["apiVersion"]).unwrap_or_default()
    }

    /// The object's kind; loading refuses objects without one.
    pub fn kind(&self) -> &str {
        self.text(&["kind"]).unwrap_or_default()
    }

    /// The object's name; loading refuses objects without one.
    pub fn name(&self) -> &str {
        self.text(&["metadata", "name"]).unwrap_or_default()
    }

    /// The namespace that the object itself names. Without one, namespaced objects go into their workload's namespace; which kinds
    /// are namespaced, discovery says.
    pub fn namespace(&self) -> Option<&str> {
        self.text(&["metadata", "namespace"])
    }

    /// The object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.object.clone())
    }
}

/// A Kafka client and the bootstrap address that it is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientAddress {
    /// The client's kind, such as `Deployment` or `SparkApplication`.
    pub kind: String,
    /// The client's namespace.
    pub namespace: String,
    /// The client's name.
    pub name: String,
    /// The environment variable that holds the address.
    pub variable: String,
    /// The address, or several with commas between them.
    pub address: String,
}

/// A checked pipeline with everything its file names.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The pipeline, complete: defaults filled in, substitutions made, every check passed.
    pub pipeline: Pipeline,
    /// What the person should know, though it is no error.
    pub warnings: Vec<Diagnostic>,
    /// The pipeline file, as a person would write it.
    pub file: String,
    pub(crate) files: Arc<dyn FileSource>,
    pub(crate) literal_secrets: Vec<(String, String)>,
    pub(crate) workloads: BTreeMap<String, Vec<ManifestObject>>,
    pub(crate) applications: BTreeMap<(String, String), Vec<ManifestObject>>,
    pub(crate) code: BTreeMap<(String, String), BTreeMap<String, String>>,
    pub(crate) zookeeper: Vec<ManifestObject>,
}

impl Loaded {
    /// Values that look like secrets although they are written out, by the name they have; each was warned about. They must not
    /// reach records and messages any more than referenced ones.
    pub fn literal_secrets(&self) -> &[(String, String)] {
        &self.literal_secrets
    }

    /// The objects of a workload, from its manifests in order and then its inline ones; none for a workload that is not enabled.
    pub fn workload_objects(&self, workload: &str) -> &[ManifestObject] {
        self.workloads.get(workload).map_or(&[], Vec::as_slice)
    }

    /// The objects that a Spark application needs before it, from its manifests in order and then its inline ones.
    pub fn application_objects(&self, namespace: &str, name: &str) -> &[ManifestObject] {
        self.applications
            .get(&(namespace.to_owned(), name.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// The program files of a Spark application: ConfigMap key to content. Empty without a `code` section.
    pub fn application_code(&self, namespace: &str, name: &str) -> BTreeMap<String, String> {
        self.code
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// The ZooKeeper manifest's objects; none unless it is enabled.
    pub fn zookeeper_objects(&self) -> &[ManifestObject] {
        &self.zookeeper
    }

    /// The Kafka clients: every variable of a container or Spark application whose name says that it holds bootstrap servers and whose
    /// value is written out, and every declared `kafkaClients` entry. In the order of workloads, then applications.
    pub fn kafka_clients(&self) -> Vec<ClientAddress> {
        let mut clients = Vec::new();
        for workload in &self.pipeline.spec.workloads {
            for object in self.workload_objects(&workload.name) {
                let declared: Vec<&str> = workload
                    .kafka_clients
                    .iter()
                    .filter(|client| client.kind == object.kind() && client.name == object.name())
                    .map(|client| client.env.as_str())
                    .collect();
                let mut variables = Vec::new();
                env_values(&object.to_value(), &mut variables);
                for (variable, address) in variables {
                    if declared.contains(&variable.as_str()) || is_bootstrap_variable(&variable) {
                        clients.push(ClientAddress {
                            kind: object.kind().to_owned(),
                            namespace: object.namespace().unwrap_or(&workload.namespace).to_owned(),
                            name: object.name().to_owned(),
                            variable,
                            address,
                        });
                    }
                }
            }
        }
        for app in &self.pipeline.spec.spark_applications {
            for (variable, value) in &app.env {
                if let (true, EnvValue::Literal(address)) = (is_bootstrap_variable(variable), value)
                {
                    clients.push(ClientAddress {
                        kind: "SparkApplication".to_owned(),
                        namespace: app.namespace.clone(),
                        name: app.name.clone(),
                        variable: variable.clone(),
                        address: address.clone(),
                    });
                }
            }
        }
        clients.dedup();
        clients
    }

    /// The files beside the pipeline file, for [`crate::SecretRef::read_local`].
    pub fn files(&self) -> &dyn FileSource {
        self.files.as_ref()
    }

    /// Where a file that the pipeline names is on disk; `None` for a blueprint inside the program.
    pub fn disk_path(&self, path: &str) -> Option<PathBuf> {
        self.files.disk_path(path)
    }
}
