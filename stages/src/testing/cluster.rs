//! The cluster in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::ssa;
use crate::{
    error::{PortError, PortErrorKind},
    objects::ownership::{FIELD_MANAGER, finalizers, key, terminating, uid},
    ports::objects::{
        ApplyOptions, ClusterIdentity, Deletion, Kind, ObjectApi, ObjectRef, Selection, Served,
    },
    workloads::manifests::builtin_scope,
};

/// Kinds of Kubernetes' own that the fake serves: group, version, kind.
const BUILTIN: &[(&str, &str, &str)] = &[
    ("", "v1", "Namespace"),
    ("", "v1", "Node"),
    ("", "v1", "Pod"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "PersistentVolumeClaim"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("batch", "v1", "Job"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
];

/// A cluster in memory.
pub struct FakeCluster {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    next: u64,
    writes: Vec<String>,
    reads: u64,
    /// Kinds whose apply is refused when the object exists already (a field that cannot change).
    immutable: BTreeSet<String>,
    /// What somebody else makes just before our next write to its name.
    ambush: Option<Value>,
}

impl Default for FakeCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeCluster {
    /// A cluster with the namespaces that every cluster has.
    #[must_use]
    pub fn new() -> Self {
        let cluster = Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
        };
        for name in ["kube-system", "default"] {
            cluster.put(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
                "status": {"phase": "Active"}}),
            );
        }
        cluster
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object in as somebody else would.
    pub fn put(&self, mut object: Value) {
        let mut state = self.state();
        let at = key(&ObjectRef::of(&object));
        state.next += 1;
        let number = state.next;
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = match state.objects.get(&at) {
                Some(live) => live["metadata"]["uid"].clone(),
                None => json!(format!("uid-{number}")),
            };
        }
        object["metadata"]["resourceVersion"] = json!(number.to_string());
        state.objects.insert(at, object);
        drop(state);
        self.changed();
    }

    /// Changes an object as somebody else would; false when there is none.
    pub fn edit(&self, kind: &str, name: &str, change: impl FnOnce(&mut Value)) -> bool {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let found = state
            .objects
            .values_mut()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        let Some(object) = found else {
            return false;
        };
        change(object);
        object["metadata"]["resourceVersion"] = json!(number.to_string());
        drop(state);
        self.changed();
        true
    }

    /// All objects of a kind.
    #[must_use]
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let state = self.state();
        let of_kind = state
            .objects
            .values()
            .filter(|object| object["kind"] == kind);
        of_kind.cloned().collect()
    }

    /// One object.
    #[must_use]
    pub fn find(&self, kind: &str, name: &str) -> Option<Value> {
        self.all(kind)
            .into_iter()
            .find(|object| object["metadata"]["name"] == name)
    }

    /// Everything there is.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Removes an object without asking its finalizers.
    pub fn erase(&self, kind: &str, name: &str) {
        let mut state = self.state();
        state
            .objects
            .retain(|_, object| object["kind"] != kind || object["metadata"]["name"] != name);
        collect(&mut state);
        drop(state);
        self.changed();
    }

    /// Writes since the last call: verb and object.
    #[must_use]
    pub fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().writes)
    }

    /// Reads since the last call.
    #[must_use]
    pub fn take_reads(&self) -> u64 {
        std::mem::take(&mut self.state().reads)
    }

    /// From now on, changing an existing object of this kind is refused, as for a field that cannot change.
    pub fn make_immutable(&self, kind: &str) {
        self.state().immutable.insert(kind.to_owned());
    }

    /// Just before our next write to this object's name somebody else makes it: after our look.
    pub fn make_before_our_write(&self, object: Value) {
        self.state().ambush = Some(object);
    }

    fn spring(&self, at: &ObjectRef) {
        let ambush = self
            .state()
            .ambush
            .take_if(|object| key(&ObjectRef::of(object)) == key(at));
        if let Some(object) = ambush {
            self.put(object);
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// Removes children whose owners are gone, and finishes deletions that nothing holds.
fn collect(state: &mut State) {
    loop {
        let uids: BTreeSet<String> = state
            .objects
            .values()
            .map(|object| uid(object).to_owned())
            .collect();
        let namespaces: BTreeSet<String> = state
            .objects
            .values()
            .filter(|object| object["kind"] == "Namespace" && !terminating(object))
            .filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned))
            .collect();
        let orphaned = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            let has = owners.is_some_and(|owners| !owners.is_empty());
            let namespace = object["metadata"]["namespace"].as_str();
            let homeless = namespace.is_some_and(|namespace| !namespaces.contains(namespace));
            homeless
                || has
                    && owners
                        .into_iter()
                        .flatten()
                        .all(|owner| !uids.contains(owner["uid"].as_str().unwrap_or_default()))
        };
        let asked: Vec<String> = state
            .objects
            .iter()
            .filter(|(_, object)| orphaned(object) && !terminating(object))
            .map(|(at, _)| at.clone())
            .collect();
        for at in asked {
            if let Some(object) = state.objects.get_mut(&at) {
                object["metadata"]["deletionTimestamp"] = json!(Timestamp::now().to_string());
            }
        }
        let occupied: BTreeSet<String> = state
            .objects
            .values()
            .filter_map(|object| object["metadata"]["namespace"].as_str().map(str::to_owned))
            .collect();
        let before = state.objects.len();
        state.objects.retain(|_, object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let full = object["kind"] == "Namespace" && occupied.contains(name);
            !terminating(object) || full || !finalizers(object).is_empty()
        });
        if state.objects.len() == before {
            return;
        }
        // Custom resources go with their definition.
        let served: BTreeSet<(String, String)> = definitions(state);
        state.objects.retain(|_, object| {
            let kind = Kind::of(object);
            builtin_scope(&kind).is_some() || served.contains(&(kind.group, kind.kind))
        });
    }
}

fn definitions(state: &State) -> BTreeSet<(String, String)> {
    state
        .objects
        .values()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .filter_map(|crd| {
            let group = crd["spec"]["group"].as_str()?.to_owned();
            Some((group, crd["spec"]["names"]["kind"].as_str()?.to_owned()))
        })
        .collect()
}

fn served_kinds(state: &State) -> Vec<Served> {
    let verbs: Vec<String> = ["get", "list", "watch", "create", "patch", "delete"]
        .map(str::to_owned)
        .into();
    let builtin = BUILTIN.iter().map(|(group, version, kind)| {
        let kind = Kind::new(group, version, kind);
        Served {
            namespaced: builtin_scope(&kind).unwrap_or(true),
            versions: vec![kind.version.clone()],
            plural: format!("{}s", kind.kind.to_lowercase()),
            verbs: verbs.clone(),
            kind,
        }
    });
    let custom = state
        .objects
        .values()
        .filter(|object| object["kind"] == "CustomResourceDefinition" && !terminating(object))
        .map(|crd| {
            let versions: Vec<String> = crd["spec"]["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|version| version["name"].as_str().map(str::to_owned))
                .collect();
            Served {
                kind: Kind::new(
                    crd["spec"]["group"].as_str().unwrap_or_default(),
                    versions.first().map_or("v1", String::as_str),
                    crd["spec"]["names"]["kind"].as_str().unwrap_or_default(),
                ),
                versions,
                plural: crd["spec"]["names"]["plural"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                namespaced: crd["spec"]["scope"] != "Cluster",
                verbs: verbs.clone(),
            }
        });
    builtin.chain(custom).collect()
}

fn check_served(state: &State, kind: &Kind) -> Result<(), PortError> {
    let served = served_kinds(state);
    let known = served.iter().any(|served| {
        served.kind.group == kind.group
            && served.kind.kind == kind.kind
            && (kind.version.is_empty() || served.versions.contains(&kind.version))
    });
    if known {
        return Ok(());
    }
    let words = format!("no kind {} in {}", kind.kind, kind.group);
    Err(PortError::new(PortErrorKind::NotServed, "K8S000", words))
}

fn selected(object: &Value, labels: Option<&str>) -> bool {
    let own = &object["metadata"]["labels"];
    labels
        .unwrap_or_default()
        .split(',')
        .filter(|part| !part.is_empty())
        .all(|part| match part.split_once('=') {
            Some((key, value)) => own[key] == value,
            None => own[part].is_string(),
        })
}

fn matching(state: &State, selection: &Selection) -> Vec<Value> {
    state
        .objects
        .values()
        .filter(|object| {
            let kind = Kind::of(object);
            let namespace = selection.namespace.as_deref();
            kind.group == selection.kind.group
                && kind.kind == selection.kind.kind
                && namespace.is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
                && selected(object, selection.labels.as_deref())
        })
        .cloned()
        .collect()
}

#[async_trait]
impl ObjectApi for FakeCluster {
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        let served = served_kinds(&self.state());
        Ok(served
            .into_iter()
            .find(|served| served.kind.group == group && served.kind.kind == kind))
    }

    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        Ok((served_kinds(&self.state()), Vec::new()))
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, PortError> {
        let mut state = self.state();
        state.reads += 1;
        check_served(&state, &object.kind)?;
        Ok(state.objects.get(&key(object)).cloned())
    }

    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        let mut state = self.state();
        state.reads += 1;
        check_served(&state, &selection.kind)?;
        Ok(matching(&state, selection)
            .into_iter()
            .map(Arc::new)
            .collect())
    }

    async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>, PortError> {
        let mut state = self.state();
        state.reads += 1;
        check_served(&state, &selection.kind)?;
        let found = matching(&state, selection).into_iter();
        Ok(found
            .map(|object| {
                json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
            })
            .collect())
    }

    async fn apply(&self, object: &Value, options: ApplyOptions) -> Result<Value, PortError> {
        let at = ObjectRef::of(object);
        self.spring(&at);
        let mut state = self.state();
        check_served(&state, &at.kind)?;
        if let Some(namespace) = &at.namespace {
            let home = state.objects.get(&format!("Namespace {namespace}"));
            match home {
                None => {
                    let words = format!("namespace {namespace} does not exist");
                    return Err(PortError::new(PortErrorKind::NotFound, "K8S000", words));
                }
                Some(home) if terminating(home) => {
                    let words = format!("namespace {namespace} is being deleted");
                    return Err(PortError::new(PortErrorKind::Terminating, "K8S000", words));
                }
                Some(_) => {}
            }
        }
        if object["spec"]["invalid"] == true {
            return Err(PortError::new(
                PortErrorKind::Invalid,
                "K8S000",
                "spec.invalid: unknown field",
            ));
        }
        let live = state.objects.get(&key(&at)).cloned();
        // As the API server does: another UID is a change of a field that cannot change, and none is a conflict.
        match (object["metadata"]["uid"].as_str(), &live) {
            (Some(_), None) => {
                let words = "uid mismatch: the provided object specified a uid, and there is none";
                return Err(PortError::new(PortErrorKind::Conflict, "K8S000", words));
            }
            (Some(meant), Some(live)) if meant != uid(live) => {
                let words = "metadata.uid: field is immutable";
                return Err(PortError::new(PortErrorKind::Invalid, "K8S000", words));
            }
            _ => {}
        }
        if let Some(live) = &live
            && !options.force
            && ssa::conflicts(live, object)
        {
            let words = "another manager has these fields";
            return Err(PortError::new(PortErrorKind::Conflict, "K8S000", words));
        }
        let tree = ssa::ownership(object);
        let mut next = live.clone().unwrap_or_else(|| json!({"metadata": {}}));
        let before = next["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["manager"] == FIELD_MANAGER)
            .map(|entry| entry["fieldsV1"].clone())
            .unwrap_or_default();
        ssa::let_go(&mut next, &before, &tree);
        ssa::merge(&mut next, object);
        next["metadata"]["managedFields"] = json!([
            {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": tree}
        ]);
        if live.as_ref() == Some(&next) {
            return Ok(next);
        }
        if live.is_some() && state.immutable.contains(&at.kind.kind) {
            let words = "spec.field: field is immutable";
            return Err(PortError::new(PortErrorKind::Invalid, "K8S000", words));
        }
        if options.dry_run {
            return Ok(next);
        }
        state.next += 1;
        let number = state.next;
        let generation = next["metadata"]["generation"].as_i64().unwrap_or(0);
        match &live {
            None => {
                next["metadata"]["uid"] = json!(format!("uid-{number}"));
                next["metadata"]["generation"] = json!(1);
                next["metadata"]["creationTimestamp"] = json!(Timestamp::now().to_string());
            }
            Some(live) if live["spec"] != next["spec"] => {
                next["metadata"]["generation"] = json!(generation + 1);
            }
            Some(_) => {}
        }
        if at.kind.kind == "Namespace" {
            next["status"]["phase"] = json!("Active");
        }
        next["metadata"]["resourceVersion"] = json!(number.to_string());
        state.objects.insert(key(&at), next.clone());
        state.writes.push(format!("apply {at}"));
        drop(state);
        self.changed();
        Ok(next)
    }

    async fn create(&self, object: &Value) -> Result<Value, PortError> {
        let at = ObjectRef::of(object);
        self.spring(&at);
        if self.state().objects.contains_key(&key(&at)) {
            let words = format!("{at} already exists");
            return Err(PortError::new(
                PortErrorKind::AlreadyExists,
                "K8S000",
                words,
            ));
        }
        self.apply(object, ApplyOptions::default()).await
    }

    async fn delete(
        &self,
        object: &ObjectRef,
        wanted: Option<&str>,
    ) -> Result<Deletion, PortError> {
        let mut state = self.state();
        check_served(&state, &object.kind)?;
        let Some(live) = state.objects.get_mut(&key(object)) else {
            return Ok(Deletion::Absent);
        };
        if wanted.is_some_and(|wanted| wanted != uid(live)) {
            let words = "the UID is another";
            return Err(PortError::new(PortErrorKind::Conflict, "K8S000", words));
        }
        if live["metadata"]["deletionTimestamp"].is_null() {
            live["metadata"]["deletionTimestamp"] = json!(Timestamp::now().to_string());
        }
        state.writes.push(format!("delete {object}"));
        collect(&mut state);
        drop(state);
        self.changed();
        Ok(Deletion::Accepted)
    }

    async fn strip_finalizers(
        &self,
        object: &ObjectRef,
        wanted: &str,
        names: &[String],
    ) -> Result<(), PortError> {
        let mut state = self.state();
        if let Some(live) = state.objects.get_mut(&key(object))
            && uid(live) == wanted
            && let Some(list) = live["metadata"]["finalizers"].as_array_mut()
        {
            list.retain(|finalizer| !names.iter().any(|name| finalizer == name.as_str()));
        }
        state.writes.push(format!("strip {object}"));
        collect(&mut state);
        drop(state);
        self.changed();
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        let kube_system = self.find("Namespace", "kube-system").unwrap_or_default();
        Ok(ClusterIdentity {
            kube_system_uid: uid(&kube_system).to_owned(),
            ca_sha256: "0".repeat(64),
            server: "https://127.0.0.1:6443".to_owned(),
            version: "v1.35.4".to_owned(),
        })
    }
}
