//! EKS add-ons.

use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        addons::{Addon, AddonApi, AddonState},
        cloud::{Deletion, UpdateProgress},
    },
};
use serde_json::json;

use super::Ground;
use crate::support::{Account, tags, until};

const NAME: &str = "kube-proxy";

impl Ground {
    async fn addon_in(&self, name: &str, state: AddonState) -> Addon {
        until(&format!("an add-on that is {state:?}"), || async {
            let found = self.addons.find("c", name).await.unwrap();
            found.filter(|found| found.state == state)
        })
        .await
    }
}

#[tokio::test]
async fn an_addon_lives_its_life() {
    let ground = Ground::up().await;
    let addons = &ground.addons;
    assert_eq!(addons.find("c", NAME).await, Ok(None));
    let versions = addons.versions(NAME, "1.34").await.unwrap();
    let [newest, before, ..] = &versions[..] else {
        panic!("{versions:?}");
    };
    let mut spec = ground.addon(NAME, &before.version, "one");
    let made = addons.create(&spec).await.unwrap();
    assert_eq!(
        (made.state, &made.version),
        (AddonState::Creating, &before.version)
    );
    assert_eq!(addons.create(&spec).await.unwrap().arn, made.arn);
    let other = addons
        .create(&ground.addon(NAME, &before.version, "two"))
        .await;
    assert_eq!(other.unwrap_err().kind, PortErrorKind::AlreadyExists);
    let live = ground.addon_in(NAME, AddonState::Active).await;
    assert_eq!((&live.configuration, &live.tags), (&None, &spec.tags));
    assert_eq!(addons.names("c").await, Ok(vec![NAME.to_owned()]));

    // Version and settings change together.
    spec.version.clone_from(&newest.version);
    spec.configuration = Some(json!({"mode": "ipvs", "deep": {"number": 3, "none": null}}));
    spec.token = "change".to_owned();
    let update = addons.change(&spec).await.unwrap();
    assert_eq!(addons.change(&spec).await, Ok(update.clone()));
    let busy = ground.addon(NAME, &newest.version, "busy");
    let busy = addons.change(&busy).await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy:?}");
    let busy = addons.delete("c", NAME).await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::InUse, "{busy:?}");
    assert_eq!(ground.clusters.update("c", &update).await, Ok(None));
    let look = || async { addons.update("c", NAME, &update).await.unwrap() };
    assert_eq!(ground.ended(look).await, UpdateProgress::Successful);
    let live = ground.addon_in(NAME, AddonState::Active).await;
    assert_eq!(
        (&live.version, &live.configuration),
        (&spec.version, &spec.configuration)
    );

    // No settings any more.
    spec.configuration = None;
    spec.token = "none".to_owned();
    let update = addons.change(&spec).await.unwrap();
    let look = || async { addons.update("c", NAME, &update).await.unwrap() };
    assert_eq!(ground.ended(look).await, UpdateProgress::Successful);
    let live = ground.addon_in(NAME, AddonState::Active).await;
    assert_eq!(live.configuration, None);

    let more = tags(&[("owner", "you")]);
    ground.clusters.retag(&live.arn, &more, &[]).await.unwrap();
    assert_eq!(addons.find("c", NAME).await.unwrap().unwrap().tags, more);

    assert_eq!(addons.delete("c", NAME).await, Ok(Deletion::Accepted));
    until("an add-on that is gone", || async {
        addons
            .find("c", NAME)
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(addons.delete("c", NAME).await, Ok(Deletion::Absent));
    assert_eq!(addons.update("c", NAME, "no-such-update").await, Ok(None));
}

#[tokio::test]
async fn what_is_asked_of_a_cluster_that_is_not_there() {
    let ground = Ground::new().await;
    let addons = &ground.addons;
    assert_eq!(addons.find("c", NAME).await, Ok(None));
    assert_eq!(addons.names("c").await, Ok(Vec::new()));
    assert_eq!(addons.update("c", NAME, "u").await, Ok(None));
    assert_eq!(addons.delete("c", NAME).await, Ok(Deletion::Absent));
    let error = addons.create(&ground.addon(NAME, "v1", "t")).await;
    assert_eq!(error.unwrap_err().kind, PortErrorKind::NotFound);
}

#[tokio::test]
async fn an_addon_that_does_not_fit_is_refused_and_one_without_nodes_is_degraded() {
    let ground = Ground::new().await;
    let addons = &ground.addons;
    ground.create(&ground.cluster("c", "one")).await;
    let version = ground.default_version("coredns").await;
    let early = addons
        .create(&ground.addon("coredns", &version, "early"))
        .await;
    let early = early.unwrap_err();
    assert_eq!(early.kind, PortErrorKind::Conflict, "{early:?}");
    ground.active("c").await;
    for (name, version) in [
        ("coredns", "v0.0.1-eksbuild.1"),
        ("no-such-addon", &version),
    ] {
        let error = addons.create(&ground.addon(name, version, name)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{name}: {error:?}");
    }
    let made = addons
        .create(&ground.addon("coredns", &version, "now"))
        .await;
    made.unwrap();
    let degraded = ground.addon_in("coredns", AddonState::Degraded).await;
    assert_eq!(degraded.issues.len(), 1, "{degraded:?}");
    assert!(!degraded.issues[0].code.is_empty());
}

#[tokio::test]
async fn the_newest_version_comes_first_and_one_is_the_default() {
    let account = Account::new().await;
    for name in ["vpc-cni", "coredns", NAME, "aws-ebs-csi-driver"] {
        let versions = AddonApi::versions(&account.aws, name, "1.35")
            .await
            .unwrap();
        assert!(versions.len() > 1, "{name}: {versions:?}");
        assert_eq!(
            versions.iter().filter(|one| one.default).count(),
            1,
            "{name}"
        );
    }
    let none = AddonApi::versions(&account.aws, NAME, "9.99").await;
    assert_eq!(none, Ok(Vec::new()));
}
