//! What AWS would refuse in the middle of a run, found in the file.

use crate::support::{file, load_with};

/// The codes, messages and marked texts of what is wrong with a pipeline that has this `spec`, warnings included.
fn found(spec: &str) -> Vec<(&'static str, String, String)> {
    let diagnostics = match load_with(file(spec), &[]) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics.0,
    };
    let text = |diagnostic: &pipectl_config::Diagnostic| {
        let location = diagnostic.location.as_ref();
        location.map_or_else(String::new, |location| location.text.clone())
    };
    diagnostics
        .iter()
        .map(|diagnostic| {
            (
                diagnostic.code,
                diagnostic.message.clone(),
                text(diagnostic),
            )
        })
        .collect()
}

/// The provider whose resources have tags.
const EKS: &str = "  provider: {eks: {region: us-west-2}}\n";

/// The one finding.
fn one(spec: &str) -> (&'static str, String, String) {
    let mut all = found(spec);
    assert_eq!(all.len(), 1, "{spec}: {all:?}");
    all.remove(0)
}

#[test]
fn tags_that_aws_refuses_or_others_set() {
    for (tags, message, mark) in [
        ("{'': a}", "a tag has no key", "''"),
        (
            "{AWS:team: a}",
            "AWS refuses the tag 'AWS:team'",
            "AWS:team",
        ),
        ("{'a*b': c}", "AWS refuses '*' in the tag 'a*b'", "'a*b'"),
        (
            "{team: 'a,b'}",
            "AWS refuses ',' in the value of the tag 'team'",
            "'a,b'",
        ),
        ("{name: a}", "the tag 'name' is set by pipectl", "name"),
        (
            "{pipectl.dev/step: a}",
            "the tag 'pipectl.dev/step' is set by pipectl",
            "pipectl.dev/step",
        ),
        (
            "{kubernetes.io/cluster/x: owned}",
            "the tag 'kubernetes.io/cluster/x' is set by Kubernetes",
            "kubernetes.io/cluster/x",
        ),
        ("{'a=b': c}", "volumes cannot have the tag 'a=b'", "'a=b'"),
        (
            "{Team: a, team: b}",
            "the tags 'Team' and 'team' differ in their case alone",
            "team",
        ),
    ] {
        let finding = one(&format!("{EKS}  tags: {tags}\n"));
        assert_eq!(finding, ("CFG027", message.to_owned(), mark.to_owned()));
    }
    let tags = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("k{number}: v")).collect();
        format!("{EKS}  tags: {{{}}}\n", all.join(", "))
    };
    assert_eq!(found(&tags(40)), []);
    assert_eq!(
        one(&tags(41)).1,
        "41 tags are more than every resource has room for"
    );
    let long = format!("{EKS}  tags: {{{}: a}}\n", "k".repeat(129));
    assert_eq!(one(&long).1, "a tag's key has 129 characters");
    // What stands for nothing is told once.
    assert_eq!(
        one(&format!("{EKS}  tags: {{k: '${{pipeline.nam}}'}}\n")).0,
        "CFG018"
    );
    let long = format!("{EKS}  tags: {{k: {}}}\n", "v".repeat(257));
    assert_eq!(one(&long).1, "the value of the tag 'k' has 257 characters");
}

#[test]
fn tags_of_volumes_are_held_against_those_of_the_pipeline() {
    let volumes = |tags: &str, settings: &str| {
        format!(
            "{EKS}  tags: {tags}\n  addons: [{{name: aws-ebs-csi-driver, configuration: {{controller: {settings}}}}}]\n"
        )
    };
    assert_eq!(
        found(&volumes(
            "{team: a}",
            "{extraVolumeTags: {team: a, cost: b}}"
        )),
        []
    );
    for (settings, code, message) in [
        (
            "{extraVolumeTags: {team: b}}",
            "CFG027",
            "the tag 'team' is 'a' in spec.tags and 'b' here",
        ),
        (
            "{extraVolumeTags: {CSIVolumeName: b}}",
            "CFG027",
            "the tag 'CSIVolumeName' is set by the EBS CSI driver",
        ),
        (
            "{extraVolumeTags: {cost: 1}}",
            "CFG012",
            "the value of the tag 'cost' is no text",
        ),
        (
            "{extraVolumeTags: [a]}",
            "CFG012",
            "'spec.addons[0].configuration.controller.extraVolumeTags' takes a mapping",
        ),
    ] {
        let finding = one(&volumes("{team: a}", settings));
        assert_eq!((finding.0, finding.1.as_str()), (code, message));
    }
}

#[test]
fn taints_have_the_form_of_labels_and_come_once() {
    let taints = |taints: &str| format!("  nodeGroups: [{{name: a, taints: [{taints}]}}]\n");
    assert_eq!(
        found(&taints(
            "{key: x/a, effect: NoSchedule}, {key: x/a, value: b, effect: NoExecute}"
        )),
        []
    );
    for (list, code, message) in [
        (
            "{key: a b, effect: NoSchedule}",
            "CFG026",
            "Kubernetes refuses the taint 'a b'",
        ),
        (
            "{key: '', effect: NoSchedule}",
            "CFG026",
            "Kubernetes refuses the taint ''",
        ),
        (
            "{key: a, value: -b, effect: NoSchedule}",
            "CFG026",
            "Kubernetes refuses '-b' as a taint's value",
        ),
        (
            "{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}",
            "CFG028",
            "taint a:NoSchedule of node group a is declared twice",
        ),
    ] {
        let finding = one(&taints(list));
        assert_eq!((finding.0, finding.1.as_str()), (code, message));
    }
}

#[test]
fn labels_that_eks_does_not_take() {
    let labels = |provider: &str, labels: &str| {
        format!("  provider: {provider}\n  nodeGroups: [{{name: a, labels: {labels}}}]\n")
    };
    let eks = "{eks: {region: us-west-2}}";
    for fine in [
        "{team: a}",
        "{node.kubernetes.io/team: a}",
        "{notkubernetes.io/a: b}",
    ] {
        assert_eq!(found(&labels(eks, fine)), [], "{fine}");
    }
    assert_eq!(
        found(&labels("sandbox", "{node-role.kubernetes.io/a: ''}")),
        []
    );
    assert_eq!(
        one(&labels(eks, "{team: ''}")).1,
        "EKS refuses the label 'team' without a value"
    );
    for key in [
        "node-role.kubernetes.io/a",
        "kubernetes.io/os",
        "eks.amazonaws.com/x",
    ] {
        let finding = one(&labels(eks, &format!("{{{key}: b}}")));
        assert_eq!(
            finding.1,
            format!("nodes of EKS cannot have the label '{key}' of their own")
        );
    }
}

#[test]
fn zones_and_subnets_are_named_once() {
    let zones = |zones: &str| format!("{EKS}  network: {{zones: [{zones}]}}\n");
    assert_eq!(
        one(&zones("us-west-2a, us-west-2b, us-west-2a")).1,
        "zone us-west-2a is declared twice"
    );
    assert_eq!(
        one(&zones("us-west-2a, us-west-2b, ''")).1,
        "a zone has no name"
    );
    assert_eq!(
        one(&zones("us-west-2a, eu-west-1a")).1,
        "zone eu-west-1a is not in region us-west-2"
    );
    let subnets = |private: &str, public: &str| {
        format!(
            "{EKS}  network: {{existingVpc: {{id: vpc-0a1b2c3d, privateSubnets: [{private}], publicSubnets: [{public}]}}}}\n"
        )
    };
    let (a, b) = ("subnet-0a1b2c3a", "subnet-0a1b2c3b");
    assert_eq!(found(&subnets(&format!("{a}, {b}"), "")), []);
    for (private, public) in [(format!("{a}, {b}, {a}"), ""), (format!("{a}, {b}"), a)] {
        let finding = one(&subnets(&private, public));
        assert_eq!(
            (finding.0, finding.1),
            ("CFG028", format!("subnet {a} is declared twice"))
        );
    }
    assert_eq!(
        one(&subnets(&format!("{a}, {b}"), "x")).1,
        "'x' is not a subnet's id"
    );
}

#[test]
fn disks_that_nodes_cannot_have() {
    let disk = |size: &str| format!("  nodeGroups: [{{name: a, diskSize: {size}}}]\n");
    for fine in ["20Gi", "50G", "16Ti", "64Ti"] {
        assert_eq!(found(&disk(fine)), [], "{fine}");
    }
    for size in ["0Gi", "1Ki", "50", "19Gi", "65Ti", "100000Ti"] {
        let finding = one(&disk(size));
        assert_eq!((finding.0, finding.2.as_str()), ("CFG016", size));
    }
}

#[test]
fn ranges_without_hosts_are_refused_and_unwise_ones_told() {
    let cidr = |cidr: &str| format!("  network: {{cidr: {cidr}}}\n");
    for range in [
        "0.0.0.0/16",
        "127.0.0.0/16",
        "169.254.0.0/16",
        "224.0.0.0/16",
        "255.255.0.0/16",
    ] {
        let finding = one(&cidr(range));
        assert_eq!(finding.0, "CFG036");
        assert_eq!(finding.1, format!("no VPC can have the range {range}"));
    }
    assert_eq!(
        one(&cidr("172.17.0.0/20")).1,
        "services of AWS use 172.17.0.0/16 themselves"
    );
    for fine in ["172.16.0.0/16", "172.18.0.0/16", "100.64.0.0/16"] {
        assert_eq!(found(&cidr(fine)), [], "{fine}");
    }
}

#[test]
fn kubernetes_versions_that_there_are_none_of() {
    for version in ["1.4294967295", "2.0"] {
        let finding = one(&format!("  cluster: {{kubernetesVersion: '{version}'}}\n"));
        assert_eq!(finding.0, "CFG015");
        assert!(
            finding
                .1
                .contains(&format!("there is no Kubernetes {version}")),
            "{finding:?}"
        );
    }
}
