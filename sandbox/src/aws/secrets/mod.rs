//! Secrets Manager: secrets and their versions. Nothing is encrypted; whether a key of KMS can be used is looked at.

mod change;
mod list;
mod secret;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::secret::Secret;
use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

pub(crate) const SERVICE: Service = Service {
    name: "secretsmanager",
    protocol: Protocol::Json {
        target: "secretsmanager",
        version: "1.1",
    },
    invalid: Some("InvalidParameterException"),
    actions: &[
        secret::ACTIONS,
        change::ACTIONS,
        value::ACTIONS,
        list::ACTIONS,
    ],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By name.
    secrets: BTreeMap<String, Secret>,
}

impl State {
    /// What the tagging API knows of: ARN, tags.
    pub(crate) fn tagged<'a>(
        &'a self,
        scene: &'a Scene<'_>,
    ) -> impl Iterator<Item = (String, &'a Tags)> {
        let all = self.secrets.values();
        all.filter(|one| scene.listed(one.created))
            .map(|one| (one.arn.clone(), &one.tags))
    }

    /// The ARN and the tags of the secret behind a name or an ARN.
    pub(crate) fn behind(&self, id: &str) -> Option<(&str, &Tags)> {
        let name = secret::name_behind(self, id)?;
        let one = self.secrets.get(name)?;
        Some((&one.arn, &one.tags))
    }
}

/// Takes the values out of the graph as audits see it: that there is one is shown, and not which.
pub(crate) fn hide(state: &mut Value) {
    let secrets = state["secrets"].as_object_mut().into_iter();
    for secret in secrets.flat_map(|secrets| secrets.values_mut()) {
        let versions = secret["versions"].as_array_mut().into_iter().flatten();
        versions.for_each(|version| version["value"] = json!("(not shown)"));
    }
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A secret's recovery window is over.
    Deleted { name: String },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::Deleted { name } => secret::deleted(scene, &name),
        }
    }
}
