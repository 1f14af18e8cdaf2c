//! Strimzi's kinds.
//!
//! Ready means: the operator wrote a status, for the newest generation, with `Ready` true. No status is not ready
//! (strimzi#9278: a Kafka was taken for healthy within seconds because it had none).

use serde_json::Value;

use super::{
    Health, Trouble,
    conditions::{condition, number, seen, words_of},
};

/// Reasons of a `NotReady` condition that no waiting mends: the specification itself is refused. They are the class
/// names of the cluster operator's exceptions (`StatusUtils`, `io.strimzi.operator.cluster.model`), and the words of
/// the topic operator (`TopicOperatorException`).
const FINAL_REASONS: &[&str] = &[
    "InvalidResourceException",
    "InvalidConfigurationException",
    "KafkaUpgradeException",
    "UnsupportedKafkaVersionException",
    "UnsupportedVersionException",
    "InvalidResource",
    "NotSupported",
    "ResourceConflict",
];

/// `Kafka`, `KafkaTopic`, `KafkaUser` and the other kinds that carry a `Ready` condition.
pub(super) fn with_ready_condition(object: &Value) -> Health {
    if object["status"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        return Health::waiting("the operator has not looked at it yet");
    }
    if seen(object) != Some(true) {
        return Health::waiting("the operator has not seen the newest change yet");
    }
    if let Some(ready) = condition(object, "Ready") {
        if ready.is_true() {
            return Health::Ready("ready".to_owned());
        }
        return refused_or_waiting(object, ready.reason, words_of(&ready, "not ready yet"));
    }
    if let Some(not_ready) = condition(object, "NotReady")
        && not_ready.is_true()
    {
        let words = words_of(&not_ready, "not ready yet");
        return refused_or_waiting(object, not_ready.reason, words);
    }
    Health::waiting("not ready yet")
}

fn refused_or_waiting(object: &Value, reason: &str, words: String) -> Health {
    if !FINAL_REASONS.contains(&reason) {
        return Health::waiting(words);
    }
    let topic = object["kind"] == "KafkaTopic";
    let trouble = Trouble {
        code: match reason {
            "UnsupportedKafkaVersionException" | "UnsupportedVersionException" => "KFK002",
            "KafkaUpgradeException" => "KFK003",
            _ if topic => "KFK004",
            _ => "KFK001",
        },
        cause: words,
        hint: None,
        evidence: vec![format!("condition reason {reason}")],
    };
    Health::Failed(match trouble.code {
        "KFK002" => trouble.with_hint(
            "set spec.kafka.version to one that this Strimzi runs (pipectl explain KFK002), or change spec.strimzi.version",
        ),
        "KFK003" => trouble.with_hint(
            "Kafka versions change step by step: go to the newest version between the two first",
        ),
        _ => trouble.with_hint("correct the field that the operator names, then run pipectl up"),
    })
}

/// A node pool has no condition of its own when all is well: it stands when the operator gave every node its id.
pub(super) fn node_pool(object: &Value) -> Health {
    if let Some(not_ready) = condition(object, "NotReady")
        && not_ready.is_true()
    {
        let words = words_of(&not_ready, "not ready yet");
        return refused_or_waiting(object, not_ready.reason, words);
    }
    if seen(object) != Some(true) {
        return Health::waiting("the operator has not looked at it yet");
    }
    let wanted = number(object, "/spec/replicas");
    let given = object["status"]["nodeIds"].as_array().map_or(0, Vec::len);
    let given = u32::try_from(given).unwrap_or(u32::MAX);
    if given == wanted {
        Health::Ready(format!("{wanted} nodes"))
    } else {
        Health::counting(
            format!("{given} of {wanted} nodes have an id"),
            given,
            wanted,
        )
    }
}

/// The bootstrap addresses of a Kafka's listeners as its status says: (listener name, `host:port`).
#[must_use]
pub fn listener_addresses(kafka: &Value) -> Vec<(String, String)> {
    let listeners = kafka["status"]["listeners"].as_array();
    listeners
        .into_iter()
        .flatten()
        .filter_map(|listener| {
            let name = listener["name"].as_str().or(listener["type"].as_str())?;
            Some((
                name.to_owned(),
                listener["bootstrapServers"].as_str()?.to_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::judge;
    use super::*;

    fn kafka(status: Value) -> Value {
        json!({"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "Kafka",
            "metadata": {"name": "c", "namespace": "kafka", "generation": 3}, "status": status})
    }

    #[test]
    fn no_status_is_not_ready() {
        assert!(!judge(&kafka(Value::Null)).is_ready());
        assert!(!judge(&kafka(json!({}))).is_ready());
    }

    #[test]
    fn ready_counts_only_for_the_newest_generation() {
        let ready = |generation: i64| {
            judge(&kafka(json!({"observedGeneration": generation,
                "conditions": [{"type": "Ready", "status": "True"}]})))
        };
        assert!(!ready(2).is_ready());
        assert!(ready(3).is_ready());
    }

    #[test]
    fn an_unsupported_version_fails_at_once_and_a_passing_trouble_does_not() {
        let with = |reason: &str| {
            judge(&kafka(json!({"observedGeneration": 3, "conditions": [
                {"type": "NotReady", "status": "True", "reason": reason, "message": "why"}]})))
        };
        assert!(matches!(with("UnsupportedKafkaVersionException"),
            Health::Failed(trouble) if trouble.code == "KFK002" && trouble.cause == "why"));
        assert_eq!(with("TimeoutException"), Health::waiting("why"));
    }

    #[test]
    fn a_node_pool_stands_when_every_node_has_an_id() {
        let pool = |ids: Value| {
            judge(
                &json!({"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaNodePool",
                "metadata": {"name": "b", "generation": 1}, "spec": {"replicas": 3},
                "status": {"observedGeneration": 1, "nodeIds": ids}}),
            )
        };
        assert!(pool(json!([0, 1, 2])).is_ready());
        assert_eq!(
            pool(json!([0])),
            Health::counting("1 of 3 nodes have an id", 1, 3)
        );
    }

    #[test]
    fn listener_addresses_come_from_the_status() {
        let kafka =
            kafka(json!({"listeners": [{"name": "plain", "bootstrapServers": "a.b.svc:9092"}]}));
        assert_eq!(
            listener_addresses(&kafka),
            [("plain".to_owned(), "a.b.svc:9092".to_owned())]
        );
    }
}
