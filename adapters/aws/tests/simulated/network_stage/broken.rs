//! Runs that break off, and calls that fail.

use std::time::Duration;

use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment, AwsFaultRule};
use pipectl_stages::{Change, Retry};

use super::{Run, all, late, named, pipeline, whole};

/// A run that ends right after each call that makes something, before anything of it is recorded; the next one begins at
/// once, when reads by tag do not show it yet.
#[tokio::test]
async fn a_run_that_breaks_off_after_every_creation_leaves_one_of_each_in_the_end() {
    let mut run = Run::new(late()).await;
    let loaded = pipeline(&[]);
    for step in all(&loaded) {
        run.ensure(&step).await.unwrap();
        let forgotten = run.world.outputs.remove(step.id().as_str());
        assert!(forgotten.is_some(), "{}", step.id());
        // Another process: what this one remembers is gone as well.
        let anew = all(&loaded);
        let again = anew.iter().find(|one| one.id() == step.id()).unwrap();
        run.step(again)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", step.id()));
    }
    // What was made twice before reads saw the first is removed by the next run.
    tokio::time::sleep(Duration::from_millis(500)).await;
    run.up(&loaded).await;
    assert_eq!(run.census(), whole(3, 1));
    run.changes();
    run.up(&loaded).await;
    assert_eq!(run.changes(), [""; 0]);
    run.down().await.unwrap();
    assert!(run.census().is_empty(), "{:?}", run.census());
}

#[tokio::test]
async fn answers_that_get_lost_make_nothing_twice() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    let lost = AwsFaultRule {
        service: Some("ec2".to_owned()),
        percent: Some(20),
        seed: 7,
        effect: AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::After,
        },
        ..AwsFaultRule::default()
    };
    run.account.simulator.set_faults(vec![lost]);
    run.up(&loaded).await;
    run.account.simulator.set_faults(Vec::new());
    assert_eq!(run.census(), whole(3, 1));
    run.changes();
    run.up(&loaded).await;
    assert_eq!(run.changes(), [""; 0]);
}

#[tokio::test]
async fn a_nat_gateway_that_failed_is_followed_by_another() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    let steps = all(&loaded);
    // Before the internet gateway is there, which the graph would never do.
    for step in ["vpc", "public-subnet-1", "nat-address-1"] {
        run.step(&named(&steps, step)).await.unwrap();
    }
    let nat = named(&steps, "nat-gateway-1");
    let failed = run.step(&nat).await.unwrap_err();
    assert_eq!(failed.code, "NET002", "{failed:?}");
    assert!(
        failed.cause.starts_with("Gateway.NotAttached: "),
        "{failed:?}"
    );
    assert_ne!(failed.retry, Retry::Soon);
    run.step(&named(&steps, "internet-gateway")).await.unwrap();
    assert_eq!(run.step(&nat).await.unwrap(), Some(Change::Created));
    assert_eq!(run.world.outputs["network/nat-gateway-1"]["attempt"], 2);
    run.up(&loaded).await;
    assert_eq!(run.census(), whole(3, 1));
    run.down().await.unwrap();
    assert!(run.census().is_empty(), "{:?}", run.census());
}

#[tokio::test]
async fn a_strangers_gateway_and_group_in_our_vpc_are_not_touched() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    let steps = all(&loaded);
    run.step(&named(&steps, "vpc")).await.unwrap();
    let vpc = run.world.outputs["network/vpc"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ec2 = run.account.ec2.clone();
    let request = ec2.create_security_group().vpc_id(&vpc);
    let request = request.group_name("pipectl-demo-control-plane");
    request
        .description("of somebody else")
        .send()
        .await
        .unwrap();
    let made = ec2.create_internet_gateway().send().await.unwrap();
    let gateway = made
        .internet_gateway()
        .unwrap()
        .internet_gateway_id()
        .unwrap();
    let attach = ec2.attach_internet_gateway().vpc_id(&vpc);
    attach.internet_gateway_id(gateway).send().await.unwrap();
    run.changes();
    for step in ["control-plane-group", "internet-gateway"] {
        let refused = run.step(&named(&steps, step)).await.unwrap_err();
        assert_eq!(refused.code, "STG001", "{refused:?}");
    }
    assert_eq!(run.changes(), [""; 0]);
}
