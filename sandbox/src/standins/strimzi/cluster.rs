//! The model of one Kafka cluster: what the `Kafka` resource and its node pools ask for, checked and completed.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::kafka::KafkaSpec;
use pipectl_kinds::strimzi::node_pool::{KafkaNodePoolSpec, KafkaNodePoolStatus, Role};
use pipectl_kinds::strimzi::pod_set::StrimziPodSetSpec;
use pipectl_kinds::strimzi::storage::{Storage, StorageType, VolumeType};

use super::checks;
use super::nodes::assign_ids;
use super::settings::Settings;
use crate::standins::common::object::annotation;
use crate::standins::common::owner_reference;

/// Why a cluster is refused: the class of the operator's exception and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Class of the exception, which becomes the condition's reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Refusal {
            reason,
            message: message.into(),
        }
    }
}

/// One node pool of the cluster.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// `apiVersion` of the resource.
    pub api_version: String,
    /// Generation of the spec.
    pub generation: i64,
    /// What it asks for, with storage as it may become.
    pub spec: KafkaNodePoolSpec,
    /// Labels of the resource.
    pub labels: Vec<(String, String)>,
    /// Ids of its nodes, ascending.
    pub node_ids: Vec<i32>,
}

impl Pool {
    /// Whether its nodes have a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.spec.roles.contains(&role)
    }
}

/// One Kafka node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its pool.
    pub pool: &'a Pool,
    /// Its id, unique in the cluster.
    pub id: i32,
}

/// A checked cluster.
#[derive(Clone, Debug)]
pub struct Cluster<'a> {
    /// Name of the `Kafka` resource.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What it asks for.
    pub spec: KafkaSpec,
    /// Its pools, by name.
    pub pools: Vec<Pool>,
    /// Kafka's version.
    pub kafka_version: String,
    /// Kafka's image.
    pub image: String,
    /// Kafka's own id of the cluster.
    pub cluster_id: String,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// Warnings: reason and message.
    pub warnings: Vec<(&'static str, String)>,
}

impl<'a> Cluster<'a> {
    /// The cluster that `kafka` and its `pools` describe. `pod_sets` tell what storage is in use, `occupied` which
    /// brokers of a cluster hold data.
    ///
    /// # Errors
    /// When the real operator would refuse it.
    pub fn of(
        kafka: &DynamicObject,
        pools: &[std::sync::Arc<DynamicObject>],
        pod_sets: &[std::sync::Arc<DynamicObject>],
        settings: &'a Settings,
        new_cluster_id: impl FnOnce() -> String,
        occupied: impl FnOnce(&str) -> BTreeSet<i32>,
    ) -> Result<Self, Refusal> {
        let spec: KafkaSpec = serde_json::from_value(kafka.data["spec"].clone())
            .map_err(|error| Refusal::new("InvalidResourceException", error.to_string()))?;
        let name = kafka.metadata.name.clone().unwrap_or_default();
        checks::mode(kafka, settings)?;
        let (kafka_version, image) = checks::version(&spec, settings)?;
        let mut warnings = Vec::new();
        let pools = read_pools(pools, pod_sets, &name, &mut warnings)?;
        checks::pools(&name, &pools)?;
        checks::listeners(&spec)?;
        let brokers = count(&pools, Role::Broker);
        checks::replication(&spec, brokers)?;
        warnings.extend(checks::warnings(kafka, &spec, &pools, brokers));
        let known = kafka.data["status"]["clusterId"]
            .as_str()
            .map(str::to_owned);
        let of_pool = || {
            pools
                .iter()
                .find_map(|(_, status)| status.cluster_id.clone())
        };
        let cluster_id = known.or_else(of_pool).unwrap_or_else(new_cluster_id);
        let mut pools = pools;
        if annotation(kafka, "strimzi.io/skip-broker-scaledown-check") != Some("true") {
            keep_occupied(&mut pools, &occupied(&cluster_id), &mut warnings);
        }
        Ok(Cluster {
            namespace: kafka.metadata.namespace.clone().unwrap_or_default(),
            uid: kafka.metadata.uid.clone().unwrap_or_default(),
            api_version: api_version(kafka),
            labels: labels(kafka),
            pools: assign_ids(pools),
            name,
            spec,
            kafka_version,
            image,
            cluster_id,
            settings,
            warnings,
        })
    }

    /// Every node, pool by pool.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.pools
            .iter()
            .flat_map(|pool| pool.node_ids.iter().map(move |&id| Node { pool, id }))
    }

    /// Name of an object of the cluster.
    #[must_use]
    pub fn named(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// Name of a pool's pod set.
    #[must_use]
    pub fn pod_set_name(&self, pool: &Pool) -> String {
        format!("{}-{}", self.name, pool.name)
    }

    /// Name of a node's pod, which its config map and secret share.
    #[must_use]
    pub fn pod_name(&self, node: Node<'_>) -> String {
        format!("{}-{}-{}", self.name, node.pool.name, node.id)
    }

    /// Owner references block deletion since 0.49.0 (its release notes).
    #[must_use]
    pub fn blocks_deletion(&self) -> bool {
        self.settings.at_least("0.49.0")
    }

    /// The `Kafka` resource as an owner.
    #[must_use]
    pub fn owner(&self) -> serde_json::Value {
        owner_reference(
            &self.api_version,
            "Kafka",
            &self.name,
            &self.uid,
            false,
            self.blocks_deletion(),
        )
    }

    /// A pool as an owner.
    #[must_use]
    pub fn pool_owner(&self, pool: &Pool) -> serde_json::Value {
        owner_reference(
            &pool.api_version,
            "KafkaNodePool",
            &pool.name,
            &pool.uid,
            false,
            self.blocks_deletion(),
        )
    }
}

/// Volumes of a storage: name, and the volume as a single storage. Storage without an id is the volume `data`; JBOD has
/// `data-ID` for each of its volumes.
#[must_use]
pub fn volumes(storage: &Storage) -> Vec<(String, Storage)> {
    match storage.kind {
        StorageType::PersistentClaim | StorageType::Ephemeral if storage.id.is_none() => {
            vec![("data".to_owned(), storage.clone())]
        }
        StorageType::PersistentClaim | StorageType::Ephemeral => {
            vec![(
                format!("data-{}", storage.id.unwrap_or_default()),
                storage.clone(),
            )]
        }
        StorageType::Jbod => storage
            .volumes
            .iter()
            .map(|volume| {
                let kind = match volume.kind {
                    VolumeType::Ephemeral => StorageType::Ephemeral,
                    VolumeType::PersistentClaim => StorageType::PersistentClaim,
                };
                let single = Storage {
                    kind,
                    size: volume.size.clone(),
                    class: volume.class.clone(),
                    delete_claim: volume.delete_claim,
                    id: volume.id,
                    kraft_metadata: volume.kraft_metadata,
                    overrides: volume.overrides.clone(),
                    selector: volume.selector.clone(),
                    size_limit: volume.size_limit.clone(),
                    volume_attributes_class: volume.volume_attributes_class.clone(),
                    volumes: Vec::new(),
                };
                (format!("data-{}", volume.id.unwrap_or_default()), single)
            })
            .collect(),
    }
}

fn api_version(object: &DynamicObject) -> String {
    object
        .types
        .as_ref()
        .map(|types| types.api_version.clone())
        .unwrap_or_default()
}

fn labels(object: &DynamicObject) -> Vec<(String, String)> {
    object
        .metadata
        .labels
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect()
}

fn count(pools: &[(Pool, KafkaNodePoolStatus)], role: Role) -> usize {
    let replicas = |pool: &Pool| usize::try_from(pool.spec.replicas).unwrap_or_default();
    pools
        .iter()
        .filter(|(pool, _)| pool.has(role))
        .map(|(pool, _)| replicas(pool))
        .sum()
}

/// The pools by name, with what their status says; storage falls back to what is in use where a change is not allowed.
fn read_pools(
    pools: &[std::sync::Arc<DynamicObject>],
    pod_sets: &[std::sync::Arc<DynamicObject>],
    cluster: &str,
    warnings: &mut Vec<(&'static str, String)>,
) -> Result<Vec<(Pool, KafkaNodePoolStatus)>, Refusal> {
    let mut read = Vec::new();
    for object in pools {
        let name = object.metadata.name.clone().unwrap_or_default();
        let mut spec: KafkaNodePoolSpec = serde_json::from_value(object.data["spec"].clone())
            .map_err(|error| {
                Refusal::new(
                    "InvalidResourceException",
                    format!("KafkaNodePool {name} is invalid: {error}"),
                )
            })?;
        let pod_set = pod_sets
            .iter()
            .find(|set| set.metadata.name == Some(format!("{cluster}-{name}")));
        let in_use = pod_set
            .and_then(|set| annotation(set, "strimzi.io/storage"))
            .and_then(|text| serde_json::from_str::<Storage>(text).ok());
        if let Some(in_use) = in_use
            && !checks::storage_change_allowed(&in_use, &spec.storage)
        {
            warnings.push((
                "KafkaStorage",
                format!(
                    "The storage configuration of KafkaNodePool {name} has changes which are not allowed. \
                     All of its storage changes are ignored."
                ),
            ));
            spec.storage = in_use;
        }
        let status = serde_json::from_value(object.data["status"].clone()).unwrap_or_default();
        read.push((
            Pool {
                name,
                uid: object.metadata.uid.clone().unwrap_or_default(),
                api_version: api_version(object),
                generation: object.metadata.generation.unwrap_or_default(),
                spec,
                labels: labels(object),
                node_ids: Vec::new(),
            },
            status,
        ));
    }
    read.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    Ok(read)
}

/// Brokers that hold data are not removed: the pool keeps its size, with a warning (Strimzi's documentation, "Skipping
/// checks on scale-down operations").
fn keep_occupied(
    pools: &mut [(Pool, KafkaNodePoolStatus)],
    occupied: &BTreeSet<i32>,
    warnings: &mut Vec<(&'static str, String)>,
) {
    for (pool, status) in pools.iter_mut().filter(|(pool, _)| pool.has(Role::Broker)) {
        let mut ids = status.node_ids.clone();
        ids.sort_unstable();
        let wanted = usize::try_from(pool.spec.replicas).unwrap_or_default();
        let Some(removed) = ids.get(wanted..) else {
            continue;
        };
        if removed.iter().any(|id| occupied.contains(id)) {
            warnings.push((
                "ScaleDownPreventionCheck",
                format!(
                    "Reverting scale-down of KafkaNodePool {} by changing number of replicas to {}",
                    pool.name,
                    ids.len()
                ),
            ));
            pool.spec.replicas = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        }
    }
}

/// The pods in a pod set's spec.
#[must_use]
pub fn pods_of(pod_set: &DynamicObject) -> Vec<serde_json::Value> {
    serde_json::from_value::<StrimziPodSetSpec>(pod_set.data["spec"].clone())
        .map(|spec| spec.pods)
        .unwrap_or_default()
}
