//! Discovery and metadata lists.

use http::Method;
use pipectl_stages::ports::objects::{Kind, ObjectApi, Selection};
use serde_json::json;

use super::fake::{Fake, Reply, group};

#[tokio::test]
async fn everything_served_takes_two_requests_and_is_remembered() {
    let fake = Fake::new();
    let adapter = fake.loose();
    for _ in 0..3 {
        let served = adapter.served("", "ConfigMap").await.unwrap().unwrap();
        assert_eq!(
            (served.plural.as_str(), served.namespaced),
            ("configmaps", true)
        );
    }
    assert_eq!(fake.asked().len(), 2);
    assert!(
        fake.asked()
            .iter()
            .all(|asked| asked.accept.contains("apidiscovery.k8s.io"))
    );
}

#[tokio::test]
async fn many_who_miss_at_once_share_a_reading() {
    let fake = Fake::new();
    let adapter = fake.loose();
    adapter.served("", "ConfigMap").await.unwrap();
    let misses = (0..20).map(|_| adapter.served("kafka.strimzi.io", "Kafka"));
    for miss in futures::future::join_all(misses).await {
        assert_eq!(miss, Ok(None));
    }
    assert!(
        fake.count(&Method::GET, "/apis", "") <= 3,
        "{}",
        fake.asked().len()
    );
}

#[tokio::test]
async fn the_preferred_version_comes_first() {
    let fake = Fake::new();
    fake.on(|asked| {
        (asked.path == "/apis").then(|| {
            Reply::Json(
                200,
                group(
                    "kafka.strimzi.io",
                    &["v1", "v1beta2"],
                    &[("kafkas", "Kafka", true)],
                ),
            )
        })
    });
    let served = fake
        .loose()
        .served("kafka.strimzi.io", "Kafka")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(served.kind.version, "v1");
    assert_eq!(served.versions, ["v1", "v1beta2"]);
}

#[tokio::test]
async fn a_dead_group_is_named_and_hides_nothing() {
    let fake = Fake::new();
    fake.on(|asked| {
        (asked.path == "/apis").then(|| {
            let mut list = group("apps", &["v1"], &[("deployments", "Deployment", true)]);
            list["items"].as_array_mut().unwrap().push(json!({
                "metadata": {"name": "metrics.k8s.io"},
                "versions": [{"version": "v1beta1", "freshness": "Stale", "resources": []}]
            }));
            Reply::Json(200, list)
        })
    });
    let (served, dead) = fake.loose().all_served().await.unwrap();
    assert!(served.iter().any(|known| known.kind.kind == "Deployment"));
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].code, "K8S020");
    assert!(
        dead[0].cause.contains("metrics.k8s.io/v1beta1"),
        "{}",
        dead[0]
    );
}

#[tokio::test]
async fn a_server_without_aggregated_discovery_is_read_group_by_group() {
    let fake = Fake::new();
    let list = |name: &str, kind: &str| {
        json!({"kind": "APIResourceList", "resources": [
            {"name": name, "kind": kind, "namespaced": true, "verbs": ["get", "list", "delete"]},
            {"name": format!("{name}/status"), "kind": kind, "namespaced": true, "verbs": ["get"]}
        ]})
    };
    fake.on(move |asked| {
        let answer = match asked.path.as_str() {
            "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
            "/api/v1" => list("pods", "Pod"),
            "/apis" => json!({"kind": "APIGroupList", "groups": [
                {"name": "apps", "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                    "preferredVersion": {"version": "v1"}},
                {"name": "dead.io", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}
            ]}),
            "/apis/apps/v1" | "/apis/apps/v1beta1" => list("deployments", "Deployment"),
            "/apis/dead.io/v1" => return Some(Reply::Text(503, "service unavailable")),
            _ => return None,
        };
        Some(Reply::Json(200, answer))
    });
    let adapter = fake.loose();
    let (served, dead) = adapter.all_served().await.unwrap();
    assert_eq!(served.len(), 2);
    let deployment = served
        .iter()
        .find(|known| known.kind.group == "apps")
        .unwrap();
    assert_eq!(deployment.versions, ["v1", "v1beta1"]);
    assert_eq!(dead.len(), 1);
    assert!(dead[0].cause.contains("dead.io/v1"));
}

#[tokio::test]
async fn metadata_lists_are_paged_and_carry_metadata_alone() {
    let fake = Fake::new();
    fake.on(|asked| {
        (asked.path == "/api/v1/namespaces/n/configmaps").then(|| {
            let (name, next) = if asked.query.contains("continue=") {
                ("b", json!({}))
            } else {
                ("a", json!({"continue": "tok/1+="}))
            };
            Reply::Json(
                200,
                json!({"kind": "PartialObjectMetadataList", "metadata": next,
                    "items": [{"metadata": {"name": name, "namespace": "n", "labels": {"l": "1"}}}]}),
            )
        })
    });
    let selection = Selection {
        kind: Kind::new("", "", "ConfigMap"),
        namespace: Some("n".to_owned()),
        labels: Some("l=1,m in (a,b)".to_owned()),
    };
    let found = fake.loose().list_metadata(&selection).await.unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (&found[0]["kind"], &found[0]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    let asked = fake.asked();
    let lists: Vec<_> = asked
        .iter()
        .filter(|asked| asked.query.contains("limit="))
        .collect();
    assert!(
        lists
            .iter()
            .all(|list| list.accept.contains("PartialObjectMetadataList"))
    );
    assert!(
        lists[0]
            .query
            .contains("labelSelector=l%3D1%2Cm%20in%20%28a%2Cb%29"),
        "{}",
        lists[0].query
    );
    assert!(
        lists[1].query.contains("continue=tok%2F1%2B%3D"),
        "{}",
        lists[1].query
    );
}
