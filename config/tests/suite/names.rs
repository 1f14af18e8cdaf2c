//! Names and values that Kubernetes or AWS would refuse, or that are taken twice.

use crate::support::{findings, findings_with};
use insta::assert_snapshot;

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
fn a_range_that_overlaps_with_a_peers() {
    assert_snapshot!(
        findings("  provider: {eks: {region: us-west-2}}\n  network: {cidr: 10.0.0.0/16, peers: [vpc-0a1b2c3d4e5f60718, 10.1.0.0/16, 10.0.128.0/20, office]}\n"),
        @r"
        error[CFG036]: 10.0.0.0/16 and its peer 10.0.128.0/20 have addresses in common
           ╭─ pipeline.yaml:7:76
           │
         7 │   network: {cidr: 10.0.0.0/16, peers: [vpc-0a1b2c3d4e5f60718, 10.1.0.0/16, 10.0.128.0/20, office]}
           │                                                                            ^^^^^^^^^^^^^
           ╰─ help: set spec.network.cidr to a range apart from it; AWS peers no VPCs that overlap

        error[CFG036]: 'office' is neither a VPC's id nor an address range
           ╭─ pipeline.yaml:7:91
           │
         7 │   network: {cidr: 10.0.0.0/16, peers: [vpc-0a1b2c3d4e5f60718, 10.1.0.0/16, 10.0.128.0/20, office]}
           │                                                                                           ^^^^^^
           ╰─ help: write it as vpc- and 17 digits and letters a-f, or as ADDRESS/LENGTH

        2 errors in pipeline.yaml; nothing was changed
        "
    );
}
