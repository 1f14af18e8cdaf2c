//! What Kafka has on its disks: which cluster a claim was formatted for, and the topics of a cluster.
//!
//! No Kafka runs here, but its data outlives pods, operators and even the `Kafka` resource, and that is what users trip
//! over: a claim of an older cluster keeps brokers from starting (strimzi#11516). So it is kept in a file of the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A topic in Kafka.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Kafka's id of it.
    pub id: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of each.
    pub replicas: i32,
    /// Its own settings.
    pub config: Map<String, Value>,
    /// The resource that manages it, `namespace/name`.
    pub manager: String,
    /// Brokers with a replica.
    pub brokers: BTreeSet<i32>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Data {
    /// Id of the cluster, by UID of the claim.
    claims: BTreeMap<String, String>,
    /// Topics by id of the cluster and name.
    topics: BTreeMap<String, BTreeMap<String, Topic>>,
}

/// The disks of all Kafka nodes of the sandbox.
#[derive(Debug)]
pub struct Disks {
    path: PathBuf,
    data: Mutex<Data>,
}

impl Disks {
    /// The disks as an earlier run of the sandbox left them in `dir`.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let path = dir.join("kafka-disks.json");
        let data = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Disks {
            path,
            data: Mutex::new(data),
        }
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, data: &Data) {
        let temporary = self.path.with_extension("new");
        let saved = serde_json::to_vec(data)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&temporary, bytes))
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        if let Err(error) = saved {
            tracing::warn!(%error, path = %self.path.display(), "Kafka's data will not outlive this sandbox's process");
        }
    }

    /// The cluster that a claim was formatted for.
    #[must_use]
    pub fn formatted_for(&self, claim_uid: &str) -> Option<String> {
        self.data().claims.get(claim_uid).cloned()
    }

    /// Formats a claim for a cluster, unless it is formatted.
    pub fn format(&self, claim_uid: &str, cluster_id: &str) {
        let mut data = self.data();
        if !data.claims.contains_key(claim_uid) {
            data.claims
                .insert(claim_uid.to_owned(), cluster_id.to_owned());
            self.save(&data);
        }
    }

    /// The claim is gone, and with a cluster's last claim its topics.
    pub fn destroy(&self, claim_uid: &str) {
        let mut data = self.data();
        if let Some(cluster) = data.claims.remove(claim_uid) {
            if !data.claims.values().any(|other| *other == cluster) {
                data.topics.remove(&cluster);
            }
            self.save(&data);
        }
    }

    /// A topic.
    #[must_use]
    pub fn topic(&self, cluster_id: &str, name: &str) -> Option<Topic> {
        self.data().topics.get(cluster_id)?.get(name).cloned()
    }

    /// Creates or changes a topic.
    pub fn put_topic(&self, cluster_id: &str, name: &str, topic: Topic) {
        let mut data = self.data();
        data.topics
            .entry(cluster_id.to_owned())
            .or_default()
            .insert(name.to_owned(), topic);
        self.save(&data);
    }

    /// Deletes a topic.
    pub fn remove_topic(&self, cluster_id: &str, name: &str) {
        let mut data = self.data();
        let removed = data
            .topics
            .get_mut(cluster_id)
            .and_then(|topics| topics.remove(name));
        if removed.is_some() {
            self.save(&data);
        }
    }

    /// Brokers of a cluster that hold a replica of any topic.
    #[must_use]
    pub fn occupied_brokers(&self, cluster_id: &str) -> BTreeSet<i32> {
        let data = self.data();
        let topics = data.topics.get(cluster_id).into_iter().flatten();
        topics
            .flat_map(|(_, topic)| topic.brokers.iter().copied())
            .collect()
    }
}

/// A new id as Kafka writes its UUIDs: 22 characters of URL-safe base 64, not starting with a dash.
#[must_use]
pub fn new_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = rand::rng();
    let mut id: String = (0..22)
        .map(|_| char::from(ALPHABET[random.random_range(0..64)]))
        .collect();
    if id.starts_with('-') {
        id.replace_range(0..1, "A");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_outlives_the_process_and_goes_with_the_last_claim() {
        let dir = tempfile::tempdir().unwrap();
        let disks = Disks::open(dir.path());
        disks.format("claim-1", "cluster");
        disks.format("claim-1", "another");
        disks.format("claim-2", "cluster");
        let topic = Topic {
            id: new_id(),
            partitions: 3,
            replicas: 3,
            config: Map::new(),
            manager: "kafka/t".into(),
            brokers: [0, 1, 2].into(),
        };
        disks.put_topic("cluster", "t", topic.clone());
        let disks = Disks::open(dir.path());
        assert_eq!(disks.formatted_for("claim-1").as_deref(), Some("cluster"));
        assert_eq!(disks.topic("cluster", "t"), Some(topic));
        assert_eq!(disks.occupied_brokers("cluster"), [0, 1, 2].into());
        disks.destroy("claim-1");
        assert!(disks.topic("cluster", "t").is_some());
        disks.destroy("claim-2");
        assert!(disks.topic("cluster", "t").is_none());
    }
}
