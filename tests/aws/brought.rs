//! A VPC that the user brought: with every record of this machine lost it is still looked into.

use std::sync::Arc;

use pipectl_stages::ports::network::{
    Arrangement, NetworkApi, NewPiece, PieceKind, PieceSpec, RouteTarget,
};

use crate::{
    account::{Account, Hand},
    graph::{all, standing},
    house::{House, pipeline},
};

/// A VPC of somebody's, with two public subnets.
struct Theirs {
    vpc: String,
    subnets: Vec<String>,
}

impl Theirs {
    async fn make(network: &Arc<dyn NetworkApi>) -> Self {
        let make = |spec: PieceSpec, token: &str| {
            let new = NewPiece {
                spec,
                tags: [("Name".to_owned(), "theirs".to_owned())].into(),
                token: token.to_owned(),
            };
            async move { network.create(&new).await.unwrap().id }
        };
        let cidr = "10.7.0.0/16".to_owned();
        let vpc = make(PieceSpec::Vpc { cidr }, "v").await;
        let gateway = make(PieceSpec::InternetGateway, "g").await;
        let table = make(PieceSpec::RouteTable { vpc: vpc.clone() }, "t").await;
        let mut arrangements = vec![
            Arrangement::Dns {
                vpc: vpc.clone(),
                support: true,
                hostnames: true,
            },
            Arrangement::Attached {
                gateway: gateway.clone(),
                vpc: vpc.clone(),
            },
            Arrangement::Routed {
                table: table.clone(),
                destination: "0.0.0.0/0".to_owned(),
                target: RouteTarget::InternetGateway(gateway),
            },
        ];
        let mut subnets = Vec::new();
        for (number, zone) in ["us-west-2a", "us-west-2b"].into_iter().enumerate() {
            let spec = PieceSpec::Subnet {
                vpc: vpc.clone(),
                zone: zone.to_owned(),
                cidr: format!("10.7.{number}.0/24"),
            };
            let subnet = make(spec, zone).await;
            arrangements.push(Arrangement::Associated {
                table: table.clone(),
                subnet: subnet.clone(),
            });
            arrangements.push(Arrangement::PublicAddresses {
                subnet: subnet.clone(),
                on: true,
            });
            subnets.push(subnet);
        }
        for arrangement in arrangements {
            network.arrange(&arrangement).await.unwrap();
        }
        Self { vpc, subnets }
    }
}

/// An interface that the network plugin of a cluster left in a subnet.
async fn interface(hand: &Hand, subnet: &str, cluster: &str) -> String {
    let tag = aws_sdk_ec2::types::Tag::builder()
        .key("cluster.k8s.amazonaws.com/name")
        .value(cluster);
    let tags = aws_sdk_ec2::types::TagSpecification::builder()
        .resource_type(aws_sdk_ec2::types::ResourceType::NetworkInterface)
        .tags(tag.build());
    let made = hand
        .ec2
        .create_network_interface()
        .subnet_id(subnet)
        .tag_specifications(tags.build());
    let made = made.send().await.unwrap();
    let made = made.network_interface();
    made.and_then(|made| made.network_interface_id())
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_record_the_cluster_and_our_group_gone_what_was_left_in_it_is_found() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "guest").await;
    let cloud = account.ports(&house.cluster).await.cloud.unwrap();
    let theirs = Theirs::make(&cloud.network).await;
    let before = standing(&account.graph());
    let existing = format!(
        "{{id: {}, privateSubnets: [{}]}}",
        theirs.vpc,
        theirs.subnets.join(", ")
    );
    let loaded = pipeline(&[("spec.network.existingVpc", &existing)]);
    house.up(&loaded).await.well();

    let left = interface(&account.hand(), &theirs.subnets[0], "pipectl-guest").await;
    account.faults(vec![crate::trouble::error(
        "ec2",
        "DeleteNetworkInterface",
        "UnauthorizedOperation",
    )]);
    assert!(!house.down().await.succeeded());
    account.faults(Vec::new());
    let graph = account.graph();
    assert!(all(&graph, "eks", "clusters").is_empty());
    let groups = all(&graph, "ec2", "groups");
    let ours = groups
        .iter()
        .find(|(_, group)| group["name"] == "pipectl-guest-control-plane");
    let ours = ours.unwrap_or_else(|| panic!("{groups:#?}")).0;
    let deleted = cloud.network.delete(PieceKind::SecurityGroup, ours);
    deleted.await.unwrap();
    house.forget();

    house.down().await.well();
    let graph = account.graph();
    let interfaces = all(&graph, "ec2", "interfaces");
    assert!(
        interfaces.iter().all(|(id, _)| *id != left),
        "{interfaces:#?}"
    );
    assert_eq!(standing(&graph), before);
}
