//! What an environment offers a person: its endpoints and what to try next, from its pipeline.

use pipectl_config::Loaded;
use pipectl_state::EnvironmentState;

use crate::engine::event::Endpoint;

/// The pipeline that an environment was last brought up with.
#[must_use]
pub fn recorded_pipeline(state: &EnvironmentState) -> Option<Loaded> {
    Loaded::from_record(state.pipeline.as_ref()?)
}

/// The addresses that a person wants: Kafka's bootstrap, and services open to the outside.
#[must_use]
pub fn endpoints(loaded: &Loaded) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    let mut say = |label: &str, address: String| {
        endpoints.push(Endpoint {
            label: label.to_owned(),
            address,
        });
    };
    if let Some(kafka) = &loaded.pipeline.spec.kafka {
        say("bootstrap", kafka.bootstrap_address());
    }
    for workload in &loaded.pipeline.spec.workloads {
        for object in loaded.workload_objects(&workload.name) {
            let value = object.to_value();
            if object.kind() != "Service" || value["spec"]["type"] != "NodePort" {
                continue;
            }
            for port in value["spec"]["ports"].as_array().into_iter().flatten() {
                if let Some(port) = port["nodePort"].as_u64() {
                    say(&workload.name, format!("http://<node>:{port}"));
                }
            }
        }
    }
    endpoints
}

/// Commands worth trying after an `up`; `up` is the one that does the same again.
#[must_use]
pub fn next(up: &str, environment: &str) -> Vec<String> {
    vec![
        format!("pipectl status {environment}"),
        up.to_owned(),
        format!("pipectl down {environment}"),
    ]
}
