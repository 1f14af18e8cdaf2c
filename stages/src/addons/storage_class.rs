//! The default storage class: gp3 volumes, in the zone of the pod that first uses them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{STAGE, storage_class};
use crate::{
    blocks::{ObjectsStep, Row, Wants},
    context::StepContext,
    error::StepError,
    step::{Need, Step},
};

/// The step that applies it.
pub(super) fn step(needs: Vec<Need>) -> Arc<dyn Step> {
    let row = Row::new(STAGE, storage_class().name(), "storage class gp3").needs(needs);
    ObjectsStep::step(row, Gp3)
}

struct Gp3;

#[async_trait]
impl Wants for Gp3 {
    async fn objects(&self, _: &StepContext) -> Result<Vec<Value>, StepError> {
        Ok(vec![json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "gp3",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "ebs.csi.aws.com",
            "parameters": {"type": "gp3"},
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": true,
            "volumeBindingMode": "WaitForFirstConsumer",
        })])
    }
}
