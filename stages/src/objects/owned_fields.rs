//! The values of the fields that are ours in a live object.
//!
//! The API server writes into `metadata.managedFields` which manager owns which field, as a tree whose keys are
//! `f:NAME` (a field), `k:{...}` (a list item by its key fields), `v:VALUE` (an item of a set), `i:INDEX` (a list item
//! by position) and `.` (the container itself); an empty tree is a leaf, owned with everything below it
//! (Kubernetes API reference, `FieldsV1`). Comparing only these values tells whether somebody changed what is ours and
//! stays silent about what controllers and defaults add.

use serde_json::{Map, Value};

use super::{digest::digest, ownership::FIELD_MANAGER};

/// The values of the fields that our manager applied, in the shape of the ownership tree; `None` when our manager
/// owns nothing of the object.
#[must_use]
pub fn owned_fields(object: &Value) -> Option<Value> {
    let mut found: Option<Map<String, Value>> = None;
    for entry in object["metadata"]["managedFields"].as_array()? {
        let ours = entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry["subresource"].as_str().unwrap_or_default().is_empty();
        if !ours {
            continue;
        }
        if let Value::Object(values) = extract(&entry["fieldsV1"], Some(object)) {
            found.get_or_insert_default().extend(values);
        }
    }
    found.map(Value::Object)
}

/// Digest of [`owned_fields`]; empty when nothing is ours.
#[must_use]
pub fn owned_digest(object: &Value) -> String {
    owned_fields(object).map_or_else(String::new, |fields| digest(&fields))
}

/// Every leaf that is ours in a live object: its path for a person, the ownership keys that lead to it, its value.
#[must_use]
pub fn leaves(object: &Value) -> Vec<(String, Vec<String>, Value)> {
    let mut found = Vec::new();
    if let Some(fields) = owned_fields(object) {
        collect_leaves(&fields, &mut Vec::new(), &mut found);
    }
    found
}

fn collect_leaves(
    values: &Value,
    keys: &mut Vec<String>,
    found: &mut Vec<(String, Vec<String>, Value)>,
) {
    let children = values
        .as_object()
        .filter(|map| !map.is_empty() && map.keys().all(|key| is_ownership_key(key)));
    let Some(children) = children else {
        let path = keys.iter().filter_map(|key| key.split_once(':')).fold(
            String::new(),
            |mut path, (sort, rest)| {
                if sort == "f" {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(rest);
                } else {
                    path.push('[');
                    path.push_str(rest);
                    path.push(']');
                }
                path
            },
        );
        found.push((path, keys.clone(), values.clone()));
        return;
    };
    for (key, below) in children {
        if key == "." {
            continue;
        }
        keys.push(key.clone());
        collect_leaves(below, keys, found);
        keys.pop();
    }
}

fn is_ownership_key(key: &str) -> bool {
    key == "."
        || ["f:", "k:", "v:", "i:"]
            .iter()
            .any(|sort| key.starts_with(sort))
}

/// What stands in an object *as wanted* where ownership keys lead. List items match by those of their key fields that
/// are written there, since the API server fills in defaults (`protocol: TCP`).
#[must_use]
pub fn lookup<'a>(wanted: &'a Value, keys: &[String]) -> Option<&'a Value> {
    keys.iter().try_fold(wanted, |value, key| {
        let Some(item_key) = key.strip_prefix("k:") else {
            return step_into(value, key);
        };
        let parts: Map<String, Value> = serde_json::from_str(item_key).ok()?;
        value.as_array()?.iter().find(|item| {
            let written = || {
                parts
                    .iter()
                    .filter_map(|(name, part)| Some((part, item.get(name)?)))
            };
            written().count() > 0 && written().all(|(part, own)| part == own)
        })
    })
}

fn extract(tree: &Value, value: Option<&Value>) -> Value {
    let children = tree.as_object().filter(|children| !children.is_empty());
    let Some(children) = children else {
        return value.cloned().unwrap_or(Value::Null);
    };
    let mut values = Map::new();
    for (key, subtree) in children {
        if key == "." {
            // The container's own existence: told by whether there is a value at all.
            values.insert(key.clone(), Value::Bool(value.is_some()));
            continue;
        }
        values.insert(
            key.clone(),
            extract(subtree, value.and_then(|value| step_into(value, key))),
        );
    }
    Value::Object(values)
}

fn step_into<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let (sort, rest) = key.split_once(':')?;
    match sort {
        "f" => value.get(rest),
        "k" => {
            let wanted: Map<String, Value> = serde_json::from_str(rest).ok()?;
            value.as_array()?.iter().find(|item| {
                wanted
                    .iter()
                    .all(|(name, part)| item.get(name) == Some(part))
            })
        }
        "v" => {
            let wanted: Value = serde_json::from_str(rest).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        "i" => value.as_array()?.get(rest.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({
            "metadata": {
                "name": "was",
                "labels": {"app": "was", "added-by-other": "yes"},
                "finalizers": ["a/b", "c/d"],
                "managedFields": [
                    {"manager": "pipectl", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {
                            "f:labels": {"f:app": {}},
                            "f:finalizers": {"v:\"c/d\"": {}}
                        },
                        "f:spec": {
                            "f:replicas": {},
                            "f:template": {"f:spec": {"f:containers": {
                                "k:{\"name\":\"was\"}": {
                                    ".": {},
                                    "f:name": {},
                                    "f:args": {},
                                    "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}
                                }
                            }}}
                        }
                    }},
                    {"manager": "pipectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                    {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                     "fieldsV1": {"f:status": {"f:readyReplicas": {}}}}
                ]
            },
            "spec": {
                "replicas": 2,
                "paused": true,
                "revisionHistoryLimit": 10,
                "template": {"spec": {"containers": [
                    {"name": "sidecar", "args": ["no"]},
                    {"name": "was", "args": ["x", "y"], "imagePullPolicy": "Always",
                     "ports": [{"containerPort": 8080, "protocol": "TCP"}]}
                ]}}
            },
            "status": {"readyReplicas": 2}
        })
    }

    #[test]
    fn only_what_our_manager_applied_is_taken() {
        let fields = owned_fields(&deployment()).unwrap();
        assert_eq!(
            fields,
            json!({
                "f:metadata": {
                    "f:labels": {"f:app": "was"},
                    "f:finalizers": {"v:\"c/d\"": "c/d"}
                },
                "f:spec": {
                    "f:replicas": 2,
                    "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"was\"}": {
                            ".": true,
                            "f:name": "was",
                            "f:args": ["x", "y"],
                            "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": true, "f:containerPort": 8080}}
                        }
                    }}}
                }
            })
        );
    }

    #[test]
    fn what_others_add_does_not_change_the_digest_and_what_they_change_of_ours_does() {
        let before = owned_digest(&deployment());
        let mut other = deployment();
        other["status"]["readyReplicas"] = json!(1);
        other["spec"]["revisionHistoryLimit"] = json!(3);
        other["metadata"]["resourceVersion"] = json!("99");
        assert_eq!(owned_digest(&other), before);
        other["spec"]["replicas"] = json!(5);
        assert_ne!(owned_digest(&other), before);
    }

    #[test]
    fn a_removed_item_and_a_lost_ownership_show() {
        let before = owned_digest(&deployment());
        let mut gone = deployment();
        gone["spec"]["template"]["spec"]["containers"] = json!([]);
        assert_ne!(owned_digest(&gone), before);
        let mut taken = deployment();
        taken["metadata"]["managedFields"][0]["manager"] = json!("kubectl");
        assert_eq!(owned_fields(&taken), None);
        assert_eq!(owned_digest(&taken), "");
    }
}
