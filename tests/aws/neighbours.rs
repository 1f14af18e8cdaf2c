//! Other people's things in the same account, and a second environment: neither is touched.

use std::sync::Arc;

use pipectl_stages::ports::{
    cloud::Tags,
    identity::RoleSpec,
    network::{NewPiece, PieceSpec},
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
