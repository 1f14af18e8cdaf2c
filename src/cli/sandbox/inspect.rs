//! `pipectl sandbox inspect`: everything that there is in the simulated AWS.

use pipectl_sandbox::Sandbox;
use serde_json::Value;

use super::{super::args::DataFormat, Output};
use crate::{exit::Exit, failure::Failure};

/// Shows it: a line a resource, or the raw graph.
pub(super) async fn run(
    sandbox: &Sandbox,
    format: DataFormat,
    output: Output,
) -> Result<Exit, Failure> {
    let graph = sandbox.inspect_aws().await?;
    if format != DataFormat::Text {
        output.data(format, &graph);
        return Ok(Exit::Ok);
    }
    let mut lines = Vec::new();
    for (account, services) in members(&graph["accounts"]) {
        resources(&format!("{account}  global"), services, &mut lines);
    }
    for (account, regions) in members(&graph["regions"]) {
        for (region, services) in members(regions) {
            resources(&format!("{account}  {region}"), services, &mut lines);
        }
    }
    for line in &lines {
        output.line(line);
    }
    if lines.is_empty() {
        output.note("there is nothing in any account");
    }
    Ok(Exit::Ok)
}

/// Members of an object, none of anything else.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A line for every resource of the services of one account and region.
fn resources(place: &str, services: &Value, lines: &mut Vec<String>) {
    for (service, families) in members(services) {
        for (family, found) in members(families) {
            for (id, one) in members(found) {
                let state = ["state", "status", "lifecycle"]
                    .into_iter()
                    .find_map(|key| one.get(key)?.as_str());
                let state = state.map(|state| format!("  {state}")).unwrap_or_default();
                lines.push(format!("{place}  {service:<5} {family:<22} {id}{state}"));
            }
        }
    }
}
