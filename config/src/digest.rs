//! A pipeline's fingerprint.

use crate::{loaded::Loaded, model::Pipeline};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Writes a value with sorted keys and without blanks, so that equal values have equal texts.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<(&String, &Value)> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (position, (key, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// The SHA-256 of a value's canonical text, as `sha256:` and 64 hexadecimal digits: equal for equal values, whatever the order of
/// their keys.
pub fn digest_of(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    let hash = Sha256::digest(text.as_bytes());
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Protects texts that look like substitutions of ours.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${") => {
            *text = crate::substitute::escaped(text);
        }
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(object) => object.values_mut().for_each(escape),
        _ => {}
    }
}

impl Pipeline {
    /// The pipeline as JSON, every default written out.
    pub fn to_value(&self) -> Value {
        // Every map has text keys and every number is finite, so that this cannot fail.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The pipeline as a pipeline file, every default written out. Loading it gives the same pipeline.
    pub fn to_yaml(&self) -> String {
        let mut value = self.to_value();
        // What looks like a substitution by now is meant as it stands; the kafka section has none.
        if let Some(sections) = value.get_mut("spec").and_then(Value::as_object_mut) {
            sections
                .iter_mut()
                .filter(|(name, _)| *name != "kafka")
                .for_each(|(_, section)| escape(section));
        }
        // A JSON value always has a YAML form.
        serde_norway::to_string(&value).unwrap_or_default()
    }

    /// The pipeline's fingerprint: the same for the same declarations, however the file is written.
    pub fn digest(&self) -> String {
        digest_of(&self.to_value())
    }
}

impl Loaded {
    /// The fingerprint of the pipeline with the manifests and program files that it names. Secret values are not part of it.
    pub fn digest(&self) -> String {
        let objects = |list: &[crate::ManifestObject]| -> Vec<Value> {
            list.iter().map(crate::ManifestObject::to_value).collect()
        };
        let workloads: Vec<Value> = self
            .workloads
            .iter()
            .map(|(name, list)| serde_json::json!([name, objects(list)]))
            .collect();
        let applications: Vec<Value> = self
            .applications
            .iter()
            .map(|(name, list)| serde_json::json!([name, objects(list), self.code.get(name)]))
            .collect();
        digest_of(&serde_json::json!({
            "pipeline": self.pipeline.to_value(),
            "workloads": workloads,
            "applications": applications,
            "zookeeper": objects(&self.zookeeper),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::digest_of;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_anything_else_does() {
        assert_eq!(
            digest_of(&json!({"a": 1, "b": [1, 2]})),
            digest_of(&json!({"b": [1, 2], "a": 1}))
        );
        assert_ne!(
            digest_of(&json!({"a": [1, 2]})),
            digest_of(&json!({"a": [2, 1]}))
        );
        assert_ne!(digest_of(&json!({"a": "1"})), digest_of(&json!({"a": 1})));
        assert_eq!(
            digest_of(&json!({})),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
