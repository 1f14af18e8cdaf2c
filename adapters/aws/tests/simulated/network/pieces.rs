//! Making and finding.

use std::collections::BTreeMap;

use pipectl_stages::{
    error::PortErrorKind,
    ports::network::{
        Arrangement, Detail, Direction, Lookup, Piece, PieceKind, PieceSpec, PieceState, Rule,
        RulePeer,
    },
};

use super::{
    KINDS, arrange, by_id, detail, endpoint, group, ids, make, new, settled, standing, table, vpc,
};
use crate::support::{Account, tags};

#[tokio::test]
async fn every_kind_is_made_with_its_tags_and_found_by_id_tag_and_vpc() {
    let account = Account::new().await;
    let standing = standing(&account).await;
    let table = table(&account, &standing.vpc, "table").await;
    let endpoint = endpoint(&account, &standing.vpc, &[&table]).await.id;
    let group = group(&account, &standing.vpc, "group").await;
    let made = BTreeMap::from([
        (PieceKind::Vpc, (standing.vpc.as_str(), "vpc")),
        (PieceKind::InternetGateway, (&standing.gateway, "gateway")),
        (PieceKind::Subnet, (&standing.subnet, "subnet")),
        (PieceKind::Address, (&standing.address, "address")),
        (PieceKind::NatGateway, (&standing.nat, "nat")),
        (PieceKind::RouteTable, (&table, "table")),
        (PieceKind::Endpoint, (&endpoint, "endpoint")),
        (PieceKind::SecurityGroup, (&group, "group")),
    ]);
    for kind in KINDS {
        let (id, step) = made[&kind];
        settled(&account, kind, id, PieceState::Available).await;
        let found = by_id(&account, kind, id).await.unwrap();
        assert_eq!(found.kind(), kind);
        assert_eq!(found.tags, tags(&[("step", step), ("owner", "test")]));
        let tagged = Lookup::Tagged(tags(&[("step", step), ("owner", "test")]));
        assert_eq!(ids(&account, kind, tagged).await, [id]);
        let others = Lookup::Tagged(tags(&[("step", step), ("owner", "somebody")]));
        assert!(ids(&account, kind, others).await.is_empty());
        let inside = ids(&account, kind, Lookup::InVpc(standing.vpc.clone())).await;
        assert_eq!(inside.contains(&id.to_owned()), kind != PieceKind::Address);
        let elsewhere = Lookup::InVpc("vpc-0123456789abcdef0".to_owned());
        assert!(ids(&account, kind, elsewhere).await.is_empty());
    }
    assert_eq!(
        account.calls("CreateTags"),
        0,
        "tags belong into the call that makes a piece"
    );
}

#[tokio::test]
async fn what_a_call_answers_is_what_is_found_afterwards() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let specs = [
        (PieceSpec::InternetGateway, "gateway"),
        (
            PieceSpec::Subnet {
                vpc: vpc.clone(),
                zone: "us-west-2b".to_owned(),
                cidr: "10.0.8.0/24".to_owned(),
            },
            "subnet",
        ),
        (PieceSpec::Address, "address"),
        (PieceSpec::RouteTable { vpc: vpc.clone() }, "table"),
        (
            PieceSpec::SecurityGroup {
                vpc: vpc.clone(),
                name: "group".to_owned(),
                description: "of a test".to_owned(),
            },
            "group",
        ),
        (
            PieceSpec::Vpc {
                cidr: "10.1.0.0/16".to_owned(),
            },
            "second",
        ),
    ];
    for (spec, token) in specs {
        let kind = spec.kind();
        let made = make(&account, spec, token).await;
        let found = settled(&account, kind, &made.id, PieceState::Available).await;
        let made = Piece {
            state: PieceState::Available,
            ..made
        };
        assert_eq!(made, found);
    }
}

#[tokio::test]
async fn details_say_what_a_piece_is() {
    let account = Account::new().await;
    let standing = standing(&account).await;
    let of = |kind, id: String| {
        let account = &account;
        async move { detail(account, kind, &id).await }
    };
    let nat = by_id(&account, PieceKind::NatGateway, &standing.nat)
        .await
        .unwrap();
    assert_eq!(
        nat.detail,
        Detail::NatGateway {
            vpc: standing.vpc.clone(),
            subnet: standing.subnet.clone(),
            address: Some(standing.address.clone()),
        }
    );
    assert!(nat.created.is_some());
    let address = of(PieceKind::Address, standing.address.clone()).await;
    let Detail::Address {
        ip,
        association: Some(_),
        interface: Some(_),
    } = address
    else {
        panic!("{address:?}");
    };
    assert!(ip.parse::<std::net::Ipv4Addr>().is_ok(), "{ip}");
    let Detail::Subnet { free, .. } = of(PieceKind::Subnet, standing.subnet.clone()).await else {
        panic!("no subnet");
    };
    assert_eq!(free, 256 - 5 - 1, "the NAT gateway takes one");
    let table = table(&account, &standing.vpc, "table").await;
    let endpoint = endpoint(&account, &standing.vpc, &[&table]).await;
    assert!(endpoint.created.is_some());
    assert_eq!(
        endpoint.detail,
        Detail::Endpoint {
            vpc: standing.vpc.clone(),
            service: "com.amazonaws.us-west-2.s3".to_owned(),
            gateway: true,
            route_tables: vec![table],
            requester_managed: false,
        }
    );
    // The VPC's own main table and group are among what is in it.
    let inside = account
        .network
        .find(PieceKind::RouteTable, &Lookup::InVpc(standing.vpc.clone()))
        .await
        .unwrap();
    let main = |piece: &Piece| match &piece.detail {
        Detail::RouteTable { associations, .. } => associations.iter().any(|a| a.subnet.is_none()),
        _ => false,
    };
    assert_eq!(inside.iter().filter(|piece| main(piece)).count(), 1);
    let groups = account
        .network
        .find(
            PieceKind::SecurityGroup,
            &Lookup::InVpc(standing.vpc.clone()),
        )
        .await
        .unwrap();
    let [own] = &groups[..] else {
        panic!("{groups:?}");
    };
    let Detail::SecurityGroup { name, rules, .. } = &own.detail else {
        panic!("{own:?}");
    };
    assert_eq!(name, "default");
    let to_itself = Rule {
        direction: Direction::In,
        protocol: "-1".to_owned(),
        ports: None,
        peer: RulePeer::Group(own.id.clone()),
    };
    assert!(rules.contains(&to_itself), "{rules:?}");
}

#[tokio::test]
async fn ids_that_do_not_exist_are_left_out_whatever_their_kind() {
    let account = Account::new().await;
    let standing = standing(&account).await;
    let table = table(&account, &standing.vpc, "table").await;
    let endpoint = endpoint(&account, &standing.vpc, &[&table]).await.id;
    let group = group(&account, &standing.vpc, "group").await;
    for (kind, there) in [
        (PieceKind::Vpc, &standing.vpc),
        (PieceKind::InternetGateway, &standing.gateway),
        (PieceKind::Subnet, &standing.subnet),
        (PieceKind::Address, &standing.address),
        (PieceKind::NatGateway, &standing.nat),
        (PieceKind::RouteTable, &table),
        (PieceKind::Endpoint, &endpoint),
        (PieceKind::SecurityGroup, &group),
    ] {
        let prefix = there.split('-').next().unwrap();
        let gone = format!("{prefix}-0123456789abcdef0");
        let malformed = "what-a-person-wrote".to_owned();
        let some = Lookup::Ids(vec![gone.clone(), there.clone(), malformed.clone()]);
        assert_eq!(ids(&account, kind, some).await, [there.as_str()]);
        assert!(
            ids(&account, kind, Lookup::Ids(vec![gone]))
                .await
                .is_empty()
        );
        assert!(
            ids(&account, kind, Lookup::Ids(vec![malformed]))
                .await
                .is_empty()
        );
        account.count_anew();
        assert!(
            ids(&account, kind, Lookup::Ids(Vec::new()))
                .await
                .is_empty()
        );
        assert!(
            account.simulator.counters().is_empty(),
            "nothing was asked for"
        );
    }
}

#[tokio::test]
async fn a_tags_value_with_wildcards_fits_itself_only() {
    let account = Account::new().await;
    let both = ["team*", "team-a", r"team\?"];
    for name in both {
        let mut piece = new(PieceSpec::InternetGateway, "gateway");
        piece.tags = tags(&[("team", name)]);
        account.network.create(&piece).await.unwrap();
    }
    for name in both {
        let lookup = Lookup::Tagged(tags(&[("team", name)]));
        let found = account
            .network
            .find(PieceKind::InternetGateway, &lookup)
            .await;
        let found: Vec<_> = found.unwrap().into_iter().map(|piece| piece.tags).collect();
        assert_eq!(found, [tags(&[("team", name)])]);
    }
}

#[tokio::test]
async fn attributes_of_a_vpc_are_looked_up_where_somebody_needs_them() {
    let account = Account::new().await;
    let id = vpc(&account, "10.0.0.0/16").await;
    let dns = |detail: &Detail| match detail {
        Detail::Vpc {
            dns_support,
            dns_hostnames,
            ..
        } => (*dns_support, *dns_hostnames),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        dns(&detail(&account, PieceKind::Vpc, &id).await),
        (true, false)
    );
    for (support, hostnames) in [(true, true), (false, false), (true, true), (true, false)] {
        let arrangement = Arrangement::Dns {
            vpc: id.clone(),
            support,
            hostnames,
        };
        arrange(&account, arrangement).await;
        let found = detail(&account, PieceKind::Vpc, &id).await;
        assert_eq!(dns(&found), (support, hostnames));
    }
    account.count_anew();
    ids(&account, PieceKind::Vpc, Lookup::InVpc(id.clone())).await;
    assert_eq!(account.calls("DescribeVpcAttribute"), 0);
    ids(
        &account,
        PieceKind::Vpc,
        Lookup::Tagged(tags(&[("step", "vpc")])),
    )
    .await;
    assert_eq!(account.calls("DescribeVpcAttribute"), 2);
}

#[tokio::test]
async fn lists_are_followed_to_their_last_page() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    // Route tables have the smallest pages: a hundred.
    let tables: Vec<usize> = (0..115).collect();
    for some in tables.chunks(20) {
        let made = some.iter().map(|number| {
            let (account, vpc) = (&account, &vpc);
            async move { table(account, vpc, &format!("table-{number}")).await }
        });
        futures::future::join_all(made).await;
    }
    account.count_anew();
    let found = ids(&account, PieceKind::RouteTable, Lookup::InVpc(vpc.clone())).await;
    assert_eq!(found.len(), tables.len() + 1, "and the main one");
    assert_eq!(account.calls("DescribeRouteTables"), 2);
    let mine = Lookup::Tagged(tags(&[("owner", "test")]));
    assert_eq!(
        ids(&account, PieceKind::RouteTable, mine).await.len(),
        tables.len()
    );
}

#[tokio::test]
async fn tags_are_set_and_removed() {
    let account = Account::new().await;
    let id = vpc(&account, "10.0.0.0/16").await;
    let set = tags(&[("owner", "another"), ("cost", ""), ("new", "1")]);
    let remove = ["step".to_owned(), "never-there".to_owned()];
    account.network.retag(&id, &set, &remove).await.unwrap();
    let found = by_id(&account, PieceKind::Vpc, &id).await.unwrap();
    assert_eq!(found.tags, set);
    account.count_anew();
    account.network.retag(&id, &tags(&[]), &[]).await.unwrap();
    assert!(account.simulator.counters().is_empty(), "nothing to do");
    let gone = "vpc-0123456789abcdef0";
    let refused = account.network.retag(gone, &set, &[]).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound);
}
