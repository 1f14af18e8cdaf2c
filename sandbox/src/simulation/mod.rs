//! What nodes, images and volumes do in the sandbox.
//!
//! Nodes and pods are simulated by KWOK, which is given its behaviour as stages ([`kwok_configuration`]); volumes by
//! [`volumes`]. There is no cloud controller: a service of type `LoadBalancer` stays pending, as in a cluster without
//! one.

pub mod images;
pub mod nodes;
mod pods;
mod stage;
pub mod switches;
pub mod volumes;

use serde_json::json;

use crate::SandboxContext;

/// The range from which KWOK gives addresses to pods on nodes without a range of their own.
pub const POD_CIDR: &str = "10.244.0.1/16";

/// KWOK's configuration: options, then one document for each stage.
///
/// Flags of the `kwok` command win over the options. Every node is managed: the sandbox has no others.
#[must_use]
pub fn kwok_configuration() -> String {
    let options = json!({
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {"cidr": POD_CIDR, "manageAllNodes": true, "nodeLeaseDurationSeconds": 40},
    });
    let stages = nodes::stages().into_iter().chain(pods::stages());
    std::iter::once(options)
        .chain(stages.map(|stage| stage.to_value()))
        .map(|document| serde_norway::to_string(&document).expect("stages are plain JSON"))
        .collect::<Vec<_>>()
        .join("---\n")
}

/// Simulate until the sandbox stops: nodes where the cluster has none, then volumes.
pub async fn run(cx: SandboxContext) {
    let nodes = async {
        loop {
            match nodes::ensure_default_nodes(&cx.client).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "cannot create the sandbox's nodes yet"),
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = cx.shutdown.cancelled() => {}
        ((), ()) = async { tokio::join!(nodes, volumes::run(cx.client.clone())) } => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_configuration_is_a_stream_of_documents_with_distinct_names() {
        let text = kwok_configuration();
        let documents: Vec<Value> = serde_norway::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).expect("YAML"))
            .collect();
        assert_eq!(documents[0]["kind"], "KwokConfiguration");
        let names: std::collections::BTreeSet<&str> =
            documents[1..].iter().map(|stage| stage["metadata"]["name"].as_str().expect("a name")).collect();
        assert_eq!(names.len(), documents.len() - 1, "two stages share a name");
        for stage in &documents[1..] {
            assert_eq!(stage["kind"], "Stage");
            let conditions = stage["spec"]["selector"]["matchExpressions"].as_array().expect("conditions");
            assert!(!conditions.is_empty(), "{stage} would apply to everything");
        }
    }

    #[test]
    fn every_failure_that_is_documented_is_simulated() {
        let text = kwok_configuration();
        for (failure, _) in switches::FAILURES {
            // `pending` is what no stage takes up.
            assert_eq!(text.contains(&format!("- {failure}\n")), failure != "pending", "{failure}");
        }
    }
}
