//! KMS: keys and aliases. Nothing is encrypted.

mod alias;
mod key;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;

pub(crate) use self::key::Key;

pub(crate) const SERVICE: Service = Service {
    name: "kms",
    protocol: Protocol::Json {
        target: "TrentService",
        version: "1.1",
    },
    invalid: Some("ValidationException"),
    actions: &[key::ACTIONS, alias::ACTIONS],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By id.
    pub(crate) keys: BTreeMap<String, Key>,
    /// By name, which begins with `alias/`.
    aliases: BTreeMap<String, alias::Alias>,
}

impl State {
    /// The key of that ARN, where it can be used.
    pub(crate) fn usable(&self, arn: &str) -> Option<&Key> {
        let id = arn.rsplit('/').next()?;
        self.keys.get(id).filter(|key| key.is_usable())
    }

    /// The id of the key behind an alias.
    pub(crate) fn target_of(&self, alias: &str) -> Option<&str> {
        self.aliases.get(alias).map(|alias| alias.target.as_str())
    }
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A key's waiting period is over.
    Deleted { key: String },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::Deleted { key } => key::deleted(scene, &key),
        }
    }
}
