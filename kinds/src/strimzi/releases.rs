//! Which Strimzi runs which Kafka, serves which API and works on which Kubernetes.
//!
//! The Kafka versions are those of `kafka-versions.yaml` in the Strimzi repository at each release's tag.

use std::cmp::Ordering;

/// Facts of one Strimzi release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Version of Strimzi.
    pub strimzi: &'static str,
    /// Versions of Kafka that it runs, oldest first.
    pub kafka: &'static [&'static str],
    /// Version of Kafka that it runs when none is asked for.
    pub default_kafka: &'static str,
}

/// Every release that the facts are known of, oldest first.
pub const RELEASES: &[Release] = &[
    release("0.39.0", &["3.5.0", "3.5.1", "3.5.2", "3.6.0", "3.6.1"]),
    release("0.40.0", &["3.6.0", "3.6.1", "3.7.0"]),
    release("0.41.0", &["3.6.0", "3.6.1", "3.6.2", "3.7.0"]),
    release("0.42.0", &["3.6.0", "3.6.1", "3.6.2", "3.7.0", "3.7.1"]),
    release("0.43.0", &["3.7.0", "3.7.1", "3.8.0"]),
    release("0.44.0", &["3.7.0", "3.7.1", "3.8.0"]),
    release("0.45.0", &["3.8.0", "3.8.1", "3.9.0"]),
    release("0.45.1", &["3.8.0", "3.8.1", "3.9.0", "3.9.1"]),
    release("0.46.0", &["3.9.0", "4.0.0"]),
    release("0.46.1", &["3.9.0", "4.0.0"]),
    release("0.47.0", &["3.9.0", "3.9.1", "4.0.0"]),
    release("0.48.0", &["4.0.0", "4.1.0"]),
    release("0.49.0", &["4.0.0", "4.0.1", "4.1.0", "4.1.1"]),
    release("0.50.0", &["4.0.0", "4.0.1", "4.1.0", "4.1.1"]),
    release("0.51.0", &["4.1.0", "4.1.1", "4.2.0"]),
    release("1.0.0", &["4.1.0", "4.1.1", "4.1.2", "4.2.0"]),
    release("1.1.0", &["4.2.0", "4.2.1", "4.3.0"]),
    release("1.2.0", &["4.2.0", "4.2.1", "4.3.0", "4.3.1"]),
];

/// The default is the newest version that the release runs, in every release of the table.
const fn release(strimzi: &'static str, kafka: &'static [&'static str]) -> Release {
    Release {
        strimzi,
        kafka,
        default_kafka: kafka[kafka.len() - 1],
    }
}

/// The facts of `strimzi`, when known.
#[must_use]
pub fn find(strimzi: &str) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.strimzi == strimzi)
}

/// Compares two versions of dotted numbers; what follows a `-` does not count, missing parts are zero.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let parts = |version: &str| -> Vec<u64> {
        version
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    let (left, right) = (parts(left), parts(right));
    (0..left.len().max(right.len()))
        .map(|at| {
            let pick = |parts: &[u64]| parts.get(at).copied().unwrap_or(0);
            pick(&left).cmp(&pick(&right))
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Whether `version` is `since` or newer.
#[must_use]
pub fn at_least(version: &str, since: &str) -> bool {
    compare(version, since).is_ge()
}

/// The API versions that a release's definitions serve, the stored one first.
///
/// `v1` came with 0.49.0 beside the older ones, which left with 1.0.0; until then `v1beta2` stays the stored one
/// (release notes of Strimzi 0.49.0 and 1.0.0).
#[must_use]
pub fn api_versions(strimzi: &str) -> &'static [&'static str] {
    if at_least(strimzi, "1.0.0") {
        &["v1"]
    } else if at_least(strimzi, "0.49.0") {
        &["v1beta2", "v1"]
    } else {
        &["v1beta2"]
    }
}

/// Whether a release's operator runs on Kubernetes `minor` (as in 1.`minor`).
///
/// Up to 0.45.0 its Kubernetes client cannot read the version document of 1.33 and newer (strimzi#11386).
#[must_use]
pub fn runs_on_kubernetes(strimzi: &str, minor: u32) -> bool {
    minor < 33 || at_least(strimzi, "0.45.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(at_least("0.49.0", "0.9.1"));
        assert!(!at_least("0.45.0", "0.45.1"));
        assert!(at_least("1.35.4-eks", "1.35.4"));
        assert_eq!(compare("4.0", "4.0.0"), Ordering::Equal);
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn the_table_agrees_with_the_reference() {
        let Ok(dir) = std::env::var("PIPECTL_REFERENCE_DIR") else {
            eprintln!("skipped: PIPECTL_REFERENCE_DIR is not set");
            return;
        };
        let text = std::fs::read_to_string(format!("{dir}/strimzi-kafka-versions.csv")).unwrap();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .skip(1)
            .map(|row| row.split(',').collect())
            .collect();
        assert_eq!(rows.len(), RELEASES.len());
        for (row, release) in rows.iter().zip(RELEASES) {
            assert_eq!(row[0], release.strimzi);
            assert_eq!(row[1].split(' ').collect::<Vec<_>>(), release.kafka);
            assert_eq!(row[2], release.default_kafka);
        }
    }
}
