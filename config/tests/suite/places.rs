//! Namespaces, operators and sections that miss each other.

use crate::support::findings;
use insta::assert_snapshot;

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

        warning[CFG043]: workload w has nothing to install
           ╭─ pipeline.yaml:7:22
           │
         7 │   workloads: [{name: w, namespace: wsa}]
           │                      ^
           ╰─ help: give it manifests, objects or charts

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

    warning[CFG043]: workload w has nothing to install
       ╭─ pipeline.yaml:7:22
       │
     7 │   workloads: [{name: w, namespace: was}]
       │                      ^
       ╰─ help: give it manifests, objects or charts

    error[CFG023]: topic a's replication factor is 5, but there are 3 brokers
       ╭─ pipeline.yaml:8:40
       │
     8 │   kafka: {topics: [{name: a, replicas: 5}]}
       │                                        ^ at most 3
       ╰─ help: set it to 3, or give a broker pool more replicas

    2 errors in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn settings_that_cannot_work() {
    assert_snapshot!(findings("  ttl: 0s\n  timeouts: {kafka: 0ms}\n  strimzi: {chart: {repo: strimzi, name: strimzi-kafka-operator}}\n  kafka:\n    nodePools:\n      - name: all\n        roles: [broker, controller]\n        resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}\n  namespaces: [{name: a}]\n  workloads: [{name: w, namespace: a}]\n"), @r"
    error[CFG016]: 'spec.ttl' is too short
       ╭─ pipeline.yaml:6:8
       │
     6 │   ttl: 0s
       │        ^^ at least 1s
       ╵

    error[CFG016]: 'spec.timeouts.kafka' is too short
       ╭─ pipeline.yaml:7:21
       │
     7 │   timeouts: {kafka: 0ms}
       │                     ^^^ at least 1s
       ╵

    error[CFG050]: 'strimzi' is not the address of a chart repository
       ╭─ pipeline.yaml:8:27
       │
     8 │   strimzi: {chart: {repo: strimzi, name: strimzi-kafka-operator}}
       │                           ^^^^^^^
       ╰─ help: begin with https:// or oci://

    error[CFG051]: cpu of 2 is asked for, but only 1 may be used
       ╭─ pipeline.yaml:13:37
       │
    13 │         resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
       │                                     ^
       ╰─ help: raise the limit or lower the request

    warning[CFG043]: workload w has nothing to install
       ╭─ pipeline.yaml:15:22
       │
    15 │   workloads: [{name: w, namespace: a}]
       │                      ^
       ╰─ help: give it manifests, objects or charts

    4 errors in pipeline.yaml; nothing was changed
    ");
}
