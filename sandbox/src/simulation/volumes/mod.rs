//! Volumes for claims, as the EBS CSI driver's controller makes them.
//!
//! kube-controller-manager binds claims, protects volumes and decides on attachments; what the driver's sidecars do
//! (external-provisioner, external-attacher, external-resizer) is done here. Nothing is polled: every change of a
//! claim, volume, attachment or storage class is looked at once.

mod attach;
mod driver;
mod model;
mod provision;

use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{StorageClass, VolumeAttachment};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

pub use model::DRIVER;

/// What the sidecars know: caches of the objects that they watch.
pub(super) struct Volumes {
    pub(super) client: Client,
    pub(super) claims: Store<PersistentVolumeClaim>,
    pub(super) volumes: Store<PersistentVolume>,
    pub(super) classes: Store<StorageClass>,
    pub(super) attachments: Store<VolumeAttachment>,
    pub(super) nodes: Store<Node>,
    pub(super) events: Recorder,
}

/// Serve claims until dropped.
pub async fn run(client: Client) {
    while let Err(error) = driver::ensure(&client).await {
        tracing::warn!(%error, "cannot create the EBS CSI driver's object yet");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let (claims, claim_events) = watched::<PersistentVolumeClaim>(Api::all(client.clone()));
    let (volumes, volume_events) = watched::<PersistentVolume>(Api::all(client.clone()));
    let (classes, class_events) = watched::<StorageClass>(Api::all(client.clone()));
    let (attachments, attachment_events) = watched::<VolumeAttachment>(Api::all(client.clone()));
    let (nodes, node_events) = watched::<Node>(Api::all(client.clone()));
    let reporter = Reporter {
        controller: DRIVER.to_owned(),
        instance: Some("ebs-csi-controller-sandbox".to_owned()),
    };
    let cx = Arc::new(Volumes {
        events: Recorder::new(client.clone(), reporter),
        client,
        claims,
        volumes,
        classes,
        attachments,
        nodes,
    });
    // Node heartbeats are no reason to look at claims again.
    let mut changes =
        futures::stream::select_all([claim_events, volume_events, class_events, attachment_events]);
    let mut node_events = node_events;
    loop {
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            node = node_events.next() => {
                if node.is_none() { return }
                continue;
            }
        }
        provision::reconcile(&cx).await;
        attach::reconcile(&cx).await;
    }
}

/// A cache of a kind, and a stream that yields after each change of it.
fn watched<K>(api: Api<K>) -> (Store<K>, futures::stream::BoxStream<'static, ()>)
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + serde::de::DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store();
    let changes = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    (store, settled(changes).boxed())
}

/// Yields after each change that a watch sees, and once when a list is complete.
pub(crate) fn settled<K: Send + 'static>(
    changes: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
) -> impl Stream<Item = ()> + Send {
    changes.filter_map(|event| async move {
        match event {
            // A list is of use when it is complete.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
            Ok(_) => Some(()),
            Err(error) => {
                tracing::debug!(%error, "a watch starts again");
                None
            }
        }
    })
}
