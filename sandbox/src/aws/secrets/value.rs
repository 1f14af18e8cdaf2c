//! Versions of secrets: what they hold, and which labels stand on them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secret::{DAY, Secret, alive, invalid, unfit};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// The label of the version that is meant where none is named.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// The label of the one before it.
const PREVIOUS: &str = "AWSPREVIOUS";
/// Longest value, in bytes (API reference: `CreateSecret`).
const LONGEST: usize = 65_536;
/// Most versions of a secret; of those without a label the oldest go first (Secrets Manager user guide: quotas).
const MOST: usize = 100;

/// A version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) value: Content,
    pub(super) stages: Vec<String>,
    pub(super) created: Time,
}

/// What a version holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    Text(String),
    /// In base64, as requests and replies have it.
    Binary(String),
}

pub(crate) const ACTIONS: &[Action] = &[
    // It notes the day of the reading, and changes nothing that a client could ask for by it.
    Action::read(
        "GetSecretValue",
        &["SecretId", "VersionId", "VersionStage"],
        get,
    ),
    Action::write(
        "PutSecretValue",
        &[
            "SecretId",
            "ClientRequestToken",
            "SecretString",
            "SecretBinary",
            "VersionStages",
        ],
        put,
    ),
];

/// The token of a call that makes a version: it becomes the version's identifier.
pub(super) fn token_of(params: Params<'_>) -> Result<&str, ApiError> {
    let token = params.text("ClientRequestToken").ok_or_else(|| {
        unfit("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    })?;
    if !(32..=64).contains(&token.len()) {
        return Err(invalid("ClientRequestToken must be 32-64 characters long."));
    }
    Ok(token)
}

impl Content {
    /// What a call gives; none where it gives nothing.
    pub(super) fn of(params: Params<'_>) -> Result<Option<Self>, ApiError> {
        let (text, binary) = (params.text("SecretString"), params.text("SecretBinary"));
        if text.or(binary).is_some_and(|value| value.len() > LONGEST) {
            return Err(invalid(format!(
                "The secret value must be at most {LONGEST} bytes long."
            )));
        }
        match (text, binary) {
            (Some(_), Some(_)) => Err(invalid(
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            )),
            (Some(text), None) => Ok(Some(Self::Text(text.to_owned()))),
            (None, Some(binary)) => Ok(Some(Self::Binary(binary.to_owned()))),
            (None, None) => Ok(None),
        }
    }
}

/// Whether a key of KMS, named by id, ARN or alias, can be used.
pub(super) fn key_is_usable(scene: &Scene<'_>, key: &str) -> bool {
    let kms = &scene.region.kms;
    let alias = key.find("alias/").map(|at| &key[at..]);
    // AWS's own keys are there in every account.
    if alias.is_some_and(|alias| alias.starts_with("alias/aws/")) {
        return true;
    }
    let id = match alias {
        Some(alias) => kms.target_of(alias),
        None => Some(key),
    };
    id.is_some_and(|id| kms.usable(id).is_some())
}

impl Secret {
    /// Keep a new version under these labels, which leave those that they stood on.
    pub(super) fn store(&mut self, now: Time, id: &str, value: Content, stages: &[&str]) {
        if stages.contains(&CURRENT) {
            let has = |version: &Version, label: &str| version.stages.iter().any(|s| s == label);
            if self.versions.iter().any(|version| has(version, CURRENT)) {
                for version in &mut self.versions {
                    let was = has(version, CURRENT);
                    version.stages.retain(|stage| stage != PREVIOUS);
                    if was {
                        version.stages.push(PREVIOUS.to_owned());
                    }
                }
            }
        }
        for version in &mut self.versions {
            version
                .stages
                .retain(|stage| !stages.contains(&stage.as_str()));
        }
        self.versions.push(Version {
            id: id.to_owned(),
            value,
            stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
            created: now,
        });
        if self.versions.len() > MOST
            && let Some(oldest) = self.versions.iter().position(|one| one.stages.is_empty())
        {
            self.versions.remove(oldest);
        }
        self.changed = now;
    }

    /// The version of that identifier, where it holds the same: the call was made before.
    ///
    /// # Errors
    /// Where it holds something else: versions don't change.
    pub(super) fn replayed(&self, id: &str, value: &Content) -> Result<Option<&Version>, ApiError> {
        match self.versions.iter().find(|version| version.id == id) {
            Some(version) if version.value == *value => Ok(Some(version)),
            Some(_) => Err(ApiError::new(
                "ResourceExistsException",
                format!(
                    "You can't use ClientRequestToken {id} because that value is already in use for a version of secret {}.",
                    self.arn
                ),
            )),
            None => Ok(None),
        }
    }

    fn version(&self, id: Option<&str>, stage: Option<&str>) -> Result<&Version, ApiError> {
        let label = stage.unwrap_or(CURRENT);
        let labelled = |version: &&Version| version.stages.iter().any(|own| own.as_str() == label);
        let missing = |what: String| {
            let message =
                format!("Secrets Manager can't find the specified secret value for {what}");
            ApiError::new("ResourceNotFoundException", message)
        };
        let Some(id) = id else {
            let found = self.versions.iter().find(labelled);
            return found.ok_or_else(|| missing(format!("staging label: {label}")));
        };
        let found = self.versions.iter().find(|version| version.id == id);
        let found = found.ok_or_else(|| missing(format!("VersionId: {id}")))?;
        if stage.is_some() && !labelled(&found) {
            return Err(unfit(
                "You provided a VersionStage that is not associated to the provided VersionId.",
            ));
        }
        Ok(found)
    }
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let (_, secret) = alive(scene, params)?;
    let key = secret.key.clone();
    if key.is_some_and(|key| !key_is_usable(scene, &key)) {
        return Err(ApiError::new(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        ));
    }
    let (name, secret) = alive(scene, params)?;
    let version = secret.version(params.text("VersionId"), params.text("VersionStage"))?;
    let mut reply = json!({
        "ARN": secret.arn,
        "Name": name,
        "VersionId": version.id,
        "VersionStages": version.stages,
        "CreatedDate": version.created.epoch(),
    });
    match &version.value {
        Content::Text(text) => reply["SecretString"] = text.clone().into(),
        Content::Binary(bytes) => reply["SecretBinary"] = bytes.clone().into(),
    }
    let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    secret.read = Some(Time(now.0 - now.0.rem_euclid(day)));
    Ok(reply)
}

fn put(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let token = token_of(params)?;
    let value = Content::of(params)?
        .ok_or_else(|| unfit("You must provide either SecretString or SecretBinary."))?;
    let given = params.texts("VersionStages");
    let (name, secret) = alive(scene, params)?;
    let stages = match secret.replayed(token, &value)? {
        Some(version) => version.stages.clone(),
        None => {
            let mut stages = given;
            if stages.is_empty() {
                stages.push(CURRENT);
            }
            // The first version is the current one, whatever else it is called.
            if secret.versions.is_empty() && !stages.contains(&CURRENT) {
                stages.push(CURRENT);
            }
            secret.store(now, token, value, &stages);
            stages.into_iter().map(str::to_owned).collect()
        }
    };
    Ok(json!({"ARN": secret.arn, "Name": name, "VersionId": token, "VersionStages": stages}))
}
