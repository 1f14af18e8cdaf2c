use std::collections::BTreeSet;

use serde_json::json;

use super::{streaming, world_up};
use crate::{
    plan::{STAGES, up},
    ports::releases::{Release, ReleaseStatus},
    step::{Change, Observation},
    testing::World,
};

#[test]
fn rows_name_only_rows_above_and_known_stages() {
    let mut above = BTreeSet::new();
    for step in up(&streaming(&[])) {
        for need in step.needs() {
            assert!(
                above.contains(&need.step),
                "{} needs {}",
                step.id(),
                need.step
            );
        }
        assert!(STAGES.contains(&step.id().stage()), "{}", step.id());
        assert!(
            above.insert(step.id().clone()),
            "{} stands twice",
            step.id()
        );
    }
}

#[test]
fn the_table_reads_as_documented() {
    let rows: Vec<String> = up(&streaming(&[]))
        .iter()
        .map(|step| {
            let needs: Vec<String> = step
                .needs()
                .iter()
                .map(|need| format!("{} {:?}", need.step, need.milestone).to_lowercase())
                .collect();
            format!("{} ({}) <- {}", step.id(), step.title(), needs.join(", "))
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_second_up_writes_nothing() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    assert!(!world.cluster.take_writes().is_empty());
    assert_eq!(world.releases.take_installs().len(), 2);

    world.run = "run-2".to_owned();
    for step in up(&loaded) {
        if let Some(outcome) = world.ensure(&step).await.unwrap() {
            assert_eq!(outcome.change, Change::Unchanged, "{}", step.id());
        }
        assert!(
            step.diff(&world.context(step.id()))
                .await
                .unwrap()
                .is_empty(),
            "{}",
            step.id()
        );
    }
    assert_eq!(world.cluster.take_writes(), Vec::<String>::new());
    assert!(world.releases.take_installs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_the_records_lost_everything_is_adopted_and_nothing_changes() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    let _ = (world.cluster.take_writes(), world.releases.take_installs());
    world.outputs.clear();
    world.run = "run-2".to_owned();
    for step in up(&loaded) {
        let outcome = world
            .ensure(&step)
            .await
            .unwrap()
            .expect("without a record, ensure is called");
        assert!(
            outcome.change <= Change::Adopted,
            "{}: {:?}",
            step.id(),
            outcome.change
        );
    }
    assert_eq!(world.cluster.take_writes(), Vec::<String>::new());
    assert!(world.releases.take_installs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_changed_value_changes_one_object() {
    let mut world = world_up(&streaming(&[])).await;
    let _ = (world.cluster.take_writes(), world.releases.take_installs());
    let changed = streaming(&[("spec.kafka.topics[streaming-topic].retention", "20m")]);
    let steps = up(&changed);
    let topics = steps
        .iter()
        .find(|step| *step.id() == crate::kafka::topics())
        .unwrap();
    let differences = topics.diff(&world.context(topics.id())).await.unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(
        differences[0].field.as_deref(),
        Some("spec.config.retention.ms")
    );
    assert_eq!(differences[0].live.as_deref(), Some("600000"));
    assert_eq!(differences[0].wanted.as_deref(), Some("1200000"));
    world.up(&steps).await.unwrap();
    assert_eq!(
        world.cluster.take_writes(),
        ["apply KafkaTopic kafka/streaming-topic"]
    );
    assert!(world.releases.take_installs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn drift_is_seen_and_mended() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    let _ = world.cluster.take_writes();
    assert!(
        world
            .cluster
            .edit("Deployment", "was", |was| was["spec"]["replicas"] =
                json!(5))
    );
    let steps = up(&loaded);
    let was = steps
        .iter()
        .find(|step| *step.id() == crate::workloads::step_of("was"))
        .unwrap();
    let found = was.observe(&world.context(was.id())).await.unwrap();
    let Observation::Partial(differences) = found else {
        panic!("{found:?}");
    };
    assert_eq!(differences[0].field.as_deref(), Some("spec.replicas"));
    world.up(&steps).await.unwrap();
    assert_eq!(world.cluster.take_writes(), ["apply Deployment was/was"]);
    assert_eq!(
        world.cluster.find("Deployment", "was").unwrap()["spec"]["replicas"],
        2
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_object_is_never_taken_over() {
    let loaded = streaming(&[]);
    let mut world = World::default();
    world.cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "was"}, "status": {"phase": "Active"}}));
    world
        .cluster
        .put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "was", "namespace": "was"}, "spec": {"replicas": 9}}));
    let error = world.up(&up(&loaded)).await.unwrap_err();
    assert_eq!(error.code, "STG001");
    assert_eq!(
        world.cluster.find("Deployment", "was").unwrap()["spec"]["replicas"],
        9
    );
    // The namespace was brought: it is used, and not labelled.
    let namespace = world.cluster.find("Namespace", "was").unwrap();
    assert!(namespace["metadata"]["labels"].is_null());
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_release_is_never_upgraded() {
    let mut world = World::default();
    world.releases.put(Release {
        name: "strimzi".to_owned(),
        namespace: "kafka".to_owned(),
        revision: 4,
        status: ReleaseStatus::Deployed,
        digest: None,
        environment_uid: None,
    });
    let error = world.up(&up(&streaming(&[]))).await.unwrap_err();
    assert!(error.resource.contains("strimzi"), "{error}");
    assert!(world.releases.take_installs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_environments_of_one_name_do_not_share_a_cluster() {
    let loaded = streaming(&[]);
    let mut first = world_up(&loaded).await;
    first.environment.uid = "22222222-2222-4222-8222-222222222222".to_owned();
    first.outputs.clear();
    let _ = first.cluster.take_writes();
    let error = first.up(&up(&loaded)).await.unwrap_err();
    assert_eq!(error.code, "ENV001");
    assert!(first.cluster.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_cluster_behind_the_same_name_is_refused() {
    let loaded = streaming(&[]);
    let recorded = world_up(&loaded).await;
    let mut other = World {
        outputs: recorded.outputs,
        ..World::default()
    };
    other.cluster.edit("Namespace", "kube-system", |namespace| {
        namespace["metadata"]["uid"] = json!("other")
    });
    let error = other.up(&up(&loaded)).await.unwrap_err();
    assert_eq!(error.code, "ENV002");
    assert!(other.cluster.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_our_own_that_was_made_anew_is_another_by_its_ca() {
    let loaded = streaming(&[]);
    let recorded = world_up(&loaded).await;
    let entrance = crate::cluster::steps::entrance().to_string();
    let anew = |ca: &str| {
        let mut other = World {
            outputs: recorded.outputs.clone(),
            ..World::default()
        };
        other.outputs.insert(entrance.clone(), json!({}));
        let identity = other.outputs.get_mut("environment/identity").unwrap();
        identity["cluster"]["ca_sha256"] = json!(ca);
        other.cluster.edit("Namespace", "kube-system", |namespace| {
            namespace["metadata"]["uid"] = json!("other")
        });
        other
    };
    let steps = up(&loaded);
    let identity = steps
        .iter()
        .find(|step| *step.id() == crate::environment::identity())
        .unwrap();
    let mut of_another_ca = anew("of the one that is gone");
    let done = of_another_ca.ensure(identity).await.unwrap().unwrap();
    assert_eq!(done.change, Change::Created);
    assert_eq!(done.outputs["cluster"]["kube_system_uid"], "other");
    let same_ca = &"0".repeat(64);
    let error = anew(same_ca).ensure(identity).await.unwrap_err();
    assert_eq!(error.code, "ENV002");
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_left_the_file_is_removed() {
    let mut world = world_up(&streaming(&[])).await;
    assert!(world.cluster.find("Deployment", "log-generator").is_some());
    let without = streaming(&[("spec.workloads[log-generator].enabled", "false")]);
    world.up(&up(&without)).await.unwrap();
    assert!(world.cluster.find("Deployment", "log-generator").is_none());
    assert!(world.cluster.find("Deployment", "was").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_left_the_file_is_removed() {
    let mut world = world_up(&streaming(&[])).await;
    let other = streaming(&[(
        "spec.kafka.topics",
        "[{name: other, partitions: 1, replicas: 3}]",
    )]);
    world.up(&up(&other)).await.unwrap();
    let topics: Vec<_> = world.cluster.all("KafkaTopic");
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0]["metadata"]["name"], "other");
}

#[tokio::test(start_paused = true)]
async fn a_failed_application_is_submitted_anew_once_a_run() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    let first = world
        .cluster
        .find("SparkApplication", "spark-kafka-consumer")
        .unwrap();
    let fail = |world: &World| {
        world
            .cluster
            .edit("SparkApplication", "spark-kafka-consumer", |app| {
                app["status"] =
                    json!({"applicationState": {"state": "FAILED", "errorMessage": "driver died"}});
            });
    };
    fail(&world);
    let steps = up(&loaded);
    let step = steps
        .iter()
        .find(|step| *step.id() == crate::spark_application::application("spark-kafka-consumer"))
        .unwrap();
    // In the same run it stays failed, and readiness says so.
    assert!(world.ensure(step).await.unwrap().is_none());
    assert!(
        matches!(world.readiness(step).await.unwrap(), crate::Readiness::Failed(error) if error.code == "SPK001")
    );

    world.run = "run-2".to_owned();
    let outcome = world.ensure(step).await.unwrap().unwrap();
    assert_eq!(outcome.change, Change::Replaced);
    let second = world
        .cluster
        .find("SparkApplication", "spark-kafka-consumer")
        .unwrap();
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_application_is_deleted_and_made_again() {
    let mut world = world_up(&streaming(&[])).await;
    let first = world
        .cluster
        .find("SparkApplication", "spark-kafka-consumer")
        .unwrap();
    let changed = streaming(&[(
        "spec.sparkApplications[spark-kafka-consumer].executor.instances",
        "3",
    )]);
    world.run = "run-2".to_owned();
    world.up(&up(&changed)).await.unwrap();
    let second = world
        .cluster
        .find("SparkApplication", "spark-kafka-consumer")
        .unwrap();
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(second["spec"]["executor"]["instances"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_object_names_the_refusal_and_keeps_what_was_applied() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    world.cluster.make_immutable("Service");
    world.cluster.edit("Service", "was-service", |service| {
        service["spec"]["ports"][0]["port"] = json!(81)
    });
    let steps = up(&loaded);
    let was = steps
        .iter()
        .find(|step| *step.id() == crate::workloads::step_of("was"))
        .unwrap();
    let error = world.ensure(was).await.unwrap_err();
    assert_eq!(error.code, "STG002");
    assert!(
        error
            .hint
            .unwrap()
            .contains("kubectl delete service -n was was-service")
    );
}

#[tokio::test(start_paused = true)]
async fn old_claims_are_found_before_anything_of_kafka_is_applied() {
    let loaded = streaming(&[]);
    let mut world = World::default();
    world.cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kafka"}, "status": {"phase": "Active"}}));
    world.cluster.put(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
        "name": "data-0-streaming-cluster-broker-pool-0", "namespace": "kafka",
        "labels": {"strimzi.io/cluster": "streaming-cluster", "strimzi.io/pool-name": "broker-pool"}}}));
    let error = world.up(&up(&loaded)).await.unwrap_err();
    assert_eq!(error.code, "KFK005");
    assert!(world.cluster.all("KafkaNodePool").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_does_not_end_is_not_met_by_a_new_one() {
    let mut world = world_up(&streaming(&[])).await;
    // Nobody collects the driver, as when its node does not answer.
    assert!(
        world
            .cluster
            .edit("Pod", "spark-kafka-consumer-driver", |pod| {
                pod["metadata"]["ownerReferences"] = json!([]);
            })
    );
    let steps = up(&streaming(&[(
        "spec.sparkApplications[spark-kafka-consumer].executor.instances",
        "3",
    )]));
    let step = steps
        .iter()
        .find(|step| *step.id() == crate::spark_application::application("spark-kafka-consumer"))
        .unwrap();
    let error = world.ensure(step).await.unwrap_err();
    assert_eq!(error.code, "SPK004");
    assert_eq!(error.retry, crate::Retry::Soon);
    assert!(world.cluster.all("SparkApplication").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_release_with_nothing_but_history_is_made() {
    let mut world = World::default();
    world.releases.put(Release {
        name: "strimzi".to_owned(),
        namespace: "kafka".to_owned(),
        revision: 4,
        status: ReleaseStatus::Uninstalled,
        digest: None,
        environment_uid: None,
    });
    let steps = up(&streaming(&[]));
    let operator = steps
        .iter()
        .find(|step| step.id().as_str() == "strimzi/operator")
        .unwrap();
    let outcome = world.ensure(operator).await.unwrap().unwrap();
    assert_eq!(outcome.change, Change::Created);
}

#[tokio::test]
async fn a_file_of_the_blueprint_that_is_not_there_has_a_code_of_its_own() {
    let world = World::default();
    let loaded = streaming(&[]);
    let reference = serde_json::from_value(json!({"file": "no-such-file"})).unwrap();
    let cx = world.context(&crate::namespaces::secrets());
    let error = crate::blocks::values::resolve(&cx, &loaded, &reference).await;
    assert_eq!(error.map(drop).unwrap_err().code, "SEC007");
}
