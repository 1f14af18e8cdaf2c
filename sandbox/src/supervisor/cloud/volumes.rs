//! The EBS CSI driver of a cluster, while its add-on works: claims get volumes in Kubernetes and in EC2.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::PersistentVolume;
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

/// Keep EC2's volumes those of the cluster's persistent volumes.
async fn mirror(aws: &Aws, cluster: &str, client: kube::Client) {
    let (store, writer) = reflector::store::<PersistentVolume>();
    let changes = watcher(Api::all(client), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let mut changes = std::pin::pin!(changes);
    // Volumes seen so far, and whether they go with their object.
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    while let Some(change) = changes.next().await {
        match change {
            // A list is of use when it is complete.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => continue,
            Ok(_) => {}
        }
        let mut present = BTreeMap::new();
        for volume in store.state() {
            let Some(own) = of(&volume) else { continue };
            let policy = volume
                .spec
                .as_ref()
                .and_then(|spec| spec.persistent_volume_reclaim_policy.clone());
            let id = own.id.clone();
            if !known.contains_key(&id) {
                aws.claim_volume(cluster, own);
            }
            present.insert(id, policy.as_deref() == Some("Delete"));
        }
        // What went while nobody looked stays in EC2, as it would when somebody takes the finalizer off.
        for (id, deletes) in &known {
            if *deletes && !present.contains_key(id) {
                aws.release_volume(cluster, id);
            }
        }
        known = present;
    }
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
        id: csi.volume_handle.clone(),
        zone,
        size_gib: size,
        tags,
    })
}
