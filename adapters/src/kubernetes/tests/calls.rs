//! Errors by type, repetitions, bounds, cancellation.

use std::time::Duration;

use http::Method;
use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::objects::{Kind as ObjectKind, ObjectApi, ObjectRef},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::fake::{Fake, Reply, object, status};

fn configmap() -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::new("", "v1", "ConfigMap"),
        namespace: Some("n".to_owned()),
        name: "a".to_owned(),
    }
}

const PATH: &str = "/api/v1/namespaces/n/configmaps/a";

/// The kind and code that one answer becomes, and how often it was asked for.
async fn outcome(reply: impl Fn() -> Reply + Send + 'static) -> (Kind, String, usize) {
    let fake = Fake::new();
    fake.on(move |asked| (asked.path == PATH).then(&reply));
    let error = fake.loose().get(&configmap()).await.unwrap_err();
    (error.kind, error.code, fake.count(&Method::GET, PATH, ""))
}

#[tokio::test]
async fn reasons_decide_and_only_passing_ones_are_repeated() {
    let cases: Vec<(u16, &str, Value, Kind, &str, usize)> = vec![
        (
            401,
            "Unauthorized",
            Value::Null,
            Kind::Unauthorized,
            "K8S006",
            1,
        ),
        (403, "Forbidden", Value::Null, Kind::Forbidden, "K8S007", 1),
        (
            403,
            "Forbidden",
            json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}),
            Kind::Terminating,
            "K8S015",
            1,
        ),
        (
            409,
            "AlreadyExists",
            Value::Null,
            Kind::AlreadyExists,
            "K8S011",
            1,
        ),
        (409, "Conflict", Value::Null, Kind::Conflict, "K8S013", 4),
        (422, "Invalid", Value::Null, Kind::Invalid, "K8S014", 1),
        (400, "BadRequest", Value::Null, Kind::Invalid, "K8S014", 1),
        (
            429,
            "TooManyRequests",
            Value::Null,
            Kind::Throttled,
            "K8S017",
            4,
        ),
        (504, "Timeout", Value::Null, Kind::Timeout, "K8S018", 4),
        (
            500,
            "InternalError",
            Value::Null,
            Kind::ServerError,
            "K8S019",
            4,
        ),
        (
            503,
            "ServiceUnavailable",
            Value::Null,
            Kind::ServerError,
            "K8S019",
            4,
        ),
        // A NotFound that names no object is about the path.
        (404, "NotFound", json!({}), Kind::NotServed, "K8S016", 1),
        (
            405,
            "MethodNotAllowed",
            Value::Null,
            Kind::NotServed,
            "K8S016",
            1,
        ),
    ];
    for (code, reason, details, kind, expected, asked) in cases {
        let reason = reason.to_owned();
        let label = format!("{code} {reason} {details}");
        let seen = outcome(move || Reply::Json(code, status(code, &reason, details.clone()))).await;
        assert_eq!(seen, (kind, expected.to_owned(), asked), "{label}");
    }
}

#[tokio::test]
async fn answers_that_are_no_status_go_by_their_code() {
    for (code, kind) in [
        (401, Kind::Unauthorized),
        (403, Kind::Forbidden),
        (404, Kind::NotServed),
        (429, Kind::Throttled),
        (502, Kind::ServerError),
        (302, Kind::Other),
    ] {
        assert_eq!(
            outcome(move || Reply::Text(code, "<html>words</html>"))
                .await
                .0,
            kind,
            "{code}"
        );
    }
    assert_eq!(
        outcome(|| Reply::Text(200, "<html>login</html>")).await.1,
        "K8S024"
    );
    assert_eq!(
        outcome(|| Reply::Broken).await,
        (Kind::Unreachable, "K8S004".to_owned(), 4)
    );
}

#[tokio::test]
async fn an_object_that_is_not_there_is_no_error() {
    let fake = Fake::new();
    fake.answers(
        Method::GET,
        PATH,
        vec![Reply::Json(
            404,
            status(404, "NotFound", json!({"name": "a", "kind": "configmaps"})),
        )],
    );
    assert_eq!(fake.loose().get(&configmap()).await, Ok(None));
}

#[tokio::test]
async fn a_passing_trouble_passes() {
    let fake = Fake::new();
    fake.answers(
        Method::GET,
        PATH,
        vec![
            Reply::Broken,
            Reply::Json(503, status(503, "ServiceUnavailable", Value::Null)),
            Reply::Json(200, object("a", 1)),
        ],
    );
    let found = fake.loose().get(&configmap()).await.unwrap().unwrap();
    assert_eq!(found["metadata"]["name"], "a");
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait() {
    let fake = Fake::new();
    fake.answers(
        Method::GET,
        PATH,
        vec![
            Reply::After(429, 7, status(429, "TooManyRequests", Value::Null)),
            Reply::Json(
                429,
                status(429, "TooManyRequests", json!({"retryAfterSeconds": 5})),
            ),
            Reply::Json(200, object("a", 1)),
        ],
    );
    let started = tokio::time::Instant::now();
    fake.loose().get(&configmap()).await.unwrap().unwrap();
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(12) && waited < Duration::from_secs(14),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_outlasts_the_bound_is_not_begun() {
    let fake = Fake::new();
    fake.on(|asked| {
        (asked.path == PATH)
            .then(|| Reply::After(429, 600, status(429, "TooManyRequests", Value::Null)))
    });
    let started = tokio::time::Instant::now();
    let error = fake.loose().get(&configmap()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Throttled);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn silence_is_bounded() {
    let fake = Fake::new();
    fake.on(|asked| (asked.path == PATH).then_some(Reply::Never));
    let started = tokio::time::Instant::now();
    let error = fake.loose().get(&configmap()).await.unwrap_err();
    assert_eq!(error.code, "K8S018");
    assert!(
        started.elapsed() <= Duration::from_secs(21),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn cancelling_ends_a_call_under_way() {
    let fake = Fake::new();
    fake.on(|asked| (asked.path == PATH).then_some(Reply::Never));
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let adapter = fake.with(|options| options.cancel = token);
    let wanted = configmap();
    let (error, ()) = tokio::join!(adapter.get(&wanted), async {
        while fake.count(&Method::GET, PATH, "") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
    });
    assert_eq!(error.unwrap_err().kind, Kind::Cancelled);
}

#[tokio::test]
async fn addresses_that_would_mean_another_path_are_refused() {
    let fake = Fake::new();
    let adapter = fake.loose();
    for (namespace, name) in [
        (Some("n"), "a/b"),
        (Some("n"), ".."),
        (Some("n"), ""),
        (None, "a"),
    ] {
        let object = ObjectRef {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            ..configmap()
        };
        assert_eq!(
            adapter.get(&object).await.unwrap_err().kind,
            Kind::Invalid,
            "{object}"
        );
    }
    let odd = ObjectRef {
        name: "a?b#c d".to_owned(),
        ..configmap()
    };
    let _ = adapter.get(&odd).await;
    assert_eq!(
        fake.count(
            &Method::GET,
            "/api/v1/namespaces/n/configmaps/a%3Fb%23c%20d",
            ""
        ),
        1
    );
}
