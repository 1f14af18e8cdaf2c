//! Amazon EC2: networks, addresses, interfaces, volumes, instances.
//!
//! Other services make things here through functions that take a [`Scene`]: [`interface::create`] and [`interface::remove`]
//! for what sits in a subnet, [`security_group::create`] and [`security_group::in_use`], [`volume::create`] and
//! [`volume::remove`], [`launch::launch`] and [`instance::terminate`] for node groups. Everything that occupies a subnet does it
//! through its interfaces, so a dependency that is not an interface is not forgotten by `DeleteSubnet`.

mod acl;
pub(crate) mod address;
mod dhcp;
pub(crate) mod endpoint;
pub(crate) mod instance;
mod instance_status;
pub(crate) mod instance_type;
pub(crate) mod interface;
pub(crate) mod internet_gateway;
pub(crate) mod launch;
pub(crate) mod launch_template;
pub(crate) mod nat_gateway;
pub(crate) mod net;
mod nothing;
mod prefix_list;
pub(crate) mod resource;
pub(crate) mod route;
pub(crate) mod route_table;
pub(crate) mod rule;
mod run_instances;
pub(crate) mod security_group;
pub(crate) mod snapshot;
pub(crate) mod subnet;
pub(crate) mod tagging;
pub(crate) mod volume;
pub(crate) mod vpc;
mod zone;

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::service::{Protocol, Service};
use crate::aws::world::scene::Scene;

pub(crate) const SERVICE: Service = Service {
    name: "ec2",
    protocol: Protocol::Ec2 {
        xmlns: "http://ec2.amazonaws.com/doc/2016-11-15/",
    },
    invalid: None,
    actions: &[
        vpc::ACTIONS,
        subnet::ACTIONS,
        internet_gateway::ACTIONS,
        address::ACTIONS,
        nat_gateway::ACTIONS,
        route_table::ACTIONS,
        route::ACTIONS,
        security_group::ACTIONS,
        rule::ACTIONS,
        rule::change::ACTIONS,
        endpoint::ACTIONS,
        prefix_list::ACTIONS,
        interface::ACTIONS,
        acl::ACTIONS,
        dhcp::ACTIONS,
        volume::ACTIONS,
        snapshot::ACTIONS,
        instance::ACTIONS,
        instance_status::ACTIONS,
        run_instances::ACTIONS,
        launch_template::ACTIONS,
        instance_type::ACTIONS,
        zone::ACTIONS,
        tagging::ACTIONS,
        nothing::ACTIONS,
    ],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) vpcs: BTreeMap<String, vpc::Vpc>,
    pub(crate) subnets: BTreeMap<String, subnet::Subnet>,
    pub(crate) internet_gateways: BTreeMap<String, internet_gateway::InternetGateway>,
    pub(crate) addresses: BTreeMap<String, address::Address>,
    pub(crate) nat_gateways: BTreeMap<String, nat_gateway::NatGateway>,
    pub(crate) route_tables: BTreeMap<String, route_table::RouteTable>,
    pub(crate) groups: BTreeMap<String, security_group::Group>,
    pub(crate) acls: BTreeMap<String, acl::Acl>,
    pub(crate) endpoints: BTreeMap<String, endpoint::Endpoint>,
    pub(crate) interfaces: BTreeMap<String, interface::Interface>,
    pub(crate) volumes: BTreeMap<String, volume::Volume>,
    pub(crate) snapshots: BTreeMap<String, snapshot::Snapshot>,
    pub(crate) instances: BTreeMap<String, instance::Instance>,
    pub(crate) launch_templates: BTreeMap<String, launch_template::LaunchTemplate>,
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A VPC becomes available.
    VpcAvailable { vpc: String },
    /// A NAT gateway becomes available or fails.
    NatGatewaySettles { nat: String },
    /// A NAT gateway has gone.
    NatGatewayDeleted { nat: String },
    /// A NAT gateway is no longer shown.
    NatGatewayForgotten { nat: String },
    /// An endpoint becomes available.
    EndpointAvailable { endpoint: String },
    /// An endpoint has gone.
    EndpointDeleted { endpoint: String },
    /// A volume becomes available.
    VolumeAvailable { volume: String },
    /// A volume has gone.
    VolumeDeleted { volume: String },
    /// A volume is attached to its instance, or detached.
    VolumeMoved { volume: String },
    /// A snapshot is complete.
    SnapshotCompleted { snapshot: String },
    /// An instance runs.
    InstanceRunning { instance: String },
    /// An instance has ended.
    InstanceTerminated { instance: String },
    /// An instance is no longer shown.
    InstanceForgotten { instance: String },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::VpcAvailable { vpc } => vpc::available(scene, &vpc),
            Self::NatGatewaySettles { nat } => nat_gateway::settles(scene, &nat),
            Self::NatGatewayDeleted { nat } => nat_gateway::deleted(scene, &nat),
            Self::NatGatewayForgotten { nat } => nat_gateway::forgotten(scene, &nat),
            Self::EndpointAvailable { endpoint } => endpoint::available(scene, &endpoint),
            Self::EndpointDeleted { endpoint } => endpoint::deleted(scene, &endpoint),
            Self::VolumeAvailable { volume } => volume::available(scene, &volume),
            Self::VolumeDeleted { volume } => volume::deleted(scene, &volume),
            Self::VolumeMoved { volume } => volume::moved(scene, &volume),
            Self::SnapshotCompleted { snapshot } => snapshot::completed(scene, &snapshot),
            Self::InstanceRunning { instance } => instance::running(scene, &instance),
            Self::InstanceTerminated { instance } => instance::terminated(scene, &instance),
            Self::InstanceForgotten { instance } => instance::forgotten(scene, &instance),
        }
    }
}

impl From<Event> for crate::aws::world::schedule::Event {
    fn from(event: Event) -> Self {
        Self::Ec2(event)
    }
}
