//! Amazon EC2: networks, addresses, interfaces, volumes, instances.

mod vpc;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::vpc::Vpc;
use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;

pub(crate) const SERVICE: Service = Service {
    name: "ec2",
    protocol: Protocol::Ec2 {
        xmlns: "http://ec2.amazonaws.com/doc/2016-11-15/",
    },
    invalid: None,
    actions: &[vpc::ACTIONS],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) vpcs: BTreeMap<String, Vpc>,
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A VPC becomes available.
    VpcAvailable { vpc: String },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::VpcAvailable { vpc } => vpc::available(scene, &vpc),
        }
    }
}

impl From<Event> for crate::aws::world::schedule::Event {
    fn from(event: Event) -> Self {
        Self::Ec2(event)
    }
}
