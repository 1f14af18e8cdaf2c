//! What a role may do: managed policies attached to it, and policies of its own.

use serde_json::{Value, json};

use super::role::{of, of_mut};
use super::{document, limit, managed, name, no_such, paged};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::wire::query::encode;
use crate::aws::world::scene::Scene;

/// Most managed policies of a role, as new accounts have it (IAM user guide: IAM and STS quotas).
const MOST_ATTACHED: usize = 10;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("AttachRolePolicy", &["RoleName", "PolicyArn"], attach),
    Action::write("DetachRolePolicy", &["RoleName", "PolicyArn"], detach),
    Action::read(
        "ListAttachedRolePolicies",
        &["RoleName", "PathPrefix", "Marker", "MaxItems"],
        list_attached,
    ),
    Action::write(
        "PutRolePolicy",
        &["RoleName", "PolicyName", "PolicyDocument"],
        put,
    ),
    Action::read("GetRolePolicy", &["RoleName", "PolicyName"], get),
    Action::read(
        "ListRolePolicies",
        &["RoleName", "Marker", "MaxItems"],
        list,
    ),
    Action::write("DeleteRolePolicy", &["RoleName", "PolicyName"], delete),
];

fn attach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    let exists = managed::is_managed(arn) || scene.account.iam.policies.contains_key(arn);
    let attached = &of(scene, params)?.attached;
    if !exists {
        let known = arn.starts_with(managed::PREFIX);
        // Those that AWS manages are many; the table has some.
        return Err(if known {
            ApiError::not_simulated(format!("the policy {arn}"))
        } else {
            no_such(format!("Policy {arn} does not exist or is not attachable."))
        });
    }
    if !attached.contains(arn) && attached.len() >= MOST_ATTACHED {
        return Err(limit(format!(
            "Cannot exceed quota for PoliciesPerRole: {MOST_ATTACHED}"
        )));
    }
    let now = scene.now;
    let role = of_mut(scene, params)?;
    if role.attached.insert(arn.to_owned()) {
        role.changed = now;
    }
    Ok(Value::Null)
}

fn detach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    let now = scene.now;
    let role = of_mut(scene, params)?;
    if !role.attached.remove(arn) {
        return Err(no_such(format!("Policy {arn} was not found.")));
    }
    role.changed = now;
    Ok(Value::Null)
}

fn list_attached(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = of(scene, params)?;
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let shown = role.attached.iter().filter_map(|arn| {
        // `arn:aws:iam::ACCOUNT:policy/PATH/NAME`
        let (_, rest) = arn.split_once(":policy")?;
        let name = rest.rsplit('/').next()?;
        let shown = json!({"PolicyName": name, "PolicyArn": arn});
        rest.starts_with(prefix).then(|| (arn.clone(), shown))
    });
    paged(params, "AttachedPolicies", shown.collect())
}

fn put(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = name(params, "PolicyName", 128)?;
    let document = params.need("PolicyDocument")?;
    document::check_permissions(document)?;
    let role = of_mut(scene, params)?;
    role.inline.insert(name.to_owned(), document.to_owned());
    Ok(Value::Null)
}

fn absent(name: &str) -> ApiError {
    no_such(format!("The role policy with name {name} cannot be found."))
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("PolicyName")?;
    let role = of(scene, params)?;
    let document = role.inline.get(name).ok_or_else(|| absent(name))?;
    Ok(json!({"RoleName": role.name, "PolicyName": name, "PolicyDocument": encode(document, true)}))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = of(scene, params)?;
    let names = role.inline.keys().map(|name| (name.clone(), json!(name)));
    paged(params, "PolicyNames", names.collect())
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("PolicyName")?;
    let role = of_mut(scene, params)?;
    role.inline.remove(name).ok_or_else(|| absent(name))?;
    Ok(Value::Null)
}
