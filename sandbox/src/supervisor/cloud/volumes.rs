//! The EBS CSI driver of a cluster, while its add-on works: claims get volumes in Kubernetes and in EC2.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{StorageClass, VolumeAttachment};
use kube::runtime::reflector;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, ClaimVolume};
use crate::simulation::volumes;

/// Serve claims until `stop`.
pub(super) async fn run(
    aws: Arc<Aws>,
    cluster: String,
    client: kube::Client,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = volumes::run(client.clone()) => {}
        () = mirror(&aws, &cluster, client) => {}
    }
}

/// What EC2 was told of a volume.
#[derive(Clone, PartialEq)]
struct Told {
    /// Whether it goes with its object.
    deletes: bool,
    size_gib: i64,
    /// The node that it is attached to.
    node: Option<String>,
}

/// Keep EC2's volumes those of the cluster's persistent volumes.
async fn mirror(aws: &Aws, cluster: &str, client: kube::Client) {
    let (volumes, writer) = reflector::store::<PersistentVolume>();
    let of_volumes = watcher(Api::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let (attachments, writer) = reflector::store::<VolumeAttachment>();
    let of_attachments = watcher(Api::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let mut changes = std::pin::pin!(futures::stream::select(
        volumes::settled(of_volumes),
        volumes::settled(of_attachments)
    ));
    let mut known: BTreeMap<String, Told> = BTreeMap::new();
    while changes.next().await.is_some() {
        // Lists are of use when both are complete; only this loop drives the watches, so that it must not wait for one.
        let of_volumes = volumes.wait_until_ready().now_or_never();
        let of_attachments = attachments.wait_until_ready().now_or_never();
        if of_volumes.is_none() || of_attachments.is_none() {
            continue;
        }
        let mut present = BTreeMap::new();
        for volume in volumes.state() {
            let Some(mut own) = of(&volume) else { continue };
            let spec = volume.spec.as_ref();
            let policy = spec.and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
            let told = Told {
                deletes: policy == Some("Delete"),
                size_gib: own.size_gib,
                node: node_of(&attachments, &volume.name_any()),
            };
            let id = own.id.clone();
            let before = known.get(&id);
            if before.is_none_or(|before| before.size_gib != told.size_gib) {
                if before.is_none() {
                    own.parameters = parameters(&client, &volume).await;
                }
                aws.claim_volume(cluster, own);
            }
            if before.is_none_or(|before| before.node != told.node) {
                aws.place_volume(cluster, &id, told.node.as_deref());
            }
            present.insert(id, told);
        }
        // What went while nobody looked stays in EC2, as it would when somebody takes the finalizer off.
        for (id, told) in &known {
            if told.deletes && !present.contains_key(id) {
                aws.release_volume(cluster, id);
            }
        }
        known = present;
    }
}

/// The node to which a persistent volume is attached.
fn node_of(all: &reflector::Store<VolumeAttachment>, volume: &str) -> Option<String> {
    all.state().iter().find_map(|one| {
        let attached = one.status.as_ref().is_some_and(|status| status.attached);
        let source = one.spec.source.persistent_volume_name.as_deref();
        let ours = one.spec.attacher == volumes::DRIVER && source == Some(volume);
        (ours && attached).then(|| one.spec.node_name.clone())
    })
}

/// The parameters of a volume's storage class, which may have gone.
async fn parameters(client: &kube::Client, volume: &PersistentVolume) -> BTreeMap<String, String> {
    let name = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.clone());
    let classes: Api<StorageClass> = Api::all(client.clone());
    let class = classes.get_opt(&name.unwrap_or_default()).await;
    let class = class.ok().flatten();
    class.and_then(|class| class.parameters).unwrap_or_default()
}

/// The EBS volume behind a persistent volume.
fn of(volume: &PersistentVolume) -> Option<ClaimVolume> {
    let spec = volume.spec.as_ref()?;
    let csi = spec
        .csi
        .as_ref()
        .filter(|csi| csi.driver == volumes::DRIVER)?;
    let terms = &spec
        .node_affinity
        .as_ref()?
        .required
        .as_ref()?
        .node_selector_terms;
    let mut expressions = terms
        .iter()
        .flat_map(|term| term.match_expressions.iter().flatten());
    let zone = expressions.find_map(|one| {
        let values = one.values.as_ref()?;
        one.key
            .ends_with("/zone")
            .then(|| values.first().cloned())?
    })?;
    let size = spec
        .capacity
        .as_ref()?
        .get("storage")?
        .0
        .strip_suffix("Gi")?
        .parse()
        .ok()?;
    let claim = spec.claim_ref.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    // What the external-provisioner tells the driver, and the driver writes on the volume (aws-ebs-csi-driver: tagging).
    let tags = BTreeMap::from([
        ("ebs.csi.aws.com/cluster".to_owned(), "true".to_owned()),
        ("CSIVolumeName".to_owned(), volume.name_any()),
        (
            "kubernetes.io/created-for/pv/name".to_owned(),
            volume.name_any(),
        ),
        (
            "kubernetes.io/created-for/pvc/name".to_owned(),
            text(claim.and_then(|claim| claim.name.as_ref())),
        ),
        (
            "kubernetes.io/created-for/pvc/namespace".to_owned(),
            text(claim.and_then(|claim| claim.namespace.as_ref())),
        ),
    ]);
    Some(ClaimVolume {
        name: volume.name_any(),
        parameters: BTreeMap::new(),
        id: csi.volume_handle.clone(),
        zone,
        size_gib: size,
        tags,
    })
}
