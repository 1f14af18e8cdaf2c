//! What nodes, images and volumes do in the sandbox.
//!
//! Nodes and pods are simulated by KWOK, which is given its behaviour as stages ([`kwok_configuration`]); volumes by
//! [`volumes`]. There is no cloud controller: a service of type `LoadBalancer` stays pending, as in a cluster without
//! one.

pub mod images;
mod nodes;
mod pods;
mod stage;
pub mod switches;
pub mod volumes;

use crate::SandboxContext;

/// KWOK's configuration: one document for each stage.
///
/// Options (which nodes it manages, how it reaches the API server, how long leases last) are left to the flags of the
/// `kwok` command; a document with some options would take the defaults from the others (KWOK 0.8).
#[must_use]
pub fn kwok_configuration() -> String {
    let stages = nodes::stages().into_iter().chain(pods::stages());
    stages
        .map(|stage| serde_norway::to_string(&stage.to_value()).expect("stages are plain JSON"))
        .collect::<Vec<_>>()
        .join("---\n")
}

/// Simulate until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    tokio::select! {
        () = cx.shutdown.cancelled() => {}
        () = volumes::run(cx.client.clone()) => {}
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
        let names: std::collections::BTreeSet<&str> = documents
            .iter()
            .map(|stage| stage["metadata"]["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names.len(), documents.len(), "two stages share a name");
        for stage in &documents {
            assert_eq!(stage["kind"], "Stage");
            let conditions = stage["spec"]["selector"]["matchExpressions"]
                .as_array()
                .expect("conditions");
            assert!(!conditions.is_empty(), "{stage} would apply to everything");
        }
    }

    #[test]
    fn every_failure_that_is_documented_is_simulated() {
        let text = kwok_configuration();
        for (failure, _) in switches::FAILURES {
            // `pending` is what no stage takes up.
            assert_eq!(
                text.contains(&format!("- {failure}\n")),
                failure != "pending",
                "{failure}"
            );
        }
    }
}
