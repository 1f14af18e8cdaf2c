//! Which versions go together.

use crate::units::{KubernetesVersion, Version};
use std::sync::LazyLock;

/// What one Strimzi release runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrimziRelease {
    /// The release.
    pub strimzi: Version,
    /// The Kafka versions that it runs, in order.
    pub kafka: Vec<Version>,
    /// The Kafka version that it takes by default.
    pub default_kafka: Version,
}

/// The newest release that fails on Kubernetes 1.33 and newer (strimzi-kafka-operator issue 11386: its client cannot parse the
/// `emulationMajor` field of the version answer; 0.45.1 carries the repaired client).
const LAST_BEFORE_1_33: Version = Version::new(0, 45, 0);

/// The first release without ZooKeeper (Strimzi 0.46.0, "Major changes").
const FIRST_WITHOUT_ZOOKEEPER: Version = Version::new(0, 46, 0);

static RELEASES: LazyLock<Vec<StrimziRelease>> = LazyLock::new(|| {
    let table = include_str!("../data/strimzi-kafka-versions.csv");
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .filter_map(release)
        .collect()
});

fn release(line: &str) -> Option<StrimziRelease> {
    let mut fields = line.split(',');
    let strimzi = fields.next()?.parse().ok()?;
    let kafka = fields
        .next()?
        .split(' ')
        .map(|version| version.parse().ok())
        .collect::<Option<_>>()?;
    let default_kafka = fields.next()?.parse().ok()?;
    Some(StrimziRelease {
        strimzi,
        kafka,
        default_kafka,
    })
}

/// The Strimzi releases that pipectl knows, oldest first.
pub fn strimzi_releases() -> &'static [StrimziRelease] {
    &RELEASES
}

/// What a Strimzi version runs; `None` for versions that pipectl does not know.
pub fn strimzi_release(version: &Version) -> Option<&'static StrimziRelease> {
    RELEASES.iter().find(|release| release.strimzi == *version)
}

/// The table as text, one line a release, for `pipectl explain CFG014`: `Strimzi 1.2.0 runs Kafka 4.2.0, 4.2.1, 4.3.0, 4.3.1`.
pub fn strimzi_table() -> String {
    let line = |release: &StrimziRelease| {
        let kafka: Vec<String> = release.kafka.iter().map(ToString::to_string).collect();
        format!(
            "Strimzi {} runs Kafka {}\n",
            release.strimzi,
            kafka.join(", ")
        )
    };
    RELEASES.iter().map(line).collect()
}

/// Whether a Strimzi version's operator starts on a Kubernetes version.
pub fn strimzi_runs_on(strimzi: &Version, kubernetes: KubernetesVersion) -> bool {
    *strimzi > LAST_BEFORE_1_33 || kubernetes < KubernetesVersion::new(1, 33)
}

/// Whether a Strimzi version can run Kafka with ZooKeeper.
pub fn strimzi_has_zookeeper(strimzi: &Version) -> bool {
    *strimzi < FIRST_WITHOUT_ZOOKEEPER
}

#[cfg(test)]
mod tests {
    use super::{strimzi_release, strimzi_releases, strimzi_runs_on};
    use crate::{
        model::{Kafka, Strimzi},
        units::{KubernetesVersion, Version},
    };

    #[test]
    fn every_line_of_the_table_is_read_in_order() {
        let table = include_str!("../data/strimzi-kafka-versions.csv");
        let lines = table
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
            .count();
        assert_eq!(strimzi_releases().len(), lines);
        assert!(
            strimzi_releases()
                .windows(2)
                .all(|pair| pair[0].strimzi < pair[1].strimzi)
        );
        for release in strimzi_releases() {
            assert!(
                release.kafka.contains(&release.default_kafka),
                "{release:?}"
            );
        }
    }

    #[test]
    fn the_defaults_of_the_types_go_together() {
        let release = strimzi_release(&Strimzi::default().version).unwrap();
        assert_eq!(release.default_kafka, Kafka::default().version);
    }

    #[test]
    fn the_table_as_text_has_a_line_a_release() {
        let table = super::strimzi_table();
        assert_eq!(table.lines().count(), strimzi_releases().len());
        assert_eq!(
            table.lines().last(),
            Some("Strimzi 1.2.0 runs Kafka 4.2.0, 4.2.1, 4.3.0, 4.3.1")
        );
    }

    #[test]
    fn old_releases_fail_on_new_kubernetes_only() {
        for (strimzi, kubernetes, runs) in [
            ((0, 45, 0), 33, false),
            ((0, 45, 0), 32, true),
            ((0, 45, 1), 33, true),
            ((1, 2, 0), 35, true),
            ((0, 44, 0), 35, false),
        ] {
            let (major, minor, patch) = strimzi;
            assert_eq!(
                strimzi_runs_on(
                    &Version::new(major, minor, patch),
                    KubernetesVersion::new(1, kubernetes)
                ),
                runs
            );
        }
    }

    #[test]
    #[expect(
        clippy::print_stderr,
        reason = "a comparison that is left out must be seen"
    )]
    fn the_table_is_the_reference_data() {
        let Some(directory) = std::env::var_os("PIPECTL_REFERENCE_DIR") else {
            eprintln!(
                "SKIPPED: PIPECTL_REFERENCE_DIR is not set, so the table cannot be held against the reference data"
            );
            return;
        };
        let reference = std::fs::read_to_string(
            std::path::Path::new(&directory).join("strimzi-kafka-versions.csv"),
        )
        .unwrap();
        let ours: Vec<&str> = include_str!("../data/strimzi-kafka-versions.csv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(ours, reference.lines().collect::<Vec<_>>());
    }
}
