//! Aliases: the names by which keys are found.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::{id_of, paged};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alias {
    /// The key's id.
    pub(super) target: String,
    created: Time,
    changed: Time,
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateAlias", &["AliasName", "TargetKeyId"], create),
    Action::write("UpdateAlias", &["AliasName", "TargetKeyId"], update),
    Action::write("DeleteAlias", &["AliasName"], delete),
    Action::read("ListAliases", &["KeyId", "Limit", "Marker"], list),
];

fn absent(scene: &Scene<'_>, name: &str) -> ApiError {
    let message = format!("Alias {} is not found.", scene.place.arn("kms", name));
    ApiError::new("NotFoundException", message)
}

fn target(scene: &Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let id = id_of(scene, params, "TargetKeyId", false)?;
    let key = scene.region.kms.keys.get(&id);
    if key.is_some_and(super::Key::is_dying) {
        let message = format!("{id} is pending deletion.");
        return Err(ApiError::new("KMSInvalidStateException", message));
    }
    Ok(id)
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("AliasName")?;
    let rest = name.strip_prefix("alias/");
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    let valid = rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(allowed));
    if !valid || name.len() > 256 {
        return Err(ApiError::new(
            "InvalidAliasNameException",
            "Alias must start with the prefix \"alias/\" and hold letters, digits, /, _ and - only.",
        ));
    }
    if name.starts_with("alias/aws/") {
        return Err(ApiError::new(
            "InvalidAliasNameException",
            "Alias names beginning with alias/aws/ are reserved.",
        ));
    }
    if scene.region.kms.aliases.contains_key(name) {
        let message = format!(
            "An alias with the name {} already exists",
            scene.place.arn("kms", name)
        );
        return Err(ApiError::new("AlreadyExistsException", message));
    }
    let alias = Alias {
        target: target(scene, params)?,
        created: scene.now,
        changed: scene.now,
    };
    scene.region.kms.aliases.insert(name.to_owned(), alias);
    Ok(Value::Null)
}

fn update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("AliasName")?;
    let missing = absent(scene, name);
    let (target, now) = (target(scene, params)?, scene.now);
    let alias = scene.region.kms.aliases.get_mut(name).ok_or(missing)?;
    alias.target = target;
    alias.changed = now;
    Ok(Value::Null)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("AliasName")?;
    let missing = absent(scene, name);
    scene.region.kms.aliases.remove(name).ok_or(missing)?;
    Ok(Value::Null)
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let key = if params.has("KeyId") {
        Some(id_of(scene, params, "KeyId", false)?)
    } else {
        None
    };
    let all = scene.region.kms.aliases.iter();
    let mine = all.filter(|(_, alias)| {
        key.as_ref().is_none_or(|key| *key == alias.target) && scene.listed(alias.created)
    });
    let shown = mine.map(|(name, alias)| {
        let one = json!({
            "AliasName": name,
            "AliasArn": scene.place.arn("kms", name),
            "TargetKeyId": alias.target,
            "CreationDate": alias.created.epoch(),
            "LastUpdatedDate": alias.changed.epoch(),
        });
        (name.clone(), one)
    });
    paged(params, "Aliases", shown.collect())
}
