//! The topic operator: topics in Kafka follow their resources, one way.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::common::Condition;
use pipectl_kinds::strimzi::kafka::KafkaSpec;
use pipectl_kinds::strimzi::topic::{KafkaTopicSpec, KafkaTopicStatus, TOPIC_FINALIZER};
use serde_json::{Value, json};

use super::checks::number;
use super::disks::{Topic, new_id};
use super::operator::{Entities, Failure, Key};
use super::topic_config;
use crate::standins::common::object::{annotation, label};
use crate::standins::common::{is_going, is_ready_pod};

/// A refusal: reason and message of the condition.
type Refused = (&'static str, String);

/// What Kafka itself knows when a topic is changed.
struct Kafka {
    cluster_id: String,
    brokers: Vec<i32>,
    default_partitions: i32,
    default_replicas: i32,
    deletes_topics: bool,
}

/// The namespace that a container of the cluster's entity operator watches, while its pod is ready.
pub(super) fn entity_operator_runs(
    entities: &Entities,
    key: &Key,
    container: &str,
) -> Option<String> {
    let name = format!("{}-entity-operator", key.1);
    entities
        .stores
        .of_cluster("Pod", key)
        .iter()
        .find_map(|pod| {
            if label(pod, "strimzi.io/name") != Some(&name) || !is_ready_pod(pod) {
                return None;
            }
            let containers = pod.data["spec"]["containers"].as_array()?;
            let env = containers.iter().find(|one| one["name"] == container)?["env"].as_array()?;
            let variable = env
                .iter()
                .find(|variable| variable["name"] == "STRIMZI_NAMESPACE")?;
            variable["value"].as_str().map(str::to_owned)
        })
}

/// Brings the topics of a cluster to what their resources ask for.
pub(super) async fn reconcile(entities: &Entities, key: &Key) -> Result<(), Failure> {
    let Some(watched) = entity_operator_runs(entities, key, "topic-operator") else {
        return Ok(());
    };
    let Some(kafka) = kafka(entities, key) else {
        return Ok(());
    };
    let kind = &entities.kinds.topic;
    for topic in entities.stores.within("KafkaTopic", &watched) {
        if label(&topic, "strimzi.io/cluster") != Some(&key.1) {
            continue;
        }
        let Ok(spec) = serde_json::from_value::<KafkaTopicSpec>(topic.data["spec"].clone()) else {
            continue;
        };
        let mut finalizers = topic.metadata.finalizers.clone().unwrap_or_default();
        let held = finalizers.iter().any(|one| one == TOPIC_FINALIZER);
        let managed = annotation(&topic, "strimzi.io/managed") != Some("false");
        let state = if is_going(&topic) {
            if !held {
                continue;
            }
            match delete(entities, &kafka, &topic, &spec, managed) {
                Ok(()) => {
                    finalizers.retain(|one| one != TOPIC_FINALIZER);
                    set_finalizers(entities, &topic, &finalizers).await?;
                    continue;
                }
                Err(refused) => Err(refused),
            }
        } else {
            if !held {
                finalizers.push(TOPIC_FINALIZER.to_owned());
                set_finalizers(entities, &topic, &finalizers).await?;
            }
            if !managed {
                let status = KafkaTopicStatus {
                    conditions: vec![Condition::new("Unmanaged", true)],
                    observed_generation: topic.metadata.generation,
                    topic_name: Some(topic_name(&topic, &spec)),
                    ..KafkaTopicStatus::default()
                };
                entities
                    .topic_writer
                    .set_status(kind, &topic, json!(status))
                    .await?;
                continue;
            }
            ensure(entities, &kafka, &topic, &spec)
        };
        let condition = match &state {
            Ok(_) => Condition::new("Ready", true),
            Err((reason, message)) => Condition::new("Ready", false).because(reason, message),
        };
        let known = topic.data["status"]["topicId"].as_str().map(str::to_owned);
        let status = KafkaTopicStatus {
            conditions: vec![condition],
            observed_generation: topic.metadata.generation,
            topic_name: Some(
                topic.data["status"]["topicName"]
                    .as_str()
                    .map_or_else(|| topic_name(&topic, &spec), str::to_owned),
            ),
            topic_id: state.ok().or(known),
            replicas_change: None,
        };
        entities
            .topic_writer
            .set_status(kind, &topic, json!(status))
            .await?;
    }
    Ok(())
}

/// Kafka as the topic operator reaches it: not at all while no broker is ready.
fn kafka(entities: &Entities, key: &Key) -> Option<Kafka> {
    let resource = entities.stores.get(&entities.kinds.kafka, &key.0, &key.1)?;
    let spec: KafkaSpec = serde_json::from_value(resource.data["spec"].clone()).ok()?;
    let cluster_id = resource.data["status"]["clusterId"].as_str()?.to_owned();
    let mut brokers: Vec<i32> = entities
        .stores
        .of_cluster("Pod", key)
        .iter()
        .filter(|pod| label(pod, "strimzi.io/broker-role") == Some("true") && is_ready_pod(pod))
        .filter_map(|pod| {
            pod.metadata
                .name
                .as_deref()?
                .rsplit('-')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    brokers.sort_unstable();
    if brokers.is_empty() {
        return None;
    }
    let setting = |name: &str| {
        number(spec.kafka.config.get(name)).and_then(|value| i32::try_from(value).ok())
    };
    let deletes = spec.kafka.config.get("delete.topic.enable");
    Some(Kafka {
        cluster_id,
        brokers,
        default_partitions: setting("num.partitions").unwrap_or(1),
        default_replicas: setting("default.replication.factor").unwrap_or(1),
        deletes_topics: !deletes
            .is_some_and(|value| *value == json!(false) || *value == json!("false")),
    })
}

fn topic_name(topic: &DynamicObject, spec: &KafkaTopicSpec) -> String {
    spec.topic_name
        .clone()
        .unwrap_or_else(|| topic.metadata.name.clone().unwrap_or_default())
}

fn manager(topic: &DynamicObject) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!(
        "{}/{}",
        text(&topic.metadata.namespace),
        text(&topic.metadata.name)
    )
}

/// Creates or changes the topic in Kafka; gives its id.
fn ensure(
    entities: &Entities,
    kafka: &Kafka,
    resource: &DynamicObject,
    spec: &KafkaTopicSpec,
) -> Result<String, Refused> {
    let name = topic_name(resource, spec);
    if let Some(before) = resource.data["status"]["topicName"].as_str()
        && before != name
    {
        return Err((
            "NotSupported",
            "Changing spec.topicName is not supported".to_owned(),
        ));
    }
    topic_config::check(&spec.config).map_err(|message| ("KafkaError", message))?;
    let Some(mut topic) = entities.disks.topic(&kafka.cluster_id, &name) else {
        let topic = create(kafka, resource, spec)?;
        let id = topic.id.clone();
        entities.disks.put_topic(&kafka.cluster_id, &name, topic);
        return Ok(id);
    };
    let own = manager(resource);
    if topic.manager != own && still_managed(entities, &topic.manager) {
        let (namespace, other) = topic.manager.split_once('/').unwrap_or_default();
        return Err((
            "ResourceConflict",
            format!("Managed by Ref{{namespace='{namespace}', name='{other}'}}"),
        ));
    }
    let partitions = spec.partitions.unwrap_or(topic.partitions);
    if partitions < topic.partitions {
        return Err((
            "NotSupported",
            "Decreasing partitions not supported".to_owned(),
        ));
    }
    if spec
        .replicas
        .is_some_and(|replicas| replicas != topic.replicas)
    {
        let all: Vec<String> = (0..topic.partitions)
            .map(|partition| partition.to_string())
            .collect();
        return Err((
            "NotSupported",
            format!(
                "Replication factor change not supported, but required for partitions [{}]",
                all.join(", ")
            ),
        ));
    }
    let before = topic.clone();
    topic.partitions = partitions;
    topic.config.clone_from(&spec.config);
    topic.manager = own;
    if partitions > before.partitions {
        // New partitions are placed on the brokers of now; the replicas of older ones stay where they are.
        topic.brokers.extend(placement(
            &kafka.brokers,
            partitions - before.partitions,
            topic.replicas,
        ));
    }
    let id = topic.id.clone();
    if topic != before {
        entities.disks.put_topic(&kafka.cluster_id, &name, topic);
    }
    Ok(id)
}

/// Whether the resource that manages a topic is still there.
fn still_managed(entities: &Entities, manager: &str) -> bool {
    let Some((namespace, name)) = manager.split_once('/') else {
        return false;
    };
    entities
        .stores
        .get(&entities.kinds.topic, namespace, name)
        .is_some_and(|topic| !is_going(&topic))
}

fn create(
    kafka: &Kafka,
    resource: &DynamicObject,
    spec: &KafkaTopicSpec,
) -> Result<Topic, Refused> {
    let partitions = spec.partitions.unwrap_or(kafka.default_partitions);
    let replicas = spec.replicas.unwrap_or(kafka.default_replicas);
    let available = kafka.brokers.len();
    if usize::try_from(replicas).unwrap_or_default() > available {
        return Err((
            "KafkaError",
            format!(
                "org.apache.kafka.common.errors.InvalidReplicationFactorException: Unable to replicate the partition \
                 {replicas} time(s): The target replication factor of {replicas} cannot be reached because only \
                 {available} broker(s) are registered."
            ),
        ));
    }
    Ok(Topic {
        id: new_id(),
        partitions,
        replicas,
        config: spec.config.clone(),
        manager: manager(resource),
        brokers: placement(&kafka.brokers, partitions, replicas),
    })
}

/// The brokers that get a replica: partitions go round.
fn placement(brokers: &[i32], partitions: i32, replicas: i32) -> BTreeSet<i32> {
    let count =
        usize::try_from(partitions.saturating_add(replicas).saturating_sub(1)).unwrap_or_default();
    brokers
        .iter()
        .copied()
        .cycle()
        .take(count.min(brokers.len()))
        .collect()
}

/// Deletes the topic in Kafka, where this resource manages it.
fn delete(
    entities: &Entities,
    kafka: &Kafka,
    resource: &DynamicObject,
    spec: &KafkaTopicSpec,
    managed: bool,
) -> Result<(), Refused> {
    let name = topic_name(resource, spec);
    let ours = entities
        .disks
        .topic(&kafka.cluster_id, &name)
        .is_some_and(|topic| topic.manager == manager(resource));
    if !managed || !ours {
        return Ok(());
    }
    if !kafka.deletes_topics {
        return Err((
            "KafkaError",
            "org.apache.kafka.common.errors.TopicDeletionDisabledException: Topic deletion is disabled.".to_owned(),
        ));
    }
    entities.disks.remove_topic(&kafka.cluster_id, &name);
    Ok(())
}

async fn set_finalizers(
    entities: &Entities,
    topic: &DynamicObject,
    finalizers: &[String],
) -> Result<(), Failure> {
    let name = topic.metadata.name.clone().unwrap_or_default();
    let namespace = topic.metadata.namespace.clone().unwrap_or_default();
    // With the version that was read: a finalizer of somebody else's that has come since must not be lost.
    let change: Value = json!({
        "metadata": {"finalizers": finalizers, "resourceVersion": topic.metadata.resource_version},
    });
    entities
        .topic_writer
        .merge(&entities.kinds.topic, &namespace, &name, &change)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_go_round_the_brokers() {
        assert_eq!(placement(&[0, 1, 2], 1, 1), [0].into());
        assert_eq!(placement(&[0, 1, 2], 1, 2), [0, 1].into());
        assert_eq!(placement(&[0, 1, 2], 3, 1), [0, 1, 2].into());
        assert_eq!(placement(&[4, 7], 12, 2), [4, 7].into());
    }
}
