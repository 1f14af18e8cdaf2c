//! `ObjectApi` against a real API server.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, stream};
use pipectl_adapters::kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter};
use pipectl_stages::{
    error::PortErrorKind,
    ports::objects::{ApplyOptions, Deletion, Kind, ObjectApi, ObjectRef, Selection},
};
use serde_json::{Value, json};

use crate::{cluster::Cluster, support::eventually};

pub const TESTS: &[crate::Clustered] = &[
    ("objects::many_at_once", |cluster| {
        many_at_once(cluster).boxed()
    }),
    (
        "objects::bad_objects_are_refused_with_typed_reasons",
        |cluster| bad_objects(cluster).boxed(),
    ),
    ("objects::another_manager_is_named", |cluster| {
        another_manager(cluster).boxed()
    }),
    ("objects::kinds_come_and_go", |cluster| {
        kinds_come_and_go(cluster).boxed()
    }),
    ("objects::a_terminating_namespace_says_so", |cluster| {
        terminating(cluster).boxed()
    }),
    ("objects::finalizers_and_preconditions", |cluster| {
        finalizers(cluster).boxed()
    }),
    ("objects::wrong_kubeconfigs_are_told_apart", |cluster| {
        wrong_kubeconfigs(cluster).boxed()
    }),
];

type Test = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs after the others: the server goes away and comes back.
pub fn restart(cluster: Arc<Cluster>) -> Test {
    survives_a_restart(cluster).boxed()
}

fn configmap(namespace: &str, name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"pipectl.dev/environment-uid": namespace}},
        "data": data})
}

async fn namespace(adapter: &KubernetesAdapter, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    adapter
        .apply(&object, ApplyOptions::default())
        .await
        .expect("the namespace is made");
}

fn configmaps(namespace: &str) -> Selection {
    Selection {
        kind: Kind::new("", "v1", "ConfigMap"),
        namespace: None,
        labels: Some(format!("pipectl.dev/environment-uid={namespace}")),
    }
}

async fn many_at_once(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "many").await;
    let objects: Vec<Value> = (0..250)
        .map(|number| {
            configmap(
                "many",
                &format!("c{number:03}"),
                &json!({"k": "v".repeat(200)}),
            )
        })
        .collect();
    let started = Instant::now();
    let shared = &adapter;
    stream::iter(objects)
        .for_each_concurrent(24, |object| async move {
            shared
                .apply(&object, ApplyOptions::default())
                .await
                .expect("applied");
        })
        .await;
    let applied = started.elapsed();
    let fresh = Kubernetes::connect(cluster.options())
        .await
        .expect("connects");
    let started = Instant::now();
    let found = fresh.list(&configmaps("many")).await.expect("listed");
    let listed = started.elapsed();
    assert_eq!(found.len(), 250);
    assert_eq!(
        found[0]["metadata"]["managedFields"][0]["manager"],
        "pipectl"
    );
    assert_eq!(
        (&found[0]["kind"], &found[0]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    assert_eq!(
        fresh
            .list_metadata(&configmaps("many"))
            .await
            .expect("listed")
            .len(),
        250
    );
    eprintln!("250 objects: applied in {applied:?}, listed in {listed:?}");
}

async fn bad_objects(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "bad").await;
    let deployment = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "bad"}, "spec": spec});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let mut misspelt = configmap("bad", "c", &json!({}));
    misspelt["dataa"] = json!({});
    let cases = [
        ("an unknown field", misspelt, "dataa"),
        (
            "an unknown field deep inside",
            deployment(json!({"selector": selector, "template": template, "replicasss": 1})),
            "replicasss",
        ),
        (
            "a value that the schema refuses",
            deployment(json!({"selector": selector, "template": template, "replicas": -1})),
            "replicas",
        ),
        (
            "a wrong type",
            configmap("bad", "c", &json!({"k": 1})),
            "data",
        ),
    ];
    for (what, object, named) in cases {
        for dry_run in [false, true] {
            let options = ApplyOptions {
                dry_run,
                ..ApplyOptions::default()
            };
            let error = adapter.apply(&object, options).await.expect_err(what);
            assert_eq!(error.kind, PortErrorKind::Invalid, "{what}: {error:?}");
            assert!(error.cause.contains(named), "{what}: {error}");
        }
    }
    let nowhere = configmap("no-such-namespace", "c", &json!({}));
    let error = adapter
        .apply(&nowhere, ApplyOptions::default())
        .await
        .expect_err("no namespace");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::NotFound, "K8S010"),
        "{error:?}"
    );
}

async fn another_manager(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "managers").await;
    // Somebody else's apply, straight through kube.
    let file = cluster.options().kubeconfig;
    let mut config = kube::Config::from_custom_kubeconfig(
        kube::config::Kubeconfig::read_from(file).expect("readable"),
        &kube::config::KubeConfigOptions::default(),
    )
    .await
    .expect("usable");
    // The hostile environment names a proxy.
    config.proxy_url = None;
    let client = kube::Client::try_from(config).expect("a client");
    let api: kube::Api<kube::core::DynamicObject> = kube::Api::namespaced_with(
        client,
        "managers",
        &kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
            "",
            "v1",
            "ConfigMap",
        )),
    );
    let theirs = configmap("managers", "c", &json!({"k": "theirs"}));
    let apply = kube::api::PatchParams::apply("somebody-else");
    api.patch("c", &apply, &kube::api::Patch::Apply(&theirs))
        .await
        .expect("their apply");
    let ours = configmap("managers", "c", &json!({"k": "ours"}));
    let error = adapter
        .apply(&ours, ApplyOptions::default())
        .await
        .expect_err("a conflict");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Conflict, "K8S012")
    );
    assert!(
        error.cause.contains("somebody-else") && error.cause.contains("data"),
        "{error}"
    );
    let forced = adapter
        .apply(
            &ours,
            ApplyOptions {
                force: true,
                dry_run: false,
            },
        )
        .await
        .expect("forced");
    assert_eq!(forced["data"]["k"], "ours");
}

fn crd(versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(index, name)| {
            json!({"name": name, "served": true, "storage": index == 0, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}})
        })
        .collect();
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.live.pipectl.dev"},
        "spec": {"group": "live.pipectl.dev", "scope": "Namespaced", "versions": versions,
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}}})
}

async fn kinds_come_and_go(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "kinds").await;
    let widget = json!({"apiVersion": "live.pipectl.dev/v1", "kind": "Widget",
        "metadata": {"name": "w", "namespace": "kinds"}, "spec": {"size": 3}});
    let widgets = Selection {
        kind: Kind::of(&widget),
        namespace: None,
        labels: None,
    };
    assert_eq!(adapter.served("live.pipectl.dev", "Widget").await, Ok(None));
    for error in [
        adapter
            .apply(&widget, ApplyOptions::default())
            .await
            .map(drop),
        adapter.list(&widgets).await.map(drop),
    ] {
        assert_eq!(
            error.expect_err("not served").kind,
            PortErrorKind::NotServed
        );
    }
    adapter
        .apply(&crd(&["v2", "v1"]), ApplyOptions::default())
        .await
        .expect("the CRD");
    let served = eventually("the kind is served", || async {
        adapter
            .served("live.pipectl.dev", "Widget")
            .await
            .expect("readable")
    })
    .await;
    assert_eq!(served.kind.version, "v2");
    assert_eq!(served.versions, ["v2", "v1"]);
    eventually("an object of the new kind is accepted", || async {
        adapter.apply(&widget, ApplyOptions::default()).await.ok()
    })
    .await;
    assert_eq!(adapter.list(&widgets).await.expect("listed").len(), 1);
    let mut wrong = widget.clone();
    wrong["spec"] = json!({"sizes": 3});
    let error = adapter
        .apply(&wrong, ApplyOptions::default())
        .await
        .expect_err("unknown field");
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error:?}");
    // The version that the object names goes away; the one that is served takes its place.
    adapter
        .apply(
            &crd(&["v2"]),
            ApplyOptions {
                force: true,
                dry_run: false,
            },
        )
        .await
        .expect("the CRD");
    let mut bigger = widget.clone();
    bigger["spec"]["size"] = json!(4);
    eventually("applied in the other version", || async {
        let kept = adapter.apply(&bigger, ApplyOptions::default()).await.ok()?;
        (kept["apiVersion"] == "live.pipectl.dev/v2").then_some(())
    })
    .await;
    let listed = eventually("the watch follows to the other version", || async {
        adapter.list(&widgets).await.ok()
    })
    .await;
    assert_eq!(listed[0]["spec"]["size"], 4);
    let definition = ObjectRef::of(&crd(&[]));
    assert_eq!(
        adapter.delete(&definition, None).await,
        Ok(Deletion::Accepted)
    );
    eventually("the kind is gone", || async {
        match adapter.list(&widgets).await {
            Err(error) if error.kind == PortErrorKind::NotServed => Some(()),
            _ => None,
        }
    })
    .await;
    // A dead aggregated API hides nobody else.
    let dead = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.dead.pipectl.dev"},
        "spec": {"group": "dead.pipectl.dev", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "none", "namespace": "kinds"}}});
    adapter
        .apply(&dead, ApplyOptions::default())
        .await
        .expect("the API service");
    let (served, errors) = eventually("the dead group is reported", || async {
        let (served, errors) = adapter.all_served().await.expect("readable");
        (!errors.is_empty()).then_some((served, errors))
    })
    .await;
    assert!(served.iter().any(|known| known.kind.kind == "Deployment"));
    assert!(
        errors[0].cause.contains("dead.pipectl.dev/v1"),
        "{}",
        errors[0]
    );
    adapter
        .delete(&ObjectRef::of(&dead), None)
        .await
        .expect("deleted");
}

async fn terminating(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "ending").await;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ending"}});
    // No controller empties it here, so it stays in this state.
    assert_eq!(
        adapter.delete(&ObjectRef::of(&object), None).await,
        Ok(Deletion::Accepted)
    );
    let error = adapter
        .apply(
            &configmap("ending", "c", &json!({})),
            ApplyOptions::default(),
        )
        .await
        .expect_err("terminating");
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Terminating, "K8S015"),
        "{error:?}"
    );
}

async fn finalizers(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "finalizers").await;
    let mut held = configmap("finalizers", "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["pipectl.dev/live", "pipectl.dev/other"]);
    let kept = adapter
        .apply(&held, ApplyOptions::default())
        .await
        .expect("applied");
    let uid = kept["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let address = ObjectRef::of(&held);
    let strip = |name: &str| vec![name.to_owned()];
    let error = adapter
        .strip_finalizers(&address, &uid, &strip("pipectl.dev/live"))
        .await;
    assert_eq!(error.expect_err("it lives").code, "K8S013");
    let error = adapter
        .delete(&address, Some("another-uid"))
        .await
        .expect_err("another object");
    assert_eq!(error.kind, PortErrorKind::Conflict);
    assert_eq!(
        adapter.delete(&address, Some(&uid)).await,
        Ok(Deletion::Accepted)
    );
    adapter
        .strip_finalizers(&address, &uid, &strip("pipectl.dev/live"))
        .await
        .expect("stripped");
    let left = adapter
        .get(&address)
        .await
        .expect("readable")
        .expect("still held");
    assert_eq!(left["metadata"]["finalizers"], json!(["pipectl.dev/other"]));
    adapter
        .strip_finalizers(&address, &uid, &strip("pipectl.dev/other"))
        .await
        .expect("stripped");
    assert_eq!(adapter.get(&address).await, Ok(None));
    adapter
        .strip_finalizers(&address, &uid, &strip("x"))
        .await
        .expect("nothing to strip");
    assert_eq!(adapter.delete(&address, None).await, Ok(Deletion::Absent));
}

async fn wrong_kubeconfigs(cluster: Arc<Cluster>) {
    let other = rcgen::CertificateParams::new(vec!["other".to_owned()]).expect("parameters");
    let key = rcgen::KeyPair::generate().expect("a key");
    let path = cluster.directory().join("other.crt");
    std::fs::write(&path, other.self_signed(&key).expect("a certificate").pem()).expect("written");
    let user = "{token: live-test-token}";
    let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /no/such/program, interactiveMode: Never}}";
    let cases = [
        (
            "closed",
            cluster.kubeconfig("closed", Some("https://127.0.0.1:1"), None, user),
            "K8S004",
        ),
        (
            "tls",
            cluster.kubeconfig("tls", None, Some(&path), user),
            "K8S005",
        ),
        (
            "token",
            cluster.kubeconfig("token", None, None, "{token: wrong}"),
            "K8S006",
        ),
        (
            "poor",
            cluster.kubeconfig("poor", None, None, "{token: poor}"),
            "K8S007",
        ),
        (
            "exec",
            cluster.kubeconfig("exec", None, None, exec),
            "K8S008",
        ),
    ];
    for (what, file, code) in cases {
        let mut options = ConnectOptions::new(file);
        options.bounds.attempts = 2;
        let error = Kubernetes::connect(options).await.expect_err(what);
        assert_eq!(error.code, code, "{what}: {error:?}");
        assert!(!error.cause.contains("live-test-token"), "{what}: {error}");
    }
    let exec = format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: [-c, {}]}}}}",
        r#"'printf "%s" "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"live-test-token\"}}"'"#
    );
    let file = cluster.kubeconfig("exec-good", None, None, &exec);
    let adapter = Kubernetes::connect(ConnectOptions::new(file))
        .await
        .expect("a credential program");
    assert_eq!(
        adapter
            .identity()
            .await
            .expect("an identity")
            .ca_sha256
            .len(),
        64
    );
}

async fn survives_a_restart(cluster: Arc<Cluster>) {
    let adapter = cluster.pinned().await;
    namespace(&adapter, "restart").await;
    let selection = configmaps("restart");
    assert!(adapter.list(&selection).await.expect("listed").is_empty());
    cluster.restart_api().await;
    cluster.answers().await;
    let object = configmap("restart", "after", &json!({}));
    // A connection of before may break under the first attempt; it is repeated, and the cluster shows again who it is.
    adapter
        .apply(&object, ApplyOptions::default())
        .await
        .expect("applied after the restart");
    // Made by somebody else, so that only the watch can bring it.
    let other = cluster.pinned().await;
    other
        .apply(
            &configmap("restart", "watched", &json!({})),
            ApplyOptions::default(),
        )
        .await
        .expect("applied");
    let mut changes = adapter.changes();
    tokio::time::timeout(Duration::from_secs(30), async {
        while adapter.list(&selection).await.expect("listed").len() != 2 {
            changes.changed().await.expect("alive");
        }
    })
    .await
    .expect("the watch follows again");
}
