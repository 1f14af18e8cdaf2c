//! One look at everything that the checks judge, from the shared watches.

use std::{collections::BTreeMap, sync::Arc};

use pipectl_config::{CreatedBy, Kafka, Loaded, is_system_namespace};
use serde_json::Value;

use crate::{
    blocks::pods::of_namespace,
    context::StepContext,
    error::StepError,
    kafka::GROUP,
    objects::{remaining, removal::list},
    ports::objects::{Kind, Selection},
    spark_application,
};

/// Annotation of a node that only pretends to run pods (KWOK).
const SIMULATED: &str = "kwok.x-k8s.io/node";

/// What was seen.
pub(super) struct Look {
    pub loaded: Arc<Loaded>,
    pub kafka: Vec<Arc<Value>>,
    pub topics: Vec<Arc<Value>>,
    pub deployments: Vec<Arc<Value>>,
    pub stateful_sets: Vec<Arc<Value>>,
    pub services: Vec<Arc<Value>>,
    pub applications: Vec<Arc<Value>>,
    /// By namespace.
    pub pods: BTreeMap<String, Vec<Arc<Value>>>,
    /// By namespace.
    pub slices: BTreeMap<String, Vec<Arc<Value>>>,
    /// By namespace.
    pub claims: BTreeMap<String, Vec<Arc<Value>>>,
    pub nodes: Vec<Arc<Value>>,
}

impl Look {
    pub async fn take(cx: &StepContext, loaded: &Arc<Loaded>) -> Result<Self, StepError> {
        let spec = &loaded.pipeline.spec;
        let owned = |group: &str, kind: &str| Kind::new(group, "", kind);
        let (mut pods, mut slices, mut claims) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for namespace in &spec.namespaces {
            let name = &namespace.name;
            pods.insert(
                name.clone(),
                list(cx, &of_namespace("", "Pod", name)).await?,
            );
            let of = of_namespace("discovery.k8s.io", "EndpointSlice", name);
            slices.insert(name.clone(), list(cx, &of).await?);
        }
        if let Some(kafka) = &spec.kafka {
            let of = of_namespace("", "PersistentVolumeClaim", &kafka.namespace);
            claims.insert(kafka.namespace.clone(), list(cx, &of).await?);
        }
        let nodes = Selection {
            kind: Kind::new("", "", "Node"),
            namespace: None,
            labels: None,
        };
        let strimzi = spec.kafka.is_some();
        let of_strimzi = |kind: &'static str| async move {
            if strimzi {
                remaining(cx, &owned(GROUP, kind)).await
            } else {
                Ok(Vec::new())
            }
        };
        Ok(Self {
            kafka: of_strimzi("Kafka").await?,
            topics: of_strimzi("KafkaTopic").await?,
            deployments: remaining(cx, &owned("apps", "Deployment")).await?,
            stateful_sets: remaining(cx, &owned("apps", "StatefulSet")).await?,
            services: remaining(cx, &owned("", "Service")).await?,
            applications: if spec.spark_applications.is_empty() {
                Vec::new()
            } else {
                remaining(cx, &spark_application::kind()).await?
            },
            pods,
            slices,
            claims,
            nodes: list(cx, &nodes).await?,
            loaded: loaded.clone(),
        })
    }

    pub fn declared_kafka(&self) -> Option<&Kafka> {
        self.loaded.pipeline.spec.kafka.as_ref()
    }

    /// The live Kafka that the pipeline declares.
    pub fn live_kafka(&self) -> Option<&Value> {
        let kafka = self.declared_kafka()?;
        self.kafka
            .iter()
            .map(AsRef::as_ref)
            .find(|live| named(live, &kafka.namespace, &kafka.name))
    }

    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &Value> {
        let pods = self.pods.get(namespace).map_or(&[][..], Vec::as_slice);
        pods.iter().map(AsRef::as_ref)
    }

    /// Whether pipectl made the namespace, so that everything in it is the pipeline's.
    pub fn own_namespace(&self, namespace: &str) -> bool {
        let declared = self.loaded.pipeline.spec.namespaces.iter();
        declared.clone().any(|declared| {
            declared.name == namespace
                && declared.created_by == CreatedBy::Pipectl
                && !is_system_namespace(namespace)
        })
    }

    /// Whether a pod's program only pretends to run. A pod without a known node is taken for simulated: nobody can
    /// reach it either.
    pub fn simulated(&self, pod: &Value) -> bool {
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let found = self
            .nodes
            .iter()
            .find(|live| live["metadata"]["name"] == node);
        found.is_none_or(|live| live["metadata"]["annotations"][SIMULATED] == "fake")
    }
}

/// Whether an object has this namespace and name.
pub(super) fn named(object: &Value, namespace: &str, name: &str) -> bool {
    object["metadata"]["namespace"] == namespace && object["metadata"]["name"] == name
}
