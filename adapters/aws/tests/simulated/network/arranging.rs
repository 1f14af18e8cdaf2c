//! Arrangements: each makes it so, and once more is no error and no change.

use pipectl_stages::{
    error::PortErrorKind,
    ports::network::{
        Arrangement, Detail, Direction, PieceKind, PieceSpec, Route, RouteTarget, Rule, RulePeer,
    },
};

use super::{arrange, detail, endpoint, group, make, standing, subnet, table, vpc};
use crate::support::Account;

const ANYWHERE: &str = "0.0.0.0/0";

async fn twice(account: &Account, arrangement: Arrangement) {
    arrange(account, arrangement.clone()).await;
    arrange(account, arrangement).await;
}

#[tokio::test]
async fn a_gateway_is_attached_to_one_vpc_and_detached() {
    let account = Account::new().await;
    let (first, second) = (
        vpc(&account, "10.0.0.0/16").await,
        vpc(&account, "10.1.0.0/16").await,
    );
    let gateway = make(&account, PieceSpec::InternetGateway, "gateway")
        .await
        .id;
    let to = |vpc: &String| Arrangement::Attached {
        gateway: gateway.clone(),
        vpc: vpc.clone(),
    };
    let from = |vpc: &String| Arrangement::Detached {
        gateway: gateway.clone(),
        vpc: vpc.clone(),
    };
    twice(&account, to(&first)).await;
    let attached = detail(&account, PieceKind::InternetGateway, &gateway).await;
    let there = Some(first.clone());
    assert_eq!(attached, Detail::InternetGateway { vpc: there });
    let elsewhere = account.network.arrange(&to(&second)).await.unwrap_err();
    assert_eq!(
        elsewhere.kind,
        PortErrorKind::AlreadyExists,
        "{elsewhere:?}"
    );
    let another = make(&account, PieceSpec::InternetGateway, "another")
        .await
        .id;
    let taken = Arrangement::Attached {
        gateway: another,
        vpc: first.clone(),
    };
    let taken = account.network.arrange(&taken).await.unwrap_err();
    assert_eq!(taken.kind, PortErrorKind::AlreadyExists, "{taken:?}");
    // Not attached to the second one: that is as it should be, and the first keeps it.
    twice(&account, from(&second)).await;
    twice(&account, from(&first)).await;
    let detached = detail(&account, PieceKind::InternetGateway, &gateway).await;
    assert_eq!(detached, Detail::InternetGateway { vpc: None });
    let gone = Arrangement::Detached {
        gateway: "igw-0123456789abcdef0".to_owned(),
        vpc: first.clone(),
    };
    twice(&account, gone).await;
    let nowhere = to(&"vpc-0123456789abcdef0".to_owned());
    let nowhere = account.network.arrange(&nowhere).await.unwrap_err();
    assert_eq!(nowhere.kind, PortErrorKind::NotFound, "{nowhere:?}");
}

#[tokio::test]
async fn a_subnet_gives_public_addresses_or_not() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let subnet = subnet(&account, &vpc, "10.0.0.0/24").await;
    for on in [true, false] {
        let subnet = subnet.clone();
        twice(&account, Arrangement::PublicAddresses { subnet, on }).await;
    }
    let on = Arrangement::PublicAddresses {
        subnet: subnet.clone(),
        on: true,
    };
    twice(&account, on).await;
    let Detail::Subnet {
        public_addresses, ..
    } = detail(&account, PieceKind::Subnet, &subnet).await
    else {
        panic!("no subnet");
    };
    assert!(public_addresses);
}

#[tokio::test]
async fn a_route_is_made_replaced_and_taken_away() {
    let account = Account::new().await;
    let standing = standing(&account).await;
    let id = table(&account, &standing.vpc, "table").await;
    let routed = |target: &RouteTarget| Arrangement::Routed {
        table: id.clone(),
        destination: ANYWHERE.to_owned(),
        target: target.clone(),
    };
    let outside = || async {
        let Detail::RouteTable { routes, .. } = detail(&account, PieceKind::RouteTable, &id).await
        else {
            panic!("no table");
        };
        let local = routes
            .iter()
            .filter(|route| route.target == RouteTarget::Local);
        assert_eq!(local.count(), 1, "{routes:?}");
        routes
            .into_iter()
            .find(|route| route.destination == ANYWHERE)
    };
    let gateway = RouteTarget::InternetGateway(standing.gateway.clone());
    let nat = RouteTarget::NatGateway(standing.nat.clone());
    for target in [&nat, &gateway, &nat] {
        twice(&account, routed(target)).await;
        let route = Route {
            destination: ANYWHERE.to_owned(),
            target: target.clone(),
            dead: false,
        };
        assert_eq!(outside().await, Some(route));
    }
    account
        .network
        .delete(PieceKind::NatGateway, &standing.nat)
        .await
        .unwrap();
    let dead = || async { outside().await.filter(|route| route.dead) };
    crate::support::until("a dead route", dead).await;
    twice(&account, routed(&gateway)).await;
    assert!(outside().await.is_some_and(|route| !route.dead));
    let unrouted = |table: &str| Arrangement::Unrouted {
        table: table.to_owned(),
        destination: ANYWHERE.to_owned(),
    };
    twice(&account, unrouted(&id)).await;
    assert_eq!(outside().await, None);
    twice(&account, unrouted("rtb-0123456789abcdef0")).await;
    let nowhere = RouteTarget::NatGateway("nat-0123456789abcdef0".to_owned());
    let refused = account
        .network
        .arrange(&routed(&nowhere))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound, "{refused:?}");
    let nothing = RouteTarget::Other("lgw-0123456789abcdef0".to_owned());
    let refused = account
        .network
        .arrange(&routed(&nothing))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Invalid, "{refused:?}");
}

#[tokio::test]
async fn a_subnet_uses_one_table_and_moves_to_another() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let subnet = subnet(&account, &vpc, "10.0.0.0/24").await;
    let (first, second) = (
        table(&account, &vpc, "first").await,
        table(&account, &vpc, "second").await,
    );
    let association = |id: String| {
        let account = &account;
        async move {
            match detail(account, PieceKind::RouteTable, &id).await {
                Detail::RouteTable { associations, .. } => associations.into_iter().next(),
                other => panic!("{other:?}"),
            }
        }
    };
    for (table, other) in [(&first, &second), (&second, &first)] {
        let arrangement = Arrangement::Associated {
            table: table.clone(),
            subnet: subnet.clone(),
        };
        twice(&account, arrangement).await;
        let now = association(table.clone()).await.expect("an association");
        assert_eq!(now.subnet.as_deref(), Some(subnet.as_str()));
        assert_eq!(association(other.clone()).await, None);
    }
    let last = association(second.clone())
        .await
        .expect("an association")
        .id;
    twice(&account, Arrangement::Dissociated { association: last }).await;
    assert_eq!(association(second.clone()).await, None);
}

#[tokio::test]
async fn an_endpoint_has_its_route_in_exactly_these_tables() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let mut tables = Vec::new();
    for name in ["a", "b", "c"] {
        tables.push(table(&account, &vpc, name).await);
    }
    let made = endpoint(&account, &vpc, &[&tables[0]]).await.id;
    for wanted in [&tables[0..2], &tables[1..3], &tables[0..0], &tables[0..3]] {
        let arrangement = Arrangement::EndpointRoutes {
            endpoint: made.clone(),
            tables: wanted.to_vec(),
        };
        arrange(&account, arrangement.clone()).await;
        account.count_anew();
        arrange(&account, arrangement).await;
        assert_eq!(account.calls("ModifyVpcEndpoint"), 0, "it is so already");
        let Detail::Endpoint { route_tables, .. } =
            detail(&account, PieceKind::Endpoint, &made).await
        else {
            panic!("no endpoint");
        };
        let sorted = |ids: &[String]| {
            let mut ids = ids.to_vec();
            ids.sort();
            ids
        };
        assert_eq!(sorted(&route_tables), sorted(wanted));
        for table in &tables {
            let Detail::RouteTable { routes, .. } =
                detail(&account, PieceKind::RouteTable, table).await
            else {
                panic!("no table");
            };
            let target = RouteTarget::Other(made.clone());
            let there = routes.iter().any(|route| route.target == target);
            assert_eq!(there, wanted.contains(table));
        }
    }
    let gone = Arrangement::EndpointRoutes {
        endpoint: "vpce-0123456789abcdef0".to_owned(),
        tables,
    };
    let refused = account.network.arrange(&gone).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound);
}

fn rule(direction: Direction, port: Option<u16>, peer: RulePeer) -> Rule {
    Rule {
        direction,
        protocol: if port.is_some() { "tcp" } else { "-1" }.to_owned(),
        ports: port.map(|port| (port, port)),
        peer,
    }
}

#[tokio::test]
async fn rules_are_added_and_taken_away_and_others_stay() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let (id, other) = (
        group(&account, &vpc, "group").await,
        group(&account, &vpc, "other").await,
    );
    let cidr = |cidr: &str| RulePeer::Cidr(cidr.to_owned());
    let everything_out = rule(Direction::Out, None, cidr(ANYWHERE));
    let https = rule(Direction::In, Some(443), cidr("10.0.0.0/16"));
    let six = rule(Direction::In, Some(443), cidr("2001:db8::/32"));
    let kafka = rule(Direction::In, Some(9092), RulePeer::Group(other.clone()));
    let out = rule(Direction::Out, Some(443), cidr("10.0.0.0/16"));
    let ping = Rule {
        protocol: "icmp".to_owned(),
        ..rule(Direction::In, None, cidr("10.0.0.0/8"))
    };
    let all = [&https, &six, &kafka, &out, &ping];
    let rules = || async {
        match detail(&account, PieceKind::SecurityGroup, &id).await {
            Detail::SecurityGroup { mut rules, .. } => {
                rules.sort();
                rules
            }
            other => panic!("{other:?}"),
        }
    };
    let sorted = |rules: &[&Rule]| {
        let mut rules: Vec<Rule> = rules.iter().map(|rule| (*rule).clone()).collect();
        rules.sort();
        rules
    };
    let allowed = |rules: &[&Rule]| Arrangement::Allowed {
        group: id.clone(),
        rules: rules.iter().map(|rule| (*rule).clone()).collect(),
    };
    let revoked = |rules: &[&Rule]| Arrangement::Revoked {
        group: id.clone(),
        rules: rules.iter().map(|rule| (*rule).clone()).collect(),
    };
    twice(&account, allowed(&[&https])).await;
    assert_eq!(rules().await, sorted(&[&everything_out, &https]));
    // One of them is there: the others are made all the same.
    twice(&account, allowed(&all)).await;
    let with = [&[&everything_out][..], &all[..]].concat();
    assert_eq!(rules().await, sorted(&with));
    twice(&account, revoked(&[&https, &out])).await;
    assert_eq!(
        rules().await,
        sorted(&[&everything_out, &six, &kafka, &ping])
    );
    // One of them is not there: the others go all the same.
    twice(&account, revoked(&all)).await;
    assert_eq!(rules().await, sorted(&[&everything_out]));
    let nowhere = Arrangement::Allowed {
        group: "sg-0123456789abcdef0".to_owned(),
        rules: vec![https],
    };
    let refused = account.network.arrange(&nowhere).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::NotFound, "{refused:?}");
}
