//! Routes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::nat_gateway;
use super::net::Cidr;
use super::resource::{absent, find, find_mut};
use super::route_table::RouteTable;
use super::vpc::cidr_block;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// One route.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) destination: Destination,
    pub(crate) target: Target,
}

/// Where a route leads from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Destination {
    Cidr(Cidr),
    PrefixList(String),
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => write!(formatter, "{cidr}"),
            Self::PrefixList(list) => formatter.write_str(list),
        }
    }
}

/// Where a route leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    Local,
    InternetGateway(String),
    NatGateway(String),
    Interface(String),
    /// A gateway endpoint; made with the endpoint, not by itself.
    Endpoint(String),
}

impl Route {
    pub(crate) fn show(&self, scene: &Scene<'_>) -> Value {
        let ec2 = &scene.region.ec2;
        let (cidr, list) = match &self.destination {
            Destination::Cidr(cidr) => (Some(cidr), None),
            Destination::PrefixList(list) => (None, Some(list)),
        };
        let (gateway, nat, interface, there) = match &self.target {
            Target::Local => (Some("local"), None, None, true),
            Target::InternetGateway(id) => {
                let there = ec2
                    .internet_gateways
                    .get(id)
                    .is_some_and(|igw| igw.vpc.is_some());
                (Some(id.as_str()), None, None, there)
            }
            Target::Endpoint(id) => (
                Some(id.as_str()),
                None,
                None,
                ec2.endpoints.contains_key(id),
            ),
            Target::NatGateway(id) => {
                let dead = [nat_gateway::State::Deleted, nat_gateway::State::Failed];
                let there = ec2
                    .nat_gateways
                    .get(id)
                    .is_some_and(|nat| !dead.contains(&nat.state));
                (None, Some(id), None, there)
            }
            Target::Interface(id) => (None, None, Some(id), ec2.interfaces.contains_key(id)),
        };
        json!({
            "destinationCidrBlock": cidr,
            "destinationPrefixListId": list,
            "gatewayId": gateway,
            "natGatewayId": nat,
            "networkInterfaceId": interface,
            "origin": if self.target == Target::Local { "CreateRouteTable" } else { "CreateRoute" },
            "state": if there { "active" } else { "blackhole" },
        })
    }
}

const GIVEN: &[&str] = &[
    "RouteTableId",
    "DestinationCidrBlock",
    "GatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateRoute", GIVEN, create_route),
    Action::write("ReplaceRoute", GIVEN, replace_route),
    Action::write(
        "DeleteRoute",
        &[
            "RouteTableId",
            "DestinationCidrBlock",
            "DestinationPrefixListId",
        ],
        delete_route,
    ),
];

/// The target that the parameters name, in the same VPC as the table.
fn target(scene: &Scene<'_>, params: Params<'_>, table: &RouteTable) -> Result<Target, ApiError> {
    let ec2 = &scene.region.ec2;
    let apart = |what: &str, id: &str| {
        let message = format!(
            "route table {} and {what} {id} belong to different networks",
            table.id
        );
        ApiError::new("InvalidParameterValue", message)
    };
    match (
        params.text("GatewayId"),
        params.text("NatGatewayId"),
        params.text("NetworkInterfaceId"),
    ) {
        (Some("local"), None, None) => Ok(Target::Local),
        (Some(id), None, None) => {
            let gateway = ec2.internet_gateways.get(id).ok_or_else(|| {
                let message = format!("The gateway ID '{id}' does not exist");
                ApiError::new("InvalidGatewayID.NotFound", message)
            })?;
            if gateway.vpc.as_deref() != Some(table.vpc.as_str()) {
                return Err(apart("network gateway", id));
            }
            Ok(Target::InternetGateway(id.to_owned()))
        }
        (None, Some(id), None) => {
            // A fresh gateway is not known to this call at once, as users met it.
            let nat = find(&ec2.nat_gateways, id)?;
            if !scene.known(super::resource::Resource::created(nat)) {
                return Err(absent::<nat_gateway::NatGateway>(id));
            }
            if nat.vpc != table.vpc {
                return Err(apart("NAT gateway", id));
            }
            Ok(Target::NatGateway(id.to_owned()))
        }
        (None, None, Some(id)) => {
            let interface = find(&ec2.interfaces, id)?;
            if interface.vpc != table.vpc {
                return Err(apart("interface", id));
            }
            Ok(Target::Interface(id.to_owned()))
        }
        _ => {
            let message = "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId";
            Err(ApiError::new("InvalidParameterCombination", message))
        }
    }
}

fn create_route(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let table = find(&scene.region.ec2.route_tables, params.need("RouteTableId")?)?;
    let id = table.id.clone();
    let destination = Destination::Cidr(cidr_block(params, "DestinationCidrBlock")?);
    let target = target(scene, params, table)?;
    if let Some(there) = table
        .routes
        .iter()
        .find(|route| route.destination == destination)
    {
        // The same route once more is no error.
        if there.target == target {
            return Ok(json!({"return": true}));
        }
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::new("RouteAlreadyExists", message));
    }
    if table.routes.len() >= scene.quota("L-93826ACB") {
        let message =
            format!("The maximum number of routes has been reached for route table {id}.");
        return Err(ApiError::new("RouteLimitExceeded", message));
    }
    let table = find_mut(&mut scene.region.ec2.route_tables, &id)?;
    table.routes.push(Route {
        destination,
        target,
    });
    Ok(json!({"return": true}))
}

fn no_route(destination: &Destination, table: &str) -> ApiError {
    let kind = match destination {
        Destination::Cidr(_) => "destination-cidr-block",
        Destination::PrefixList(_) => "destination-prefix-list-id",
    };
    let message = format!("no route with {kind} {destination} in route table {table}");
    ApiError::new("InvalidRoute.NotFound", message)
}

fn replace_route(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let table = find(&scene.region.ec2.route_tables, params.need("RouteTableId")?)?;
    let id = table.id.clone();
    let destination = Destination::Cidr(cidr_block(params, "DestinationCidrBlock")?);
    let target = target(scene, params, table)?;
    let there = table
        .routes
        .iter()
        .position(|route| route.destination == destination);
    let there = there.ok_or_else(|| {
        let message = format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        );
        ApiError::new("InvalidParameterValue", message)
    })?;
    let table = find_mut(&mut scene.region.ec2.route_tables, &id)?;
    table.routes[there].target = target;
    Ok(json!({"return": true}))
}

fn delete_route(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("RouteTableId")?;
    let table = find_mut(&mut scene.region.ec2.route_tables, id)?;
    let destination = match params.text("DestinationPrefixListId") {
        Some(list) => Destination::PrefixList(list.to_owned()),
        None => Destination::Cidr(cidr_block(params, "DestinationCidrBlock")?),
    };
    let position = table
        .routes
        .iter()
        .position(|route| route.destination == destination);
    let position = position.ok_or_else(|| no_route(&destination, id))?;
    match table.routes[position].target {
        Target::Local => {
            let message = format!("cannot remove local route {destination} in route table {id}");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        Target::Endpoint(_) => {
            let message =
                format!("cannot remove VPC endpoint route {destination} in route table {id}");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        _ => {}
    }
    table.routes.remove(position);
    Ok(json!({"return": true}))
}
