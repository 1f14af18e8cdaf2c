//! How long AWS takes for things: a table with the source beside each figure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Defines the waits and the list of all of them.
macro_rules! waits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is waited for. Each has its figure in `data/latency.json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Wait {
            $($(#[$doc])* $name,)*
        }

        impl Wait {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

waits! {
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
    /// A snapshot from `pending` to `completed`.
    SnapshotCompleted,
    /// A role, its trust policy or its policies, until services other than IAM know of it.
    RoleKnown,
    /// A cluster from `CREATING` to `ACTIVE`.
    ClusterActive,
    /// A cluster from `DELETING` to gone.
    ClusterDeleted,
    /// A change of a cluster's configuration.
    ClusterUpdated,
    /// A cluster's way to the next version.
    ClusterUpgraded,
    /// How long after a cluster's log group was deleted the living cluster makes it again.
    ClusterLogs,
    /// A node group from `CREATING` until its instances are launched.
    NodegroupLaunches,
    /// A running instance until its node is ready.
    NodeJoins,
    /// A node group whose nodes are all ready, until EKS calls it so.
    NodegroupSettles,
    /// A node group whose nodes don't join, until it is `CREATE_FAILED`.
    NodegroupFailed,
    /// A change of a node group's configuration.
    NodegroupUpdated,
    /// How long a node takes to be drained, then its instance ends.
    NodeDrained,
    /// An add-on from `CREATING` to `ACTIVE`, where its pods run.
    AddonActive,
    /// An add-on whose pods can't run, until it is `DEGRADED`.
    AddonDegraded,
    /// An add-on that is not installed, until it is `CREATE_FAILED`.
    AddonFailed,
    /// An add-on from `DELETING` to gone.
    AddonDeleted,
    /// A load balancer from `provisioning` to `active`.
    BalancerActive,
    /// How long the interfaces of a deleted load balancer stay.
    BalancerInterfacesGone,
    /// An instance from `pending` to `running`.
    InstanceRunning,
    /// A running instance until its status checks have passed.
    InstanceChecked,
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
        for wait in Wait::ALL {
            let line = table.get(wait);
            let figure = line.unwrap_or_else(|| panic!("{wait:?} has no line"));
            assert!(
                figure.seconds >= 0.0 && !figure.source.is_empty(),
                "{wait:?}"
            );
        }
    }
}
