//! The object by which the EBS CSI driver is known to the cluster.

use k8s_openapi::api::storage::v1::CSIDriver;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::model::DRIVER;

fn driver() -> CSIDriver {
    serde_json::from_value(json!({
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": true, "podInfoOnMount": false, "fsGroupPolicy": "ReadWriteOnceWithFSType"},
    }))
    .expect("a driver of constants")
}

/// Make it where it is missing, as the driver's chart and add-on do.
pub(super) async fn ensure(client: &Client) -> Result<(), kube::Error> {
    let drivers: Api<CSIDriver> = Api::all(client.clone());
    match drivers.create(&PostParams::default(), &driver()).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}
