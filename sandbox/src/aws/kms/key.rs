//! Keys.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Event;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::schedule;
use crate::aws::world::tags::Tags;

/// A symmetric key for encryption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) arn: String,
    description: String,
    pub(crate) created: Time,
    enabled: bool,
    /// When it goes, once its deletion is scheduled.
    deletion: Option<Time>,
    rotates: bool,
    policy: String,
    pub(crate) tags: Tags,
}

impl Key {
    /// Whether it can be used.
    pub(super) fn is_usable(&self) -> bool {
        self.enabled && self.deletion.is_none()
    }

    /// Whether it waits for its deletion.
    pub(super) fn is_dying(&self) -> bool {
        self.deletion.is_some()
    }

    fn state(&self) -> &'static str {
        match (self.deletion, self.enabled) {
            (Some(_), _) => "PendingDeletion",
            (None, true) => "Enabled",
            (None, false) => "Disabled",
        }
    }

    fn show(&self, account: &str, id: &str) -> Value {
        json!({
            "AWSAccountId": account,
            "KeyId": id,
            "Arn": self.arn,
            "CreationDate": self.created.epoch(),
            "Enabled": self.is_usable(),
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": self.state(),
            "DeletionDate": self.deletion.map(Time::epoch),
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
        })
    }
}

const KEY: &[&str] = &["KeyId"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateKey",
        &[
            "Policy",
            "Description",
            "KeyUsage",
            "KeySpec",
            "CustomerMasterKeySpec",
            "Origin",
            "Tags",
            "BypassPolicyLockoutSafetyCheck",
            "MultiRegion",
        ],
        create,
    ),
    Action::read("DescribeKey", KEY, describe),
    Action::read("ListKeys", &["Limit", "Marker"], list),
    Action::write("EnableKey", KEY, enable),
    Action::write("DisableKey", KEY, disable),
    Action::write(
        "ScheduleKeyDeletion",
        &["KeyId", "PendingWindowInDays"],
        schedule_deletion,
    ),
    Action::write("CancelKeyDeletion", KEY, cancel_deletion),
    Action::write("EnableKeyRotation", KEY, enable_rotation),
    Action::write("DisableKeyRotation", KEY, disable_rotation),
    Action::read("GetKeyRotationStatus", KEY, rotation),
    Action::read("GetKeyPolicy", &["KeyId", "PolicyName"], get_policy),
    Action::write(
        "PutKeyPolicy",
        &[
            "KeyId",
            "PolicyName",
            "Policy",
            "BypassPolicyLockoutSafetyCheck",
        ],
        put_policy,
    ),
    Action::write("TagResource", &["KeyId", "Tags"], tag),
    Action::write("UntagResource", &["KeyId", "TagKeys"], untag),
    Action::read("ListResourceTags", &["KeyId", "Limit", "Marker"], list_tags),
];

fn absent(name: &str) -> ApiError {
    ApiError::new("NotFoundException", format!("Key '{name}' does not exist"))
}

/// The id behind an id, an ARN, or (where a call takes them) an alias.
pub(super) fn id_of(
    scene: &Scene<'_>,
    params: Params<'_>,
    field: &str,
    aliases: bool,
) -> Result<String, ApiError> {
    let named = params.need(field)?;
    let name = named.rsplit_once(":key/").map_or(named, |(_, id)| id);
    let alias = named.find("alias/").map(|at| &named[at..]);
    let id = match alias {
        Some(alias) if aliases => {
            let found = scene.region.kms.aliases.get(alias);
            let message = format!("Alias {} is not found.", scene.place.arn("kms", alias));
            found
                .ok_or_else(|| ApiError::new("NotFoundException", message))?
                .target
                .clone()
        }
        _ => name.to_owned(),
    };
    if scene.region.kms.keys.contains_key(&id) {
        Ok(id)
    } else {
        Err(absent(&scene.place.arn("kms", &format!("key/{id}"))))
    }
}

fn of<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Key, ApiError> {
    let id = id_of(scene, params, "KeyId", false)?;
    scene
        .region
        .kms
        .keys
        .get_mut(&id)
        .ok_or_else(|| absent(&id))
}

/// One that waits for its deletion takes no changes.
fn alive<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Key, ApiError> {
    let key = of(scene, params)?;
    if key.deletion.is_some() {
        let message = format!("{} is pending deletion.", key.arn);
        return Err(ApiError::new("KMSInvalidStateException", message));
    }
    Ok(key)
}

fn tags_of(params: Params<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in params.sections("Tags") {
        let key = tag.need("TagKey")?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new(
                "TagException",
                "aws: prefixed tag key names are not allowed for external use.",
            ));
        }
        tags.insert(
            key.to_owned(),
            tag.text("TagValue").unwrap_or_default().to_owned(),
        );
    }
    Ok(tags)
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let usage = params.text("KeyUsage").unwrap_or("ENCRYPT_DECRYPT");
    let spec = params
        .text("KeySpec")
        .or(params.text("CustomerMasterKeySpec"));
    let origin = params.text("Origin").unwrap_or("AWS_KMS");
    let simple = usage == "ENCRYPT_DECRYPT"
        && matches!(spec, None | Some("SYMMETRIC_DEFAULT"))
        && origin == "AWS_KMS";
    if !simple || params.flag("MultiRegion")? == Some(true) {
        return Err(ApiError::not_simulated(
            "keys other than symmetric ones of one region",
        ));
    }
    let tags = Tags::new(tags_of(params)?);
    let id = scene.core.ids.uuid();
    let root = scene.place.global_arn("iam", "root");
    let standard = json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": root},
            "Action": "kms:*", "Resource": "*",
        }],
    });
    let key = Key {
        arn: scene.place.arn("kms", &format!("key/{id}")),
        description: params.text("Description").unwrap_or_default().to_owned(),
        created: scene.now,
        enabled: true,
        deletion: None,
        rotates: false,
        policy: params
            .text("Policy")
            .map_or_else(|| standard.to_string(), str::to_owned),
        tags,
    };
    let shown = json!({ "KeyMetadata": key.show(&scene.place.account, &id) });
    scene.region.kms.keys.insert(id, key);
    Ok(shown)
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = id_of(scene, params, "KeyId", true)?;
    let key = scene.region.kms.keys.get(&id).ok_or_else(|| absent(&id))?;
    Ok(json!({ "KeyMetadata": key.show(&scene.place.account, &id) }))
}

/// A page, as KMS has them.
pub(super) fn paged(
    params: Params<'_>,
    name: &str,
    items: Vec<(String, Value)>,
) -> Result<Value, ApiError> {
    let most = params.number("Limit")?.unwrap_or(50);
    if !(1..=1000).contains(&most) {
        return Err(ApiError::new(
            "ValidationException",
            "Limit has to be between 1 and 1000.",
        ));
    }
    let marker = params.text("Marker");
    let page = page(
        items,
        |(key, _)| key.clone(),
        marker,
        usize::try_from(most).ok(),
        "InvalidMarkerException",
    )?;
    let mut reply = Map::new();
    let shown: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    reply.insert(name.to_owned(), shown.into());
    reply.insert("Truncated".to_owned(), page.next.is_some().into());
    if let Some(next) = page.next {
        reply.insert("NextMarker".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = scene.region.kms.keys.iter();
    let listed = all.filter(|(_, key)| scene.listed(key.created));
    let shown = listed.map(|(id, key)| (id.clone(), json!({"KeyId": id, "KeyArn": key.arn})));
    paged(params, "Keys", shown.collect())
}

fn enable(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    alive(scene, params)?.enabled = true;
    Ok(Value::Null)
}

fn disable(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    alive(scene, params)?.enabled = false;
    Ok(Value::Null)
}

/// The waiting period passes in days of the real clock: the date is what clients show.
fn schedule_deletion(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let days = params.number("PendingWindowInDays")?.unwrap_or(30);
    if !(7..=30).contains(&days) {
        let message = format!(
            "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: 7 to 30"
        );
        return Err(ApiError::new("ValidationException", message));
    }
    let at = scene.now.after(Duration::from_secs(
        86_400 * u64::try_from(days).unwrap_or(30),
    ));
    let key = alive(scene, params)?;
    key.deletion = Some(at);
    let arn = key.arn.clone();
    let id = id_of(scene, params, "KeyId", false)?;
    let event = schedule::Event::Kms(Event::Deleted { key: id });
    scene.core.schedule.add(at, scene.place, event);
    Ok(json!({
        "KeyId": arn, "DeletionDate": at.epoch(), "KeyState": "PendingDeletion", "PendingWindowInDays": days,
    }))
}

fn cancel_deletion(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let key = of(scene, params)?;
    if key.deletion.take().is_none() {
        let message = format!("{} is not pending deletion.", key.arn);
        return Err(ApiError::new("KMSInvalidStateException", message));
    }
    key.enabled = false;
    Ok(json!({ "KeyId": key.arn }))
}

/// Its waiting period is over; aliases go with it.
pub(super) fn deleted(scene: &mut Scene<'_>, id: &str) {
    let now = scene.now;
    let kms = &mut scene.region.kms;
    if kms
        .keys
        .get(id)
        .and_then(|key| key.deletion)
        .is_some_and(|at| at <= now)
    {
        kms.keys.remove(id);
        kms.aliases.retain(|_, alias| alias.target != id);
    }
}

fn enable_rotation(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    alive(scene, params)?.rotates = true;
    Ok(Value::Null)
}

fn disable_rotation(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    alive(scene, params)?.rotates = false;
    Ok(Value::Null)
}

fn rotation(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let key = of(scene, params)?;
    Ok(json!({"KeyRotationEnabled": key.rotates && key.deletion.is_none(), "KeyId": key.arn}))
}

fn get_policy(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({"Policy": of(scene, params)?.policy, "PolicyName": "default"}))
}

fn put_policy(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let policy = params.need("Policy")?;
    if serde_json::from_str::<Value>(policy).is_err() {
        return Err(ApiError::new(
            "MalformedPolicyDocumentException",
            "The policy is not well-formed JSON.",
        ));
    }
    alive(scene, params)?.policy = policy.to_owned();
    Ok(Value::Null)
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (now, more) = (scene.now, tags_of(params)?);
    let key = alive(scene, params)?;
    key.tags
        .add(now, &more)
        .map_err(|error| ApiError::new("LimitExceededException", error.message))?;
    Ok(Value::Null)
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let key = alive(scene, params)?;
    params
        .texts("TagKeys")
        .iter()
        .for_each(|name| key.tags.remove(now, name, None));
    Ok(Value::Null)
}

fn list_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let tags = of(scene, params)?.tags.current();
    let list = tags
        .iter()
        .map(|(key, value)| (key.clone(), json!({"TagKey": key, "TagValue": value})));
    paged(params, "Tags", list.collect())
}
