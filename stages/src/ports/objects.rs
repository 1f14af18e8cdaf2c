//! Kubernetes objects, as JSON values.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    error::{PortError, PortErrorKind},
    ports::probes::ProbeApi,
};

/// A kind of object. An empty `version` means "whatever discovery prefers".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version without the group; empty: the preferred one.
    pub version: String,
    /// Kind, e.g. `KafkaTopic`.
    pub kind: String,
}

impl Kind {
    /// `kind` of `group` in `version` (empty: the preferred one).
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// The kind named by an object's `apiVersion` and `kind`.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::new(group, version, object["kind"].as_str().unwrap_or_default())
    }

    /// `GROUP/VERSION`, or just the version for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// One object's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-wide kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// The address of a whole object.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self {
            kind: Kind::of(object),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Which objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// The kind.
    pub kind: Kind,
    /// Only this namespace; `None`: all.
    pub namespace: Option<String>,
    /// Label selector in the API's own syntax; `None`: all.
    pub labels: Option<String>,
}

/// A kind as discovery knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The kind with the version the API prefers.
    pub kind: Kind,
    /// Every version the API serves of it.
    pub versions: Vec<String>,
    /// Plural name, e.g. `kafkatopics`.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Verbs the API offers.
    pub verbs: Vec<String>,
}

/// How an object is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Take over fields that another field manager holds.
    pub force: bool,
    /// Ask the API whether it would accept it; nothing is kept.
    pub dry_run: bool,
}

/// What deleting met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It did not exist.
    Absent,
    /// Deletion was accepted; it may take time (finalizers, grace).
    Accepted,
}

/// Kubernetes, as far as steps need it. Every call is bounded in time and runs behind the identity fence.
#[async_trait]
pub trait ObjectApi: Send + Sync {
    /// A kind by group and kind, as the API serves it now. Discovery is read again when the kind is unknown.
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError>;

    /// Every kind the API serves that can be listed and deleted, preferred versions only. Groups whose API service is
    /// dead are reported as errors by name beside the rest.
    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError>;

    /// One object, read now.
    async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, PortError>;

    /// The objects of a selection from the shared watch, which the first caller starts (one list, then one watch).
    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError>;

    /// The metadata (labels, uid, name, namespace, annotations) of a selection, read now, without a watch.
    async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>, PortError>;

    /// Server-side apply with field manager `pipectl` and strict field validation; answers the object as kept.
    async fn apply(&self, object: &Value, options: ApplyOptions) -> Result<Value, PortError>;

    /// Creates an object that must not exist yet, with field manager `pipectl`; answers the object as kept, or
    /// [`PortErrorKind::AlreadyExists`]. An adapter makes this one atomic call (POST); the default, for fakes, looks
    /// first and then applies.
    async fn create(&self, object: &Value) -> Result<Value, PortError> {
        let at = ObjectRef::of(object);
        if self.get(&at).await?.is_some() {
            return Err(PortError::new(
                PortErrorKind::AlreadyExists,
                "K8S000",
                format!("{at} already exists"),
            ));
        }
        self.apply(object, ApplyOptions::default()).await
    }

    /// The way to run something inside a pod, where this adapter has one.
    fn probes(&self) -> Option<&dyn ProbeApi> {
        None
    }

    /// Deletes one object, only if it still has this UID when one is given, dependents in the background.
    async fn delete(&self, object: &ObjectRef, uid: Option<&str>) -> Result<Deletion, PortError>;

    /// Removes these finalizers from an object that is being deleted.
    async fn strip_finalizers(
        &self,
        object: &ObjectRef,
        uid: &str,
        finalizers: &[String],
    ) -> Result<(), PortError>;

    /// Counts up whenever any shared watch saw a change; a waiter looks again then.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Who the cluster is: identity for the fence.
    async fn identity(&self) -> Result<ClusterIdentity, PortError>;
}

/// Who a cluster is. Pinned at the first `up`, checked before every later change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// UID of the namespace `kube-system`: it lives and dies with the cluster.
    pub kube_system_uid: String,
    /// SHA-256 of the cluster's CA certificate, hexadecimal.
    pub ca_sha256: String,
    /// The API server's address; may change without the cluster being another.
    pub server: String,
    /// Kubernetes version, e.g. `v1.35.4`.
    pub version: String,
}
