//! What is changed of a secret: its description, key and value, and its tags.

use serde_json::{Value, json};

use super::secret::{alive, invalid, key_of, tags_of};
use super::value::{CURRENT, Content, token_of};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "UpdateSecret",
        &[
            "SecretId",
            "ClientRequestToken",
            "Description",
            "KmsKeyId",
            "SecretString",
            "SecretBinary",
        ],
        update,
    ),
    Action::write("TagResource", &["SecretId", "Tags"], tag),
    Action::write("UntagResource", &["SecretId", "TagKeys"], untag),
];

fn update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let content = Content::of(params)?;
    let token = content.is_some().then(|| token_of(params)).transpose()?;
    let key = key_of(scene, params)?;
    let (name, secret) = alive(scene, params)?;
    let replayed = match (token, &content) {
        (Some(token), Some(content)) => secret.replayed(token, content)?.is_some(),
        _ => false,
    };
    if let Some(description) = params.text("Description") {
        secret.description = Some(description.to_owned());
    }
    if key.is_some() {
        secret.key = key;
    }
    secret.changed = now;
    let mut reply = json!({"ARN": secret.arn, "Name": name});
    if let (Some(token), Some(content)) = (token, content) {
        if !replayed {
            secret.store(now, token, content, &[CURRENT]);
        }
        reply["VersionId"] = token.into();
    }
    Ok(reply)
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (now, more) = (scene.now, tags_of(params)?);
    let (_, secret) = alive(scene, params)?;
    secret
        .tags
        .add(now, &more)
        .map_err(|error| invalid(error.message))?;
    secret.changed = now;
    Ok(Value::Null)
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let (_, secret) = alive(scene, params)?;
    for key in params.texts("TagKeys") {
        secret.tags.remove(now, key, None);
    }
    secret.changed = now;
    Ok(Value::Null)
}
