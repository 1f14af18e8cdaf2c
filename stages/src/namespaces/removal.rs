//! Taking our namespaces down, and saying exactly what holds one that does not go.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::STAGE;
use crate::{
    blocks::Row,
    context::StepContext,
    error::{Retry, StepError},
    health::condition,
    objects::{delete_all, remaining},
    operators,
    ports::objects::{Kind, ObjectRef, Selection},
    removal::{Removal, RemovalProgress},
    step::{Need, StepId, Timeouts},
};

/// How long a namespace may be held before it counts as stuck; finalizers and grace periods need some of it. What was
/// mended before a run gets this time in that run, since conditions are renewed with pauses.
const HELD_WITHIN: Duration = Duration::from_secs(90);

/// How long an API group may fail to answer; right after CRDs are gone, discovery is old for a moment.
const ANSWERS_WITHIN: Duration = Duration::from_secs(45);

/// The removal of namespaces.
#[must_use]
pub fn namespaces() -> StepId {
    StepId::new(STAGE, "all")
}

/// The removals of the stage. With `keep_data` a namespace with claims stays.
#[must_use]
pub fn removals(keep_data: bool) -> Vec<Arc<dyn Removal>> {
    let row = Row::new(STAGE, "all", "namespaces")
        .needs([Need::ready(operators::removal::definitions())])
        .ready_within(Duration::from_secs(300), 10);
    vec![Arc::new(Namespaces { row, keep_data })]
}

struct Namespaces {
    row: Row,
    keep_data: bool,
}

impl Namespaces {
    async fn find(&self, cx: &StepContext) -> Result<Vec<Arc<Value>>, StepError> {
        let mut found = remaining(cx, &Kind::new("", "", "Namespace")).await?;
        if self.keep_data {
            let claims = Selection {
                kind: Kind::new("", "", "PersistentVolumeClaim"),
                namespace: None,
                labels: None,
            };
            let claims = crate::objects::removal::list(cx, &claims).await?;
            found.retain(|namespace| {
                !claims
                    .iter()
                    .any(|claim| claim["metadata"]["namespace"] == namespace["metadata"]["name"])
            });
        }
        Ok(found)
    }
}

/// The chain of what holds a namespace, as its conditions say (Kubernetes API reference, `NamespaceConditionType`).
#[must_use]
pub fn held_by(namespace: &Value) -> Vec<String> {
    [
        (
            "NamespaceDeletionDiscoveryFailure",
            "an API group does not answer",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "an API group cannot be read",
        ),
        (
            "NamespaceDeletionContentFailure",
            "its contents cannot be deleted",
        ),
        ("NamespaceContentRemaining", "contents"),
        ("NamespaceFinalizersRemaining", "finalizers"),
    ]
    .into_iter()
    .filter_map(|(kind, words)| {
        let found = condition(namespace, kind).filter(|found| found.is_true())?;
        Some(if found.message.is_empty() {
            words.to_owned()
        } else {
            format!("{words}: {}", found.message)
        })
    })
    .collect()
}

/// How long a namespace has been held, counted from the run's start at the earliest.
fn held_for(cx: &StepContext, namespace: &Value) -> Option<Duration> {
    let asked: Timestamp = namespace["metadata"]["deletionTimestamp"]
        .as_str()?
        .parse()
        .ok()?;
    let since = cx.run_started().map_or(asked, |started| started.max(asked));
    Timestamp::now().duration_since(since).try_into().ok()
}

#[async_trait]
impl Removal for Namespaces {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        delete_all(cx, &self.find(cx).await?).await
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let found = self.find(cx).await?;
        delete_all(cx, &found).await?;
        let Some(first) = found.first() else {
            return Ok(RemovalProgress::Gone("no namespaces left".to_owned()));
        };
        for namespace in &found {
            let chain = held_by(namespace);
            let discovery = condition(namespace, "NamespaceDeletionDiscoveryFailure");
            let dead_group = discovery.is_some_and(|found| found.is_true());
            let bound = if dead_group {
                ANSWERS_WITHIN
            } else {
                HELD_WITHIN
            };
            let held = held_for(cx, namespace).is_some_and(|age| age > bound);
            if held && !chain.is_empty() {
                let at = ObjectRef::of(namespace);
                let error = StepError::new("DWN002", "delete", &at, chain.join(" ← "))
                    .with_retry(Retry::AfterChange)
                    .with_evidence(chain)
                    .with_hint(if dead_group {
                        "delete the APIService of the group that does not answer (kubectl get apiservices), or make its \
                         service answer; then run pipectl down again"
                    } else {
                        "the objects that the conditions name are held by finalizers: look at their controllers, then run \
                         pipectl down again"
                    });
                return Ok(RemovalProgress::Stuck(Box::new(error)));
            }
        }
        let name = first["metadata"]["name"].as_str().unwrap_or_default();
        let chain = held_by(first);
        let words = if chain.is_empty() {
            format!("namespace {name}: ending")
        } else {
            format!("namespace {name}: {}", chain.join(" ← "))
        };
        Ok(RemovalProgress::InProgress {
            waiting_for: if found.len() == 1 {
                words
            } else {
                format!("{words} (and {} more)", found.len() - 1)
            },
            count: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_chain_names_the_dead_group_and_the_finalizers() {
        let namespace = json!({"status": {"conditions": [
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": "metrics.k8s.io/v1beta1: stale"},
            {"type": "NamespaceContentRemaining", "status": "False", "message": "nothing"},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "strimzi.io/topic-operator in 1 resource instances"}
        ]}});
        assert_eq!(
            held_by(&namespace),
            [
                "an API group does not answer: metrics.k8s.io/v1beta1: stale",
                "finalizers: strimzi.io/topic-operator in 1 resource instances"
            ]
        );
        assert!(held_by(&json!({})).is_empty());
    }
}
