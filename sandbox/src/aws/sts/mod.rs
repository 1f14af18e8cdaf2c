//! STS: who calls, and temporary credentials.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::service::{Action, Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::keys::Session;
use crate::aws::world::scene::{Caller, Scene};

pub(crate) const SERVICE: Service = Service {
    name: "sts",
    protocol: Protocol::Query {
        xmlns: "https://sts.amazonaws.com/doc/2011-06-15/",
    },
    invalid: Some("ValidationError"),
    actions: &[ACTIONS],
};

/// What the service keeps beside the sessions, which are with the keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {}

const ACTIONS: &[Action] = &[
    Action::read("GetCallerIdentity", &[], get_caller_identity),
    Action::write(
        "AssumeRole",
        &["RoleArn", "RoleSessionName", "DurationSeconds"],
        assume_role,
    ),
    Action::write("GetSessionToken", &["DurationSeconds"], get_session_token),
];

fn get_caller_identity(scene: &mut Scene<'_>, _: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({
        "Arn": scene.caller.arn,
        "UserId": scene.caller.user_id,
        "Account": scene.caller.account,
    }))
}

fn assume_role(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let role = params.need("RoleArn")?;
    let session = params.need("RoleSessionName")?;
    let lasts = duration(params, 3_600, 43_200)?;
    let mut parts = role.splitn(6, ':');
    let account = parts.nth(4).unwrap_or_default().to_owned();
    let name = parts.next().and_then(|rest| rest.strip_prefix("role/"));
    let Some(name) = name.filter(|_| account == scene.place.account) else {
        return Err(not_authorized(scene, role));
    };
    let name = name.rsplit('/').next().unwrap_or_default();
    if !scene.account.iam.has_role(name) {
        return Err(not_authorized(scene, role));
    }
    let id = format!("AROA{}", scene.core.ids.letters(17));
    let caller = Caller {
        arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        user_id: format!("{id}:{session}"),
        account,
    };
    let assumed = json!({"AssumedRoleId": caller.user_id, "Arn": caller.arn});
    let credentials = open(scene, lasts, caller);
    Ok(json!({"Credentials": credentials, "AssumedRoleUser": assumed}))
}

fn get_session_token(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let lasts = duration(params, 43_200, 129_600)?;
    let caller = scene.caller.clone();
    Ok(json!({"Credentials": open(scene, lasts, caller)}))
}

/// Credentials expire by the real clock: clients compare the date with theirs.
fn open(scene: &mut Scene<'_>, lasts: Duration, caller: Caller) -> Value {
    let core = &mut *scene.core;
    let expires = scene.now.after(lasts);
    let (key, Session { secret, token, .. }) =
        core.keys.open(&mut core.ids, scene.now, expires, caller);
    json!({
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": expires.iso(),
    })
}

fn duration(params: Params<'_>, default: i64, most: i64) -> Result<Duration, ApiError> {
    let seconds = params.number("DurationSeconds")?.unwrap_or(default);
    if !(900..=most).contains(&seconds) {
        let message = format!("The requested DurationSeconds is not between 900 and {most}.");
        return Err(ApiError::new("ValidationError", message));
    }
    Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(900)))
}

/// The same answer whether the role is not there or does not trust the caller: STS tells nobody which roles exist.
fn not_authorized(scene: &Scene<'_>, role: &str) -> ApiError {
    let message = format!(
        "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
        scene.caller.arn
    );
    ApiError::new("AccessDenied", message).status(StatusCode::FORBIDDEN)
}
