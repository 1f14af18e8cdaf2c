//! A pipeline that wants something else than before.

use pipectl_stages::Change;

use super::{Run, all, named, pipeline, whole};

#[tokio::test]
async fn nat_gateways_come_and_go_with_their_mode() {
    let mut run = Run::prompt().await;
    for (mode, gateways) in [("single", 1), ("per-zone", 3), ("none", 0), ("single", 1)] {
        let loaded = pipeline(&[("spec.network.nat", mode)]);
        run.up(&loaded).await;
        assert_eq!(run.census(), whole(3, gateways), "{mode}");
        run.changes();
        run.up(&loaded).await;
        assert_eq!(run.changes(), [""; 0], "{mode}");
    }
}

#[tokio::test]
async fn tags_follow_the_pipeline_and_others_tags_stay() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[("spec.tags", "{team: a, cost: x}")]);
    run.up(&loaded).await;
    let vpc = run.world.outputs["network/vpc"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let theirs = aws_sdk_ec2::types::Tag::builder()
        .key("theirs")
        .value("1")
        .build();
    let tag = run.account.ec2.create_tags().resources(&vpc).tags(theirs);
    tag.send().await.unwrap();
    run.changes();
    let loaded = pipeline(&[("spec.tags", "{team: b}")]);
    let changed = run.up(&loaded).await;
    assert_eq!(changed["network/vpc"], Some(Change::Updated));
    let mut kinds = run.changes();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["CreateTags", "DeleteTags"]);
    let found = run
        .account
        .ec2
        .describe_vpcs()
        .vpc_ids(&vpc)
        .send()
        .await
        .unwrap();
    let tags = found.vpcs()[0].tags();
    let value = |key: &str| {
        let found = tags.iter().find(|tag| tag.key() == Some(key));
        found.and_then(|tag| tag.value()).map(str::to_owned)
    };
    assert_eq!(value("team").as_deref(), Some("b"));
    assert_eq!(value("cost"), None);
    assert_eq!(value("theirs").as_deref(), Some("1"));
    run.up(&loaded).await;
    assert_eq!(run.changes(), [""; 0]);
}

#[tokio::test]
async fn what_somebody_took_apart_is_put_together_again() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    run.up(&loaded).await;
    let id = |run: &Run, step: &str| run.world.outputs[step]["id"].as_str().unwrap().to_owned();
    let ec2 = run.account.ec2.clone();
    let (table, vpc) = (
        id(&run, "network/private-routes-2"),
        id(&run, "network/vpc"),
    );
    let request = ec2.delete_route().route_table_id(&table);
    request
        .destination_cidr_block("0.0.0.0/0")
        .send()
        .await
        .unwrap();
    let off = aws_sdk_ec2::types::AttributeBooleanValue::builder()
        .value(false)
        .build();
    let request = ec2.modify_vpc_attribute().vpc_id(&vpc);
    request.enable_dns_hostnames(off).send().await.unwrap();
    let nat = id(&run, "network/nat-gateway-1");
    ec2.delete_nat_gateway()
        .nat_gateway_id(&nat)
        .send()
        .await
        .unwrap();
    let gone = || async {
        let found = ec2
            .describe_nat_gateways()
            .nat_gateway_ids(&nat)
            .send()
            .await;
        let found = found.unwrap();
        let state = found.nat_gateways()[0].state().cloned();
        (state == Some(aws_sdk_ec2::types::NatGatewayState::Deleted)).then_some(())
    };
    crate::support::until("a deleted NAT gateway", gone).await;
    let changed = run.up(&loaded).await;
    assert_eq!(changed["network/vpc"], Some(Change::Updated));
    assert_eq!(changed["network/nat-gateway-1"], Some(Change::Created));
    assert_eq!(changed["network/private-routes-2"], Some(Change::Updated));
    assert_eq!(run.census(), whole(3, 1));
    run.changes();
    run.up(&loaded).await;
    assert_eq!(run.changes(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_change_is_refused() {
    let mut run = Run::prompt().await;
    run.up(&pipeline(&[("spec.network.cidr", "10.0.0.0/16")]))
        .await;
    let steps = all(&pipeline(&[("spec.network.cidr", "10.1.0.0/16")]));
    let refused = run.step(&named(&steps, "vpc")).await.unwrap_err();
    assert_eq!(refused.code, "NET001", "{refused:?}");
}
