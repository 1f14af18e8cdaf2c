//! What is asked of a cluster's API server: nodes as the simulated account has them, services of type `LoadBalancer`, and the
//! controller that makes and removes the load balancers behind them, as long as it has a node to run on and a way to AWS.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_sandbox::aws::{Aws, ClaimVolume};
use pipectl_stages::{
    PortError, PortErrorKind,
    ports::{
        entrance::{Door, EntranceApi},
        objects::{
            ApplyOptions, ClusterIdentity, Deletion, Kind, ObjectApi, ObjectRef, Selection, Served,
        },
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec},
        secrets::{SecretApi, SecretSource, SecretValue},
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::account::Account;

/// The finalizer of the AWS load balancer controller.
const FINALIZER: &str = "service.k8s.aws/resources";

/// A cluster without a control plane.
pub struct FakeCluster {
    aws: Arc<Aws>,
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    door: Option<Door>,
    services: BTreeMap<String, Value>,
    /// How many load balancers the controller has removed.
    removed: u64,
}

impl FakeCluster {
    pub fn new(account: &Account) -> Arc<Self> {
        Arc::new(Self {
            aws: account.aws.clone(),
            inner: Mutex::default(),
            changes: watch::channel(0).0,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable<T>() -> Result<T, PortError> {
        let cause = "no cluster has been entered, or it is gone";
        Err(PortError::new(PortErrorKind::Unreachable, "TST001", cause))
    }

    /// The cluster behind the door, while its API server answers.
    fn view(&self) -> Result<pipectl_sandbox::aws::ClusterView, PortError> {
        let Some(door) = self.lock().door.clone() else {
            return Self::unreachable();
        };
        let mut clusters = self.aws.clusters().into_iter();
        clusters
            .find(|cluster| door.arn.ends_with(&format!(":cluster/{}", cluster.name)))
            .map_or_else(Self::unreachable, Ok)
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

    /// How many load balancers the controller has removed.
    pub fn removed_balancers(&self) -> u64 {
        self.lock().removed
    }

    /// A service with a load balancer of the controller's, which serves it until it is asked to go.
    pub async fn expose(self: &Arc<Self>, hand: &crate::account::Hand, name: &str) {
        let balancer = hand.balancer_of(&self.view().unwrap().name, name).await;
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "uid": name, "finalizers": [FINALIZER]},
            "spec": {"type": "LoadBalancer"},
        });
        self.lock().services.insert(name.to_owned(), service);
        let (cluster, hand, name) = (self.clone(), hand.clone(), name.to_owned());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(3)).await;
                let asked = cluster
                    .lock()
                    .services
                    .get(&name)
                    .is_none_or(|service| !service["metadata"]["deletionTimestamp"].is_null());
                // The controller is a pod like any other: it needs a node, and a way to AWS.
                if asked && cluster.has_nodes() && hand.has_way_out() {
                    break;
                }
            }
            hand.remove_balancer(&balancer).await;
            let mut inner = cluster.lock();
            inner.removed += 1;
            inner.services.remove(&name);
        });
    }

    /// A claim's volume, attached to a node where the pod runs.
    pub async fn claim(&self, hand: &crate::account::Hand, id: &str) {
        let view = self.view().unwrap();
        let node = view.nodes.first().unwrap();
        let volume = ClaimVolume {
            id: id.to_owned(),
            name: format!("pvc-{id}"),
            parameters: BTreeMap::from([("type".to_owned(), "gp3".to_owned())]),
            zone: node.zone.clone(),
            size_gib: 20,
            tags: BTreeMap::new(),
        };
        self.aws.claim_volume(&view.id, volume);
        hand.attach(id, &node.instance).await;
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

#[async_trait]
impl SecretApi for FakeCluster {
    async fn resolve(&self, _: &SecretSource) -> Result<SecretValue, PortError> {
        Self::unreachable()
    }
}
