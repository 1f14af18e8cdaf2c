//! Apply, delete, finalizers, and the fence before them.

use http::Method;
use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::objects::{ApplyOptions, Deletion, Kind as ObjectKind, ObjectApi, ObjectRef},
};
use serde_json::{Value, json};

use super::fake::{Fake, Reply, group, identity, object, status};

const PATH: &str = "/api/v1/namespaces/n/configmaps/a";

fn wanted() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}})
}

fn address() -> ObjectRef {
    ObjectRef::of(&wanted())
}

#[tokio::test]
async fn nothing_is_changed_before_the_pin() {
    let fake = Fake::new();
    let adapter = fake.loose();
    let refused = [
        adapter
            .apply(&wanted(), ApplyOptions::default())
            .await
            .map(drop),
        adapter.delete(&address(), None).await.map(drop),
        adapter.strip_finalizers(&address(), "u", &[]).await,
    ];
    for answer in refused {
        assert_eq!(answer.unwrap_err().code, "K8S022");
    }
    assert!(fake.asked().iter().all(|asked| asked.method == Method::GET));
}

#[tokio::test]
async fn another_cluster_is_refused_for_good() {
    let fake = Fake::new();
    let adapter = fake.loose();
    let other = pipectl_stages::ports::objects::ClusterIdentity {
        kube_system_uid: "another".to_owned(),
        ..identity()
    };
    let error = adapter.pin(other).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Foreign, "K8S021"));
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Foreign);
    assert_eq!(fake.count(&Method::PATCH, PATH, ""), 0);
}

#[tokio::test]
async fn a_cluster_that_was_replaced_behind_a_broken_connection_is_noticed() {
    let fake = Fake::new();
    let adapter = fake.pinned().await;
    fake.answers(Method::PATCH, PATH, (0..4).map(|_| Reply::Broken).collect());
    let broken = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(broken.kind, Kind::Unreachable);
    fake.on(|asked| {
        (asked.path == "/api/v1/namespaces/kube-system")
            .then(|| Reply::Json(200, json!({"metadata": {"uid": "replaced"}})))
    });
    let sent = fake.count(&Method::PATCH, PATH, "");
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Foreign);
    assert_eq!(fake.count(&Method::PATCH, PATH, ""), sent);
}

#[tokio::test]
async fn a_broken_change_is_repeated_only_to_the_same_cluster() {
    let fake = Fake::new();
    let adapter = fake.pinned().await;
    fake.answers(Method::PATCH, PATH, vec![Reply::Broken]);
    fake.on(|asked| {
        (asked.path == "/api/v1/namespaces/kube-system")
            .then(|| Reply::Json(200, json!({"metadata": {"uid": "replaced"}})))
    });
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Foreign, "K8S021"));
    assert_eq!(fake.count(&Method::PATCH, PATH, ""), 1);
}

#[tokio::test]
async fn nothing_is_sent_after_the_lease_not_even_again() {
    let now = pipectl_process::boot_time;
    let far = move || now() + std::time::Duration::from_secs(3600);
    // What the lease says each time it is asked, and how often the change is sent.
    for (answers, sent) in [(vec![false], 0), (vec![true, false], 1)] {
        let fake = Fake::new();
        let adapter = fake.pinned().await;
        fake.on(|asked| {
            (asked.method == Method::PATCH).then(|| {
                Reply::Json(
                    503,
                    status(503, "ServiceUnavailable", serde_json::Value::Null),
                )
            })
        });
        let answers = std::sync::Mutex::new(answers.into_iter());
        adapter.fence_effects(std::sync::Arc::new(move || {
            match answers.lock().unwrap().next() {
                Some(true) => far(),
                _ => now(),
            }
        }));
        let error = adapter
            .apply(&wanted(), ApplyOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Cancelled, "{error:?}");
        assert_eq!(fake.count(&Method::PATCH, PATH, ""), sent);
        // Looking is always allowed.
        adapter.get(&address()).await.map(drop).unwrap_or_default();
        assert_eq!(fake.count(&Method::GET, PATH, ""), 1);
    }
}

#[tokio::test]
async fn a_precondition_that_fails_is_not_tried_again() {
    let fake = Fake::new();
    fake.on(|asked| {
        (asked.method == Method::DELETE)
            .then(|| Reply::Json(409, status(409, "Conflict", serde_json::Value::Null)))
    });
    let adapter = fake.pinned().await;
    let error = adapter.delete(&address(), Some("old")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert_eq!(fake.count(&Method::DELETE, PATH, ""), 1);
    // Without one it is the server's own race.
    adapter.delete(&address(), None).await.unwrap_err();
    assert!(fake.count(&Method::DELETE, PATH, "") > 2);
}

#[tokio::test]
async fn apply_is_server_side_strict_and_ours() {
    let fake = Fake::new();
    fake.on(|asked| (asked.method == Method::PATCH).then(|| Reply::Json(200, object("a", 5))));
    let adapter = fake.pinned().await;
    adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap();
    adapter
        .apply(
            &wanted(),
            ApplyOptions {
                force: true,
                dry_run: true,
            },
        )
        .await
        .unwrap();
    let sent: Vec<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.method == Method::PATCH)
        .collect();
    assert_eq!(sent[0].path, PATH);
    assert_eq!(sent[0].query, "fieldManager=pipectl&fieldValidation=Strict");
    assert_eq!(sent[0].content_type, "application/apply-patch+yaml");
    assert_eq!(sent[0].body, wanted());
    assert_eq!(
        sent[1].query,
        "fieldManager=pipectl&fieldValidation=Strict&dryRun=All&force=true"
    );
}

#[tokio::test]
async fn a_field_conflict_names_the_other_manager() {
    let fake = Fake::new();
    let details = json!({"causes": [
        {"reason": "FieldManagerConflict", "field": ".data.k", "message": "conflict with \"kubectl-edit\" using v1"}
    ]});
    fake.on(move |asked| {
        (asked.method == Method::PATCH)
            .then(|| Reply::Json(409, status(409, "Conflict", details.clone())))
    });
    let adapter = fake.pinned().await;
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::Conflict, "K8S012")
    );
    assert!(
        error.cause.contains("kubectl-edit") && error.cause.contains(".data.k"),
        "{error}"
    );
    assert_eq!(fake.count(&Method::PATCH, PATH, ""), 1);
}

#[tokio::test]
async fn an_unexplained_500_is_explained_by_a_dry_run_create() {
    let fake = Fake::new();
    fake.on(|asked| match asked.method {
        Method::PATCH => Some(Reply::Json(500, status(500, "", Value::Null))),
        Method::POST => Some(Reply::Json(400, status(400, "BadRequest", Value::Null))),
        _ => None,
    });
    let adapter = fake.pinned().await;
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    let posts: Vec<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.method == Method::POST)
        .collect();
    assert_eq!(posts.len(), 1);
    assert!(posts[0].query.contains("dryRun=All"));
    assert_eq!(
        fake.count(&Method::PATCH, PATH, ""),
        1,
        "what is wrong with the object does not pass by asking again"
    );
}

#[tokio::test]
async fn an_unexplained_500_of_a_good_object_stays_the_servers() {
    let fake = Fake::new();
    fake.on(|asked| match asked.method {
        Method::PATCH => Some(Reply::Json(500, status(500, "", Value::Null))),
        Method::POST => Some(Reply::Json(409, status(409, "AlreadyExists", Value::Null))),
        _ => None,
    });
    let adapter = fake.pinned().await;
    let error = adapter
        .apply(&wanted(), ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::ServerError);
}

#[tokio::test]
async fn a_kind_that_appears_is_found_by_reading_discovery_once_more() {
    let fake = Fake::new();
    let adapter = fake.pinned().await;
    let topic = json!({"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaTopic",
        "metadata": {"name": "t", "namespace": "n"}});
    let error = adapter
        .apply(&topic, ApplyOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (Kind::NotServed, "K8S016")
    );
    let before = fake.count(&Method::GET, "/apis", "");
    fake.on(|asked| {
        (asked.path == "/apis").then(|| {
            Reply::Json(
                200,
                group(
                    "kafka.strimzi.io",
                    &["v1"],
                    &[("kafkatopics", "KafkaTopic", true)],
                ),
            )
        })
    });
    fake.on(|asked| (asked.method == Method::PATCH).then(|| Reply::Json(200, asked.body.clone())));
    let kept = adapter
        .apply(&topic, ApplyOptions::default())
        .await
        .unwrap();
    // The version that is served takes the place of the one that was asked for.
    assert_eq!(kept["apiVersion"], "kafka.strimzi.io/v1");
    assert_eq!(
        fake.count(
            &Method::PATCH,
            "/apis/kafka.strimzi.io/v1/namespaces/n/kafkatopics/t",
            ""
        ),
        1
    );
    assert_eq!(fake.count(&Method::GET, "/apis", ""), before + 1);
}

#[tokio::test]
async fn a_version_that_went_away_is_replaced_within_one_apply() {
    let fake = Fake::new();
    let mut reads = 0;
    fake.on(move |asked| {
        (asked.path == "/apis").then(|| {
            reads += 1;
            let version = if reads == 1 { "v1beta2" } else { "v1" };
            Reply::Json(
                200,
                group("g.io", &[version], &[("things", "Thing", false)]),
            )
        })
    });
    fake.on(|asked| {
        (asked.path == "/apis/g.io/v1/things/x").then(|| Reply::Json(200, asked.body.clone()))
    });
    let adapter = fake.pinned().await;
    let thing = json!({"apiVersion": "g.io/v1beta2", "kind": "Thing", "metadata": {"name": "x", "namespace": "stray"}});
    let kept = adapter
        .apply(&thing, ApplyOptions::default())
        .await
        .unwrap();
    assert_eq!(kept["apiVersion"], "g.io/v1");
    // A cluster-wide kind has no namespace, whatever the manifest says.
    assert!(kept["metadata"]["namespace"].is_null());
}

#[tokio::test]
async fn delete_holds_the_uid_and_takes_absence_for_an_answer() {
    let fake = Fake::new();
    fake.answers(
        Method::DELETE,
        PATH,
        vec![
            Reply::Json(200, status(200, "", Value::Null)),
            Reply::Json(404, status(404, "NotFound", json!({"name": "a"}))),
            Reply::Json(409, status(409, "Conflict", Value::Null)),
            Reply::Json(409, status(409, "Conflict", Value::Null)),
            Reply::Json(409, status(409, "Conflict", Value::Null)),
            Reply::Json(409, status(409, "Conflict", Value::Null)),
        ],
    );
    let adapter = fake.pinned().await;
    assert_eq!(
        adapter.delete(&address(), Some("u")).await,
        Ok(Deletion::Accepted)
    );
    assert_eq!(adapter.delete(&address(), None).await, Ok(Deletion::Absent));
    let error = adapter.delete(&address(), Some("u")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    let sent: Vec<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.method == Method::DELETE)
        .collect();
    assert_eq!(sent[0].body["preconditions"]["uid"], "u");
    assert_eq!(sent[0].body["propagationPolicy"], "Background");
    assert!(sent[1].body["preconditions"].is_null());
    // What is not served cannot exist.
    let unknown = ObjectRef {
        kind: ObjectKind::new("nowhere.io", "", "Thing"),
        ..address()
    };
    assert_eq!(adapter.delete(&unknown, None).await, Ok(Deletion::Absent));
}

fn terminating(uid: &str, version: u64) -> Value {
    let mut found = object("a", version);
    found["metadata"]["uid"] = uid.into();
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    found["metadata"]["finalizers"] = json!(["keep/this", "strimzi.io/topic-operator"]);
    found
}

#[tokio::test]
async fn finalizers_are_stripped_from_exactly_the_object_that_was_read() {
    let fake = Fake::new();
    fake.answers(
        Method::GET,
        PATH,
        vec![
            Reply::Json(200, terminating("u", 7)),
            Reply::Json(200, terminating("u", 8)),
        ],
    );
    fake.answers(
        Method::PATCH,
        PATH,
        vec![
            Reply::Json(422, status(422, "Invalid", Value::Null)),
            Reply::Json(200, object("a", 9)),
        ],
    );
    let adapter = fake.pinned().await;
    let strip = ["strimzi.io/topic-operator".to_owned()];
    adapter
        .strip_finalizers(&address(), "u", &strip)
        .await
        .unwrap();
    let patches: Vec<_> = fake
        .asked()
        .into_iter()
        .filter(|asked| asked.method == Method::PATCH)
        .map(|asked| asked.body)
        .collect();
    assert_eq!(patches.len(), 2);
    assert_eq!(
        patches[1],
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "8"},
            {"op": "replace", "path": "/metadata/finalizers", "value": ["keep/this"]},
        ])
    );
}

#[tokio::test]
async fn finalizers_of_a_living_or_another_object_are_left_alone() {
    let fake = Fake::new();
    fake.answers(
        Method::GET,
        PATH,
        vec![
            Reply::Json(200, object("a", 7)),
            Reply::Json(200, terminating("other", 7)),
        ],
    );
    let adapter = fake.pinned().await;
    let strip = ["strimzi.io/topic-operator".to_owned()];
    for uid in ["uid-a", "u"] {
        let error = adapter
            .strip_finalizers(&address(), uid, &strip)
            .await
            .unwrap_err();
        assert_eq!(error.code, "K8S013");
    }
    assert_eq!(fake.count(&Method::PATCH, PATH, ""), 0);
}
