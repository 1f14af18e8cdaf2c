//! Tokens for clusters' API servers.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use pipectl_aws::{AwsOptions, OwnEndpoint, connect};
use pipectl_stages::{error::PortErrorKind, ports::account::AccountApi};

use super::{Ground, role};
use crate::support::{Account, REGION};

fn url_of(token: &str) -> String {
    let encoded = token.strip_prefix("k8s-aws-v1.").expect("a token");
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_says_who_asks_for_which_cluster() {
    let account = Account::new().await;
    let caller = account.aws.caller().await.unwrap();
    account.count_anew();
    let before = Timestamp::now();
    let made = account.aws.token("mine").await.unwrap();
    assert!(account.simulator.counters().is_empty(), "nothing is sent");
    let lasts = made.expires.duration_since(before);
    assert!(lasts > SignedDuration::from_mins(13), "{lasts}");
    assert!(lasts < SignedDuration::from_mins(15), "{lasts}");
    let url = url_of(&made.token);
    assert!(url.starts_with(account.simulator.endpoint()), "{url}");
    let signed = |cluster: &str| {
        let headers = [("x-k8s-aws-id", cluster)];
        account.simulator.caller_of(&url, &headers)
    };
    assert_eq!(signed("mine"), Some(caller.arn));
    assert_eq!(signed("other"), None, "it is for one cluster alone");
    assert_eq!(account.simulator.caller_of(&url, &[]), None);
    // What the authenticator lets pass (aws-iam-authenticator, `pkg/token`).
    let (_, query) = url.split_once('?').unwrap();
    let mut names: Vec<&str> = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Action",
            "Version",
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
        ]
    );
    assert!(
        query.contains("X-Amz-SignedHeaders=host%3Bx-k8s-aws-id"),
        "{query}"
    );

    let shown = format!("{made:?}");
    assert!(!shown.contains("k8s-aws-v1"), "{shown}");
    let credential = made.exec_credential();
    assert_eq!(credential["kind"], "ExecCredential");
    assert_eq!(credential["status"]["token"], made.token);
    let until = credential["status"]["expirationTimestamp"]
        .as_str()
        .unwrap();
    let until: Timestamp = until.parse().unwrap();
    assert!(until <= made.expires && made.expires.duration_since(until).as_secs() == 0);
    for odd in ["", "a b", "../x", "ä"] {
        let error = account.aws.token(odd).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{odd:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_role_that_is_assumed_signs_with_its_session() {
    let ground = Ground::new().await;
    let simulator = &ground.account.simulator;
    let key = simulator.credentials();
    let arn = role(&ground.identity, "ci", "ec2.amazonaws.com", &[]).await;
    let name = "ci";
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", arn.split(':').nth(4).unwrap())},
    }]});
    ground.identity.trust(name, &trust).await.unwrap();
    let aws = connect(AwsOptions {
        region: REGION.to_owned(),
        profile: None,
        role_arn: Some(arn),
        endpoint: Some(OwnEndpoint {
            url: simulator.endpoint().to_owned(),
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key,
        }),
        time_scale: 500.0,
    })
    .await
    .unwrap();
    let made = aws.token("mine").await.unwrap();
    let url = url_of(&made.token);
    assert!(url.contains("X-Amz-Security-Token="), "{url}");
    let headers = [("x-k8s-aws-id", "mine")];
    let caller = simulator.caller_of(&url, &headers).expect("a session");
    assert!(caller.contains(":assumed-role/ci/"), "{caller}");
    assert!(made.expires <= Timestamp::now() + SignedDuration::from_mins(14));
}

/// The simulator as the webhook of a cluster asks it.
#[tokio::test]
async fn a_token_opens_the_cluster_of_that_name_to_who_has_an_entry() {
    let ground = Ground::up().await;
    let simulator = Arc::new(&ground.account.simulator);
    let id = simulator.clusters()[0].id.clone();
    let token = ground.account.aws.token("c").await.unwrap().token;
    let who = simulator.identify(&id, &token).expect("its maker");
    assert!(
        who.groups
            .iter()
            .any(|group| group.contains("AmazonEKSClusterAdminPolicy")),
        "{who:?}"
    );
    let other = ground.account.aws.token("d").await.unwrap().token;
    assert_eq!(simulator.identify(&id, &other), None);
}
