//! Which kinds the API server serves: read in two requests, kept, read again on a miss.
//!
//! Aggregated discovery (`apidiscovery.k8s.io/v2`, Kubernetes ≥ 1.30; `v2beta1` since 1.26) answers everything at
//! `/api` and `/apis`; an older server or a proxy answers the plain lists, which are read group by group then.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};
use kube::core::discovery::v2::{
    ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscoveryList, APIVersionDiscovery,
};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::objects::{Kind, Served},
};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    call::{Call, Transport},
    codes, errors,
};

/// One version of one kind, as the server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        Kind::new(&self.group, &self.version, &self.kind).api_version()
    }

    /// Path of the collection, in one namespace or in all.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let place = match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("namespaces/{}/", super::call::escape(namespace)),
            None => String::new(),
        };
        format!("/{root}/{}/{place}{}", self.api_version(), self.plural)
    }

    /// Path of one object.
    pub fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!(
            "{}/{}",
            self.collection(namespace),
            super::call::escape(name)
        )
    }
}

/// Everything served, versions of a kind in the server's order of preference.
#[derive(Debug, Default)]
struct Catalogue {
    kinds: BTreeMap<(String, String), Vec<Resource>>,
    dead: Vec<PortError>,
    read_at: Option<Instant>,
}

pub(super) struct Discovery {
    transport: Transport,
    catalogue: Mutex<Arc<Catalogue>>,
}

impl Discovery {
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            catalogue: Mutex::default(),
        }
    }

    /// The kind in the version asked for when that is served, else in the preferred one. Reads again on a miss.
    pub async fn resolve(&self, kind: &Kind) -> Result<Option<Resource>, PortError> {
        let asked = Instant::now();
        let known = self.catalogue(None).await?;
        if let Some(found) = pick(&known, kind) {
            return Ok(Some(found));
        }
        Ok(pick(&*self.catalogue(Some(asked)).await?, kind))
    }

    /// Like [`Self::resolve`], after reading again what was read before `asked`.
    pub async fn resolve_anew(
        &self,
        kind: &Kind,
        asked: Instant,
    ) -> Result<Option<Resource>, PortError> {
        Ok(pick(&*self.catalogue(Some(asked)).await?, kind))
    }

    /// The kind with all its versions. Reads again on a miss.
    pub async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        let asked = Instant::now();
        let key = (group.to_owned(), kind.to_owned());
        let mut known = self.catalogue(None).await?;
        if !known.kinds.contains_key(&key) {
            known = self.catalogue(Some(asked)).await?;
        }
        Ok(known.kinds.get(&key).and_then(|versions| summary(versions)))
    }

    /// Every kind that can be listed and deleted, read now, and what could not be read.
    pub async fn all(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        let known = self.catalogue(Some(Instant::now())).await?;
        let kinds = known
            .kinds
            .values()
            .filter_map(|versions| summary(versions))
            .filter(|served| {
                ["list", "delete"]
                    .iter()
                    .all(|verb| served.verbs.iter().any(|offered| offered == verb))
            })
            .collect();
        Ok((kinds, known.dead.clone()))
    }

    /// What is known; read first when nothing is, or when it was read before `not_before`. Callers that miss at the
    /// same time share one reading.
    async fn catalogue(&self, not_before: Option<Instant>) -> Result<Arc<Catalogue>, PortError> {
        let mut kept = self.catalogue.lock().await;
        let fresh = match (kept.read_at, not_before) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(read_at), Some(not_before)) => read_at > not_before,
        };
        if !fresh {
            *kept = Arc::new(self.read().await?);
        }
        Ok(Arc::clone(&kept))
    }

    async fn read(&self) -> Result<Catalogue, PortError> {
        let read_at = Some(Instant::now());
        let get = |path: &'static str| async move {
            let call = Call::get(path).accept(ACCEPT_AGGREGATED_DISCOVERY_V2);
            self.transport.json::<Value>(&call).await
        };
        let (core, groups) = futures::try_join!(get("/api"), get("/apis"))?;
        let mut catalogue = Catalogue {
            read_at,
            ..Catalogue::default()
        };
        for answer in [core, groups] {
            if answer["kind"] == "APIGroupDiscoveryList" {
                let list: APIGroupDiscoveryList = parse(answer)?;
                for group in list.items {
                    let name = group
                        .metadata
                        .and_then(|meta| meta.name)
                        .unwrap_or_default();
                    for version in group.versions {
                        catalogue.add_aggregated(&name, version);
                    }
                }
            } else {
                self.read_plain(&answer, &mut catalogue).await;
            }
        }
        Ok(catalogue)
    }

    /// `APIVersions` of the core group or `APIGroupList` of the others: one request per group and version.
    async fn read_plain(&self, answer: &Value, catalogue: &mut Catalogue) {
        let strings = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let mut wanted: Vec<(String, String)> = strings(&answer["versions"])
            .into_iter()
            .map(|version| (String::new(), version))
            .collect();
        for group in answer["groups"].as_array().into_iter().flatten() {
            let name = group["name"].as_str().unwrap_or_default();
            let preferred = group["preferredVersion"]["version"].as_str();
            let mut versions: Vec<&str> = group["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|version| version["version"].as_str())
                .collect();
            versions.sort_by_key(|version| Some(*version) != preferred);
            wanted.extend(
                versions
                    .into_iter()
                    .map(|version| (name.to_owned(), version.to_owned())),
            );
        }
        let answers: Vec<_> = stream::iter(wanted)
            .map(|(group, version)| async move {
                let root = if group.is_empty() { "api" } else { "apis" };
                let path = format!("/{root}/{}", Kind::new(&group, &version, "").api_version());
                let answer = self.transport.json::<Value>(&Call::get(path)).await;
                (group, version, answer)
            })
            .buffered(8)
            .collect()
            .await;
        for (group, version, answer) in answers {
            match answer {
                Ok(list) => catalogue.add_plain(&group, &version, &list),
                Err(failure) => catalogue.add_dead(&group, &version, &failure.error.cause),
            }
        }
    }
}

impl Catalogue {
    fn add(&mut self, resource: Resource) {
        let versions = self
            .kinds
            .entry((resource.group.clone(), resource.kind.clone()))
            .or_default();
        // Two resources of one kind in one version (a kind of subresource-like aliases): the first one is the kind's own.
        if !versions
            .iter()
            .any(|known| known.version == resource.version)
        {
            versions.push(resource);
        }
    }

    fn add_dead(&mut self, group: &str, version: &str, cause: &str) {
        self.dead.push(errors::error(
            PortErrorKind::ServerError,
            codes::GROUP_DEAD,
            format!(
                "API group {} does not answer: {cause}",
                Kind::new(group, version, "").api_version()
            ),
        ));
    }

    fn add_aggregated(&mut self, group: &str, discovered: APIVersionDiscovery) {
        let version = discovered.version.unwrap_or_default();
        if discovered.freshness.as_deref() == Some("Stale") {
            self.add_dead(group, &version, "its discovery is stale");
        }
        for found in discovered.resources {
            let (Some(plural), Some(kind)) = (
                found.resource,
                found.response_kind.as_ref().and_then(|of| of.kind.clone()),
            ) else {
                continue;
            };
            // A resource may answer with another group's kind; its objects are addressed by the path's group.
            if kind.is_empty() {
                continue;
            }
            self.add(Resource {
                group: group.to_owned(),
                version: version.clone(),
                kind,
                plural,
                namespaced: found.scope.as_deref() == Some("Namespaced"),
                verbs: found.verbs,
            });
        }
    }

    fn add_plain(&mut self, group: &str, version: &str, list: &Value) {
        for found in list["resources"].as_array().into_iter().flatten() {
            let name = found["name"].as_str().unwrap_or_default();
            // `deployments/status` is a subresource.
            if name.is_empty() || name.contains('/') {
                continue;
            }
            self.add(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: found["kind"].as_str().unwrap_or_default().to_owned(),
                plural: name.to_owned(),
                namespaced: found["namespaced"].as_bool().unwrap_or(false),
                verbs: found["verbs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|verb| verb.as_str().map(str::to_owned))
                    .collect(),
            });
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, PortError> {
    serde_json::from_value(value).map_err(|source| {
        errors::error(
            PortErrorKind::Other,
            codes::ANSWER_UNCLEAR,
            format!("discovery: {source}"),
        )
    })
}

fn pick(catalogue: &Catalogue, kind: &Kind) -> Option<Resource> {
    let versions = catalogue
        .kinds
        .get(&(kind.group.clone(), kind.kind.clone()))?;
    versions
        .iter()
        .find(|known| known.version == kind.version)
        .or_else(|| versions.first())
        .cloned()
}

fn summary(versions: &[Resource]) -> Option<Served> {
    let preferred = versions.first()?;
    Some(Served {
        kind: Kind::new(&preferred.group, &preferred.version, &preferred.kind),
        versions: versions.iter().map(|known| known.version.clone()).collect(),
        plural: preferred.plural.clone(),
        namespaced: preferred.namespaced,
        verbs: preferred.verbs.clone(),
    })
}
