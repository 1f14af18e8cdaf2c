//! The storage classes and the driver object of a cluster with the EBS CSI add-on.

use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::model::{DRIVER, IN_TREE};

/// The default class: what the EKS add-on makes with `defaultStorageClass.enabled` in its configuration.
pub const DEFAULT_CLASS: &str = "ebs-csi-default-sc";

/// `gp2`, which EKS makes in every cluster (not the default class since 1.30), and the add-on's default class.
#[must_use]
pub fn default_classes() -> Vec<StorageClass> {
    let classes = json!([
        {
            "metadata": {"name": "gp2"},
            "provisioner": IN_TREE,
            "parameters": {"type": "gp2", "fsType": "ext4"},
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {
            "metadata": {
                "name": DEFAULT_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": DRIVER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": true,
        }
    ]);
    serde_json::from_value(classes).expect("classes of constants")
}

fn driver() -> CSIDriver {
    serde_json::from_value(json!({
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": true, "podInfoOnMount": false, "fsGroupPolicy": "ReadWriteOnceWithFSType"},
    }))
    .expect("a driver of constants")
}

/// Make what is missing; what exists stays as it is.
pub(super) async fn ensure(client: &Client) -> Result<(), kube::Error> {
    let existing = |result: Result<(), kube::Error>| match result {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other,
    };
    let drivers: Api<CSIDriver> = Api::all(client.clone());
    existing(drivers.create(&PostParams::default(), &driver()).await.map(drop))?;
    let classes: Api<StorageClass> = Api::all(client.clone());
    for class in default_classes() {
        existing(classes.create(&PostParams::default(), &class).await.map(drop))?;
    }
    Ok(())
}
