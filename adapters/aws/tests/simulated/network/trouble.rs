//! Repetitions, races, late reads, refusals.

use std::time::Duration;

use futures::future::{join, join_all};
use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment, Consistency};
use pipectl_stages::{
    error::{PortErrorKind, Retry},
    ports::network::{Lookup, PieceKind, PieceSpec, PieceState},
};

use super::{by_id, ids, make, new, settled, standing, subnet, table, vpc};
use crate::support::{Account, tags};

#[tokio::test]
async fn a_token_answers_with_what_it_made_before() {
    let account = Account::new().await;
    let all = standing(&account).await;
    let routes = table(&account, &all.vpc, "table").await;
    let address = make(&account, PieceSpec::Address, "second").await.id;
    let specs = [
        PieceSpec::NatGateway {
            subnet: all.subnet.clone(),
            address,
        },
        PieceSpec::RouteTable {
            vpc: all.vpc.clone(),
        },
        PieceSpec::GatewayEndpoint {
            vpc: all.vpc.clone(),
            service: "s3".to_owned(),
            route_tables: vec![routes],
        },
    ];
    for spec in specs {
        let kind = spec.kind();
        let first = make(&account, spec.clone(), "token").await.id;
        settled(&account, kind, &first, PieceState::Available).await;
        let again = make(&account, spec.clone(), "token").await;
        assert_eq!(again.id, first);
        assert_eq!(again.state, PieceState::Available, "as it is now");
        let mut otherwise = new(spec, "token");
        otherwise.tags = tags(&[("another", "tag")]);
        let refused = account.network.create(&otherwise).await.unwrap_err();
        assert_eq!(refused.kind, PortErrorKind::Conflict, "{refused:?}");
    }
    // The other kinds know no tokens.
    let first = make(&account, PieceSpec::Address, "token").await.id;
    assert_ne!(make(&account, PieceSpec::Address, "token").await.id, first);
}

#[tokio::test]
async fn a_nat_gateway_that_cannot_be_made_says_why_and_keeps_its_token() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let spec = PieceSpec::NatGateway {
        subnet: subnet(&account, &vpc, "10.0.0.0/24").await,
        address: make(&account, PieceSpec::Address, "address").await.id,
    };
    let made = make(&account, spec.clone(), "nat").await;
    assert_eq!(made.state, PieceState::Pending);
    let failed = crate::support::until("a failed NAT gateway", || async {
        let found = by_id(&account, PieceKind::NatGateway, &made.id).await;
        found.filter(|piece| piece.state != PieceState::Pending)
    })
    .await;
    let PieceState::Failed { code, message } = &failed.state else {
        panic!("{failed:?}");
    };
    assert_eq!(code, "Gateway.NotAttached");
    assert!(!message.is_empty());
    let again = make(&account, spec.clone(), "nat").await;
    assert_eq!((again.id, again.state), (made.id.clone(), failed.state));
    assert_ne!(make(&account, spec, "nat-2").await.id, made.id);
}

#[tokio::test]
async fn of_two_who_make_the_same_at_once_one_wins() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let table = PieceSpec::RouteTable { vpc: vpc.clone() };
    let subnet = PieceSpec::Subnet {
        vpc: vpc.clone(),
        zone: "us-west-2a".to_owned(),
        cidr: "10.0.0.0/24".to_owned(),
    };
    let group = PieceSpec::SecurityGroup {
        vpc: vpc.clone(),
        name: "group".to_owned(),
        description: "for a test".to_owned(),
    };
    for (spec, losers) in [
        (table, None),
        (group, Some(PortErrorKind::AlreadyExists)),
        (subnet, Some(PortErrorKind::AlreadyExists)),
    ] {
        let kind = spec.kind();
        let piece = new(spec, "race");
        let both = join(
            account.network.create(&piece),
            account.network.create(&piece),
        )
        .await;
        let mut won = Vec::new();
        let mut lost = Vec::new();
        for outcome in [both.0, both.1] {
            match outcome {
                Ok(piece) => won.push(piece.id),
                Err(error) => lost.push(error.kind),
            }
        }
        won.dedup();
        let mine = Lookup::Tagged(tags(&[("step", "race")]));
        assert_eq!(ids(&account, kind, mine).await, won, "one, and no other");
        assert_eq!(lost, losers.into_iter().collect::<Vec<_>>(), "{kind:?}");
    }
}

#[tokio::test]
async fn reads_by_id_see_what_reads_by_tag_do_not_yet() {
    let account = Account::with(Consistency {
        by_id: Duration::ZERO,
        by_filter: Duration::from_secs(10_000_000),
    })
    .await;
    let id = vpc(&account, "10.0.0.0/16").await;
    let tagged = Lookup::Tagged(tags(&[("step", "vpc")]));
    assert!(ids(&account, PieceKind::Vpc, tagged).await.is_empty());
    let by_id = Lookup::Ids(vec!["vpc-0123456789abcdef0".to_owned(), id.clone()]);
    assert_eq!(ids(&account, PieceKind::Vpc, by_id).await, [id]);
}

#[tokio::test]
async fn an_endpoints_tables_are_right_in_the_end_although_a_read_was_stale() {
    let account = Account::with(Consistency {
        by_id: Duration::from_secs(50),
        by_filter: Duration::from_secs(50),
    })
    .await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let routes = table(&account, &vpc, "table").await;
    let made = super::endpoint(&account, &vpc, &[]).await.id;
    // Not seen yet: not an answer that nothing is to be done.
    let arrangement = pipectl_stages::ports::network::Arrangement::EndpointRoutes {
        endpoint: made.clone(),
        tables: vec![routes],
    };
    let unseen = account.network.arrange(&arrangement).await;
    if let Err(unseen) = unseen {
        assert_eq!(unseen.kind, PortErrorKind::NotFound, "{unseen:?}");
    }
    settled(&account, PieceKind::Endpoint, &made, PieceState::Available).await;
    account.network.arrange(&arrangement).await.unwrap();
}

#[tokio::test]
async fn a_creation_with_a_token_is_repeated_safely() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let lost = [
        AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::After,
        },
        AwsFaultEffect::Reset {
            when: AwsFaultMoment::After,
        },
        AwsFaultEffect::Throttle,
    ];
    for (number, effect) in lost.into_iter().enumerate() {
        account.fault("CreateRouteTable", 0, 2, effect);
        let token = format!("table-{number}");
        let made = table(&account, &vpc, &token).await;
        let mine = Lookup::Tagged(tags(&[("step", &token)]));
        assert_eq!(ids(&account, PieceKind::RouteTable, mine).await, [made]);
    }
}

#[tokio::test]
async fn a_creation_without_a_token_is_not_repeated_blindly() {
    let account = Account::new().await;
    let vpc = vpc(&account, "10.0.0.0/16").await;
    let specs = [
        PieceSpec::Vpc {
            cidr: "10.1.0.0/16".to_owned(),
        },
        PieceSpec::InternetGateway,
        PieceSpec::Address,
        PieceSpec::Subnet {
            vpc: vpc.clone(),
            zone: "us-west-2a".to_owned(),
            cidr: "10.0.0.0/24".to_owned(),
        },
        PieceSpec::SecurityGroup {
            vpc,
            name: "group".to_owned(),
            description: "for a test".to_owned(),
        },
    ];
    let actions = [
        "CreateVpc",
        "CreateInternetGateway",
        "AllocateAddress",
        "CreateSubnet",
        "CreateSecurityGroup",
    ];
    let lost = [
        (
            AwsFaultEffect::Internal {
                status: 500,
                when: AwsFaultMoment::After,
            },
            PortErrorKind::ServerError,
        ),
        (
            AwsFaultEffect::Internal {
                status: 503,
                when: AwsFaultMoment::After,
            },
            PortErrorKind::ServerError,
        ),
        (
            AwsFaultEffect::Reset {
                when: AwsFaultMoment::After,
            },
            PortErrorKind::Unreachable,
        ),
    ];
    for (spec, action) in specs.into_iter().zip(actions) {
        let kind = spec.kind();
        for (effect, meant) in lost.clone() {
            account.fault(action, 0, 1, effect);
            let lost = account.network.create(&new(spec.clone(), "lost")).await;
            let error = lost.unwrap_err();
            assert_eq!((error.kind, error.kind.retry()), (meant, Retry::Soon));
            // Whoever looks by tag before trying again finds it.
            let mine = Lookup::Tagged(tags(&[("step", "lost")]));
            let found = ids(&account, kind, mine).await;
            assert_eq!(found.len(), 1, "{kind:?}");
            let deleted = account.network.delete(kind, &found[0]).await;
            deleted.unwrap();
        }
        // Throttled, AWS did not act: the call is repeated.
        account.fault(action, 0, 2, AwsFaultEffect::Throttle);
        account.count_anew();
        make(&account, spec, "throttled").await;
        assert_eq!(account.calls(action), 3);
    }
}

#[tokio::test]
async fn refusals_are_sorted_by_what_a_caller_does_about_them() {
    let account = Account::new().await;
    let spec = PieceSpec::Vpc {
        cidr: "10.0.0.0/16".to_owned(),
    };
    let error = |code: &str| AwsFaultEffect::Error {
        code: code.to_owned(),
        message: "in AWS's words".to_owned(),
        status: None,
    };
    for (effect, kind, retry, quoted) in [
        (
            error("UnauthorizedOperation"),
            PortErrorKind::Forbidden,
            Retry::AfterChange,
            "UnauthorizedOperation",
        ),
        (
            AwsFaultEffect::ExpireCredentials,
            PortErrorKind::Unauthorized,
            Retry::AfterChange,
            "RequestExpired",
        ),
        (
            AwsFaultEffect::Throttle,
            PortErrorKind::Throttled,
            Retry::Soon,
            "RequestLimitExceeded",
        ),
        (
            error("VpcLimitExceeded"),
            PortErrorKind::Exhausted,
            Retry::AfterChange,
            "VpcLimitExceeded",
        ),
        (
            AwsFaultEffect::Internal {
                status: 503,
                when: AwsFaultMoment::Before,
            },
            PortErrorKind::ServerError,
            Retry::Soon,
            "Unavailable",
        ),
        (
            AwsFaultEffect::Reset {
                when: AwsFaultMoment::Before,
            },
            PortErrorKind::Unreachable,
            Retry::Soon,
            "",
        ),
    ] {
        account.fault("CreateVpc", 0, u32::MAX, effect);
        let refused = account.network.create(&new(spec.clone(), "vpc")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, kind, "{refused:?}");
        assert_eq!(refused.kind.retry(), retry);
        assert!(refused.cause.contains(quoted), "{refused:?}");
        assert!(refused.hint.is_some());
    }
    account.simulator.set_faults(Vec::new());
    let wide = PieceSpec::Vpc {
        cidr: "10.0.0.0/8".to_owned(),
    };
    let refused = account.network.create(&new(wide, "vpc")).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Invalid, "{refused:?}");
    let nowhere = PieceSpec::RouteTable {
        vpc: "vpc-0123456789abcdef0".to_owned(),
    };
    let refused = account.network.create(&new(nowhere, "table")).await;
    assert_eq!(refused.unwrap_err().kind, PortErrorKind::NotFound);
    assert_eq!(
        account.simulator.inspect(),
        serde_json::json!({}),
        "nothing was made"
    );
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_named() {
    let account = Account::new().await;
    let made = (0..5).map(|number| {
        let account = &account;
        async move { make(account, PieceSpec::Address, &format!("a-{number}")).await }
    });
    join_all(made).await;
    let sixth = account
        .network
        .create(&new(PieceSpec::Address, "a-6"))
        .await;
    let refused = sixth.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Exhausted);
    assert!(
        refused.cause.starts_with("AddressLimitExceeded: "),
        "{refused:?}"
    );
    assert!(refused.cause.contains("(request "), "{refused:?}");
    assert!(refused.hint.is_some_and(|hint| hint.contains("L-0263D0A3")));
}

#[tokio::test]
async fn no_change_is_sent_behind_the_deadline() {
    let account = Account::new().await;
    let id = vpc(&account, "10.0.0.0/16").await;
    account
        .aws
        .fence_effects(std::sync::Arc::new(|| Duration::ZERO));
    account.count_anew();
    let refused = account
        .network
        .create(&new(PieceSpec::Address, "late"))
        .await;
    assert_eq!(refused.unwrap_err().kind, PortErrorKind::Cancelled);
    let refused = account.network.delete(PieceKind::Vpc, &id).await;
    assert_eq!(refused.unwrap_err().kind, PortErrorKind::Cancelled);
    assert!(account.simulator.counters().is_empty(), "nothing was sent");
    assert!(
        by_id(&account, PieceKind::Vpc, &id).await.is_some(),
        "looking is allowed"
    );
}
