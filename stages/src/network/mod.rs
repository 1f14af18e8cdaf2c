//! The VPC around an EKS cluster: subnets in two zones or more, gateways, routes, the control plane's security group.
//!
//! A VPC that the user brought is used and never changed; only the security group is made in it.

pub mod layout;
pub mod removal;
pub mod steps;

pub(crate) mod existing;
pub(crate) mod holders;
mod obsolete;
mod piece;
mod pieces;

use std::sync::Arc;

use pipectl_config::{Loaded, NatMode, Network};

use self::{
    existing::Existing,
    piece::{PieceResource, Wants},
    pieces::{
        ControlPlaneGroup, InternetGateway, NatAddress, NatGateway, PrivateRoutes, PublicRoutes,
        S3Endpoint, Subnet, Vpc,
    },
};
use crate::{
    account,
    blocks::Row,
    cloud::{CloudOptions, CloudStep, texts},
    context::StepContext,
    error::StepError,
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "network";

/// Seconds between two looks at a piece.
const POLL: u64 = 5;

/// How many zones an environment has subnets in.
#[must_use]
pub fn zones(network: &Network) -> usize {
    match network.zones.len() {
        0 => usize::from(network.zone_count),
        named => named,
    }
}

/// The zone whose NAT gateway serves a zone.
fn nat_of(network: &Network, zone: usize) -> Option<usize> {
    match network.nat {
        NatMode::None => None,
        NatMode::Single => Some(0),
        NatMode::PerZone => Some(zone),
    }
}

/// The zones that have a NAT gateway.
#[must_use]
pub fn nat_zones(network: &Network) -> usize {
    match network.nat {
        NatMode::None => 0,
        NatMode::Single => 1,
        NatMode::PerZone => zones(network),
    }
}

/// Whether nodes stand in public subnets: without a NAT gateway they would not reach the registries from private ones.
#[must_use]
pub fn nodes_are_public(network: &Network) -> bool {
    network.existing_vpc.is_none() && network.nat == NatMode::None
}

/// The subnets of the control plane's interfaces.
///
/// # Errors
/// When they are not made yet.
pub fn private_subnets(cx: &StepContext, network: &Network) -> Result<Vec<String>, StepError> {
    if network.existing_vpc.is_some() {
        return Ok(texts(cx, &steps::vpc(), "privateSubnets"));
    }
    (0..zones(network))
        .map(|zone| crate::cloud::known(cx, &steps::private_subnet(zone), "id"))
        .collect()
}

/// The subnets of nodes.
///
/// # Errors
/// When they are not made yet.
pub fn node_subnets(cx: &StepContext, network: &Network) -> Result<Vec<String>, StepError> {
    if !nodes_are_public(network) {
        return private_subnets(cx, network);
    }
    (0..zones(network))
        .map(|zone| crate::cloud::known(cx, &steps::public_subnet(zone), "id"))
        .collect()
}

/// What a control plane needs of the network: its subnets and its security group, not the way out.
#[must_use]
pub fn for_control_plane(network: &Network) -> Vec<Need> {
    let mut needs = vec![
        Need::ready(steps::vpc()),
        Need::ready(steps::control_plane_group()),
    ];
    if network.existing_vpc.is_none() {
        let subnets = (0..zones(network)).map(|zone| Need::ready(steps::private_subnet(zone)));
        needs.extend(subnets);
    }
    needs
}

/// What nodes need of the network: their subnets, and the way out.
#[must_use]
pub fn for_nodes(network: &Network) -> Vec<Need> {
    if network.existing_vpc.is_some() {
        return vec![Need::ready(steps::vpc())];
    }
    let public = nodes_are_public(network);
    let mut needs = vec![Need::ready(steps::public_routes())];
    for zone in 0..zones(network) {
        if public {
            needs.push(Need::ready(steps::public_subnet(zone)));
        } else {
            needs.push(Need::ready(steps::private_routes(zone)));
        }
    }
    needs
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let network = &loaded.pipeline.spec.network;
    let table = Table { loaded, options };
    let mut steps = Vec::new();
    let after_anchor = [Need::ready(account::anchor())];
    match &network.existing_vpc {
        Some(vpc) => {
            let row = table.row(&steps::vpc(), format!("VPC {}, brought", vpc.id), 1);
            let existing = Existing { vpc: vpc.clone() };
            let poll = options.pace.poll(POLL);
            steps.push(CloudStep::step(row.needs(after_anchor), poll, existing));
        }
        None => steps.extend(table.own_vpc(network, &after_anchor)),
    }
    let needs = [Need::ready(steps::vpc())];
    let group = steps::control_plane_group();
    steps.push(table.piece(
        group,
        "security group of the control plane".to_owned(),
        1,
        &needs,
        ControlPlaneGroup,
    ));
    steps
}

/// The steps of the stage that come after the nodes: what the pipeline does not want any more.
#[must_use]
pub fn steps_after_nodes(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let network = &loaded.pipeline.spec.network;
    match network.existing_vpc {
        Some(_) => Vec::new(),
        None => vec![obsolete::step(network, options, loaded)],
    }
}

struct Table<'a> {
    loaded: &'a Arc<Loaded>,
    options: &'a CloudOptions,
}

impl Table<'_> {
    fn row(&self, step: &StepId, title: String, expected: u64) -> Row {
        let pace = self.options.pace;
        let bound = self.loaded.pipeline.spec.timeouts.network.duration();
        let mut row = Row::new(step.stage(), step.name(), title);
        row.timeouts.ready = pace.bound(bound);
        row.timeouts.expected = pace.expected(expected);
        row
    }

    fn piece(
        &self,
        step: StepId,
        title: String,
        expected: u64,
        needs: &[Need],
        wants: impl Wants,
    ) -> Arc<dyn Step> {
        let row = self.row(&step, title, expected).needs(needs.to_vec());
        let poll = self.options.pace.poll(POLL);
        CloudStep::step(row, poll, PieceResource::new(self.loaded, wants))
    }

    /// The pieces of a VPC of the environment's own. Expected seconds are what Terraform's AWS provider reports for its
    /// resources (`creation complete after ...` in its issues).
    fn own_vpc(&self, network: &Network, after_anchor: &[Need]) -> Vec<Arc<dyn Step>> {
        let count = zones(network);
        let Some(shares) = layout::share_out(&network.cidr, count) else {
            // The pipeline's checks leave no such range.
            return Vec::new();
        };
        let ready = Need::ready;
        let vpc = [ready(steps::vpc())];
        let mut rows = vec![
            self.piece(
                steps::vpc(),
                format!("VPC {}", network.cidr),
                2,
                after_anchor,
                Vpc {
                    cidr: network.cidr.clone(),
                },
            ),
            self.piece(
                steps::internet_gateway(),
                "internet gateway".to_owned(),
                1,
                &vpc,
                InternetGateway,
            ),
        ];
        for zone in 0..count {
            let sides = [
                (steps::private_subnet(zone), false, &shares.private),
                (steps::public_subnet(zone), true, &shares.public),
            ];
            for (step, public, cidrs) in sides {
                let side = if public { "public" } else { "private" };
                let cidr = cidrs[zone].clone();
                let wants = Subnet {
                    zone,
                    public,
                    cidr: cidr.clone(),
                    loaded: self.loaded.clone(),
                };
                let needs = [ready(steps::vpc()), Need::applied(account::preflight())];
                rows.push(self.piece(step, format!("{side} subnet {cidr}"), 1, &needs, wants));
            }
        }
        let mut public_needs = vec![ready(steps::internet_gateway())];
        public_needs.extend((0..count).map(|zone| ready(steps::public_subnet(zone))));
        rows.push(self.piece(
            steps::public_routes(),
            "routes of the public subnets".to_owned(),
            1,
            &public_needs,
            PublicRoutes { zones: count },
        ));
        for zone in 0..nat_zones(network) {
            rows.push(self.piece(
                steps::nat_address(zone),
                "address of a NAT gateway".to_owned(),
                1,
                &vpc,
                NatAddress { zone },
            ));
            let needs = [
                ready(steps::nat_address(zone)),
                ready(steps::public_subnet(zone)),
                // Without an attached internet gateway a NAT gateway fails (`Gateway.NotAttached`).
                ready(steps::internet_gateway()),
            ];
            rows.push(self.piece(
                steps::nat_gateway(zone),
                "NAT gateway".to_owned(),
                105,
                &needs,
                NatGateway { zone },
            ));
        }
        for zone in 0..count {
            let nat = nat_of(network, zone);
            let mut needs = vec![ready(steps::private_subnet(zone))];
            needs.extend(nat.map(|zone| ready(steps::nat_gateway(zone))));
            rows.push(self.piece(
                steps::private_routes(zone),
                "routes of a private subnet".to_owned(),
                1,
                &needs,
                PrivateRoutes { zone, nat },
            ));
        }
        let mut endpoint_needs = vec![Need::applied(steps::public_routes())];
        let tables = (0..count).map(|zone| Need::applied(steps::private_routes(zone)));
        endpoint_needs.extend(tables);
        rows.push(self.piece(
            steps::s3_endpoint(),
            "gateway endpoint for S3".to_owned(),
            6,
            &endpoint_needs,
            S3Endpoint { zones: count },
        ));
        rows
    }
}
