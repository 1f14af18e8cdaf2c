//! When the Kafka cluster works, and what it waits for until then: `brokers 1/3, controllers 3/3 · pod ...: pulling
//! image`.

use std::sync::Arc;

use jiff::Timestamp;
use pipectl_config::{Kafka, NodePoolRole};
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::Value;

use crate::{
    blocks::pods::{explain, in_namespace, of_namespace, patience},
    context::StepContext,
    error::StepError,
    health::{
        Health, condition, judge,
        pods::{Patience, worst},
    },
    kafka::GROUP,
    objects::{remaining, removal::list},
    ports::objects::Kind,
};

/// Label with the node pool of a pod.
pub(super) const POOL_LABEL: &str = "strimzi.io/pool-name";

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
    // A change of a pool replaces pods just as one of the cluster does.
    let pools = remaining(cx, &Kind::new(GROUP, "", "KafkaNodePool")).await?;
    let makers = pools.iter().chain([live]).map(AsRef::as_ref);
    let patience = patience(cx, makers).await?;
    Ok(while_starting(
        kafka,
        &own,
        &words,
        Timestamp::now(),
        &patience,
    ))
}

/// How a node pool is: the operator has seen it, and its pod set has every pod in its newest form and ready. The pool's
/// own status says nothing of pods, and the cluster stays `Ready` while brokers are rolled one by one.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn node_pool(
    cx: &StepContext,
    kafka: &Kafka,
    live: &Arc<Value>,
) -> Result<Health, StepError> {
    let health = judge(live);
    if !health.is_ready() {
        // The operator looks at pools of a Kafka only. While there is none (it comes beside the pools, or was refused), a pool
        // that is accepted is all that it can be; the cluster's own readiness has the pods that come later.
        let clusters = remaining(cx, &Kind::new(GROUP, "", "Kafka")).await?;
        let there = clusters.iter().any(|cluster| {
            let metadata = &cluster["metadata"];
            metadata["name"] == kafka.name.as_str()
                && metadata["namespace"] == kafka.namespace.as_str()
        });
        return Ok(if there {
            health
        } else {
            Health::Ready("accepted".to_owned())
        });
    }
    let pool = live["metadata"]["name"].as_str().unwrap_or_default();
    let sets = list(
        cx,
        &of_namespace("core.strimzi.io", "StrimziPodSet", &kafka.namespace),
    )
    .await?;
    let name = format!("{}-{pool}", kafka.name);
    let set = sets
        .iter()
        .find(|set| set["metadata"]["name"] == name.as_str());
    let wanted = live["spec"]["replicas"].as_u64().unwrap_or(0);
    let health = pod_set(
        set.map(AsRef::as_ref),
        u32::try_from(wanted).unwrap_or(u32::MAX),
    );
    let patience = patience(cx, [live.as_ref()]).await?;
    explain(cx, health, &kafka.namespace, patience, |pod| {
        let labels = &pod["metadata"]["labels"];
        labels[CLUSTER_LABEL] == kafka.name.as_str() && labels[POOL_LABEL] == pool
    })
    .await
}

/// How a pod set is. `currentPods` are those in their newest form (`StrimziPodSetStatus`).
fn pod_set(set: Option<&Value>, wanted: u32) -> Health {
    let Some(set) = set else {
        return Health::counting(format!("0 of {wanted} pods"), 0, wanted);
    };
    let status = &set["status"];
    let generation = set["metadata"]["generation"].as_i64();
    if status["observedGeneration"].as_i64() < generation {
        return Health::waiting("its pods are about to be rolled");
    }
    let number = |key: &str| {
        let number = status[key].as_u64().unwrap_or(0);
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    let (ready, current) = (number("readyPods"), number("currentPods"));
    if number("pods") != wanted || ready < wanted {
        Health::counting(format!("{ready} of {wanted} pods ready"), ready, wanted)
    } else if current < wanted {
        Health::counting(
            format!("{current} of {wanted} pods rolled"),
            current,
            wanted,
        )
    } else {
        Health::Ready(format!("{wanted} nodes"))
    }
}

/// The health of a cluster that isn't ready yet, from its pods.
fn while_starting(
    kafka: &Kafka,
    pods: &[&Value],
    status_words: &str,
    now: Timestamp,
    patience: &Patience,
) -> Health {
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
    let words = match worst(pods.iter().copied(), now, patience) {
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
            while_starting(
                &kafka,
                &pods,
                "not ready yet",
                Timestamp::UNIX_EPOCH,
                &Patience::default()
            ),
            Health::counting(
                "brokers 1/3, controllers 1/3 · pod kafka-broker-pool-1: pulling image",
                2,
                6
            )
        );
    }

    #[test]
    fn a_pool_is_ready_when_every_pod_is_rolled_and_ready() {
        let set = |ready: u32, current: u32, observed: i64| {
            json!({"metadata": {"generation": 2},
                "status": {"observedGeneration": observed, "pods": 3, "readyPods": ready, "currentPods": current}})
        };
        assert_eq!(pod_set(None, 3), Health::counting("0 of 3 pods", 0, 3));
        assert!(!pod_set(Some(&set(3, 3, 1)), 3).is_ready());
        assert_eq!(
            pod_set(Some(&set(2, 2, 2)), 3),
            Health::counting("2 of 3 pods ready", 2, 3)
        );
        assert_eq!(
            pod_set(Some(&set(3, 1, 2)), 3),
            Health::counting("1 of 3 pods rolled", 1, 3)
        );
        assert!(pod_set(Some(&set(3, 3, 2)), 3).is_ready());
    }

    #[test]
    fn without_pods_the_status_speaks() {
        let kafka = Kafka::default();
        let health = while_starting(
            &kafka,
            &[],
            "the operator has not looked at it yet",
            Timestamp::UNIX_EPOCH,
            &Patience::default(),
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
