//! How pieces hang together. What is so already is no error: EC2 says it by codes, and where a code may mean something
//! else as well, a look decides.

use std::collections::BTreeSet;

use aws_sdk_ec2::{error::ProvideErrorMetadata, types::AttributeBooleanValue};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::network::{Arrangement, Detail, Lookup, Piece, PieceKind},
};

use super::{find, route, security};
use crate::{
    call::absent,
    client::Aws,
    codes,
    errors::{self, translate},
};

pub(super) async fn arrange(aws: &Aws, arrangement: &Arrangement) -> Result<(), PortError> {
    match arrangement {
        Arrangement::Dns {
            vpc,
            support,
            hostnames,
        } => dns(aws, vpc, *support, *hostnames).await,
        Arrangement::Attached { gateway, vpc } => attached(aws, gateway, vpc).await,
        Arrangement::Detached { gateway, vpc } => detached(aws, gateway, vpc).await,
        Arrangement::PublicAddresses { subnet, on } => {
            let request = aws.ec2().modify_subnet_attribute().subnet_id(subnet);
            let request = request.map_public_ip_on_launch(value(*on));
            request.send().await.map(drop).map_err(translate)
        }
        Arrangement::Routed {
            table,
            destination,
            target,
        } => route::routed(aws, table, destination, target).await,
        Arrangement::Unrouted { table, destination } => {
            route::unrouted(aws, table, destination).await
        }
        Arrangement::Associated { table, subnet } => associated(aws, table, subnet).await,
        Arrangement::Dissociated { association } => dissociated(aws, association).await,
        Arrangement::EndpointRoutes { endpoint, tables } => {
            endpoint_routes(aws, endpoint, tables).await
        }
        Arrangement::Allowed { group, rules } => security::allowed(aws, group, rules).await,
        Arrangement::Revoked { group, rules } => security::revoked(aws, group, rules).await,
    }
}

fn value(on: bool) -> AttributeBooleanValue {
    AttributeBooleanValue::builder().value(on).build()
}

/// One attribute a call (`ModifyVpcAttribute`). Names need support: what is switched on begins with support, what is
/// switched off ends with it.
async fn dns(aws: &Aws, vpc: &str, support: bool, hostnames: bool) -> Result<(), PortError> {
    let request = || aws.ec2().modify_vpc_attribute().vpc_id(vpc);
    let supporting = request().enable_dns_support(value(support));
    let naming = request().enable_dns_hostnames(value(hostnames));
    let (first, second) = if support {
        (supporting, naming)
    } else {
        (naming, supporting)
    };
    first.send().await.map_err(translate)?;
    second.send().await.map(drop).map_err(translate)
}

async fn attached(aws: &Aws, gateway: &str, vpc: &str) -> Result<(), PortError> {
    let request = aws.ec2().attach_internet_gateway();
    let sent = request.internet_gateway_id(gateway).vpc_id(vpc).send();
    let Err(error) = sent.await else {
        return Ok(());
    };
    let lookup = match error.code() {
        // The gateway is attached: to this VPC, or to another one.
        Some("Resource.AlreadyAssociated") => Lookup::Ids(vec![gateway.to_owned()]),
        // The VPC has another gateway: of a gateway and a VPC that exist, nothing else can be wrong.
        Some("InvalidParameterValue") => Lookup::InVpc(vpc.to_owned()),
        _ => return Err(translate(error)),
    };
    let found = find::find(aws, PieceKind::InternetGateway, &lookup).await?;
    let is_attached =
        |piece: &&Piece| matches!(piece.detail, Detail::InternetGateway { vpc: Some(_) });
    let Some(attached) = found.iter().find(is_attached) else {
        return Err(not_shown_yet(translate(error)));
    };
    let wanted = Detail::InternetGateway {
        vpc: Some(vpc.to_owned()),
    };
    if attached.id == gateway && attached.detail == wanted {
        return Ok(());
    }
    let cause = translate(error).cause;
    Err(errors::error(
        PortErrorKind::AlreadyExists,
        codes::ALREADY_EXISTS,
        cause,
    ))
}

/// EC2 refuses because of something that its reads do not show yet: the next try sees more.
fn not_shown_yet(refused: PortError) -> PortError {
    errors::error(PortErrorKind::Conflict, codes::CONFLICT, refused.cause)
}

async fn detached(aws: &Aws, gateway: &str, vpc: &str) -> Result<(), PortError> {
    let request = aws.ec2().detach_internet_gateway();
    let sent = request.internet_gateway_id(gateway).vpc_id(vpc).send();
    // It is not attached (`Gateway.NotAttached`), or one of them is gone.
    absent(sent.await.map_err(translate)).map(drop)
}

async fn associated(aws: &Aws, table: &str, subnet: &str) -> Result<(), PortError> {
    let request = aws.ec2().associate_route_table();
    let sent = request.route_table_id(table).subnet_id(subnet).send();
    let Err(error) = sent.await else {
        return Ok(());
    };
    if error.code() != Some("Resource.AlreadyAssociated") {
        return Err(translate(error));
    }
    for found in find::tables_of(aws, subnet).await? {
        let Detail::RouteTable { associations, .. } = &found.detail else {
            continue;
        };
        let of_subnet = |subnet_of: Option<&String>| subnet_of.is_some_and(|id| id == subnet);
        let Some(old) = associations
            .iter()
            .find(|association| of_subnet(association.subnet.as_ref()))
        else {
            continue;
        };
        if found.id == table {
            return Ok(());
        }
        let request = aws.ec2().replace_route_table_association();
        let request = request.association_id(&old.id).route_table_id(table);
        return request.send().await.map(drop).map_err(translate);
    }
    Err(not_shown_yet(translate(error)))
}

async fn dissociated(aws: &Aws, association: &str) -> Result<(), PortError> {
    let request = aws.ec2().disassociate_route_table();
    let sent = request.association_id(association).send();
    absent(sent.await.map_err(translate)).map(drop)
}

async fn endpoint_routes(aws: &Aws, endpoint: &str, tables: &[String]) -> Result<(), PortError> {
    let wanted: BTreeSet<&String> = tables.iter().collect();
    let by_id = Lookup::Ids(vec![endpoint.to_owned()]);
    let found = find::find(aws, PieceKind::Endpoint, &by_id).await?;
    let Some(Detail::Endpoint { route_tables, .. }) = found.first().map(|piece| &piece.detail)
    else {
        return Err(errors::error(
            PortErrorKind::NotFound,
            codes::NOT_FOUND,
            format!("VPC endpoint {endpoint} does not exist"),
        ));
    };
    let there: BTreeSet<&String> = route_tables.iter().collect();
    let add: Vec<String> = wanted.difference(&there).map(|id| (*id).clone()).collect();
    let remove: Vec<String> = there.difference(&wanted).map(|id| (*id).clone()).collect();
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let request = aws.ec2().modify_vpc_endpoint().vpc_endpoint_id(endpoint);
    let request = request.set_add_route_table_ids(Some(add));
    let request = request.set_remove_route_table_ids(Some(remove));
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("RouteAlreadyExists") => {
            Err(not_shown_yet(translate(error)))
        }
        Err(error) => Err(translate(error)),
    }
}
