//! Other people's things in the same account, and a second environment: neither is touched.

use std::sync::Arc;

use pipectl::engine::{Graph, Stop, Verb};
use pipectl_stages::ports::{
    cloud::Tags,
    identity::RoleSpec,
    network::{Arrangement, Direction, NewPiece, PieceKind, PieceSpec, Rule, RulePeer},
};
use serde_json::{Value, json};

use crate::{
    account::Account,
    cluster::FakeCluster,
    graph::all,
    house::{House, pipeline},
    lifecycle::is_empty,
};

/// Kinds of resources that a run could touch by mistake.
const KINDS: &[(&str, &str)] = &[
    ("ec2", "vpcs"),
    ("ec2", "subnets"),
    ("ec2", "internet_gateways"),
    ("ec2", "route_tables"),
    ("ec2", "groups"),
    ("ec2", "addresses"),
    ("ec2", "nat_gateways"),
    ("ec2", "endpoints"),
    ("ec2", "interfaces"),
    ("ec2", "volumes"),
    ("ec2", "instances"),
    ("eks", "clusters"),
    ("elb", "balancers"),
    ("iam", "roles"),
    ("iam", "providers"),
    ("kms", "keys"),
    ("kms", "aliases"),
    ("logs", "groups"),
    ("ssm", "parameters"),
];

/// Everything there is, as it is.
fn whole(graph: &Value) -> Vec<(String, Value)> {
    let kinds = KINDS.iter().flat_map(|(service, kind)| {
        let all = all(graph, service, kind).into_iter();
        all.map(move |(id, one)| (format!("{service}/{kind}/{id}"), one.clone()))
    });
    kinds.collect()
}

/// What a neighbour has: some of it under names and tags that look like ours.
async fn neighbour(account: &Account) {
    let cluster = FakeCluster::new(account);
    let cloud = account.ports(&cluster).await.cloud.unwrap();
    let tags = Tags::from([
        ("Name".to_owned(), "pipectl-twin-vpc".to_owned()),
        ("pipectl.dev/environment".to_owned(), "twin".to_owned()),
        (
            "pipectl.dev/environment-uid".to_owned(),
            crate::house::uid(),
        ),
    ]);
    let piece = |spec: PieceSpec, token: &str| NewPiece {
        spec,
        tags: tags.clone(),
        token: token.to_owned(),
    };
    let network = &cloud.network;
    let cidr = "10.0.0.0/16".to_owned();
    let vpc = network
        .create(&piece(PieceSpec::Vpc { cidr }, "v"))
        .await
        .unwrap()
        .id;
    let address = network
        .create(&piece(PieceSpec::Address, "a"))
        .await
        .unwrap();
    assert!(!address.id.is_empty());
    for (number, zone) in ["us-west-2a", "us-west-2b"].into_iter().enumerate() {
        let subnet = PieceSpec::Subnet {
            vpc: vpc.clone(),
            zone: zone.to_owned(),
            cidr: format!("10.0.{number}.0/24"),
        };
        network.create(&piece(subnet, zone)).await.unwrap();
    }
    let role = RoleSpec {
        name: "pipectl-twin-us-west-2-other".to_owned(),
        path: "/pipectl/us-west-2/twin/".to_owned(),
        description: "somebody else's".to_owned(),
        trust: json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}),
        tags: tags.clone(),
    };
    cloud.identity.create_role(&role).await.unwrap();
    cloud.keys.create("somebody else's", &tags).await.unwrap();
    cloud
        .logs
        .create("/aws/eks/other/cluster", &tags)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_things_are_as_they_were() {
    let account = Arc::new(Account::new().await);
    neighbour(&account).await;
    // What becomes available by itself has become so.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let before = whole(&account.graph());

    let mut house = House::new(account.clone(), "twin").await;
    let loaded = pipeline(&[]);
    house.up(&loaded).await.well();
    house.down().await.well();
    assert_eq!(account.refused(), Vec::<String>::new());

    let after: Vec<(String, Value)> = whole(&account.graph())
        .into_iter()
        .filter(|(id, _)| before.iter().any(|(known, _)| known == id))
        .collect();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_environments_in_one_account_do_not_meet() {
    let account = Arc::new(Account::new().await);
    let mut one = House::new(account.clone(), "one").await;
    let mut two = House::new(account.clone(), "two").await;
    let loaded = pipeline(&[]);
    let (first, second) = tokio::join!(one.up(&loaded), two.up(&loaded));
    first.well();
    second.well();

    // One goes while the other is asked whether all is well.
    let (first, second) = tokio::join!(one.down(), two.up(&loaded));
    first.well();
    let second = second.well();
    assert_eq!(second.changed(), Vec::<String>::new());
    let clusters = account.graph();
    let clusters = all(&clusters, "eks", "clusters");
    assert_eq!(clusters.len(), 1, "{clusters:?}");
    assert_eq!(clusters[0].0, "pipectl-two");

    two.down().await.well();
    assert_eq!(account.refused(), Vec::<String>::new());
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_runs_of_one_name_one_wins_and_the_other_makes_nothing() {
    let account = Arc::new(Account::new().await);
    let mut one = House::new(account.clone(), "same").await;
    let mut two = House::new(account.clone(), "same").await;
    let loaded = pipeline(&[]);
    let (first, second) = tokio::join!(one.up(&loaded), two.up(&loaded));
    let (won, lost, mut winner) = if first.succeeded() {
        (first, second, one)
    } else {
        (second, first, two)
    };
    won.well();
    let error = lost.error_of("account/anchor");
    assert_eq!(error.code, "ACC010", "{error}");
    crate::lifecycle::is_whole(&account);
    winner.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_of_a_cluster_that_was_never_ours_stay() {
    let account = Arc::new(Account::new().await);
    let cluster = FakeCluster::new(&account);
    let cloud = account.ports(&cluster).await.cloud.unwrap();
    // EKS puts no tags on the groups that it makes, and they outlive their cluster.
    let name = "/aws/eks/pipectl-twin/cluster";
    cloud.logs.create(name, &Tags::new()).await.unwrap();
    let before = whole(&account.graph());

    let mut house = House::new(account.clone(), "twin").await;
    let impossible = "[{name: default, size: 1, instanceTypes: [m6i.gigantic]}]";
    let refused = house
        .up(&pipeline(&[("spec.nodeGroups", impossible)]))
        .await;
    assert_eq!(refused.error_of("account/preflight").code, "ACC005");
    house.down().await.well();
    assert_eq!(whole(&account.graph()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_somebody_elses_that_names_our_group_is_told_at_once() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "named").await;
    house.up(&pipeline(&[])).await.well();
    let graph = account.graph();
    let groups = all(&graph, "ec2", "groups");
    let of = |name: &str| {
        let found = groups.iter().find(|(_, group)| group["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {groups:#?}")).0
    };
    let (ours, default) = (of("pipectl-named-control-plane"), of("default"));
    let cloud = account.ports(&house.cluster).await.cloud.unwrap();
    let vpc = all(&graph, "ec2", "vpcs")[0].0.to_owned();
    let theirs = NewPiece {
        spec: PieceSpec::SecurityGroup {
            vpc,
            name: "web".to_owned(),
            description: "somebody else".to_owned(),
        },
        tags: Tags::new(),
        token: "web".to_owned(),
    };
    let web = cloud.network.create(&theirs).await.unwrap().id;
    // One lets in what has our group, the VPC's default one lets out to it.
    let naming = |direction: Direction| Rule {
        direction,
        protocol: "tcp".to_owned(),
        ports: Some((9092, 9092)),
        peer: RulePeer::Group(ours.to_owned()),
    };
    let rules = [(web.as_str(), Direction::In), (default, Direction::Out)]
        .map(|(group, direction)| (group.to_owned(), vec![naming(direction)]));
    for (group, rules) in rules.clone() {
        let allowed = Arrangement::Allowed { group, rules };
        cloud.network.arrange(&allowed).await.unwrap();
    }

    let seen = house.down().await;
    let error = seen.error_of("network/security-groups");
    assert_eq!(error.code, "DWN004", "{error}");
    for group in [web.as_str(), default] {
        assert!(error.cause.contains(group), "{error}");
    }
    assert!(error.hint.unwrap().contains(&web));

    for (group, rules) in rules {
        let revoked = Arrangement::Revoked { group, rules };
        cloud.network.arrange(&revoked).await.unwrap();
    }
    let delete = cloud.network.delete(PieceKind::SecurityGroup, &web);
    delete.await.unwrap();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_keys_are_not_walked_through_for_an_environment_without_one() {
    let account = Arc::new(Account::new().await);
    neighbour(&account).await;
    let mut house = House::new(account.clone(), "keyless").await;
    let plain = pipeline(&[("spec.cluster.encryptSecrets", "false")]);
    let walked = || {
        let counters = account.aws.counters();
        let walks = counters.into_iter().filter(|one| one.action == "ListKeys");
        walks.map(|one| one.calls).sum::<u64>()
    };
    house.up(&plain).await.well();
    assert_eq!(walked(), 0);
    // The look before it has no record here.
    let graph = Graph::down(house.removals(false).await).unwrap();
    account.aws.reset_counters();
    house.run(graph, Verb::Down, Stop::never()).await.well();
    assert_eq!(walked(), 0);

    // A key that was made and has no alias is found by its tags, and only by a walk while the tagging service lags: where
    // the record tells of a key, or of nothing.
    let encrypted = pipeline(&[]);
    let mut house = House::new(account.clone(), "keyed").await;
    house.up(&encrypted).await.well();
    let cloud = account.ports(&house.cluster).await.cloud.unwrap();
    cloud.keys.unalias("alias/pipectl/keyed").await.unwrap();
    house.forget();
    account.aws.reset_counters();
    house.down().await.well();
    assert!(walked() > 0);
    let graph = account.graph();
    let keys = all(&graph, "kms", "keys");
    let dying = keys.iter().filter(|(_, key)| !key["deletion"].is_null());
    assert_eq!(dying.count(), 1, "{keys:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_the_cluster_made_goes_with_its_role_and_somebody_elses_only_loses_it() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "profiled").await;
    house.up(&pipeline(&[])).await.well();
    let graph = account.graph();
    let roles = all(&graph, "iam", "roles");
    let role = roles.iter().find(|(name, _)| name.contains("node"));
    let role = role.unwrap_or_else(|| panic!("{roles:#?}")).0;
    let iam = account.hand().iam;
    for (name, cluster) in [("of-a-pool", "pipectl-profiled"), ("theirs", "another")] {
        let tag = aws_sdk_iam::types::Tag::builder()
            .key(format!("kubernetes.io/cluster/{cluster}"))
            .value("owned")
            .build();
        let made = iam.create_instance_profile().instance_profile_name(name);
        made.tags(tag.unwrap()).send().await.unwrap();
        let added = iam.add_role_to_instance_profile();
        let added = added.instance_profile_name(name).role_name(role);
        added.send().await.unwrap();
    }
    house.down().await.well();
    let left = iam.list_instance_profiles().send().await.unwrap();
    let left = left.instance_profiles();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].instance_profile_name(), "theirs");
    assert!(left[0].roles().is_empty());
}
