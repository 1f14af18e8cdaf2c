//! How long AWS takes for things: a table with the source beside each figure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is waited for. Each has its figure in `data/latency.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// A NAT gateway from `pending` to `available`.
    NatGatewayAvailable,
    /// A NAT gateway that cannot be made, until it is `failed`.
    NatGatewayFailed,
    /// A NAT gateway from `deleting` to `deleted`.
    NatGatewayDeleted,
    /// How long a deleted or failed NAT gateway is still shown.
    NatGatewayForgotten,
    /// A VPC from `pending` to `available`.
    VpcAvailable,
    /// An interface endpoint from `pending` to `available`.
    InterfaceEndpointAvailable,
    /// A gateway endpoint from `pending` to `available`.
    GatewayEndpointAvailable,
    /// An endpoint from `deleting` to gone.
    EndpointDeleted,
    /// A volume from `creating` to `available`.
    VolumeAvailable,
    /// A volume from `deleting` to gone.
    VolumeDeleted,
    /// A volume from `attaching` to `attached`, or `detaching` to detached.
    VolumeAttached,
    /// An instance from `pending` to `running`.
    InstanceRunning,
    /// An instance from `shutting-down` to `terminated`.
    InstanceTerminated,
    /// How long a terminated instance is still shown.
    InstanceForgotten,
}

/// One line of the table.
#[derive(Clone, Debug, Deserialize)]
struct Figure {
    seconds: f64,
    /// Where the figure is from; a table without sources is a table of guesses.
    source: String,
}

const TABLE: &str = include_str!("../data/latency.json");

/// The table, with what the settings change in it.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(BTreeMap<Wait, Duration>);

impl Default for Latencies {
    fn default() -> Self {
        let table: BTreeMap<Wait, Figure> = serde_json::from_str(TABLE).unwrap_or_default();
        let figures = table
            .into_iter()
            .filter(|(_, figure)| !figure.source.is_empty());
        Self(
            figures
                .map(|(wait, figure)| (wait, Duration::from_secs_f64(figure.seconds)))
                .collect(),
        )
    }
}

impl Latencies {
    /// The table with other figures for some waits.
    pub(crate) fn with(changed: &BTreeMap<Wait, Duration>) -> Self {
        let mut table = Self::default();
        table.0.extend(changed);
        table
    }

    /// How long AWS takes for this.
    pub(crate) fn of(&self, wait: Wait) -> Duration {
        self.0.get(&wait).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_a_figure_with_a_source() {
        let table: BTreeMap<Wait, Figure> = serde_json::from_str(TABLE).unwrap();
        // The last variant in the order of declaration: a forgotten line shows as a difference in number.
        assert_eq!(table.len(), Wait::InstanceForgotten as usize + 1);
        for (wait, figure) in table {
            assert!(
                figure.seconds >= 0.0 && !figure.source.is_empty(),
                "{wait:?}"
            );
        }
    }
}
