//! Manifests, the objects in them, and the clients among those.

use crate::support::{file, findings, findings_with, load_with};
use insta::assert_snapshot;

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
