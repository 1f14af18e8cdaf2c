//! Taking down everything else that was applied by label: deployments, services, roles, settings, secrets.
//!
//! What it is follows from the labels on the objects over all kinds that the cluster serves, not from the pipeline file.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::STAGE;
use crate::{
    blocks::{
        Row,
        objects_removal::{ObjectsRemoval, Unwants},
    },
    context::StepContext,
    environment,
    error::StepError,
    inventory,
    objects::order,
    ports::objects::{Kind, ObjectRef},
    removal::Removal,
    spark_application,
    step::{Need, StepId},
};

/// The removal of objects.
#[must_use]
pub fn objects() -> StepId {
    StepId::new(STAGE, "objects")
}

/// The removals of the stage.
#[must_use]
pub fn removals() -> Vec<Arc<dyn Removal>> {
    let row = Row::new(
        STAGE,
        "objects",
        "workloads with their services and settings",
    )
    // Drivers use the accounts and settings until their end.
    .needs([Need::ready(spark_application::removal::applications())])
    .ready_within(Duration::from_secs(300), 10);
    vec![ObjectsRemoval::removal(row, Objects)]
}

struct Objects;

#[async_trait]
impl Unwants for Objects {
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let record = environment::record_of(&cx.environment.name);
        let (mut found, _) = inventory::labelled(&cx.ports, &cx.environment).await;
        found.retain(|object| {
            let at = ObjectRef::of(object);
            !has_removal_of_its_own(object, &at)
                && (at.name != record.name || at.namespace != record.namespace)
        });
        // What needs others goes before what it needs.
        found.sort_by_key(|object| std::cmp::Reverse(order::wave(&Kind::of(object))));
        Ok(found.into_iter().map(Arc::new).collect())
    }

    fn gone(&self) -> String {
        "no workloads left".to_owned()
    }
}

/// Kinds that other rows of the table remove, and what controllers make and remove themselves.
fn has_removal_of_its_own(object: &Value, at: &ObjectRef) -> bool {
    let group = at.kind.group.as_str();
    let made_by_a_controller = object["metadata"]["ownerReferences"] != json!(null)
        && object["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| !owners.is_empty());
    made_by_a_controller
        || group.ends_with("strimzi.io")
        || group == pipectl_kinds::spark::GROUP
        || matches!(
            (group, at.kind.kind.as_str()),
            (
                "",
                "Namespace"
                    | "Endpoints"
                    | "Event"
                    | "PersistentVolumeClaim"
                    | "PersistentVolume"
                    | "Pod"
            ) | ("discovery.k8s.io", "EndpointSlice")
                | ("apiextensions.k8s.io", "CustomResourceDefinition")
        )
}
