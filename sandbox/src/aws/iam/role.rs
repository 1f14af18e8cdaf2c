//! Roles.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    add_tags, conflict, document, exists, invalid, limit, name, no_such, paged, path, remove_tags,
    show_tags, tags,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::wire::query::encode;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(super) id: String,
    pub(super) path: String,
    pub(crate) created: Time,
    description: Option<String>,
    /// Seconds.
    longest_session: i64,
    /// Who may assume it, as it was given.
    pub(crate) trust: String,
    /// When the trust policy or the attached policies last changed.
    pub(crate) changed: Time,
    /// ARNs of managed policies.
    pub(crate) attached: BTreeSet<String>,
    /// Its own policies.
    pub(super) inline: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Role {
    /// As replies show it; lists leave the tags out.
    pub(super) fn show(&self, whole: bool) -> Value {
        json!({
            "Path": self.path,
            "RoleName": self.name,
            "RoleId": self.id,
            "Arn": self.arn,
            "CreateDate": self.created.iso(),
            "AssumeRolePolicyDocument": encode(&self.trust, true),
            "Description": self.description,
            "MaxSessionDuration": self.longest_session,
            "Tags": (whole && !self.tags.is_empty()).then(|| show_tags(&self.tags)),
            "RoleLastUsed": whole.then(|| json!({})),
        })
    }
}

/// Most roles of an account (IAM user guide: IAM and STS quotas).
const MOST_ROLES: usize = 1000;
/// Longest trust policy without white space (the same).
const LONGEST_TRUST: usize = 2048;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateRole",
        &[
            "RoleName",
            "Path",
            "AssumeRolePolicyDocument",
            "Description",
            "MaxSessionDuration",
            "Tags",
        ],
        create_role,
    ),
    Action::read("GetRole", &["RoleName"], get_role),
    Action::read(
        "ListRoles",
        &["PathPrefix", "Marker", "MaxItems"],
        list_roles,
    ),
    Action::write("DeleteRole", &["RoleName"], delete_role),
    Action::write(
        "UpdateAssumeRolePolicy",
        &["RoleName", "PolicyDocument"],
        update_assume_role_policy,
    ),
    Action::write(
        "UpdateRole",
        &["RoleName", "Description", "MaxSessionDuration"],
        update_role,
    ),
    Action::write("TagRole", &["RoleName", "Tags"], tag_role),
    Action::write("UntagRole", &["RoleName", "TagKeys"], untag_role),
    Action::read(
        "ListRoleTags",
        &["RoleName", "Marker", "MaxItems"],
        list_role_tags,
    ),
];

/// The error that there is no such role.
pub(super) fn absent(name: &str) -> ApiError {
    no_such(format!("The role with name {name} cannot be found."))
}

/// The role that a call names; a new one is not known everywhere at once.
pub(super) fn of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Role, ApiError> {
    let name = params.need("RoleName")?;
    scene
        .account
        .iam
        .roles
        .get(name)
        .ok_or_else(|| absent(name))
}

/// The same, to change it.
pub(super) fn of_mut<'a>(
    scene: &'a mut Scene<'_>,
    params: Params<'_>,
) -> Result<&'a mut Role, ApiError> {
    let name = params.need("RoleName")?;
    scene
        .account
        .iam
        .roles
        .get_mut(name)
        .ok_or_else(|| absent(name))
}

fn trust<'a>(scene: &Scene<'_>, params: Params<'a>, field: &str) -> Result<&'a str, ApiError> {
    let document = params.need(field)?;
    document::check_trust(&scene.account.iam, &scene.place.account, document)?;
    let length = document.chars().filter(|c| !c.is_whitespace()).count();
    if length > LONGEST_TRUST {
        return Err(limit(format!(
            "Cannot exceed quota for ACLSizePerRole: {LONGEST_TRUST}"
        )));
    }
    Ok(document)
}

fn longest_session(params: Params<'_>) -> Result<Option<i64>, ApiError> {
    let seconds = params.number("MaxSessionDuration")?;
    if seconds.is_some_and(|seconds| !(3600..=43_200).contains(&seconds)) {
        return Err(invalid(
            "1 validation error detected: Value at 'maxSessionDuration' failed to satisfy constraint: Member must have value \
             between 3600 and 43200",
        ));
    }
    Ok(seconds)
}

fn create_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, path) = (name(params, "RoleName", 64)?, path(params)?);
    let trust = trust(scene, params, "AssumeRolePolicyDocument")?.to_owned();
    let longest_session = longest_session(params)?.unwrap_or(3600);
    let mut own = BTreeMap::new();
    add_tags(&mut own, tags(params)?)?;
    let iam = &scene.account.iam;
    // Names differ by more than case.
    if iam
        .roles
        .keys()
        .any(|other| other.eq_ignore_ascii_case(name))
    {
        return Err(exists(format!("Role with name {name} already exists.")));
    }
    if iam.roles.len() >= MOST_ROLES {
        return Err(limit(format!(
            "Cannot exceed quota for RolesPerAccount: {MOST_ROLES}"
        )));
    }
    let role = Role {
        name: name.to_owned(),
        arn: scene.place.global_arn("iam", &format!("role{path}{name}")),
        id: format!("AROA{}", scene.core.ids.letters(17)),
        path: path.to_owned(),
        created: scene.now,
        description: params.text("Description").map(str::to_owned),
        longest_session,
        trust,
        changed: scene.now,
        attached: BTreeSet::new(),
        inline: BTreeMap::new(),
        tags: own,
    };
    let shown = json!({ "Role": role.show(true) });
    scene.account.iam.roles.insert(name.to_owned(), role);
    Ok(shown)
}

fn get_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = of(scene, params)?;
    if !scene.known(role.created) {
        return Err(absent(&role.name));
    }
    Ok(json!({ "Role": role.show(true) }))
}

fn list_roles(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let roles = scene.account.iam.roles.values();
    let shown = roles
        .filter(|role| role.path.starts_with(prefix) && scene.listed(role.created))
        .map(|role| (role.name.clone(), role.show(false)))
        .collect();
    paged(params, "Roles", shown)
}

fn delete_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = of(scene, params)?;
    let name = role.name.clone();
    let profiled = scene
        .account
        .iam
        .profiles
        .values()
        .any(|profile| profile.has(&name));
    if profiled {
        return Err(conflict(
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    if !role.attached.is_empty() {
        return Err(conflict(
            "Cannot delete entity, must detach all policies first.",
        ));
    }
    if !role.inline.is_empty() {
        return Err(conflict(
            "Cannot delete entity, must delete policies first.",
        ));
    }
    scene.account.iam.roles.remove(&name);
    Ok(Value::Null)
}

fn update_assume_role_policy(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let trust = trust(scene, params, "PolicyDocument")?.to_owned();
    let now = scene.now;
    let role = of_mut(scene, params)?;
    role.trust = trust;
    role.changed = now;
    Ok(Value::Null)
}

fn update_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let longest = longest_session(params)?;
    let role = of_mut(scene, params)?;
    if let Some(longest) = longest {
        role.longest_session = longest;
    }
    if let Some(description) = params.text("Description") {
        role.description = Some(description.to_owned());
    }
    Ok(json!({}))
}

fn tag_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let more = tags(params)?;
    add_tags(&mut of_mut(scene, params)?.tags, more)?;
    Ok(Value::Null)
}

fn untag_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    remove_tags(&mut of_mut(scene, params)?.tags, params);
    Ok(Value::Null)
}

fn list_role_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = of(scene, params)?;
    let list =
        |(key, value): (&String, &String)| (key.clone(), json!({"Key": key, "Value": value}));
    paged(params, "Tags", role.tags.iter().map(list).collect())
}
