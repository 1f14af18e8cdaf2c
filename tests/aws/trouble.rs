//! Bad input and trouble: found before the first effect where it can be, a clear error where it cannot, and no wait for what cannot
//! come any more.

use std::{sync::Arc, time::Duration};

use pipectl::engine::{Graph, Stop, Verb};
use pipectl_config::Loaded;
use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultRule};
use pipectl_stages::{Fate, Leftover, StepError};

use crate::{
    account::Account,
    cluster::FakeCluster,
    graph::{all, standing},
    house::{House, Seen, pipeline},
    lifecycle::{is_empty, is_whole},
};

async fn street() -> (Arc<Account>, House) {
    let account = Arc::new(Account::new().await);
    let house = House::new(account.clone(), "trouble").await;
    (account, house)
}

pub fn error(service: &str, action: &str, code: &str) -> AwsFaultRule {
    AwsFaultRule {
        service: Some(service.to_owned()),
        action: Some(action.to_owned()),
        effect: AwsFaultEffect::Error {
            code: code.to_owned(),
            message: format!("{code} of a test"),
            status: Some(403),
        },
        ..AwsFaultRule::default()
    }
}

/// The error of a preflight that finds something before anything was made.
async fn refused_at_first(settings: &[(&str, &str)], faults: Vec<AwsFaultRule>) -> StepError {
    let (account, mut house) = street().await;
    account.faults(faults);
    let seen = house.up(&pipeline(settings)).await;
    assert_eq!(account.changes(), [], "{:#?}", seen.failures());
    assert!(standing(&account.graph()).is_empty());
    seen.error_of("account/preflight")
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_none_any_more_end_it_before_the_first_effect() {
    let expired = AwsFaultRule {
        effect: AwsFaultEffect::ExpireCredentials,
        ..AwsFaultRule::default()
    };
    let error = refused_at_first(&[], vec![expired]).await;
    assert!(error.code.starts_with("AWS"), "{error}");
    assert!(error.hint.is_some(), "{error}");
    assert!(error.cause.contains("Expired"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_or_region_than_the_files_is_refused() {
    let other = "{eks: {region: us-west-2, account: \"999988887777\"}}";
    let error = refused_at_first(&[("spec.provider", other)], Vec::new()).await;
    assert_eq!(error.code, "ACC001", "{error}");
    let elsewhere = "{eks: {region: eu-west-1}}";
    let error = refused_at_first(&[("spec.provider", elsewhere)], Vec::new()).await;
    assert_eq!(error.code, "ACC002", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_region_does_not_offer_is_refused() {
    let zone = [("spec.network.zones", "[us-west-2a, us-west-2z]")];
    let error = refused_at_first(&zone, Vec::new()).await;
    assert_eq!(error.code, "ACC004", "{error}");
    assert!(error.hint.unwrap().contains("us-west-2b"));
    let kind = [(
        "spec.nodeGroups",
        "[{name: default, instanceTypes: [m99.huge]}]",
    )];
    let error = refused_at_first(&kind, Vec::new()).await;
    assert_eq!(error.code, "ACC005", "{error}");
    let arm = [(
        "spec.nodeGroups",
        "[{name: default, instanceTypes: [m6g.large]}]",
    )];
    let error = refused_at_first(&arm, Vec::new()).await;
    assert_eq!(error.code, "ACC006", "{error}");
    let version = [("spec.cluster.kubernetesVersion", "1.99")];
    let error = refused_at_first(&version, Vec::new()).await;
    assert_eq!(error.code, "ACC007", "{error}");
    let addon = [(
        "spec.addons",
        "[{name: coredns, version: v0.0.1-eksbuild.1}]",
    )];
    let error = refused_at_first(&addon, Vec::new()).await;
    assert_eq!(error.code, "ADD001", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_reached_is_found_before_the_first_effect() {
    let (account, mut house) = street().await;
    let hand = account.hand();
    for _ in 0..5 {
        hand.ec2.allocate_address().send().await.unwrap();
    }
    account.aws.reset_counters();
    let seen = house.up(&pipeline(&[])).await;
    let error = seen.error_of("account/preflight");
    assert_eq!(error.code, "ACC008", "{error}");
    assert!(error.cause.contains("Elastic IP"), "{error}");
    assert_eq!(account.changes(), []);
    // Types of other families are held against their families' quota.
    let graphics = "[{name: default, size: 3, instanceTypes: [g5.8xlarge]}]";
    let seen = house.up(&pipeline(&[("spec.nodeGroups", graphics)])).await;
    let error = seen.error_of("account/preflight");
    assert!(error.cause.contains("L-DB2E81BA"), "{error}");
    assert_eq!(account.changes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_a_change_would_reach_is_found_before_the_first_effect_too() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    let hand = account.hand();
    for _ in 0..4 {
        hand.ec2.allocate_address().send().await.unwrap();
    }
    account.aws.reset_counters();
    let per_zone = pipeline(&[("spec.network.nat", "per-zone")]);
    let error = house.up(&per_zone).await.error_of("account/preflight");
    assert_eq!(error.code, "ACC008", "{error}");
    assert!(error.cause.contains("5 of 5 Elastic IP"), "{error}");
    // 2 of 256 vCPUs each: 127 more than the two that run are too many.
    let larger = "[{name: default, size: 129}]";
    let seen = house.up(&pipeline(&[("spec.nodeGroups", larger)])).await;
    let error = seen.error_of("account/preflight");
    assert_eq!(error.code, "ACC008", "{error}");
    assert!(error.cause.contains("254 more"), "{error}");
    let other = "[{name: default, size: 2}, {name: more, size: 127}]";
    let seen = house.up(&pipeline(&[("spec.nodeGroups", other)])).await;
    assert_eq!(seen.error_of("account/preflight").code, "ACC008");
    assert_eq!(account.changes(), []);
    // What adds nothing asks for no quota.
    account.aws.reset_counters();
    house.up(&pipeline(&[])).await.well();
    let counters = account.aws.counters();
    let mut asked = counters
        .iter()
        .filter(|count| count.service == "servicequotas");
    assert_eq!(asked.next().map(|count| count.calls), None, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_that_name_that_is_somebody_elses_is_not_touched() {
    let (account, mut owner) = street().await;
    let name = [("spec.cluster.name", "shared-name")];
    owner.up(&pipeline(&name)).await.well();
    let mut other = House::new(account.clone(), "other").await;
    account.aws.reset_counters();
    let seen = other.up(&pipeline(&name)).await;
    assert_eq!(seen.error_of("account/preflight").code, "ACC009");
    assert_eq!(account.changes(), []);
    is_whole(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_and_withholds_only_what_needs_it() {
    let (account, mut house) = street().await;
    account.faults(vec![error(
        "ec2",
        "CreateNatGateway",
        "UnauthorizedOperation",
    )]);
    let seen = house.up(&pipeline(&[])).await;
    let refused = seen.error_of("network/nat-gateway-1");
    assert!(refused.cause.contains("UnauthorizedOperation"), "{refused}");
    assert_eq!(refused.retry, pipectl_stages::Retry::AfterChange);
    let graph = account.graph();
    assert_eq!(
        all(&graph, "eks", "clusters").len(),
        1,
        "the control plane stands"
    );
    account.faults(Vec::new());
    house.up(&pipeline(&[])).await.well();
    is_whole(&account);
    house.down().await.well();
    is_empty(&account);
}

/// Brings it up with something that cannot succeed; holds that it ends long before its bounds.
async fn ends_early(loaded: &Loaded, faults: Vec<AwsFaultRule>) -> (Arc<Account>, House, Seen) {
    let (account, mut house) = street().await;
    account.faults(faults);
    let seen = tokio::time::timeout(Duration::from_secs(60), house.up(loaded)).await;
    (account, house, seen.expect("an early end"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortage_of_capacity_ends_early_and_the_next_run_goes_on() {
    let shortage = AwsFaultRule {
        instance_type: Some("m6i.large".to_owned()),
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    };
    let (account, mut house, seen) = ends_early(&pipeline(&[]), vec![shortage]).await;
    let error = seen.error_of("nodes/group-default");
    assert_eq!(error.code, "NOD001", "{error}");
    assert!(
        error.cause.contains("InsufficientInstanceCapacity"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("instance types"));
    account.faults(Vec::new());
    house.up(&pipeline(&[])).await.well();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_group_that_finds_no_capacity_ends_early_too() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    account.faults(vec![AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    }]);
    let larger = pipeline(&[("spec.nodeGroups", "[{name: default, size: 4}]")]);
    let seen = tokio::time::timeout(Duration::from_secs(60), house.up(&larger)).await;
    let error = seen.expect("an early end").error_of("nodes/group-default");
    // The change is carried out, and the group is short of instances since.
    assert_eq!(error.code, "NOD001", "{error}");
    assert!(error.cause.contains("AsgInstanceLaunchFailures"), "{error}");
    assert!(error.hint.unwrap().contains("instance types"));
}

/// An environment whose group was to become larger and found no capacity.
async fn short_of_nodes() -> (Arc<Account>, House, Loaded) {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    account.faults(vec![AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    }]);
    let larger = pipeline(&[("spec.nodeGroups", "[{name: default, size: 3}]")]);
    let seen = house.up(&larger).await;
    assert_eq!(seen.error_of("nodes/group-default").code, "NOD001");
    (account, house, larger)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_to_launch_before_gets_time_when_capacity_comes_back() {
    let (account, mut house, larger) = short_of_nodes().await;
    // EKS goes on to report what failed until instances were launched since.
    let again = account.clone();
    let back = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        again.faults(Vec::new());
    });
    house.up(&larger).await.well();
    back.await.unwrap();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_move_at_all_ends_the_next_run_too() {
    let (_, mut house, larger) = short_of_nodes().await;
    let seen = tokio::time::timeout(Duration::from_secs(60), house.up(&larger)).await;
    let error = seen.expect("an early end").error_of("nodes/group-default");
    assert_eq!(error.code, "NOD001", "{error}");
    assert!(error.cause.contains("AsgInstanceLaunchFailures"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_made_smaller_again_works_although_eks_calls_it_degraded() {
    let (account, mut house, _) = short_of_nodes().await;
    house.up(&pipeline(&[])).await.well();
    let graph = account.graph();
    let groups = all(&graph, "eks", "clusters");
    assert!(groups[0].1.to_string().contains("DEGRADED"));
    account.faults(Vec::new());
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_of_nodes_that_eks_gives_up_is_told_with_its_reason_and_goes_on_later() {
    let (account, mut house) = street().await;
    let older = [("spec.cluster.kubernetesVersion", "1.34")];
    house.up(&pipeline(&older)).await.well();
    account.faults(vec![AwsFaultRule {
        effect: AwsFaultEffect::Capacity,
        ..AwsFaultRule::default()
    }]);
    let seen = house.up(&pipeline(&[])).await;
    let error = seen.error_of("nodes/group-default");
    assert_eq!(error.code, "NOD003", "{error}");
    assert!(error.cause.contains("NodeCreationFailure"), "{error}");
    assert!(error.hint.is_some(), "{error}");
    account.faults(Vec::new());
    house.up(&pipeline(&[])).await.well();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_add_on_that_eks_refuses_is_named_and_comes_with_the_next_run() {
    let (account, mut house) = street().await;
    let refused = error("eks", "CreateAddon", "InvalidParameterException");
    account.faults(vec![AwsFaultRule {
        skip: 1,
        count: Some(1),
        ..refused
    }]);
    let seen = house.up(&pipeline(&[])).await;
    let failures = seen.end.report.failures.iter();
    let own: Vec<&str> = failures
        .filter(|failure| failure.error.cause.contains("InvalidParameterException"))
        .map(|failure| failure.step.as_str())
        .collect();
    assert_eq!(own.len(), 1, "{:#?}", seen.failures());
    assert!(own[0].starts_with("addons/"), "{own:?}");
    account.faults(Vec::new());
    house.up(&pipeline(&[])).await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_machine_took_down_is_made_anew_under_the_record_of_old() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    let recorded = house.store.clone();
    house.forget();
    house.down().await.well();
    is_empty(&account);
    house.store = recorded;
    house.up(&pipeline(&[])).await.well();
    is_whole(&account);
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_removal_that_was_not_finished_all_of_it_comes_again() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    account.faults(vec![error("iam", "DeleteRole", "AccessDenied")]);
    let seen = house.down().await;
    assert!(!seen.succeeded());
    assert!(all(&account.graph(), "eks", "clusters").is_empty());
    account.faults(Vec::new());
    house.up(&pipeline(&[])).await.well();
    is_whole(&account);
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_failures_of_aws_are_borne() {
    let (account, mut house) = street().await;
    let now_and_then = |effect: AwsFaultEffect, seed: u64| AwsFaultRule {
        percent: Some(12),
        seed,
        effect,
        ..AwsFaultRule::default()
    };
    account.faults(vec![
        now_and_then(AwsFaultEffect::Throttle, 1),
        now_and_then(
            AwsFaultEffect::Internal {
                status: 503,
                when: pipectl_sandbox::aws::AwsFaultMoment::After,
            },
            2,
        ),
        now_and_then(AwsFaultEffect::Stale { seconds: 20 }, 3),
    ]);
    house.up(&pipeline(&[])).await.well();
    account.faults(Vec::new());
    // What was made twice, because an answer was lost, goes with the next run.
    house.up(&pipeline(&[])).await.well();
    is_whole(&account);
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vpc_that_was_brought_is_used_and_never_changed() {
    use pipectl_stages::ports::network::{Arrangement, NewPiece, PieceSpec};
    let (account, mut house) = street().await;
    let cluster = FakeCluster::new(&account);
    let cloud = account.ports(&cluster).await.cloud.unwrap();
    let make = |spec: PieceSpec, token: &str| {
        let new = NewPiece {
            spec,
            tags: [("Name".to_owned(), "theirs".to_owned())].into(),
            token: token.to_owned(),
        };
        let network = cloud.network.clone();
        async move { network.create(&new).await.unwrap().id }
    };
    let vpc = make(
        PieceSpec::Vpc {
            cidr: "10.7.0.0/16".to_owned(),
        },
        "v",
    )
    .await;
    let names = Arrangement::Dns {
        vpc: vpc.clone(),
        support: true,
        hostnames: true,
    };
    cloud.network.arrange(&names).await.unwrap();
    let gateway = make(PieceSpec::InternetGateway, "g").await;
    let attached = Arrangement::Attached {
        gateway: gateway.clone(),
        vpc: vpc.clone(),
    };
    cloud.network.arrange(&attached).await.unwrap();
    let table = make(PieceSpec::RouteTable { vpc: vpc.clone() }, "t").await;
    let routed = Arrangement::Routed {
        table: table.clone(),
        destination: "0.0.0.0/0".to_owned(),
        target: pipectl_stages::ports::network::RouteTarget::InternetGateway(gateway),
    };
    cloud.network.arrange(&routed).await.unwrap();
    let mut subnets = Vec::new();
    for (number, zone) in ["us-west-2a", "us-west-2b"].into_iter().enumerate() {
        let spec = PieceSpec::Subnet {
            vpc: vpc.clone(),
            zone: zone.to_owned(),
            cidr: format!("10.7.{number}.0/24"),
        };
        let subnet = make(spec, zone).await;
        for arrangement in [
            Arrangement::Associated {
                table: table.clone(),
                subnet: subnet.clone(),
            },
            Arrangement::PublicAddresses {
                subnet: subnet.clone(),
                on: true,
            },
        ] {
            cloud.network.arrange(&arrangement).await.unwrap();
        }
        subnets.push(subnet);
    }
    let spec = PieceSpec::Subnet {
        vpc: vpc.clone(),
        zone: "us-west-2a".to_owned(),
        cidr: "10.7.9.0/24".to_owned(),
    };
    let third = make(spec, "third").await;
    let one = format!("{{id: {vpc}, privateSubnets: [{}, {third}]}}", subnets[0]);
    let seen = house
        .up(&pipeline(&[("spec.network.existingVpc", &one)]))
        .await;
    assert_eq!(seen.error_of("account/preflight").code, "NET005");

    let address = make(PieceSpec::Address, "a").await;
    let subnet = subnets[0].clone();
    make(PieceSpec::NatGateway { subnet, address }, "n").await;
    let mut others = Vec::new();
    for (zone, cidr) in [
        ("us-west-2b", "10.7.11.0/24"),
        ("us-west-2c", "10.7.12.0/24"),
    ] {
        let spec = PieceSpec::Subnet {
            vpc: vpc.clone(),
            zone: zone.to_owned(),
            cidr: cidr.to_owned(),
        };
        let subnet = make(spec, cidr).await;
        for arrangement in [
            Arrangement::Associated {
                table: table.clone(),
                subnet: subnet.clone(),
            },
            Arrangement::PublicAddresses {
                subnet: subnet.clone(),
                on: true,
            },
        ] {
            cloud.network.arrange(&arrangement).await.unwrap();
        }
        others.push(subnet);
    }
    let before = standing(&account.graph());
    let brings = |subnets: [&String; 2]| {
        let whole = format!(
            "{{id: {vpc}, privateSubnets: [{}, {}]}}",
            subnets[0], subnets[1]
        );
        pipeline(&[("spec.network.existingVpc", &whole)])
    };
    let loaded = brings([&subnets[0], &subnets[1]]);
    house.up(&loaded).await.well();
    account.aws.reset_counters();
    house.up(&loaded).await.well();
    assert_eq!(account.changes(), []);

    // A control plane moves within its zones, and its nodes after it; nowhere else, and nothing is tried.
    let elsewhere = house.up(&brings([&subnets[0], &others[1]])).await;
    let refused = elsewhere.error_of("account/preflight");
    assert_eq!(refused.code, "NET001", "{refused}");
    assert!(refused.cause.contains("us-west-2c"), "{refused}");
    assert_eq!(account.changes(), []);
    let moved = brings([&subnets[0], &others[0]]);
    // What is left out of the file does not become the environment's own, and the control plane does not move out.
    let own = pipeline(&[("spec.network.cidr", "10.7.0.0/16")]);
    let refused = house.up(&own).await.error_of("account/preflight");
    assert_eq!(refused.code, "NET001", "{refused}");
    assert!(refused.cause.contains(&vpc), "{refused}");
    assert_eq!(account.changes(), []);
    let seen = house.up(&moved).await.well();
    let mut changed = seen.changed();
    changed.sort();
    assert_eq!(
        changed,
        [
            "cluster/control-plane",
            "network/vpc",
            "nodes/group-default",
            "nodes/obsolete"
        ]
    );
    let graph = account.graph();
    let stands = all(&graph, "eks", "clusters")[0].1["subnets"].clone();
    assert_eq!(stands, serde_json::json!([subnets[0], others[0]]));
    let held = all(&graph, "ec2", "interfaces");
    assert!(
        held.iter().all(|(_, one)| one["subnet"] != *subnets[1]),
        "{held:#?}"
    );
    account.aws.reset_counters();
    house.up(&moved).await.well();
    assert_eq!(account.changes(), []);
    house.forget();
    let refused = house.up(&own).await.error_of("account/preflight");
    assert_eq!(refused.code, "NET001", "{refused}");
    assert_eq!(account.changes(), []);
    house.down().await.well();
    assert_eq!(standing(&account.graph()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_were_there_before_the_environment_stay_as_they_are() {
    let (account, mut house) = street().await;
    let cluster = FakeCluster::new(&account);
    let logs = account.ports(&cluster).await.cloud.unwrap().logs;
    let name = "/aws/eks/pipectl-trouble/cluster";
    logs.create(name, &pipectl_stages::ports::cloud::Tags::new())
        .await
        .unwrap();
    logs.retain(name, 365).await.unwrap();
    let before = logs.find(name).await.unwrap().unwrap();
    house.up(&pipeline(&[])).await.well();
    assert_eq!(logs.find(name).await.unwrap().unwrap(), before);
    account.aws.reset_counters();
    house.up(&pipeline(&[])).await.well();
    assert_eq!(account.changes(), []);
    // With the record lost as well.
    house.forget();
    house.down().await.well();
    assert_eq!(logs.find(name).await.unwrap().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_eks_makes_anew_are_taken_over() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    let logs = account.ports(&house.cluster).await.cloud.unwrap().logs;
    let name = "/aws/eks/pipectl-trouble/cluster";
    logs.delete(name).await.unwrap();
    let anew = async {
        loop {
            match logs.find(name).await.unwrap() {
                Some(group) => break group,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let anew = tokio::time::timeout(Duration::from_secs(60), anew).await;
    let anew = anew.expect("EKS goes on to log");
    assert!(anew.tags.is_empty() && anew.retention_days.is_none());
    let seen = house.up(&pipeline(&[])).await.well();
    assert_eq!(seen.changed(), ["cluster/log-group"]);
    let ours = logs.find(name).await.unwrap().unwrap();
    assert!(!ours.tags.is_empty() && ours.retention_days.is_some());
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_into_the_vpc_is_named_and_stays_and_so_does_the_record() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    let hand = account.hand();
    let theirs = hand.interface_with("owner", "somebody else").await;
    let seen = house.down().await;
    assert!(!seen.succeeded());
    let failures = seen.failures().join("\n");
    assert!(failures.contains(&theirs), "{failures}");
    let graph = account.graph();
    assert_eq!(
        all(&graph, "ssm", "parameters").len(),
        1,
        "the record stays"
    );
    assert!(
        all(&graph, "ec2", "interfaces")
            .iter()
            .any(|(id, _)| *id == theirs)
    );
    let delete = hand
        .ec2
        .delete_network_interface()
        .network_interface_id(&theirs);
    delete.send().await.unwrap();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_a_peer_has_too_is_refused_before_the_first_effect() {
    let (account, mut house) = street().await;
    let hand = account.hand();
    let made = hand.ec2.create_vpc().cidr_block("10.0.128.0/17");
    let made = made.send().await.unwrap();
    let peer = made.vpc().and_then(|vpc| vpc.vpc_id()).unwrap();
    account.aws.reset_counters();
    let peers = format!("[{peer}]");
    let overlapping = pipeline(&[("spec.network.peers", &peers)]);
    let error = house.up(&overlapping).await.error_of("account/preflight");
    assert!(error.cause.contains("10.0.128.0/17"), "{error}");
    assert_eq!(account.changes(), []);
    // A range that was added to a VPC counts like its first.
    let made = hand.ec2.create_vpc().cidr_block("10.2.0.0/16");
    let made = made.send().await.unwrap();
    let grown = made.vpc().and_then(|vpc| vpc.vpc_id()).unwrap();
    let grows = hand.ec2.associate_vpc_cidr_block().vpc_id(grown);
    grows.cidr_block("10.0.64.0/18").send().await.unwrap();
    account.aws.reset_counters();
    let grown = format!("[{grown}]");
    let overlapping = pipeline(&[("spec.network.peers", &grown)]);
    let error = house.up(&overlapping).await.error_of("account/preflight");
    assert!(error.cause.contains("10.0.64.0/18"), "{error}");
    assert_eq!(account.changes(), []);
    let apart = pipeline(&[
        ("spec.network.peers", &peers),
        ("spec.network.cidr", "10.1.0.0/16"),
    ]);
    house.up(&apart).await.well();
    house.down().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_data_stays_and_nothing_else_does() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    house.cluster.claim("data");
    let hand = account.hand();
    let snapshot = hand.snapshot(&house.environment).await;
    let removals = house.removals(true).await;
    let graph = Graph::down(removals).unwrap();
    let seen = house.run(graph, Verb::Down, Stop::never()).await.well();
    let left = standing(&account.graph());
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [
            ("ec2/snapshots".to_owned(), 1),
            ("ec2/volumes".to_owned(), 1)
        ]
    );
    let kept = seen.end.report.absence.last().unwrap();
    let kept: Vec<&Leftover> = kept
        .remaining
        .iter()
        .filter(|left| matches!(left.fate, Fate::Kept { .. }))
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");

    house.forget();
    // Data that is not kept goes, and what cannot go is told with what holds it.
    account.faults(vec![error(
        "ec2",
        "DeleteSnapshot",
        "InvalidSnapshot.InUse",
    )]);
    let held = house.down().await.error_of("nodes/snapshots");
    assert_eq!(held.code, "DWN004", "{held}");
    assert!(held.hint.unwrap().contains(&snapshot));
    account.faults(Vec::new());
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_removal_knows_and_carries_the_environments_tags_is_left_and_told() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    let hand = account.hand();
    let tags = pipectl_stages::cloud::tags::owned_by(&house.environment);
    let tags = tags.into_iter().map(|(key, value)| {
        let tag = aws_sdk_ec2::types::Tag::builder();
        tag.key(key).value(value).build()
    });
    let tags = aws_sdk_ec2::types::TagSpecification::builder()
        .resource_type(aws_sdk_ec2::types::ResourceType::LaunchTemplate)
        .set_tags(Some(tags.collect()))
        .build();
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder()
        .instance_type(aws_sdk_ec2::types::InstanceType::M6iLarge)
        .build();
    let made = hand
        .ec2
        .create_launch_template()
        .launch_template_name("a-nodepool")
        .launch_template_data(data)
        .tag_specifications(tags);
    let made = made.send().await.unwrap();
    let id = made
        .launch_template()
        .and_then(|made| made.launch_template_id());
    let id = id.unwrap();
    let error = house.down().await.error_of("account/inventory");
    assert_eq!(error.code, "DWN003", "{error}");
    let told = error.evidence.join("\n");
    assert!(told.contains(id), "{told}");
    let delete = hand.ec2.delete_launch_template().launch_template_id(id);
    delete.send().await.unwrap();
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_that_no_controller_knows_any_more_goes_too() {
    let (account, mut house) = street().await;
    house.up(&pipeline(&[])).await.well();
    account
        .hand()
        .balancer_of("pipectl-trouble", "orphan")
        .await;
    house.down().await.well();
    assert_eq!(account.refused(), Vec::<String>::new());
    is_empty(&account);
}
