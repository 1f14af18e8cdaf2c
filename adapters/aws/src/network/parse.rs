//! What EC2 answers, as the port says it.

use aws_sdk_ec2::types;
use pipectl_stages::ports::{
    cloud::Tags,
    network::{Association, Detail, Direction, Piece, PieceState, Route, RouteTarget},
};

use super::rules;
use crate::convert;

/// Tags.
pub(crate) fn tags(tags: &[types::Tag]) -> Tags {
    convert::tags(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// A text that each answer has; empty where one has it not, as nothing is decided on it then.
pub(crate) fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// A piece of a kind that knows neither moment nor state.
fn plain(id: &str, tags_of: &[types::Tag], detail: Detail) -> Piece {
    Piece {
        id: id.to_owned(),
        state: PieceState::Available,
        tags: tags(tags_of),
        created: None,
        detail,
    }
}

/// A VPC; its attributes are asked for one by one, and are given here.
pub(super) fn vpc(vpc: &types::Vpc, dns: Dns) -> Option<Piece> {
    let first = text(vpc.cidr_block());
    // A range that is being taken away, or could not be added, has no state `associated` (any more).
    let further = vpc.cidr_block_association_set().iter().filter(|range| {
        let state = range
            .cidr_block_state()
            .and_then(types::VpcCidrBlockState::state);
        matches!(
            state,
            Some(
                types::VpcCidrBlockStateCode::Associated
                    | types::VpcCidrBlockStateCode::Associating
            )
        )
    });
    let further = further.map(|range| text(range.cidr_block()));
    let detail = Detail::Vpc {
        further: further.filter(|range| *range != first).collect(),
        cidr: first,
        default: vpc.is_default() == Some(true),
        dns_support: dns.support,
        dns_hostnames: dns.hostnames,
    };
    Some(Piece {
        state: match vpc.state() {
            Some(types::VpcState::Available) => PieceState::Available,
            Some(types::VpcState::Deleting) => PieceState::Deleting,
            _ => PieceState::Pending,
        },
        ..plain(vpc.vpc_id()?, vpc.tags(), detail)
    })
}

/// The attributes of a VPC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dns {
    /// `enableDnsSupport`.
    pub(super) support: bool,
    /// `enableDnsHostnames`.
    pub(super) hostnames: bool,
}

/// An internet gateway.
pub(super) fn internet_gateway(gateway: &types::InternetGateway) -> Option<Piece> {
    let attached = gateway
        .attachments()
        .iter()
        .find(|attachment| attachment.state() != Some(&types::AttachmentStatus::Detached));
    let vpc = attached.and_then(|attachment| attachment.vpc_id());
    let detail = Detail::InternetGateway {
        vpc: vpc.map(str::to_owned),
    };
    Some(plain(
        gateway.internet_gateway_id()?,
        gateway.tags(),
        detail,
    ))
}

/// A subnet.
pub(super) fn subnet(subnet: &types::Subnet) -> Option<Piece> {
    let free = subnet.available_ip_address_count().unwrap_or(0);
    let detail = Detail::Subnet {
        vpc: text(subnet.vpc_id()),
        zone: text(subnet.availability_zone()),
        cidr: text(subnet.cidr_block()),
        public_addresses: subnet.map_public_ip_on_launch() == Some(true),
        free: u32::try_from(free).unwrap_or(0),
    };
    Some(Piece {
        state: match subnet.state() {
            Some(types::SubnetState::Available) => PieceState::Available,
            Some(
                state @ (types::SubnetState::Failed
                | types::SubnetState::FailedInsufficientCapacity
                | types::SubnetState::Unavailable),
            ) => PieceState::Failed {
                code: state.as_str().to_owned(),
                message: "what the subnet stands on could not be provided".to_owned(),
            },
            _ => PieceState::Pending,
        },
        ..plain(subnet.subnet_id()?, subnet.tags(), detail)
    })
}

/// An address.
pub(super) fn address(address: &types::Address) -> Option<Piece> {
    let detail = Detail::Address {
        ip: text(address.public_ip()),
        association: address.association_id().map(str::to_owned),
        interface: address.network_interface_id().map(str::to_owned),
    };
    Some(plain(address.allocation_id()?, address.tags(), detail))
}

/// A NAT gateway.
pub(super) fn nat_gateway(gateway: &types::NatGateway) -> Option<Piece> {
    let addresses = gateway.nat_gateway_addresses();
    let primary = addresses
        .iter()
        .find(|address| address.is_primary() == Some(true))
        .or(addresses.first());
    let detail = Detail::NatGateway {
        vpc: text(gateway.vpc_id()),
        subnet: text(gateway.subnet_id()),
        address: primary
            .and_then(|address| address.allocation_id())
            .map(str::to_owned),
    };
    Some(Piece {
        state: match gateway.state() {
            Some(types::NatGatewayState::Available) => PieceState::Available,
            Some(types::NatGatewayState::Deleting) => PieceState::Deleting,
            Some(types::NatGatewayState::Deleted) => PieceState::Deleted,
            Some(types::NatGatewayState::Failed) => PieceState::Failed {
                code: text(gateway.failure_code()),
                message: text(gateway.failure_message()),
            },
            _ => PieceState::Pending,
        },
        created: gateway.create_time().and_then(convert::timestamp),
        ..plain(gateway.nat_gateway_id()?, gateway.tags(), detail)
    })
}

/// A route table.
pub(super) fn route_table(table: &types::RouteTable) -> Option<Piece> {
    let detail = Detail::RouteTable {
        vpc: text(table.vpc_id()),
        routes: table.routes().iter().filter_map(route).collect(),
        associations: table
            .associations()
            .iter()
            .filter_map(association)
            .collect(),
    };
    Some(plain(table.route_table_id()?, table.tags(), detail))
}

fn route(route: &types::Route) -> Option<Route> {
    let destination = route
        .destination_cidr_block()
        .or(route.destination_ipv6_cidr_block())
        .or(route.destination_prefix_list_id())?;
    let others = [
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.egress_only_internet_gateway_id(),
        route.local_gateway_id(),
        route.carrier_gateway_id(),
        route.core_network_arn(),
        route.odb_network_arn(),
        // A route to an instance names its interface too.
        route.instance_id(),
        route.network_interface_id(),
    ];
    let target = match (route.gateway_id(), route.nat_gateway_id()) {
        (Some("local"), _) => RouteTarget::Local,
        (Some(id), _) if id.starts_with("igw-") => RouteTarget::InternetGateway(id.to_owned()),
        (Some(id), _) => RouteTarget::Other(id.to_owned()),
        (None, Some(id)) => RouteTarget::NatGateway(id.to_owned()),
        (None, None) => RouteTarget::Other(text(others.into_iter().flatten().next())),
    };
    Some(Route {
        destination: destination.to_owned(),
        target,
        dead: route.state() == Some(&types::RouteState::Blackhole),
    })
}

/// An association with a subnet or with the VPC itself; those with gateways concern nobody here.
fn association(association: &types::RouteTableAssociation) -> Option<Association> {
    use types::RouteTableAssociationStateCode as Code;
    let state = association.association_state().and_then(|s| s.state());
    if matches!(
        state,
        Some(Code::Disassociated | Code::Disassociating | Code::Failed)
    ) {
        return None;
    }
    let subnet = association.subnet_id().map(str::to_owned);
    if subnet.is_none() && association.main() != Some(true) {
        return None;
    }
    Some(Association {
        id: association.route_table_association_id()?.to_owned(),
        subnet,
    })
}

/// An endpoint.
pub(super) fn endpoint(endpoint: &types::VpcEndpoint) -> Option<Piece> {
    let detail = Detail::Endpoint {
        vpc: text(endpoint.vpc_id()),
        service: text(endpoint.service_name()),
        gateway: endpoint.vpc_endpoint_type() == Some(&types::VpcEndpointType::Gateway),
        route_tables: endpoint.route_table_ids().to_vec(),
        requester_managed: endpoint.requester_managed() == Some(true),
    };
    // The model spells the states with capitals and EC2 answers in small letters, so the SDK's variants fit none.
    let state = endpoint.state().map(|state| state.as_str());
    let state = state.unwrap_or_default().to_ascii_lowercase();
    Some(Piece {
        state: match state.as_str() {
            "available" => PieceState::Available,
            "deleting" => PieceState::Deleting,
            "deleted" => PieceState::Deleted,
            "failed" | "rejected" | "expired" => {
                let words = endpoint.last_error();
                let message = words.and_then(|words| words.message());
                PieceState::Failed {
                    code: text(words.and_then(|words| words.code()).or(Some(&state))),
                    message: text(message.or(endpoint.failure_reason())),
                }
            }
            _ => PieceState::Pending,
        },
        created: endpoint.creation_timestamp().and_then(convert::timestamp),
        ..plain(endpoint.vpc_endpoint_id()?, endpoint.tags(), detail)
    })
}

/// A security group.
pub(super) fn security_group(group: &types::SecurityGroup) -> Option<Piece> {
    let inward = rules::of_permissions(group.ip_permissions(), Direction::In);
    let outward = rules::of_permissions(group.ip_permissions_egress(), Direction::Out);
    let detail = Detail::SecurityGroup {
        vpc: text(group.vpc_id()),
        name: text(group.group_name()),
        rules: inward.chain(outward).collect(),
    };
    Some(plain(group.group_id()?, group.tags(), detail))
}
