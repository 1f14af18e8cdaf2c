//! What the environment made and lost sight of: tags that somebody took off, a cluster under a former name, a provider whose
//! cluster is gone. Nothing of it is passed over as gone.

use std::{sync::Arc, time::Duration};

use pipectl_stages::{
    Fate,
    ports::{
        cloud::{Cloud, Tags},
        clusters::{Cluster, ClusterSpec},
    },
};

use crate::{
    account::{Account, Hand},
    cluster::FakeCluster,
    graph::{all, standing},
    house::{House, Seen, pipeline},
    lifecycle::{is_empty, is_whole},
};

const UID: &str = "pipectl.dev/environment-uid";
const ALL: &[&str] = &[UID, "pipectl.dev/environment", "pipectl.dev/step"];

/// An environment that is up, and somebody's hands in its account.
struct Scene {
    account: Arc<Account>,
    house: House,
    hand: Hand,
    cloud: Cloud,
}

impl Scene {
    async fn up() -> Self {
        let account = Arc::new(Account::new().await);
        let mut house = House::new(account.clone(), "astray").await;
        house.up(&pipeline(&[])).await.well();
        let cluster = FakeCluster::new(&account);
        let cloud = account.ports(&cluster).await.cloud.unwrap();
        let hand = account.hand();
        Self {
            account,
            house,
            hand,
            cloud,
        }
    }

    fn uid(&self) -> Tags {
        Tags::from([(UID.to_owned(), self.house.environment.uid.clone())])
    }

    fn address(&self) -> String {
        let graph = self.account.graph();
        all(&graph, "ec2", "addresses")[0].0.to_owned()
    }

    /// Takes tags off an address, a role, the OIDC provider and the key.
    async fn strip(&self, keys: &[&str]) {
        let owned: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.strip_piece(&self.address(), keys).await;
        let identity = &self.cloud.identity;
        let none = Tags::new();
        let done = identity.retag_role("pipectl-astray-us-west-2-ebs-csi", &none, &owned);
        done.await.unwrap();
        let provider = &identity.oidc_providers().await.unwrap()[0];
        let done = identity.retag_oidc_provider(&provider.arn, &none, &owned);
        done.await.unwrap();
        let key = self
            .cloud
            .keys
            .behind("alias/pipectl/astray")
            .await
            .unwrap();
        let done = self.cloud.keys.retag(&key.unwrap().id, &none, &owned).await;
        done.unwrap();
    }

    async fn strip_piece(&self, id: &str, keys: &[&str]) {
        let mut call = self.hand.ec2.delete_tags().resources(id);
        for key in keys {
            call = call.tags(aws_sdk_ec2::types::Tag::builder().key(*key).build());
        }
        call.send().await.unwrap();
    }

    async fn strip_cluster(&self, keys: &[&str]) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let arn = self.cluster("pipectl-astray").await.unwrap().arn;
        let done = self.cloud.clusters.retag(&arn, &Tags::new(), &keys).await;
        done.unwrap();
    }

    async fn cluster(&self, name: &str) -> Option<Cluster> {
        self.cloud.clusters.find(name).await.unwrap()
    }
}

/// What a run says is still there.
fn left(seen: &Seen) -> Vec<String> {
    let reports = seen.end.report.absence.iter();
    let remaining = reports.flat_map(|report| &report.remaining);
    let there = remaining.filter(|left| matches!(left.fate, Fate::StillThere { .. }));
    there.map(|left| left.resource.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lost_the_tag_of_its_uid_alone_still_goes() {
    let mut scene = Scene::up().await;
    scene.strip(&[UID]).await;
    let graph = scene.account.graph();
    for kind in ["vpcs", "nat_gateways", "internet_gateways", "subnets"] {
        for (id, piece) in all(&graph, "ec2", kind) {
            if piece.to_string().contains(&scene.house.environment.uid) {
                scene.strip_piece(id, &[UID]).await;
            }
        }
    }
    scene.strip_cluster(&[UID]).await;
    scene.house.down().await.well();
    is_empty(&scene.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lost_all_its_tags_is_named_and_left() {
    let mut scene = Scene::up().await;
    scene.strip(ALL).await;
    let address = scene.address();
    // Twice: what is named once is not forgotten.
    for _ in 0..2 {
        let seen = scene.house.down().await;
        assert!(!seen.succeeded());
        for step in [
            "network/addresses",
            "cluster/roles",
            "cluster/oidc-provider",
            "cluster/key",
        ] {
            let error = seen.error_of(step);
            assert_eq!(error.code, "DWN005", "{error}");
            assert!(error.hint.is_some_and(|hint| hint.contains("tag")));
        }
        let said = left(&seen);
        assert!(said.iter().any(|one| one.contains(&address)), "{said:?}");
        assert_eq!(said.len(), 4, "{said:?}");
        let graph = scene.account.graph();
        let stands: Vec<String> = standing(&graph).into_keys().collect();
        assert_eq!(
            stands,
            [
                "ec2/addresses",
                "iam/providers",
                "iam/roles",
                "kms/aliases",
                "kms/keys",
                "ssm/parameters"
            ]
        );
    }
    let uid = aws_sdk_ec2::types::Tag::builder()
        .key(UID)
        .value(&scene.house.environment.uid)
        .build();
    let tag = scene.hand.ec2.create_tags().resources(&address).tags(uid);
    tag.send().await.unwrap();
    let identity = &scene.cloud.identity;
    let back = scene.uid();
    let role = identity.retag_role("pipectl-astray-us-west-2-ebs-csi", &back, &[]);
    role.await.unwrap();
    let provider = &identity.oidc_providers().await.unwrap()[0];
    let done = identity.retag_oidc_provider(&provider.arn, &back, &[]);
    done.await.unwrap();
    let keys = &scene.cloud.keys;
    let key = keys.behind("alias/pipectl/astray").await.unwrap().unwrap();
    keys.retag(&key.id, &back, &[]).await.unwrap();
    scene.house.down().await.well();
    is_empty(&scene.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lost_its_tags_ends_the_way_down_before_anything_goes() {
    let mut scene = Scene::up().await;
    scene.strip_cluster(ALL).await;
    // Its role still says who made it when the record is lost.
    for forgotten in [false, true] {
        if forgotten {
            scene.house.forget();
        }
        scene.account.aws.reset_counters();
        let seen = scene.house.down().await;
        let error = seen.error_of("cluster/load-balancers");
        assert_eq!(error.code, "DWN005", "{error}");
        assert!(error.resource.contains("pipectl-astray"), "{error}");
        assert!(left(&seen).contains(&"EKS cluster pipectl-astray".to_owned()));
        let changes = scene.account.changes();
        // The lease in the account is all that is written.
        assert!(
            changes.iter().all(|count| count.service == "ssm"),
            "{changes:?}"
        );
        is_whole(&scene.account);
    }
    let arn = scene.cluster("pipectl-astray").await.unwrap().arn;
    let done = scene.cloud.clusters.retag(&arn, &scene.uid(), &[]).await;
    done.unwrap();
    scene.house.down().await.well();
    is_empty(&scene.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_for_the_cluster_is_refused_before_the_first_effect() {
    let mut scene = Scene::up().await;
    let other = pipeline(&[("spec.cluster.name", "another")]);
    for forgotten in [false, true] {
        if forgotten {
            scene.house.forget();
        }
        scene.account.aws.reset_counters();
        let error = scene.house.up(&other).await.error_of("account/preflight");
        assert_eq!(error.code, "ACC013", "{error}");
        let words = error.to_string();
        assert!(
            words.contains("pipectl-astray") && words.contains("another"),
            "{words}"
        );
        assert_eq!(scene.account.changes(), []);
    }
    scene.house.down().await.well();
    scene.house.up(&other).await.well();
    scene.house.down().await.well();
    is_empty(&scene.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cluster_of_the_environment_goes_too() {
    let mut scene = Scene::up().await;
    let first = scene.cluster("pipectl-astray").await.unwrap();
    // As its own `up` made it.
    let logs = scene
        .cloud
        .logs
        .create("/aws/eks/former/cluster", &first.tags);
    logs.await.unwrap();
    let spec = ClusterSpec {
        name: "former".to_owned(),
        version: first.version,
        role: first.role,
        subnets: first.subnets,
        security_groups: first.security_groups,
        endpoint: first.endpoint,
        logging: first.logging,
        encryption_key: None,
        tags: first.tags,
        token: "of-an-older-version".to_owned(),
    };
    scene.cloud.clusters.create(&spec).await.unwrap();
    scene.house.down().await.well();
    is_empty(&scene.account);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_of_a_cluster_that_is_gone_goes_when_another_is_made() {
    let mut scene = Scene::up().await;
    let name = "pipectl-astray";
    let groups = &scene.cloud.node_groups;
    for group in groups.names(name).await.unwrap() {
        groups.delete(name, &group).await.unwrap();
    }
    while !groups.names(name).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.cloud.clusters.delete(name).await.unwrap();
    while scene.cluster(name).await.is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = scene.cloud.identity.oidc_providers().await.unwrap();
    scene.house.up(&pipeline(&[])).await.well();
    let after = scene.cloud.identity.oidc_providers().await.unwrap();
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after[0].arn, before[0].arn);
    is_whole(&scene.account);
    scene.house.down().await.well();
    is_empty(&scene.account);
}
