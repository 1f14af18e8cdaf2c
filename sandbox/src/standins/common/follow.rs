//! Watched stores: one watch a kind, and a message for every change.

use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::reflector::Store;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

/// Something happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object's kind.
    pub kind: String,
    /// The object as it is, or was.
    pub object: DynamicObject,
    /// Whether it is gone.
    pub deleted: bool,
}

/// The objects of one kind as the API server last told.
pub type Feed = Store<DynamicObject>;

/// Starts watches and ends them when dropped.
pub struct Follower {
    client: kube::Client,
    changes: UnboundedSender<Change>,
    watches: JoinSet<()>,
}

/// A failed watch is tried again at this pace: the API server is local, and kinds come and go with their definitions.
#[derive(Clone, Copy, Debug)]
struct Pace;

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(500))
    }
}

impl Backoff for Pace {
    fn reset(&mut self) {}
}

impl Follower {
    /// A follower that tells its changes to `changes`.
    #[must_use]
    pub fn new(client: kube::Client, changes: UnboundedSender<Change>) -> Self {
        Follower {
            client,
            changes,
            watches: JoinSet::new(),
        }
    }

    /// Watches every object of a kind that the label selector fits (an empty selector fits all).
    pub fn follow(&mut self, resource: &ApiResource, selector: &str) -> Feed {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let config = if selector.is_empty() {
            Config::default()
        } else {
            Config::default().labels(selector)
        };
        let writer = reflector::store::Writer::new(resource.clone());
        let store = writer.as_reader();
        let changes = self.changes.clone();
        let kind = resource.kind.clone();
        let events = reflector(writer, watcher(api, config).backoff(Pace));
        self.watches.spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let (object, deleted) = match event {
                    Ok(Event::Apply(object)) => (object, false),
                    Ok(Event::Delete(object)) => (object, true),
                    Ok(Event::InitApply(object)) => (object, false),
                    Ok(Event::Init | Event::InitDone) => continue,
                    Err(error) => {
                        tracing::debug!(%error, kind, "a watch failed and is tried again");
                        continue;
                    }
                };
                if changes
                    .send(Change {
                        kind: kind.clone(),
                        object,
                        deleted,
                    })
                    .is_err()
                {
                    break;
                }
            }
        });
        store
    }
}
