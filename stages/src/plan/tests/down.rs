use serde_json::json;

use super::{streaming, take_down, world_up};
use crate::{
    findings::{Fate, Finding},
    plan::{DOWN_STAGES, DownOptions, down},
    testing::World,
};

#[test]
fn rows_name_only_rows_above() {
    let mut above = std::collections::BTreeSet::new();
    for removal in down(&DownOptions::default()) {
        for need in removal.needs() {
            assert!(
                above.contains(&need.step),
                "{} needs {}",
                removal.id(),
                need.step
            );
        }
        assert!(
            DOWN_STAGES.contains(&removal.id().stage()),
            "{}",
            removal.id()
        );
        above.insert(removal.id().clone());
    }
}

fn absence(world: &World) -> crate::AbsenceReport {
    let findings = world.heard.findings.lock().unwrap();
    findings
        .iter()
        .rev()
        .find_map(|finding| match finding {
            Finding::Absence(report) => Some(report.clone()),
            Finding::Check(_) => None,
        })
        .unwrap()
}

/// What a fresh cluster with the same nodes holds.
fn bare(world: &World) -> Vec<String> {
    let mut keys = world.cluster.keys();
    keys.retain(|key| !key.starts_with("EndpointSlice"));
    keys
}

#[tokio::test(start_paused = true)]
async fn down_leaves_nothing_and_says_so() {
    let mut world = world_up(&streaming(&[])).await;
    take_down(&mut world).await.unwrap();
    assert_eq!(
        bare(&world),
        ["Namespace default", "Namespace kube-system", "Node node-0"]
    );
    let report = absence(&world);
    assert!(report.checked > 30, "{}", report.checked);
    assert_eq!(report.gone, report.checked);
    assert_eq!(report.remaining, []);
}

#[tokio::test(start_paused = true)]
async fn down_works_without_any_record() {
    let mut world = world_up(&streaming(&[])).await;
    world.outputs.clear();
    take_down(&mut world).await.unwrap();
    assert_eq!(
        bare(&world),
        ["Namespace default", "Namespace kube-system", "Node node-0"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_down_writes_nothing() {
    let mut world = world_up(&streaming(&[])).await;
    take_down(&mut world).await.unwrap();
    let _ = world.cluster.take_writes();
    take_down(&mut world).await.unwrap();
    assert_eq!(world.cluster.take_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn up_and_down_again_after_a_half_finished_up() {
    let loaded = streaming(&[]);
    for cut in 1..crate::plan::up(&loaded).len() {
        let mut world = World::default();
        let steps = crate::plan::up(&loaded);
        world.up(&steps[..cut]).await.unwrap();
        // Killed here: nothing of the run was recorded.
        world.outputs.clear();
        take_down(&mut world).await.unwrap();
        assert!(bare(&world).len() <= 3, "{cut}: {:?}", bare(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_released_only_when_its_operator_is_gone() {
    let mut world = world_up(&streaming(&[])).await;
    // Somebody deleted Kafka and its operator by hand: nobody takes the finalizer off any more.
    world.cluster.erase("Kafka", "streaming-cluster");
    world.cluster.erase("Deployment", "strimzi");
    take_down(&mut world).await.unwrap();
    let said = world.heard.progress.lock().unwrap().join("\n");
    assert!(
        said.contains("strimzi.io/topic-operator taken off"),
        "{said}"
    );
    assert!(world.cluster.all("KafkaTopic").is_empty());
}

#[tokio::test(start_paused = true)]
async fn definitions_that_somebody_else_uses_stay_and_are_reported_as_kept() {
    let mut world = world_up(&streaming(&[])).await;
    world.cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}, "status": {"phase": "Active"}}));
    world.cluster.put(json!({"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic",
        "metadata": {"name": "their-topic", "namespace": "theirs", "labels": {"strimzi.io/cluster": "their-cluster"}}}));
    take_down(&mut world).await.unwrap();
    assert!(world.cluster.find("KafkaTopic", "their-topic").is_some());
    assert!(
        world
            .cluster
            .find("CustomResourceDefinition", "kafkas.kafka.strimzi.io")
            .is_some()
    );
    assert!(
        world
            .cluster
            .find(
                "CustomResourceDefinition",
                "sparkapplications.sparkoperator.k8s.io"
            )
            .is_none()
    );
    let report = absence(&world);
    assert_eq!(report.remaining.len(), 5);
    assert!(
        report
            .remaining
            .iter()
            .all(|left| matches!(left.fate, Fate::Kept { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_named_and_the_identity_stays_with_it() {
    let mut world = world_up(&streaming(&[])).await;
    world.cluster.edit("ConfigMap", "spark-code", |map| {
        map["metadata"]["finalizers"] = json!(["example.org/held"]);
    });
    let error = take_down(&mut world).await.unwrap_err();
    assert!(error.cause.contains("example.org/held"), "{error}");
    assert!(
        world
            .cluster
            .find("ConfigMap", "pipectl-environment-demo")
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn another_environments_things_stay() {
    let mut world = world_up(&streaming(&[])).await;
    world.cluster.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "default",
        "labels": {"pipectl.dev/environment": "other", "pipectl.dev/environment-uid": "33333333"}}}));
    take_down(&mut world).await.unwrap();
    assert!(world.cluster.find("ConfigMap", "other").is_some());
}

#[tokio::test(start_paused = true)]
async fn kept_data_keeps_claims_and_their_namespace() {
    let mut world = world_up(&streaming(&[])).await;
    let before = crate::inventory::take(
        &world.ports(),
        &world.environment,
        &std::collections::BTreeSet::new(),
        true,
    )
    .await;
    let options = DownOptions {
        keep_data: true,
        before,
    };
    world.down(&down(&options)).await.unwrap();
    assert_eq!(world.cluster.all("PersistentVolumeClaim").len(), 6);
    assert!(world.cluster.find("Namespace", "kafka").is_some());
    assert!(world.cluster.find("Namespace", "was").is_none());
    assert!(
        absence(&world)
            .remaining
            .iter()
            .all(|left| matches!(left.fate, Fate::Kept { .. }))
    );
}
