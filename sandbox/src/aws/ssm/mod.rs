//! Systems Manager: parameters.

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};

pub(crate) const SERVICE: Service = Service {
    name: "ssm",
    protocol: Protocol::Json {
        target: "AmazonSSM",
        version: "1.1",
    },
    invalid: Some("ValidationException"),
    actions: &[],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {}
