//! Settings of topics that Kafka knows.

use serde_json::{Map, Value};

/// What a setting may be.
enum Kind {
    /// A number, at least this.
    Number(i64),
    /// `true` or `false`.
    Flag,
    /// A number between 0 and 1.
    Ratio,
    /// One of these.
    One(&'static [&'static str]),
    /// A list of these, by commas.
    Some(&'static [&'static str]),
    /// Anything.
    Text,
}

/// The topic settings of Kafka 3.7 to 4.x (Kafka's documentation, "Topic-Level Configs").
const KNOWN: &[(&str, Kind)] = &[
    ("cleanup.policy", Kind::Some(&["compact", "delete"])),
    ("compression.gzip.level", Kind::Number(-1)),
    ("compression.lz4.level", Kind::Number(1)),
    (
        "compression.type",
        Kind::One(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    ("compression.zstd.level", Kind::Number(-131_072)),
    ("delete.retention.ms", Kind::Number(0)),
    ("file.delete.delay.ms", Kind::Number(0)),
    ("flush.messages", Kind::Number(1)),
    ("flush.ms", Kind::Number(0)),
    ("follower.replication.throttled.replicas", Kind::Text),
    ("index.interval.bytes", Kind::Number(0)),
    ("leader.replication.throttled.replicas", Kind::Text),
    ("local.retention.bytes", Kind::Number(-2)),
    ("local.retention.ms", Kind::Number(-2)),
    ("max.compaction.lag.ms", Kind::Number(1)),
    ("max.message.bytes", Kind::Number(0)),
    ("message.downconversion.enable", Kind::Flag),
    ("message.format.version", Kind::Text),
    ("message.timestamp.after.max.ms", Kind::Number(0)),
    ("message.timestamp.before.max.ms", Kind::Number(0)),
    ("message.timestamp.difference.max.ms", Kind::Number(0)),
    (
        "message.timestamp.type",
        Kind::One(&["CreateTime", "LogAppendTime"]),
    ),
    ("min.cleanable.dirty.ratio", Kind::Ratio),
    ("min.compaction.lag.ms", Kind::Number(0)),
    ("min.insync.replicas", Kind::Number(1)),
    ("preallocate", Kind::Flag),
    ("remote.log.copy.disable", Kind::Flag),
    ("remote.log.delete.on.disable", Kind::Flag),
    ("remote.storage.enable", Kind::Flag),
    ("retention.bytes", Kind::Number(i64::MIN)),
    ("retention.ms", Kind::Number(-1)),
    ("segment.bytes", Kind::Number(14)),
    ("segment.index.bytes", Kind::Number(4)),
    ("segment.jitter.ms", Kind::Number(0)),
    ("segment.ms", Kind::Number(1)),
    ("unclean.leader.election.enable", Kind::Flag),
];

/// Refuses settings that Kafka doesn't know, and values that they cannot have, in Kafka's words.
pub(super) fn check(config: &Map<String, Value>) -> Result<(), String> {
    const EXCEPTION: &str = "org.apache.kafka.common.errors.InvalidConfigurationException: ";
    for (name, value) in config {
        let Some((_, kind)) = KNOWN.iter().find(|(known, _)| known == name) else {
            return Err(format!("{EXCEPTION}Unknown topic config name: {name}"));
        };
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let fits = match kind {
            Kind::Number(least) => text.parse::<i64>().is_ok_and(|number| number >= *least),
            Kind::Flag => matches!(text.as_str(), "true" | "false"),
            Kind::Ratio => text
                .parse::<f64>()
                .is_ok_and(|number| (0.0..=1.0).contains(&number)),
            Kind::One(values) => values.contains(&text.as_str()),
            Kind::Some(values) => text.split(',').all(|one| values.contains(&one.trim())),
            Kind::Text => true,
        };
        if !fits {
            return Err(format!(
                "{EXCEPTION}Invalid value {text} for configuration {name}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(config: Value) -> Result<(), String> {
        check(config.as_object().unwrap())
    }

    #[test]
    fn known_settings_pass_and_others_are_named() {
        assert_eq!(
            checked(json!({"retention.ms": 600000, "min.insync.replicas": "2"})),
            Ok(())
        );
        assert!(
            checked(json!({"retention.msec": 1}))
                .unwrap_err()
                .contains("retention.msec")
        );
        assert!(
            checked(json!({"min.insync.replicas": "asd"}))
                .unwrap_err()
                .contains("asd")
        );
        assert_eq!(checked(json!({"cleanup.policy": "compact,delete"})), Ok(()));
    }
}
