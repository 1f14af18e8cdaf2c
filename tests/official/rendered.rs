//! Strict server-side dry runs on a real API server that serves the official definitions.

use std::collections::{BTreeMap, BTreeSet};

use pipectl_adapters::kubernetes::KubernetesAdapter;
use pipectl_config::Loaded;
use pipectl_stages::{
    PortError, PortErrorKind,
    ports::objects::{ApplyOptions, Kind, ObjectApi, ObjectRef},
    rendered_objects,
    spark_application::render::{env_secret, env_secrets},
};
use serde_json::{Value, json};

use crate::{
    pipelines::{RELEASES, Release},
    support::{Temporary, define, definitions, kind_of, reference},
};

const SPARK: &str = "spark-operator-2.5.2";

const DRY: ApplyOptions = ApplyOptions {
    force: false,
    dry_run: true,
};

/// The kinds of custom resources that are rendered, with places that must refuse a field nobody knows.
const CUSTOM: [(&str, &[&str]); 4] = [
    (
        "Kafka",
        &["/spec", "/spec/kafka", "/spec/kafka/listeners/0"],
    ),
    ("KafkaNodePool", &["/spec", "/spec/storage"]),
    ("KafkaTopic", &["/spec"]),
    (
        "SparkApplication",
        &[
            "/spec",
            "/spec/driver",
            "/spec/executor",
            "/spec/restartPolicy",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn strimzi_0_44_0_accepts_everything_that_is_rendered_for_it() {
    hold_against(&RELEASES[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strimzi_0_47_0_accepts_everything_that_is_rendered_for_it() {
    hold_against(&RELEASES[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strimzi_1_2_0_accepts_everything_that_is_rendered_for_it() {
    hold_against(&RELEASES[2]).await;
}

/// Strimzi before 0.46.0 ignores node pools, and asks for a ZooKeeper, unless told otherwise; a dry run doesn't know that.
#[test]
fn before_0_46_0_every_kafka_says_that_it_has_node_pools_and_no_zookeeper() {
    for release in &RELEASES {
        for (name, loaded) in release.pipelines() {
            let objects = rendered_objects(&loaded, release.api, &|_| None);
            let kafka = objects.iter().find(|object| object["kind"] == "Kafka");
            let annotations = &kafka.unwrap()["metadata"]["annotations"];
            for annotation in ["strimzi.io/node-pools", "strimzi.io/kraft"] {
                let said = annotations[annotation] == "enabled";
                let expected = release.strimzi == "0.44.0";
                assert_eq!(said, expected, "{name} for Strimzi {}", release.strimzi);
            }
        }
    }
}

async fn hold_against(release: &Release) {
    let Some(reference) = reference() else { return };
    let temporary = Temporary::new("official");
    let api = temporary.start().await;
    let mut official = definitions(&reference, &format!("strimzi-{}", release.strimzi));
    official.extend(definitions(&reference, SPARK));
    define(&api, &official).await;

    let kafka = api.served("kafka.strimzi.io", "Kafka").await.unwrap();
    let versions = kafka.unwrap().versions;
    assert!(
        versions.iter().any(|version| version == release.api),
        "Strimzi {} serves {versions:?}",
        release.strimzi
    );
    let scopes = scopes(&api).await;
    let (mut refused, mut seen) = (Vec::new(), BTreeMap::<_, Vec<Value>>::new());
    for (name, loaded) in release.pipelines() {
        let objects = objects(&loaded, release.api, &scopes);
        make_namespaces(&api, &loaded).await;
        for object in objects {
            if let Err(error) = api.apply(&object, DRY).await {
                refused.push(format!("{name}: {}: {error}", ObjectRef::of(&object)));
            }
            seen.entry(kind_of(&object).1).or_default().push(object);
        }
    }
    assert!(
        refused.is_empty(),
        "the API refuses what is rendered for Strimzi {}:\n{}",
        release.strimzi,
        refused.join("\n")
    );
    for (kind, places) in CUSTOM {
        let example = &seen[kind][0];
        for place in places {
            assert_refused(&api, &spoiled(example, place, "nobodyKnowsThis", json!(1))).await;
        }
    }
    let topic = &seen["KafkaTopic"][0];
    assert_refused(&api, &spoiled(topic, "/spec", "partitions", json!("three"))).await;
    // The old version still knows the fields that node pools took over, so it is really another definition.
    let moved = spoiled(&seen["Kafka"][0], "/spec/kafka", "replicas", json!(3));
    if release.api == "v1" {
        assert_refused(&api, &moved).await;
    } else {
        api.apply(&moved, DRY).await.unwrap();
    }
    temporary.end().await;
}

/// Everything that is rendered, and the Secrets of applications with a stand-in for each value.
fn objects(
    loaded: &Loaded,
    version: &str,
    scopes: &BTreeMap<(String, String), bool>,
) -> Vec<Value> {
    let scope = |kind: &Kind| {
        let key = (kind.group.clone(), kind.kind.clone());
        scopes.get(&key).copied()
    };
    let mut objects = rendered_objects(loaded, version, &scope);
    for application in &loaded.pipeline.spec.spark_applications {
        let mut data = json!({});
        for (name, _) in env_secrets(application) {
            data[name] = json!("c2VjcmV0");
        }
        if data != json!({}) {
            objects.push(env_secret(application, data));
        }
    }
    objects
}

/// Which kinds live in namespaces.
async fn scopes(api: &KubernetesAdapter) -> BTreeMap<(String, String), bool> {
    let (served, dead) = api.all_served().await.unwrap();
    assert!(dead.is_empty(), "{dead:?}");
    let scope = |served: pipectl_stages::ports::objects::Served| {
        ((served.kind.group, served.kind.kind), served.namespaced)
    };
    served.into_iter().map(scope).collect()
}

/// A dry run looks for the namespace, too.
async fn make_namespaces(api: &KubernetesAdapter, loaded: &Loaded) {
    let names: BTreeSet<&str> = loaded
        .pipeline
        .spec
        .namespaces
        .iter()
        .map(|namespace| namespace.name.as_str())
        .collect();
    for name in names {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.apply(&object, ApplyOptions::default()).await.unwrap();
    }
}

/// The object with `field` at `place` set to `value`.
fn spoiled(object: &Value, place: &str, field: &str, value: Value) -> Value {
    let mut object = object.clone();
    let at = object.pointer_mut(place);
    let at = at.unwrap_or_else(|| panic!("there is no {place}"));
    at[field] = value;
    object
}

/// The proof that the dry runs can fail.
async fn assert_refused(api: &KubernetesAdapter, object: &Value) {
    let answer: Result<Value, PortError> = api.apply(object, DRY).await;
    match answer {
        Ok(_) => panic!("this was accepted: {object:#}"),
        Err(error) => assert_eq!(error.kind, PortErrorKind::Invalid, "{error}"),
    }
}
