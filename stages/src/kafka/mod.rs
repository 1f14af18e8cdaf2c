//! The Kafka cluster: node pools, the cluster itself, topics.
//!
//! All three are applied as soon as their kinds are served and their namespace is there: the operator's pods may still
//! be starting. The addresses of clients come from one place, `pipectl_config::Kafka`.

mod claims;
pub mod readiness;
pub mod removal;
pub mod render;

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::{Kafka, Loaded};
use serde_json::{Value, json};

use crate::{
    blocks::{ObjectsStep, Row, Wants, objects_step::NOT_SERVED},
    context::StepContext,
    environment,
    error::{Retry, StepError},
    health::Health,
    namespaces,
    step::{Need, Step, StepId},
    strimzi,
    workloads::manifests,
};

/// The stage's name.
pub const STAGE: &str = "kafka";

/// API group of Strimzi's kinds.
pub const GROUP: &str = "kafka.strimzi.io";

/// The step of the cluster.
#[must_use]
pub fn cluster() -> StepId {
    StepId::new(STAGE, "cluster")
}

/// The step of the topics.
#[must_use]
pub fn topics() -> StepId {
    StepId::new(STAGE, "topics")
}

/// What a Kafka client that cannot wait for itself needs: the topics where there are any, else the cluster.
#[must_use]
pub fn usable(kafka: &Kafka) -> Need {
    Need::ready(if kafka.topics.is_empty() {
        cluster()
    } else {
        topics()
    })
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>) -> Vec<Arc<dyn Step>> {
    let spec = &loaded.pipeline.spec;
    let Some(kafka) = &spec.kafka else {
        return Vec::new();
    };
    let bound = spec.timeouts.kafka.duration();
    let mut needs = namespaces::there([kafka.namespace.as_str()]);
    // Without a Strimzi section the operator is there already, and so are its kinds.
    needs.push(match &spec.strimzi {
        Some(_) => Need::ready(strimzi::crds()),
        None => environment::settled(),
    });
    let row = |name, title: String, expected| {
        Row::new(STAGE, name, title)
            .needs(needs.clone())
            .ready_within(bound, expected)
    };
    let wants = |part| Part {
        loaded: loaded.clone(),
        part,
    };
    let mut steps = vec![
        ObjectsStep::step(
            row(
                "node-pools",
                format!("node pools of Kafka {}", kafka.name),
                140,
            ),
            wants(PartOf::NodePools),
        ),
        ObjectsStep::step(
            row("cluster", format!("Kafka cluster {}", kafka.name), 160),
            wants(PartOf::Cluster),
        ),
    ];
    if !kafka.topics.is_empty() {
        // Nobody makes topics of a cluster that was refused, so they don't wait for what cannot come.
        let row = row("topics", topics_title(kafka), 170).needs([Need::applied(cluster())]);
        steps.push(ObjectsStep::step(row, wants(PartOf::Topics)));
    }
    if !loaded.zookeeper_objects().is_empty() {
        let row = Row::new(STAGE, "zookeeper", "ZooKeeper")
            .needs(namespaces::there([kafka.namespace.as_str()]))
            .ready_within(bound, 60);
        let objects =
            manifests::Manifests::new(loaded, &kafka.namespace, loaded.zookeeper_objects());
        steps.push(ObjectsStep::step(row, objects));
    }
    steps
}

fn topics_title(kafka: &Kafka) -> String {
    match kafka.topics.as_slice() {
        [one] => format!("topic {}", one.name),
        many => format!("{} topics", many.len()),
    }
}

/// The version of Strimzi's API to use, as discovery says: `v1` where it is served (Strimzi 0.49 and newer), else
/// `v1beta2`.
///
/// # Errors
/// `STG004` when the cluster serves no Kafka kind (yet).
pub async fn api_version(cx: &StepContext) -> Result<&'static str, StepError> {
    let served = cx.ports.objects.served(GROUP, "Kafka").await;
    let served = served.map_err(|error| error.during("discover", "kind Kafka"))?;
    let versions = served.map(|served| served.versions).unwrap_or_default();
    let serves = |version: &str| versions.iter().any(|served| served == version);
    if serves("v1") {
        Ok("v1")
    } else if serves("v1beta2") {
        Ok("v1beta2")
    } else {
        Err(StepError::new(
            NOT_SERVED,
            "use",
            "kind Kafka",
            "the cluster serves it in none of the versions v1, v1beta2",
        )
        .with_retry(Retry::Soon)
        .with_hint(
            "its CRDs come with stage strimzi; an operator of your own must be installed first",
        ))
    }
}

#[derive(Clone, Copy)]
enum PartOf {
    NodePools,
    Cluster,
    Topics,
}

struct Part {
    loaded: Arc<Loaded>,
    part: PartOf,
}

impl Part {
    fn kafka(&self) -> Option<&Kafka> {
        self.loaded.pipeline.spec.kafka.as_ref()
    }
}

#[async_trait]
impl Wants for Part {
    async fn objects(&self, cx: &StepContext) -> Result<Vec<Value>, StepError> {
        let version = api_version(cx).await?;
        let strimzi = self.loaded.pipeline.spec.strimzi.as_ref();
        Ok(self.kafka().map_or_else(Vec::new, |kafka| match self.part {
            PartOf::NodePools => render::node_pools(kafka, version),
            PartOf::Cluster => vec![render::cluster(kafka, strimzi, version)],
            PartOf::Topics => render::topics(kafka, version),
        }))
    }

    async fn check(&self, cx: &StepContext, _: &[Value]) -> Result<(), StepError> {
        match (self.kafka(), self.part) {
            (Some(kafka), PartOf::NodePools | PartOf::Cluster) => claims::check(cx, kafka).await,
            _ => Ok(()),
        }
    }

    fn summary(&self, objects: &[Value]) -> String {
        let Some(kafka) = self.kafka() else {
            return String::new();
        };
        match self.part {
            PartOf::NodePools => format!("{} node pools", objects.len()),
            PartOf::Cluster => format!(
                "{} brokers, {} controllers",
                kafka.brokers(),
                kafka.controllers()
            ),
            PartOf::Topics => topics_title(kafka),
        }
    }

    fn facts(&self, _: &[Value]) -> Value {
        match (self.kafka(), self.part) {
            (Some(kafka), PartOf::Cluster) => json!({
                "bootstrap": kafka.bootstrap_address(),
                "version": kafka.version.to_string(),
            }),
            _ => json!({}),
        }
    }

    async fn judge(&self, cx: &StepContext, live: &Arc<Value>) -> Result<Health, StepError> {
        match (self.kafka(), self.part) {
            (Some(kafka), PartOf::Cluster) => readiness::cluster(cx, kafka, live).await,
            (Some(kafka), PartOf::NodePools) => readiness::node_pool(cx, kafka, live).await,
            _ => Ok(crate::health::judge(live)),
        }
    }

    fn ready_words(&self, words: Vec<String>) -> String {
        match (self.kafka(), self.part) {
            (Some(kafka), PartOf::Topics) => topics_title(kafka),
            (_, PartOf::NodePools) => format!("{} node pools", words.len()),
            _ => words.into_iter().next().unwrap_or_default(),
        }
    }
}
