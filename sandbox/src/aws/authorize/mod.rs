//! Who may do what: the identity policies of IAM's users and roles, looked at before an action runs.
//!
//! The account's own key (`user/sandbox`) belongs to an administrator, who may do everything. Everybody else may do what the
//! policies of the user, or of the role behind a session, allow: an explicit deny wins, and what nothing allows is denied
//! (IAM user guide: policy evaluation logic). A request may need several permissions, each for several resources
//! (`needs.rs`); all have to be there.
//!
//! What a policy says in words that are not known here (a condition operator, a context key that the simulator has no value
//! for, a policy of AWS's whose text is not in the table) is never guessed: as soon as it could decide, the answer is
//! `NotSimulated`.

mod condition;
mod context;
mod needs;
mod policy;

#[cfg(test)]
mod tests;

use http::StatusCode;

pub(crate) use self::condition::Context;
use self::needs::{Need, On};
pub(crate) use self::policy::{Held, Judgement, Verdict, judge};
use super::service::Protocol;
use super::service::Service;
use super::wire::error::ApiError;
use super::wire::params::Params;
use super::world::scene::{Caller, Scene};

/// Calls that need no permission: they tell callers who they are, or give them what they have (AWS STS API reference:
/// `GetCallerIdentity` is answered even where a policy denies it; `GetSessionToken` needs no permissions).
const FREE: [&str; 2] = ["sts:GetCallerIdentity", "sts:GetSessionToken"];

/// What somebody's permissions come from.
pub(crate) enum Rights {
    /// May do everything.
    Administrator,
    /// What these policies allow.
    Policies(Vec<Held>),
}

impl Rights {
    /// Those of whoever has that ARN: a user, a role, or a session of a role; none when there is nobody of that ARN any more.
    pub(crate) fn of(scene: &Scene<'_>, arn: &str) -> Option<Self> {
        if arn == Caller::administrator(&scene.place.account).arn {
            return Some(Self::Administrator);
        }
        scene.account.iam.policies_of(arn).map(Self::Policies)
    }
}

/// Refuse what the caller's policies don't allow.
///
/// # Errors
/// The service's own words for a missing permission, or `NotSimulated` where the policies can't be judged here.
pub(crate) fn check(
    scene: &Scene<'_>,
    service: &Service,
    action: &str,
    params: Params<'_>,
) -> Result<(), ApiError> {
    let own = permission(service.name, action);
    if FREE.contains(&own.as_str()) {
        return Ok(());
    }
    let held = match Rights::of(scene, &scene.caller.arn) {
        Some(Rights::Administrator) => return Ok(()),
        Some(Rights::Policies(held)) => held,
        // Whoever was deleted meanwhile has no permissions.
        None => Vec::new(),
    };
    for need in needs::of(scene, service, action, params) {
        let context = context::of(scene, service, &need);
        let verdict = match &need.on {
            On::Resource(arn) => judge(&held, &need.action, Some(arn), &context)?.verdict,
            On::Everything => judge(&held, &need.action, Some("*"), &context)?.verdict,
            On::Unknown => judge(&held, &need.action, None, &context)?.verdict,
        };
        if verdict != Verdict::Allowed {
            return Err(denied(service, &scene.caller.arn, &need, verdict));
        }
    }
    Ok(())
}

/// The permission that an action is about, under the name that policies have for its service.
pub(crate) fn permission(service: &str, action: &str) -> String {
    let prefix = match service {
        "tagging" => "tag",
        other => other,
    };
    format!("{prefix}:{action}")
}

/// Each protocol has its own code and status for it; the words are those of AWS's enhanced messages.
fn denied(service: &Service, caller: &str, need: &Need, verdict: Verdict) -> ApiError {
    let resource = match &need.on {
        On::Resource(arn) => format!(" on resource: {arn}"),
        On::Everything | On::Unknown => String::new(),
    };
    let why = if verdict == Verdict::ExplicitDeny {
        "with an explicit deny in an identity-based policy".to_owned()
    } else {
        format!(
            "because no identity-based policy allows the {} action",
            need.action
        )
    };
    let words = format!(
        "User: {caller} is not authorized to perform: {}{resource} {why}",
        need.action
    );
    match service.protocol {
        Protocol::Ec2 { .. } => ApiError::new(
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {words}"),
        )
        .status(StatusCode::FORBIDDEN),
        Protocol::Query { .. } => {
            ApiError::new("AccessDenied", words).status(StatusCode::FORBIDDEN)
        }
        Protocol::RestJson => {
            ApiError::new("AccessDeniedException", words).status(StatusCode::FORBIDDEN)
        }
        Protocol::Json { .. } => ApiError::new("AccessDeniedException", words),
    }
}
