//! What has to happen outside the graph: real control planes, nodes, volumes.

use serde::{Deserialize, Serialize};

use super::scene::Place;

/// A wish to the rest of the sandbox. The graph has already changed; whoever fulfils it reports back through the handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// What it is about.
    pub kind: EffectKind,
}

/// The kinds of wishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum EffectKind {
    /// A cluster was made, changed or removed.
    ClusterChanged {
        /// Name of the cluster.
        name: String,
    },
}

impl Effect {
    /// A wish at a place.
    pub(crate) fn new(place: &Place, kind: EffectKind) -> Self {
        Self {
            account: place.account.clone(),
            region: place.region.clone(),
            kind,
        }
    }
}
