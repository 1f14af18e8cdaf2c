//! When the Kafka cluster works, and what it waits for until then: `brokers 1/3, controllers 3/3 · pod ...: pulling
//! image`.

use std::sync::Arc;

use jiff::Timestamp;
use pipectl_config::{Kafka, NodePoolRole};
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::Value;

use crate::{
    blocks::pods::in_namespace,
    context::StepContext,
    error::StepError,
    health::{
        Health, condition, judge,
        pods::{Patience, worst},
    },
};

/// Label with the node pool of a pod.
const POOL_LABEL: &str = "strimzi.io/pool-name";

/// How the cluster is. Pods are looked at only while it isn't ready.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn cluster(
    cx: &StepContext,
    kafka: &Kafka,
    live: &Arc<Value>,
) -> Result<Health, StepError> {
    let health = judge(live);
    let Health::InProgress { words, .. } = health else {
        return Ok(match health {
            Health::Ready(_) => Health::Ready(format!(
                "{} brokers, {} controllers, {}",
                kafka.brokers(),
                kafka.controllers(),
                kafka.bootstrap_address()
            )),
            other => other,
        });
    };
    let pods = in_namespace(cx, &kafka.namespace).await?;
    let own: Vec<&Value> = pods
        .iter()
        .map(AsRef::as_ref)
        .filter(|pod| pod["metadata"]["labels"][CLUSTER_LABEL] == kafka.name.as_str())
        .collect();
    Ok(while_starting(kafka, &own, &words, Timestamp::now()))
}

/// The health of a cluster that isn't ready yet, from its pods.
fn while_starting(kafka: &Kafka, pods: &[&Value], status_words: &str, now: Timestamp) -> Health {
    let ready_in = |role: NodePoolRole| {
        let pools: Vec<&str> = kafka
            .node_pools
            .iter()
            .filter(|pool| pool.roles.contains(&role))
            .map(|pool| pool.name.as_str())
            .collect();
        let ready = pods
            .iter()
            .filter(|pod| {
                let pool = pod["metadata"]["labels"][POOL_LABEL].as_str();
                pool.is_some_and(|pool| pools.contains(&pool))
                    && condition(pod, "Ready").is_some_and(|ready| ready.is_true())
            })
            .count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    };
    let (brokers, controllers) = (
        ready_in(NodePoolRole::Broker),
        ready_in(NodePoolRole::Controller),
    );
    let (all_brokers, all_controllers) = (kafka.brokers(), kafka.controllers());
    let counts =
        format!("brokers {brokers}/{all_brokers}, controllers {controllers}/{all_controllers}");
    let words = match worst(pods.iter().copied(), now, &Patience::default()) {
        Some((name, Health::Failed(mut trouble))) => {
            trouble.cause = format!("pod {name}: {}", trouble.cause);
            return Health::Failed(trouble);
        }
        Some((name, Health::InProgress { words, .. })) => format!("{counts} · pod {name}: {words}"),
        _ => format!("{counts} · {status_words}"),
    };
    Health::counting(words, brokers + controllers, all_brokers + all_controllers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, pool: &str, ready: bool) -> Value {
        let container = if ready {
            json!({"name": "kafka", "image": "k", "state": {"running": {}}})
        } else {
            json!({"name": "kafka", "image": "k", "state": {"waiting": {"reason": "ContainerCreating"}}})
        };
        json!({"metadata": {"name": name, "labels": {POOL_LABEL: pool}}, "spec": {"nodeName": "n"},
            "status": {"phase": "Pending", "containerStatuses": [container],
                "conditions": [{"type": "Ready", "status": if ready {"True"} else {"False"}}]}})
    }

    #[test]
    fn the_words_count_roles_and_name_the_slowest_pod() {
        let kafka = Kafka::default();
        let pods = [
            pod("kafka-broker-pool-0", "broker-pool", true),
            pod("kafka-broker-pool-1", "broker-pool", false),
            pod("kafka-controller-pool-3", "controller-pool", true),
        ];
        let pods: Vec<&Value> = pods.iter().collect();
        assert_eq!(
            while_starting(&kafka, &pods, "not ready yet", Timestamp::UNIX_EPOCH),
            Health::counting(
                "brokers 1/3, controllers 1/3 · pod kafka-broker-pool-1: pulling image",
                2,
                6
            )
        );
    }

    #[test]
    fn without_pods_the_status_speaks() {
        let kafka = Kafka::default();
        let health = while_starting(
            &kafka,
            &[],
            "the operator has not looked at it yet",
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            health,
            Health::counting(
                "brokers 0/3, controllers 0/3 · the operator has not looked at it yet",
                0,
                6
            )
        );
    }
}
