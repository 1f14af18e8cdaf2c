//! Helm in memory: two operators' charts, and any other chart as one deployment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::FakeCluster;
use crate::{
    error::PortError,
    ports::releases::{ChartRef, Release, ReleaseApi, ReleaseSpec, ReleaseStatus},
};

/// Helm in memory.
pub struct FakeReleases {
    cluster: Arc<FakeCluster>,
    releases: Mutex<BTreeMap<(String, String), Release>>,
    installs: Mutex<Vec<ReleaseSpec>>,
}

impl FakeReleases {
    /// No releases in this cluster.
    #[must_use]
    pub fn new(cluster: Arc<FakeCluster>) -> Self {
        Self {
            cluster,
            releases: Mutex::default(),
            installs: Mutex::default(),
        }
    }

    fn releases(&self) -> MutexGuard<'_, BTreeMap<(String, String), Release>> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything installed since the last call.
    #[must_use]
    pub fn take_installs(&self) -> Vec<ReleaseSpec> {
        std::mem::take(&mut *self.installs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a release in as somebody else would.
    pub fn put(&self, release: Release) {
        let at = (release.namespace.clone(), release.name.clone());
        self.releases().insert(at, release);
    }
}

fn crd(group: &str, kind: &str, versions: &[&str]) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let versions: Vec<Value> = versions.iter().map(|name| json!({"name": name})).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": versions,
            "names": {"kind": kind, "plural": plural}},
    })
}

/// Whose chart it is, by its name.
fn is_spark(chart: &str) -> bool {
    chart == "spark-operator"
}

#[async_trait]
impl ReleaseApi for FakeReleases {
    async fn find(&self, namespace: &str, name: &str) -> Result<Option<Release>, PortError> {
        let at = (namespace.to_owned(), name.to_owned());
        Ok(self.releases().get(&at).cloned())
    }

    async fn owned(&self, environment_uid: &str) -> Result<Vec<Release>, PortError> {
        let releases = self.releases();
        let owned = releases
            .values()
            .filter(|release| release.environment_uid.as_deref() == Some(environment_uid));
        Ok(owned.cloned().collect())
    }

    async fn crds(&self, chart: &ChartRef) -> Result<Vec<Value>, PortError> {
        if is_spark(&chart.name) {
            let of = |kind| crd("sparkoperator.k8s.io", kind, &["v1beta2"]);
            return Ok(vec![
                of("SparkApplication"),
                of("ScheduledSparkApplication"),
            ]);
        }
        let old = chart
            .version
            .as_deref()
            .is_some_and(|version| version.starts_with("0.47"));
        let versions: &[&str] = if old { &["v1beta2"] } else { &["v1"] };
        let mut crds: Vec<Value> = ["Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"]
            .into_iter()
            .map(|kind| crd("kafka.strimzi.io", kind, versions))
            .collect();
        crds.push(crd("core.strimzi.io", "StrimziPodSet", versions));
        Ok(crds)
    }

    async fn render(&self, _: &ReleaseSpec) -> Result<Vec<Value>, PortError> {
        Ok(Vec::new())
    }

    async fn install(&self, spec: &ReleaseSpec) -> Result<Release, PortError> {
        let at = (spec.namespace.clone(), spec.name.clone());
        let revision = self
            .releases()
            .get(&at)
            .map_or(1, |release| release.revision + 1);
        let metadata = |name: &str| {
            json!({"name": name, "namespace": spec.namespace, "generation": revision,
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": spec.name}})
        };
        self.cluster
            .put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": metadata(&spec.name), "spec": {"replicas": 1, "template": {"metadata": {"labels": {
                "strimzi.io/kind": if is_spark(&spec.chart.name) { "" } else { "cluster-operator" }}}}}}));
        if is_spark(&spec.chart.name) && spec.values["webhook"]["enable"] == true {
            self.cluster
                .put(json!({"apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration", "metadata": {
                    "name": spec.name, "annotations": {"meta.helm.sh/release-name": spec.name}},
                "webhooks": [{"clientConfig": {"service": {"name": "spark-webhook"}}}]}));
        }
        let release = Release {
            name: spec.name.clone(),
            namespace: spec.namespace.clone(),
            revision,
            status: ReleaseStatus::Deployed,
            digest: Some(spec.digest.clone()),
            environment_uid: Some(spec.environment_uid.clone()),
        };
        self.put(release.clone());
        let mut installs = self.installs.lock().unwrap_or_else(PoisonError::into_inner);
        installs.push(spec.clone());
        Ok(release)
    }

    async fn uninstall(&self, namespace: &str, name: &str, _: Duration) -> Result<bool, PortError> {
        let at = (namespace.to_owned(), name.to_owned());
        if self.releases().remove(&at).is_none() {
            return Ok(false);
        }
        for kind in ["Deployment", "MutatingWebhookConfiguration"] {
            for object in self.cluster.all(kind) {
                if object["metadata"]["annotations"]["meta.helm.sh/release-name"] == name {
                    let own = object["metadata"]["name"].as_str().unwrap_or_default();
                    self.cluster.erase(kind, own);
                }
            }
        }
        Ok(true)
    }
}
