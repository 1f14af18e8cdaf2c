//! IAM: roles, policies, instance profiles, OIDC providers. Belongs to the account, not to a region.

mod document;
pub(crate) mod instance_profile;
mod managed;
mod oidc;
mod policy;
mod role;
mod role_policy;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::service::{Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;

pub(crate) use self::document::trusts;
pub(crate) use self::role::Role;

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
