//! What changes in the file changes in the account, in place where AWS can, and nothing else changes.

use std::sync::Arc;

use pipectl_sandbox::CallCount;
use pipectl_stages::ports::{
    clusters::ClusterChange,
    node_groups::{NodeGroupChange, Scaling},
};
use serde_json::Value;

use crate::{
    account::Account,
    graph::all,
    house::{House, Seen, pipeline},
    lifecycle::is_empty,
};

struct Street {
    account: Arc<Account>,
    house: House,
}

impl Street {
    async fn up(first: &[(&str, &str)]) -> Self {
        let account = Arc::new(Account::new().await);
        let mut house = House::new(account.clone(), "changing").await;
        house.up(&pipeline(first)).await.well();
        Self { account, house }
    }

    /// Brings it to these settings; holds that exactly these steps changed, and that the next run changes nothing.
    async fn change(&mut self, settings: &[(&str, &str)], steps: &[&str]) -> Seen {
        let loaded = pipeline(settings);
        let seen = self.house.up(&loaded).await.well();
        let mut changed = seen.changed();
        changed.sort();
        assert_eq!(changed, steps, "{settings:?}");
        self.account.aws.reset_counters();
        self.house.up(&loaded).await.well();
        assert_eq!(self.account.changes(), [], "after {settings:?}");
        seen
    }

    fn cluster(&self) -> Value {
        let graph = self.account.graph();
        let clusters = all(&graph, "eks", "clusters");
        clusters[0].1.clone()
    }

    fn groups(&self) -> Vec<Value> {
        let cluster = self.cluster();
        let groups = cluster["nodegroups"].as_object().unwrap();
        groups.values().cloned().collect()
    }

    async fn down(mut self) {
        self.house.down().await.well();
        assert_eq!(self.account.refused(), Vec::<String>::new());
        is_empty(&self.account);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_labels_and_taints_change_in_place() {
    let mut street = Street::up(&[]).await;
    let sized = "[{name: default, size: 3, labels: {kind: a}, taints: [{key: only, value: kafka, effect: NoSchedule}]}]";
    street
        .change(&[("spec.nodeGroups", sized)], &["nodes/group-default"])
        .await;
    let groups = street.groups();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["scaling"]["desired"], 3);
    assert_eq!(groups[0]["labels"]["kind"], "a");
    assert_eq!(groups[0]["taints"][0]["value"], "kafka");
    let retainted =
        "[{name: default, size: 3, taints: [{key: only, value: spark, effect: NoSchedule}]}]";
    street
        .change(&[("spec.nodeGroups", retainted)], &["nodes/group-default"])
        .await;
    let groups = street.groups();
    assert_eq!(groups[0]["taints"].as_array().unwrap().len(), 1);
    assert_eq!(groups[0]["taints"][0]["value"], "spark");
    assert!(groups[0]["labels"]["kind"].is_null());
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_make_is_another_group_and_the_old_one_goes_after_it() {
    let mut street = Street::up(&[]).await;
    let before = street.groups()[0]["name"].clone();
    let larger = "[{name: default, size: 2, diskSize: 80Gi}, {name: spare, size: 1, architecture: arm64, instanceTypes: [m6g.large], capacity: spot}]";
    street
        .change(
            &[("spec.nodeGroups", larger)],
            &["nodes/group-default", "nodes/group-spare", "nodes/obsolete"],
        )
        .await;
    let groups = street.groups();
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(groups.iter().all(|group| group["name"] != before));
    // And one that left the file goes.
    let one = "[{name: default, size: 2, diskSize: 80Gi}]";
    street
        .change(&[("spec.nodeGroups", one)], &["nodes/obsolete"])
        .await;
    assert_eq!(street.groups().len(), 1);
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_up_by_one_with_everything_that_has_one() {
    let older = ("spec.cluster.kubernetesVersion", "1.33");
    let mut street = Street::up(&[older]).await;
    assert_eq!(street.cluster()["version"], "1.33");
    // Two at a time do not go, and nothing is tried.
    street.account.aws.reset_counters();
    let far = street.house.up(&pipeline(&[])).await;
    let refused = far.error_of("account/preflight");
    assert_eq!(refused.code, "EKS003");
    assert!(refused.hint.as_deref().unwrap().contains("1.34"));
    assert_eq!(street.account.changes(), []);
    for version in ["1.34", "1.35"] {
        let wanted = pipeline(&[("spec.cluster.kubernetesVersion", version)]);
        let seen = street.house.up(&wanted).await.well();
        let changed = seen.changed();
        for step in [
            "cluster/control-plane",
            "nodes/group-default",
            "addons/kube-proxy",
        ] {
            assert!(
                changed.iter().any(|one| one == step),
                "{step} of {changed:?}"
            );
        }
        assert_eq!(street.cluster()["version"], version);
        assert_eq!(street.groups()[0]["version"], version);
    }
    street.account.aws.reset_counters();
    street.house.up(&pipeline(&[])).await.well();
    assert_eq!(street.account.changes(), []);
    // Back does not go, and nothing is tried.
    let back = street.house.up(&pipeline(&[older])).await;
    assert_eq!(back.error_of("account/preflight").code, "EKS003");
    assert_eq!(street.account.changes(), []);
    // Nor to what EKS does not have, of the version or of an add-on that stands in another one.
    for (change, code) in [
        (("spec.cluster.kubernetesVersion", "1.36"), "ACC007"),
        (
            (
                "spec.addons",
                "[{name: coredns, version: v0.0.1-eksbuild.1}]",
            ),
            "ADD001",
        ),
    ] {
        let refused = street.house.up(&pipeline(&[change])).await;
        assert_eq!(refused.error_of("account/preflight").code, code);
        assert_eq!(street.account.changes(), []);
    }
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_an_earlier_run_began_are_waited_for_and_not_made_again() {
    let older = ("spec.cluster.kubernetesVersion", "1.34");
    let mut street = Street::up(&[older]).await;
    let ports = street.account.ports(&street.house.cluster).await;
    let cloud = ports.cloud.unwrap();
    let cluster = street.cluster()["name"].as_str().unwrap().to_owned();
    let newer = ClusterChange::Version("1.35".to_owned());
    let begun = cloud.clusters.change(&cluster, &newer, "before").await;
    begun.unwrap();
    street.account.aws.reset_counters();
    street.house.up(&pipeline(&[])).await.well();
    assert_eq!(street.cluster()["version"], "1.35");
    let of_clusters = |count: &CallCount| count.action == "UpdateClusterVersion";
    assert!(!street.account.changes().iter().any(of_clusters));

    // A group takes one change at a time, and this one takes as long as a roll of its nodes.
    let group = street.groups()[0]["name"].as_str().unwrap().to_owned();
    let labelled = NodeGroupChange::Config {
        scaling: Scaling {
            min: 2,
            max: 2,
            desired: 2,
        },
        labels: [("before".to_owned(), "yes".to_owned())].into(),
        remove_labels: Vec::new(),
        taints: Vec::new(),
        remove_taints: Vec::new(),
    };
    let begun = cloud
        .node_groups
        .change(&cluster, &group, &labelled, "before")
        .await;
    begun.unwrap();
    let sized = pipeline(&[(
        "spec.nodeGroups",
        "[{name: default, size: 3, labels: {after: 'yes'}}]",
    )]);
    street.account.aws.reset_counters();
    street.house.up(&sized).await.well();
    assert_eq!(street.account.refused(), Vec::<String>::new());
    let groups = street.groups();
    assert_eq!(groups[0]["scaling"]["desired"], 3);
    assert_eq!(groups[0]["labels"]["after"], "yes");
    assert!(groups[0]["labels"]["before"].is_null());
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_and_logging_change_in_place_and_encryption_does_not_go_back() {
    let mut street = Street::up(&[]).await;
    street
        .change(
            &[
                ("spec.cluster.endpointAccess", "public"),
                ("spec.cluster.publicAccessCidrs", "[203.0.113.0/24]"),
                ("spec.cluster.logging", "[scheduler]"),
                ("spec.cluster.logRetentionDays", "30"),
            ],
            &["cluster/control-plane", "cluster/log-group"],
        )
        .await;
    let cluster = street.cluster();
    assert_eq!(cluster["endpoint"]["private"], false);
    assert_eq!(cluster["endpoint"]["cidrs"][0], "203.0.113.0/24");
    assert_eq!(cluster["logging"], serde_json::json!(["scheduler"]));
    // Nothing is changed for what cannot be had: the control plane keeps its right to the key.
    street.account.aws.reset_counters();
    let plain = street
        .house
        .up(&pipeline(&[("spec.cluster.encryptSecrets", "false")]))
        .await;
    assert_eq!(plain.error_of("account/preflight").code, "EKS004");
    assert_eq!(street.account.changes(), []);
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_change_everywhere_and_those_of_others_stay() {
    let mut street = Street::up(&[]).await;
    let hand = street.account.hand();
    let graph = street.account.graph();
    let vpc = all(&graph, "ec2", "vpcs")
        .into_iter()
        .find(|(_, vpc)| vpc.to_string().contains("pipectl-changing-vpc"))
        .unwrap()
        .0
        .to_owned();
    let theirs = aws_sdk_ec2::types::Tag::builder()
        .key("theirs")
        .value("1")
        .build();
    hand.ec2
        .create_tags()
        .resources(&vpc)
        .tags(theirs)
        .send()
        .await
        .unwrap();
    let seen = street
        .house
        .up(&pipeline(&[("spec.tags", "{cost: \"7\"}")]))
        .await
        .well();
    assert!(seen.changed().len() > 15, "{:?}", seen.changed());
    let graph = street.account.graph();
    let tags = all(&graph, "ec2", "vpcs")
        .into_iter()
        .find(|(id, _)| *id == vpc)
        .unwrap()
        .1
        .to_string();
    assert!(tags.contains("cost") && tags.contains("theirs"), "{tags}");
    for (service, kind) in [
        ("ec2", "subnets"),
        ("eks", "clusters"),
        ("iam", "roles"),
        ("kms", "keys"),
    ] {
        for (id, one) in all(&graph, service, kind) {
            let text = one.to_string();
            assert!(text.contains("\"cost\""), "{kind} {id}: {text}");
        }
    }
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn add_ons_change_and_go() {
    let mut street = Street::up(&[]).await;
    let versions = street.cluster()["addons"]["coredns"]["version"].clone();
    let ports = street.account.ports(&street.house.cluster).await;
    let offered = ports
        .cloud
        .unwrap()
        .addons
        .versions("coredns", "1.35")
        .await
        .unwrap();
    let other = offered
        .iter()
        .find(|offer| versions != offer.version.as_str())
        .unwrap()
        .version
        .clone();
    let changed = format!(
        "[{{name: vpc-cni}}, {{name: kube-proxy}}, {{name: coredns, version: {other}, configuration: {{replicaCount: 3}}}}, {{name: eks-pod-identity-agent}}, {{name: aws-ebs-csi-driver}}]"
    );
    street
        .change(&[("spec.addons", &changed)], &["addons/coredns"])
        .await;
    assert_eq!(
        street.cluster()["addons"]["coredns"]["version"],
        other.as_str()
    );
    let fewer = "[{name: vpc-cni}, {name: kube-proxy}, {name: coredns}]";
    street
        .change(
            &[("spec.addons", fewer)],
            &["addons/coredns", "addons/obsolete"],
        )
        .await;
    let addons = street.cluster()["addons"].clone();
    assert_eq!(addons.as_object().unwrap().len(), 3);
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volume_driver_takes_its_role_and_identity_along_and_comes_again() {
    let mut street = Street::up(&[]).await;
    let roles = |street: &Street| all(&street.account.graph(), "iam", "roles").len();
    let identities = |street: &Street| {
        let cluster = street.cluster();
        cluster["identities"]
            .as_object()
            .map_or(0, serde_json::Map::len)
    };
    let (roles_before, identities_before) = (roles(&street), identities(&street));
    assert_eq!(identities_before, 1, "{}", street.cluster());
    let theirs = street.account.ports(&street.house.cluster).await;
    let theirs = theirs.cloud.unwrap();
    let spec = pipectl_stages::ports::identity::RoleSpec {
        name: "theirs".to_owned(),
        path: "/".to_owned(),
        description: String::new(),
        trust: serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"],
        }]}),
        tags: [("by".to_owned(), "hand".to_owned())].into(),
    };
    theirs.identity.create_role(&spec).await.unwrap();
    let without = "[{name: vpc-cni}, {name: kube-proxy}, {name: coredns}]";
    street
        .change(&[("spec.addons", without)], &["addons/obsolete"])
        .await;
    // One of ours less, and theirs is there still.
    assert_eq!(roles(&street), roles_before);
    assert_eq!(identities(&street), 0);
    street.house.up(&pipeline(&[])).await.well();
    assert_eq!(roles(&street), roles_before + 1);
    assert_eq!(identities(&street), identities_before);
    theirs.identity.delete_role("theirs").await.unwrap();
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_of_somebody_elses_is_left_alone_and_the_hint_speaks_of_no_other_name() {
    let fewer = "[{name: vpc-cni}, {name: kube-proxy}]";
    let mut street = Street::up(&[("spec.addons", fewer)]).await;
    let addons = street.account.ports(&street.house.cluster).await;
    let spec = pipectl_stages::ports::addons::AddonSpec {
        cluster: "pipectl-changing".to_owned(),
        name: "coredns".to_owned(),
        version: "v1.13.2-eksbuild.1".to_owned(),
        configuration: None,
        tags: [("by".to_owned(), "hand".to_owned())].into(),
        token: "by-hand".to_owned(),
    };
    addons.cloud.unwrap().addons.create(&spec).await.unwrap();
    let more = "[{name: vpc-cni}, {name: kube-proxy}, {name: coredns}]";
    let seen = street.house.up(&pipeline(&[("spec.addons", more)])).await;
    let error = seen.error_of("addons/coredns");
    assert_eq!(error.code, "ENG004", "{error}");
    let hint = error.hint.unwrap();
    assert!(
        hint.contains("spec.addons") && !hint.contains("name in the pipeline"),
        "{hint}"
    );
    assert_eq!(
        street.cluster()["addons"]["coredns"]["tags"]["current"]["by"],
        "hand"
    );
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_out_is_made_before_the_old_one_goes() {
    let mut street = Street::up(&[]).await;
    let alive = |street: &Street| {
        let graph = street.account.graph();
        let gateways = all(&graph, "ec2", "nat_gateways");
        gateways
            .iter()
            .filter(|(_, gateway)| gateway["state"] == "available")
            .count()
    };
    let per_zone = [("spec.network.nat", "per-zone")];
    street
        .change(
            &per_zone,
            &[
                "network/nat-address-2",
                "network/nat-gateway-2",
                "network/private-routes-2",
            ],
        )
        .await;
    assert_eq!(alive(&street), 2);
    // Nodes move to the public side, and only then the way out of the private one goes.
    let none = [("spec.network.nat", "none")];
    street
        .change(
            &none,
            &["network/obsolete", "nodes/group-default", "nodes/obsolete"],
        )
        .await;
    assert_eq!(alive(&street), 0);
    let graph = street.account.graph();
    assert!(all(&graph, "ec2", "addresses").is_empty());
    street.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_do_not_move() {
    let mut street = Street::up(&[]).await;
    street.account.aws.reset_counters();
    let more = street
        .house
        .up(&pipeline(&[("spec.network.zoneCount", "3")]))
        .await;
    assert_eq!(more.error_of("account/preflight").code, "NET001");
    assert_eq!(street.account.changes(), []);
    street.down().await;
}
