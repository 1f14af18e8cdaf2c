//! The port of the environments' records.

use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::{
        anchors::{Anchor, AnchorApi, AnchorLease},
        cloud::Deletion,
        tagged::TaggedApi,
    },
};

use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment, AwsFaultRule};
use serde_json::json;

use crate::support::{Account, tags};

fn anchor(name: &str, uid: &str) -> Anchor {
    Anchor {
        name: name.to_owned(),
        uid: uid.to_owned(),
        created: "2026-11-21T10:00:00Z".parse().unwrap(),
        cluster: format!("pipectl-{name}"),
        brought_vpc: None,
        state_url: None,
        lease: None,
        follows: 0,
        expires: None,
    }
}

#[tokio::test]
async fn made_found_changed_and_removed() {
    let account = Account::new().await;
    let anchors: &dyn AnchorApi = &account.aws;
    assert_eq!(anchors.find("one").await.unwrap(), None);
    let mut one = anchor("one", "u1");
    let owned = tags(&[("pipectl.dev/environment", "one"), ("empty", "")]);
    assert_eq!(anchors.create(&one, &owned).await.unwrap(), 1);
    assert_eq!(anchors.find("one").await.unwrap(), Some(one.clone()));
    let tagged = TaggedApi::all(&account.aws, &tags(&[("pipectl.dev/environment", "one")]))
        .await
        .unwrap();
    assert_eq!(tagged.len(), 1);
    assert!(
        tagged[0]
            .arn
            .ends_with(":parameter/pipectl/environments/one"),
        "{}",
        tagged[0].arn
    );
    assert_eq!(tagged[0].tags, owned);

    one.lease = Some(AnchorLease {
        holder: "somebody on somewhere".to_owned(),
        run: "r".to_owned(),
        since: "2026-11-21T10:00:00Z".parse().unwrap(),
        until: "2026-11-21T10:02:00Z".parse().unwrap(),
        term_millis: 120_000,
        margin_millis: 15_000,
        abandoned: false,
        process: json!({"boot": "b"}),
    });
    one.follows = 1;
    assert_eq!(anchors.update(&one).await.unwrap(), 2);
    let seen = anchors.sight("one").await.unwrap().unwrap();
    assert_eq!((&seen.anchor, seen.version), (&one, 2));
    assert!(seen.counts());
    // A second writer that had seen the first version is told by its number that it came too late.
    assert_eq!(anchors.update(&one).await.unwrap(), 3);
    assert!(!anchors.sight("one").await.unwrap().unwrap().counts());

    assert_eq!(anchors.delete("one").await.unwrap(), Deletion::Accepted);
    assert_eq!(anchors.delete("one").await.unwrap(), Deletion::Absent);
    assert_eq!(anchors.find("one").await.unwrap(), None);
}

/// How long ago a record was written is told by the service's clock alone.
#[tokio::test]
async fn silence_is_measured() {
    let account = Account::new().await;
    let anchors: &dyn AnchorApi = &account.aws;
    let written = std::time::Instant::now();
    anchors
        .create(&anchor("one", "u1"), &tags(&[]))
        .await
        .unwrap();
    let silent = crate::support::until("silence", || async {
        let seen = anchors.sight("one").await.unwrap().unwrap();
        (seen.silent >= std::time::Duration::from_secs(2)).then_some(seen.silent)
    })
    .await;
    assert!(silent <= written.elapsed(), "{silent:?}");
    let all = anchors.all().await.unwrap();
    assert!(all[0].silent >= silent, "{all:?}");
    anchors.update(&anchor("one", "u1")).await.unwrap();
    let seen = anchors.sight("one").await.unwrap().unwrap();
    assert!(seen.silent < silent, "{seen:?}");
}

/// An answer that was lost is not followed by the same write once more: it would find the first one in between.
#[tokio::test]
async fn a_change_is_sent_once() {
    let account = Account::new().await;
    let anchors: &dyn AnchorApi = &account.aws;
    let one = anchor("one", "u1");
    anchors.create(&one, &tags(&[])).await.unwrap();
    account.simulator.set_faults(vec![AwsFaultRule {
        action: Some("PutParameter".to_owned()),
        count: Some(1),
        effect: AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::After,
        },
        ..AwsFaultRule::default()
    }]);
    let error = anchors.update(&one).await.unwrap_err();
    assert_eq!(error.kind, Kind::ServerError, "{error}");
    let seen = anchors.sight("one").await.unwrap().unwrap();
    assert_eq!(seen.version, 2);
}

#[tokio::test]
async fn what_is_gone_is_not_brought_back_by_an_update() {
    let account = Account::new().await;
    let anchors: &dyn AnchorApi = &account.aws;
    let error = anchors.update(&anchor("one", "u1")).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    assert_eq!(anchors.find("one").await.unwrap(), None);
}

#[tokio::test]
async fn exactly_one_of_many_makes_it() {
    let account = Account::new().await;
    let racing = (0..12).map(|racer| {
        let aws = account.aws.clone();
        async move {
            let mine = anchor("one", &format!("u{racer}"));
            let made = AnchorApi::create(&aws, &mine, &tags(&[])).await;
            made.map(|_| mine)
        }
    });
    let outcomes = futures::future::join_all(racing).await;
    let winners: Vec<&Anchor> = outcomes.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let losers = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(losers.clone().count() == 11);
    for loser in losers {
        assert_eq!(loser.kind, Kind::AlreadyExists, "{loser}");
        assert_eq!(loser.code, "AWS011");
    }
    let standing = AnchorApi::find(&account.aws, "one").await.unwrap();
    assert_eq!(standing.as_ref(), Some(winners[0]));
}

#[tokio::test]
async fn all_pages_are_read_and_what_is_no_anchor_is_not_one() {
    let account = Account::new().await;
    let anchors: &dyn AnchorApi = &account.aws;
    // A page holds ten.
    for number in 10..33 {
        let name = format!("env-{number}");
        let made = anchors.create(&anchor(&name, "u"), &tags(&[])).await;
        made.unwrap();
    }
    let config = crate::sdk::config(&account);
    let ssm = aws_sdk_ssm::Client::new(&config);
    let stray = ssm
        .put_parameter()
        .name("/pipectl/environments/stray")
        .value("hello")
        .r#type(aws_sdk_ssm::types::ParameterType::String);
    stray.send().await.unwrap();

    let all = anchors.all().await.unwrap();
    assert_eq!(all.len(), 23);
    assert_eq!(all[22].anchor, anchor("env-32", "u"));
    let error = anchors.find("stray").await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Foreign, "AWS023"));
}
