//! Deleting pieces.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::{
        cloud::Deletion,
        network::{Detail, Lookup, PieceKind},
    },
};

use super::find;
use crate::{
    call::deletion,
    client::Aws,
    codes,
    errors::{self, translate},
};

pub(super) async fn delete(aws: &Aws, kind: PieceKind, id: &str) -> Result<Deletion, PortError> {
    let ec2 = aws.ec2();
    match kind {
        PieceKind::Vpc => deletion(ec2.delete_vpc().vpc_id(id).send().await.map_err(translate)),
        PieceKind::InternetGateway => {
            let request = ec2.delete_internet_gateway().internet_gateway_id(id);
            deletion(request.send().await.map_err(translate))
        }
        PieceKind::Subnet => {
            let request = ec2.delete_subnet().subnet_id(id);
            deletion(request.send().await.map_err(translate))
        }
        PieceKind::Address => address(aws, id).await,
        PieceKind::NatGateway => {
            let request = ec2.delete_nat_gateway().nat_gateway_id(id);
            deletion(request.send().await.map_err(translate))
        }
        PieceKind::RouteTable => {
            let request = ec2.delete_route_table().route_table_id(id);
            deletion(request.send().await.map_err(translate))
        }
        PieceKind::Endpoint => endpoint(aws, id).await,
        PieceKind::SecurityGroup => {
            let request = ec2.delete_security_group().group_id(id);
            deletion(request.send().await.map_err(translate))
        }
    }
}

/// Of an address that a NAT gateway or a load balancer holds, EC2 says that there is no permission (`AuthFailure`): the
/// interface is not the account's. Whether it is that, the address itself tells.
async fn address(aws: &Aws, id: &str) -> Result<Deletion, PortError> {
    let sent = aws.ec2().release_address().allocation_id(id).send().await;
    let Err(failed) = sent else {
        return Ok(Deletion::Accepted);
    };
    let refused = failed.code() == Some("AuthFailure");
    let translated = translate(failed);
    if refused {
        let by_id = Lookup::Ids(vec![id.to_owned()]);
        for found in find::find(aws, PieceKind::Address, &by_id).await? {
            if let Detail::Address {
                association: Some(_),
                interface,
                ..
            } = found.detail
            {
                let interface = interface.unwrap_or_else(|| "an interface".to_owned());
                let cause = format!("{interface} uses it; {}", translated.cause);
                return Err(errors::error(PortErrorKind::InUse, codes::IN_USE, cause));
            }
        }
    }
    deletion(Err::<(), _>(translated))
}

/// The call that deletes endpoints succeeds, and says in its answer what it could not delete.
async fn endpoint(aws: &Aws, id: &str) -> Result<Deletion, PortError> {
    let request = aws.ec2().delete_vpc_endpoints().vpc_endpoint_ids(id);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(failed) => return deletion(Err::<(), _>(translate(failed))),
    };
    let failed = answer.unsuccessful().first().and_then(|item| item.error());
    deletion(match failed {
        None => Ok(()),
        Some(failed) => Err(errors::stated(
            failed.code().unwrap_or_default(),
            failed.message().unwrap_or_default(),
        )),
    })
}
