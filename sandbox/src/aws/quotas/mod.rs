//! Service Quotas.

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};

pub(crate) const SERVICE: Service = Service {
    name: "servicequotas",
    protocol: Protocol::Json {
        target: "ServiceQuotasV20190624",
        version: "1.1",
    },
    invalid: Some("IllegalArgumentException"),
    actions: &[],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// What was granted instead of the default, by quota code.
    pub(crate) granted: std::collections::BTreeMap<String, f64>,
}
