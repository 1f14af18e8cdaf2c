//! One list and one watch per selection, and what they survive.

use std::time::Duration;

use http::Method;
use pipectl_stages::{
    error::PortErrorKind,
    ports::objects::{ApplyOptions, Kind, ObjectApi, Selection},
};
use serde_json::{Value, json};

use super::fake::{Events, Fake, Reply, object, status};
use crate::kubernetes::KubernetesAdapter;

const LIST: &str = "/api/v1/configmaps";

fn selection() -> Selection {
    Selection {
        kind: Kind::new("", "v1", "ConfigMap"),
        namespace: None,
        labels: Some("app=x".to_owned()),
    }
}

fn listing(version: u64, items: Vec<Value>) -> Reply {
    // Items of built-in kinds come without kind and apiVersion.
    let items: Vec<Value> = items
        .into_iter()
        .map(|mut item| {
            item.as_object_mut().unwrap().remove("kind");
            item.as_object_mut().unwrap().remove("apiVersion");
            item
        })
        .collect();
    Reply::Json(
        200,
        json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}, "items": items}),
    )
}

/// Answers lists with these replies in turn, and watches with those.
fn serve(fake: &Fake, lists: Vec<Reply>, watches: Vec<Reply>) {
    let (mut lists, mut watches) = (lists.into_iter(), watches.into_iter());
    fake.on(move |asked| {
        (asked.path == LIST).then(|| {
            if asked.query.contains("watch=true") {
                watches.next().unwrap_or(Reply::Never)
            } else {
                lists.next().unwrap_or(Reply::Never)
            }
        })
    });
}

async fn names(adapter: &KubernetesAdapter) -> Vec<String> {
    adapter
        .list(&selection())
        .await
        .unwrap()
        .iter()
        .map(|found| found["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the selection shows these names; bounded.
async fn until(adapter: &KubernetesAdapter, expected: &[&str]) {
    let mut changes = adapter.changes();
    let shown = async {
        while names(adapter).await != expected {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shown)
        .await
        .expect("the change never showed");
}

fn lists(fake: &Fake) -> usize {
    fake.count(&Method::GET, LIST, "") - fake.count(&Method::GET, LIST, "watch=true")
}

#[tokio::test]
async fn many_callers_share_one_list_and_one_watch() {
    let fake = Fake::new();
    let (events, watch) = Events::new();
    serve(
        &fake,
        vec![listing(10, vec![object("a", 1), object("b", 2)])],
        vec![watch],
    );
    let adapter = fake.loose();
    let all = futures::future::join_all((0..20).map(|_| names(&adapter))).await;
    assert!(all.iter().all(|seen| *seen == ["a", "b"]));
    let found = adapter.list(&selection()).await.unwrap();
    assert_eq!(
        (&found[0]["kind"], &found[0]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    events.send("ADDED", &object("c", 11));
    until(&adapter, &["a", "b", "c"]).await;
    events.send("DELETED", &object("a", 12));
    until(&adapter, &["b", "c"]).await;
    assert_eq!(lists(&fake), 1);
    assert_eq!(fake.count(&Method::GET, LIST, "watch=true"), 1);
    assert_eq!(fake.count(&Method::GET, LIST, "resourceVersion=10"), 1);
    assert_eq!(
        fake.count(&Method::GET, LIST, "allowWatchBookmarks=true"),
        1
    );
    // The same kind without a version is the same watch.
    let mut same = selection();
    same.kind.version.clear();
    adapter.list(&same).await.unwrap();
    assert_eq!(lists(&fake), 1);
}

#[tokio::test]
async fn what_was_applied_is_seen_at_once_and_never_undone_by_an_older_event() {
    let fake = Fake::new();
    let (events, watch) = Events::new();
    serve(&fake, vec![listing(10, vec![object("a", 5)])], vec![watch]);
    fake.on(|asked| {
        (asked.method == Method::PATCH).then(|| {
            let mut kept = object(asked.path.rsplit('/').next().unwrap(), 20);
            kept["data"] = json!({"new": "yes"});
            Reply::Json(200, kept)
        })
    });
    let adapter = fake.pinned().await;
    assert_eq!(names(&adapter).await, ["a"]);
    adapter
        .apply(&object("a", 0), ApplyOptions::default())
        .await
        .unwrap();
    adapter
        .apply(&object("b", 0), ApplyOptions::default())
        .await
        .unwrap();
    let found = adapter.list(&selection()).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["data"]["new"], "yes");
    events.send("MODIFIED", &object("a", 15));
    events.send("DELETED", &object("b", 16));
    events.send("ADDED", &object("z", 21));
    until(&adapter, &["a", "b", "z"]).await;
    assert_eq!(
        adapter.list(&selection()).await.unwrap()[0]["data"]["new"],
        "yes"
    );
}

#[tokio::test]
async fn an_applied_object_outside_the_selection_is_not_shown() {
    let fake = Fake::new();
    let (_events, watch) = Events::new();
    serve(&fake, vec![listing(10, vec![])], vec![watch]);
    fake.on(|asked| {
        (asked.method == Method::PATCH).then(|| {
            let mut kept = object("other", 20);
            kept["metadata"]["labels"] = json!({"app": "y"});
            Reply::Json(200, kept)
        })
    });
    let adapter = fake.pinned().await;
    assert!(names(&adapter).await.is_empty());
    adapter
        .apply(&object("other", 0), ApplyOptions::default())
        .await
        .unwrap();
    assert!(names(&adapter).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_taken_up_where_it_broke() {
    let fake = Fake::new();
    let (events, first) = Events::new();
    let (later, second) = Events::new();
    serve(
        &fake,
        vec![listing(10, vec![object("a", 1)])],
        vec![first, Reply::Broken, Reply::Broken, second],
    );
    let adapter = fake.loose();
    assert_eq!(names(&adapter).await, ["a"]);
    events.send("ADDED", &object("b", 14));
    until(&adapter, &["a", "b"]).await;
    drop(events);
    later.send("ADDED", &object("c", 15));
    until(&adapter, &["a", "b", "c"]).await;
    assert_eq!(lists(&fake), 1);
    assert_eq!(fake.count(&Method::GET, LIST, "resourceVersion=14"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_history_is_listed_again() {
    let fake = Fake::new();
    let (events, first) = Events::new();
    let (_later, second) = Events::new();
    serve(
        &fake,
        vec![
            listing(10, vec![object("a", 1)]),
            listing(90, vec![object("b", 80)]),
        ],
        vec![first, second],
    );
    let adapter = fake.loose();
    assert_eq!(names(&adapter).await, ["a"]);
    events.send("ERROR", &status(410, "Expired", Value::Null));
    until(&adapter, &["b"]).await;
    assert_eq!(lists(&fake), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_stays_broken_is_not_believed_and_recovers() {
    let fake = Fake::new();
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = std::sync::Arc::clone(&broken);
    fake.on(move |asked| {
        (asked.path == LIST).then(|| {
            if !asked.query.contains("watch=true") {
                listing(10, vec![object("a", 1)])
            } else if switch.load(std::sync::atomic::Ordering::Relaxed) {
                Reply::Broken
            } else {
                Reply::Never
            }
        })
    });
    let adapter = fake.loose();
    assert_eq!(names(&adapter).await, ["a"]);
    // A short break is not a reason to stop.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(names(&adapter).await, ["a"]);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let error = adapter.list(&selection()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (PortErrorKind::Unreachable, "K8S023")
    );
    // While it is broken it is asked with pauses, not in a rush.
    let asked = fake.count(&Method::GET, LIST, "watch=true");
    assert!(asked < 25, "{asked} attempts in 20 s");
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    let (_events, watch) = Events::new();
    let mut watch = Some(watch);
    fake.on(move |asked| {
        (asked.path == LIST && asked.query.contains("watch=true"))
            .then(|| watch.take().unwrap_or(Reply::Never))
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    // No event has come, and still the content is good again.
    assert_eq!(names(&adapter).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_goes_away_ends_its_watch_and_comes_back_later() {
    let fake = Fake::new();
    let served = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let there = std::sync::Arc::clone(&served);
    fake.on(move |asked| {
        let there = there.load(std::sync::atomic::Ordering::Relaxed);
        match asked.path.as_str() {
            "/apis" if there => Some(Reply::Json(
                200,
                super::fake::group("g.io", &["v1"], &[("things", "Thing", true)]),
            )),
            "/apis/g.io/v1/things" if there && asked.query.contains("watch=true") => {
                // Ends at once, as it does when its CRD is deleted.
                Some(Events::new().1)
            }
            "/apis/g.io/v1/things" if there => Some(Reply::Json(
                200,
                json!({"metadata": {"resourceVersion": "3"}, "items": []}),
            )),
            _ => None,
        }
    });
    let things = Selection {
        kind: Kind::new("g.io", "v1", "Thing"),
        namespace: None,
        labels: None,
    };
    let adapter = fake.loose();
    assert!(adapter.list(&things).await.unwrap().is_empty());
    served.store(false, std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let error = adapter.list(&things).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::NotServed);
    let asked = fake.asked().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.asked().len(), asked, "a dead watch goes on asking");
    served.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(adapter.list(&things).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_may_not_be_listed_says_so_at_once() {
    for (reply, kind) in [
        (
            status(403, "Forbidden", Value::Null),
            PortErrorKind::Forbidden,
        ),
        (
            status(401, "Unauthorized", Value::Null),
            PortErrorKind::Unauthorized,
        ),
    ] {
        let fake = Fake::new();
        let code = u16::try_from(reply["code"].as_u64().unwrap()).unwrap();
        serve(&fake, vec![Reply::Json(code, reply)], vec![]);
        assert_eq!(
            fake.loose().list(&selection()).await.unwrap_err().kind,
            kind
        );
    }
}

#[tokio::test]
async fn dropping_the_adapter_ends_its_watches() {
    let fake = Fake::new();
    let (events, watch) = Events::new();
    serve(&fake, vec![listing(10, vec![])], vec![watch]);
    let adapter = fake.loose();
    names(&adapter).await;
    drop(adapter);
    let ended = async {
        while !events.closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .unwrap();
}
