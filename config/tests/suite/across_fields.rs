//! Fields that do not go together.

use crate::support::{file, findings, findings_with, load_with};
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

#[test]
fn names_that_kubernetes_refuses() {
    assert_snapshot!(
        findings_with("apiVersion: pipectl.dev/v1\nkind: Pipeline\nmetadata: {name: My Pipeline}\nspec:\n  namespaces:\n    - {name: Team_A, labels: {pipectl.dev/x: y, 'a b': '-'}}\n  kafka:\n    name: streaming-cluster-with-a-name-that-is-far-too-long\n    nodePools: [{name: -a, roles: [broker, controller], replicas: 3}]\n    topics: [{name: user_activity}, {name: ''}]\n", &[]),
        @r"
        error[CFG026]: the pipeline name 'My Pipeline' cannot be used: 'M' is not allowed; use lower-case letters, digits and hyphens
           ╭─ pipeline.yaml:3:18
           │
         3 │ metadata: {name: My Pipeline}
           │                  ^^^^^^^^^^^
           ╰─ help: for instance my-pipeline

        error[CFG026]: the namespace 'Team_A' cannot be used: 'T' is not allowed; use lower-case letters, digits and hyphens
           ╭─ pipeline.yaml:6:14
           │
         6 │     - {name: Team_A, labels: {pipectl.dev/x: y, 'a b': '-'}}
           │              ^^^^^^
           ╰─ help: for instance team-a

        error[CFG026]: the label 'pipectl.dev/x' is pipectl's own
           ╭─ pipeline.yaml:6:31
           │
         6 │     - {name: Team_A, labels: {pipectl.dev/x: y, 'a b': '-'}}
           │                               ^^^^^^^^^^^^^
           ╰─ help: labels that begin with pipectl.dev/ say to whom an object belongs; use another name

        error[CFG026]: Kubernetes refuses the label 'a b'
           ╭─ pipeline.yaml:6:49
           │
         6 │     - {name: Team_A, labels: {pipectl.dev/x: y, 'a b': '-'}}
           │                                                 ^^^^^
           ╰─ help: write NAME or DOMAIN/NAME, at most 63 letters, digits, '-', '_' and '.'

        error[CFG026]: Kubernetes refuses '-' as a label's value
           ╭─ pipeline.yaml:6:56
           │
         6 │     - {name: Team_A, labels: {pipectl.dev/x: y, 'a b': '-'}}
           │                                                        ^^^
           ╰─ help: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends

        error[CFG026]: the Kafka cluster's name 'streaming-cluster-with-a-name-that-is-far-too-long' cannot be used: it has 50 characters; at most 47 fit
           ╭─ pipeline.yaml:8:11
           │
         8 │     name: streaming-cluster-with-a-name-that-is-far-too-long
           │           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           ╰─ help: for instance streaming-cluster-with-a-name-that-is-far-too-l

        error[CFG026]: the node pool's name '-a' cannot be used: it must begin and end with a letter or digit
           ╭─ pipeline.yaml:9:24
           │
         9 │     nodePools: [{name: -a, roles: [broker, controller], replicas: 3}]
           │                        ^^
           ╰─ help: for instance a

        error[CFG026]: the topic's name 'user_activity' cannot be used: '_' is not allowed; use lower-case letters, digits, dots and hyphens
           ╭─ pipeline.yaml:10:21
           │
        10 │     topics: [{name: user_activity}, {name: ''}]
           │                     ^^^^^^^^^^^^^
           ╰─ help: for instance user-activity

        error[CFG026]: the topic's name '' cannot be used: it is empty
           ╭─ pipeline.yaml:10:44
           │
        10 │     topics: [{name: user_activity}, {name: ''}]
           │                                            ^^
           ╵

        9 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn values_that_aws_refuses() {
    assert_snapshot!(
        findings("  provider: {eks: {region: Oregon, account: 1234, roleArn: admin}}\n  cluster: {name: -x, publicAccessCidrs: [0.0.0.0]}\n  network: {cidr: 10.0.1.0/16, existingVpc: {id: vpc-main, privateSubnets: [subnet-1]}}\n"),
        @r"
        error[CFG027]: 'Oregon' is not an AWS region
           ╭─ pipeline.yaml:6:28
           │
         6 │   provider: {eks: {region: Oregon, account: 1234, roleArn: admin}}
           │                            ^^^^^^
           ╰─ help: write a region such as us-west-2

        error[CFG027]: '1234' is not an AWS account
           ╭─ pipeline.yaml:6:45
           │
         6 │   provider: {eks: {region: Oregon, account: 1234, roleArn: admin}}
           │                                             ^^^^
           ╰─ help: an account has 12 digits; keep leading zeros in quotes

        error[CFG027]: 'admin' is not a role's ARN
           ╭─ pipeline.yaml:6:60
           │
         6 │   provider: {eks: {region: Oregon, account: 1234, roleArn: admin}}
           │                                                            ^^^^^
           ╰─ help: write arn:aws:iam::ACCOUNT:role/NAME

        error[CFG027]: EKS refuses the cluster name '-x'
           ╭─ pipeline.yaml:7:19
           │
         7 │   cluster: {name: -x, publicAccessCidrs: [0.0.0.0]}
           │                   ^^
           ╰─ help: use at most 100 letters, digits, '-' and '_', beginning with a letter or digit

        error[CFG036]: '0.0.0.0' is not an address range
           ╭─ pipeline.yaml:7:43
           │
         7 │   cluster: {name: -x, publicAccessCidrs: [0.0.0.0]}
           │                                           ^^^^^^^
           ╰─ help: write it as ADDRESS/LENGTH, such as 10.0.0.0/16

        warning[CFG043]: spec.network.cidr has no effect: an existing VPC is taken as it is
           ╭─ pipeline.yaml:8:13
           │
         8 │   network: {cidr: 10.0.1.0/16, existingVpc: {id: vpc-main, privateSubnets: [subnet-1]}}
           │             ^^^^
           ╰─ help: remove it

        error[CFG027]: 'vpc-main' is not a VPC's id
           ╭─ pipeline.yaml:8:50
           │
         8 │   network: {cidr: 10.0.1.0/16, existingVpc: {id: vpc-main, privateSubnets: [subnet-1]}}
           │                                                  ^^^^^^^^
           ╰─ help: write it as vpc- and 17 digits and letters a-f

        error[CFG027]: EKS needs at least two private subnets, in different zones
           ╭─ pipeline.yaml:8:60
           │
         8 │   network: {cidr: 10.0.1.0/16, existingVpc: {id: vpc-main, privateSubnets: [subnet-1]}}
           │                                                            ^^^^^^^^^^^^^^
           ╰─ help: name another subnet

        error[CFG027]: 'subnet-1' is not a subnet's id
           ╭─ pipeline.yaml:8:77
           │
         8 │   network: {cidr: 10.0.1.0/16, existingVpc: {id: vpc-main, privateSubnets: [subnet-1]}}
           │                                                                             ^^^^^^^^
           ╰─ help: write it as subnet- and 17 digits and letters a-f

        8 errors in pipeline.yaml; nothing was changed
        "
    );
    assert_snapshot!(findings("  network: {cidr: 10.0.0.0/28, zones: [us-west-2a]}\n"), @r"
    error[CFG036]: a VPC with /28 cannot hold pipectl's subnets
       ╭─ pipeline.yaml:6:19
       │
     6 │   network: {cidr: 10.0.0.0/28, zones: [us-west-2a]}
       │                   ^^^^^^^^^^^ from /16 to /24
       ╰─ help: take a range such as 10.0.0.0/16

    error[CFG027]: EKS needs subnets in at least two zones
       ╭─ pipeline.yaml:6:32
       │
     6 │   network: {cidr: 10.0.0.0/28, zones: [us-west-2a]}
       │                                ^^^^^
       ╰─ help: name another zone

    2 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  network: {cidr: 8.8.0.0/16}\n"), @r"
    warning[CFG036]: 8.8.0.0/16 is not a private range
       ╭─ pipeline.yaml:6:19
       │
     6 │   network: {cidr: 8.8.0.0/16}
       │                   ^^^^^^^^^^
       ╰─ help: addresses of others in it become unreachable; take one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16
    ");
}

#[test]
fn node_counts() {
    assert_snapshot!(findings("  nodeGroups:\n    - {name: a, size: 3, minSize: 4}\n    - {name: b, maxSize: 2, instanceTypes: []}\n"), @r"
    error[CFG046]: node group a starts with 3 nodes, fewer than its minSize 4
       ╭─ pipeline.yaml:7:35
       │
     7 │     - {name: a, size: 3, minSize: 4}
       │                                   ^
       ╰─ help: minSize ≤ size ≤ maxSize

    error[CFG046]: node group b starts with 3 nodes, more than its maxSize 2
       ╭─ pipeline.yaml:8:26
       │
     8 │     - {name: b, maxSize: 2, instanceTypes: []}
       │                          ^
       ╰─ help: minSize ≤ size ≤ maxSize

    error[CFG046]: node group b has no instance types
       ╭─ pipeline.yaml:8:29
       │
     8 │     - {name: b, maxSize: 2, instanceTypes: []}
       │                             ^^^^^^^^^^^^^
       ╰─ help: remove the field for m6i.large

    3 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn things_that_are_declared_twice() {
    assert_snapshot!(
        findings("  kafka:\n    topics: [{name: a}, {name: a}]\n    listeners: [{name: plain, port: 9092}, {name: other, port: 9092}]\n  namespaces: [{name: x}, {name: x}]\n  workloads:\n    - {name: w, namespace: x, charts: [{name: strimzi, repo: 'https://example.org', chart: c, version: 1.0.0}]}\n    - {name: w, namespace: kafka, charts: [{name: strimzi, repo: 'https://example.org', chart: c, version: 1.0.0}]}\n"),
        @r"
        error[CFG028]: topic a is declared twice
           ╭─ pipeline.yaml:7:32
           │
         7 │     topics: [{name: a}, {name: a}]
           │                                ^
           ╰─ help: the first is on line 7

        error[CFG028]: listener port 9092 is declared twice
           ╭─ pipeline.yaml:8:64
           │
         8 │     listeners: [{name: plain, port: 9092}, {name: other, port: 9092}]
           │                                                                ^^^^
           ╰─ help: the first is on line 8

        error[CFG028]: namespace x is declared twice
           ╭─ pipeline.yaml:9:34
           │
         9 │   namespaces: [{name: x}, {name: x}]
           │                                  ^
           ╰─ help: the first is on line 9

        error[CFG028]: workload w is declared twice
           ╭─ pipeline.yaml:12:14
           │
        12 │     - {name: w, namespace: kafka, charts: [{name: strimzi, repo: 'https://example.org', chart: c, version: 1.0.0}]}
           │              ^
           ╰─ help: the first is on line 11

        error[CFG028]: Helm release strimzi in namespace kafka is declared twice
           ╭─ pipeline.yaml:12:51
           │
        12 │     - {name: w, namespace: kafka, charts: [{name: strimzi, repo: 'https://example.org', chart: c, version: 1.0.0}]}
           │                                                   ^^^^^^^
           ╰─ help: pipectl itself uses the name

        5 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn namespaces_that_nobody_declares() {
    assert_snapshot!(
        findings("  namespaces: [{name: was}, {name: kube-system}]\n  workloads: [{name: w, namespace: wsa}]\n  secrets: [{name: s, namespace: nowhere, data: {}}]\n"),
        @r"
        error[CFG042]: namespace kube-system belongs to Kubernetes and cannot be created or deleted
           ╭─ pipeline.yaml:6:36
           │
         6 │   namespaces: [{name: was}, {name: kube-system}]
           │                                    ^^^^^^^^^^^
           ╰─ help: add createdBy: user

        error[CFG029]: namespace wsa is not declared
           ╭─ pipeline.yaml:7:36
           │
         7 │   workloads: [{name: w, namespace: wsa}]
           │                                    ^^^
           ╰─ help: did you mean was? Otherwise add {name: wsa} to spec.namespaces

        error[CFG029]: namespace nowhere is not declared
           ╭─ pipeline.yaml:8:34
           │
         8 │   secrets: [{name: s, namespace: nowhere, data: {}}]
           │                                  ^^^^^^^
           ╰─ help: add {name: nowhere} to spec.namespaces

        3 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn operators_that_look_elsewhere() {
    assert_snapshot!(
        findings("  kafka: {namespace: data}\n  strimzi: {watchNamespaces: []}\n  namespaces: [{name: jobs}]\n  sparkOperator:\n    jobNamespaces: [jobs]\n    chart: {repo: 'https://googlecloudplatform.github.io/spark-on-k8s-operator', name: spark-operator}\n  sparkApplications:\n    - {name: app, sparkVersion: 3.5.1, image: i, mainApplicationFile: local:///a.py}\n"),
        @r"
        error[CFG032]: Strimzi does not watch namespace data, where Kafka is
           ╭─ pipeline.yaml:7:13
           │
         7 │   strimzi: {watchNamespaces: []}
           │             ^^^^^^^^^^^^^^^
           ╰─ help: add data to watchNamespaces

        error[CFG033]: this chart address is archived: the Spark operator moved to the Kubeflow project
           ╭─ pipeline.yaml:11:19
           │
        11 │     chart: {repo: 'https://googlecloudplatform.github.io/spark-on-k8s-operator', name: spark-operator}
           │                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           ╰─ help: remove chart, or use https://kubeflow.github.io/spark-operator; values changed too (spark.jobNamespaces, webhook)

        error[CFG031]: the Spark operator does not watch namespace default, where app is
           ╭─ pipeline.yaml:13:8
           │
        13 │     - {name: app, sparkVersion: 3.5.1, image: i, mainApplicationFile: local:///a.py}
           │        ^^^^ watched: jobs
           ╰─ help: add default to sparkOperator.jobNamespaces

        3 errors in pipeline.yaml; nothing was changed
        "
    );
}

#[test]
fn spark_applications_without_a_program_or_with_a_template() {
    assert_snapshot!(
        findings("  sparkApplications:\n    - name: app\n      sparkVersion: 3.5.1\n      image: i\n      type: Scala\n      sparkConf:\n        spark.kubernetes.driver.podTemplateFile: /opt/template.yaml\n"),
        @r"
        error[CFG045]: Spark application app has no program
           ╭─ pipeline.yaml:7:13
           │
         7 │     - name: app
           │             ^^^
           ╰─ help: set mainApplicationFile, or give code exactly one file

        error[CFG011]: Spark application app needs mainClass
           ╭─ pipeline.yaml:10:13
           │
        10 │       type: Scala
           │             ^^^^^
           ╰─ help: Java and Scala programs are started by their main class

        warning[CFG034]: spark.kubernetes.driver.podTemplateFile is set, and the operator does not mount template files
           ╭─ pipeline.yaml:12:50
           │
        12 │         spark.kubernetes.driver.podTemplateFile: /opt/template.yaml
           │                                                  ^^^^^^^^^^^^^^^^^^
           ╰─ help: remove it; driver and executor have settings of their own for what a template would say

        2 errors in pipeline.yaml; nothing was changed
        "
    );
}

const CLIENTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - name: web
          args: ['--brokers=kafka-kafka-bootstrap.kafka.svc:9093']
          env:
            - {name: KAFKA_BOOTSTRAP_SERVERS, value: 'kafka:9092'}
            - {name: OTHER, value: 'stream-kafka-bootstrap.kafka.svc.cluster.local:9092'}
            - {name: RIGHT, value: 'kafka-kafka-bootstrap.kafka.svc.cluster.local:9092'}
            - {name: ALLOWED, value: 'other-kafka-bootstrap.elsewhere.svc:9092'}
            - {name: GIVEN, value: '${kafka.bootstrap}'}
";

#[test]
fn clients_with_an_address_that_is_not_the_declared_kafkas() {
    let spec = "  kafka: {otherBootstrapAddresses: ['other-kafka-bootstrap.elsewhere.svc:9092']}\n  namespaces: [{name: was}]\n  workloads:\n    - name: web\n      namespace: was\n      manifests: [web.yaml]\n      kafkaClients: [{name: wbe}, {name: web, env: BROKERS}]\n  sparkApplications:\n    - name: app\n      sparkVersion: 3.5.1\n      image: i\n      mainApplicationFile: local:///a.py\n      env: {BROKERS: 'kafka-kafka-bootstrap.kafak.svc:9092'}\n";
    assert_snapshot!(findings_with(file(spec), &[("web.yaml", CLIENTS)]), @r"
    error[CFG040]: the workload has no Deployment called wbe
       ╭─ pipeline.yaml:12:29
       │
    12 │       kafkaClients: [{name: wbe}, {name: web, env: BROKERS}]
       │                             ^^^
       ╰─ help: did you mean web?

    error[CFG040]: no container of Deployment web has the variable BROKERS
       ╭─ pipeline.yaml:12:52
       │
    12 │       kafkaClients: [{name: wbe}, {name: web, env: BROKERS}]
       │                                                    ^^^^^^^
       ╰─ help: add the variable to the manifest, with the value ${kafka.bootstrap}

    error[CFG030]: 'kafka-kafka-bootstrap.kafak.svc:9092' is not the bootstrap address of the declared Kafka
       ╭─ pipeline.yaml:18:22
       │
    18 │       env: {BROKERS: 'kafka-kafka-bootstrap.kafak.svc:9092'}
       │                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ declared: kafka-kafka-bootstrap.kafka.svc:9092
       ╰─ help: write ${kafka.bootstrap}; an address of another Kafka cluster goes into kafka.otherBootstrapAddresses

    error[CFG030]: 'kafka-kafka-bootstrap.kafka.svc:9093' is not the bootstrap address of the declared Kafka
       ╭─ web.yaml:10:18
       │
    10 │           args: ['--brokers=kafka-kafka-bootstrap.kafka.svc:9093']
       │                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ declared: kafka-kafka-bootstrap.kafka.svc:9092
       ╰─ help: write ${kafka.bootstrap}; an address of another Kafka cluster goes into kafka.otherBootstrapAddresses

    error[CFG030]: 'kafka:9092' is not the bootstrap address of the declared Kafka
       ╭─ web.yaml:12:54
       │
    12 │             - {name: KAFKA_BOOTSTRAP_SERVERS, value: 'kafka:9092'}
       │                                                      ^^^^^^^^^^^^ declared: kafka-kafka-bootstrap.kafka.svc:9092
       ╰─ help: write ${kafka.bootstrap}; an address of another Kafka cluster goes into kafka.otherBootstrapAddresses

    error[CFG030]: 'stream-kafka-bootstrap.kafka.svc.cluster.local:9092' is not the bootstrap address of the declared Kafka
       ╭─ web.yaml:13:36
       │
    13 │             - {name: OTHER, value: 'stream-kafka-bootstrap.kafka.svc.cluster.local:9092'}
       │                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ declared: kafka-kafka-bootstrap.kafka.svc:9092
       ╰─ help: write ${kafka.bootstrap}; an address of another Kafka cluster goes into kafka.otherBootstrapAddresses

    6 errors in 2 files; nothing was changed
    ");
}

#[test]
fn a_client_beside_kafka_may_leave_the_namespace_out() {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'kafka-kafka-bootstrap:9092'}\n";
    let in_namespace = |namespace: &str| {
        let spec = format!(
            "  kafka: {{}}\n  namespaces: [{{name: was}}]\n  workloads: [{{name: w, namespace: {namespace}, manifests: [c.yaml]}}]\n"
        );
        findings_with(file(&spec), &[("c.yaml", manifest)])
    };
    assert_eq!(in_namespace("kafka"), "");
    assert!(in_namespace("was").starts_with("error[CFG030]"));
}

#[test]
fn manifests_that_are_missing_or_are_none() {
    let spec = "  namespaces: [{name: a}]\n  workloads:\n    - name: w\n      namespace: a\n      manifests: [gone.yaml, bad.yaml, none.yaml, empty, latin.yaml]\n      objects:\n        - {kind: Service, metadata: {name: s}}\n";
    let files = [
        ("bad.yaml", "a: [\n"),
        (
            "none.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x}\n---\n- list\n---\nkind: Pod\n",
        ),
        ("empty/readme.txt", "nothing"),
        ("latin.yaml", "a: b"),
    ];
    assert_snapshot!(findings_with(file(spec), &files), @r"
    error[CFG038]: cannot read gone.yaml: no such file
       ╭─ pipeline.yaml:10:19
       │
    10 │       manifests: [gone.yaml, bad.yaml, none.yaml, empty, latin.yaml]
       │                   ^^^^^^^^^
       ╰─ help: paths are relative to the pipeline file

    error[CFG038]: empty has no .yaml, .yml or .json files
       ╭─ pipeline.yaml:10:51
       │
    10 │       manifests: [gone.yaml, bad.yaml, none.yaml, empty, latin.yaml]
       │                                                   ^^^^^
       ╵

    error[CFG039]: this Service has no apiVersion
       ╭─ pipeline.yaml:12:12
       │
    12 │         - {kind: Service, metadata: {name: s}}
       │            ^^^^
       ╰─ help: add apiVersion

    error[CFG006]: this is not valid YAML: while parsing a node, did not find expected node content
       ╭─ bad.yaml:1:4
       │
     1 │ a: [
       │    ^
       ╰─ help: check indentation, quotes and brackets on this line and the one above

    error[CFG039]: this ConfigMap has no metadata.name
       ╭─ none.yaml:1:1
       │
     1 │ apiVersion: v1
       │ ^^^^^^^^^^
       ╰─ help: give it a name instead of generateName, so that it can be found again

    error[CFG039]: a Kubernetes object is expected here, not a list
       ╭─ none.yaml:5:3
       │
     5 │ - list
       │   ^^^^
       ╵

    error[CFG039]: this Pod has no apiVersion and no metadata.name
       ╭─ none.yaml:7:1
       │
     7 │ kind: Pod
       │ ^^^^
       ╰─ help: add apiVersion and metadata.name

    error[CFG039]: this document has no apiVersion and no kind and no metadata.name
       ╭─ latin.yaml:1:1
       │
     1 │ a: b
       │ ^
       ╰─ help: every document of a manifest is a Kubernetes object; remove what is not

    8 errors in 4 files; nothing was changed
    ");
}

#[test]
fn objects_in_manifests() {
    let spec = "  namespaces: [{name: a}]\n  workloads:\n    - {name: w, namespace: a, manifests: [m]}\n    - {name: v, namespace: a, manifests: [m/2.yaml]}\n";
    let files = [
        (
            "m/1.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: My_Service, namespace: b}\nspec:\n  ports:\n    - {port: 80, nodePort: 8080}\n    - {port: 81, nodePort: 30081}\n",
        ),
        (
            "m/2.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: two}\nspec: {ports: [{port: 80, nodePort: 30081}]}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:Mine'}\n",
        ),
    ];
    assert_snapshot!(findings_with(file(spec), &files), @r"
    error[CFG026]: Service 'My_Service' cannot be used: 'M' is not allowed; use lower-case letters, digits and hyphens
       ╭─ m/1.yaml:3:18
       │
     3 │ metadata: {name: My_Service, namespace: b}
       │                  ^^^^^^^^^^
       ╰─ help: for instance my-service

    error[CFG029]: namespace b is not declared
       ╭─ m/1.yaml:3:41
       │
     3 │ metadata: {name: My_Service, namespace: b}
       │                                         ^
       ╰─ help: add {name: b} to spec.namespaces

    error[CFG035]: node port 8080 is out of range
       ╭─ m/1.yaml:6:28
       │
     6 │     - {port: 80, nodePort: 8080}
       │                            ^^^^ from 30000 to 32767
       ╰─ help: take a port in the range, or leave it out and Kubernetes chooses one

    error[CFG028]: node port 30081 is used by two services
       ╭─ m/2.yaml:4:37
       │
     4 │ spec: {ports: [{port: 80, nodePort: 30081}]}
       │                                     ^^^^^
       ╰─ help: a node port belongs to one service in the whole cluster

    error[CFG029]: namespace c is not declared
       ╭─ m/2.yaml:6:1
       │
     6 │ apiVersion: v1
       │ ^^^^^^^^^^ pipectl creates and deletes namespaces itself
       ╰─ help: add {name: c} to spec.namespaces

    error[CFG028]: Service two in namespace a is declared twice
       ╭─ m/2.yaml:1:1
       │
     1 │ apiVersion: v1
       │ ^^^^^^^^^^
       ╰─ help: the first is on line 1 of m/2.yaml

    error[CFG028]: Namespace c is declared twice
       ╭─ m/2.yaml:6:1
       │
     6 │ apiVersion: v1
       │ ^^^^^^^^^^
       ╰─ help: the first is on line 6 of m/2.yaml

    error[CFG028]: rbac.authorization.k8s.io/ClusterRole system:Mine is declared twice
       ╭─ m/2.yaml:10:1
       │
    10 │ apiVersion: rbac.authorization.k8s.io/v1
       │ ^^^^^^^^^^
       ╰─ help: the first is on line 10 of m/2.yaml

    8 errors in 2 files; nothing was changed
    ");
}

#[test]
fn directories_and_lists_are_read_in_order() {
    let spec =
        "  namespaces: [{name: a}]\n  workloads:\n    - {name: w, namespace: a, manifests: [m/]}\n";
    let object =
        |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  - {}\n  - {}\n",
        object("two"),
        object("three")
    );
    let one = object("one") + "\n---\n# nothing\n";
    let files = [
        ("m/b.yml", list.as_str()),
        ("m/a.yaml", one.as_str()),
        ("m/c.txt", "no"),
        ("m/deeper/d.yaml", "no"),
    ];
    let loaded = load_with(file(spec), &files).unwrap();
    let seen: Vec<(&str, &str, usize)> = loaded
        .workload_objects("w")
        .iter()
        .map(|object| (object.name(), object.file.as_str(), object.line))
        .collect();
    assert_eq!(
        seen,
        [
            ("one", "m/a.yaml", 1),
            ("two", "m/b.yml", 4),
            ("three", "m/b.yml", 5)
        ]
    );
}

#[test]
fn a_workload_that_is_off_is_not_read() {
    let spec = "  namespaces: [{name: a}]\n  workloads:\n    - {name: w, namespace: a, enabled: false, manifests: [gone.yaml]}\n";
    let loaded = load_with(file(spec), &[]).unwrap();
    assert!(loaded.workload_objects("w").is_empty());
}

#[test]
fn substitutions_that_stand_for_nothing() {
    assert_snapshot!(findings("  tags: {a: '${kafka.bootstrap}', b: '${pipeline.nam}', c: '${HOME}', d: '$${kafka.name}'}\n"), @r"
    error[CFG018]: '${kafka.bootstrap}' stands for nothing
       ╭─ pipeline.yaml:6:13
       │
     6 │   tags: {a: '${kafka.bootstrap}', b: '${pipeline.nam}', c: '${HOME}', d: '$${kafka.name}'}
       │             ^^^^^^^^^^^^^^^^^^^^ there is no kafka section
       ╰─ help: add spec.kafka, or write the address itself

    error[CFG018]: '${pipeline.nam}' stands for nothing
       ╭─ pipeline.yaml:6:38
       │
     6 │   tags: {a: '${kafka.bootstrap}', b: '${pipeline.nam}', c: '${HOME}', d: '$${kafka.name}'}
       │                                      ^^^^^^^^^^^^^^^^^
       ╰─ help: did you mean ${pipeline.name}?

    2 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings("  kafka: {}\n  tags: {a: '${kafka.boostrap}', b: '${kafka.zebra}'}\n"), @r"
    error[CFG018]: '${kafka.boostrap}' stands for nothing
       ╭─ pipeline.yaml:7:13
       │
     7 │   tags: {a: '${kafka.boostrap}', b: '${kafka.zebra}'}
       │             ^^^^^^^^^^^^^^^^^^^
       ╰─ help: did you mean ${kafka.bootstrap}?

    error[CFG018]: '${kafka.zebra}' stands for nothing
       ╭─ pipeline.yaml:7:37
       │
     7 │   tags: {a: '${kafka.boostrap}', b: '${kafka.zebra}'}
       │                                     ^^^^^^^^^^^^^^^^
       ╰─ help: known here: pipeline.name, kafka.bootstrap, kafka.bootstrapFqdn, kafka.name, kafka.namespace, kafka.bootstrap.plain; $${...} keeps the characters

    2 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn sections_without_effect() {
    assert_snapshot!(findings("  provider: {existing: {kubeconfig: k, context: c}}\n  cluster: {}\n  network: {zones: [a-1a, a-1b], zoneCount: 2}\n"), @r"
    warning[CFG043]: spec.cluster has no effect: the provider takes an existing cluster as it is
       ╭─ pipeline.yaml:7:3
       │
     7 │   cluster: {}
       │   ^^^^^^^
       ╰─ help: remove it

    warning[CFG043]: spec.network has no effect: the provider takes an existing cluster as it is
       ╭─ pipeline.yaml:8:3
       │
     8 │   network: {zones: [a-1a, a-1b], zoneCount: 2}
       │   ^^^^^^^
       ╰─ help: remove it

    warning[CFG043]: spec.network.zoneCount has no effect: zones names the zones
       ╭─ pipeline.yaml:8:34
       │
     8 │   network: {zones: [a-1a, a-1b], zoneCount: 2}
       │                                  ^^^^^^^^^
       ╰─ help: remove it
    ");
}

#[test]
fn a_wrong_section_does_not_hide_what_is_wrong_elsewhere_nor_invent_anything() {
    let shown = findings(
        "  namespaces: [{nmae: was}]\n  workloads: [{name: w, namespace: was}]\n  kafka: {topics: [{name: a, replicas: 5}]}\n",
    );
    assert_snapshot!(shown, @r"
    error[CFG010]: unknown field 'nmae' in spec.namespaces[0]
       ╭─ pipeline.yaml:6:17
       │
     6 │   namespaces: [{nmae: was}]
       │                 ^^^^ not known here
       ╰─ help: did you mean name?

    error[CFG023]: topic a's replication factor is 5, but there are 3 brokers
       ╭─ pipeline.yaml:8:40
       │
     8 │   kafka: {topics: [{name: a, replicas: 5}]}
       │                                        ^ at most 3
       ╰─ help: set it to 3, or give a broker pool more replicas

    2 errors in pipeline.yaml; nothing was changed
    ");
}
