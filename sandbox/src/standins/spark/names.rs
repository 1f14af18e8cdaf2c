//! Names that Spark and the operator derive.

use std::sync::atomic::{AtomicU32, Ordering};

use pipectl_kinds::spark::SparkApplicationSpec;
use sha2::{Digest, Sha256};

/// The driver's pod: as the spec says, else as a Spark property says, else `NAME-driver`.
pub(super) fn driver_pod(name: &str, spec: &SparkApplicationSpec) -> String {
    let from_conf = || {
        spec.spark_conf
            .as_ref()?
            .get("spark.kubernetes.driver.pod.name")
            .filter(|name| !name.is_empty())
    };
    spec.driver
        .pod_name
        .as_ref()
        .filter(|name| !name.is_empty())
        .or_else(from_conf)
        .cloned()
        .unwrap_or_else(|| format!("{name}-driver"))
}

/// The web UI's service: `NAME-ui-svc`, shortened to the length of a DNS label.
pub(super) fn ui_service(name: &str) -> String {
    const SUFFIX: &str = "ui-svc";
    let preferred = format!("{name}-{SUFFIX}");
    if preferred.len() <= 63 {
        return preferred;
    }
    // The operator hashes with MD5; any hash keeps such names apart.
    let hash: String = Sha256::digest(&preferred)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{hash}-{SUFFIX}", &name[..63 - SUFFIX.len() - 10])
}

/// A unique part of names: three random bytes and the time in milliseconds, in hexadecimal
/// (`KubernetesUtils.uniqueID`).
pub(super) fn unique_id() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let seed = uuid::Uuid::new_v4();
    let random = u32::from_be_bytes([
        0,
        seed.as_bytes()[0],
        seed.as_bytes()[1],
        seed.as_bytes()[2],
    ]) ^ count;
    let milliseconds = jiff::Timestamp::now().as_millisecond() & 0xff_ffff_ffff;
    format!("{:06x}{milliseconds:x}", random & 0xff_ffff)
}

/// The prefix of a run's objects: the application's name and a unique part, in characters that Kubernetes takes
/// (`KubernetesConf.getResourceNamePrefix`).
pub(super) fn resource_prefix(app_name: &str, unique_id: &str) -> String {
    let lower = format!("{app_name}-{unique_id}").trim().to_lowercase();
    let mut name = String::with_capacity(lower.len());
    for character in lower.chars() {
        let character = if character.is_ascii_lowercase() || character.is_ascii_digit() {
            character
        } else {
            '-'
        };
        if character != '-' || !name.ends_with('-') {
            name.push(character);
        }
    }
    let name = name.trim_start_matches('-');
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("x{}", &name[1..]),
        _ => name.to_owned(),
    }
}

/// The driver's headless service; with a long application name it loses that name.
pub(super) fn driver_service(prefix: &str, unique_id: &str) -> String {
    let preferred = format!("{prefix}-driver-svc");
    if preferred.len() <= 63 {
        preferred
    } else {
        format!("spark-{unique_id}-driver-svc")
    }
}

/// Value of the label `spark-app-name`: characters that a label takes, at most 63.
pub(super) fn app_name_label(app_name: &str) -> String {
    let label: String = app_name
        .chars()
        .take(63)
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    label
        .trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_and_then_a_property_name_the_driver() {
        let mut spec = SparkApplicationSpec::default();
        assert_eq!(driver_pod("a", &spec), "a-driver");
        let property = (
            "spark.kubernetes.driver.pod.name".to_owned(),
            "b".to_owned(),
        );
        spec.spark_conf = Some([property].into());
        assert_eq!(driver_pod("a", &spec), "b");
        spec.driver.pod_name = Some("c".into());
        assert_eq!(driver_pod("a", &spec), "c");
    }

    #[test]
    fn prefixes_are_dns_names() {
        assert_eq!(
            resource_prefix("User Activity!", "ab12"),
            "user-activity-ab12"
        );
        assert_eq!(resource_prefix("9lives", "ab12"), "xlives-ab12");
        let id = unique_id();
        assert!(
            id.len() >= 16 && id.chars().all(|c| c.is_ascii_hexdigit()),
            "{id}"
        );
        assert_ne!(unique_id(), id);
    }

    #[test]
    fn long_names_are_shortened_to_a_label() {
        let name = "n".repeat(63);
        assert_eq!(ui_service(&name).len(), 63);
        assert_eq!(driver_service(&name, "ab12"), "spark-ab12-driver-svc");
        assert_eq!(
            ui_service("spark-kafka-consumer"),
            "spark-kafka-consumer-ui-svc"
        );
    }
}
