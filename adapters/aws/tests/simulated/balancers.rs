//! The port of load balancers. Controllers make them, so here an SDK client does.

use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Action, ActionTypeEnum, LoadBalancerTypeEnum, ProtocolEnum, Tag},
};
use pipectl_sandbox::aws::AwsFaultEffect;
use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::{
        balancers::{Balancer, BalancerApi, BalancerKind},
        cloud::{Deletion, Tags},
        network::{NewPiece, PieceSpec},
    },
};

use crate::{
    place::fault,
    support::{Account, tags},
};

async fn vpc(account: &Account, cidr: &str) -> (String, String) {
    let make = |spec: PieceSpec| async move {
        let new = NewPiece {
            spec,
            tags: Tags::new(),
            token: String::new(),
        };
        account.network.create(&new).await.unwrap().id
    };
    let vpc = make(PieceSpec::Vpc {
        cidr: cidr.to_owned(),
    })
    .await;
    let subnet = make(PieceSpec::Subnet {
        vpc: vpc.clone(),
        zone: "us-west-2a".to_owned(),
        cidr: cidr.replace("/16", "/24"),
    })
    .await;
    (vpc, subnet)
}

async fn balancer(elb: &Client, name: &str, subnet: &str) -> String {
    let made = elb
        .create_load_balancer()
        .name(name)
        .r#type(LoadBalancerTypeEnum::Network)
        .subnets(subnet)
        .tags(Tag::builder().key("service").value(name).build());
    let made = made.send().await.unwrap();
    made.load_balancers()[0]
        .load_balancer_arn()
        .unwrap()
        .to_owned()
}

async fn group(elb: &Client, name: &str, vpc: &str) -> String {
    let made = elb
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Tcp)
        .port(80)
        .vpc_id(vpc);
    let made = made.send().await.unwrap();
    made.target_groups()[0]
        .target_group_arn()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_is_in_a_vpc_is_found_with_tags_and_deleted_in_order() {
    let account = Account::new().await;
    let port: &dyn BalancerApi = &account.aws;
    let elb = Client::new(&crate::sdk::config(&account));
    let (mine, subnet) = vpc(&account, "10.0.0.0/16").await;
    let (theirs, other_subnet) = vpc(&account, "10.1.0.0/16").await;
    assert!(port.in_vpc(&mine).await.unwrap().is_empty());

    let arn = balancer(&elb, "was", &subnet).await;
    let foreign = balancer(&elb, "other", &other_subnet).await;
    let target = group(&elb, "was-80", &mine).await;
    let forward = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn(&target);
    elb.create_listener()
        .load_balancer_arn(&arn)
        .protocol(ProtocolEnum::Tcp)
        .port(80)
        .default_actions(forward.build())
        .send()
        .await
        .unwrap();

    let found = port.in_vpc(&mine).await.unwrap();
    let expected = [
        Balancer {
            kind: BalancerKind::Network,
            id: arn.clone(),
            name: "was".to_owned(),
            vpc: mine.clone(),
            tags: tags(&[("service", "was")]),
        },
        Balancer {
            kind: BalancerKind::TargetGroup,
            id: target.clone(),
            name: "was-80".to_owned(),
            vpc: mine.clone(),
            tags: Tags::new(),
        },
    ];
    assert_eq!(found, expected);
    let in_use = port.delete(&found[1]).await.unwrap_err();
    assert_eq!(in_use.kind, Kind::InUse, "{in_use}");
    for (one, met) in [
        (&found[0], Deletion::Accepted),
        (&found[0], Deletion::Absent),
        (&found[1], Deletion::Accepted),
        (&found[1], Deletion::Absent),
    ] {
        assert_eq!(port.delete(one).await.unwrap(), met, "{one:?}");
    }
    assert!(port.in_vpc(&mine).await.unwrap().is_empty());
    assert_eq!(port.in_vpc(&theirs).await.unwrap()[0].id, foreign);
}

/// Tags are asked for in packs of twenty, and one that went away meanwhile does not take the others' tags along.
#[tokio::test]
async fn many_are_found_although_one_goes_away_meanwhile() {
    let account = Account::new().await;
    let port: &dyn BalancerApi = &account.aws;
    let elb = Client::new(&crate::sdk::config(&account));
    let (mine, subnet) = vpc(&account, "10.0.0.0/16").await;
    for number in 10..35 {
        balancer(&elb, &format!("was-{number}"), &subnet).await;
    }
    let effect = AwsFaultEffect::Error {
        code: "LoadBalancerNotFound".to_owned(),
        message: "One or more load balancers not found".to_owned(),
        status: None,
    };
    // The first pack, and then one of its members.
    fault(
        &account,
        "elasticloadbalancing",
        "DescribeTags",
        Some(2),
        effect,
    );
    let found = port.in_vpc(&mine).await.unwrap();
    assert_eq!(found.len(), 24);
    assert!(
        found
            .iter()
            .all(|one| one.tags == tags(&[("service", &one.name)]))
    );
    assert_eq!(port.in_vpc(&mine).await.unwrap().len(), 25);
}

#[tokio::test]
async fn a_classic_one_that_is_not_there_is_absent() {
    let account = Account::new().await;
    let nobody = Balancer {
        kind: BalancerKind::Classic,
        id: "a0123456789".to_owned(),
        name: "a0123456789".to_owned(),
        vpc: "vpc-1".to_owned(),
        tags: Tags::new(),
    };
    let met = BalancerApi::delete(&account.aws, &nobody).await.unwrap();
    assert_eq!(met, Deletion::Absent);
}
