//! What is asked of a cluster's API server: nodes as the simulated account has them, services of type `LoadBalancer`, and the
//! controller that makes and removes the load balancers behind them, as long as it has a node to run on and a way to AWS.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_sandbox::aws::{Aws, ClaimVolume, ClusterView};
use pipectl_stages::{
    Environment, PortError, PortErrorKind,
    ports::{
        entrance::{Door, EntranceApi},
        objects::{
            ApplyOptions, ClusterIdentity, Deletion, Kind, ObjectApi, ObjectRef, Selection, Served,
        },
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec},
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    account::{Account, Hand},
    graph::all,
};

/// The finalizer of the AWS load balancer controller.
const FINALIZER: &str = "service.k8s.aws/resources";

/// A cluster without a control plane.
pub struct FakeCluster {
    aws: Arc<Aws>,
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    /// The account's graph as it was lately.
    graph: watch::Sender<Arc<Value>>,
}

#[derive(Default)]
struct Inner {
    door: Option<Door>,
    services: BTreeMap<String, Value>,
    /// How many load balancers the controller has removed.
    removed: u64,
    /// What was taken out of somebody's hands.
    taken: Vec<String>,
}

/// How long a pod takes from its scheduling to its claim.
const POD_STARTS_IN: Duration = Duration::from_millis(300);
/// Pause between two looks at the account's graph, which cost something.
const PAUSE: Duration = Duration::from_millis(40);

impl FakeCluster {
    pub fn new(account: &Account) -> Arc<Self> {
        let cluster = Arc::new(Self {
            aws: account.aws.clone(),
            inner: Mutex::default(),
            changes: watch::channel(0).0,
            graph: watch::channel(Arc::new(account.graph())).0,
        });
        let weak = Arc::downgrade(&cluster);
        tokio::spawn(async move {
            while let Some(cluster) = weak.upgrade() {
                cluster.graph.send_replace(Arc::new(cluster.aws.inspect()));
                drop(cluster);
                tokio::time::sleep(PAUSE).await;
            }
        });
        cluster
    }

    /// The account's graph as it was lately.
    pub fn graph(&self) -> Arc<Value> {
        self.graph.borrow().clone()
    }

    /// Returns when the graph was looked at anew.
    async fn next_look(&self) {
        let _ = self.graph.subscribe().changed().await;
    }

    fn has(&self, kind: &str, id: &str) -> bool {
        all(&self.graph(), "ec2", kind)
            .iter()
            .any(|(one, _)| *one == id)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable<T>() -> Result<T, PortError> {
        let cause = "no cluster has been entered, or it is gone";
        Err(PortError::new(PortErrorKind::Unreachable, "TST001", cause))
    }

    /// The cluster behind the door, while its API server answers: without the key of its Secrets it does not.
    fn view(&self) -> Result<ClusterView, PortError> {
        let Some(door) = self.lock().door.clone() else {
            return Self::unreachable();
        };
        let mut clusters = self.aws.clusters().into_iter();
        clusters
            .find(|cluster| door.arn.ends_with(&format!(":cluster/{}", cluster.name)))
            .filter(|cluster| !self.has_lost_its_key(&cluster.name))
            .map_or_else(Self::unreachable, Ok)
    }

    fn has_lost_its_key(&self, cluster: &str) -> bool {
        let graph = self.graph();
        let clusters = all(&graph, "eks", "clusters");
        let of_it = clusters.iter().find(|(name, _)| *name == cluster);
        let Some(key) = of_it.and_then(|(_, one)| one["encryption"].as_str()) else {
            return false;
        };
        let keys = all(&graph, "kms", "keys");
        let mut dying = keys.iter().filter(|(_, one)| !one["deletion"].is_null());
        dying.any(|(id, _)| key.ends_with(id))
    }

    fn nodes(&self) -> Result<Vec<Arc<Value>>, PortError> {
        let nodes = self.view()?.nodes.into_iter().map(|node| {
            let ready = if node.ready { "True" } else { "False" };
            Arc::new(json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": node.name, "labels": {"eks.amazonaws.com/nodegroup": node.group}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
        });
        Ok(nodes.collect())
    }

    fn has_nodes(&self) -> bool {
        self.view()
            .is_ok_and(|view| view.nodes.iter().any(|node| node.ready && !node.leaving))
    }

    /// Whether a controller can work: a pod like any other, on a node, with an identity and a way to AWS.
    fn works(&self, hand: &Hand) -> bool {
        let graph = self.graph();
        self.has_nodes() && hand.has_way_out(&graph) && hand.has_identities(&graph)
    }

    /// How many load balancers the controller has removed.
    pub fn removed_balancers(&self) -> u64 {
        self.lock().removed
    }

    /// What was taken out of the hands of what runs in the cluster.
    pub fn taken(&self) -> Vec<String> {
        self.lock().taken.clone()
    }

    /// A service with a load balancer of the controller's, which serves it until it is asked to go.
    /// It takes so long to take one away, and cannot once it was hindered.
    pub async fn expose(self: &Arc<Self>, hand: &Hand, name: &str, works_for: Duration) {
        let balancer = hand.balancer_of(&self.view().unwrap().name, name).await;
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "uid": name, "finalizers": [FINALIZER]},
            "spec": {"type": "LoadBalancer"},
        });
        self.lock().services.insert(name.to_owned(), service);
        let (cluster, hand, name) = (self.clone(), hand.clone(), name.to_owned());
        tokio::spawn(async move {
            let asked = || {
                let services = &cluster.lock().services;
                services
                    .get(&name)
                    .is_none_or(|service| !service["metadata"]["deletionTimestamp"].is_null())
            };
            while !asked() {
                cluster.next_look().await;
            }
            let done = tokio::time::Instant::now() + works_for;
            while tokio::time::Instant::now() < done {
                if !cluster.works(&hand) {
                    let words = "the controller's nodes, their way out or their identities";
                    cluster.lock().taken.push(words.to_owned());
                    return;
                }
                cluster.next_look().await;
            }
            if !hand.remove_balancer(&balancer).await {
                return;
            }
            let mut inner = cluster.lock();
            inner.removed += 1;
            inner.services.remove(&name);
        });
    }

    /// A claim with its volume. While there are nodes it gets another one should that go.
    pub fn claim(self: &Arc<Self>, name: &str) {
        let (cluster, name) = (self.clone(), name.to_owned());
        let claim = move |attempt: u32| {
            let view = cluster.view().ok()?;
            let node = view.nodes.iter().find(|node| node.ready && !node.leaving)?;
            let volume = ClaimVolume {
                id: format!("vol-{attempt:08x}0c1a13000"),
                name: name.clone(),
                zone: node.zone.clone(),
                size_gib: 20,
                parameters: BTreeMap::from([("type".to_owned(), "gp3".to_owned())]),
                tags: BTreeMap::new(),
            };
            let id = volume.id.clone();
            cluster.aws.claim_volume(&view.id, volume);
            Some(id)
        };
        let mut id = claim(1).unwrap();
        let cluster = self.clone();
        tokio::spawn(async move {
            cluster.next_look().await;
            for attempt in 2.. {
                while cluster.has("volumes", &id) {
                    cluster.next_look().await;
                }
                tokio::time::sleep(POD_STARTS_IN).await;
                match claim(attempt) {
                    Some(next) => id = next,
                    None => return,
                }
                cluster.next_look().await;
                cluster.next_look().await;
            }
        });
    }

    /// A schedule of the cluster's own that has a snapshot of a volume: while there are nodes it makes another one should that go.
    pub async fn back_up(self: &Arc<Self>, hand: &Hand, environment: &Environment) -> String {
        let mut id = hand.snapshot(environment).await;
        let (first, cluster) = (id.clone(), self.clone());
        let (hand, environment) = (hand.clone(), environment.clone());
        tokio::spawn(async move {
            loop {
                cluster.next_look().await;
                cluster.next_look().await;
                while cluster.has("snapshots", &id) {
                    cluster.next_look().await;
                }
                tokio::time::sleep(POD_STARTS_IN).await;
                let runs = cluster.view().is_ok_and(|view| {
                    let mut nodes = view.nodes.iter();
                    nodes.any(|node| node.ready && !node.leaving)
                });
                if !runs {
                    return;
                }
                id = hand.snapshot(&environment).await;
            }
        });
        first
    }

    /// The network plugin has an interface ready for the next pod, and needs it as long as there are nodes.
    pub async fn plug(self: &Arc<Self>, hand: &Hand) {
        let interface = hand.interface_of(&self.view().unwrap().name).await;
        let cluster = self.clone();
        tokio::spawn(async move {
            cluster.next_look().await;
            cluster.next_look().await;
            while cluster.has_nodes() {
                if !cluster.has("interfaces", &interface) {
                    let words = format!("the plugin's interface {interface}");
                    cluster.lock().taken.push(words);
                    return;
                }
                cluster.next_look().await;
            }
        });
    }
}

#[async_trait]
impl EntranceApi for FakeCluster {
    async fn enter(&self, door: &Door) -> Result<ClusterIdentity, PortError> {
        self.lock().door = Some(door.clone());
        self.view()?;
        self.identity().await
    }

    fn entered(&self) -> Option<Door> {
        self.lock().door.clone()
    }
}

#[async_trait]
impl ObjectApi for FakeCluster {
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        self.view()?;
        let known = group.is_empty() && ["Node", "Service"].contains(&kind);
        Ok(known.then(|| Served {
            kind: Kind::new("", "v1", kind),
            versions: vec!["v1".to_owned()],
            plural: format!("{}s", kind.to_lowercase()),
            namespaced: kind == "Service",
            verbs: ["get", "list", "watch", "delete"].map(str::to_owned).into(),
        }))
    }
    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        Self::unreachable()
    }
    async fn get(&self, _: &ObjectRef) -> Result<Option<Value>, PortError> {
        Self::unreachable()
    }
    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        if selection.kind.kind == "Node" {
            return self.nodes();
        }
        self.view()?;
        Ok(self
            .lock()
            .services
            .values()
            .cloned()
            .map(Arc::new)
            .collect())
    }
    async fn list_metadata(&self, _: &Selection) -> Result<Vec<Value>, PortError> {
        Self::unreachable()
    }
    async fn apply(&self, _: &Value, _: ApplyOptions) -> Result<Value, PortError> {
        Self::unreachable()
    }
    async fn delete(&self, object: &ObjectRef, _: Option<&str>) -> Result<Deletion, PortError> {
        self.view()?;
        let mut inner = self.lock();
        let Some(service) = inner.services.get_mut(&object.name) else {
            return Ok(Deletion::Absent);
        };
        service["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        Ok(Deletion::Accepted)
    }
    async fn strip_finalizers(
        &self,
        _: &ObjectRef,
        _: &str,
        _: &[String],
    ) -> Result<(), PortError> {
        Self::unreachable()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        let view = self.view()?;
        Ok(ClusterIdentity {
            kube_system_uid: view.id.clone(),
            ca_sha256: "0".to_owned(),
            server: view.name,
            version: view.version,
        })
    }
}

#[async_trait]
impl ReleaseApi for FakeCluster {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Release>, PortError> {
        Self::unreachable()
    }
    async fn owned(&self, _: &str) -> Result<Vec<Release>, PortError> {
        Self::unreachable()
    }
    async fn crds(&self, _: &ChartRef) -> Result<Vec<Value>, PortError> {
        Self::unreachable()
    }
    async fn render(&self, _: &ReleaseSpec) -> Result<Vec<Value>, PortError> {
        Self::unreachable()
    }
    async fn install(&self, _: &ReleaseSpec) -> Result<Release, PortError> {
        Self::unreachable()
    }
    async fn uninstall(&self, _: &str, _: &str, _: Duration) -> Result<bool, PortError> {
        Self::unreachable()
    }
}
