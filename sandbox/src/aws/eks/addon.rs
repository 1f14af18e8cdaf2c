//! Add-ons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::create::MISMATCH;
use super::pod_identity::Association;
use super::{
    Cluster, Event, Issue, addon_versions, bad_parameter, bad_request, by_id, changed, cluster_of,
    in_use, node, not_found, paged, tags, update,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::tokens::{Replay, remember, replay};

/// An add-on of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Addon {
    name: String,
    pub(crate) arn: String,
    uid: String,
    version: String,
    status: AddonStatus,
    created: Time,
    changed: Time,
    role: Option<String>,
    configuration: Option<String>,
    identities: Vec<String>,
    issues: Vec<Issue>,
    pub(crate) tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AddonStatus {
    Creating,
    Active,
    CreateFailed,
    Updating,
    Deleting,
    Degraded,
}

impl Addon {
    /// Whether its objects are in the cluster.
    pub(super) fn is_installed(&self) -> bool {
        self.status != AddonStatus::CreateFailed
    }

    /// Whether its pods work.
    pub(super) fn works(&self) -> bool {
        matches!(self.status, AddonStatus::Active | AddonStatus::Updating)
    }

    /// The tags that the EBS CSI driver is told to write on every volume (its setting `controller.extraVolumeTags`).
    pub(super) fn volume_tags(&self) -> BTreeMap<String, String> {
        let text = self.configuration.as_deref().unwrap_or_default();
        let tree: Value = serde_norway::from_str(text).unwrap_or_default();
        let tags = tree["controller"]["extraVolumeTags"].as_object();
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        tags.into_iter().flatten().filter_map(text).collect()
    }

    fn show(&self, cluster: &str) -> Value {
        json!({
            "addonName": self.name,
            "clusterName": cluster,
            "status": self.status,
            "addonVersion": self.version,
            "health": Issue::show(&self.issues),
            "addonArn": self.arn,
            "createdAt": self.created.epoch(),
            "modifiedAt": self.changed.epoch(),
            "serviceAccountRoleArn": self.role,
            "configurationValues": self.configuration,
            "podIdentityAssociations": (!self.identities.is_empty()).then_some(&self.identities),
            "tags": self.tags.current(),
        })
    }
}

/// Add-ons of which something has to run on nodes that is no daemon set: without a node they don't work.
fn needs_nodes(name: &str) -> bool {
    ["coredns", "aws-ebs-csi-driver", "metrics-server"].contains(&name)
}

/// Those that come with a cluster unmanaged.
const SELF_MANAGED: [&str; 3] = ["vpc-cni", "kube-proxy", "coredns"];

const NAMED: &[&str] = &["clusterName", "addonName"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateAddon",
        &[
            "clusterName",
            "addonName",
            "addonVersion",
            "serviceAccountRoleArn",
            "resolveConflicts",
            "clientRequestToken",
            "tags",
            "configurationValues",
            "podIdentityAssociations",
        ],
        create,
    )
    .at("POST", "/clusters/{clusterName}/addons"),
    Action::read("DescribeAddon", NAMED, describe)
        .at("GET", "/clusters/{clusterName}/addons/{addonName}"),
    Action::read(
        "ListAddons",
        &["clusterName", "maxResults", "nextToken"],
        list,
    )
    .at("GET", "/clusters/{clusterName}/addons"),
    Action::write(
        "DeleteAddon",
        &["clusterName", "addonName", "preserve"],
        delete,
    )
    .at("DELETE", "/clusters/{clusterName}/addons/{addonName}"),
    Action::write(
        "UpdateAddon",
        &[
            "clusterName",
            "addonName",
            "addonVersion",
            "serviceAccountRoleArn",
            "resolveConflicts",
            "clientRequestToken",
            "configurationValues",
            "podIdentityAssociations",
        ],
        update_addon,
    )
    .at("POST", "/clusters/{clusterName}/addons/{addonName}/update"),
];

fn addon_of<'a>(
    scene: &'a Scene<'_>,
    params: Params<'_>,
) -> Result<(&'a Cluster, &'a Addon), ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let name = params.need("addonName")?;
    let addon = cluster.addons.get(name);
    let addon = addon.ok_or_else(|| {
        not_found(format!(
            "No addon: {name} found in cluster: {}",
            cluster.name
        ))
    })?;
    Ok((cluster, addon))
}

fn addon_mut<'a>(scene: &'a mut Scene<'_>, id: &str, name: &str) -> Option<&'a mut Addon> {
    by_id(scene, id)?.addons.get_mut(name)
}

/// The version that a call asks for, or the default of the cluster's version.
fn version(cluster: &Cluster, name: &str, wanted: Option<&str>) -> Result<String, ApiError> {
    let known = addon_versions::of(name, &cluster.version);
    let found = match wanted {
        Some(wanted) => known.iter().find(|(version, _)| *version == wanted),
        None => known.iter().find(|(_, default)| *default),
    };
    found
        .map(|(version, _)| (*version).to_owned())
        .ok_or_else(|| {
            bad_parameter(format!(
                "Addon version specified is not supported: {name} {} for Kubernetes {}",
                wanted.unwrap_or_default(),
                cluster.version
            ))
        })
}

fn configuration(params: Params<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = params
        .text("configurationValues")
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    // JSON is YAML.
    match serde_norway::from_str::<Value>(text) {
        Ok(tree) if tree.is_object() || tree.is_null() => Ok(Some(text.to_owned())),
        _ => Err(bad_parameter(
            "ConfigurationValue provided in request is not supported: it is neither JSON nor YAML",
        )),
    }
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let first = replay(scene, params, "clientRequestToken", MISMATCH)?;
    if let Replay::Again(_) = &first
        && let Ok((cluster, addon)) = addon_of(scene, params)
    {
        return Ok(json!({ "addon": addon.show(&cluster.name) }));
    }
    let cluster = cluster_of(scene, params, "clusterName")?;
    let name = params.need("addonName")?.to_owned();
    if !addon_versions::exists(&name) {
        return Err(bad_parameter(format!(
            "Addon {name} specified is not supported in {} version: unknown here",
            cluster.version
        )));
    }
    if cluster.addons.contains_key(&name) {
        let message = "Addon already exists.";
        return Err(in_use(message)
            .field("clusterName", cluster.name.clone())
            .field("addonName", name));
    }
    if !cluster.is_up() {
        return Err(bad_request(format!(
            "Cluster '{}' is not in ACTIVE status",
            cluster.name
        )));
    }
    let version = version(cluster, &name, params.text("addonVersion"))?;
    let configuration = configuration(params)?;
    let tags = Tags::new(tags(params)?);
    let overwrite = match params.text("resolveConflicts") {
        None | Some("NONE") => false,
        Some("OVERWRITE" | "PRESERVE") => true,
        Some(other) => return Err(bad_parameter(format!("Unknown resolveConflicts {other}"))),
    };
    let conflict = cluster.self_managed && SELF_MANAGED.contains(&name.as_str()) && !overwrite;
    let (id, cluster) = (cluster.id.clone(), cluster.name.clone());
    let identities = identities(scene, params, &cluster)?;
    let uid = scene.core.ids.uuid();
    let mut addon = Addon {
        arn: scene
            .place
            .arn("eks", &format!("addon/{cluster}/{name}/{uid}")),
        name: name.clone(),
        uid: uid.clone(),
        version,
        status: AddonStatus::Creating,
        created: scene.now,
        changed: scene.now,
        role: params.text("serviceAccountRoleArn").map(str::to_owned),
        configuration,
        identities: identities.iter().map(|one| one.arn.clone()).collect(),
        issues: Vec::new(),
        tags,
    };
    if conflict {
        let message = format!(
            "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts: objects of {name} \
             with fields managed by others"
        );
        addon
            .issues
            .push(Issue::new("ConfigurationConflict", message, Vec::new()));
    }
    let shown = json!({ "addon": addon.show(&cluster) });
    if let Some(cluster) = by_id(scene, &id) {
        cluster.addons.insert(name.clone(), addon);
        cluster
            .identities
            .extend(identities.into_iter().map(|one| (one.id.clone(), one)));
    }
    let wait = if conflict {
        Wait::AddonFailed
    } else {
        Wait::AddonActive
    };
    let (addon, uid_again) = (name.clone(), uid.clone());
    scene.schedule(
        wait,
        Event::AddonSettles {
            id: id.clone(),
            addon,
            uid,
        },
    );
    if needs_nodes(&name) && !conflict {
        let degraded = Event::AddonDegraded {
            id,
            addon: name.clone(),
            uid: uid_again,
        };
        scene.schedule(Wait::AddonDegraded, degraded);
    }
    remember(scene, first, &name);
    changed(scene, &cluster);
    Ok(shown)
}

/// Pod identity associations that a call makes together with the add-on.
fn identities(
    scene: &mut Scene<'_>,
    params: Params<'_>,
    cluster: &str,
) -> Result<Vec<Association>, ApiError> {
    let mut made = Vec::new();
    for one in params.sections("podIdentityAssociations") {
        let (account, role) = (one.need("serviceAccount")?, one.need("roleArn")?);
        made.push(Association::new(
            scene,
            cluster,
            "kube-system",
            account,
            role,
            Tags::default(),
        )?);
    }
    Ok(made)
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, addon) = addon_of(scene, params)?;
    Ok(json!({ "addon": addon.show(&cluster.name) }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    let names = cluster
        .addons
        .keys()
        .map(|name| (name.clone(), json!(name)));
    paged(params, "addons", names.collect())
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, addon) = addon_of(scene, params)?;
    if matches!(addon.status, AddonStatus::Updating) {
        let message = "Addon cannot be deleted as it is currently in UPDATING state";
        return Err(bad_request(message).field("addonName", addon.name.clone()));
    }
    if params.flag("preserve")? == Some(true) {
        return Err(ApiError::not_simulated(
            "the removal of an add-on that preserves its objects",
        ));
    }
    let (id, name, uid) = (cluster.id.clone(), addon.name.clone(), addon.uid.clone());
    if addon.status != AddonStatus::Deleting {
        if let Some(addon) = addon_mut(scene, &id, &name) {
            addon.status = AddonStatus::Deleting;
        }
        scene.schedule(
            Wait::AddonDeleted,
            Event::AddonDeleted {
                id,
                addon: name,
                uid,
            },
        );
    }
    let (cluster, addon) = addon_of(scene, params)?;
    let (name, shown) = (
        cluster.name.clone(),
        json!({ "addon": addon.show(&cluster.name) }),
    );
    changed(scene, &name);
    Ok(shown)
}

fn update_addon(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (cluster, addon) = addon_of(scene, params)?;
    if let Some(again) = update::begun(cluster, params) {
        return Ok(again);
    }
    if !matches!(addon.status, AddonStatus::Active | AddonStatus::Degraded) {
        let message = "Addon cannot be updated as it is currently not in a state to be updated";
        return Err(in_use(message).field("addonName", addon.name.clone()));
    }
    if params.has("podIdentityAssociations") {
        return Err(ApiError::not_simulated(
            "a change of an add-on's pod identity associations",
        ));
    }
    let wanted = params.text("addonVersion").unwrap_or(&addon.version);
    let version = version(cluster, &addon.name, Some(wanted))?;
    let values = configuration(params)?;
    let mut list = vec![("AddonVersion", version.clone())];
    if let Some(values) = &values {
        list.push(("ConfigurationValues", values.clone()));
    }
    if let Some(resolve) = params.text("resolveConflicts") {
        list.push(("ResolveConflicts", resolve.to_owned()));
    }
    let (id, cluster, name) = (cluster.id.clone(), cluster.name.clone(), addon.name.clone());
    let now = scene.now;
    if let Some(addon) = addon_mut(scene, &id, &name) {
        addon.version = version;
        addon.changed = now;
        addon.status = AddonStatus::Updating;
        addon.configuration = values.or(addon.configuration.take());
        if let Some(role) = params.text("serviceAccountRoleArn") {
            addon.role = Some(role.to_owned());
        }
    }
    let of = (None, Some(name.as_str()));
    Ok(update::begin(
        scene,
        params,
        &cluster,
        update::Change {
            kind: "AddonUpdate",
            list,
            of,
            version: None,
            wait: Wait::AddonActive,
        },
    ))
}

/// Its pods may run by now.
pub(super) fn settles(scene: &mut Scene<'_>, id: &str, name: &str, uid: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    let (nodes, cluster_name) = (cluster.nodes(), cluster.name.clone());
    let Some(addon) = cluster
        .addons
        .get_mut(name)
        .filter(|addon| addon.uid == uid)
    else {
        return;
    };
    match addon.status {
        AddonStatus::Creating if !addon.issues.is_empty() => {
            addon.status = AddonStatus::CreateFailed
        }
        AddonStatus::Creating | AddonStatus::Degraded if nodes > 0 || !needs_nodes(name) => {
            addon.status = AddonStatus::Active;
            addon.issues.clear();
        }
        _ => return,
    }
    if name == "vpc-cni" {
        node::network_came(scene, id);
    }
    changed(scene, &cluster_name);
}

/// Its pods still don't run.
pub(super) fn degraded(scene: &mut Scene<'_>, id: &str, name: &str, uid: &str) {
    let addon = addon_mut(scene, id, name).filter(|addon| addon.uid == uid);
    if let Some(addon) = addon.filter(|addon| addon.status == AddonStatus::Creating) {
        addon.status = AddonStatus::Degraded;
        let message =
            "The add-on is unhealthy because it doesn't have the desired number of replicas.";
        addon.issues = vec![Issue::new(
            "InsufficientNumberOfReplicas",
            message,
            Vec::new(),
        )];
    }
}

/// There are nodes now: add-ons that waited for them settle a little later.
pub(super) fn nodes_changed(scene: &mut Scene<'_>, id: &str) {
    let Some(cluster) = by_id(scene, id).filter(|cluster| cluster.nodes() > 0) else {
        return;
    };
    let waits = |addon: &&Addon| {
        matches!(addon.status, AddonStatus::Creating | AddonStatus::Degraded)
            && needs_nodes(&addon.name)
    };
    let waiting: Vec<(String, String)> = cluster
        .addons
        .values()
        .filter(waits)
        .map(|addon| (addon.name.clone(), addon.uid.clone()))
        .collect();
    for (addon, uid) in waiting {
        let event = Event::AddonSettles {
            id: id.to_owned(),
            addon,
            uid,
        };
        scene.schedule(Wait::AddonActive, event);
    }
}

/// An update of it is done.
pub(super) fn updated(scene: &mut Scene<'_>, id: &str, name: &str, update: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    if let Some(addon) = cluster.addons.get_mut(name)
        && addon.status == AddonStatus::Updating
    {
        addon.status = AddonStatus::Active;
        addon.issues.clear();
    }
    if let Some(update) = cluster.updates.get_mut(update) {
        update.succeed();
    }
    let cluster = cluster.name.clone();
    changed(scene, &cluster);
}

/// It has gone, with the associations that were made with it.
pub(super) fn deleted(scene: &mut Scene<'_>, id: &str, name: &str, uid: &str) {
    let Some(cluster) = by_id(scene, id) else {
        return;
    };
    if cluster
        .addons
        .get(name)
        .is_some_and(|addon| addon.uid == uid)
        && let Some(addon) = cluster.addons.remove(name)
    {
        cluster
            .identities
            .retain(|_, one| !addon.identities.contains(&one.arn));
        let cluster = cluster.name.clone();
        changed(scene, &cluster);
    }
}
