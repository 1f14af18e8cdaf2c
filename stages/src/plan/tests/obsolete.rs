//! What left the pipeline file: renamed, with its operator, without it.

use std::{sync::Arc, time::Duration};

use super::{streaming, world_up};
use crate::{
    environment::obsolete,
    kafka,
    plan::up,
    step::{Change, Milestone, Outcome, Step},
    strimzi,
    testing::{World, operators},
};

/// A workload of this name with a chart, a deployment and its settings.
fn workload(name: &str) -> (&'static str, String) {
    let workloads = format!(
        "[{{name: {name}, namespace: was, \
         charts: [{{name: web, repo: 'https://charts.example', chart: web, version: 1.0.0}}], \
         objects: [\
         {{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{a: b}}}}, \
         {{apiVersion: v1, kind: ServiceAccount, metadata: {{name: web-account}}}}, \
         {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web-own}}, spec: {{replicas: 1, \
         selector: {{matchLabels: {{app: w}}}}, template: {{metadata: {{labels: {{app: w}}}}, \
         spec: {{containers: [{{name: c, image: i}}]}}}}}}}}]}}]"
    );
    ("spec.workloads", workloads)
}

fn with(fields: &[(&str, String)]) -> pipectl_config::Loaded {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(path, value)| (*path, value.as_str()))
        .collect();
    streaming(&fields)
}

/// Ensures one step while the operators are at work.
async fn ensure_beside_operators(world: &mut World, step: &Arc<dyn Step>) -> Option<Outcome> {
    let cluster = world.cluster.clone();
    let at_work = async {
        loop {
            operators::act(&cluster);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        outcome = world.ensure(step) => outcome.unwrap(),
        () = at_work => None,
    }
}

fn without(loaded: &pipectl_config::Loaded, stages: &[&str]) -> Arc<dyn Step> {
    let mut rest = up(loaded);
    rest.retain(|step| {
        !stages.contains(&step.id().stage()) && step.id().as_str() != "environment/obsolete"
    });
    obsolete::step(rest)
}

#[tokio::test(start_paused = true)]
async fn a_renamed_workload_keeps_its_release_and_its_objects() {
    let mut world = world_up(&with(&[workload("old")])).await;
    let before = world.cluster.find("Deployment", "web-own").unwrap();
    let _ = world.cluster.take_writes();
    let steps = up(&with(&[workload("new")]));
    let step = steps
        .iter()
        .find(|step| step.id().as_str() == "environment/obsolete")
        .unwrap();
    // Neither the plan nor the run takes away what the new name wants.
    let plan = step.diff(&world.context(step.id())).await.unwrap();
    assert_eq!(plan, Vec::new());
    world.up(&steps).await.unwrap();
    let after = world.cluster.find("Deployment", "web-own").unwrap();
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert!(world.cluster.find("Deployment", "web").is_some());
    let writes = world.cluster.take_writes();
    assert!(
        !writes.iter().any(|write| write.starts_with("delete")),
        "{writes:?}"
    );
    // The old step's records stay: run after run they change nothing.
    world.run = "run-2".to_owned();
    assert_eq!(world.ensure(step).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_left_goes_once_what_needs_others_first() {
    let mut world = world_up(&with(&[workload("old")])).await;
    let _ = world.cluster.take_writes();
    let steps = up(&with(&[("spec.workloads", "[]".to_owned())]));
    world.up(&steps).await.unwrap();
    assert_eq!(
        world.cluster.take_writes(),
        [
            "delete Deployment was/web-own",
            "delete ConfigMap was/settings",
            "delete ServiceAccount was/web-account"
        ]
    );
    assert!(world.cluster.find("Deployment", "web").is_none());
    world.up(&steps).await.unwrap();
    assert_eq!(world.cluster.take_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn topics_go_while_their_operator_lives_when_both_leave() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    let _ = world.cluster.take_writes();
    let step = without(&loaded, &[kafka::STAGE, strimzi::STAGE]);
    let outcome = ensure_beside_operators(&mut world, &step).await.unwrap();
    assert_eq!(outcome.change, Change::Removed);
    for kind in ["KafkaTopic", "Kafka", "KafkaNodePool"] {
        assert!(world.cluster.all(kind).is_empty(), "{kind}");
    }
    assert!(world.cluster.find("Deployment", "strimzi").is_none());
    let writes = world.cluster.take_writes();
    assert!(
        writes[0].starts_with("delete KafkaTopic"),
        "topics are asked first: {writes:?}"
    );
    assert!(
        !writes.iter().any(|write| write.starts_with("strip")),
        "their operator let go of them: {writes:?}"
    );
    assert_eq!(world.ensure(&step).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn definitions_stay_while_the_pipeline_has_objects_of_them() {
    let loaded = streaming(&[]);
    let mut world = world_up(&loaded).await;
    // The operator is brought by the user from now on.
    let step = without(&loaded, &[strimzi::STAGE]);
    ensure_beside_operators(&mut world, &step).await.unwrap();
    assert!(world.cluster.find("Deployment", "strimzi").is_none());
    assert!(!world.cluster.all("Kafka").is_empty());
    assert!(!world.cluster.all("KafkaTopic").is_empty());
    assert_eq!(world.ensure(&step).await.unwrap(), None);
}

#[test]
fn it_begins_when_every_other_step_is_applied() {
    let steps = up(&streaming(&[]));
    let at = steps
        .iter()
        .position(|step| step.id().as_str() == "environment/obsolete")
        .unwrap();
    let needs = steps[at].needs();
    for step in &steps[..at] {
        assert!(
            needs
                .iter()
                .any(|need| need.step == *step.id() && need.milestone == Milestone::Applied),
            "{}",
            step.id()
        );
    }
}
