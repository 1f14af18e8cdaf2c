//! The port of networks: making, finding and deleting; arranging; trouble.

mod arranging;
mod deleting;
mod pieces;
mod trouble;

use pipectl_stages::ports::network::{
    Arrangement, Detail, Lookup, NewPiece, Piece, PieceKind, PieceSpec, PieceState,
};

use crate::support::{Account, tags, until};

/// All kinds.
const KINDS: [PieceKind; 8] = [
    PieceKind::Vpc,
    PieceKind::InternetGateway,
    PieceKind::Subnet,
    PieceKind::Address,
    PieceKind::NatGateway,
    PieceKind::RouteTable,
    PieceKind::Endpoint,
    PieceKind::SecurityGroup,
];

/// A piece to be made, tagged with its token.
fn new(spec: PieceSpec, token: &str) -> NewPiece {
    NewPiece {
        spec,
        tags: tags(&[("step", token), ("owner", "test")]),
        token: token.to_owned(),
    }
}

async fn make(account: &Account, spec: PieceSpec, token: &str) -> Piece {
    let made = account.network.create(&new(spec, token)).await;
    made.unwrap_or_else(|error| panic!("{token}: {error:?}"))
}

async fn vpc(account: &Account, cidr: &str) -> String {
    let cidr = cidr.to_owned();
    make(account, PieceSpec::Vpc { cidr }, "vpc").await.id
}

async fn subnet(account: &Account, vpc: &str, cidr: &str) -> String {
    let spec = PieceSpec::Subnet {
        vpc: vpc.to_owned(),
        zone: "us-west-2a".to_owned(),
        cidr: cidr.to_owned(),
    };
    make(account, spec, "subnet").await.id
}

async fn table(account: &Account, vpc: &str, token: &str) -> String {
    let vpc = vpc.to_owned();
    make(account, PieceSpec::RouteTable { vpc }, token).await.id
}

async fn endpoint(account: &Account, vpc: &str, route_tables: &[&str]) -> Piece {
    let spec = PieceSpec::GatewayEndpoint {
        vpc: vpc.to_owned(),
        service: "s3".to_owned(),
        route_tables: route_tables.iter().map(|id| (*id).to_owned()).collect(),
    };
    make(account, spec, "endpoint").await
}

async fn group(account: &Account, vpc: &str, name: &str) -> String {
    let spec = PieceSpec::SecurityGroup {
        vpc: vpc.to_owned(),
        name: name.to_owned(),
        description: "for a test".to_owned(),
    };
    make(account, spec, name).await.id
}

async fn arrange(account: &Account, arrangement: Arrangement) {
    let arranged = account.network.arrange(&arrangement).await;
    arranged.unwrap_or_else(|error| panic!("{arrangement:?}: {error:?}"));
}

async fn ids(account: &Account, kind: PieceKind, lookup: Lookup) -> Vec<String> {
    let found = account.network.find(kind, &lookup).await.unwrap();
    let mut ids: Vec<String> = found.into_iter().map(|piece| piece.id).collect();
    ids.sort();
    ids
}

async fn by_id(account: &Account, kind: PieceKind, id: &str) -> Option<Piece> {
    let lookup = Lookup::Ids(vec![id.to_owned()]);
    let found = account.network.find(kind, &lookup).await.unwrap();
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().next()
}

async fn detail(account: &Account, kind: PieceKind, id: &str) -> Detail {
    let found = by_id(account, kind, id).await;
    found.unwrap_or_else(|| panic!("{id} is not there")).detail
}

/// Waits until a piece is in this state.
async fn settled(account: &Account, kind: PieceKind, id: &str, state: PieceState) -> Piece {
    until(&format!("{id} {state:?}"), || async {
        let found = by_id(account, kind, id).await;
        found.filter(|piece| piece.state == state)
    })
    .await
}

/// A VPC with an internet gateway, and in it a subnet with a NAT gateway that is there.
pub struct Standing {
    /// The VPC.
    pub vpc: String,
    gateway: String,
    /// The subnet.
    pub subnet: String,
    address: String,
    nat: String,
}

pub async fn standing(account: &Account) -> Standing {
    let vpc = vpc(account, "10.0.0.0/16").await;
    let gateway = make(account, PieceSpec::InternetGateway, "gateway")
        .await
        .id;
    let attached = Arrangement::Attached {
        gateway: gateway.clone(),
        vpc: vpc.clone(),
    };
    arrange(account, attached).await;
    let subnet = subnet(account, &vpc, "10.0.0.0/24").await;
    let address = make(account, PieceSpec::Address, "address").await.id;
    let spec = PieceSpec::NatGateway {
        subnet: subnet.clone(),
        address: address.clone(),
    };
    let nat = make(account, spec, "nat").await.id;
    settled(account, PieceKind::NatGateway, &nat, PieceState::Available).await;
    Standing {
        vpc,
        gateway,
        subnet,
        address,
        nat,
    }
}
