//! IAM: roles, policies, instance profiles, OIDC providers. Belongs to the account, not to a region.

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};

pub(crate) const SERVICE: Service = Service {
    name: "iam",
    protocol: Protocol::Query {
        xmlns: "https://iam.amazonaws.com/doc/2010-05-08/",
    },
    invalid: Some("ValidationError"),
    actions: &[],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {}

impl State {
    /// Whether the account has a role of that name.
    pub(crate) fn has_role(&self, _name: &str) -> bool {
        false
    }
}
