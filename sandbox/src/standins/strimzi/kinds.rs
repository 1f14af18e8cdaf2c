//! Strimzi's kinds in the API version that the cluster serves.

use kube::core::{ApiResource, DynamicObject};
use pipectl_kinds::ResourceSpec;
use pipectl_kinds::strimzi::{
    KafkaNodePoolSpec, KafkaTopicSpec, KafkaUserSpec, StrimziPodSetSpec, kafka::KafkaSpec,
};

use crate::standins::common::object::condition;
use crate::standins::common::resources::custom;

/// The kinds, all in one API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// For instance `v1beta2`.
    pub version: &'static str,
    /// `Kafka`.
    pub kafka: ApiResource,
    /// `KafkaNodePool`.
    pub pool: ApiResource,
    /// `KafkaTopic`.
    pub topic: ApiResource,
    /// `KafkaUser`.
    pub user: ApiResource,
    /// `StrimziPodSet`.
    pub pod_set: ApiResource,
}

impl Kinds {
    /// The kinds in `version`.
    #[must_use]
    pub fn of(version: &'static str) -> Self {
        fn kind<S: ResourceSpec>(version: &str) -> ApiResource {
            custom(S::GROUP, version, S::KIND, S::PLURAL)
        }
        Kinds {
            version,
            kafka: kind::<KafkaSpec>(version),
            pool: kind::<KafkaNodePoolSpec>(version),
            topic: kind::<KafkaTopicSpec>(version),
            user: kind::<KafkaUserSpec>(version),
            pod_set: kind::<StrimziPodSetSpec>(version),
        }
    }

    /// The newest version that every definition among `definitions` serves; none while a definition is missing.
    #[must_use]
    pub fn served<'a>(
        definitions: impl Iterator<Item = &'a DynamicObject> + Clone,
    ) -> Option<Self> {
        ["v1", "v1beta2"].into_iter().map(Kinds::of).find(|kinds| {
            [
                &kinds.kafka,
                &kinds.pool,
                &kinds.topic,
                &kinds.user,
                &kinds.pod_set,
            ]
            .into_iter()
            .all(|kind| {
                let name = format!("{}.{}", kind.plural, kind.group);
                definitions.clone().any(|definition| {
                    definition.metadata.name.as_ref() == Some(&name)
                        && definition.metadata.deletion_timestamp.is_none()
                        && condition(definition, "Established") == Some("True")
                        && definition.data["spec"]["versions"]
                            .as_array()
                            .is_some_and(|versions| {
                                versions
                                    .iter()
                                    .any(|one| one["name"] == kind.version && one["served"] == true)
                            })
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipectl_kinds::strimzi::crds;
    use serde_json::json;

    fn established(strimzi: &str) -> Vec<DynamicObject> {
        crds(strimzi)
            .into_iter()
            .map(|mut crd| {
                crd["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
                serde_json::from_value(crd).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_version_follows_from_what_is_served() {
        for (strimzi, version) in [("0.47.0", "v1beta2"), ("0.50.0", "v1"), ("1.2.0", "v1")] {
            assert_eq!(
                Kinds::served(established(strimzi).iter()),
                Some(Kinds::of(version)),
                "{strimzi}"
            );
        }
        let mut some = established("1.2.0");
        some.pop();
        assert_eq!(Kinds::served(some.iter()), None);
    }
}
