//! Why a workload isn't ready, from its pods' own words.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    context::StepContext,
    error::{PortErrorKind, StepError},
    health::{
        Health,
        pods::{Patience, selects, worst},
    },
    objects::removal::list,
    ports::objects::{Kind, Selection},
};

/// All pods of a namespace, from the shared watch.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn in_namespace(cx: &StepContext, namespace: &str) -> Result<Vec<Arc<Value>>, StepError> {
    list(cx, &of_namespace("", "Pod", namespace)).await
}

/// Everything of a kind in a namespace. Always this selection, so that all steps share one watch.
#[must_use]
pub fn of_namespace(group: &str, kind: &str, namespace: &str) -> Selection {
    Selection {
        kind: Kind::new(group, "", kind),
        namespace: Some(namespace.to_owned()),
        labels: None,
    }
}

/// Adds the words of a workload's worst pod to a health that is not ready yet; a pod that cannot become ready makes
/// the workload fail.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn explain(
    cx: &StepContext,
    health: Health,
    namespace: &str,
    patience: Patience,
    belongs: impl Fn(&Value) -> bool,
) -> Result<Health, StepError> {
    let Health::InProgress { words, count } = health else {
        return Ok(health);
    };
    let pods = in_namespace(cx, namespace).await?;
    let own = pods.iter().map(AsRef::as_ref).filter(|pod| belongs(pod));
    Ok(match worst(own, Timestamp::now(), &patience) {
        Some((name, Health::InProgress { words: why, .. })) => Health::InProgress {
            words: format!("{words} · pod {name}: {why}"),
            count,
        },
        Some((name, Health::Failed(mut trouble))) => {
            trouble.cause = format!("pod {name}: {}", trouble.cause);
            Health::Failed(trouble)
        }
        Some((_, Health::Ready(_))) | None => Health::InProgress { words, count },
    })
}

/// The patience with the pods of objects: trouble counts from the run's start on, that of finding a node from the last
/// node's coming on, and pods older than the objects' newest form are about to be replaced.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn patience<'a>(
    cx: &StepContext,
    made_by: impl IntoIterator<Item = &'a Value>,
) -> Result<Patience, StepError> {
    let replaced_before = made_by.into_iter().filter_map(written).max();
    let nodes = Selection {
        kind: Kind::new("", "", "Node"),
        namespace: None,
        labels: None,
    };
    let nodes = match cx.ports.objects.list(&nodes).await {
        Ok(nodes) => nodes,
        // Who may not see nodes cannot tell when they came.
        Err(error) if error.kind == PortErrorKind::Forbidden => {
            return Ok(Patience {
                not_before: cx.run_started(),
                replaced_before,
                ..Patience::default()
            });
        }
        Err(error) => return Err(error.during("list", "nodes")),
    };
    let came = nodes
        .iter()
        .filter_map(|node| node["metadata"]["creationTimestamp"].as_str()?.parse().ok());
    Ok(Patience {
        not_before: cx.run_started(),
        replaced_before,
        // Without any node, all are still to come.
        nodes_since: came.max().or_else(|| nodes.is_empty().then(Timestamp::now)),
        ..Patience::default()
    })
}

/// When an object's content was last written, as its managed fields say; its status does not count.
fn written(object: &Value) -> Option<Timestamp> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    entries
        .iter()
        .filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty())
        .filter_map(|entry| entry["time"].as_str()?.parse().ok())
        .max()
}

/// Whether a pod is one that the workload's selector means.
pub fn selected_by<'a>(workload: &'a Value) -> impl Fn(&Value) -> bool + 'a {
    |pod| selects(&workload["spec"]["selector"], &pod["metadata"]["labels"])
}

/// Whether this kind makes pods of its own that can be asked.
#[must_use]
pub fn makes_pods(object: &Value) -> bool {
    matches!(
        object["kind"].as_str(),
        Some("Deployment" | "StatefulSet" | "DaemonSet" | "Job")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_writes_of_the_content_count() {
        let object = json!({"metadata": {"managedFields": [
            {"manager": "pipectl", "time": "2026-01-01T00:00:10Z"},
            {"manager": "helm", "time": "2026-01-01T00:00:20Z"},
            {"manager": "controller", "subresource": "status", "time": "2026-01-01T00:00:30Z"}]}});
        assert_eq!(
            written(&object).unwrap().to_string(),
            "2026-01-01T00:00:20Z"
        );
        assert_eq!(written(&json!({})), None);
    }
}
