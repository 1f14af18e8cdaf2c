//! Instance profiles: how a role gets onto instances.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{add_tags, conflict, exists, limit, name, no_such, paged, path, role, show_tags, tags};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// An instance profile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    name: String,
    arn: String,
    id: String,
    path: String,
    created: Time,
    role: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Profile {
    /// Whether it carries that role.
    pub(super) fn has(&self, role: &str) -> bool {
        self.role.as_deref() == Some(role)
    }

    fn show(&self, scene: &Scene<'_>, whole: bool) -> Value {
        let role = self
            .role
            .as_ref()
            .and_then(|name| scene.account.iam.roles.get(name));
        json!({
            "Path": self.path,
            "InstanceProfileName": self.name,
            "InstanceProfileId": self.id,
            "Arn": self.arn,
            "CreateDate": self.created.iso(),
            "Roles": role.iter().map(|role| role.show(false)).collect::<Vec<_>>(),
            "Tags": (whole && !self.tags.is_empty()).then(|| show_tags(&self.tags)),
        })
    }
}

const NAMED: &[&str] = &["InstanceProfileName"];
const WITH_ROLE: &[&str] = &["InstanceProfileName", "RoleName"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateInstanceProfile",
        &["InstanceProfileName", "Path", "Tags"],
        create_instance_profile,
    ),
    Action::read("GetInstanceProfile", NAMED, get),
    Action::read(
        "ListInstanceProfiles",
        &["PathPrefix", "Marker", "MaxItems"],
        list,
    ),
    Action::read(
        "ListInstanceProfilesForRole",
        &["RoleName", "Marker", "MaxItems"],
        list_for_role,
    ),
    Action::write("AddRoleToInstanceProfile", WITH_ROLE, add_role),
    Action::write("RemoveRoleFromInstanceProfile", WITH_ROLE, remove_role),
    Action::write("DeleteInstanceProfile", NAMED, delete),
];

fn absent(name: &str) -> ApiError {
    no_such(format!("Instance Profile {name} cannot be found."))
}

fn of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Profile, ApiError> {
    let name = params.need("InstanceProfileName")?;
    scene
        .account
        .iam
        .profiles
        .get(name)
        .ok_or_else(|| absent(name))
}

/// Make a profile with a role, for any part of the simulator: node groups have one of their own. Returns its ARN.
pub(crate) fn create(scene: &mut Scene<'_>, name: &str, role: Option<&str>) -> String {
    insert(scene, name, "/", role, BTreeMap::new())
}

/// Take a profile away, for any part of the simulator.
pub(crate) fn remove(scene: &mut Scene<'_>, name: &str) {
    scene.account.iam.profiles.remove(name);
}

fn insert(
    scene: &mut Scene<'_>,
    name: &str,
    path: &str,
    role: Option<&str>,
    tags: BTreeMap<String, String>,
) -> String {
    let arn = scene
        .place
        .global_arn("iam", &format!("instance-profile{path}{name}"));
    let profile = Profile {
        name: name.to_owned(),
        arn: arn.clone(),
        id: format!("AIPA{}", scene.core.ids.letters(17)),
        path: path.to_owned(),
        created: scene.now,
        role: role.map(str::to_owned),
        tags,
    };
    scene.account.iam.profiles.insert(name.to_owned(), profile);
    arn
}

fn create_instance_profile(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, path) = (name(params, "InstanceProfileName", 128)?, path(params)?);
    let mut own = BTreeMap::new();
    add_tags(&mut own, tags(params)?)?;
    if scene.account.iam.profiles.contains_key(name) {
        return Err(exists(format!("Instance Profile {name} already exists.")));
    }
    insert(scene, name, path, None, own);
    Ok(json!({ "InstanceProfile": of(scene, params)?.show(scene, true) }))
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "InstanceProfile": of(scene, params)?.show(scene, true) }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let all = scene.account.iam.profiles.values();
    let mine =
        all.filter(|profile| profile.path.starts_with(prefix) && scene.listed(profile.created));
    let shown = mine.map(|profile| (profile.name.clone(), profile.show(scene, false)));
    paged(params, "InstanceProfiles", shown.collect())
}

fn list_for_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = role::of(scene, params)?;
    let all = scene.account.iam.profiles.values();
    let mine = all.filter(|profile| profile.has(&role.name));
    let shown = mine.map(|profile| (profile.name.clone(), profile.show(scene, false)));
    paged(params, "InstanceProfiles", shown.collect())
}

fn add_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = role::of(scene, params)?.name.clone();
    let profile = of(scene, params)?;
    if profile.role.is_some() {
        return Err(limit(
            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
        ));
    }
    let name = profile.name.clone();
    if let Some(profile) = scene.account.iam.profiles.get_mut(&name) {
        profile.role = Some(role);
    }
    Ok(Value::Null)
}

fn remove_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = params.need("RoleName")?;
    let profile = of(scene, params)?;
    if !profile.has(role) {
        return Err(no_such(format!(
            "The role with name {role} cannot be found."
        )));
    }
    let name = profile.name.clone();
    if let Some(profile) = scene.account.iam.profiles.get_mut(&name) {
        profile.role = None;
    }
    Ok(Value::Null)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let profile = of(scene, params)?;
    if profile.role.is_some() {
        return Err(conflict(
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    let name = profile.name.clone();
    scene.account.iam.profiles.remove(&name);
    Ok(Value::Null)
}
