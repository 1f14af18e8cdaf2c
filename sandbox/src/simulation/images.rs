//! How long images take to pull and start in the sandbox.
//!
//! Real brokers, drivers and operators take tens of seconds. Work inside the cluster does not follow the sandbox's time
//! scale, so it is short by default: long enough that waiting, progress and ordering are seen, short enough to test with.

use super::switches::START_AFTER;

/// Start-up time of the images that a pattern (a regular expression searched in the image's name) names.
#[derive(Clone, Copy, Debug)]
pub struct StartTime {
    /// Regular expression, understood by Go and by Rust alike.
    pub pattern: &'static str,
    /// Milliseconds from the pod's placement on a node until its containers run.
    pub milliseconds: u32,
    /// What it is.
    pub what: &'static str,
}

/// The table; the first pattern that fits counts, and of several containers the slowest.
pub const START_TIMES: [StartTime; 6] = [
    StartTime {
        pattern: "strimzi/kafka",
        milliseconds: 2000,
        what: "Kafka brokers and controllers",
    },
    StartTime {
        pattern: "strimzi/operator",
        milliseconds: 1500,
        what: "Strimzi operators",
    },
    StartTime {
        pattern: "spark-operator",
        milliseconds: 1000,
        what: "Spark operator and its webhook",
    },
    StartTime {
        pattern: "spark",
        milliseconds: 1500,
        what: "Spark drivers and executors",
    },
    StartTime {
        pattern: "log-generator",
        milliseconds: 1000,
        what: "web application and log generator",
    },
    StartTime {
        pattern: "zookeeper",
        milliseconds: 1500,
        what: "ZooKeeper",
    },
];

/// Milliseconds for every other image.
pub const DEFAULT_START: u32 = 800;

/// One second of a readiness probe's `initialDelaySeconds` takes this many milliseconds here ...
pub const PROBE_SECOND: u32 = 50;

/// ... but at most this many milliseconds altogether.
pub const PROBE_LONGEST: u32 = 3000;

/// Milliseconds between running and ready where a readiness probe has no initial delay.
pub const PROBE_SHORTEST: u32 = 200;

/// The start-up time of one image, without annotations.
#[must_use]
pub fn start_milliseconds(image: &str) -> u32 {
    // The patterns of the table are plain text; a test holds them to it.
    START_TIMES
        .iter()
        .find(|row| image.contains(row.pattern))
        .map_or(DEFAULT_START, |row| row.milliseconds)
}

/// A jq expression for the time until a pod's containers run, in Go's notation of durations.
pub(super) fn start_expression() -> String {
    let rows: String = START_TIMES
        .iter()
        .map(|row| format!("if test({:?}) then {} el", row.pattern, row.milliseconds))
        .collect();
    // `if a then 1 elif b then 2 else 3 end`: each row ends in `el`, completed by the next row's `if` or the last `se`.
    format!(
        r#".metadata.annotations["{START_AFTER}"] // (([.spec.containers[].image | {rows}se {DEFAULT_START} end] | max | tostring) + "ms")"#
    )
}

/// A jq expression for the time between running and ready.
pub(super) fn probe_expression() -> String {
    format!(
        r"([.spec.containers[].readinessProbe.initialDelaySeconds // 0] | max | . * {PROBE_SECOND} + {PROBE_SHORTEST} | if . > {PROBE_LONGEST} then {PROBE_LONGEST} else . end | tostring) + 'ms'"
    )
    .replace('\'', "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_counts() {
        assert_eq!(
            start_milliseconds("quay.io/strimzi/kafka:0.47.0-kafka-3.9.0"),
            2000
        );
        assert_eq!(
            start_milliseconds("ghcr.io/kubeflow/spark-operator/controller:2.5.2"),
            1000
        );
        assert_eq!(start_milliseconds("doyoomii/spark-k8s:latest"), 1500);
        assert_eq!(start_milliseconds("busybox"), DEFAULT_START);
    }

    #[test]
    fn patterns_mean_the_same_as_text_and_as_expression() {
        for row in START_TIMES {
            assert!(
                row.pattern
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-/".contains(c)),
                "{}",
                row.pattern
            );
        }
    }

    #[test]
    fn the_expression_is_one_chain() {
        let expression = start_expression();
        assert!(
            expression
                .contains(r#"if test("strimzi/kafka") then 2000 elif test("strimzi/operator")"#),
            "{expression}"
        );
        assert!(
            expression.contains(r#"elif test("zookeeper") then 1500 else 800 end]"#),
            "{expression}"
        );
    }
}
