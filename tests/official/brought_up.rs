//! The whole blueprint, on a sandbox whose charts hold the official definitions.

use std::path::Path;

use pipectl_adapters::kubernetes::KubernetesAdapter;
use pipectl_stages::ports::objects::{Kind, ObjectApi, ObjectRef};
use serde_json::Value;

use crate::{
    pipelines::{RELEASES, Release},
    support::{Temporary, definitions, reference},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_blueprint_comes_up_with_the_definitions_of_strimzi_0_47_0() {
    let Some(reference) = reference() else { return };
    let (temporary, _) = brought_up(&reference, &RELEASES[1]).await;
    temporary.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blueprint_comes_up_and_goes_with_the_definitions_of_strimzi_1_2_0() {
    let Some(reference) = reference() else { return };
    let (temporary, api) = brought_up(&reference, &RELEASES[2]).await;
    temporary.succeeds(&["down", "--yes", "streaming"]);
    let (served, _) = api.all_served().await.unwrap();
    let left = |group: &str| {
        served
            .iter()
            .any(|served| served.kind.group.ends_with(group))
    };
    assert!(!left("strimzi.io") && !left("sparkoperator.k8s.io"));
    temporary.end().await;
}

/// A sandbox with the official definitions in its charts, the blueprint brought up and verified in it.
async fn brought_up(reference: &Path, release: &Release) -> (Temporary, KubernetesAdapter) {
    let temporary = Temporary::new("brought-up");
    let crds = reference.to_str().unwrap();
    temporary.succeeds(&["sandbox", "start", "--name", "brought-up", "--crds", crds]);
    let strimzi = format!("strimzi.version={}", release.strimzi);
    let kafka = format!("kafka.version={}", release.kafka);
    temporary.succeeds(&[
        "up",
        "--sandbox=brought-up",
        "--set",
        "provider=sandbox",
        "--set",
        &strimzi,
        "--set",
        &kafka,
    ]);

    let api = temporary.connect().await;
    // Ours know nothing of bridges: so these are the official ones, whole and established.
    for official in definitions(reference, &format!("strimzi-{}", release.strimzi)) {
        let live = api.get(&ObjectRef::of(&official)).await.unwrap().unwrap();
        assert_eq!(
            versions(&live),
            versions(&official),
            "{}",
            ObjectRef::of(&official)
        );
    }
    let kafka = ObjectRef {
        kind: Kind::new("kafka.strimzi.io", "", "Kafka"),
        namespace: Some("kafka".to_owned()),
        name: "streaming-cluster".to_owned(),
    };
    let live = api.get(&kafka).await.unwrap().unwrap();
    assert_eq!(
        live["apiVersion"],
        format!("kafka.strimzi.io/{}", release.api)
    );
    assert_eq!(live["status"]["kafkaVersion"], release.kafka);
    (temporary, api)
}

/// Names of the versions of a definition with their schemas' size, which tells the official ones from ours.
fn versions(definition: &Value) -> Vec<(String, usize)> {
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let size = |version: &Value| {
        let fields = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        fields.as_object().map_or(0, |fields| fields.len())
    };
    versions
        .iter()
        .map(|version| (version["name"].as_str().unwrap().to_owned(), size(version)))
        .collect()
}
