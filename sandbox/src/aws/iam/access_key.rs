//! Access keys of users. A key's secret is said once, in the answer that makes it.

use serde_json::{Value, json};

use super::user::{of, of_mut};
use super::{limit, no_such, paged};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// Most access keys of a user (IAM user guide: IAM and STS quotas).
const MOST_KEYS: usize = 2;

const ONE: &[&str] = &["UserName", "AccessKeyId"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateAccessKey", &["UserName"], create),
    Action::read("ListAccessKeys", &["UserName", "Marker", "MaxItems"], list),
    Action::write(
        "UpdateAccessKey",
        &["UserName", "AccessKeyId", "Status"],
        update,
    ),
    Action::write("DeleteAccessKey", ONE, delete),
];

fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

fn absent(id: &str) -> ApiError {
    no_such(format!("The Access Key with id {id} cannot be found."))
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of_mut(scene, params)?.clone();
    let account = scene.place.account.clone();
    let core = &mut *scene.core;
    if core.keys.of_user(&account, &user.name).count() >= MOST_KEYS {
        return Err(limit(format!(
            "Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}"
        )));
    }
    let caller = user.caller(&account);
    let made = core
        .keys
        .create(&mut core.ids, &user.name, scene.now, caller);
    Ok(json!({"AccessKey": {
        "UserName": user.name,
        "AccessKeyId": made.access_key_id,
        "Status": status(true),
        "SecretAccessKey": made.secret_access_key,
        "CreateDate": scene.now.iso(),
    }}))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of(scene, params)?;
    let keys = &scene.core.keys;
    let shown = keys
        .of_user(&scene.place.account, &user.name)
        .map(|(id, key)| {
            let one = json!({
                "UserName": user.name,
                "AccessKeyId": id,
                "Status": status(key.active),
                "CreateDate": key.created.iso(),
            });
            (id.to_owned(), one)
        });
    paged(params, "AccessKeyMetadata", shown.collect())
}

fn update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of_mut(scene, params)?.name.clone();
    let id = params.need("AccessKeyId")?;
    let active = match params.need("Status")? {
        "Active" => true,
        "Inactive" => false,
        other => return Err(ApiError::malformed("status", &other.into())),
    };
    let account = scene.place.account.clone();
    let key = scene.core.keys.user_key(&account, &user, id);
    key.ok_or_else(|| absent(id))?.active = active;
    Ok(Value::Null)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let user = of_mut(scene, params)?.name.clone();
    let id = params.need("AccessKeyId")?;
    let account = scene.place.account.clone();
    if scene.core.keys.remove(&account, &user, id) {
        Ok(Value::Null)
    } else {
        Err(absent(id))
    }
}
