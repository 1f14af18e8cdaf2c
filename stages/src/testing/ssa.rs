//! Server-side apply in small: merging, ownership trees, fields that their owner lets go.
//!
//! Lists of objects with names merge by name and lists of ports by port; every other list is one value, as the API
//! server treats atomic lists.

use serde_json::{Map, Value, json};

/// The ownership tree (`fieldsV1`) of an applied object.
#[must_use]
pub fn ownership(applied: &Value) -> Value {
    let mut tree = tree_of(applied);
    if let Some(tree) = tree.as_object_mut() {
        for key in ["f:apiVersion", "f:kind"] {
            tree.remove(key);
        }
        if let Some(metadata) = tree.get_mut("f:metadata").and_then(Value::as_object_mut) {
            for key in ["f:name", "f:namespace", "f:uid", "f:managedFields"] {
                metadata.remove(key);
            }
        }
    }
    tree
}

fn item_key(item: &Value) -> Option<Value> {
    if let Some(name) = item.get("name") {
        return Some(json!({"name": name}));
    }
    let port = item.get("port").map(|port| ("port", port));
    let port = port.or_else(|| {
        item.get("containerPort")
            .map(|port| ("containerPort", port))
    });
    port.map(|(key, port)| json!({key: port, "protocol": item.get("protocol").cloned().unwrap_or(json!("TCP"))}))
}

fn mergeable(items: &[Value]) -> bool {
    !items.is_empty()
        && items
            .iter()
            .all(|item| item.is_object() && item_key(item).is_some())
}

fn tree_of(value: &Value) -> Value {
    let mut tree = Map::new();
    match value {
        Value::Object(map) => {
            for (key, part) in map {
                tree.insert(format!("f:{key}"), tree_of(part));
            }
        }
        Value::Array(items) if mergeable(items) => {
            for item in items {
                let mut below = tree_of(item);
                below["."] = json!({});
                tree.insert(format!("k:{}", item_key(item).unwrap_or_default()), below);
            }
        }
        _ => {}
    }
    Value::Object(tree)
}

/// Lays an applied object on the live one.
pub fn merge(live: &mut Value, applied: &Value) {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            for (key, part) in applied {
                merge(live.entry(key.clone()).or_insert(Value::Null), part);
            }
        }
        (Value::Array(live), Value::Array(applied)) if mergeable(applied) && mergeable(live) => {
            for item in applied {
                let same = live
                    .iter_mut()
                    .find(|other| item_key(other) == item_key(item));
                match same {
                    Some(other) => merge(other, item),
                    None => live.push(item.clone()),
                }
            }
        }
        (live, applied) => *live = applied.clone(),
    }
}

/// Whether an applied object gives a value that is there another one: enough of a conflict where nothing is ours yet.
#[must_use]
pub fn conflicts(live: &Value, applied: &Value) -> bool {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => applied
            .iter()
            .any(|(key, part)| live.get(key).is_some_and(|live| conflicts(live, part))),
        (live, applied) => live != applied,
    }
}

/// Removes from a live object what its owner owned before and does not apply any more.
pub fn let_go(live: &mut Value, before: &Value, now: &Value) {
    let Some(before) = before.as_object() else {
        return;
    };
    for (key, below) in before {
        let Some((sort, rest)) = key.split_once(':') else {
            continue;
        };
        let still = now.get(key);
        match sort {
            "f" => match still {
                None => {
                    if let Some(map) = live.as_object_mut() {
                        map.shift_remove(rest);
                    }
                }
                Some(still) => {
                    if let Some(part) = live.get_mut(rest) {
                        let_go(part, below, still);
                    }
                }
            },
            "k" => {
                let wanted: Value = serde_json::from_str(rest).unwrap_or_default();
                let Some(items) = live.as_array_mut() else {
                    continue;
                };
                match still {
                    None => items.retain(|item| item_key(item).as_ref() != Some(&wanted)),
                    Some(still) => {
                        let same = items
                            .iter_mut()
                            .find(|item| item_key(item).as_ref() == Some(&wanted));
                        if let Some(item) = same {
                            let_go(item, below, still);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_applied_any_more_goes_and_what_others_set_stays() {
        let first = json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}, "spec": {"list": [{"name": "p", "v": 1}]}});
        let second = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"list": [{"name": "q", "v": 1}]}});
        let mut live = json!({});
        merge(&mut live, &first);
        live["metadata"]["labels"]["other"] = json!("3");
        let_go(&mut live, &ownership(&first), &ownership(&second));
        merge(&mut live, &second);
        assert_eq!(live["metadata"]["labels"], json!({"x": "1", "other": "3"}));
        assert_eq!(live["spec"]["list"], json!([{"name": "q", "v": 1}]));
    }
}
