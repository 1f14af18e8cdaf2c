//! Fields that are unknown, missing or of the wrong kind.

use crate::support::{file, findings, findings_with, load_with};
use insta::assert_snapshot;

#[test]
fn unknown_fields_come_with_the_nearest_known_one() {
    assert_snapshot!(findings("  node_groups: []\n  kakfa: {}\n  volumes: []\n"), @r"
    error[CFG010]: unknown field 'node_groups' in spec
       ╭─ pipeline.yaml:6:3
       │
     6 │   node_groups: []
       │   ^^^^^^^^^^^ not known here
       ╰─ help: did you mean nodeGroups?

    error[CFG010]: unknown field 'kakfa' in spec
       ╭─ pipeline.yaml:7:3
       │
     7 │   kakfa: {}
       │   ^^^^^ not known here
       ╰─ help: did you mean kafka?

    error[CFG010]: unknown field 'volumes' in spec
       ╭─ pipeline.yaml:8:3
       │
     8 │   volumes: []
       │   ^^^^^^^ not known here
       ╰─ help: known here: provider, network, cluster, nodeGroups, addons, strimzi, kafka, sparkOperator, namespaces, secrets, workloads, sparkApplications, verification, mirrors, timeouts, ttl, tags

    3 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka:\n    topics:\n      - name: a\n        partition: 3\n"), @r"
    error[CFG010]: unknown field 'partition' in spec.kafka.topics[0]
       ╭─ pipeline.yaml:9:9
       │
     9 │         partition: 3
       │         ^^^^^^^^^ not known here
       ╰─ help: did you mean partitions?

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn missing_fields_say_what_they_are_for() {
    assert_snapshot!(findings("  kafka:\n    topics:\n      - partitions: 3\n  provider:\n    existing:\n      kubeconfig: a\n"), @r"
    error[CFG011]: 'name' is missing in spec.kafka.topics[0]
       ╭─ pipeline.yaml:8:9
       │
     8 │       - partitions: 3
       │         ^^^^^^^^^^ needs 'name'
       ╰─ help: add name: the topic's name, which is also its Kubernetes object's

    error[CFG011]: 'context' is missing in spec.provider.existing
       ╭─ pipeline.yaml:10:5
       │
    10 │     existing:
       │     ^^^^^^^^ needs 'context'
       ╰─ help: add context: the context in that file

    2 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn wrong_kinds() {
    assert_snapshot!(
        findings("  kafka:\n    topics: streaming-topic\n    config: [a]\n    nodePools:\n      - name: a\n        roles: broker\n        replicas: three\n        storage: 10Gi\n"),
        @r"
        error[CFG012]: 'spec.kafka.topics' must be a list, not a text
           ╭─ pipeline.yaml:7:13
           │
         7 │     topics: streaming-topic
           │             ^^^^^^^^^^^^^^^ expected a list
           ╰─ help: put a list there: [...], or one item a line, each after a hyphen

        error[CFG012]: 'spec.kafka.config' must be a mapping, not a list
           ╭─ pipeline.yaml:8:5
           │
         8 │     config: [a]
           │     ^^^^^^ expected a mapping
           ╵

        error[CFG012]: 'spec.kafka.nodePools[0].roles' must be a list, not a text
           ╭─ pipeline.yaml:11:16
           │
        11 │         roles: broker
           │                ^^^^^^ expected a list
           ╰─ help: put a list there: [...], or one item a line, each after a hyphen

        error[CFG012]: 'spec.kafka.nodePools[0].replicas' must be a whole number, not a text
           ╭─ pipeline.yaml:12:19
           │
        12 │         replicas: three
           │                   ^^^^^ expected a whole number
           ╵

        error[CFG012]: 'spec.kafka.nodePools[0].storage' must be a mapping, not a text
           ╭─ pipeline.yaml:13:18
           │
        13 │         storage: 10Gi
           │                  ^^^^ expected a mapping
           ╵

        5 errors in pipeline.yaml; nothing was changed
        "
    );
    assert_snapshot!(findings("  sparkOperator:\n    webhook: maybe\n    namespace: [a]\n    values: 5\n"), @r"
    error[CFG012]: 'spec.sparkOperator.webhook' must be true or false, not a text
       ╭─ pipeline.yaml:7:14
       │
     7 │     webhook: maybe
       │              ^^^^^ expected true or false
       ╵

    error[CFG012]: 'spec.sparkOperator.namespace' must be a text, not a list
       ╭─ pipeline.yaml:8:5
       │
     8 │     namespace: [a]
       │     ^^^^^^^^^ expected a text
       ╵

    error[CFG012]: 'spec.sparkOperator.values' must be a mapping, not a number
       ╭─ pipeline.yaml:9:13
       │
     9 │     values: 5
       │             ^ expected a mapping
       ╵

    3 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn wrong_words() {
    assert_snapshot!(findings("  network:\n    nat: one\n  nodeGroups:\n    - name: a\n      capacity: on_demand\n      architecture: Arm64\n"), @r"
    error[CFG013]: 'one' is not a choice for 'spec.network.nat'
       ╭─ pipeline.yaml:7:10
       │
     7 │     nat: one
       │          ^^^ one of none, single, per-zone
       ╰─ help: did you mean none?

    error[CFG013]: 'on_demand' is not a choice for 'spec.nodeGroups[0].capacity'
       ╭─ pipeline.yaml:10:17
       │
    10 │       capacity: on_demand
       │                 ^^^^^^^^^ one of on-demand, spot
       ╰─ help: did you mean on-demand?

    error[CFG013]: 'Arm64' is not a choice for 'spec.nodeGroups[0].architecture'
       ╭─ pipeline.yaml:11:21
       │
    11 │       architecture: Arm64
       │                     ^^^^^ one of amd64, arm64
       ╰─ help: did you mean arm64?

    3 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn providers_that_are_none() {
    assert_snapshot!(findings("  provider: eks\n"), @r"
    error[CFG013]: 'eks' is not a choice for 'spec.provider'
       ╭─ pipeline.yaml:6:13
       │
     6 │   provider: eks
       │             ^^^ one of sandbox, existing, eks
       ╰─ help: eks has settings of its own: provider: {eks: {...}}

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  provider: {gke: {}}\n"), @r"
    error[CFG013]: 'gke' is not a choice for 'spec.provider'
       ╭─ pipeline.yaml:6:14
       │
     6 │   provider: {gke: {}}
       │              ^^^ one of existing, eks, sandbox
       ╰─ help: write one of existing or eks or sandbox

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  provider: {sandbox: {}}\n"), @r"
    error[CFG013]: 'sandbox' is not a choice for 'spec.provider'
       ╭─ pipeline.yaml:6:14
       │
     6 │   provider: {sandbox: {}}
       │              ^^^^^^^ one of existing, eks, sandbox
       ╰─ help: write provider: sandbox

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  provider: {eks: {region: us-west-2}, existing: {}}\n"), @r"
    error[CFG013]: 'spec.provider' takes exactly one of existing or eks
       ╭─ pipeline.yaml:6:40
       │
     6 │   provider: {eks: {region: us-west-2}, existing: {}}
       │                                        ^^^^^^^^
       ╵

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn amounts_without_or_with_wrong_units() {
    assert_snapshot!(
        findings("  ttl: 10 minutes\n  kafka:\n    version: '4.3'\n    nodePools:\n      - name: a\n        roles: [broker]\n        storage: {size: 10GB}\n        resources: {requests: {cpu: 1 core}}\n  cluster: {kubernetesVersion: latest}\n"),
        @r"
        error[CFG015]: 'spec.ttl': '10 minutes' is not a duration
           ╭─ pipeline.yaml:6:8
           │
         6 │   ttl: 10 minutes
           │        ^^^^^^^^^^
           ╰─ help: write a number and a unit, such as 30s, 10m, 1h30m or 600000ms

        error[CFG015]: 'spec.kafka.version': '4.3' is not a version
           ╭─ pipeline.yaml:8:14
           │
         8 │     version: '4.3'
           │              ^^^^^
           ╰─ help: write three numbers with dots, such as 4.3.1

        error[CFG015]: 'spec.kafka.nodePools[0].storage.size': '10GB' is not a size
           ╭─ pipeline.yaml:12:25
           │
        12 │         storage: {size: 10GB}
           │                         ^^^^
           ╰─ help: write a whole number and a unit, such as 512Mi, 10Gi or 50G

        error[CFG015]: 'spec.kafka.nodePools[0].resources.requests.cpu': '1 core' is not an amount of CPU
           ╭─ pipeline.yaml:13:37
           │
        13 │         resources: {requests: {cpu: 1 core}}
           │                                     ^^^^^^
           ╰─ help: write cores, such as 2 or 1.5, or thousandths, such as 500m

        error[CFG015]: 'spec.cluster.kubernetesVersion': 'latest' is not a Kubernetes version
           ╭─ pipeline.yaml:14:32
           │
        14 │   cluster: {kubernetesVersion: latest}
           │                                ^^^^^^
           ╰─ help: write major and minor number, such as 1.35

        5 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn only_days_that_cloudwatch_takes() {
    assert_snapshot!(
        findings("  cluster: {logRetentionDays: 10}\n"),
        @r"
        error[CFG013]: '10' is not a choice for 'spec.cluster.logRetentionDays'
           ╭─ pipeline.yaml:6:31
           │
         6 │   cluster: {logRetentionDays: 10}
           │                               ^^ one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
           ╵

        1 error in pipeline.yaml; nothing was changed
        "
    );
    assert_eq!(findings("  cluster: {logRetentionDays: 3653}\n"), "");
}

#[test]
fn numbers_out_of_range() {
    assert_snapshot!(
        findings("  kafka:\n    topics:\n      - name: a\n        partitions: 0\n        replicas: -1\n    listeners: [{name: a, port: 99999}]\n  network: {zoneCount: 1}\n  nodeGroups: [{name: a, size: 2.5}]\n"),
        @r"
        error[CFG016]: 'spec.kafka.topics[0].partitions' is out of range: 0
           ╭─ pipeline.yaml:9:21
           │
         9 │         partitions: 0
           │                     ^ at least 1
           ╵

        error[CFG016]: 'spec.kafka.topics[0].replicas' is out of range: -1
           ╭─ pipeline.yaml:10:19
           │
        10 │         replicas: -1
           │                   ^^ from 1 to 32767
           ╵

        error[CFG016]: 'spec.kafka.listeners[0].port' is out of range: 99999
           ╭─ pipeline.yaml:11:33
           │
        11 │     listeners: [{name: a, port: 99999}]
           │                                 ^^^^^ from 0 to 65535
           ╵

        error[CFG016]: 'spec.network.zoneCount' is out of range: 1
           ╭─ pipeline.yaml:12:24
           │
        12 │   network: {zoneCount: 1}
           │                        ^ from 2 to 6
           ╵

        error[CFG012]: 'spec.nodeGroups[0].size' must be a whole number, not a fraction
           ╭─ pipeline.yaml:13:32
           │
        13 │   nodeGroups: [{name: a, size: 2.5}]
           │                                ^^^ expected a whole number
           ╵

        5 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn sections_with_nothing_in_them() {
    assert_snapshot!(findings("  kafka:\n  ttl:\n  strimzi: {version: ~}\n"), @r"
    error[CFG019]: 'spec.kafka' is left empty
       ╭─ pipeline.yaml:6:3
       │
     6 │   kafka:
       │   ^^^^^ nothing here
       ╰─ help: write {} for the defaults, or remove the field

    error[CFG019]: 'spec.ttl' is left empty
       ╭─ pipeline.yaml:7:3
       │
     7 │   ttl:
       │   ^^^ nothing here
       ╰─ help: give it a value, or remove the field

    error[CFG019]: 'spec.strimzi.version' is left empty
       ╭─ pipeline.yaml:8:13
       │
     8 │   strimzi: {version: ~}
       │             ^^^^^^^ nothing here
       ╰─ help: give it a value, or remove the field

    3 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn versions_and_texts_need_no_quotes() {
    let loaded = load_with(
        file(
            "  cluster: {kubernetesVersion: 1.30}\n  tags: {build: 007, yes: no, empty: ''}\n  kafka: {config: {a: 1, b: true, c: x, d: 1.5, e: '1'}}\n",
        ),
        &[],
    );
    // Strimzi 1.2.0 is for newer Kubernetes, but it is not refused here.
    let spec = loaded.unwrap().pipeline.spec;
    assert_eq!(spec.cluster.kubernetes_version.to_string(), "1.30");
    let tags: Vec<(&str, &str)> = spec
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(tags, [("build", "007"), ("empty", ""), ("yes", "no")]);
    let config = serde_json::to_string(&spec.kafka.unwrap().config).unwrap();
    assert_eq!(config, r#"{"a":1,"b":true,"c":"x","d":1.5,"e":"1"}"#);
}

#[test]
fn the_smallest_file_and_the_smallest_kafka() {
    let loaded = load_with(
        "apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata: {name: tiny}\n",
        &[],
    )
    .unwrap();
    assert!(loaded.pipeline.spec.kafka.is_none() && loaded.pipeline.spec.strimzi.is_none());
    assert_eq!(loaded.pipeline.spec.node_groups.len(), 1);

    let spec = load_with(file("  kafka: {}\n"), &[]).unwrap().pipeline.spec;
    let kafka = spec.kafka.unwrap();
    assert_eq!(
        (
            kafka.brokers(),
            kafka.controllers(),
            kafka.bootstrap_address().as_str()
        ),
        (3, 3, "kafka-kafka-bootstrap.kafka.svc:9092")
    );
    assert_eq!(spec.strimzi.unwrap().version.to_string(), "1.2.0");
    assert_eq!(spec.namespaces.len(), 1);
}

#[test]
fn a_kafka_without_a_version_follows_its_strimzi() {
    let kafka = |spec: &str| {
        load_with(file(spec), &[])
            .unwrap()
            .pipeline
            .spec
            .kafka
            .unwrap()
            .version
            .to_string()
    };
    assert_eq!(
        kafka("  strimzi: {version: 0.47.0}\n  kafka: {}\n"),
        "4.0.0"
    );
    assert_eq!(kafka("  kafka: {}\n"), "4.3.1");
}

#[test]
fn a_flood_of_findings_is_cut() {
    let fields: String = (0..500)
        .map(|number| format!("  nonsense{number}: 1\n"))
        .collect();
    let shown = findings_with(file(&fields), &[]);
    assert_eq!(shown.matches("error[CFG010]").count(), 100);
    assert!(
        shown.contains("error[CFG049]: 400 more findings are not shown"),
        "{}",
        &shown[shown.len() - 300..]
    );
}

#[test]
fn long_lines_are_cut_around_the_mark() {
    assert_snapshot!(findings(&format!("  tags: {{a: {}, b: [x], c: {}}}\n", "y".repeat(300), "z".repeat(300))), @r"
    error[CFG012]: 'spec.tags.b' must be a text, not a list
       ╭─ pipeline.yaml:6:315
       │
     6 │ …yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy, b: [x], c: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz…
       │                                                              ^ expected a text
       ╵

    1 error in pipeline.yaml; nothing was changed
    ");
}
