//! Shared watches: one list and one watch per selection, whoever asks and however often.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, Client, Resource as _,
    api::{ListParams, WatchParams},
    core::{ApiResource, WatchEvent},
};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::objects::Selection,
};
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::Instant,
};

use super::{
    call, codes,
    discovery::Resource,
    errors::{self, Failure},
    item::{self, Item},
    selector::Selector,
};

/// Pause after the first failure of a watch; doubled up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Largest page of the one list; more objects of one selection than this cost a second request.
const PAGE: u32 = 5_000;

/// How long one watch request lasts before it is made anew.
const WATCH_SECONDS: u32 = 290;

/// Bound of one list, and of a watch's first answer.
const CALL_BOUND: Duration = Duration::from_secs(20);

/// Namespace (empty: none) and name.
type Key = (String, String);

/// Whether a watch's content can be answered.
#[derive(Debug, Clone)]
enum Phase {
    /// The first list has not arrived.
    Starting,
    /// The content is complete.
    Synced,
    /// It ended and will not come back by itself.
    Ended(PortError),
}

#[derive(Debug, Default)]
struct Content {
    objects: BTreeMap<Key, Arc<Value>>,
    /// Since when it cannot be kept up to date, and why.
    failing: Option<(Instant, PortError)>,
}

/// One watch, shared by its task and those who read it.
struct Shared {
    resource: Resource,
    namespace: Option<String>,
    selector: Option<Selector>,
    content: Mutex<Content>,
    phase: watch::Sender<Phase>,
}

struct Entry {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All shared watches of one connection.
pub(super) struct Watches {
    client: Client,
    entries: Mutex<HashMap<Selection, Arc<Entry>>>,
    changed: Arc<Notify>,
    changes: watch::Receiver<u64>,
    counter: AbortHandle,
    stale_after: Duration,
    first_list_within: Duration,
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.counter.abort();
    }
}

impl Watches {
    pub fn new(
        client: Client,
        stale_after: Duration,
        first_list_within: Duration,
        debounce: Duration,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let (sender, changes) = watch::channel(0u64);
        let noticed = Arc::clone(&changed);
        // A burst of events wakes the waiters once, not once an event.
        let counter = tokio::spawn(async move {
            loop {
                noticed.notified().await;
                tokio::time::sleep(debounce).await;
                sender.send_modify(|count| *count += 1);
            }
        })
        .abort_handle();
        Self {
            client,
            entries: Mutex::default(),
            changed,
            changes,
            counter,
            stale_after,
            first_list_within,
        }
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// The selection's objects in order of namespace and name. `resource` is what discovery says of its kind.
    pub async fn list(
        &self,
        selection: &Selection,
        resource: Resource,
    ) -> Result<Vec<Arc<Value>>, PortError> {
        let entry = self.entry(selection, resource);
        let mut phase = entry.shared.phase.subscribe();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
        let phase = match tokio::time::timeout(self.first_list_within, settled).await {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) | Err(_) => Phase::Starting,
        };
        match phase {
            Phase::Synced => entry.shared.answer(self.stale_after),
            Phase::Ended(error) => {
                self.forget(selection, &entry);
                Err(error)
            }
            Phase::Starting => Err(entry.shared.first_failure(self.first_list_within)),
        }
    }

    /// What an apply answered, so that who lists right after it sees it, and not what was there before.
    pub fn note_applied(&self, resource: &Resource, object: &Value) {
        let entries: Vec<Arc<Entry>> = lock(&self.entries).values().cloned().collect();
        for entry in entries {
            if entry.shared.covers(resource, object) {
                let mut object = object.clone();
                item::slim(&mut object);
                let mut content = lock(&entry.shared.content);
                upsert(&mut content.objects, object);
                drop(content);
                self.changed.notify_one();
            }
        }
    }

    fn entry(&self, selection: &Selection, resource: Resource) -> Arc<Entry> {
        // Two callers that name the version differently mean the same watch.
        let mut key = selection.clone();
        key.kind.version.clone_from(&resource.version);
        let mut entries = lock(&self.entries);
        let entry = entries.entry(key).or_insert_with(|| {
            let shared = Arc::new(Shared {
                namespace: selection.namespace.clone().filter(|_| resource.namespaced),
                selector: selection.labels.as_deref().and_then(Selector::parse),
                resource,
                content: Mutex::default(),
                phase: watch::Sender::new(Phase::Starting),
            });
            let task = tokio::spawn(follow(
                self.client.clone(),
                Arc::clone(&shared),
                selection.labels.clone(),
                Arc::clone(&self.changed),
            ))
            .abort_handle();
            Arc::new(Entry { shared, task })
        });
        Arc::clone(entry)
    }

    fn forget(&self, selection: &Selection, entry: &Arc<Entry>) {
        let mut key = selection.clone();
        key.kind.version.clone_from(&entry.shared.resource.version);
        let mut entries = lock(&self.entries);
        if entries
            .get(&key)
            .is_some_and(|known| Arc::ptr_eq(known, entry))
        {
            entries.remove(&key);
        }
    }
}

impl Shared {
    fn answer(&self, stale_after: Duration) -> Result<Vec<Arc<Value>>, PortError> {
        let content = lock(&self.content);
        match &content.failing {
            Some((since, error)) if since.elapsed() >= stale_after => Err(errors::error(
                PortErrorKind::Unreachable,
                codes::WATCH_STALE,
                format!(
                    "no watch of {} for {} s: {}",
                    self.resource.plural,
                    since.elapsed().as_secs(),
                    error.cause
                ),
            )),
            _ => Ok(content.objects.values().cloned().collect()),
        }
    }

    fn first_failure(&self, waited: Duration) -> PortError {
        match &lock(&self.content).failing {
            Some((_, error)) => error.clone(),
            None => errors::error(
                PortErrorKind::Timeout,
                codes::TIMEOUT,
                format!(
                    "no list of {} within {} s",
                    self.resource.plural,
                    waited.as_secs()
                ),
            ),
        }
    }

    fn covers(&self, resource: &Resource, object: &Value) -> bool {
        let place = object["metadata"]["namespace"].as_str();
        self.resource.group == resource.group
            && self.resource.plural == resource.plural
            && self.resource.version == resource.version
            && (self.namespace.is_none() || self.namespace.as_deref() == place)
            && self
                .selector
                .as_ref()
                .is_none_or(|selector| selector.matches(&object["metadata"]["labels"]))
    }

    /// The connection works (again).
    fn works(&self) {
        lock(&self.content).failing = None;
    }

    fn fails(&self, error: PortError) {
        let mut content = lock(&self.content);
        let since = content
            .failing
            .as_ref()
            .map_or_else(Instant::now, |(since, _)| *since);
        content.failing = Some((since, error));
    }

    /// A whole list takes the content's place.
    fn replace(&self, items: Vec<Item>, listed_at: u128) {
        let mut listed: BTreeMap<Key, Arc<Value>> = items
            .into_iter()
            .map(|item| self.whole(item))
            .map(|object| (key_of(&object), Arc::new(object)))
            .collect();
        let mut content = lock(&self.content);
        // What an apply put here while the list was under way is newer than the list.
        for (key, kept) in &content.objects {
            if version_of(kept) > listed_at {
                listed.insert(key.clone(), Arc::clone(kept));
            }
        }
        content.objects = listed;
        content.failing = None;
    }

    fn put(&self, item: Item) {
        let object = self.whole(item);
        upsert(&mut lock(&self.content).objects, object);
    }

    fn remove(&self, item: &Item) {
        let key = key_of(&item.value);
        let gone = version_of(&item.value);
        let mut content = lock(&self.content);
        // An object that was deleted and made again is not deleted by the older event.
        if content
            .objects
            .get(&key)
            .is_none_or(|kept| version_of(kept) <= gone)
        {
            content.objects.remove(&key);
        }
    }

    /// Items of a list of built-in kinds carry neither `apiVersion` nor `kind`.
    fn whole(&self, item: Item) -> Value {
        let mut value = item.value;
        if let Some(fields) = value.as_object_mut() {
            fields
                .entry("apiVersion")
                .or_insert_with(|| self.resource.api_version().into());
            fields
                .entry("kind")
                .or_insert_with(|| self.resource.kind.clone().into());
        }
        value
    }
}

fn key_of(object: &Value) -> Key {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

/// Resource versions of one resource grow as integers (KEP-5504); an unreadable one counts as the oldest.
fn version_of(object: &Value) -> u128 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

fn upsert(objects: &mut BTreeMap<Key, Arc<Value>>, object: Value) {
    let key = key_of(&object);
    if objects
        .get(&key)
        .is_none_or(|kept| version_of(kept) <= version_of(&object))
    {
        objects.insert(key, Arc::new(object));
    }
}

/// Keeps one watch's content up to date until its kind is gone or may not be read.
async fn follow(client: Client, shared: Arc<Shared>, labels: Option<String>, changed: Arc<Notify>) {
    let resource = ApiResource {
        group: shared.resource.group.clone(),
        version: shared.resource.version.clone(),
        api_version: shared.resource.api_version(),
        kind: shared.resource.kind.clone(),
        plural: shared.resource.plural.clone(),
    };
    let api: Api<Item> = match &shared.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let follower = Follower {
        api,
        labels,
        shared,
        changed,
    };
    let mut from = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let failure = match follower.advance(&mut from).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                continue;
            }
            Err(failure) => failure,
        };
        let shared = &follower.shared;
        tracing::debug!(
            resource = shared.resource.plural,
            code = failure.error.code,
            cause = failure.error.cause,
            "watch failed"
        );
        if ends_the_watch(&failure, shared) {
            shared.phase.send_replace(Phase::Ended(failure.error));
            follower.changed.notify_one();
            return;
        }
        // A server that answers but refuses to go on from where we were (another etcd, a compacted history) is asked
        // from the start; a broken connection is taken up where it broke.
        if !failure.is(PortErrorKind::Unreachable) {
            from = None;
        }
        shared.fails(failure.error);
        tokio::time::sleep(call::jittered(pause)).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// One watch's way of asking.
struct Follower {
    api: Api<Item>,
    labels: Option<String>,
    shared: Arc<Shared>,
    changed: Arc<Notify>,
}

impl Follower {
    /// One list (when there is no resource version to start from), or one watch until it ends.
    async fn advance(&self, from: &mut Option<String>) -> Result<(), Failure> {
        match from.clone() {
            None => {
                *from = Some(self.list().await?);
                Ok(())
            }
            Some(version) => self.watch(version, from).await,
        }
    }

    async fn list(&self) -> Result<String, Failure> {
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.label_selector.clone_from(&self.labels);
        let mut items = Vec::new();
        let version = loop {
            let page = bounded("list", self.api.list(&parameters)).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => break page.metadata.resource_version.unwrap_or_default(),
            }
        };
        self.shared
            .replace(items, version.parse().unwrap_or(u128::MAX));
        self.shared.phase.send_replace(Phase::Synced);
        self.changed.notify_one();
        Ok(version)
    }

    async fn watch(&self, version: String, from: &mut Option<String>) -> Result<(), Failure> {
        let mut parameters = WatchParams::default().timeout(WATCH_SECONDS);
        parameters.label_selector.clone_from(&self.labels);
        let started = Instant::now();
        let events = bounded("watch", self.api.watch(&parameters, &version)).await?;
        self.shared.works();
        let mut events = std::pin::pin!(events);
        // The server ends a watch after WATCH_SECONDS; a connection that is silent for longer is dead.
        let silence = Duration::from_secs(u64::from(WATCH_SECONDS) + 5);
        while let Ok(Some(event)) = tokio::time::timeout(silence, events.next()).await {
            let version = match event.map_err(|source| errors::from_client(&source))? {
                WatchEvent::Added(item) | WatchEvent::Modified(item) => {
                    let version = item.meta().resource_version.clone();
                    self.shared.put(item);
                    self.changed.notify_one();
                    version
                }
                WatchEvent::Deleted(item) => {
                    self.shared.remove(&item);
                    self.changed.notify_one();
                    item.meta().resource_version.clone()
                }
                WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version),
                WatchEvent::Error(status) => return Err(errors::from_status(&status)),
            };
            if version.is_some() {
                *from = version;
            }
        }
        // Something in between that ends every watch at once must not make this spin.
        let least = Duration::from_millis(500);
        if started.elapsed() < least {
            tokio::time::sleep(least).await;
        }
        Ok(())
    }
}

async fn bounded<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(CALL_BOUND, call).await {
        Ok(answer) => answer.map_err(|source| errors::from_client(&source)),
        Err(_) => Err(Failure::new(
            PortErrorKind::Timeout,
            codes::TIMEOUT,
            format!("no answer to a {what} within {} s", CALL_BOUND.as_secs()),
        )),
    }
}

/// A kind that is gone or may not be read does not come back by asking again; nor do credentials that never worked.
fn ends_the_watch(failure: &Failure, shared: &Shared) -> bool {
    match failure.error.kind {
        PortErrorKind::NotServed
        | PortErrorKind::NotFound
        | PortErrorKind::Forbidden
        | PortErrorKind::Foreign
        | PortErrorKind::Invalid => true,
        PortErrorKind::Unauthorized => matches!(*shared.phase.borrow(), Phase::Starting),
        _ => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
