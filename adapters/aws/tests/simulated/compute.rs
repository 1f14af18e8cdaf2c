//! The port of instances, interfaces and volumes. Others make them, so here an SDK client does.

use aws_sdk_ec2::types::{InstanceType, ResourceType, Tag, TagSpecification};
use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        cloud::Deletion,
        compute::{InstanceState, Selector},
        network::{NewPiece, PieceSpec},
    },
};

use crate::support::{Account, tags, until};

fn tagged(kind: ResourceType, owner: &str) -> TagSpecification {
    let tag = Tag::builder().key("owner").value(owner).build();
    TagSpecification::builder()
        .resource_type(kind)
        .tags(tag)
        .build()
}

fn owned(owner: &str) -> Selector {
    Selector::Tagged(tags(&[("owner", owner)]))
}

/// A VPC and a subnet in it.
async fn subnet(account: &Account) -> (String, String) {
    let make = |spec: PieceSpec| async move {
        let new = NewPiece {
            spec,
            tags: tags(&[]),
            token: String::new(),
        };
        account.network.create(&new).await.unwrap().id
    };
    let vpc = make(PieceSpec::Vpc {
        cidr: "10.0.0.0/16".to_owned(),
    })
    .await;
    let subnet = make(PieceSpec::Subnet {
        vpc: vpc.clone(),
        zone: "us-west-2b".to_owned(),
        cidr: "10.0.0.0/24".to_owned(),
    })
    .await;
    (vpc, subnet)
}

async fn run(account: &Account, subnet: &str, count: i32) -> Vec<String> {
    let request = account
        .ec2
        .run_instances()
        .image_id("ami-0123456789abcdef0");
    let request = request
        .instance_type(InstanceType::M6iLarge)
        .subnet_id(subnet);
    let request = request.min_count(count).max_count(count);
    let request = request.tag_specifications(tagged(ResourceType::Instance, "me"));
    let request = request.tag_specifications(tagged(ResourceType::Volume, "me"));
    let started = request.send().await.unwrap();
    let ids = started
        .instances()
        .iter()
        .map(|one| one.instance_id().unwrap());
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn instances_are_found_and_ended() {
    let account = Account::new().await;
    let (vpc, subnet) = subnet(&account).await;
    let mut ids = run(&account, &subnet, 3).await;
    ids.sort();
    for which in [Selector::Vpc(vpc.clone()), owned("me")] {
        let mut found = account.compute.instances(&which).await.unwrap();
        found.sort_by(|left, right| left.id.cmp(&right.id));
        let found_ids: Vec<&String> = found.iter().map(|one| &one.id).collect();
        assert_eq!(found_ids, ids.iter().collect::<Vec<_>>());
        for one in found {
            assert_eq!(one.vpc.as_ref(), Some(&vpc));
            assert_eq!(one.zone, "us-west-2b");
            assert_eq!(one.tags, tags(&[("owner", "me")]));
            assert!(one.launched.is_some());
        }
    }
    assert!(
        account
            .compute
            .instances(&owned("you"))
            .await
            .unwrap()
            .is_empty()
    );
    let states = || async {
        let found = account.compute.instances(&owned("me")).await.unwrap();
        let mut states: Vec<_> = found.into_iter().map(|one| (one.id, one.state)).collect();
        states.sort_by(|left, right| left.0.cmp(&right.0));
        states
            .into_iter()
            .map(|(_, state)| state)
            .collect::<Vec<_>>()
    };
    let all = |state: InstanceState| vec![state; 3];
    let states = &states;
    let are = |wanted: Vec<InstanceState>| async move { (states().await == wanted).then_some(()) };
    until("running instances", || are(all(InstanceState::Running))).await;
    account.compute.terminate(&ids[..1]).await.unwrap();
    let first_ended = vec![
        InstanceState::Terminated,
        InstanceState::Running,
        InstanceState::Running,
    ];
    until("one ended instance", || are(first_ended.clone())).await;
    // One that ended already, and one that nobody knows, keep nobody from ending the others.
    let mut some = vec!["i-0123456789abcdef0".to_owned()];
    some.extend(ids.clone());
    account.compute.terminate(&some).await.unwrap();
    until("ended instances", || are(all(InstanceState::Terminated))).await;
    account.compute.terminate(&ids).await.unwrap();
    account.compute.terminate(&some[..1]).await.unwrap();
    account.count_anew();
    account.compute.terminate(&[]).await.unwrap();
    assert!(account.simulator.counters().is_empty(), "nothing to end");
}

#[tokio::test]
async fn interfaces_say_who_uses_them_and_go_when_nobody_does() {
    let account = Account::new().await;
    let (vpc, subnet) = subnet(&account).await;
    let made = account.ec2.create_network_interface().subnet_id(&subnet);
    let made = made.description("left over");
    let made = made.tag_specifications(tagged(ResourceType::NetworkInterface, "me"));
    let made = made.send().await.unwrap();
    let free = made
        .network_interface()
        .unwrap()
        .network_interface_id()
        .unwrap();
    let instance = run(&account, &subnet, 1).await.remove(0);
    let found = account
        .compute
        .interfaces(&Selector::Vpc(vpc.clone()))
        .await;
    let found = found.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let (left, used) = match &found[..] {
        [one, other] if one.id == free => (one, other),
        [one, other] => (other, one),
        _ => unreachable!("counted above"),
    };
    assert!(left.available && left.attachment.is_none(), "{left:?}");
    assert_eq!(left.description, "left over");
    assert_eq!(left.interface_type, "interface");
    assert_eq!((&left.vpc, &left.subnet), (&vpc, &subnet));
    assert_eq!(left.groups.len(), 1, "the VPC's own");
    let attachment = used.attachment.as_ref().expect("an attachment");
    assert_eq!(attachment.instance.as_ref(), Some(&instance));
    assert!(!used.available && !used.requester_managed);
    let mine = account.compute.interfaces(&owned("me")).await.unwrap();
    assert_eq!(
        mine.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        [free]
    );

    let held = account
        .compute
        .delete_interface(&used.id)
        .await
        .unwrap_err();
    assert_eq!(held.kind, PortErrorKind::InUse, "{held:?}");
    assert!(held.cause.contains(&used.id), "in EC2's words: {held:?}");
    assert_eq!(
        account.compute.delete_interface(free).await,
        Ok(Deletion::Accepted)
    );
    assert_eq!(
        account.compute.delete_interface(free).await,
        Ok(Deletion::Absent)
    );
}

#[tokio::test]
async fn interfaces_that_aws_made_are_told_apart() {
    let account = Account::new().await;
    let all = crate::network::standing(&account).await;
    let vpc = all.vpc;
    let found = account
        .compute
        .interfaces(&Selector::Vpc(vpc))
        .await
        .unwrap();
    let [of_nat] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(of_nat.interface_type, "nat_gateway");
    assert!(of_nat.requester_managed && !of_nat.available);
    let attachment = of_nat.attachment.as_ref().expect("an attachment");
    assert_eq!(attachment.instance, None);
    assert!(attachment.owner.is_some());
    let held = account
        .compute
        .delete_interface(&of_nat.id)
        .await
        .unwrap_err();
    assert_eq!(held.kind, PortErrorKind::InUse, "{held:?}");
}

#[tokio::test]
async fn volumes_go_when_nothing_uses_them() {
    let account = Account::new().await;
    let (vpc, subnet) = subnet(&account).await;
    let instance = run(&account, &subnet, 1).await.remove(0);
    let made = account
        .ec2
        .create_volume()
        .availability_zone("us-west-2b")
        .size(7);
    let made = made.tag_specifications(tagged(ResourceType::Volume, "claim"));
    let made = made.send().await.unwrap();
    let id = made.volume_id().unwrap();
    let find = || async {
        let found = account.compute.volumes(&owned("claim")).await.unwrap();
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next()
    };
    let available = || async { find().await.filter(|volume| volume.available) };
    let volume = until("an available volume", available).await;
    assert_eq!((volume.id.as_str(), volume.gibibytes), (id, 7));
    assert_eq!(volume.zone, "us-west-2b");
    assert!(volume.attached_to.is_empty() && !volume.deleting);
    until("a running instance", || async {
        let found = account.compute.instances(&owned("me")).await.unwrap();
        let running = found.iter().any(|one| one.state == InstanceState::Running);
        running.then_some(())
    })
    .await;
    let attach = account
        .ec2
        .attach_volume()
        .volume_id(id)
        .instance_id(&instance);
    attach.device("/dev/sdf").send().await.unwrap();
    let held = account.compute.delete_volume(id).await.unwrap_err();
    assert_eq!(held.kind, PortErrorKind::InUse, "{held:?}");
    let used = find().await.expect("a volume");
    assert_eq!(
        (used.attached_to, used.available),
        (vec![instance.clone()], false)
    );
    account.compute.terminate(&[instance]).await.unwrap();
    until("an available volume", available).await;
    assert_eq!(
        account.compute.delete_volume(id).await,
        Ok(Deletion::Accepted)
    );
    until("no volume", || async {
        find().await.is_none().then_some(())
    })
    .await;
    assert_eq!(
        account.compute.delete_volume(id).await,
        Ok(Deletion::Absent)
    );
    account.count_anew();
    assert!(
        account
            .compute
            .volumes(&Selector::Vpc(vpc))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        account.simulator.counters().is_empty(),
        "volumes are in no VPC"
    );
}
