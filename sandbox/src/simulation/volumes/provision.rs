//! Making, growing and deleting volumes: external-provisioner and external-resizer.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::Volumes;
use super::model::{
    ANNOTATION_PROVISIONED_BY, DRIVER, Need, PROVISIONER_FINALIZER, any_zone, gibibytes, need,
    parse_quantity, volume, volume_name, zone_of,
};

/// Look at every claim and volume of the caches; acts only on those that need something.
pub(super) async fn reconcile(cx: &Volumes) {
    for claim in cx.claims.state() {
        if let Err(error) = provision(cx, &claim).await {
            tracing::debug!(%error, claim = %claim.name_any(), "cannot provision yet");
        }
        if let Err(error) = expand(cx, &claim).await {
            tracing::debug!(%error, claim = %claim.name_any(), "cannot expand yet");
        }
    }
    for volume in cx.volumes.state() {
        if let Err(error) = release(cx, &volume).await {
            tracing::debug!(%error, volume = %volume.name_any(), "cannot delete yet");
        }
    }
}

async fn provision(cx: &Volumes, claim: &PersistentVolumeClaim) -> Result<(), kube::Error> {
    let class_name = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.clone())
        .unwrap_or_default();
    let Some(class) = cx
        .classes
        .state()
        .into_iter()
        .find(|class| class.name_any() == class_name)
    else {
        return Ok(());
    };
    let Need::Volume(node) = need(claim, &class) else {
        return Ok(());
    };
    let name = volume_name(&claim.uid().unwrap_or_default());
    if cx
        .volumes
        .state()
        .iter()
        .any(|volume| volume.name_any() == name)
    {
        return Ok(());
    }
    let nodes = cx.nodes.state();
    let zone = match &node {
        Some(node) => nodes
            .iter()
            .find(|n| &n.name_any() == node)
            .and_then(|n| zone_of(n))
            .map(str::to_owned),
        None => {
            let mut zones: Vec<String> = nodes
                .iter()
                .filter_map(|n| zone_of(n))
                .map(str::to_owned)
                .collect();
            zones.sort();
            zones.dedup();
            any_zone(claim, &class, &zones)
        }
    };
    let Some(zone) = zone else { return Ok(()) };
    let full_name = format!(
        "{}/{}",
        claim.namespace().unwrap_or_default(),
        claim.name_any()
    );
    say(
        cx,
        claim,
        "Provisioning",
        format!("External provisioner is provisioning volume for claim \"{full_name}\""),
    )
    .await;
    let api: Api<PersistentVolume> = Api::all(cx.client.clone());
    match api
        .create(&PostParams::default(), &volume(claim, &class, &zone))
        .await
    {
        Ok(_) => {
            say(
                cx,
                claim,
                "ProvisioningSucceeded",
                format!("Successfully provisioned volume {name}"),
            )
            .await;
            Ok(())
        }
        // The cache is a moment behind.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}

/// A claim that asks for more than its volume has: the volume grows, then the claim reports it.
async fn expand(cx: &Volumes, claim: &PersistentVolumeClaim) -> Result<(), kube::Error> {
    let storage = |map: &std::collections::BTreeMap<
        _,
        k8s_openapi::apimachinery::pkg::api::resource::Quantity,
    >| {
        map.get("storage")
            .and_then(|quantity| parse_quantity(&quantity.0))
    };
    let Some(spec) = &claim.spec else {
        return Ok(());
    };
    let wanted = spec
        .resources
        .as_ref()
        .and_then(|all| all.requests.as_ref())
        .and_then(storage);
    let has = claim
        .status
        .as_ref()
        .and_then(|status| status.capacity.as_ref())
        .and_then(storage);
    let (Some(wanted), Some(has), Some(volume_name)) = (wanted, has, &spec.volume_name) else {
        return Ok(());
    };
    let Some(volume) = cx
        .volumes
        .state()
        .into_iter()
        .find(|volume| &volume.name_any() == volume_name)
    else {
        return Ok(());
    };
    if wanted <= has || !is_ours(&volume) {
        return Ok(());
    }
    let size = gibibytes(wanted);
    let volumes: Api<PersistentVolume> = Api::all(cx.client.clone());
    let patch = json!({"spec": {"capacity": {"storage": size}}});
    volumes
        .patch(volume_name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(cx.client.clone(), &claim.namespace().unwrap_or_default());
    let patch = json!({"status": {"capacity": {"storage": size}}});
    claims
        .patch_status(
            &claim.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await?;
    say(
        cx,
        claim,
        "VolumeResizeSuccessful",
        "Resize volume succeeded".to_owned(),
    )
    .await;
    Ok(())
}

/// A released volume that is to be deleted goes once nothing is attached to it any more.
async fn release(cx: &Volumes, volume: &PersistentVolume) -> Result<(), kube::Error> {
    if !is_ours(volume) {
        return Ok(());
    }
    let name = volume.name_any();
    let phase = volume
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let policy = volume
        .spec
        .as_ref()
        .and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    let released = phase == Some("Released") && policy == Some("Delete");
    let deleted = volume.meta().deletion_timestamp.is_some();
    let attached = cx.attachments.state().iter().any(|attachment| {
        attachment.spec.source.persistent_volume_name.as_deref() == Some(name.as_str())
    });
    if attached || !(released || deleted && phase != Some("Bound")) {
        return Ok(());
    }
    let api: Api<PersistentVolume> = Api::all(cx.client.clone());
    if !deleted {
        gone(api.delete(&name, &DeleteParams::default()).await.map(drop))?;
    }
    if !volume
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == PROVISIONER_FINALIZER)
    {
        return Ok(());
    }
    let rest: Vec<&String> = volume
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != PROVISIONER_FINALIZER)
        .collect();
    let patch =
        json!({"metadata": {"finalizers": rest, "resourceVersion": volume.resource_version()}});
    if deleted {
        gone(
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map(drop),
        )?;
    }
    Ok(())
}

fn is_ours(volume: &PersistentVolume) -> bool {
    volume
        .annotations()
        .get(ANNOTATION_PROVISIONED_BY)
        .is_some_and(|by| by == DRIVER)
}

/// What is gone needs nothing more.
pub(super) fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}

async fn say(cx: &Volumes, claim: &PersistentVolumeClaim, reason: &str, note: String) {
    let event = Event {
        type_: EventType::Normal,
        reason: reason.to_owned(),
        note: Some(note),
        action: reason.to_owned(),
        secondary: None,
    };
    if let Err(error) = cx.events.publish(&event, &claim.object_ref(&())).await {
        tracing::debug!(%error, "an event was lost");
    }
}
