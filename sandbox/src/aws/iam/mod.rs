//! IAM: roles, policies, instance profiles, OIDC providers. Belongs to the account, not to a region.

mod access_key;
mod document;
pub(crate) mod instance_profile;
mod managed;
mod oidc;
mod policy;
mod role;
mod role_policy;
mod simulate;
mod user;
mod user_policy;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::authorize::Held;
use crate::aws::service::{Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::paging::page;
use crate::aws::world::scene::{Place, Scene};

pub(crate) use self::document::trusts;
pub(crate) use self::role::Role;
pub(crate) use self::user::{User, hand_out};

pub(crate) const SERVICE: Service = Service {
    name: "iam",
    protocol: Protocol::Query {
        xmlns: "https://iam.amazonaws.com/doc/2010-05-08/",
    },
    invalid: Some("ValidationError"),
    actions: &[
        role::ACTIONS,
        role_policy::ACTIONS,
        policy::ACTIONS,
        instance_profile::ACTIONS,
        oidc::ACTIONS,
        user::ACTIONS,
        user_policy::ACTIONS,
        access_key::ACTIONS,
        simulate::ACTIONS,
    ],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By name.
    pub(crate) roles: BTreeMap<String, Role>,
    /// Policies of the account's own, by ARN.
    policies: BTreeMap<String, policy::Policy>,
    /// By name.
    profiles: BTreeMap<String, instance_profile::Profile>,
    /// By ARN.
    providers: BTreeMap<String, oidc::Provider>,
    /// By name; without the account's own, whom the account's key belongs to.
    pub(crate) users: BTreeMap<String, User>,
}

impl State {
    /// Whether the account has a role of that name.
    pub(crate) fn has_role(&self, name: &str) -> bool {
        self.roles.contains_key(name)
    }

    /// The role of that ARN.
    pub(crate) fn role_of(&self, arn: &str) -> Option<&Role> {
        let name = arn.rsplit('/').next()?;
        self.roles.get(name).filter(|role| role.arn == arn)
    }
}

impl State {
    /// What says what somebody may do, by the ARN of a user, of a role, or of a role's session; none when there is no such user
    /// or role.
    pub(crate) fn policies_of(&self, arn: &str) -> Option<Vec<Held>> {
        let user = self.users.values().find(|user| user.arn == arn);
        let role = self.role_behind(arn).or_else(|| self.role_of(arn));
        let (inline, attached) = match (user, role) {
            (Some(user), _) => (&user.inline, &user.attached),
            (None, Some(role)) => (&role.inline, &role.attached),
            (None, None) => return None,
        };
        let own = inline.iter().map(|(name, document)| Held {
            id: name.clone(),
            document: Some(document.clone()),
        });
        let managed = attached.iter().map(|arn| {
            let own = self.policies.get(arn).map(policy::Policy::document);
            Held {
                id: arn.clone(),
                document: own.or_else(|| managed::document(arn)).map(str::to_owned),
            }
        });
        Some(own.chain(managed).collect())
    }

    /// The role of a session's ARN: `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    pub(crate) fn role_behind(&self, arn: &str) -> Option<&Role> {
        let (_, rest) = arn.split_once(":assumed-role/")?;
        self.roles.get(rest.split('/').next()?)
    }

    /// The ARN of a role that is there, or that one of that path would have.
    pub(crate) fn arn_of_role(&self, place: &Place, name: &str, path: &str) -> String {
        let made = || place.global_arn("iam", &format!("role{path}{name}"));
        self.roles
            .get(name)
            .map_or_else(made, |role| role.arn.clone())
    }

    /// The same of a user.
    pub(crate) fn arn_of_user(&self, place: &Place, name: &str, path: &str) -> String {
        let made = || place.global_arn("iam", &format!("user{path}{name}"));
        self.users
            .get(name)
            .map_or_else(made, |user| user.arn.clone())
    }
}

/// Whether other services know something yet that was made at that moment: IAM's changes take some seconds to reach them.
pub(crate) fn known_elsewhere(scene: &Scene<'_>, made: Time) -> bool {
    let wait = scene.core.latencies.of(Wait::RoleKnown);
    made.after(scene.core.clock.scaled(wait)) <= scene.now
}

fn no_such(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntity", message).status(StatusCode::NOT_FOUND)
}

fn exists(message: impl Into<String>) -> ApiError {
    ApiError::new("EntityAlreadyExists", message).status(StatusCode::CONFLICT)
}

fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("DeleteConflict", message).status(StatusCode::CONFLICT)
}

fn limit(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceeded", message).status(StatusCode::CONFLICT)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// A name of IAM's: letters, digits and `_+=,.@-`.
fn name<'a>(params: Params<'a>, field: &str, longest: usize) -> Result<&'a str, ApiError> {
    let name = params.need(field)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let mut field = field.to_owned();
    if let Some(first) = field.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    if !name.chars().all(allowed) {
        return Err(invalid(format!(
            "The specified value for {field} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"
        )));
    }
    if name.len() > longest {
        return Err(invalid(format!(
            "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length less than or \
             equal to {longest}"
        )));
    }
    Ok(name)
}

/// A path: a slash at both ends, `/` when absent.
fn path<'a>(params: Params<'a>) -> Result<&'a str, ApiError> {
    let path = params.text("Path").unwrap_or("/");
    let printable = path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if path.starts_with('/') && path.ends_with('/') && printable && path.len() <= 512 {
        return Ok(path);
    }
    Err(invalid(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / \
         characters.",
    ))
}

/// Tags of a call.
fn tags(params: Params<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in params.sections("Tags") {
        let key = tag.need("Key")?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new(
                "InvalidInput",
                "Tag keys beginning with aws: are reserved.",
            ));
        }
        let value = tag.text("Value").unwrap_or_default();
        if key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("A tag's key or value is too long."));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new(
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    Ok(tags)
}

/// Most tags of a role, policy, profile or provider (IAM user guide: IAM and STS quotas).
const MOST_TAGS: usize = 50;

fn add_tags(
    onto: &mut BTreeMap<String, String>,
    more: BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let mut after = onto.clone();
    after.extend(more);
    if after.len() > MOST_TAGS {
        return Err(limit("Cannot exceed quota for TagsPerRole: 50"));
    }
    *onto = after;
    Ok(())
}

fn remove_tags(from: &mut BTreeMap<String, String>, params: Params<'_>) {
    for key in params.texts("TagKeys") {
        from.remove(key);
    }
}

fn show_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// A page of a list, under the name that the reply gives it.
fn paged(params: Params<'_>, name: &str, items: Vec<(String, Value)>) -> Result<Value, ApiError> {
    let most = params.number("MaxItems")?.unwrap_or(100);
    if !(1..=1000).contains(&most) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{most}' at 'maxItems' failed to satisfy constraint: Member must have value less \
             than or equal to 1000"
        )));
    }
    let page = page(
        items,
        |(key, _)| key.clone(),
        params.text("Marker"),
        usize::try_from(most).ok(),
        "ValidationError",
    )?;
    let shown: Vec<Value> = page.items.into_iter().map(|(_, shown)| shown).collect();
    Ok(json!({name: shown, "IsTruncated": page.next.is_some(), "Marker": page.next}))
}
