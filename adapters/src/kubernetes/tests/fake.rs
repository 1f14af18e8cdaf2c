//! A scripted API server behind kube's client, without a socket.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, channel::mpsc, stream::StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use pipectl_stages::ports::objects::ClusterIdentity;
use serde_json::{Value, json};

use crate::kubernetes::{CallBounds, ConnectOptions, KubernetesAdapter};

type Stream = mpsc::UnboundedReceiver<Result<http_body::Frame<Bytes>, Infallible>>;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub accept: String,
    pub content_type: String,
    pub body: Value,
}

/// What the server does about it.
pub(super) enum Reply {
    Json(u16, Value),
    After(u16, u64, Value),
    Text(u16, &'static str),
    Events(Stream),
    Broken,
    Never,
}

type Script = Box<dyn FnMut(&Asked) -> Option<Reply> + Send>;

/// The server's side.
#[derive(Clone, Default)]
pub(super) struct Fake {
    asked: Arc<Mutex<Vec<Asked>>>,
    scripts: Arc<Mutex<Vec<Script>>>,
}

/// Writes the lines of one watch.
pub(super) struct Events(mpsc::UnboundedSender<Result<http_body::Frame<Bytes>, Infallible>>);

impl Events {
    pub fn new() -> (Self, Reply) {
        let (sender, receiver) = mpsc::unbounded();
        (Self(sender), Reply::Events(receiver))
    }

    pub fn send(&self, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.0
            .unbounded_send(Ok(http_body::Frame::data(Bytes::from(line))))
            .unwrap();
    }
}

impl Events {
    /// Whether nobody reads this watch any more.
    pub fn closed(&self) -> bool {
        self.0.is_closed()
    }
}

pub(super) fn status(code: u16, reason: &str, details: Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("words about {reason}"), "reason": reason, "code": code, "details": details
    })
}

pub(super) fn object(name: &str, version: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
            "labels": {"app": "x"}}
    })
}

pub(super) fn identity() -> ClusterIdentity {
    ClusterIdentity {
        kube_system_uid: "system-uid".to_owned(),
        ca_sha256: "ca".to_owned(),
        server: "https://fake".to_owned(),
        version: "v1.35.4".to_owned(),
    }
}

fn discovered(group: &str, versions: &[&str], resources: &[(&str, &str, bool)]) -> Value {
    let resources: Vec<Value> = resources
        .iter()
        .map(|(plural, kind, namespaced)| {
            json!({
                "resource": plural, "responseKind": {"group": group, "version": "", "kind": kind},
                "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                "verbs": ["create", "delete", "get", "list", "patch", "watch"]
            })
        })
        .collect();
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"version": version, "freshness": "Current", "resources": resources}))
        .collect();
    json!({"metadata": {"name": group}, "versions": versions})
}

/// An aggregated discovery list with one group.
pub(super) fn group(name: &str, versions: &[&str], resources: &[(&str, &str, bool)]) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "items": [discovered(name, versions, resources)]
    })
}

impl Fake {
    /// A server that knows who it is and serves core's ConfigMap and Namespace, and nothing else.
    pub fn new() -> Self {
        let fake = Self::default();
        fake.on(|asked| {
            let answer = match (asked.path.as_str(), asked.method == Method::GET) {
                ("/api/v1/namespaces/kube-system", true) => {
                    json!({"metadata": {"name": "kube-system", "uid": "system-uid"}})
                }
                ("/version", true) => json!({"gitVersion": "v1.35.4"}),
                ("/api", true) => group(
                    "",
                    &["v1"],
                    &[
                        ("configmaps", "ConfigMap", true),
                        ("namespaces", "Namespace", false),
                    ],
                ),
                ("/apis", true) => json!({"kind": "APIGroupDiscoveryList", "items": []}),
                _ => return None,
            };
            Some(Reply::Json(200, answer))
        });
        fake
    }

    /// The youngest script is asked first; one that answers `None` leaves the request to the older ones.
    pub fn on(&self, script: impl FnMut(&Asked) -> Option<Reply> + Send + 'static) {
        self.scripts.lock().unwrap().push(Box::new(script));
    }

    /// These answers, one after the other, for requests of this method and path.
    pub fn answers(&self, method: Method, path: &'static str, replies: Vec<Reply>) {
        let mut replies = VecDeque::from(replies);
        self.on(move |asked| {
            (asked.method == method && asked.path == path)
                .then(|| replies.pop_front())
                .flatten()
        });
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests of this method to this path carried a query that contains `query`.
    pub fn count(&self, method: &Method, path: &str, query: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| {
                asked.method == method && asked.path == path && asked.query.contains(query)
            })
            .count()
    }

    fn answer(&self, asked: Asked) -> Reply {
        let reply = self
            .scripts
            .lock()
            .unwrap()
            .iter_mut()
            .rev()
            .find_map(|script| script(&asked));
        self.asked.lock().unwrap().push(asked);
        reply.unwrap_or(Reply::Text(404, "404 page not found\n"))
    }

    fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let text = |name: &str| {
                    head.headers
                        .get(name)
                        .and_then(|value| value.to_str().ok())
                        .unwrap_or_default()
                        .to_owned()
                };
                let reply = fake.answer(Asked {
                    method: head.method.clone(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    accept: text("accept"),
                    content_type: text("content-type"),
                    body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                });
                let whole = |bytes: Bytes| -> UnsyncBoxBody<Bytes, Infallible> {
                    http_body_util::Full::new(bytes).boxed_unsync()
                };
                let json = |value: Value| whole(Bytes::from(value.to_string()));
                let build = Response::builder();
                let response = match reply {
                    Reply::Json(code, value) => build.status(code).body(json(value)),
                    Reply::After(code, seconds, value) => build
                        .status(code)
                        .header("retry-after", seconds)
                        .body(json(value)),
                    Reply::Text(code, text) => build.status(code).body(whole(Bytes::from(text))),
                    Reply::Events(stream) => build
                        .status(200)
                        .body(StreamBody::new(stream.map(|frame| frame)).boxed_unsync()),
                    Reply::Broken => {
                        return Err::<_, tower::BoxError>(
                            std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(),
                        );
                    }
                    Reply::Never => futures::future::pending().await,
                };
                Ok(response.unwrap())
            }
            .boxed()
        });
        Client::new(service, "default")
    }

    /// An adapter that talks to this server; not pinned.
    pub fn loose(&self) -> KubernetesAdapter {
        self.with(|_| {})
    }

    /// The same with other options.
    pub fn with(&self, change: impl FnOnce(&mut ConnectOptions)) -> KubernetesAdapter {
        let mut options = ConnectOptions::new("/nowhere");
        options.bounds = CallBounds {
            total: Duration::from_secs(20),
            attempt: Duration::from_secs(10),
            attempts: 4,
            first_pause: Duration::from_millis(1),
        };
        options.debounce = Duration::from_millis(1);
        change(&mut options);
        KubernetesAdapter::new(
            self.client(),
            "https://fake".to_owned(),
            "ca".to_owned(),
            &options,
        )
    }

    /// An adapter that is pinned to this server.
    pub async fn pinned(&self) -> KubernetesAdapter {
        let adapter = self.loose();
        adapter.pin(identity()).await.unwrap();
        adapter
    }
}
