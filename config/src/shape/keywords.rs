//! What a schema's keywords say, and the words for it.

use crate::{
    units::{Period, Size},
    yaml::Path,
};
use serde_json::Value;

/// Whether a schema takes any JSON.
pub(super) fn is_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(value) => *value,
        Value::Object(object) => !["type", "const", "enum", "properties"]
            .iter()
            .any(|key| object.contains_key(*key)),
        _ => false,
    }
}

pub(super) fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

/// The words that the alternatives allow.
pub(super) fn choices<'a>(alternatives: &[&'a Value]) -> Vec<&'a str> {
    alternatives
        .iter()
        .flat_map(|schema| {
            let list = schema
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            schema.get("const").into_iter().chain(list)
        })
        .filter_map(Value::as_str)
        .collect()
}

/// The key of a mapping with one required and no other key.
pub(super) fn variant_key(schema: &Value) -> Option<&str> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match required[..] {
        [ref key] if properties.len() == 1 => key.as_str(),
        _ => None,
    }
}

/// What a schema takes, with an article.
pub(super) fn kind_of(schema: &Value) -> String {
    for (name, words) in [
        ("object", "a mapping"),
        ("array", "a list"),
        ("integer", "a whole number"),
        ("number", "a number"),
        ("boolean", "true or false"),
    ] {
        if has_type(schema, name) {
            return words.to_owned();
        }
    }
    match schema.get("format").and_then(Value::as_str) {
        Some(Period::FORMAT) => "a duration such as 10m".to_owned(),
        Some(Size::FORMAT) => "a size such as 10Gi".to_owned(),
        _ => "a text".to_owned(),
    }
}

pub(super) fn name_of(path: &Path) -> String {
    if path.segments().is_empty() {
        "the file".to_owned()
    } else {
        format!("'{path}'")
    }
}

pub(super) fn last_key(path: &Path) -> String {
    path.segments().last().map_or_else(String::new, |segment| {
        Path::new(vec![segment.clone()]).to_string()
    })
}

pub(super) fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}

pub(super) fn first_sentence(text: &str) -> &str {
    text.split_once(". ")
        .map_or(text, |(first, _)| first)
        .trim_end_matches('.')
}

pub(super) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        // An abbreviation keeps its capitals.
        Some(first)
            if characters
                .as_str()
                .starts_with(|next: char| next.is_uppercase()) =>
        {
            format!("{first}{}", characters.as_str())
        }
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
