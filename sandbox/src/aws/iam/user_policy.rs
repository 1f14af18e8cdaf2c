//! What a user may do: managed policies attached to it, and policies of its own.

use serde_json::{Value, json};

use super::user::{of, of_mut};
use super::{document, limit, managed, name, no_such, paged};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::wire::query::encode;
use crate::aws::world::scene::Scene;

/// Most managed policies of a user, as new accounts have it (IAM user guide: IAM and STS quotas).
const MOST_ATTACHED: usize = 10;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("AttachUserPolicy", &["UserName", "PolicyArn"], attach),
    Action::write("DetachUserPolicy", &["UserName", "PolicyArn"], detach),
    Action::read(
        "ListAttachedUserPolicies",
        &["UserName", "PathPrefix", "Marker", "MaxItems"],
        list_attached,
    ),
    Action::write(
        "PutUserPolicy",
        &["UserName", "PolicyName", "PolicyDocument"],
        put,
    ),
    Action::read("GetUserPolicy", &["UserName", "PolicyName"], get),
    Action::read(
        "ListUserPolicies",
        &["UserName", "Marker", "MaxItems"],
        list,
    ),
    Action::write("DeleteUserPolicy", &["UserName", "PolicyName"], delete),
];

fn attach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    if !managed::is_managed(arn) && !scene.account.iam.policies.contains_key(arn) {
        // Those that AWS manages are many; the table has some.
        return Err(if arn.starts_with(managed::PREFIX) {
            ApiError::not_simulated(format!("the policy {arn}"))
        } else {
            no_such(format!("Policy {arn} does not exist or is not attachable."))
        });
    }
    let user = of_mut(scene, params)?;
    if !user.attached.contains(arn) && user.attached.len() >= MOST_ATTACHED {
        return Err(limit(format!(
            "Cannot exceed quota for PoliciesPerUser: {MOST_ATTACHED}"
        )));
    }
    user.attached.insert(arn.to_owned());
    Ok(Value::Null)
}

fn detach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    if of_mut(scene, params)?.attached.remove(arn) {
        Ok(Value::Null)
    } else {
        Err(no_such(format!("Policy {arn} was not found.")))
    }
}

fn list_attached(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of(scene, params)?;
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let shown = user.attached.iter().filter_map(|arn| {
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
    let user = of_mut(scene, params)?;
    user.inline.insert(name.to_owned(), document.to_owned());
    Ok(Value::Null)
}

fn absent(name: &str) -> ApiError {
    no_such(format!("The user policy with name {name} cannot be found."))
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("PolicyName")?;
    let user = of(scene, params)?;
    let document = user.inline.get(name).ok_or_else(|| absent(name))?;
    Ok(json!({"UserName": user.name, "PolicyName": name, "PolicyDocument": encode(document, true)}))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of(scene, params)?;
    let names = user.inline.keys().map(|name| (name.clone(), json!(name)));
    paged(params, "PolicyNames", names.collect())
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("PolicyName")?;
    let user = of_mut(scene, params)?;
    user.inline.remove(name).ok_or_else(|| absent(name))?;
    Ok(Value::Null)
}
