//! The generated definitions against Strimzi's official ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pipectl_kinds::strimzi::crds;
use serde_json::Value;

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn reference() -> Option<PathBuf> {
    let dir = std::env::var_os("PIPECTL_REFERENCE_DIR").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("skipped: PIPECTL_REFERENCE_DIR is not set");
    }
    dir
}

fn official(dir: &Path, strimzi: &str) -> Vec<Value> {
    std::fs::read_dir(dir.join(format!("strimzi-{strimzi}/crds")))
        .expect("official definitions are there")
        .map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            serde_norway::from_str(&text).expect("an official definition parses")
        })
        .collect()
}

fn keys(node: &Value, key: &str) -> BTreeSet<String> {
    match &node[key] {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list.iter().map(ToString::to_string).collect(),
        _ => BTreeSet::new(),
    }
}

fn is_open(node: &Value) -> bool {
    node["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true)
}

/// Every difference between our schema and the official one that would make one of them accept what the other refuses,
/// outside the subtrees that we leave open.
fn differences(path: &str, ours: &Value, theirs: &Value, exact: bool, found: &mut Vec<String>) {
    let mut differ = |what: &str, left: String, right: String| {
        if left != right {
            found.push(format!("{path}: {what} {left}, official {right}"));
        }
    };
    if !is_open(theirs) {
        for key in ["type", "minimum", "maximum", "minItems", "pattern"] {
            // Numbers are compared as text; 1 and 1.0 do not both occur.
            differ(key, ours[key].to_string(), theirs[key].to_string());
        }
        let text = |node| format!("{:?}", keys(node, "enum"));
        differ("enum", text(ours), text(theirs));
    }
    if is_open(theirs) {
        return;
    }
    let (mine, official) = (keys(ours, "properties"), keys(theirs, "properties"));
    for extra in mine.difference(&official) {
        if exact {
            found.push(format!("{path}.{extra}: not in the official definition"));
        }
    }
    if !is_open(ours) {
        for missing in official.difference(&mine) {
            found.push(format!(
                "{path}.{missing}: missing, so a good object would be refused"
            ));
        }
        let (left, right) = (keys(ours, "required"), keys(theirs, "required"));
        if left != right && exact {
            found.push(format!("{path}: requires {left:?}, official {right:?}"));
        }
    }
    for name in mine.intersection(&official) {
        differences(
            &format!("{path}.{name}"),
            &ours["properties"][name],
            &theirs["properties"][name],
            exact,
            found,
        );
    }
    for inner in ["items", "additionalProperties"] {
        if ours[inner].is_object() && theirs[inner].is_object() {
            differences(
                &format!("{path}[]"),
                &ours[inner],
                &theirs[inner],
                exact,
                found,
            );
        }
    }
}

fn compare(strimzi: &str, exact: bool) {
    let Some(dir) = reference() else { return };
    let official = official(&dir, strimzi);
    let mut found = Vec::new();
    for mut ours in crds(strimzi) {
        let name = ours["metadata"]["name"].clone();
        let mut theirs = official
            .iter()
            .find(|crd| crd["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("no official definition of {name}"))
            .clone();
        let columns = |crd: &mut Value| {
            for version in crd["spec"]["versions"].as_array_mut().unwrap() {
                let schema = version
                    .as_object_mut()
                    .unwrap()
                    .shift_remove("schema")
                    .unwrap();
                for column in version["additionalPrinterColumns"].as_array_mut().unwrap() {
                    column.as_object_mut().unwrap().shift_remove("description");
                }
                let at = format!("{name} {}", version["name"]);
                version["schema"] = schema["openAPIV3Schema"].clone();
                version["at"] = at.into();
            }
        };
        columns(&mut ours);
        columns(&mut theirs);
        assert_eq!(ours["metadata"], theirs["metadata"]);
        let versions = |crd: &Value| crd["spec"]["versions"].as_array().unwrap().clone();
        let (mine, official) = (versions(&ours), versions(&theirs));
        assert_eq!(mine.len(), official.len(), "versions of {name}");
        for (mut left, mut right) in mine.into_iter().zip(official) {
            let take =
                |version: &mut Value| version.as_object_mut().unwrap().shift_remove("schema");
            let (ours, theirs) = (take(&mut left).unwrap(), take(&mut right).unwrap());
            assert_eq!(left, right, "names, columns and subresources of {name}");
            differences(
                left["at"].as_str().unwrap(),
                &ours,
                &theirs,
                exact,
                &mut found,
            );
        }
        let without_versions = |crd: &mut Value| {
            crd["spec"]
                .as_object_mut()
                .unwrap()
                .shift_remove("versions");
            crd["spec"].clone()
        };
        assert_eq!(without_versions(&mut ours), without_versions(&mut theirs));
    }
    assert!(found.is_empty(), "Strimzi {strimzi}:\n{}", found.join("\n"));
}

#[test]
fn strimzi_0_47_definitions_equal_the_official_ones_where_modelled() {
    compare("0.47.0", true);
}

#[test]
fn strimzi_1_2_definitions_equal_the_official_ones_where_modelled() {
    compare("1.2.0", true);
}

/// 0.44.0 knows a few fields less than 0.47.0, whose definitions stand for all of v1beta2.
#[test]
fn strimzi_0_44_objects_are_accepted() {
    compare("0.44.0", false);
}

#[test]
fn from_0_49_to_1_0_both_versions_are_served_and_the_old_one_is_stored() {
    for definition in crds("0.49.0") {
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let stored: Vec<&Value> = versions
            .iter()
            .filter(|version| version["storage"] == true)
            .map(|version| &version["name"])
            .collect();
        assert_eq!(stored, ["v1beta2"]);
        assert!(versions.iter().any(|version| version["name"] == "v1"));
    }
}
