//! Managed node groups.

use std::{collections::BTreeMap, time::Duration};

use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultRule};
use pipectl_stages::{
    error::PortErrorKind,
    ports::{
        cloud::{Deletion, UpdateProgress},
        node_groups::{
            Image, NodeGroup, NodeGroupChange, NodeGroupState, Scaling, Taint, TaintEffect,
        },
    },
};

use super::Ground;
use crate::support::{tags, until};

impl Ground {
    async fn group_in(&self, name: &str, state: NodeGroupState) -> NodeGroup {
        until(&format!("a node group that is {state:?}"), || async {
            let found = self.node_groups.find("c", name).await.unwrap();
            found.filter(|found| found.state == state)
        })
        .await
    }

    async fn group_changed(&self, name: &str, change: &NodeGroupChange, token: &str) {
        let update = self.node_groups.change("c", name, change, token).await;
        let update = update.unwrap();
        let look = || async { self.node_groups.update("c", name, &update).await.unwrap() };
        assert_eq!(self.ended(look).await, UpdateProgress::Successful);
    }
}

fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
    Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect,
    }
}

#[tokio::test]
async fn a_group_lives_its_life_before_its_cluster_goes() {
    let ground = Ground::up().await;
    let groups = &ground.node_groups;
    ground.install("vpc-cni").await;
    assert_eq!(groups.find("c", "g").await, Ok(None));
    assert_eq!(groups.names("c").await, Ok(Vec::new()));
    let mut spec = ground.group("g", 2, "one");
    spec.taints = vec![
        taint("only", "kafka", TaintEffect::NoSchedule),
        taint("rather", "", TaintEffect::PreferNoSchedule),
    ];
    let made = groups.create(&spec).await.unwrap();
    assert_eq!(made.state, NodeGroupState::Creating);
    assert_eq!(groups.create(&spec).await.unwrap().arn, made.arn);
    let other = groups.create(&ground.group("g", 2, "two")).await;
    assert_eq!(other.unwrap_err().kind, PortErrorKind::AlreadyExists);
    assert_eq!(groups.names("c").await, Ok(vec!["g".to_owned()]));

    let live = ground.group_in("g", NodeGroupState::Active).await;
    assert_eq!((&live.make, live.scaling), (&spec.make, spec.scaling));
    assert_eq!((&live.labels, &live.tags), (&spec.labels, &spec.tags));
    assert_eq!(live.taints, spec.taints);
    assert_eq!(live.version.as_deref(), Some("1.34"));
    assert_eq!(live.scaling_groups.len(), 1);
    assert!(live.issues.is_empty() && live.created.is_some());

    let held = ground.clusters.delete("c").await.unwrap_err();
    assert_eq!(held.kind, PortErrorKind::InUse, "{held:?}");
    assert_eq!(groups.delete("c", "g").await, Ok(Deletion::Accepted));
    until("a node group that is gone", || async {
        groups.find("c", "g").await.unwrap().is_none().then_some(())
    })
    .await;
    assert_eq!(groups.delete("c", "g").await, Ok(Deletion::Absent));
    assert_eq!(ground.clusters.delete("c").await, Ok(Deletion::Accepted));
}

#[tokio::test]
async fn what_is_asked_of_a_cluster_that_is_not_there() {
    let ground = Ground::new().await;
    let groups = &ground.node_groups;
    assert_eq!(groups.find("c", "g").await, Ok(None));
    assert_eq!(groups.names("c").await, Ok(Vec::new()));
    assert_eq!(groups.update("c", "g", "u").await, Ok(None));
    assert_eq!(groups.delete("c", "g").await, Ok(Deletion::Absent));
    let error = groups.create(&ground.group("g", 1, "g")).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error:?}");
}

#[tokio::test]
async fn a_cluster_that_is_being_made_takes_groups_later() {
    let ground = Ground::new().await;
    ground.create(&ground.cluster("c", "one")).await;
    let early = ground.node_groups.create(&ground.group("g", 1, "g")).await;
    let early = early.unwrap_err();
    assert_eq!(early.kind, PortErrorKind::Conflict, "{early:?}");
    assert!(early.cause.contains("InvalidRequestException"), "{early:?}");
}

#[tokio::test]
async fn sizes_labels_taints_and_version_change_in_place() {
    let ground = Ground::up().await;
    let groups = &ground.node_groups;
    ground.install("vpc-cni").await;
    let mut spec = ground.group("g", 1, "one");
    spec.make.image = Image::Arm64;
    spec.make.instance_types = vec!["m6g.large".to_owned()];
    spec.make.spot = true;
    spec.taints = vec![
        taint("old", "x", TaintEffect::NoExecute),
        taint("kept", "a", TaintEffect::NoSchedule),
    ];
    groups.create(&spec).await.unwrap();
    let live = ground.group_in("g", NodeGroupState::Active).await;
    assert_eq!(live.make, spec.make);

    let scaling = Scaling {
        min: 1,
        max: 3,
        desired: 2,
    };
    let config = NodeGroupChange::Config {
        scaling,
        labels: BTreeMap::from([("zone".to_owned(), "hot".to_owned())]),
        remove_labels: vec!["kind".to_owned()],
        taints: vec![taint("kept", "b", TaintEffect::NoSchedule)],
        remove_taints: vec![taint("old", "x", TaintEffect::NoExecute)],
    };
    let update = groups.change("c", "g", &config, "t1").await.unwrap();
    assert_eq!(
        groups.change("c", "g", &config, "t1").await,
        Ok(update.clone())
    );
    let busy = groups.change("c", "g", &config, "t2").await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::Conflict, "{busy:?}");
    let busy = groups.delete("c", "g").await.unwrap_err();
    assert_eq!(busy.kind, PortErrorKind::InUse, "{busy:?}");
    // It is the group's own update, not the cluster's.
    assert_eq!(ground.clusters.update("c", &update).await, Ok(None));
    let look = || async { groups.update("c", "g", &update).await.unwrap() };
    assert_eq!(ground.ended(look).await, UpdateProgress::Successful);
    let live = ground.group_in("g", NodeGroupState::Active).await;
    assert_eq!(live.scaling, scaling);
    assert_eq!(
        live.labels,
        BTreeMap::from([("zone".to_owned(), "hot".to_owned())])
    );
    assert_eq!(live.taints, [taint("kept", "b", TaintEffect::NoSchedule)]);

    let newer = NodeGroupChange::Version("1.35".to_owned());
    let error = groups.change("c", "g", &newer, "t3").await.unwrap_err();
    assert_eq!(
        error.kind,
        PortErrorKind::Invalid,
        "before its cluster: {error:?}"
    );
    let upgrade = pipectl_stages::ports::clusters::ClusterChange::Version("1.35".to_owned());
    let update = ground.clusters.change("c", &upgrade, "t4").await.unwrap();
    let look = || async { ground.clusters.update("c", &update).await.unwrap() };
    assert_eq!(ground.ended(look).await, UpdateProgress::Successful);
    ground.group_changed("g", &newer, "t5").await;
    let live = ground.group_in("g", NodeGroupState::Active).await;
    assert_eq!(live.version.as_deref(), Some("1.35"));

    let more = tags(&[("owner", "you")]);
    let tagged = ground.clusters.retag(&live.arn, &more, &[]).await;
    tagged.unwrap();
    let live = groups.find("c", "g").await.unwrap().unwrap();
    assert_eq!(live.tags, more);
    assert_eq!(groups.update("c", "g", "no-such-update").await, Ok(None));
    let nobody = groups.change("c", "h", &newer, "t6").await.unwrap_err();
    assert_eq!(nobody.kind, PortErrorKind::NotFound, "{nobody:?}");
}

#[tokio::test]
async fn nodes_that_do_not_join_fail_their_group() {
    let ground = Ground::up().await;
    ground.install("vpc-cni").await;
    ground.fault(AwsFaultRule {
        effect: AwsFaultEffect::FailToJoin,
        ..AwsFaultRule::default()
    });
    let groups = &ground.node_groups;
    groups.create(&ground.group("g", 1, "g")).await.unwrap();
    let failed = ground.group_in("g", NodeGroupState::CreateFailed).await;
    let [issue] = &failed.issues[..] else {
        panic!("{failed:?}");
    };
    assert_eq!(issue.code, "NodeCreationFailure");
    assert!(
        !issue.resources.is_empty() && !issue.message.is_empty(),
        "{issue:?}"
    );
    assert_eq!(groups.delete("c", "g").await, Ok(Deletion::Accepted));
}

#[tokio::test]
async fn a_lack_of_capacity_shows_before_the_group_fails() {
    let ground = Ground::up().await;
    ground.fault(AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    });
    let groups = &ground.node_groups;
    groups.create(&ground.group("g", 1, "g")).await.unwrap();
    let issue = until("an issue", || async {
        let found = groups.find("c", "g").await.unwrap().unwrap();
        found.issues.into_iter().next()
    })
    .await;
    assert_eq!(issue.code, "AsgInstanceLaunchFailures");
}

#[tokio::test]
async fn what_cannot_be_a_group_is_refused() {
    let ground = Ground::up().await;
    let groups = &ground.node_groups;
    for what in ["arm", "sizes", "type", "role", "image", "huge"] {
        let mut spec = ground.group("g", 1, what);
        match what {
            "arm" => spec.make.image = Image::Arm64,
            "sizes" => spec.scaling.desired = 9,
            "type" => spec.make.instance_types = vec!["m6i.gigantic".to_owned()],
            "role" => spec.make.role = ground.cluster_role.clone(),
            "image" => spec.make.image = Image::Other,
            _ => spec.make.disk_gib = u32::MAX,
        }
        let error = groups.create(&spec).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{what}: {error:?}");
    }
    let quota = ground.group("g", 0, "quota");
    ground.fault_of(
        "CreateNodegroup",
        1,
        AwsFaultEffect::Error {
            code: "ResourceLimitExceededException".to_owned(),
            message: "too many".to_owned(),
            status: None,
        },
    );
    let error = groups.create(&quota).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Exhausted, "{error:?}");
    ground.account.simulator.set_faults(Vec::new());
    // A lease that ran out sends no creation, and still looks.
    ground
        .account
        .aws
        .fence_effects(std::sync::Arc::new(|| Duration::ZERO));
    let error = groups.create(&quota).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Cancelled, "{error:?}");
    assert_eq!(groups.names("c").await, Ok(Vec::new()));
}
