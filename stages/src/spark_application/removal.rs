//! Taking Spark applications down: their drivers, executors and services go with them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::{STAGE, kind, run::APP_LABEL};
use crate::{
    blocks::{
        Row,
        objects_removal::{ObjectsRemoval, Unwants, belonging},
    },
    context::StepContext,
    error::StepError,
    objects::removal::list,
    ports::objects::{Kind, Selection},
    removal::Removal,
    step::StepId,
};

/// The removal of applications.
#[must_use]
pub fn applications() -> StepId {
    StepId::new(STAGE, "applications")
}

/// The removals of the stage.
#[must_use]
pub fn removals() -> Vec<Arc<dyn Removal>> {
    let row = Row::new(STAGE, "applications", "Spark applications with their pods")
        .ready_within(Duration::from_secs(300), 10);
    vec![ObjectsRemoval::removal(row, Applications)]
}

struct Applications;

#[async_trait]
impl Unwants for Applications {
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        // The schedules first: they would make new applications.
        let scheduled = Kind::new(pipectl_kinds::spark::GROUP, "", "ScheduledSparkApplication");
        let mut found = belonging(cx, &scheduled).await?;
        found.extend(belonging(cx, &kind()).await?);
        Ok(found)
    }

    /// The pods of applications that are gone: Kubernetes collects them by their owner.
    async fn followers(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let selection = Selection {
            kind: Kind::new("", "", "Pod"),
            namespace: None,
            labels: Some(APP_LABEL.to_owned()),
        };
        let pods = list(cx, &selection).await?;
        let recorded: Vec<(String, String)> = cx
            .outputs
            .iter()
            .filter(|(step, _)| step.starts_with("spark/"))
            .flat_map(|(_, outputs)| {
                crate::objects::Records::of(Some(outputs))
                    .objects
                    .into_values()
            })
            .filter(|record| record.at.kind.kind == kind().kind)
            .map(|record| (record.at.namespace.unwrap_or_default(), record.at.name))
            .collect();
        let own = crate::blocks::objects_removal::own_namespaces(cx).await?;
        Ok(pods
            .into_iter()
            .filter(|pod| {
                let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
                let app = pod["metadata"]["labels"][APP_LABEL]
                    .as_str()
                    .unwrap_or_default();
                own.contains(namespace)
                    || recorded
                        .iter()
                        .any(|(of, name)| of == namespace && name == app)
            })
            .collect())
    }

    fn gone(&self) -> String {
        "no Spark applications left".to_owned()
    }
}
