//! What differs between an object as wanted and as it is, field by field, for plans.

use serde_json::Value;

use super::owned_fields::{leaves, lookup};
use crate::{
    ports::objects::ObjectRef,
    step::{Change, Difference},
};

/// Longest value text in a difference; the rest is cut.
const LONGEST: usize = 120;

/// The fields in which `live` is not as `wanted`, with those that are ours and not wanted any more. Values of Secrets
/// are never shown.
#[must_use]
pub fn differences(wanted: &Value, live: &Value) -> Vec<Difference> {
    let at = ObjectRef::of(wanted);
    let mut found = Vec::new();
    compare("", wanted, live, &mut found);
    for (path, keys, value) in leaves(live) {
        if lookup(wanted, &keys).is_none() {
            found.push((path, Some(value), None));
        }
    }
    let hidden = at.kind.kind == "Secret" && at.kind.group.is_empty();
    let show = |path: &str, value: Option<Value>| {
        value.map(|value| {
            if hidden && (path.starts_with("data") || path.starts_with("stringData")) {
                "(hidden)".to_owned()
            } else {
                text(&value)
            }
        })
    };
    found
        .into_iter()
        .map(|(path, live, wanted)| Difference {
            resource: at.to_string(),
            live: show(&path, live),
            wanted: show(&path, wanted),
            field: Some(path),
            change: Change::Updated,
        })
        .collect()
}

type Found = Vec<(String, Option<Value>, Option<Value>)>;

fn compare(path: &str, wanted: &Value, live: &Value, found: &mut Found) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (key, part) in wanted {
                if part.is_null() || (path.is_empty() && (key == "apiVersion" || key == "status")) {
                    continue;
                }
                let below = join(path, key);
                match live.get(key) {
                    Some(other) => compare(&below, part, other, found),
                    None if is_nothing(part) => {}
                    None => found.push((below, None, Some(part.clone()))),
                }
            }
        }
        (Value::Array(wanted_items), Value::Array(live_items)) => {
            let named = |items: &[Value]| {
                !items.is_empty() && items.iter().all(|item| item["name"].is_string())
            };
            if named(wanted_items) {
                for item in wanted_items {
                    let name = item["name"].as_str().unwrap_or_default();
                    let below = format!("{path}[{name}]");
                    match live_items
                        .iter()
                        .find(|other| other["name"] == item["name"])
                    {
                        Some(other) => compare(&below, item, other, found),
                        None => found.push((below, None, Some(item.clone()))),
                    }
                }
            } else if wanted_items.len() == live_items.len() {
                for (index, (part, other)) in wanted_items.iter().zip(live_items).enumerate() {
                    compare(&format!("{path}[{index}]"), part, other, found);
                }
            } else {
                found.push((path.to_owned(), Some(live.clone()), Some(wanted.clone())));
            }
        }
        _ if wanted == live || same_amount(wanted, live) => {}
        _ => found.push((path.to_owned(), Some(live.clone()), Some(wanted.clone()))),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// An empty container says nothing that the API server would keep.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether two values are the same amount in other words: the API server keeps `1000m` as `1`.
pub(crate) fn same_amount(left: &Value, right: &Value) -> bool {
    matches!((amount(left), amount(right)), (Some(left), Some(right)) if left == right)
}

/// A Kubernetes quantity in thousandths.
fn amount(value: &Value) -> Option<u128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u128 = text[..digits].parse().ok()?;
    let factor = match &text[digits..] {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000u128.pow(2),
        "G" => 1000 * 1000u128.pow(3),
        "T" => 1000 * 1000u128.pow(4),
        "Ki" => 1000 * 1024,
        "Mi" => 1000 * 1024u128.pow(2),
        "Gi" => 1000 * 1024u128.pow(3),
        "Ti" => 1000 * 1024u128.pow(4),
        _ => return None,
    };
    number.checked_mul(factor)
}

fn text(value: &Value) -> String {
    let full = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if full.chars().count() <= LONGEST {
        return full;
    }
    full.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(differences: &[Difference]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        differences
            .iter()
            .map(|difference| {
                (
                    difference.field.as_deref().unwrap_or_default(),
                    difference.live.as_deref(),
                    difference.wanted.as_deref(),
                )
            })
            .collect()
    }

    #[test]
    fn changed_values_are_named_by_their_path() {
        let wanted = json!({"kind": "KafkaTopic", "metadata": {"name": "t"},
            "spec": {"config": {"retention.ms": 600_000}, "partitions": 3}});
        let live = json!({"kind": "KafkaTopic", "metadata": {"name": "t", "uid": "1"},
            "spec": {"config": {"retention.ms": 3_600_000}, "partitions": 3}, "status": {}});
        assert_eq!(
            fields(&differences(&wanted, &live)),
            [("spec.config.retention.ms", Some("3600000"), Some("600000"))]
        );
    }

    #[test]
    fn equal_amounts_and_added_defaults_are_no_difference() {
        let wanted = json!({"kind": "Deployment", "spec": {"containers": [
            {"name": "was", "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}, "env": []}]}});
        let live = json!({"kind": "Deployment", "spec": {"containers": [
            {"name": "was", "imagePullPolicy": "Always", "resources": {"limits": {"cpu": "1", "memory": "1024Mi"}}}]}});
        assert_eq!(fields(&differences(&wanted, &live)), []);
    }

    #[test]
    fn what_is_ours_and_not_wanted_any_more_shows() {
        let wanted = json!({"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
        let live = json!({"kind": "Service", "metadata": {"name": "s", "managedFields": [
            {"manager": "pipectl", "operation": "Apply", "fieldsV1": {"f:spec": {
                "f:type": {},
                "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}
            }}}]},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        assert_eq!(
            fields(&differences(&wanted, &live)),
            [("spec.type", Some("NodePort"), None)]
        );
    }

    #[test]
    fn secret_values_are_never_shown() {
        let wanted = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"k": "bmV3"}});
        let live = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"k": "b2xk"}});
        assert_eq!(
            fields(&differences(&wanted, &live)),
            [("data.k", Some("(hidden)"), Some("(hidden)"))]
        );
    }
}
