//! The graphs on AWS as tables: what waits for what, and above all what does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::streaming;
use crate::{
    cloud::CloudOptions,
    plan::{CloudDownOptions, UpOptions, down_on_aws, up_on_aws, up_with},
    step::{Milestone, Need, Step},
};

fn on_aws(overrides: &[(&str, &str)]) -> Vec<Arc<dyn Step>> {
    let loaded = streaming(overrides);
    up_on_aws(&loaded, UpOptions::default(), &CloudOptions::default())
}

/// Everything that a step waits for, directly or through others.
fn waits_for(steps: &[Arc<dyn Step>], step: &str) -> BTreeSet<String> {
    let needs: BTreeMap<String, Vec<Need>> = steps
        .iter()
        .map(|step| (step.id().to_string(), step.needs()))
        .collect();
    let mut found = BTreeSet::new();
    let mut open = vec![step.to_owned()];
    while let Some(next) = open.pop() {
        for need in &needs[&next] {
            if found.insert(need.step.to_string()) {
                open.push(need.step.to_string());
            }
        }
    }
    found
}

#[test]
fn every_need_names_a_step_of_the_graph() {
    for overrides in [
        &[][..],
        &[("spec.network.nat", "none")],
        &[("spec.network.nat", "per-zone")],
        &[("spec.cluster.encryptSecrets", "true")],
        &[(
            "spec.network.existingVpc",
            "{id: vpc-0123456789abcdef0, privateSubnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]}",
        )],
    ] {
        let steps = on_aws(overrides);
        let ids: BTreeSet<&str> = steps.iter().map(|step| step.id().as_str()).collect();
        assert_eq!(ids.len(), steps.len(), "{overrides:?}");
        for step in &steps {
            for need in step.needs() {
                assert!(
                    ids.contains(need.step.as_str()),
                    "{}: {}",
                    step.id(),
                    need.step
                );
            }
        }
    }
}

#[test]
fn the_control_plane_waits_for_no_way_out() {
    let waits = waits_for(&on_aws(&[]), "cluster/control-plane");
    for not in [
        "network/nat-gateway-1",
        "network/internet-gateway",
        "network/public-subnet-1",
        "network/private-routes-1",
        "network/s3-endpoint",
        "nodes/role",
        "addons/ebs-role",
    ] {
        assert!(!waits.contains(not), "{not}");
    }
    assert!(waits.contains("network/private-subnet-3"));
    assert!(
        waits.contains("account/anchor"),
        "nothing is made before it"
    );
}

#[test]
fn nodes_wait_for_the_control_plane_and_their_way_out_and_for_nothing_in_the_cluster() {
    let steps = on_aws(&[]);
    let waits = waits_for(&steps, "nodes/group-default");
    assert!(waits.contains("network/nat-gateway-1"));
    assert!(waits.contains("cluster/control-plane"));
    assert!(
        !waits.contains("cluster/entrance"),
        "a look needs it, a call does not"
    );
    assert!(!waits.contains("cluster/access"));
    // Pods of an add-on need nodes; so nodes must not wait until an add-on works.
    let group = steps
        .iter()
        .find(|step| step.id().as_str() == "nodes/group-default")
        .unwrap();
    let needs = group.needs();
    let addons = needs
        .iter()
        .filter(|need| need.step.as_str().starts_with("addons/"));
    assert!(addons.clone().count() > 0);
    assert!(
        addons
            .into_iter()
            .all(|need| need.milestone == Milestone::Applied)
    );
}

#[test]
fn what_is_inside_the_cluster_waits_for_no_node() {
    let steps = on_aws(&[]);
    for step in [
        "strimzi/crds",
        "strimzi/operator",
        "spark-operator/operator",
        "addons/storage-class",
        "kafka/cluster",
        "addons/aws-ebs-csi-driver",
    ] {
        let found = steps.iter().any(|other| other.id().as_str() == step);
        assert!(
            found,
            "{step} in {:?}",
            steps
                .iter()
                .map(|step| step.id().as_str())
                .collect::<Vec<_>>()
        );
        let waits = waits_for(&steps, step);
        assert!(
            !waits.iter().any(|need| need.starts_with("nodes/group-")),
            "{step}: {waits:?}"
        );
        assert!(waits.contains("cluster/control-plane"), "{step}");
    }
    assert!(waits_for(&steps, "verification/checks").contains("nodes/group-default"));
}

#[test]
fn what_waits_for_booting_nodes_has_their_time_besides_its_own() {
    let loaded = streaming(&[]);
    let plain = up_with(&loaded, UpOptions::default());
    let boots = loaded.pipeline.spec.timeouts.node_groups.duration();
    let steps = on_aws(&[]);
    let ready = |steps: &[Arc<dyn Step>], id: &str| {
        let step = steps.iter().find(|step| step.id().as_str() == id).unwrap();
        step.timeouts().ready
    };
    assert_eq!(
        ready(&steps, "kafka/cluster"),
        ready(&plain, "kafka/cluster") + boots
    );
}

#[test]
fn without_a_way_out_any_more_it_goes_when_the_nodes_have_moved() {
    let moved = waits_for(&on_aws(&[("spec.network.nat", "none")]), "network/obsolete");
    assert!(moved.contains("nodes/obsolete"));
    let other = waits_for(
        &on_aws(&[("spec.network.nat", "per-zone")]),
        "network/obsolete",
    );
    assert!(other.contains("network/private-routes-3") && !other.contains("nodes/obsolete"));
}

#[test]
fn the_anchor_is_the_last_to_go_and_the_vpc_the_last_of_the_network() {
    let removals = down_on_aws(&CloudDownOptions::default());
    let last = removals.last().unwrap();
    assert_eq!(last.id().as_str(), "account/anchor");
    let needs: BTreeMap<&str, Vec<Need>> = removals
        .iter()
        .map(|removal| (removal.id().as_str(), removal.needs()))
        .collect();
    let proof: BTreeSet<&str> = needs["account/inventory"]
        .iter()
        .map(|need| need.step.as_str())
        .collect();
    assert_eq!(proof.len(), removals.len() - 2, "after everything else");
    let mut network = removals
        .iter()
        .filter(|removal| removal.id().as_str().starts_with("network/"));
    assert_eq!(network.next_back().unwrap().id().as_str(), "network/vpc");
}
