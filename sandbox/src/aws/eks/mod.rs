//! Amazon EKS: clusters, node groups, add-ons, access.
//!
//! The graph lives here; what has to happen in a real control plane is seen through [`host`]: whoever hosts clusters asks
//! which there are and how they should look, and says when one is up. Without a host the graph works alone.

mod access;
mod addon;
mod addon_versions;
mod check;
mod cluster;
mod create;
pub(crate) mod host;
mod moves;
mod network;
mod node;
mod nodegroup;
mod nodegroup_update;
pub(crate) mod owned;
mod pod_identity;
mod tagging;
mod update;
mod version;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(crate) use self::cluster::{Cluster, log_group_deleted};
use crate::aws::service::{Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::effects::{Effect, EffectKind};
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;

pub(crate) const SERVICE: Service = Service {
    name: "eks",
    protocol: Protocol::RestJson,
    invalid: Some("InvalidParameterException"),
    actions: &[
        create::ACTIONS,
        cluster::ACTIONS,
        update::ACTIONS,
        version::ACTIONS,
        nodegroup::ACTIONS,
        nodegroup_update::ACTIONS,
        addon::ACTIONS,
        addon_versions::ACTIONS,
        access::ACTIONS,
        pod_identity::ACTIONS,
        tagging::ACTIONS,
    ],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By name.
    pub(crate) clusters: BTreeMap<String, Cluster>,
}

/// What happens by itself. Clusters are named by their unique ids: another of the same name may stand in their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A cluster's time of creation is over.
    ClusterActive { id: String },
    /// A cluster's time of deletion is over.
    ClusterDeleted { id: String },
    /// An update of a cluster, node group or add-on is done.
    UpdateDone { id: String, update: String },
    /// A cluster writes its logs, if it has any to write.
    Logs { id: String },
    /// A node group wants as many instances as it should have.
    Launch { id: String, group: String },
    /// An instance may be a node by now.
    Joins {
        id: String,
        group: String,
        instance: String,
    },
    /// EKS looks at a node group whose nodes are ready.
    GroupSettles { id: String, group: String },
    /// A node group should be complete by now, or it has failed.
    GroupDue {
        id: String,
        group: String,
        uid: String,
    },
    /// A node is drained: its instance ends.
    Drained {
        id: String,
        group: String,
        instance: String,
    },
    /// A node group's instances may be gone by now.
    GroupEmpty { id: String, group: String },
    /// An add-on's pods may run by now.
    AddonSettles {
        id: String,
        addon: String,
        uid: String,
    },
    /// An add-on whose pods still don't run is called degraded.
    AddonDegraded {
        id: String,
        addon: String,
        uid: String,
    },
    /// An add-on has gone.
    AddonDeleted {
        id: String,
        addon: String,
        uid: String,
    },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::ClusterActive { id } => cluster::due(scene, &id),
            Self::ClusterDeleted { id } => cluster::deleted(scene, &id),
            Self::UpdateDone { id, update } => update::done(scene, &id, &update),
            Self::Logs { id } => cluster::logs(scene, &id),
            Self::Launch { id, group } => node::launch_missing(scene, &id, &group),
            Self::Joins {
                id,
                group,
                instance,
            } => node::joins(scene, &id, &group, &instance),
            Self::GroupSettles { id, group } => nodegroup::settled(scene, &id, &group),
            Self::GroupDue { id, group, uid } => nodegroup::due(scene, &id, &group, &uid),
            Self::Drained {
                id,
                group,
                instance,
            } => node::drained(scene, &id, &group, &instance),
            Self::GroupEmpty { id, group } => nodegroup::empty(scene, &id, &group),
            Self::AddonSettles { id, addon, uid } => addon::settles(scene, &id, &addon, &uid),
            Self::AddonDegraded { id, addon, uid } => addon::degraded(scene, &id, &addon, &uid),
            Self::AddonDeleted { id, addon, uid } => addon::deleted(scene, &id, &addon, &uid),
        }
    }
}

impl From<Event> for crate::aws::world::schedule::Event {
    fn from(event: Event) -> Self {
        Self::Eks(event)
    }
}

/// Something is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issue {
    code: String,
    message: String,
    resources: Vec<String>,
}

impl Issue {
    fn new(code: &str, message: impl Into<String>, resources: Vec<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            resources,
        }
    }

    fn show(all: &[Self]) -> Value {
        let one = |issue: &Self| json!({"code": issue.code, "message": issue.message, "resourceIds": issue.resources});
        json!({ "issues": all.iter().map(one).collect::<Vec<_>>() })
    }
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message).status(StatusCode::NOT_FOUND)
}

fn in_use(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceInUseException", message).status(StatusCode::CONFLICT)
}

fn bad_parameter(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

fn limit(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceLimitExceededException", message)
}

/// The cluster that a call names as `field`.
fn cluster_of<'a>(
    scene: &'a Scene<'_>,
    params: Params<'_>,
    field: &str,
) -> Result<&'a Cluster, ApiError> {
    let name = params.need(field)?;
    let found = scene.region.eks.clusters.get(name);
    found.ok_or_else(|| not_found(format!("No cluster found for name: {name}.")))
}

/// The same, to change it.
fn cluster_mut<'a>(
    scene: &'a mut Scene<'_>,
    params: Params<'_>,
    field: &str,
) -> Result<&'a mut Cluster, ApiError> {
    let name = params.need(field)?;
    let found = scene.region.eks.clusters.get_mut(name);
    found.ok_or_else(|| not_found(format!("No cluster found for name: {name}.")))
}

/// The cluster of a unique id.
fn by_id<'a>(scene: &'a mut Scene<'_>, id: &str) -> Option<&'a mut Cluster> {
    let mut all = scene.region.eks.clusters.values_mut();
    all.find(|cluster| cluster.id == id)
}

/// Tell whoever hosts clusters that one has changed.
fn changed(scene: &mut Scene<'_>, name: &str) {
    let kind = EffectKind::ClusterChanged {
        name: name.to_owned(),
    };
    scene.emit(Effect::new(scene.place, kind));
}

/// Texts of a list that stands in the body or, several times or once, in the query string.
fn texts<'a>(params: Params<'a>, name: &str) -> Vec<&'a str> {
    match params.text(name) {
        Some(one) => vec![one],
        None => params.texts(name),
    }
}

/// A map of texts, e.g. `tags`.
fn map(params: Params<'_>, name: &str) -> BTreeMap<String, String> {
    let entries = params
        .section(name)
        .map(Params::tree)
        .and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    entries.into_iter().flatten().filter_map(text).collect()
}

/// The tags of a call.
fn tags(params: Params<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let tags = map(params, "tags");
    for (key, value) in &tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(bad_parameter("Tag keys starting with aws: are reserved."));
        }
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(bad_parameter(format!(
                "The tag {key} is too long or empty."
            )));
        }
    }
    if tags.len() > 50 {
        return Err(bad_parameter("A resource can have at most 50 tags."));
    }
    Ok(tags)
}

/// A page of a list, under the name that the reply gives it.
fn paged(params: Params<'_>, name: &str, items: Vec<(String, Value)>) -> Result<Value, ApiError> {
    let most = params.number("maxResults")?.unwrap_or(100);
    if !(1..=100).contains(&most) {
        return Err(bad_parameter("maxResults has to be between 1 and 100"));
    }
    let token = params.text("nextToken");
    let most = usize::try_from(most).ok();
    let page = page(
        items,
        |(key, _)| key.clone(),
        token,
        most,
        "InvalidParameterException",
    )?;
    let mut reply = Map::new();
    let shown: Vec<Value> = page.items.into_iter().map(|(_, shown)| shown).collect();
    reply.insert(name.to_owned(), shown.into());
    if let Some(next) = page.next {
        reply.insert("nextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}
