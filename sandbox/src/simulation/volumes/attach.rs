//! Attaching volumes to nodes: external-attacher.

use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::Volumes;
use super::model::DRIVER;
use super::provision::gone;

/// Kept by the external-attacher until the volume is detached.
const FINALIZER: &str = "external-attacher/ebs-csi-aws-com";

/// What is to be done for an attachment.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    /// Protect it, then report it attached.
    Attach,
    /// Report it detached by letting it go.
    Detach,
}

fn step(attachment: &VolumeAttachment) -> Step {
    let protected = attachment
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    let attached = attachment
        .status
        .as_ref()
        .is_some_and(|status| status.attached);
    match (
        attachment.metadata.deletion_timestamp.is_some(),
        protected,
        attached,
    ) {
        _ if attachment.spec.attacher != DRIVER => Step::Nothing,
        (true, true, _) => Step::Detach,
        (true, false, _) | (false, true, true) => Step::Nothing,
        (false, _, _) => Step::Attach,
    }
}

/// Look at every attachment of the cache; acts only on those that need something.
pub(super) async fn reconcile(cx: &Volumes) {
    for attachment in cx.attachments.state() {
        if let Err(error) = act(cx, &attachment).await {
            tracing::debug!(%error, attachment = %attachment.name_any(), "cannot attach or detach yet");
        }
    }
}

async fn act(cx: &Volumes, attachment: &VolumeAttachment) -> Result<(), kube::Error> {
    let api: Api<VolumeAttachment> = Api::all(cx.client.clone());
    let name = attachment.name_any();
    let finalizers = |finalizers: Vec<String>| json!({"metadata": {"finalizers": finalizers}});
    match step(attachment) {
        Step::Nothing => Ok(()),
        Step::Attach => {
            let patch = finalizers(vec![FINALIZER.to_owned()]);
            gone(
                api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                    .await
                    .map(drop),
            )?;
            let patch = json!({"status": {"attached": true}});
            gone(
                api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
                    .await
                    .map(drop),
            )
        }
        Step::Detach => {
            let rest = attachment
                .finalizers()
                .iter()
                .filter(|finalizer| *finalizer != FINALIZER)
                .cloned()
                .collect();
            gone(
                api.patch(
                    &name,
                    &PatchParams::default(),
                    &Patch::Merge(&finalizers(rest)),
                )
                .await
                .map(drop),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(
        driver: &str,
        finalizers: &[&str],
        attached: bool,
        deleted: bool,
    ) -> VolumeAttachment {
        serde_json::from_value(json!({
            "metadata": {
                "name": "csi-1", "finalizers": finalizers,
                "deletionTimestamp": deleted.then_some("2026-01-01T00:00:00Z"),
            },
            "spec": {"attacher": driver, "nodeName": "n1", "source": {"persistentVolumeName": "pvc-1"}},
            "status": {"attached": attached},
        }))
        .unwrap()
    }

    #[test]
    fn attachments_are_attached_once_and_let_go_when_deleted() {
        assert_eq!(step(&attachment(DRIVER, &[], false, false)), Step::Attach);
        assert_eq!(
            step(&attachment(DRIVER, &[FINALIZER], true, false)),
            Step::Nothing
        );
        assert_eq!(
            step(&attachment(DRIVER, &[FINALIZER], true, true)),
            Step::Detach
        );
        assert_eq!(step(&attachment(DRIVER, &[], true, true)), Step::Nothing);
        assert_eq!(step(&attachment("other", &[], false, false)), Step::Nothing);
    }
}
