//! What is left in the account's graph.

use std::collections::BTreeMap;

use serde_json::Value;

/// All resources of a kind in one service, whatever account and region, by id.
pub fn all<'a>(graph: &'a Value, service: &str, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let mut found = Vec::new();
    let places = || {
        let regions = graph["regions"].as_object().into_iter().flatten();
        let regional = regions.flat_map(|(_, regions)| regions.as_object().into_iter().flatten());
        let accounts = graph["accounts"].as_object().into_iter().flatten();
        regional.chain(accounts)
    };
    for (_, place) in places() {
        if let Some(kinds) = place[service][kind].as_object() {
            found.extend(kinds.iter().map(|(id, one)| (id.as_str(), one)));
        }
    }
    found
}

/// Everything that AWS has not merely kept to be seen for a while: how many of each `service/kind`.
pub fn standing(graph: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let regions = graph["regions"].as_object().into_iter().flatten();
    let regional = regions.flat_map(|(_, regions)| regions.as_object().into_iter().flatten());
    let accounts = graph["accounts"].as_object().into_iter().flatten();
    for (_, place) in regional.chain(accounts) {
        for (service, kinds) in place.as_object().into_iter().flatten() {
            for (kind, all) in kinds.as_object().into_iter().flatten() {
                let Some(all) = all.as_object() else { continue };
                let stands = all.values().filter(|one| !is_kept(kind, one)).count();
                if stands > 0 {
                    *counts.entry(format!("{service}/{kind}")).or_default() += stands;
                }
            }
        }
    }
    counts
}

/// Whether AWS shows something for a while although it is gone: a terminated instance, a deleted NAT gateway, a key that waits for
/// its deletion.
fn is_kept(kind: &str, one: &Value) -> bool {
    match kind {
        "instances" => one["state"] == "terminated",
        "nat_gateways" => one["state"] == "deleted" || one["state"] == "failed",
        "keys" => !one["deletion"].is_null(),
        _ => false,
    }
}
