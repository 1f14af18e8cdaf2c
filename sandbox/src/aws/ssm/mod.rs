//! Systems Manager: parameters.

mod parameter;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};

pub(crate) use self::parameter::arn;

pub(crate) const SERVICE: Service = Service {
    name: "ssm",
    protocol: Protocol::Json {
        target: "AmazonSSM",
        version: "1.1",
    },
    invalid: Some("ValidationException"),
    actions: &[parameter::ACTIONS],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By name.
    pub(crate) parameters: BTreeMap<String, parameter::Parameter>,
}
