//! Elastic Load Balancing, version 2.

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;

pub(crate) const SERVICE: Service = Service {
    name: "elasticloadbalancing",
    protocol: Protocol::Query {
        xmlns: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    },
    invalid: Some("ValidationError"),
    actions: &[],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {}

impl Event {
    pub(crate) fn happen(self, _scene: &mut Scene<'_>) {
        match self {}
    }
}
