//! `ObjectApi` over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use kube::Client;
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::objects::{
        ApplyOptions, ClusterIdentity, Deletion, Kind, ObjectApi, ObjectRef, Selection, Served,
    },
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::EffectDeadline;

use super::{
    call::{self, Call, Permit, Transport},
    codes,
    connect::ConnectOptions,
    discovery::{Discovery, Resource},
    errors::{self, Failure},
    fence::{Check, Fence},
    item::{self, FIELD_MANAGER},
    watches::Watches,
};

/// Objects of one page of a metadata list.
const METADATA_PAGE: u32 = 500;

/// One connection to one cluster. Cheap to share behind an `Arc`; dropping it ends its watches.
pub struct KubernetesAdapter {
    pub(super) transport: Transport,
    pub(super) discovery: Discovery,
    pub(super) watches: Watches,
    pub(super) fence: Fence,
    deadline: std::sync::RwLock<Option<EffectDeadline>>,
    server: String,
    ca_sha256: String,
    kubeconfig: std::path::PathBuf,
    context: Option<String>,
}

impl std::fmt::Debug for KubernetesAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesAdapter")
            .field("server", &self.server)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl KubernetesAdapter {
    /// Over a client that exists already; starts nothing but the counter of changes.
    pub(super) fn new(
        client: Client,
        server: String,
        ca_sha256: String,
        options: &ConnectOptions,
    ) -> Self {
        let transport = Transport {
            client: client.clone(),
            bounds: options.bounds,
            cancel: options.cancel.clone(),
            redactor: options.redactor.clone(),
        };
        Self {
            discovery: Discovery::new(transport.clone()),
            watches: Watches::new(
                client,
                options.stale_after,
                options.bounds.total,
                options.debounce,
            ),
            transport,
            fence: Fence::new(),
            deadline: std::sync::RwLock::new(None),
            server,
            ca_sha256,
            kubeconfig: options.kubeconfig.clone(),
            context: options.context.clone(),
        }
    }

    /// The kubeconfig file and context that this connection came from; Helm gets the same.
    #[must_use]
    pub fn origin(&self) -> (&std::path::Path, Option<&str>) {
        (&self.kubeconfig, self.context.as_deref())
    }

    /// Says which cluster this must be, and compares at once. Changes are refused before this, after a mismatch for
    /// good, and after a broken connection until the cluster has shown again who it is. UID of `kube-system` and CA
    /// digest decide; address and version may differ.
    ///
    /// # Errors
    /// `K8S021` (`Foreign`) on a mismatch, or why the identity could not be read.
    pub async fn pin(&self, expected: ClusterIdentity) -> Result<(), PortError> {
        self.fence.expect(expected);
        self.verify().await
    }

    /// The fence: does nothing while the pinned cluster is verified and the connection has not broken since. Helm goes
    /// through it too, since its changes go to the same cluster.
    ///
    /// # Errors
    /// `K8S022` before any [`Self::pin`], `K8S021` on a mismatch, or why the identity could not be read.
    pub async fn verify(&self) -> Result<(), PortError> {
        match self.fence.check()? {
            Check::Pass => Ok(()),
            Check::Compare(expected) => {
                let seen = self.identity_now().await?;
                self.fence.settle(&expected, &seen)
            }
        }
    }

    /// [`Self::pin`] for who has just read `seen` from this very connection.
    pub(crate) fn pin_as(
        &self,
        expected: &ClusterIdentity,
        seen: &ClusterIdentity,
    ) -> Result<(), PortError> {
        self.fence.expect(expected.clone());
        self.fence.settle(expected, seen)
    }

    /// Who the cluster is. A context is a name; what nobody answers at is an address, so the error says it.
    pub(crate) async fn introduced(&self) -> Result<ClusterIdentity, PortError> {
        self.identity_now().await.map_err(|mut error| {
            if matches!(
                error.kind,
                PortErrorKind::Unreachable | PortErrorKind::Timeout
            ) {
                error.cause = format!("{}: {}", self.server, error.cause);
            }
            error
        })
    }

    pub(super) async fn identity_now(&self) -> Result<ClusterIdentity, PortError> {
        let (system, version) = (
            Call::get("/api/v1/namespaces/kube-system"),
            Call::get("/version"),
        );
        let (system, version) = futures::try_join!(
            self.transport.json::<Value>(&system),
            self.transport.json::<Value>(&version)
        )?;
        let uid = system["metadata"]["uid"].as_str().unwrap_or_default();
        let version = version["gitVersion"].as_str().unwrap_or_default();
        if uid.is_empty() || version.is_empty() {
            return Err(errors::error(
                PortErrorKind::Other,
                codes::ANSWER_UNCLEAR,
                format!(
                    "{} does not answer like a Kubernetes API server",
                    self.server
                ),
            ));
        }
        Ok(ClusterIdentity {
            kube_system_uid: uid.to_owned(),
            ca_sha256: self.ca_sha256.clone(),
            server: self.server.clone(),
            version: version.to_owned(),
        })
    }

    pub(super) async fn resolve(&self, kind: &Kind) -> Result<Resource, PortError> {
        self.discovery
            .resolve(kind)
            .await?
            .ok_or_else(|| not_served(kind))
    }

    /// Where an object is, after a look at the address: a namespaced kind needs a namespace, a name no slash.
    async fn locate(&self, object: &ObjectRef) -> Result<(Resource, String), PortError> {
        let resource = self.resolve(&object.kind).await?;
        let path = path_of(&resource, object)?;
        Ok((resource, path))
    }

    /// Sends a change. Each attempt needs a lease that still counts. A connection that broke puts the identity in doubt,
    /// and the change is repeated only to a cluster that has shown again who it is.
    pub(super) async fn change(&self, call: &Call) -> Result<Bytes, Failure> {
        let permit = ChangePermit {
            adapter: self,
            call,
        };
        let answer = self.transport.send_if(call, &permit).await;
        if answer.as_ref().is_err_and(Failure::broke_the_connection) {
            self.fence.doubt();
        }
        answer
    }

    /// From now on a change is sent only while `deadline` is ahead. The lease is taken after the connection is made,
    /// since its place in the environment is known only then.
    pub fn fence_effects(&self, deadline: EffectDeadline) {
        *self
            .deadline
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(deadline);
    }

    fn lease_counts(&self, call: &Call) -> Result<(), PortError> {
        let deadline = self
            .deadline
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        match deadline {
            Some(deadline) if deadline() <= pipectl_process::boot_time() => Err(errors::error(
                PortErrorKind::Cancelled,
                codes::CANCELLED,
                format!(
                    "the environment's lease has run out; {} {} was not sent",
                    call.method, call.path
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// What a change needs before each of its attempts.
struct ChangePermit<'a> {
    adapter: &'a KubernetesAdapter,
    call: &'a Call,
}

#[async_trait]
impl Permit for ChangePermit<'_> {
    async fn ask(&self, before: Option<&Failure>) -> Result<(), PortError> {
        if before.is_some_and(Failure::broke_the_connection) {
            self.adapter.fence.doubt();
            self.adapter.verify().await?;
        }
        // Asked last, since the look at the identity takes its time.
        self.adapter.lease_counts(self.call)
    }
}

pub(super) fn not_served(kind: &Kind) -> PortError {
    errors::error(
        PortErrorKind::NotServed,
        codes::NOT_SERVED,
        format!(
            "the API server serves no kind {} in {}",
            kind.kind,
            if kind.group.is_empty() {
                "the core group".to_owned()
            } else {
                format!("group {}", kind.group)
            }
        ),
    )
}

pub(super) fn path_of(resource: &Resource, object: &ObjectRef) -> Result<String, PortError> {
    let invalid = |cause: String| Err(errors::error(PortErrorKind::Invalid, codes::INVALID, cause));
    // The API's own rule for path segments.
    if object.name.is_empty()
        || object.name.contains(['/', '%'])
        || matches!(object.name.as_str(), "." | "..")
    {
        return invalid(format!("{object}: not a name that an object can have"));
    }
    let namespace = object.namespace.as_deref().filter(|name| !name.is_empty());
    if resource.namespaced && namespace.is_none() {
        return invalid(format!(
            "{object}: objects of this kind live in a namespace, and none is given"
        ));
    }
    Ok(resource.object(namespace, &object.name))
}

#[async_trait]
impl ObjectApi for KubernetesAdapter {
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        self.discovery.served(group, kind).await
    }

    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        self.discovery.all().await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, PortError> {
        let (_, path) = self.locate(object).await?;
        match self.transport.json::<Value>(&Call::get(path)).await {
            Ok(mut value) => {
                item::slim(&mut value);
                Ok(Some(value))
            }
            Err(failure) if failure.is(PortErrorKind::NotFound) => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        let resource = self.resolve(&selection.kind).await?;
        let asked = Instant::now();
        match self.watches.list(selection, resource).await {
            // Discovery remembered a kind that has gone meanwhile, or moved to another version.
            Err(error) if error.kind == PortErrorKind::NotServed => {
                match self.discovery.resolve_anew(&selection.kind, asked).await? {
                    Some(resource) => self.watches.list(selection, resource).await,
                    None => Err(error),
                }
            }
            answer => answer,
        }
    }

    async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>, PortError> {
        let resource = self.resolve(&selection.kind).await?;
        let base = resource.collection(selection.namespace.as_deref());
        let labels = match selection.labels.as_deref().filter(|text| !text.is_empty()) {
            Some(labels) => format!("&labelSelector={}", call::escape(labels)),
            None => String::new(),
        };
        let mut found = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{base}?limit={METADATA_PAGE}{labels}{next}");
            let call = Call::get(path).accept(call::METADATA_LIST);
            let mut page: Value = self.transport.json(&call).await?;
            if let Some(items) = page["items"].as_array_mut() {
                for item in items {
                    let mut metadata = json!({
                        "apiVersion": resource.api_version(),
                        "kind": resource.kind,
                        "metadata": item["metadata"].take(),
                    });
                    item::slim(&mut metadata);
                    found.push(metadata);
                }
            }
            match page["metadata"]["continue"]
                .as_str()
                .filter(|token| !token.is_empty())
            {
                Some(token) => next = format!("&continue={}", call::escape(token)),
                None => return Ok(found),
            }
        }
    }

    async fn apply(&self, object: &Value, options: ApplyOptions) -> Result<Value, PortError> {
        if !options.dry_run {
            self.verify().await?;
        }
        self.apply_object(object, options).await
    }

    async fn delete(&self, object: &ObjectRef, uid: Option<&str>) -> Result<Deletion, PortError> {
        self.verify().await?;
        let (_, path) = match self.locate(object).await {
            // What is not served cannot exist.
            Err(error) if error.kind == PortErrorKind::NotServed => return Ok(Deletion::Absent),
            located => located?,
        };
        let mut options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        });
        if let Some(uid) = uid {
            options["preconditions"] = json!({ "uid": uid });
        }
        let call = Call::with(
            Method::DELETE,
            path,
            call::JSON,
            Bytes::from(options.to_string()),
        );
        // Another object of the same name stays one.
        let call = match uid {
            Some(_) => call.unless_conflict(),
            None => call,
        };
        match self.change(&call).await {
            Ok(_) => Ok(Deletion::Accepted),
            Err(failure) if failure.is(PortErrorKind::NotFound) => Ok(Deletion::Absent),
            Err(failure) => Err(failure.error),
        }
    }

    async fn strip_finalizers(
        &self,
        object: &ObjectRef,
        uid: &str,
        finalizers: &[String],
    ) -> Result<(), PortError> {
        self.verify().await?;
        let (_, path) = self.locate(object).await?;
        // Somebody else may change the object between reading and writing: look again then, a few times.
        for _ in 0..5 {
            let current = match self
                .transport
                .json::<Value>(&Call::get(path.as_str()))
                .await
            {
                Ok(current) => current,
                Err(failure) if failure.is(PortErrorKind::NotFound) => return Ok(()),
                Err(failure) => return Err(failure.error),
            };
            let Some(patch) = finalizer_patch(&current, object, uid, finalizers)? else {
                return Ok(());
            };
            let call = Call::with(
                Method::PATCH,
                format!("{path}?fieldManager={FIELD_MANAGER}"),
                call::JSON_PATCH,
                Bytes::from(patch.to_string()),
            );
            match self.change(&call).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.is(PortErrorKind::NotFound) => return Ok(()),
                // A failed `test` is `Invalid` (422), a lost race on the way to etcd a conflict.
                Err(failure)
                    if failure.is(PortErrorKind::Invalid)
                        || failure.is(PortErrorKind::Conflict) => {}
                Err(failure) => return Err(failure.error),
            }
        }
        Err(errors::error(
            PortErrorKind::Conflict,
            codes::CHANGED_MEANWHILE,
            format!(
                "{object} was changed by somebody else each time its finalizers were to be removed"
            ),
        ))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.watches.changes()
    }

    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        self.identity_now().await
    }
}

/// The patch that leaves the other finalizers, valid only for the object as it was read. `None`: nothing to remove.
fn finalizer_patch(
    current: &Value,
    object: &ObjectRef,
    uid: &str,
    finalizers: &[String],
) -> Result<Option<Value>, PortError> {
    let metadata = &current["metadata"];
    if metadata["uid"] != uid {
        return Err(errors::error(
            PortErrorKind::Conflict,
            codes::CHANGED_MEANWHILE,
            format!("{object} is another object of the same name now"),
        ));
    }
    if metadata["deletionTimestamp"].is_null() {
        return Err(errors::error(
            PortErrorKind::Conflict,
            codes::CHANGED_MEANWHILE,
            format!("{object} is not being deleted; its finalizers are left alone"),
        ));
    }
    let present: Vec<&str> = metadata["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let kept: Vec<&str> = present
        .iter()
        .copied()
        .filter(|name| !finalizers.iter().any(|strip| strip == name))
        .collect();
    if kept.len() == present.len() {
        return Ok(None);
    }
    Ok(Some(json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/finalizers", "value": kept},
    ])))
}
