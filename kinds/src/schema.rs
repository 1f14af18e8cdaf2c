//! From a Rust type to a structural OpenAPI v3 schema as CustomResourceDefinitions require it.
//!
//! Kubernetes accepts a subset of OpenAPI: every node has a type, no references, no `oneOf` of whole types, no
//! `nullable` where absence is meant ("Specifying a structural schema", Kubernetes documentation). What schemars makes
//! of options, enums and formats is brought into that form here.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Keywords that carry nothing a structural schema may or should say.
const DROPPED: [&str; 6] = [
    "$schema",
    "title",
    "default",
    "format",
    "nullable",
    "components",
];

/// The structural schema of `T`.
#[must_use]
pub fn structural<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::openapi3()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// Brings one node, and everything below it, into structural form.
fn tidy(node: &mut Value) {
    let Value::Object(map) = node else { return };
    for key in DROPPED {
        map.remove(key);
    }
    collapse_option(map);
    collapse_variants(map);
    if let Some(Value::Array(types)) = map.get("type") {
        let named = types.iter().find(|t| t.as_str() != Some("null")).cloned();
        if let Some(named) = named {
            map.insert("type".into(), named);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for key in ["properties", "patternProperties"] {
        if let Some(Value::Object(children)) = map.get_mut(key) {
            children.values_mut().for_each(tidy);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            tidy(child);
        }
    }
}

/// `anyOf: [X, null]` and `allOf: [X]` become X: an absent field is simply not required.
fn collapse_option(map: &mut Map<String, Value>) {
    // The form of integers or strings is the one use of `anyOf` that structural schemas know.
    if map.contains_key("x-kubernetes-int-or-string") {
        return;
    }
    for key in ["anyOf", "allOf"] {
        let Some(Value::Array(parts)) = map.remove(key) else {
            continue;
        };
        let real: Vec<Value> = parts
            .into_iter()
            .filter(|part| !is_null_type(part))
            .collect();
        for part in real {
            if let Value::Object(inner) = part {
                for (name, value) in inner {
                    map.entry(name).or_insert(value);
                }
            }
        }
        for dropped in DROPPED {
            map.remove(dropped);
        }
    }
}

fn is_null_type(part: &Value) -> bool {
    part.get("type").and_then(Value::as_str) == Some("null")
        || part.get("const").is_some_and(Value::is_null)
        || part.get("enum") == Some(&json!([null]))
        || (part.get("nullable").is_some() && part.as_object().is_some_and(|map| map.len() == 1))
}

/// An enum whose variants carry descriptions arrives as `oneOf` of single values; it becomes one `enum`.
fn collapse_variants(map: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = map.get("oneOf") else {
        return;
    };
    let mut values = Vec::new();
    for variant in variants {
        if let Some(value) = variant.get("const") {
            values.push(value.clone());
        } else if let Some(Value::Array(some)) = variant.get("enum") {
            values.extend(some.iter().cloned());
        } else if !is_null_type(variant) {
            // Not a plain enum: left as it is.
            return;
        }
    }
    map.remove("oneOf");
    map.insert("type".into(), json!("string"));
    map.insert("enum".into(), Value::Array(values));
}

/// A subtree that is not modelled: any object.
pub fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of subtrees that are not modelled.
pub fn open_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    })
}

/// A map of strings.
pub fn string_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": {"type": "string"}})
}

/// A Kubernetes quantity, in a number or in text (`500m`, `1Gi`).
#[must_use]
pub fn quantity() -> Value {
    json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        "x-kubernetes-int-or-string": true
    })
}

/// A map from resource name to quantity.
pub fn quantity_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": quantity()})
}

/// The node at `path` (field names joined by dots; lists are stepped through), if the schema has it.
#[must_use]
pub fn node<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut current = schema;
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        while current.get("items").is_some() {
            current = current.get_mut("items")?;
        }
        current = current.get_mut("properties")?.get_mut(segment)?;
    }
    Some(current)
}

/// Removes the field at `path` from the schema, and from the required fields of its parent.
///
/// # Panics
/// When there is no such field: the caller's list is out of date.
pub fn remove_field(schema: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = node(schema, parent).unwrap_or_else(|| panic!("no schema node {parent}"));
    while at.get("items").is_some() {
        at = at.get_mut("items").expect("just seen");
    }
    at.get_mut("properties")
        .and_then(Value::as_object_mut)
        .and_then(|fields| fields.shift_remove(name))
        .unwrap_or_else(|| panic!("no schema field {path}"));
    if let Some(Value::Array(required)) = at.get_mut("required") {
        required.retain(|field| field.as_str() != Some(name));
    }
}

/// Takes values out of the enum at `path`.
///
/// # Panics
/// When there is no enum: the caller's list is out of date.
pub fn remove_values(schema: &mut Value, path: &str, values: &[&str]) {
    let Some(Value::Array(all)) = node(schema, path).and_then(|node| node.get_mut("enum")) else {
        panic!("no enum at {path}");
    };
    all.retain(|value| !values.iter().any(|gone| value.as_str() == Some(gone)));
}

/// Makes the field at `path` required.
///
/// # Panics
/// When the parent is not in the schema.
pub fn require(schema: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = node(schema, parent).unwrap_or_else(|| panic!("no schema node {parent}"));
    while at.get("items").is_some() {
        at = at.get_mut("items").expect("just seen");
    }
    let map = at.as_object_mut().expect("schema nodes are objects");
    if let Some(required) = map
        .entry("required")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        && !required.iter().any(|field| field.as_str() == Some(name))
    {
        required.push(json!(name));
    }
}

/// Adds a CEL rule to the node at `path`.
///
/// # Panics
/// When the node is not in the schema.
pub fn rule(schema: &mut Value, path: &str, rule: &str, message: &str) {
    let at = node(schema, path).unwrap_or_else(|| panic!("no schema node {path}"));
    let rules = at
        .as_object_mut()
        .expect("schema nodes are objects")
        .entry("x-kubernetes-validations")
        .or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({"rule": rule, "message": message}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// A colour
        /// of two.
        colour: Option<Colour>,
        /// Nested.
        inner: Option<Inner>,
        list: Vec<Inner>,
        count: Option<i32>,
    }

    #[derive(Deserialize, JsonSchema)]
    enum Colour {
        /// Red.
        Red,
        /// Blue.
        Blue,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        #[schemars(range(min = 1))]
        size: i32,
    }

    #[test]
    fn options_enums_and_formats_become_structural() {
        let schema = structural::<Sample>();
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {
                    "colour": {"description": "A colour of two.", "type": "string", "enum": ["Red", "Blue"]},
                    "inner": {
                        "description": "Nested.", "type": "object",
                        "properties": {"size": {"type": "integer", "minimum": 1}}, "required": ["size"]
                    },
                    "list": {"type": "array", "items": {
                        "type": "object",
                        "properties": {"size": {"type": "integer", "minimum": 1}}, "required": ["size"]
                    }},
                    "count": {"type": "integer"}
                },
                "required": ["list"]
            })
        );
    }

    #[test]
    fn edits_reach_through_lists() {
        let mut schema = structural::<Sample>();
        remove_field(&mut schema, "list.size");
        remove_values(&mut schema, "colour", &["Red"]);
        assert_eq!(
            schema["properties"]["list"]["items"]["properties"],
            json!({})
        );
        assert_eq!(schema["properties"]["list"]["items"]["required"], json!([]));
        assert_eq!(schema["properties"]["colour"]["enum"], json!(["Blue"]));
    }
}
