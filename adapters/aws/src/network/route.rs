//! Single routes of a table.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::network::RouteTarget,
};

use crate::{
    call::absent,
    client::Aws,
    codes,
    errors::{self, translate},
};

/// Says the destination: a prefix list, or a range of either family.
macro_rules! to {
    ($request:expr, $destination:expr) => {
        match $destination {
            list if list.starts_with("pl-") => $request.destination_prefix_list_id(list),
            range if range.contains(':') => $request.destination_ipv6_cidr_block(range),
            range => $request.destination_cidr_block(range),
        }
    };
}

/// Says destination and target in a call that makes or replaces a route.
macro_rules! lead {
    ($request:expr, $destination:expr, $way:expr) => {{
        let request = to!($request, $destination);
        match $way {
            Way::Gateway(id) => request.gateway_id(id),
            Way::Nat(id) => request.nat_gateway_id(id),
            Way::Interface(id) => request.network_interface_id(id),
            Way::Peering(id) => request.vpc_peering_connection_id(id),
            Way::Transit(id) => request.transit_gateway_id(id),
        }
    }};
}

/// The parameter that names a target.
#[derive(Clone, Copy)]
enum Way<'a> {
    Gateway(&'a str),
    Nat(&'a str),
    Interface(&'a str),
    Peering(&'a str),
    Transit(&'a str),
}

fn way(target: &RouteTarget) -> Result<Way<'_>, PortError> {
    let id = match target {
        RouteTarget::Local => return Ok(Way::Gateway("local")),
        RouteTarget::InternetGateway(id) => return Ok(Way::Gateway(id)),
        RouteTarget::NatGateway(id) => return Ok(Way::Nat(id)),
        RouteTarget::Other(id) => id,
    };
    // An id says its kind (EC2 user guide, resource ids).
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("vgw" | "igw") => Ok(Way::Gateway(id)),
        Some("eni") => Ok(Way::Interface(id)),
        Some("pcx") => Ok(Way::Peering(id)),
        Some("tgw") => Ok(Way::Transit(id)),
        _ => Err(errors::error(
            PortErrorKind::Invalid,
            codes::INVALID,
            format!("{id} is nothing that a route can be led to"),
        )),
    }
}

pub(super) async fn routed(
    aws: &Aws,
    table: &str,
    destination: &str,
    target: &RouteTarget,
) -> Result<(), PortError> {
    let target = way(target)?;
    let request = aws.ec2().create_route().route_table_id(table);
    let Err(error) = lead!(request, destination, target).send().await else {
        return Ok(());
    };
    if error.code() != Some("RouteAlreadyExists") {
        return Err(translate(error));
    }
    let request = aws.ec2().replace_route().route_table_id(table);
    let replaced = lead!(request, destination, target).send().await;
    replaced.map(drop).map_err(translate)
}

pub(super) async fn unrouted(aws: &Aws, table: &str, destination: &str) -> Result<(), PortError> {
    let request = aws.ec2().delete_route().route_table_id(table);
    // There is no such route, or no such table.
    absent(to!(request, destination).send().await.map_err(translate)).map(drop)
}
