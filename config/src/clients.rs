//! Finds Kafka clients' bootstrap addresses in objects and texts.

use serde_json::Value;

use crate::yaml::{Content, Node, Path};

/// Whether an environment variable or setting of this name holds a bootstrap address.
pub(crate) fn is_bootstrap_variable(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect();
    folded.ends_with("bootstrapservers") || folded.ends_with("bootstrapserver")
}

/// The parts of a text that look like the address of a Strimzi bootstrap service: `NAME-kafka-bootstrap...:PORT`.
pub(crate) fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let outside = |character: char| {
        !(character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | ':' | '_'))
    };
    text.split(outside)
        .map(|part| part.trim_matches(['.', ':', '-']))
        .filter(|part| {
            part.rsplit_once(':').is_some_and(|(host, port)| {
                host.contains("-kafka-bootstrap")
                    && !port.is_empty()
                    && port.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
}

/// The environment variables of an object's containers: name and the entry.
pub(crate) fn env_entries(object: &Node) -> Vec<(&str, &Node)> {
    let mut found = Vec::new();
    object.visit(&Path::default(), &mut |path, node| {
        let is_env = path
            .segments()
            .last()
            .is_some_and(|last| *last == crate::yaml::Segment::from("env"));
        if let (true, Content::List(entries)) = (is_env, &node.content) {
            found.extend(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.get("name")?.text()?, entry))),
            );
        }
    });
    found
}

/// The environment variables of an object's containers whose values are written out.
pub(crate) fn env_values(object: &Value, found: &mut Vec<(String, String)>) {
    match object {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let ("env", Some(entries)) = (key.as_str(), value.as_array()) {
                    found.extend(entries.iter().filter_map(|entry| {
                        Some((
                            entry["name"].as_str()?.to_owned(),
                            entry["value"].as_str()?.to_owned(),
                        ))
                    }));
                }
                env_values(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| env_values(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{addresses, is_bootstrap_variable};

    #[test]
    fn addresses_are_found_inside_texts() {
        let find = |text: &'static str| addresses(text).collect::<Vec<_>>();
        assert_eq!(
            find("a-kafka-bootstrap.kafka.svc:9092"),
            ["a-kafka-bootstrap.kafka.svc:9092"]
        );
        assert_eq!(
            find("x=PLAINTEXT://a-kafka-bootstrap:9092,b-kafka-bootstrap.n:1."),
            ["a-kafka-bootstrap:9092", "b-kafka-bootstrap.n:1"]
        );
        assert!(find("a-kafka-bootstrap.kafka.svc and kafka:9092").is_empty());
    }

    #[test]
    fn variables_by_name() {
        for name in [
            "KAFKA_BOOTSTRAP_SERVERS",
            "bootstrap.servers",
            "spring.kafka.bootstrap-servers",
            "kafka.bootstrap.servers",
        ] {
            assert!(is_bootstrap_variable(name), "{name}");
        }
        assert!(!is_bootstrap_variable("bootstrap") && !is_bootstrap_variable("BOOTSTRAP_TIMEOUT"));
    }
}
