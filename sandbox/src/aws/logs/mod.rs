//! CloudWatch Logs: log groups.

mod group;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;

pub(crate) use self::group::{arn, ensure};

pub(crate) const SERVICE: Service = Service {
    name: "logs",
    protocol: Protocol::Json {
        target: "Logs_20140328",
        version: "1.1",
    },
    invalid: Some("InvalidParameterException"),
    actions: &[group::ACTIONS],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By name.
    pub(crate) groups: BTreeMap<String, group::Group>,
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {}

impl Event {
    pub(crate) fn happen(self, _scene: &mut Scene<'_>) {
        match self {}
    }
}
