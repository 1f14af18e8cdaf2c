//! Kafka, Strimzi and Kubernetes that do not go together.

use crate::support::findings;
use insta::assert_snapshot;

#[test]
fn strimzi_and_kafka() {
    assert_snapshot!(findings("  strimzi: {version: 0.47.0}\n  kafka:\n    version: 3.7.0\n"), @r"
    error[CFG014]: Strimzi 0.47.0 does not support Kafka 3.7.0
       ╭─ pipeline.yaml:8:14
       │
     8 │     version: 3.7.0
       │              ^^^^^ supported here: 3.9.0, 3.9.1, 4.0.0
       ╰─ help: set version to 3.9.1

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka: {version: 4.1.0}\n"), @r"
    error[CFG014]: Strimzi 1.2.0 does not support Kafka 4.1.0
       ╭─ pipeline.yaml:6:20
       │
     6 │   kafka: {version: 4.1.0}
       │                    ^^^^^ supported here: 4.2.0, 4.2.1, 4.3.0, 4.3.1
       ╰─ help: set version to 4.3.1, or strimzi.version to 1.0.0

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  strimzi: {version: 7.0.0}\n  kafka: {}\n"), @r"
    warning[CFG021]: pipectl does not know Strimzi 7.0.0, nor which Kafka versions it runs
       ╭─ pipeline.yaml:6:22
       │
     6 │   strimzi: {version: 7.0.0}
       │                      ^^^^^ known: 0.39.0 to 1.2.0
       ╵
    ");
}

#[test]
fn strimzi_and_kubernetes() {
    assert_snapshot!(findings("  strimzi: {version: 0.45.0}\n  cluster: {kubernetesVersion: 1.33}\n  kafka: {}\n"), @r"
    error[CFG020]: Strimzi 0.45.0 fails on Kubernetes 1.33
       ╭─ pipeline.yaml:6:22
       │
     6 │   strimzi: {version: 0.45.0}
       │                      ^^^^^^ 0.45.1 or newer runs on 1.33 and newer
       ╰─ help: set strimzi.version to 0.45.1 or newer; 0.45.0 and older cannot read the version answer of Kubernetes 1.33 (strimzi-kafka-operator issue 11386)

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_eq!(
        findings(
            "  strimzi: {version: 0.45.0}\n  cluster: {kubernetesVersion: 1.32}\n  kafka: {}\n"
        ),
        ""
    );
    // What version an existing cluster has is known when it is asked.
    assert_eq!(
        findings(
            "  provider: {existing: {kubeconfig: k, context: c}}\n  strimzi: {version: 0.45.0}\n  kafka: {}\n"
        ),
        ""
    );
}

#[test]
fn zookeeper_and_metadata_versions() {
    assert_snapshot!(findings("  kafka:\n    metadataVersion: 4.4-IV0\n    zookeeper: {enabled: true, manifest: zookeeper.yaml}\n"), @r"
    error[CFG047]: Kafka 4.3.1 cannot run with metadata version 4.4-IV0
       ╭─ pipeline.yaml:7:22
       │
     7 │     metadataVersion: 4.4-IV0
       │                      ^^^^^^^
       ╰─ help: remove metadataVersion, or set it to 4.3 or older

    error[CFG022]: Strimzi 1.2.0 cannot use ZooKeeper
       ╭─ pipeline.yaml:8:26
       │
     8 │     zookeeper: {enabled: true, manifest: zookeeper.yaml}
       │                          ^^^^ impossible since 0.46.0
       ╰─ help: set zookeeper.enabled to false; the node pools' controllers take its place

    error[CFG038]: cannot read zookeeper.yaml: no such file
       ╭─ pipeline.yaml:8:42
       │
     8 │     zookeeper: {enabled: true, manifest: zookeeper.yaml}
       │                                          ^^^^^^^^^^^^^^
       ╰─ help: paths are relative to the pipeline file

    3 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka: {metadataVersion: newest}\n"), @r"
    error[CFG047]: 'newest' is not a metadata version
       ╭─ pipeline.yaml:6:28
       │
     6 │   kafka: {metadataVersion: newest}
       │                            ^^^^^^
       ╰─ help: write it as Kafka does, such as 4.2-IV1 or 4.2; or remove the field

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn copies_and_brokers() {
    assert_snapshot!(
        findings("  kafka:\n    nodePools: [{name: all, roles: [broker, controller], replicas: 1}]\n    config: {offsets.topic.replication.factor: 3, min.insync.replicas: 2}\n    topics:\n      - name: a\n      - name: b\n        replicas: 1\n      - {name: c, replicas: 1, minInSyncReplicas: 2}\n"),
        @r"
        error[CFG023]: offsets.topic.replication.factor is 3, but there is 1 broker
           ╭─ pipeline.yaml:8:48
           │
         8 │     config: {offsets.topic.replication.factor: 3, min.insync.replicas: 2}
           │                                                ^ at most 1
           ╰─ help: set it to 1, or give a broker pool more replicas

        error[CFG023]: topic a's replication factor is 3, but there is 1 broker
           ╭─ pipeline.yaml:10:9
           │
        10 │       - name: a
           │         ^^^^ at most 1
           ╰─ help: set it to 1, or give a broker pool more replicas

        error[CFG024]: topic b has 1 copy, but the cluster's min.insync.replicas is 2
           ╭─ pipeline.yaml:12:19
           │
        12 │         replicas: 1
           │                   ^
           ╰─ help: with acks=all, every write would fail; lower one or raise the other

        error[CFG024]: topic c wants 2 copies in step, but has 1
           ╭─ pipeline.yaml:13:51
           │
        13 │       - {name: c, replicas: 1, minInSyncReplicas: 2}
           │                                                   ^
           ╰─ help: with acks=all, every write would fail; lower one or raise the other

        4 errors in pipeline.yaml; nothing was changed
        "
    );
    assert_snapshot!(findings("  kafka: {config: {default.replication.factor: 2, min.insync.replicas: 3}}\n"), @r"
    error[CFG024]: min.insync.replicas is 3, but default.replication.factor is 2
       ╭─ pipeline.yaml:6:72
       │
     6 │   kafka: {config: {default.replication.factor: 2, min.insync.replicas: 3}}
       │                                                                        ^ at most 2
       ╰─ help: with acks=all, every write would fail

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn roles_of_node_pools() {
    assert_snapshot!(findings("  kafka: {nodePools: [{name: brokers, roles: [broker]}, {name: idle, roles: []}]}\n"), @r"
    error[CFG025]: no node pool has the role controller
       ╭─ pipeline.yaml:6:11
       │
     6 │   kafka: {nodePools: [{name: brokers, roles: [broker]}, {name: idle, roles: []}]}
       │           ^^^^^^^^^ needs a controller
       ╰─ help: add a pool with roles: [controller], or add controller to a pool's roles

    error[CFG025]: node pool idle has no role
       ╭─ pipeline.yaml:6:70
       │
     6 │   kafka: {nodePools: [{name: brokers, roles: [broker]}, {name: idle, roles: []}]}
       │                                                                      ^^^^^
       ╰─ help: write [broker], [controller] or both

    2 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka:\n    nodePools:\n      - {name: all, roles: [broker, controller], replicas: 4}\n"), @r"
    warning[CFG048]: 4 controllers tolerate no more failures than 3
       ╭─ pipeline.yaml:8:60
       │
     8 │       - {name: all, roles: [broker, controller], replicas: 4}
       │                                                            ^
       ╰─ help: take an odd number, such as 3
    ");
}

#[test]
fn listeners_that_strimzi_refuses() {
    assert_snapshot!(findings("  kafka:\n    listeners:\n      - {name: Plain_listener, port: 80}\n      - {name: web, port: 9404, type: ingress}\n"), @r"
    error[CFG041]: Strimzi refuses the listener name 'Plain_listener'
       ╭─ pipeline.yaml:8:16
       │
     8 │       - {name: Plain_listener, port: 80}
       │                ^^^^^^^^^^^^^^
       ╰─ help: use 1 to 11 lower-case letters and digits

    error[CFG041]: Strimzi refuses the listener port 80
       ╭─ pipeline.yaml:8:38
       │
     8 │       - {name: Plain_listener, port: 80}
       │                                      ^^
       ╰─ help: use 9092 or higher, except 9404 (metrics) and 9999 (JMX)

    error[CFG041]: Strimzi refuses the listener port 9404
       ╭─ pipeline.yaml:9:27
       │
     9 │       - {name: web, port: 9404, type: ingress}
       │                           ^^^^
       ╰─ help: use 9092 or higher, except 9404 (metrics) and 9999 (JMX)

    error[CFG041]: ingress listener web needs TLS
       ╭─ pipeline.yaml:9:39
       │
     9 │       - {name: web, port: 9404, type: ingress}
       │                                       ^^^^^^^
       ╰─ help: set tls: true

    4 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka: {listeners: []}\n"), @r"
    error[CFG041]: Kafka has no listeners, so that no client can connect
       ╭─ pipeline.yaml:6:11
       │
     6 │   kafka: {listeners: []}
       │           ^^^^^^^^^
       ╰─ help: remove the field for a plain listener on port 9092

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn topics_that_nobody_creates_or_that_contradict_themselves() {
    assert_snapshot!(
        findings("  kafka:\n    entityOperator: {topicOperator: false}\n    topics: [{name: a, retention: 1h, config: {retention.ms: 5}}]\n"),
        @r"
        error[CFG044]: topics are declared, but the topic operator is off
           ╭─ pipeline.yaml:7:37
           │
         7 │     entityOperator: {topicOperator: false}
           │                                     ^^^^^
           ╰─ help: set topicOperator: true, or remove the topics

        error[CFG028]: topic a sets retention.ms twice: here and as retention
           ╭─ pipeline.yaml:8:48
           │
         8 │     topics: [{name: a, retention: 1h, config: {retention.ms: 5}}]
           │                                                ^^^^^^^^^^^^
           ╰─ help: remove one of the two

        2 errors in pipeline.yaml; nothing was changed
        "
    );
}
