//! Making pieces. Tags are set in the call that makes a piece, so that nothing of ours is ever without them.

use aws_sdk_ec2::{
    config::Builder,
    types::{DomainType, ResourceType, TagSpecification, VpcEndpointType},
};
use pipectl_stages::{
    error::PortError,
    ports::network::{Detail, Direction, NewPiece, Piece, PieceSpec, PieceState, Rule, RulePeer},
};

use super::{
    parse::{self, Dns, text},
    sdk_tags,
};
use crate::{
    call::NeverTwice,
    client::Aws,
    errors::{translate, unclear},
};

/// Sends a creation that takes no client token.
macro_rules! once {
    ($request:expr) => {
        $request
            .customize()
            .config_override(Builder::new().retry_classifier(NeverTwice))
            .send()
            .await
    };
}

pub(super) async fn create(aws: &Aws, new: &NewPiece) -> Result<Piece, PortError> {
    let made = match &new.spec {
        PieceSpec::Vpc { cidr } => {
            let request = aws.ec2().create_vpc().cidr_block(cidr);
            let request = request.set_tag_specifications(tagged(new, ResourceType::Vpc));
            let made = once!(request).map_err(translate)?;
            // A VPC that is not the default one resolves names and gives none at first (VPC user guide, DNS attributes).
            let dns = Dns {
                support: true,
                hostnames: false,
            };
            made.vpc().and_then(|vpc| parse::vpc(vpc, dns))
        }
        PieceSpec::InternetGateway => {
            let request = aws.ec2().create_internet_gateway();
            let request =
                request.set_tag_specifications(tagged(new, ResourceType::InternetGateway));
            let made = once!(request).map_err(translate)?;
            made.internet_gateway().and_then(parse::internet_gateway)
        }
        PieceSpec::Subnet { vpc, zone, cidr } => {
            let request = aws.ec2().create_subnet().vpc_id(vpc).cidr_block(cidr);
            let request = request.availability_zone(zone);
            let request = request.set_tag_specifications(tagged(new, ResourceType::Subnet));
            let made = once!(request).map_err(translate)?;
            made.subnet().and_then(parse::subnet)
        }
        PieceSpec::Address => address(aws, new).await?,
        PieceSpec::NatGateway { subnet, address } => {
            let request = aws.ec2().create_nat_gateway().client_token(&new.token);
            let request = request.subnet_id(subnet).allocation_id(address);
            let request = request.set_tag_specifications(tagged(new, ResourceType::Natgateway));
            let made = request.send().await.map_err(translate)?;
            made.nat_gateway().and_then(parse::nat_gateway)
        }
        PieceSpec::RouteTable { vpc } => {
            let request = aws.ec2().create_route_table().client_token(&new.token);
            let request = request.vpc_id(vpc);
            let request = request.set_tag_specifications(tagged(new, ResourceType::RouteTable));
            let made = request.send().await.map_err(translate)?;
            made.route_table().and_then(parse::route_table)
        }
        PieceSpec::GatewayEndpoint {
            vpc,
            service,
            route_tables,
        } => {
            let request = aws.ec2().create_vpc_endpoint().client_token(&new.token);
            let request = request
                .vpc_id(vpc)
                .vpc_endpoint_type(VpcEndpointType::Gateway)
                .service_name(format!("com.amazonaws.{}.{service}", aws.region()))
                .set_route_table_ids(Some(route_tables.clone()))
                .set_tag_specifications(tagged(new, ResourceType::VpcEndpoint));
            let made = request.send().await.map_err(translate)?;
            made.vpc_endpoint().and_then(parse::endpoint)
        }
        PieceSpec::SecurityGroup {
            vpc,
            name,
            description,
        } => group(aws, new, vpc, name, description).await?,
    };
    let mut made =
        made.ok_or_else(|| unclear("the call that makes it", new.spec.kind().words()))?;
    // Answers may leave tags out that the call itself has set.
    for (key, value) in &new.tags {
        let known = made.tags.entry(key.clone());
        known.or_insert_with(|| value.clone());
    }
    Ok(made)
}

async fn address(aws: &Aws, new: &NewPiece) -> Result<Option<Piece>, PortError> {
    let request = aws.ec2().allocate_address().domain(DomainType::Vpc);
    let request = request.set_tag_specifications(tagged(new, ResourceType::ElasticIp));
    let made = once!(request).map_err(translate)?;
    Ok(made.allocation_id().map(|id| Piece {
        id: id.to_owned(),
        state: PieceState::Available,
        tags: new.tags.clone(),
        created: None,
        detail: Detail::Address {
            ip: text(made.public_ip()),
            association: None,
            interface: None,
        },
    }))
}

async fn group(
    aws: &Aws,
    new: &NewPiece,
    vpc: &str,
    name: &str,
    description: &str,
) -> Result<Option<Piece>, PortError> {
    let request = aws.ec2().create_security_group().vpc_id(vpc);
    let request = request.group_name(name).description(description);
    let request = request.set_tag_specifications(tagged(new, ResourceType::SecurityGroup));
    let made = once!(request).map_err(translate)?;
    // Each new group lets everything out (VPC user guide, security groups).
    let out = Rule {
        direction: Direction::Out,
        protocol: "-1".to_owned(),
        ports: None,
        peer: RulePeer::Cidr("0.0.0.0/0".to_owned()),
    };
    Ok(made.group_id().map(|id| Piece {
        id: id.to_owned(),
        state: PieceState::Available,
        tags: new.tags.clone(),
        created: None,
        detail: Detail::SecurityGroup {
            vpc: vpc.to_owned(),
            name: name.to_owned(),
            rules: vec![out],
        },
    }))
}

/// The tags of the call; none at all where there are none, since a specification without tags is refused.
fn tagged(new: &NewPiece, of: ResourceType) -> Option<Vec<TagSpecification>> {
    let tags = (!new.tags.is_empty()).then(|| sdk_tags(&new.tags))?;
    let specification = TagSpecification::builder().resource_type(of);
    Some(vec![specification.set_tags(Some(tags)).build()])
}
