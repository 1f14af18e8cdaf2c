//! The loops of the operators: what has changed is reconciled, at once, and everything now and then.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;

use super::disks::{Disks, new_id};
use super::kinds::Kinds;
use super::settings::Settings;
use super::{kafka, topics, users};
use crate::standins::common::object::label;
use crate::standins::common::{Change, Feed, Follower, Writer, resource};

/// Namespace and name.
pub(super) type Key = (String, String);

/// Changes are collected for this long before they are acted on: one action often causes many.
const COLLECT: Duration = Duration::from_millis(20);

/// A reconciliation that failed is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Kinds of Kubernetes that the cluster operator makes and follows.
pub(super) const OWNED: [&str; 11] = [
    "Pod",
    "Service",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "PersistentVolumeClaim",
    "Deployment",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
];

/// The stores of everything that an operator looks at, by kind.
pub(super) struct Stores {
    feeds: HashMap<String, Feed>,
}

impl Stores {
    fn follow<'a>(
        follower: &mut Follower,
        kinds: impl IntoIterator<Item = (&'a ApiResource, &'a str)>,
    ) -> Self {
        let feeds = kinds
            .into_iter()
            .map(|(kind, selector)| (kind.kind.clone(), follower.follow(kind, selector)))
            .collect();
        Stores { feeds }
    }

    /// Waits until every store knows what there is.
    async fn ready(&self) {
        for feed in self.feeds.values() {
            // A store whose watch has ended never gets ready; the operator ends with it.
            let _ = feed.wait_until_ready().await;
        }
    }

    /// An object.
    pub(super) fn get(
        &self,
        kind: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<DynamicObject>> {
        let feed = self.feeds.get(&kind.kind)?;
        feed.get(&ObjectRef::new_with(name, kind.clone()).within(namespace))
    }

    /// Objects of a namespace, by name.
    pub(super) fn within(&self, kind: &str, namespace: &str) -> Vec<Arc<DynamicObject>> {
        let Some(feed) = self.feeds.get(kind) else {
            return Vec::new();
        };
        let mut found = feed.state_filter(|object: &DynamicObject| {
            object.metadata.namespace.as_deref() == Some(namespace)
        });
        found.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        found
    }

    /// Objects of a namespace that belong to a cluster, by name.
    pub(super) fn of_cluster(
        &self,
        kind: &str,
        (namespace, cluster): &Key,
    ) -> Vec<Arc<DynamicObject>> {
        let mut found = self.within(kind, namespace);
        found.retain(|object| label(object, "strimzi.io/cluster") == Some(cluster));
        found
    }

    /// Every object of a kind.
    pub(super) fn all(&self, kind: &str) -> Vec<Arc<DynamicObject>> {
        self.feeds.get(kind).map(Feed::state).unwrap_or_default()
    }
}

/// When a reconciliation has to be repeated though nothing changes.
pub(super) type Again = Option<Instant>;

/// One cluster operator.
pub(super) struct ClusterOperator {
    pub(super) settings: Settings,
    pub(super) kinds: Kinds,
    pub(super) stores: Stores,
    pub(super) writer: Writer,
    pub(super) disks: Arc<Disks>,
    /// What each cluster waits for, and since when.
    pub(super) waiting: std::sync::Mutex<HashMap<Key, (String, Instant)>>,
    /// Ids given to new clusters, by UID of the `Kafka` resource.
    cluster_ids: std::sync::Mutex<HashMap<String, String>>,
}

/// Runs a cluster operator until it is dropped.
pub(super) async fn clusters(
    client: kube::Client,
    settings: Settings,
    kinds: Kinds,
    disks: Arc<Disks>,
) {
    let (sender, changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(client.clone(), sender);
    let owned: Vec<ApiResource> = OWNED.iter().map(|kind| resource(kind)).collect();
    let classes = resource("StorageClass");
    let watched = [
        (&kinds.kafka, ""),
        (&kinds.pool, ""),
        (&kinds.pod_set, ""),
        (&classes, ""),
    ];
    let all = watched
        .into_iter()
        .chain(owned.iter().map(|kind| (kind, "strimzi.io/cluster")));
    let stores = Stores::follow(&mut follower, all);
    stores.ready().await;
    let period = settings.full_reconciliation;
    let operator = ClusterOperator {
        cluster_ids: std::sync::Mutex::default(),
        writer: Writer::new(client, "strimzi-cluster-operator"),
        settings,
        kinds,
        stores,
        disks,
        waiting: std::sync::Mutex::default(),
    };
    drive(changes, period, &operator).await;
}

impl Operator for ClusterOperator {
    fn concerns(&self, change: &Change) -> Option<Key> {
        let namespace = change.object.metadata.namespace.clone()?;
        if !self.settings.watches(&namespace) {
            return None;
        }
        if change.deleted && change.kind == "PersistentVolumeClaim" {
            self.disks
                .destroy(change.object.metadata.uid.as_deref().unwrap_or_default());
        }
        let cluster = if change.kind == "Kafka" {
            change.object.metadata.name.clone()?
        } else {
            label(&change.object, "strimzi.io/cluster")?.to_owned()
        };
        Some((namespace, cluster))
    }

    fn every(&self) -> Vec<Key> {
        keys(&self.stores.all("Kafka"))
            .into_iter()
            .filter(|(namespace, _)| self.settings.watches(namespace))
            .collect()
    }

    fn writers(&self) -> Vec<&Writer> {
        vec![&self.writer]
    }

    fn reconcile<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Again, Failure>> {
        Box::pin(kafka::reconcile(self, key))
    }
}

impl ClusterOperator {
    /// The id that a cluster without one gets: always the same for the same resource, though its status may lag behind.
    pub(super) fn new_cluster_id(&self, uid: &str) -> String {
        let mut ids = self
            .cluster_ids
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        ids.entry(uid.to_owned()).or_insert_with(new_id).clone()
    }
}

fn keys(objects: &[Arc<DynamicObject>]) -> Vec<Key> {
    objects
        .iter()
        .filter_map(|object| {
            Some((
                object.metadata.namespace.clone()?,
                object.metadata.name.clone()?,
            ))
        })
        .collect()
}

/// The topic and user operators of every cluster.
pub(super) struct Entities {
    pub(super) kinds: Kinds,
    pub(super) stores: Stores,
    pub(super) topic_writer: Writer,
    pub(super) user_writer: Writer,
    pub(super) disks: Arc<Disks>,
}

/// Runs the topic and user operators until dropped: each while the pod of its entity operator is ready.
pub(super) async fn entities(client: kube::Client, kinds: Kinds, disks: Arc<Disks>) {
    let (sender, changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(client.clone(), sender);
    let (pods, secrets) = (resource("Pod"), resource("Secret"));
    let of_strimzi = "strimzi.io/cluster";
    let watched = [
        (&kinds.kafka, ""),
        (&kinds.topic, ""),
        (&kinds.user, ""),
        (&pods, of_strimzi),
        (&secrets, of_strimzi),
    ];
    let stores = Stores::follow(&mut follower, watched);
    stores.ready().await;
    let entities = Entities {
        topic_writer: Writer::new(client.clone(), "strimzi-topic-operator"),
        user_writer: Writer::new(client, "strimzi-user-operator"),
        kinds,
        stores,
        disks,
    };
    drive(changes, Duration::from_secs(120), &entities).await;
}

impl Operator for Entities {
    fn concerns(&self, change: &Change) -> Option<Key> {
        let namespace = change.object.metadata.namespace.clone()?;
        if change.kind == "Kafka" {
            return Some((namespace, change.object.metadata.name.clone()?));
        }
        Some((
            namespace,
            label(&change.object, "strimzi.io/cluster")?.to_owned(),
        ))
    }

    fn every(&self) -> Vec<Key> {
        // A cluster's topics outlive its Kafka resource, so clusters are known from their pods too.
        let mut all = keys(&self.stores.all("Kafka"));
        all.extend(self.stores.all("Pod").iter().filter_map(|pod| {
            Some((
                pod.metadata.namespace.clone()?,
                label(pod, "strimzi.io/cluster")?.to_owned(),
            ))
        }));
        all
    }

    fn writers(&self) -> Vec<&Writer> {
        vec![&self.topic_writer, &self.user_writer]
    }

    fn reconcile<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Again, Failure>> {
        Box::pin(async move {
            // A topic may live in another namespace than its cluster, so the clusters of its name are looked through.
            for cluster in self.clusters_for(key) {
                topics::reconcile(self, &cluster).await?;
                users::reconcile(self, &cluster).await?;
            }
            Ok(None)
        })
    }
}

impl Entities {
    /// The clusters that a change of `key` may concern: its own, and those of its name elsewhere that watch its
    /// namespace.
    fn clusters_for(&self, (namespace, name): &Key) -> Vec<Key> {
        let mut all: BTreeSet<Key> = BTreeSet::from([(namespace.clone(), name.clone())]);
        for pod in self.stores.all("Pod") {
            if label(&pod, "strimzi.io/cluster") == Some(name)
                && let Some(other) = &pod.metadata.namespace
            {
                all.insert((other.clone(), name.clone()));
            }
        }
        all.into_iter().collect()
    }
}

/// A failed reconciliation.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the loop drives.
trait Operator: Sync {
    /// The cluster that a change concerns.
    fn concerns(&self, change: &Change) -> Option<Key>;

    /// Every cluster there is.
    fn every(&self) -> Vec<Key>;

    /// The writers, whose memory of an object ends with the object.
    fn writers(&self) -> Vec<&Writer>;

    /// Brings a cluster a step nearer to what is asked for, and says when it must be looked at again.
    fn reconcile<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Again, Failure>>;
}

/// Reconciles what changes, what asks for it, and everything each `period`; never ends.
async fn drive(mut changes: UnboundedReceiver<Change>, period: Duration, operator: &impl Operator) {
    let mut due: HashMap<Key, Instant> = operator
        .every()
        .into_iter()
        .map(|key| (key, Instant::now()))
        .collect();
    let mut full = Instant::now() + period;
    loop {
        let next = due.values().min().copied().unwrap_or(full).min(full);
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => note(operator, &mut due, &change),
                // Every watch has ended: nothing more can be learnt.
                None => std::future::pending().await,
            },
            () = tokio::time::sleep_until(next) => {
                while let Ok(change) = changes.try_recv() {
                    note(operator, &mut due, &change);
                }
                let now = Instant::now();
                if full <= now {
                    full = now + period;
                    operator.writers().into_iter().for_each(Writer::forget_all);
                    due.extend(operator.every().into_iter().map(|key| (key, now)));
                }
                let ready: BTreeSet<Key> =
                    due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
                for key in ready {
                    due.remove(&key);
                    match operator.reconcile(&key).await {
                        Ok(Some(again)) => {
                            due.insert(key, again);
                        }
                        Ok(None) => {}
                        Err(error) => {
                            tracing::debug!(%error, cluster = ?key, "a reconciliation failed and is tried again");
                            due.insert(key, Instant::now() + RETRY);
                        }
                    }
                }
            }
        }
    }
}

/// Makes the cluster that a change concerns due.
fn note(operator: &impl Operator, due: &mut HashMap<Key, Instant>, change: &Change) {
    if change.deleted {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (namespace, name) = (
            text(&change.object.metadata.namespace),
            text(&change.object.metadata.name),
        );
        for writer in operator.writers() {
            writer.forget(&change.kind, &namespace, &name);
        }
    }
    if let Some(key) = operator.concerns(change) {
        let soon = Instant::now() + COLLECT;
        due.entry(key)
            .and_modify(|at| *at = (*at).min(soon))
            .or_insert(soon);
    }
}
