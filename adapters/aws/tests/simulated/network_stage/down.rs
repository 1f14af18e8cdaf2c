//! Down, from the record or from tags alone, and what others put into the VPC.

use pipectl_sandbox::aws::Consistency;

use super::{Run, pipeline};
use crate::network::standing;

#[tokio::test]
async fn everything_goes_with_the_record_and_without_it() {
    for forgotten in [false, true] {
        let mut run = Run::new(Consistency::default()).await;
        // Somebody's network beside it.
        standing(&run.account).await;
        let before = run.census();
        let loaded = pipeline(&[("spec.network.nat", "per-zone")]);
        run.up(&loaded).await;
        if forgotten {
            run.forget();
            // Tags that lists do not show yet are found by nobody.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        run.down().await.unwrap();
        assert_eq!(run.census(), before, "forgotten: {forgotten}");
        // Once more there is nothing to do.
        run.changes();
        run.down().await.unwrap();
        assert_eq!(run.changes(), [""; 0]);
    }
}

#[tokio::test]
async fn somebody_elses_interface_is_named_and_left_alone() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    run.up(&loaded).await;
    let subnet = run.world.outputs["network/private-subnet-1"]["id"].as_str();
    let request = run.account.ec2.create_network_interface();
    let request = request
        .subnet_id(subnet.unwrap())
        .description("a stranger's");
    let made = request.send().await.unwrap();
    let interface = made
        .network_interface()
        .unwrap()
        .network_interface_id()
        .unwrap();
    let held = run.down().await.unwrap_err();
    assert_eq!(held.code, "DWN004", "{held:?}");
    let told = format!("{} {:?}", held.cause, held.evidence);
    assert!(
        told.contains(interface) || told.contains("a stranger's"),
        "{held:?}"
    );
    assert_eq!(
        run.census().get("interfaces"),
        Some(&1),
        "it is still there"
    );
    let gone = run.account.ec2.delete_network_interface();
    gone.network_interface_id(interface).send().await.unwrap();
    run.down().await.unwrap();
    assert!(run.census().is_empty(), "{:?}", run.census());
}

#[tokio::test]
async fn a_vpc_that_somebody_brought_is_used_and_left_as_it_was() {
    let mut run = Run::prompt().await;
    let theirs = standing(&run.account).await;
    let second = run.account.ec2.create_subnet().vpc_id(&theirs.vpc);
    let second = second
        .cidr_block("10.0.1.0/24")
        .availability_zone("us-west-2b");
    let second = second.send().await.unwrap();
    let second = second.subnet().unwrap().subnet_id().unwrap().to_owned();
    let brought = format!(
        "{{id: {}, privateSubnets: [{}, {second}]}}",
        theirs.vpc, theirs.subnet
    );
    let loaded = pipeline(&[("spec.network.existingVpc", &brought)]);
    let steps = super::all(&loaded);
    // It gives its instances no names, and nodes would not find the API server.
    let refused = run.step(&super::named(&steps, "vpc")).await.unwrap_err();
    assert_eq!(refused.code, "NET005", "{refused:?}");
    let on = aws_sdk_ec2::types::AttributeBooleanValue::builder()
        .value(true)
        .build();
    let request = run.account.ec2.modify_vpc_attribute().vpc_id(&theirs.vpc);
    request.enable_dns_hostnames(on).send().await.unwrap();
    let before = run.census();
    run.changes();
    run.up(&loaded).await;
    let mut changes = run.changes();
    changes.sort();
    assert_eq!(
        changes,
        ["AuthorizeSecurityGroupIngress", "CreateSecurityGroup"]
    );
    run.down().await.unwrap();
    assert_eq!(run.census(), before);
    let gone = "{id: vpc-0123456789abcdef0, privateSubnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]}";
    let steps = super::all(&pipeline(&[("spec.network.existingVpc", gone)]));
    run.forget();
    let refused = run.step(&super::named(&steps, "vpc")).await.unwrap_err();
    assert_eq!(refused.code, "NET004", "{refused:?}");
}
