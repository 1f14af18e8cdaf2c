//! Keeps secret values out of what is written down, said or quoted.
//!
//! One set of secrets for a whole run: whoever reads a secret registers it, and journal, events and quoted words of other
//! programs then show `‹secret NAME›` in its place.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Values shorter than this are replaced only where they are a whole text, not inside of longer ones: a password
/// `a1` would otherwise garble every identifier.
const SHORTEST_WITHIN: usize = 6;

/// Lines of a secret of several lines (a key file) count by themselves from this length on.
const SHORTEST_LINE: usize = 8;

/// The secret values that must not be written, by name. Clones share the set.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Arc<RwLock<Vec<Form>>>,
}

/// One text by which a secret could appear.
struct Form {
    name: String,
    text: String,
    /// Whether it counts within longer texts.
    within: bool,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set()
            .entries(forms.iter().map(|form| &form.name))
            .finish()
    }
}

impl Redactor {
    /// A redactor that knows no secret.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `value` is replaced by `‹secret NAME›`: as it is, without surrounding blanks and line ends, in
    /// Base64 (as Kubernetes keeps secrets), and, if it has several lines, line by line. An empty value is no secret.
    pub fn register(&self, name: &str, value: &str) {
        let trimmed = value.trim();
        if trimmed.is_empty() {
            return;
        }
        let mut texts = vec![
            value.to_owned(),
            trimmed.to_owned(),
            STANDARD.encode(value),
            STANDARD.encode(trimmed),
        ];
        // The frame lines of a PEM file are the same in every file.
        let lines = trimmed.lines().map(str::trim);
        texts.extend(
            lines
                .filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"))
                .map(str::to_owned),
        );
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            if !forms.iter().any(|form| form.text == text) {
                let within = text.len() >= SHORTEST_WITHIN;
                forms.push(Form {
                    name: name.to_owned(),
                    text,
                    within,
                });
            }
        }
        // Longer ones first, so that a secret that contains another is replaced whole.
        forms.sort_by(|a, b| {
            b.text
                .len()
                .cmp(&a.text.len())
                .then_with(|| a.name.cmp(&b.name))
        });
    }

    /// The name of a registered secret whose value stands in `text`.
    pub fn find(&self, text: &str) -> Option<String> {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms
            .iter()
            .find(|form| form.stands_in(text))
            .map(|form| form.name.clone())
    }

    /// `text` with every secret replaced.
    pub fn text(&self, text: &str) -> String {
        let mut redacted = text.to_owned();
        self.in_text(&mut redacted);
        redacted
    }

    /// Replaces every secret in a text.
    pub fn in_text(&self, text: &mut String) {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        for form in forms.iter().filter(|form| !form.text.is_empty()) {
            if form.stands_in(text) {
                *text = text.replace(&form.text, &format!("‹secret {}›", form.name));
            }
        }
    }

    /// Replaces every secret in the texts of a JSON value, keys included.
    pub fn in_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.in_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.in_value(item)),
            Value::Object(fields) => {
                if fields.keys().any(|key| self.find(key).is_some()) {
                    *fields = std::mem::take(fields)
                        .into_iter()
                        .map(|(key, value)| (self.text(&key), value))
                        .collect();
                }
                fields.values_mut().for_each(|field| self.in_value(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether no secret is known.
    pub fn is_empty(&self) -> bool {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.is_empty()
    }

    /// Whether this, apart from blanks around it, is a secret's value.
    pub fn knows(&self, value: &str) -> bool {
        let value = value.trim();
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.iter().any(|form| form.text == value)
    }

    /// The name of a registered secret whose value stands in a text of a JSON value, keys included.
    pub fn find_in_value(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => self.find(text),
            Value::Array(items) => items.iter().find_map(|item| self.find_in_value(item)),
            Value::Object(fields) => fields
                .iter()
                .find_map(|(key, value)| self.find(key).or_else(|| self.find_in_value(value))),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
}

impl Form {
    fn stands_in(&self, text: &str) -> bool {
        if self.within {
            text.contains(&self.text)
        } else {
            text == self.text
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        let redactor = Redactor::new();
        redactor.register("db", "s3cr3t-value\n");
        redactor.register("pin", "42");
        redactor
    }

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let redactor = redactor();
        assert_eq!(
            redactor.text("password s3cr3t-value!"),
            "password ‹secret db›!"
        );
        assert_eq!(
            redactor.text(&STANDARD.encode("s3cr3t-value\n")),
            "‹secret db›"
        );
        assert_eq!(
            redactor.text(&STANDARD.encode("s3cr3t-value")),
            "‹secret db›"
        );
        let mut value = json!({"s3cr3t-value": ["x s3cr3t-value", 42, "42", "142"]});
        redactor.in_value(&mut value);
        assert_eq!(
            value,
            json!({"‹secret db›": ["x ‹secret db›", 42, "‹secret pin›", "142"]})
        );
    }

    #[test]
    fn lines_of_a_key_file_are_replaced_but_not_its_frame() {
        let redactor = Redactor::new();
        redactor.register(
            "key",
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END KEY-----\n",
        );
        assert_eq!(redactor.text("at MIIEvQIBADANBgkqhkiG"), "at ‹secret key›");
        assert_eq!(redactor.text("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    #[test]
    fn a_secret_that_contains_another_is_replaced_whole() {
        let redactor = Redactor::new();
        redactor.register("short", "abcdef");
        redactor.register("long", "abcdef-ghijkl");
        assert_eq!(
            redactor.text("abcdef-ghijkl abcdef"),
            "‹secret long› ‹secret short›"
        );
        let debug = format!("{redactor:?}");
        assert!(!debug.contains("abcdef"), "{debug}");
    }

    #[test]
    fn a_value_is_known_whatever_blanks_are_around_it() {
        let redactor = redactor();
        assert!(redactor.knows("s3cr3t-value") && redactor.knows(" 42\n"));
        assert!(!redactor.knows("s3cr3t") && !redactor.knows(""));
    }
}
