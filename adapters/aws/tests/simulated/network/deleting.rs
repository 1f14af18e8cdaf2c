//! Deleting: what is held stays, what is gone is absent.

use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        cloud::Deletion,
        network::{Arrangement, Direction, PieceKind, PieceSpec, PieceState, Rule, RulePeer},
    },
};

use super::{KINDS, arrange, by_id, endpoint, group, make, settled, standing, subnet, table, vpc};
use crate::support::{Account, until};

async fn is_held(account: &Account, kind: PieceKind, id: &str) {
    let held = account.network.delete(kind, id).await;
    let held = held.map_err(|error| error.kind);
    assert_eq!(held, Err(PortErrorKind::InUse), "{kind:?} {id}");
    assert!(
        by_id(account, kind, id).await.is_some(),
        "{id} is still there"
    );
}

async fn goes(account: &Account, kind: PieceKind, id: &str) {
    let deleted = account.network.delete(kind, id).await;
    assert_eq!(deleted, Ok(Deletion::Accepted), "{kind:?} {id}");
}

async fn went(account: &Account, kind: PieceKind, id: &str) {
    goes(account, kind, id).await;
    until(&format!("{id} gone"), || async {
        by_id(account, kind, id).await.is_none().then_some(())
    })
    .await;
    let again = account.network.delete(kind, id).await;
    assert_eq!(again, Ok(Deletion::Absent), "{kind:?} {id}");
}

#[tokio::test]
async fn a_network_goes_in_the_right_order_only() {
    let account = Account::new().await;
    let all = standing(&account).await;
    let routes = table(&account, &all.vpc, "table").await;
    let endpoint = endpoint(&account, &all.vpc, &[&routes]).await.id;
    let (one, other) = (
        group(&account, &all.vpc, "one").await,
        group(&account, &all.vpc, "other").await,
    );
    let association = Arrangement::Associated {
        table: routes.clone(),
        subnet: all.subnet.clone(),
    };
    arrange(&account, association).await;
    let names = Rule {
        direction: Direction::In,
        protocol: "-1".to_owned(),
        ports: None,
        peer: RulePeer::Group(one.clone()),
    };
    let allowed = Arrangement::Allowed {
        group: other.clone(),
        rules: vec![names.clone()],
    };
    arrange(&account, allowed).await;

    is_held(&account, PieceKind::Vpc, &all.vpc).await;
    is_held(&account, PieceKind::Subnet, &all.subnet).await;
    is_held(&account, PieceKind::InternetGateway, &all.gateway).await;
    is_held(&account, PieceKind::Address, &all.address).await;
    is_held(&account, PieceKind::RouteTable, &routes).await;
    is_held(&account, PieceKind::SecurityGroup, &one).await;
    let detached = Arrangement::Detached {
        gateway: all.gateway.clone(),
        vpc: all.vpc.clone(),
    };
    let mapped = account.network.arrange(&detached).await.unwrap_err();
    assert_eq!(mapped.kind, PortErrorKind::InUse, "{mapped:?}");

    // A NAT gateway is shown when it is gone, and deleting it once more is the same.
    goes(&account, PieceKind::NatGateway, &all.nat).await;
    goes(&account, PieceKind::NatGateway, &all.nat).await;
    settled(
        &account,
        PieceKind::NatGateway,
        &all.nat,
        PieceState::Deleted,
    )
    .await;
    let again = account
        .network
        .delete(PieceKind::NatGateway, &all.nat)
        .await;
    assert_eq!(again, Ok(Deletion::Absent));

    went(&account, PieceKind::Address, &all.address).await;
    arrange(&account, detached).await;
    went(&account, PieceKind::InternetGateway, &all.gateway).await;
    is_held(&account, PieceKind::Vpc, &all.vpc).await;
    went(&account, PieceKind::Endpoint, &endpoint).await;
    went(&account, PieceKind::Subnet, &all.subnet).await;
    went(&account, PieceKind::RouteTable, &routes).await;
    let revoked = Arrangement::Revoked {
        group: other.clone(),
        rules: vec![names],
    };
    arrange(&account, revoked).await;
    went(&account, PieceKind::SecurityGroup, &one).await;
    is_held(&account, PieceKind::Vpc, &all.vpc).await;
    went(&account, PieceKind::SecurityGroup, &other).await;
    went(&account, PieceKind::Vpc, &all.vpc).await;
}

#[tokio::test]
async fn what_was_never_there_is_absent() {
    let account = Account::new().await;
    let prefixes = [
        "vpc", "igw", "subnet", "eipalloc", "nat", "rtb", "vpce", "sg",
    ];
    for (kind, prefix) in KINDS.into_iter().zip(prefixes) {
        let id = format!("{prefix}-0123456789abcdef0");
        let deleted = account.network.delete(kind, &id).await;
        assert_eq!(deleted, Ok(Deletion::Absent), "{kind:?}");
    }
}

#[tokio::test]
async fn an_address_of_an_interface_of_ones_own_is_held_too() {
    let account = Account::new().await;
    let all = standing(&account).await;
    let address = make(&account, PieceSpec::Address, "second").await.id;
    let made = account
        .ec2
        .create_network_interface()
        .subnet_id(&all.subnet);
    let made = made.send().await.unwrap();
    let interface = made
        .network_interface()
        .unwrap()
        .network_interface_id()
        .unwrap();
    let associated = account.ec2.associate_address().allocation_id(&address);
    let associated = associated
        .network_interface_id(interface)
        .send()
        .await
        .unwrap();
    is_held(&account, PieceKind::Address, &address).await;
    let association = associated.association_id().unwrap();
    let freed = account
        .ec2
        .disassociate_address()
        .association_id(association);
    freed.send().await.unwrap();
    went(&account, PieceKind::Address, &address).await;
}

#[tokio::test]
async fn what_belongs_to_a_vpc_from_the_start_is_not_deleted() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    subnet(&account, &vpc, "10.0.0.0/24").await;
    for (kind, refusal) in [
        (PieceKind::RouteTable, PortErrorKind::InUse),
        (PieceKind::SecurityGroup, PortErrorKind::Invalid),
    ] {
        let inside = pipectl_stages::ports::network::Lookup::InVpc(vpc.clone());
        let own = account.network.find(kind, &inside).await.unwrap();
        let [own] = &own[..] else {
            panic!("{own:?}");
        };
        let refused = account.network.delete(kind, &own.id).await.unwrap_err();
        assert_eq!(refused.kind, refusal, "{refused:?}");
    }
}
