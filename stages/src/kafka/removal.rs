//! Taking Kafka down: topics while their operator lives, then the cluster with its pools, pods and claims.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use pipectl_kinds::strimzi::{CLUSTER_LABEL, TOPIC_FINALIZER};
use serde_json::Value;

use super::{GROUP, STAGE};
use crate::{
    blocks::{
        Row,
        objects_removal::{ObjectsRemoval, Unwants, belonging},
    },
    context::StepContext,
    error::StepError,
    objects::{
        Owner, owner,
        ownership::{finalizers, terminating, uid},
        removal::list,
    },
    ports::objects::{Kind, ObjectRef, Selection},
    removal::Removal,
    step::{Need, StepId},
};

/// How long a removal in this stage may take; the pipeline file that might say otherwise need not exist any more.
const REMOVED_WITHIN: Duration = Duration::from_secs(600);

/// The removal of topics and users.
#[must_use]
pub fn topics() -> StepId {
    StepId::new(STAGE, "topics")
}

/// The removal of the cluster.
#[must_use]
pub fn cluster() -> StepId {
    StepId::new(STAGE, "cluster")
}

/// The removals of the stage. With `keep_data` the claims stay.
#[must_use]
pub fn removals(keep_data: bool) -> Vec<Arc<dyn Removal>> {
    vec![
        ObjectsRemoval::removal(
            Row::new(STAGE, "topics", "topics").ready_within(REMOVED_WITHIN, 5),
            Topics,
        ),
        ObjectsRemoval::removal(
            Row::new(
                STAGE,
                "cluster",
                "Kafka cluster with its node pools, pods and claims",
            )
            .needs([Need::ready(topics())])
            .ready_within(REMOVED_WITHIN, 30),
            Cluster { keep_data },
        ),
    ]
}

fn kind(name: &str) -> Kind {
    Kind::new(GROUP, "", name)
}

struct Topics;

#[async_trait]
impl Unwants for Topics {
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let mut found = belonging(cx, &kind("KafkaTopic")).await?;
        found.extend(belonging(cx, &kind("KafkaUser")).await?);
        Ok(found)
    }

    /// The topic operator takes its finalizer off once the topic is gone from Kafka. When no topic operator can come
    /// any more, nobody else will (strimzi#11901).
    async fn help(&self, cx: &StepContext, held: &Arc<Value>) -> Result<Option<String>, StepError> {
        release(cx, held).await
    }

    fn gone(&self) -> String {
        "no topics left".to_owned()
    }
}

/// Takes the topic operator's finalizer off a topic that is being deleted when no topic operator can come any more;
/// answers words when it did.
pub(crate) async fn release(cx: &StepContext, held: &Value) -> Result<Option<String>, StepError> {
    let held_by = finalizers(held);
    if !held_by.iter().any(|finalizer| finalizer == TOPIC_FINALIZER)
        || !operator_gone(cx, held).await?
    {
        return Ok(None);
    }
    let at = ObjectRef::of(held);
    let strip = [TOPIC_FINALIZER.to_owned()];
    cx.ports
        .objects
        .strip_finalizers(&at, uid(held), &strip)
        .await
        .map_err(|error| error.during("release", &at))?;
    Ok(Some(format!(
        "{at}: finalizer {TOPIC_FINALIZER} taken off, since its topic operator is gone"
    )))
}

/// Whether no topic operator serves the topic, nor will: its entity operator is not there, and either its Kafka is
/// gone too, or no cluster operator is left to make a new one.
async fn operator_gone(cx: &StepContext, topic: &Value) -> Result<bool, StepError> {
    let Some(cluster) = topic["metadata"]["labels"][CLUSTER_LABEL].as_str() else {
        return Ok(false);
    };
    let namespace = topic["metadata"]["namespace"].as_str().unwrap_or_default();
    let deployments = Selection {
        kind: Kind::new("apps", "", "Deployment"),
        namespace: None,
        labels: None,
    };
    let deployments = list(cx, &deployments).await?;
    let entity_operator = format!("{cluster}-entity-operator");
    let lives = deployments.iter().any(|deployment| {
        deployment["metadata"]["namespace"] == namespace
            && deployment["metadata"]["name"] == entity_operator.as_str()
    });
    if lives {
        return Ok(false);
    }
    let kafka = list(
        cx,
        &Selection {
            kind: kind("Kafka"),
            namespace: None,
            labels: None,
        },
    )
    .await?;
    let kafka_stays = kafka.iter().any(|kafka| {
        kafka["metadata"]["namespace"] == namespace
            && kafka["metadata"]["name"] == cluster
            && !terminating(kafka)
    });
    // The chart labels its deployment's pods with `strimzi.io/kind: cluster-operator`, and not the deployment.
    let cluster_operator = deployments.iter().any(|deployment| {
        let pods = &deployment["spec"]["template"]["metadata"];
        pods["labels"]["strimzi.io/kind"] == "cluster-operator"
    });
    Ok(!(kafka_stays && cluster_operator))
}

struct Cluster {
    keep_data: bool,
}

#[async_trait]
impl Unwants for Cluster {
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let mut found = belonging(cx, &kind("Kafka")).await?;
        found.extend(belonging(cx, &kind("KafkaNodePool")).await?);
        if !self.keep_data {
            found.extend(of_clusters(cx, "PersistentVolumeClaim", &found).await?);
        }
        Ok(found)
    }

    async fn followers(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        of_clusters(cx, "Pod", &[]).await
    }

    fn gone(&self) -> String {
        if self.keep_data {
            "no brokers left; claims kept".to_owned()
        } else {
            "no brokers and no claims left".to_owned()
        }
    }
}

/// Objects that Strimzi made for clusters of ours: in our namespaces, or in others where they carry our label (Strimzi
/// hands a Kafka's labels down) or belong to a cluster of ours that is still there.
async fn of_clusters(
    cx: &StepContext,
    core_kind: &str,
    clusters: &[Arc<Value>],
) -> Result<Vec<Arc<Value>>, StepError> {
    let own: BTreeSet<String> = crate::blocks::objects_removal::own_namespaces(cx).await?;
    let named: BTreeSet<(&str, &str)> = clusters
        .iter()
        .filter(|cluster| cluster["kind"] == "Kafka")
        .filter_map(|cluster| {
            let metadata = &cluster["metadata"];
            Some((metadata["namespace"].as_str()?, metadata["name"].as_str()?))
        })
        .collect();
    let selection = Selection {
        kind: Kind::new("", "", core_kind),
        namespace: None,
        labels: Some(CLUSTER_LABEL.to_owned()),
    };
    let all = list(cx, &selection).await?;
    Ok(all
        .into_iter()
        .filter(|object| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let cluster = object["metadata"]["labels"][CLUSTER_LABEL]
                .as_str()
                .unwrap_or_default();
            own.contains(namespace)
                || owner(object, &cx.environment) == Owner::Ours
                || named.contains(&(namespace, cluster))
        })
        .collect())
}
