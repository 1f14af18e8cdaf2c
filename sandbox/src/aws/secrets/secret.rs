//! Secrets: made, looked at, deleted and restored.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::value::{self, Content, Version};
use super::{Event, State};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::schedule;
use crate::aws::world::tags::{self, Tags};

/// A secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Secret {
    pub(super) arn: String,
    pub(super) description: Option<String>,
    /// The key of KMS, as it was named; without one it is AWS's own.
    pub(super) key: Option<String>,
    pub(super) created: Time,
    pub(super) changed: Time,
    /// The day of the last reading.
    pub(super) read: Option<Time>,
    pub(super) deletion: Option<Deletion>,
    /// The oldest first.
    pub(super) versions: Vec<Version>,
    pub(super) tags: Tags,
}

/// That a secret is marked for deletion.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Deletion {
    pub(super) asked: Time,
    pub(super) due: Time,
}

pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateSecret",
        &[
            "Name",
            "ClientRequestToken",
            "Description",
            "KmsKeyId",
            "SecretString",
            "SecretBinary",
            "Tags",
        ],
        create,
    ),
    Action::read("DescribeSecret", &["SecretId"], describe),
    Action::write(
        "DeleteSecret",
        &[
            "SecretId",
            "RecoveryWindowInDays",
            "ForceDeleteWithoutRecovery",
        ],
        delete,
    ),
    Action::write("RestoreSecret", &["SecretId"], restore),
];

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// That the secret's state does not allow it.
pub(super) fn unfit(message: &str) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

pub(super) fn absent() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )
}

/// The name behind a name, an ARN, or an ARN without the characters at its end; those are taken for such characters where a name
/// ends like them (`-` and six), so that such a name is not found.
pub(super) fn name_behind<'a>(state: &'a State, id: &str) -> Option<&'a str> {
    if !id.starts_with("arn:") {
        return state
            .secrets
            .get_key_value(id)
            .map(|(name, _)| name.as_str());
    }
    let looks_whole = id
        .rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == 6 && end.chars().all(char::is_alphanumeric));
    let mut all = state.secrets.iter();
    let found = all.find(|(_, one)| {
        one.arn == id
            || (!looks_whole && one.arn.rsplit_once('-').is_some_and(|(arn, _)| arn == id))
    });
    found.map(|(name, _)| name.as_str())
}

/// The secret that a call names, in whatever state.
pub(super) fn of<'a>(
    scene: &'a mut Scene<'_>,
    params: Params<'_>,
) -> Result<(String, &'a mut Secret), ApiError> {
    let id = params.need("SecretId")?;
    if !id.starts_with("arn:") && !is_name(id) {
        return Err(no_name());
    }
    let name = name_behind(&scene.region.secrets, id)
        .ok_or_else(absent)?
        .to_owned();
    let there = scene.region.secrets.secrets.get(&name);
    if !there.is_some_and(|one| scene.there(one.created)) {
        return Err(absent());
    }
    let secret = scene.region.secrets.secrets.get_mut(&name);
    secret.map(|one| (name, one)).ok_or_else(absent)
}

/// The same, unless it is marked for deletion.
pub(super) fn alive<'a>(
    scene: &'a mut Scene<'_>,
    params: Params<'_>,
) -> Result<(String, &'a mut Secret), ApiError> {
    let (name, secret) = of(scene, params)?;
    if secret.deletion.is_some() {
        return Err(unfit(
            "You can't perform this operation on the secret because it was marked for deletion.",
        ));
    }
    Ok((name, secret))
}

/// Tags of a request, with this service's word for what is wrong with them.
pub(super) fn tags_of(
    params: Params<'_>,
) -> Result<std::collections::BTreeMap<String, String>, ApiError> {
    tags::read(&params.sections("Tags")).map_err(|error| invalid(error.message))
}

/// A key of KMS that a call names has to be there and usable.
pub(super) fn key_of(scene: &Scene<'_>, params: Params<'_>) -> Result<Option<String>, ApiError> {
    let Some(key) = params.text("KmsKeyId") else {
        return Ok(None);
    };
    if value::key_is_usable(scene, key) {
        return Ok(Some(key.to_owned()));
    }
    Err(ApiError::new(
        "EncryptionFailure",
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key.",
    ))
}

fn checked_name(params: Params<'_>) -> Result<&str, ApiError> {
    let name = params.need("Name")?;
    if name.len() > 512 {
        return Err(invalid("The name must be at most 512 characters long."));
    }
    if is_name(name) && name.contains('!') {
        return Err(ApiError::not_simulated(
            "secrets with ! in their name, as AWS services make them",
        ));
    }
    if is_name(name) {
        Ok(name)
    } else {
        Err(no_name())
    }
}

/// Whether it can be the name of a secret, `!` included.
fn is_name(name: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c);
    name.chars().all(usual)
}

fn no_name() -> ApiError {
    let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
    ApiError::new("ValidationException", message)
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = checked_name(params)?;
    let token = value::token_of(params)?;
    let content = Content::of(params)?;
    let tags = tags_of(params)?;
    let mut counted = Tags::default();
    counted
        .add(scene.now, &tags)
        .map_err(|error| invalid(error.message))?;
    let key = key_of(scene, params)?;
    if let Some(known) = scene.region.secrets.secrets.get(name) {
        if known.deletion.is_some() {
            return Err(unfit(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        // The token is the version's identifier: the same call again is answered as before.
        let same = known.versions.iter().find(|version| version.id == token);
        if same.is_some_and(|version| Some(&version.value) == content.as_ref()) {
            return Ok(json!({"ARN": known.arn, "Name": name, "VersionId": token}));
        }
        let message = format!("The operation failed because the secret {name} already exists.");
        return Err(ApiError::new("ResourceExistsException", message));
    }
    let end = scene.core.ids.letters(6);
    let arn = scene
        .place
        .arn("secretsmanager", &format!("secret:{name}-{end}"));
    let mut secret = Secret {
        arn: arn.clone(),
        description: params.text("Description").map(str::to_owned),
        key,
        created: scene.now,
        changed: scene.now,
        read: None,
        deletion: None,
        versions: Vec::new(),
        tags: Tags::new(tags),
    };
    let mut reply = json!({"ARN": arn, "Name": name});
    if let Some(content) = content {
        secret.store(scene.now, token, content, &[value::CURRENT]);
        reply["VersionId"] = token.into();
    }
    scene.region.secrets.secrets.insert(name.to_owned(), secret);
    Ok(reply)
}

impl Secret {
    /// What `DescribeSecret` and `ListSecrets` have in common; what there is none of is left out.
    pub(super) fn show(&self, name: &str, stages: &str, deleted: Option<Time>) -> Value {
        let mut shown = json!({
            "ARN": self.arn,
            "Name": name,
            "CreatedDate": self.created.epoch(),
            "LastChangedDate": self.changed.epoch(),
        });
        let mut some = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown[field] = value;
            }
        };
        some("Description", self.description.clone().map(Value::from));
        some("KmsKeyId", self.key.clone().map(Value::from));
        some(
            "LastAccessedDate",
            self.read.map(|read| read.epoch().into()),
        );
        some("DeletedDate", deleted.map(|at| at.epoch().into()));
        let labelled: Map<String, Value> = self
            .versions
            .iter()
            .filter(|version| !version.stages.is_empty())
            .map(|version| (version.id.clone(), json!(version.stages)))
            .collect();
        some(stages, (!labelled.is_empty()).then(|| labelled.into()));
        let tags: Vec<Value> = self
            .tags
            .current()
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        some("Tags", (!tags.is_empty()).then(|| tags.into()));
        shown
    }
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, secret) = of(scene, params)?;
    let deleted = secret.deletion.map(|deletion| deletion.due);
    Ok(secret.show(&name, "VersionIdsToStages", deleted))
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let force = params.flag("ForceDeleteWithoutRecovery")?.unwrap_or(false);
    let window = params.number("RecoveryWindowInDays")?;
    if force && window.is_some() {
        return Err(invalid(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = window.unwrap_or(30);
    if !(7..=30).contains(&days) {
        return Err(invalid(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    }
    let found = of(scene, params).map(|(name, secret)| (name, secret.arn.clone()));
    if force && !found.as_ref().is_err_and(|error| *error != absent()) {
        // One that is not there is as good as deleted; its ARN is made up from what the call says.
        let id = params.need("SecretId")?;
        let (name, arn) = found.unwrap_or_else(|_| {
            let end = scene.core.ids.letters(6);
            let rest = format!("secret:{id}-{end}");
            (id.to_owned(), scene.place.arn("secretsmanager", &rest))
        });
        scene.region.secrets.secrets.remove(&name);
        return Ok(json!({"ARN": arn, "Name": name, "DeletionDate": now.epoch()}));
    }
    let (name, arn) = found?;
    let (_, secret) = alive(scene, params)?;
    let due = now.after(DAY * u32::try_from(days).unwrap_or(30));
    secret.deletion = Some(Deletion { asked: now, due });
    // The window passes in days of the real clock: the date is what clients show.
    let event = schedule::Event::Secrets(Event::Deleted { name: name.clone() });
    scene.core.schedule.add(due, scene.place, event);
    Ok(json!({"ARN": arn, "Name": name, "DeletionDate": due.epoch()}))
}

fn restore(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, secret) = of(scene, params)?;
    secret.deletion = None;
    Ok(json!({"ARN": secret.arn, "Name": name}))
}

/// Its recovery window is over, unless it was restored meanwhile.
pub(super) fn deleted(scene: &mut Scene<'_>, name: &str) {
    let now = scene.now;
    let secrets = &mut scene.region.secrets.secrets;
    let due = secrets.get(name).and_then(|secret| secret.deletion);
    if due.is_some_and(|deletion| deletion.due <= now) {
        secrets.remove(name);
    }
}
