//! What an operator's pod was told: version, namespaces, images, timeouts.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::releases::{RELEASES, at_least};
use serde_json::Value;

/// The label of the cluster operator's pods, in the chart and in the plain manifests alike.
pub const OPERATOR_SELECTOR: &str = "strimzi.io/kind=cluster-operator";

/// Name of the operator's container.
const CONTAINER: &str = "strimzi-cluster-operator";

/// The settings of one cluster operator, read from its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of the operator.
    pub namespace: String,
    /// Version of Strimzi.
    pub version: String,
    /// Namespaces that it works in; none means all.
    pub watched: Option<Vec<String>>,
    /// Kafka's image by version.
    pub kafka_images: BTreeMap<String, String>,
    /// Image of the topic operator.
    pub topic_operator_image: String,
    /// Image of the user operator.
    pub user_operator_image: String,
    /// Image of the init container that reads the rack.
    pub init_image: String,
    /// Time between full reconciliations.
    pub full_reconciliation: Duration,
    /// Time after which waiting for pods is given up.
    pub operation_timeout: Duration,
    /// Whether network policies are made.
    pub network_policies: bool,
    /// Whether disruption budgets are made.
    pub disruption_budgets: bool,
}

impl Settings {
    /// Reads the settings from a pod of the operator.
    #[must_use]
    pub fn of(pod: &DynamicObject) -> Option<Self> {
        let namespace = pod.metadata.namespace.clone()?;
        let containers = pod.data["spec"]["containers"].as_array()?;
        let container = containers
            .iter()
            .find(|container| container["name"] == CONTAINER)
            .or(containers.first())?;
        let value = |name: &str| environment(container, name, &namespace);
        let milliseconds = |name: &str, default: u64| {
            Duration::from_millis(
                value(name)
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(default),
            )
        };
        let kafka_images: BTreeMap<String, String> = value("STRIMZI_KAFKA_IMAGES")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(version, image)| (version.to_owned(), image.to_owned()))
            .collect();
        let image = container["image"].as_str().unwrap_or_default();
        let version = version_of(image, &kafka_images);
        let operator = format!("quay.io/strimzi/operator:{version}");
        Some(Settings {
            watched: watched(value("STRIMZI_NAMESPACE").as_deref()),
            topic_operator_image: value("STRIMZI_DEFAULT_TOPIC_OPERATOR_IMAGE")
                .unwrap_or_else(|| operator.clone()),
            user_operator_image: value("STRIMZI_DEFAULT_USER_OPERATOR_IMAGE")
                .unwrap_or_else(|| operator.clone()),
            init_image: value("STRIMZI_DEFAULT_KAFKA_INIT_IMAGE").unwrap_or(operator),
            full_reconciliation: milliseconds("STRIMZI_FULL_RECONCILIATION_INTERVAL_MS", 120_000),
            operation_timeout: milliseconds("STRIMZI_OPERATION_TIMEOUT_MS", 300_000),
            network_policies: value("STRIMZI_NETWORK_POLICY_GENERATION").as_deref()
                != Some("false"),
            disruption_budgets: value("STRIMZI_POD_DISRUPTION_BUDGET_GENERATION").as_deref()
                != Some("false"),
            namespace,
            version,
            kafka_images,
        })
    }

    /// Whether the operator works in `namespace`.
    #[must_use]
    pub fn watches(&self, namespace: &str) -> bool {
        self.watched
            .as_ref()
            .is_none_or(|watched| watched.iter().any(|one| one == namespace))
    }

    /// Whether this is Strimzi `version` or newer.
    #[must_use]
    pub fn at_least(&self, version: &str) -> bool {
        at_least(&self.version, version)
    }
}

/// The namespaces in the operator's environment: unset, empty or `*` is every namespace.
fn watched(value: Option<&str>) -> Option<Vec<String>> {
    let text = value.unwrap_or_default().trim();
    if text.is_empty() || text == "*" {
        return None;
    }
    Some(text.split(',').map(|one| one.trim().to_owned()).collect())
}

/// An environment variable, given plainly or as the pod's namespace.
fn environment(container: &Value, name: &str, namespace: &str) -> Option<String> {
    let variable = container["env"]
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == name)?;
    if let Some(value) = variable["value"].as_str() {
        return Some(value.to_owned());
    }
    match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.namespace") => Some(namespace.to_owned()),
        _ => None,
    }
}

/// The version in an image's tag; for a tag without one, the version in the Kafka images; else the newest known.
fn version_of(image: &str, kafka_images: &BTreeMap<String, String>) -> String {
    let is_version =
        |text: &str| text.split('.').count() == 3 && text.starts_with(|c: char| c.is_ascii_digit());
    let tag = |image: &str| {
        let name = image.split('@').next().unwrap_or(image);
        name.rsplit('/')
            .next()
            .and_then(|last| last.split_once(':'))
            .map(|(_, tag)| tag.to_owned())
    };
    let own = tag(image).filter(|tag| is_version(tag));
    let of_kafka = || {
        let tag = kafka_images.values().next().and_then(|image| tag(image))?;
        let version = tag.split("-kafka-").next()?.to_owned();
        is_version(&version).then_some(version)
    };
    own.or_else(of_kafka).unwrap_or_else(|| {
        RELEASES
            .last()
            .map(|release| release.strimzi.to_owned())
            .unwrap_or_default()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    fn pod(image: &str, env: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "strimzi-cluster-operator-x", "namespace": "kafka"},
            "spec": {"containers": [{"name": CONTAINER, "image": image, "env": env}]}
        }))
        .unwrap()
    }

    /// Settings as the chart of `version` gives them.
    pub(crate) fn sample(version: &str) -> Settings {
        let images = pipectl_kinds::strimzi::releases::find(version)
            .map(|release| release.kafka)
            .unwrap_or_default()
            .iter()
            .map(|kafka| format!("{kafka}=quay.io/strimzi/kafka:{version}-kafka-{kafka}\n"))
            .collect::<String>();
        Settings::of(&pod(
            &format!("quay.io/strimzi/operator:{version}"),
            json!([
                {"name": "STRIMZI_KAFKA_IMAGES", "value": images},
                {"name": "STRIMZI_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
            ]),
        ))
        .unwrap()
    }

    #[test]
    fn settings_come_from_the_pod() {
        let settings = sample("0.47.0");
        assert_eq!(settings.version, "0.47.0");
        assert!(settings.watches("kafka"));
        assert!(!settings.watches("default"));
        assert_eq!(
            settings.kafka_images["3.9.0"],
            "quay.io/strimzi/kafka:0.47.0-kafka-3.9.0"
        );
    }

    #[test]
    fn a_mirrored_operator_by_digest_takes_its_version_from_kafka_images() {
        let env = json!([
            {"name": "STRIMZI_KAFKA_IMAGES", "value": "4.0.0=mirror:5000/strimzi/kafka:0.48.0-kafka-4.0.0"},
            {"name": "STRIMZI_NAMESPACE", "value": "a, b"}
        ]);
        let settings = Settings::of(&pod("mirror:5000/strimzi/operator@sha256:00", env)).unwrap();
        assert_eq!(settings.version, "0.48.0");
        assert!(settings.watches("b"));
        assert_eq!(watched(Some("*")), None);
    }
}
