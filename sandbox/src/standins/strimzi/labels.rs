//! Labels of the objects that the operator makes.

use serde_json::{Map, Value, json};

use super::cluster::{Cluster, Pool};

/// The parts of a cluster that have labels of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Brokers and controllers.
    Kafka,
    /// The operators of topics and users.
    EntityOperator,
    /// The certificate authorities.
    Authority,
    /// What the operator keeps for itself.
    Operator,
}

impl Component {
    fn kind(self) -> &'static str {
        match self {
            Component::Kafka => "kafka",
            Component::EntityOperator => "entity-operator",
            Component::Authority => "certificate-authority",
            Component::Operator => "strimzi",
        }
    }

    fn name(self, cluster: &str) -> String {
        match self {
            Component::Kafka | Component::EntityOperator => format!("{cluster}-{}", self.kind()),
            Component::Authority | Component::Operator => "strimzi".to_owned(),
        }
    }
}

/// Labels of a resource that the operator hands on: all but those that it sets itself.
fn inherited(labels: &[(String, String)]) -> impl Iterator<Item = (String, Value)> + '_ {
    labels
        .iter()
        .filter(|(key, _)| {
            !key.starts_with("strimzi.io/")
                && !["instance", "managed-by", "name", "part-of"]
                    .iter()
                    .any(|own| key.strip_prefix("app.kubernetes.io/") == Some(own))
        })
        .map(|(key, value)| (key.clone(), json!(value)))
}

/// Labels of an object of a component.
pub(super) fn of(cluster: &Cluster<'_>, component: Component) -> Map<String, Value> {
    let mut labels: Map<String, Value> = inherited(&cluster.labels).collect();
    for (key, value) in [
        // A label's value has at most 63 characters, a resource's name may have more.
        (
            "app.kubernetes.io/instance",
            cluster.name.chars().take(63).collect(),
        ),
        (
            "app.kubernetes.io/managed-by",
            "strimzi-cluster-operator".to_owned(),
        ),
        ("app.kubernetes.io/name", component.kind().to_owned()),
        (
            "app.kubernetes.io/part-of",
            format!("strimzi-{}", cluster.name)
                .chars()
                .take(63)
                .collect(),
        ),
        ("strimzi.io/cluster", cluster.name.clone()),
        ("strimzi.io/component-type", component.kind().to_owned()),
        ("strimzi.io/kind", "Kafka".to_owned()),
        ("strimzi.io/name", component.name(&cluster.name)),
    ] {
        labels.insert(key.to_owned(), json!(value));
    }
    labels
}

/// Labels of an object of a pool.
pub(super) fn of_pool(cluster: &Cluster<'_>, pool: &Pool) -> Map<String, Value> {
    let mut labels: Map<String, Value> = inherited(&pool.labels).collect();
    labels.extend(of(cluster, Component::Kafka));
    labels.insert("strimzi.io/pool-name".to_owned(), json!(pool.name));
    labels
}

/// The selector of every Kafka pod of the cluster.
pub(super) fn selector(cluster: &Cluster<'_>) -> Map<String, Value> {
    let name = Component::Kafka.name(&cluster.name);
    [
        ("strimzi.io/cluster", cluster.name.clone()),
        ("strimzi.io/kind", "Kafka".to_owned()),
        ("strimzi.io/name", name),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), json!(value)))
    .collect()
}

/// The selector of a component's pods, for a Deployment.
pub(super) fn selector_of(cluster: &Cluster<'_>, component: Component) -> Map<String, Value> {
    let mut selector = selector(cluster);
    selector.insert(
        "strimzi.io/name".to_owned(),
        json!(component.name(&cluster.name)),
    );
    selector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_handed_on_but_for_those_that_the_operator_sets() {
        let labels = [
            ("team", "data"),
            ("pipectl.dev/environment", "demo"),
            ("app.kubernetes.io/version", "1"),
            ("app.kubernetes.io/name", "mine"),
            ("app.kubernetes.io/part-of", "mine"),
            ("strimzi.io/cluster", "other"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let handed_on: Vec<String> = inherited(&labels).map(|(key, _)| key).collect();
        assert_eq!(
            handed_on,
            [
                "team",
                "pipectl.dev/environment",
                "app.kubernetes.io/version"
            ]
        );
    }
}
