//! Control planes.

use std::{collections::BTreeSet, sync::Arc};

use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment};
use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        cloud::{Deletion, UpdateProgress},
        clusters::{ClusterApi, ClusterChange, ClusterState, Endpoint},
        keys::KeyApi,
    },
};

use super::Ground;
use crate::support::{Account, REGION, tags, until};

#[tokio::test]
async fn a_cluster_lives_its_life() {
    let ground = Ground::new().await;
    let clusters = &ground.clusters;
    assert_eq!(clusters.find("c").await, Ok(None));
    assert_eq!(clusters.names().await, Ok(Vec::new()));
    assert_eq!(clusters.delete("c").await, Ok(Deletion::Absent));
    let spec = ground.cluster("c", "one");
    let made = ground.create(&spec).await;
    assert_eq!(made.state, ClusterState::Creating);
    assert!(
        made.arn.contains(&format!(":eks:{REGION}:")),
        "{}",
        made.arn
    );
    assert_eq!((&made.server, &made.ca), (&None, &None));

    let active = ground.active("c").await;
    assert!(active.server.as_ref().unwrap().starts_with("https://"));
    assert!(active.issuer.as_ref().unwrap().starts_with("https://oidc."));
    assert!(active.own_security_group.is_some() && active.created.is_some());
    assert_eq!(active.version, "1.34");
    assert_eq!(
        (&active.vpc, &active.subnets),
        (&ground.vpc, &ground.subnets)
    );
    assert_eq!(active.endpoint, spec.endpoint);
    assert_eq!((&active.logging, &active.role), (&spec.logging, &spec.role));
    assert_eq!(active.tags, spec.tags);
    assert!(active.issues.is_empty() && active.encryption_key.is_none());
    assert_eq!(clusters.names().await, Ok(vec!["c".to_owned()]));

    // Made without EKS' own add-ons, with entries alone, and its maker is an administrator.
    assert_eq!(ground.addons.names("c").await, Ok(Vec::new()));
    let shown = ground.account.simulator.inspect().to_string();
    assert!(shown.contains("\"authentication\":\"API\""), "{shown}");
    assert!(shown.contains("\"self_managed\":false"), "{shown}");

    assert_eq!(clusters.delete("c").await, Ok(Deletion::Accepted));
    let going = clusters.find("c").await.unwrap();
    assert!(going.is_none_or(|going| going.state == ClusterState::Deleting));
    until("a cluster that is gone", || async {
        clusters.find("c").await.unwrap().is_none().then_some(())
    })
    .await;
    assert_eq!(clusters.delete("c").await, Ok(Deletion::Absent));
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_token_repeats() {
    let ground = Ground::new().await;
    let spec = ground.cluster("c", "one");
    let made = ground.create(&spec).await;
    let again = ground.clusters.create(&spec).await.unwrap();
    assert_eq!(again.arn, made.arn);
    let other = ground.clusters.create(&ground.cluster("c", "two")).await;
    let other = other.unwrap_err();
    assert_eq!(other.kind, PortErrorKind::AlreadyExists, "{other:?}");
    assert!(other.cause.contains("ResourceInUseException") && other.cause.contains("request"));
    assert_eq!(ground.clusters.names().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_cluster() {
    let ground = Ground::new().await;
    // Not the first of all calls, which waits for the role.
    ground.create(&ground.cluster("warm", "warm")).await;
    let lost = AwsFaultEffect::Internal {
        status: 500,
        when: AwsFaultMoment::After,
    };
    ground.fault_of("CreateCluster", 1, lost);
    let made = ground.clusters.create(&ground.cluster("c", "one")).await;
    assert_eq!(made.unwrap().name, "c");
    assert_eq!(ground.account.simulator.faults()[0].hits, 1);
    assert_eq!(ground.clusters.names().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_a_cluster_is_invalid() {
    let ground = Ground::new().await;
    ground.create(&ground.cluster("warm", "warm")).await;
    for (what, change) in [("zones", 0), ("version", 1), ("role", 2)] {
        let mut spec = ground.cluster("c", what);
        match change {
            0 => spec.subnets.truncate(1),
            1 => spec.version = "1.12".to_owned(),
            _ => spec.role = ground.node_role.clone(),
        }
        let error = ground.clusters.create(&spec).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{what}: {error:?}");
    }
    assert_eq!(ground.clusters.find("c").await, Ok(None));
}

#[tokio::test]
async fn one_change_after_the_other() {
    let ground = Ground::up().await;
    let clusters = &ground.clusters;
    let logging = ClusterChange::Logging(BTreeSet::from(["scheduler".to_owned()]));
    let update = clusters.change("c", &logging, "l1").await.unwrap();
    assert_eq!(
        clusters.update("c", &update).await,
        Ok(Some(UpdateProgress::InProgress))
    );
    assert_eq!(
        clusters.change("c", &logging, "l1").await,
        Ok(update.clone())
    );
    let endpoint = Endpoint {
        public: false,
        private: true,
        public_cidrs: BTreeSet::new(),
    };
    let reach = ClusterChange::Endpoint(endpoint);
    let busy = clusters.change("c", &reach, "e1").await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy:?}");
    let busy = clusters.delete("c").await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::InUse, "{busy:?}");
    let busy = ground.node_groups.create(&ground.group("g", 1, "g")).await;
    assert_eq!(busy.unwrap_err().kind, PortErrorKind::Conflict);
    assert_eq!(
        ground.cluster_changed("c", &update).await,
        UpdateProgress::Successful
    );
    let live = ground.active("c").await;
    assert_eq!(live.logging, BTreeSet::from(["scheduler".to_owned()]));

    let update = clusters.change("c", &reach, "e2").await.unwrap();
    assert_eq!(
        ground.cluster_changed("c", &update).await,
        UpdateProgress::Successful
    );
    let live = ground.active("c").await;
    assert!(!live.endpoint.public && live.endpoint.private);

    let newer = ClusterChange::Version("1.35".to_owned());
    let update = clusters.change("c", &newer, "v1").await.unwrap();
    assert_eq!(
        ground.cluster_changed("c", &update).await,
        UpdateProgress::Successful
    );
    assert_eq!(ground.active("c").await.version, "1.35");
    let older = ClusterChange::Version("1.34".to_owned());
    let back = clusters.change("c", &older, "v2").await.unwrap_err();
    assert_eq!(back.kind, PortErrorKind::Invalid, "{back:?}");

    assert_eq!(clusters.update("c", "no-such-update").await, Ok(None));
    assert_eq!(clusters.update("nobody", "no-such-update").await, Ok(None));
    let nobody = clusters.change("nobody", &newer, "v3").await.unwrap_err();
    assert_eq!(nobody.kind, PortErrorKind::NotFound, "{nobody:?}");
}

#[tokio::test]
async fn secrets_are_encrypted_from_the_start_or_later_and_for_good() {
    let ground = Ground::up().await;
    let keys: Arc<dyn KeyApi> = Arc::new(ground.account.aws.clone());
    let key = keys.create("for secrets", &tags(&[])).await.unwrap().arn;
    let change = ClusterChange::Encryption(key.clone());
    let update = ground.clusters.change("c", &change, "k1").await.unwrap();
    assert_eq!(
        ground.cluster_changed("c", &update).await,
        UpdateProgress::Successful
    );
    assert_eq!(ground.active("c").await.encryption_key.as_ref(), Some(&key));
    let again = ground
        .clusters
        .change("c", &change, "k2")
        .await
        .unwrap_err();
    assert_eq!(again.kind, PortErrorKind::Invalid, "{again:?}");
    let mut spec = ground.cluster("d", "two");
    spec.encryption_key = Some(key.clone());
    let made = ground.clusters.create(&spec).await.unwrap();
    assert_eq!(made.encryption_key, Some(key));
}

#[tokio::test]
async fn tags_come_and_go_by_arn() {
    let ground = Ground::up().await;
    let arn = ground.active("c").await.arn;
    let set = tags(&[("owner", "you"), ("more", "")]);
    ground.clusters.retag(&arn, &set, &[]).await.unwrap();
    assert_eq!(ground.active("c").await.tags, set);
    let gone = ["more".to_owned(), "never".to_owned()];
    ground
        .clusters
        .retag(&arn, &tags(&[]), &gone)
        .await
        .unwrap();
    assert_eq!(ground.active("c").await.tags, tags(&[("owner", "you")]));
    ground.account.count_anew();
    ground.clusters.retag(&arn, &tags(&[]), &[]).await.unwrap();
    assert!(ground.account.simulator.counters().is_empty());
    let nobody = arn.replace("cluster/c", "cluster/d");
    let error = ground.clusters.retag(&nobody, &set, &[]).await;
    assert_eq!(error.unwrap_err().kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn the_newest_version_comes_first() {
    let account = Account::new().await;
    let versions = ClusterApi::versions(&account.aws).await.unwrap();
    assert!(versions.len() > 2, "{versions:?}");
    let minor = |version: &str| -> u32 { version.split('.').nth(1).unwrap().parse().unwrap() };
    let minors: Vec<u32> = versions.iter().map(|one| minor(&one.version)).collect();
    assert!(
        minors.is_sorted_by(|left, right| left > right),
        "{minors:?}"
    );
    assert_eq!(versions.iter().filter(|one| one.default).count(), 1);
    assert!(versions.iter().any(|one| one.standard_support));
}
