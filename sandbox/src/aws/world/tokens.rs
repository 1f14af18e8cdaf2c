//! Client tokens: the same call twice makes one thing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Time;
use super::scene::Scene;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::wire::sigv4::hex;

/// For how long a token is remembered (Amazon EC2 developer guide: ensuring idempotency says 24 hours for `RunInstances` and the
/// like), of the real clock: pipectl's own records do not scale either.
const LASTS: Duration = Duration::from_secs(86_400);

/// What was made under which token, in one account and region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tokens(BTreeMap<String, Made>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    digest: String,
    resource: String,
    at: Time,
}

/// How a call with a client token stands.
pub(crate) enum Replay {
    /// It has no token.
    No,
    /// It is the first with its token: [`remember`] what it makes.
    First(First),
    /// The same call was made before and made this resource: render it as it is now.
    Again(String),
}

/// A token that is used for the first time.
pub(crate) struct First {
    key: String,
    digest: String,
}

/// Look a call's `name`d token up (`ClientToken`, `clientRequestToken`, ...).
///
/// # Errors
/// `mismatch` when the token was used with other parameters.
pub(crate) fn replay(
    scene: &Scene<'_>,
    params: Params<'_>,
    name: &str,
    mismatch: &'static str,
) -> Result<Replay, ApiError> {
    let Some(token) = params.text(name).filter(|token| !token.is_empty()) else {
        return Ok(Replay::No);
    };
    let key = format!(
        "{}:{}:{token}",
        scene.invocation.service, scene.invocation.action
    );
    let digest = digest(params, name);
    match scene.region.tokens.0.get(&key) {
        None => Ok(Replay::First(First { key, digest })),
        Some(made) if made.digest == digest => Ok(Replay::Again(made.resource.clone())),
        Some(_) => Err(ApiError::new(
            mismatch,
            format!(
                "The request uses the same client token as a previous, but non-identical request. ({token})"
            ),
        )),
    }
}

/// Remember what the first call with its token made.
pub(crate) fn remember(scene: &mut Scene<'_>, replay: Replay, resource: &str) {
    if let Replay::First(First { key, digest }) = replay {
        let made = Made {
            digest,
            resource: resource.to_owned(),
            at: scene.now,
        };
        let tokens = &mut scene.region.tokens.0;
        let oldest = scene.now.before(LASTS);
        tokens.retain(|_, made| made.at >= oldest);
        tokens.insert(key, made);
    }
}

fn digest(params: Params<'_>, token: &str) -> String {
    let mut text = String::new();
    let sorted: BTreeMap<&str, &Value> = params
        .names()
        .filter(|name| ![token, "DryRun", "Version", "Action"].contains(name))
        .filter_map(|name| Some((name, params.tree().get(name)?)))
        .collect();
    for (name, value) in sorted {
        text.push_str(name);
        canonical(&mut text, value);
    }
    hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
}

fn canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            for (name, value) in sorted {
                out.push_str(&format!("{{{name}:"));
                canonical(out, value);
                out.push('}');
            }
        }
        Value::Array(items) => items.iter().for_each(|item| {
            out.push('[');
            canonical(out, item);
        }),
        other => out.push_str(&other.to_string()),
    }
}
