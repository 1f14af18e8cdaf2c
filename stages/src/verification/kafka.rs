//! Checks of the Kafka cluster: `kubectl get kafka`, `kubectl get kafkatopic`, `kubectl get pods -n kafka`.

use pipectl_config::{Kafka, NodePoolRole};
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::{Value, json};

use super::{
    check::Check,
    look::{Look, named},
};
use crate::{
    health::{Health, condition, judge, listener_addresses},
    objects::diff::same_amount,
};

/// How a live object is, in a few words.
pub(super) fn health_words(object: Option<&Value>) -> (String, bool) {
    match object.map(judge) {
        None => ("it is not there".to_owned(), false),
        Some(Health::Ready(words)) => (words, true),
        Some(Health::InProgress { words, .. }) => (words, false),
        Some(Health::Failed(trouble)) => (trouble.cause, false),
    }
}

pub(super) fn cluster(look: &Look) -> Vec<Check> {
    let Some(kafka) = look.declared_kafka() else {
        return Vec::new();
    };
    let (namespace, name) = (&kafka.namespace, &kafka.name);
    let live = look.live_kafka();
    let (words, ready) = health_words(live);
    let mut checks = vec![
        Check::new(
            "kafka/ready",
            format!("Kafka {name} is ready"),
            "ready in its newest generation",
            words,
            ready,
        )
        .by(format!("kubectl get kafka {name} -n {namespace}")),
    ];
    let version = live.and_then(|live| live["status"]["kafkaVersion"].as_str());
    checks.push(
        Check::equal(
            "kafka/version",
            format!("Kafka {name} runs the declared version"),
            kafka.version.to_string(),
            version.unwrap_or("none reported"),
        )
        .by(format!(
            "kubectl get kafka {name} -n {namespace} -o jsonpath='{{.status.kafkaVersion}}'"
        )),
    );
    for role in [NodePoolRole::Broker, NodePoolRole::Controller] {
        checks.extend(nodes(look, kafka, role));
    }
    checks.extend(storage(look, kafka));
    checks.extend(bootstrap(look, kafka, live));
    checks
}

fn nodes(look: &Look, kafka: &Kafka, role: NodePoolRole) -> Option<Check> {
    let wanted = kafka.nodes_with(role);
    if wanted == 0 {
        return None;
    }
    let pools: Vec<&str> = kafka
        .node_pools
        .iter()
        .filter(|pool| pool.roles.contains(&role))
        .map(|pool| pool.name.as_str())
        .collect();
    let ready = look
        .pods_in(&kafka.namespace)
        .filter(|pod| {
            let labels = &pod["metadata"]["labels"];
            let pool = labels["strimzi.io/pool-name"].as_str().unwrap_or_default();
            labels[CLUSTER_LABEL] == kafka.name.as_str()
                && pools.contains(&pool)
                && condition(pod, "Ready").is_some_and(|ready| ready.is_true())
        })
        .count();
    let words = match role {
        NodePoolRole::Broker => "brokers",
        NodePoolRole::Controller => "controllers",
    };
    Some(
        Check::equal(
            format!("kafka/{words}"),
            format!("all {words} are ready"),
            format!("{wanted} ready"),
            format!("{ready} ready"),
        )
        .by(format!(
            "kubectl get pods -n {} -l strimzi.io/cluster={}",
            kafka.namespace, kafka.name
        )),
    )
}

/// Every persistent node has its claim, bound, of the declared size.
fn storage(look: &Look, kafka: &Kafka) -> Vec<Check> {
    let claims = look
        .claims
        .get(&kafka.namespace)
        .map_or(&[][..], Vec::as_slice);
    kafka
        .node_pools
        .iter()
        .filter(|pool| !pool.storage.ephemeral)
        .map(|pool| {
            let prefix = format!("data-0-{}-{}-", kafka.name, pool.name);
            let own: Vec<&Value> = claims
                .iter()
                .map(AsRef::as_ref)
                .filter(|claim: &&Value| {
                    let name = claim["metadata"]["name"].as_str().unwrap_or_default();
                    let number = name.strip_prefix(&prefix).unwrap_or_default();
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                })
                .collect();
            let bound = own
                .iter()
                .filter(|claim| claim["status"]["phase"] == "Bound");
            let bound = bound.count();
            // The API server may write an amount in other words: 10240Mi is 10Gi.
            let declared = pool.storage.size.to_string();
            let mut sizes: Vec<String> = own
                .iter()
                .map(|claim| &claim["spec"]["resources"]["requests"]["storage"])
                .map(|size| {
                    if same_amount(size, &json!(declared)) {
                        declared.clone()
                    } else {
                        size.as_str().unwrap_or("?").to_owned()
                    }
                })
                .collect();
            sizes.sort_unstable();
            sizes.dedup();
            Check::equal(
                format!("kafka/storage/{}", pool.name),
                format!("storage of {}", pool.name),
                format!("{} claims bound, {declared} each", pool.replicas),
                format!("{bound} claims bound, {} each", sizes.join(" or ")),
            )
            .by(format!("kubectl get pvc -n {}", kafka.namespace))
        })
        .collect()
}

/// The address that clients are told is one the cluster says itself.
fn bootstrap(look: &Look, kafka: &Kafka, live: Option<&Value>) -> Vec<Check> {
    let namespace = &kafka.namespace;
    let told = live.map(listener_addresses).unwrap_or_default();
    let seen: Vec<&str> = told.iter().map(|(_, address)| address.as_str()).collect();
    let declared = kafka.bootstrap_address();
    let service = kafka.bootstrap_service();
    let slices = look.slices.get(namespace).map_or(&[][..], Vec::as_slice);
    let endpoints = crate::spark_operator::ready_endpoints(slices, &service);
    vec![
        Check::new(
            "kafka/bootstrap",
            "the declared bootstrap address is the cluster's",
            declared.clone(),
            if seen.is_empty() {
                "no listener address in its status".to_owned()
            } else {
                seen.join(", ")
            },
            seen.iter().any(|address| same_address(address, &declared)),
        )
        .by(format!(
            "kubectl get kafka {} -n {namespace} -o jsonpath='{{.status.listeners[*].bootstrapServers}}'",
            kafka.name
        )),
        Check::new(
            "kafka/bootstrap-endpoints",
            format!("service {service} has endpoints"),
            "at least one",
            endpoints.to_string(),
            endpoints > 0,
        )
        .by(format!(
            "kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={service}"
        )),
    ]
}

/// Whether two `host:port` addresses mean the same service: the cluster's domain may be written out or not.
pub(super) fn same_address(left: &str, right: &str) -> bool {
    fn short(address: &str) -> (String, &str) {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        (host.trim_end_matches(".cluster.local").to_owned(), port)
    }
    short(left) == short(right)
}

pub(super) fn topics(look: &Look) -> Vec<Check> {
    let Some(kafka) = look.declared_kafka() else {
        return Vec::new();
    };
    kafka
        .topics
        .iter()
        .map(|topic| {
            let found = look.topics.iter().map(AsRef::as_ref);
            let live = found
                .into_iter()
                .find(|live| named(live, &kafka.namespace, &topic.name));
            let (words, ready) = health_words(live);
            let describe = |partitions: String, replicas: String, config: Vec<(String, String)>| {
                let mut text = format!("{partitions} partitions, {replicas} replicas");
                for (key, value) in config {
                    text.push_str(&format!(", {key}={value}"));
                }
                text
            };
            let config = topic.kafka_config();
            let expected = describe(
                topic.partitions.to_string(),
                topic.replicas.to_string(),
                config
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_string()))
                    .collect(),
            );
            let text = |value: &Value| match value {
                Value::Null => "no".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let seen = live.map_or_else(String::new, |live| {
                describe(
                    text(&live["spec"]["partitions"]),
                    text(&live["spec"]["replicas"]),
                    config
                        .keys()
                        .map(|key| (key.clone(), text(&live["spec"]["config"][key])))
                        .collect(),
                )
            });
            let as_declared = seen == expected;
            let shown = if seen.is_empty() {
                words
            } else {
                format!("{words}, {seen}")
            };
            Check::new(
                format!("topics/{}", topic.name),
                format!("topic {}", topic.name),
                format!("ready, {expected}"),
                shown,
                ready && as_declared,
            )
            .by(format!(
                "kubectl get kafkatopic {} -n {} -o yaml",
                topic.name, kafka.namespace
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::same_address;

    #[test]
    fn addresses_are_the_same_with_and_without_the_domain() {
        assert!(same_address(
            "a.kafka.svc:9092",
            "a.kafka.svc.cluster.local:9092"
        ));
        assert!(!same_address("a.kafka.svc:9092", "a.kafka.svc:9093"));
        assert!(!same_address("b.kafka.svc:9092", "a.kafka.svc:9092"));
    }
}
