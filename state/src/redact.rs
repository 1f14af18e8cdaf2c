//! Keeps secret values out of what is written down.
//!
//! Whoever reads a secret registers it; journal and events then replace its value by `‹secret NAME›` wherever text is
//! kept. Where a record is needed to find things again (a step's key, an identity, a pin), a replacement would break
//! recovery, so there the record is refused instead.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::error::StateError;
use crate::record::{Body, Invoker, Leftover, Pins, RecordedError};
use crate::state::EnvironmentState;

/// Values shorter than this are replaced only where they are a whole text, not inside of longer ones: a password
/// `a1` would otherwise garble every identifier.
const SHORTEST_WITHIN: usize = 6;

/// Lines of a secret of several lines (a key file) count by themselves from this length on.
const SHORTEST_LINE: usize = 16;

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
            base64(value),
            base64(trimmed),
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

    /// A record's body without secrets.
    pub(crate) fn guard(&self, mut body: Body) -> Result<Body, StateError> {
        if self
            .forms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
        {
            return Ok(body);
        }
        let record = body.name();
        let refuse = |found: Option<String>, field: &'static str| match found {
            Some(secret) => Err(StateError::SecretInRecord {
                secret,
                field,
                record,
            }),
            None => Ok(()),
        };
        refuse(body.step().and_then(|step| self.find(step)), "step")?;
        match &mut body {
            Body::EnvironmentCreated { name, pins, .. } => {
                refuse(self.find(name), "name")?;
                refuse(self.find_in_pins(pins), "pins")?;
            }
            Body::EnvironmentPinned { pins } => refuse(self.find_in_pins(pins), "pins")?,
            Body::RunStarted {
                pipeline,
                invoked_by,
                pipeline_digest,
                ..
            } => {
                refuse(self.find(pipeline_digest), "pipeline_digest")?;
                if let Some(pipeline) = pipeline {
                    self.in_value(pipeline);
                }
                self.in_invoker(invoked_by);
            }
            Body::StepIntent { identity, .. } => refuse(self.find_in_value(identity), "identity")?,
            Body::StepApplied {
                outputs, digest, ..
            } => {
                refuse(self.find(digest), "digest")?;
                self.in_value(outputs);
            }
            Body::StepReady {
                summary, outputs, ..
            } => {
                self.in_text(summary);
                if let Some(outputs) = outputs {
                    self.in_value(outputs);
                }
            }
            Body::StepFailed { error, .. } => self.in_error(error),
            Body::StepWithheld { because, .. } => self.in_text(because),
            Body::Removed { evidence, .. } | Body::Verification { evidence, .. } => {
                self.in_value(evidence)
            }
            Body::InventoryProved { left, .. } => {
                left.iter_mut().for_each(|left| self.in_leftover(left))
            }
            Body::Snapshot { state } => self.in_state(state),
            Body::RemovalStarted { .. }
            | Body::RunFinished { .. }
            | Body::EnvironmentRemoved {} => {}
        }
        Ok(body)
    }

    fn find_in_pins(&self, pins: &Pins) -> Option<String> {
        pins.iter()
            .find_map(|(name, value)| self.find(name).or_else(|| self.find(value)))
    }

    fn find_in_value(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => self.find(text),
            Value::Array(items) => items.iter().find_map(|item| self.find_in_value(item)),
            Value::Object(fields) => fields
                .iter()
                .find_map(|(key, value)| self.find(key).or_else(|| self.find_in_value(value))),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }

    fn in_invoker(&self, invoker: &mut Invoker) {
        self.in_text(&mut invoker.command);
        if let Some(url) = &mut invoker.job_url {
            self.in_text(url);
        }
    }

    fn in_error(&self, error: &mut RecordedError) {
        self.in_text(&mut error.doing);
        self.in_text(&mut error.resource);
        self.in_text(&mut error.cause);
        error
            .hint
            .iter_mut()
            .chain(&mut error.left_behind)
            .chain(&mut error.evidence)
            .for_each(|text| self.in_text(text));
    }

    fn in_leftover(&self, left: &mut Leftover) {
        self.in_text(&mut left.resource);
        self.in_text(&mut left.held_by);
    }

    /// A secret may have been registered only after a record that has it was written.
    fn in_state(&self, state: &mut EnvironmentState) {
        for step in state.steps.values_mut() {
            self.in_value(&mut step.outputs);
            step.summary
                .iter_mut()
                .chain(&mut step.withheld_because)
                .for_each(|text| self.in_text(text));
            if let Some(failure) = &mut step.failure {
                self.in_error(&mut failure.error);
            }
        }
        state
            .runs
            .iter_mut()
            .for_each(|run| self.in_invoker(&mut run.invoked_by));
        state
            .pipeline
            .iter_mut()
            .for_each(|pipeline| self.in_value(pipeline));
        if let Some(verification) = &mut state.verification {
            self.in_value(&mut verification.evidence);
        }
        if let Some(inventory) = &mut state.inventory {
            inventory
                .left
                .iter_mut()
                .for_each(|left| self.in_leftover(left));
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

/// Base64 with the standard alphabet and padding (RFC 4648, section 4).
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.as_bytes().chunks(3) {
        let bytes = [0, 1, 2].map(|index| chunk.get(index).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for index in 0..4_usize {
            let six = (bits >> (18 - 6 * index)) & 0x3f;
            let character = if index <= chunk.len() {
                char::from(ALPHABET[six as usize])
            } else {
                '='
            };
            encoded.push(character);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Change, Phase};

    fn redactor() -> Redactor {
        let redactor = Redactor::new();
        redactor.register("db", "s3cr3t-value\n");
        redactor.register("pin", "42");
        redactor
    }

    #[test]
    fn base64_has_the_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain), encoded);
        }
    }

    #[test]
    fn every_form_of_a_secret_is_replaced() {
        let redactor = redactor();
        assert_eq!(
            redactor.text("password s3cr3t-value!"),
            "password ‹secret db›!"
        );
        assert_eq!(redactor.text(&base64("s3cr3t-value\n")), "‹secret db›");
        assert_eq!(redactor.text(&base64("s3cr3t-value")), "‹secret db›");
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
    fn texts_are_replaced_and_identities_refused() {
        let redactor = redactor();
        let failed = Body::StepFailed {
            step: "a/b".into(),
            phase: Phase::Apply,
            error: RecordedError {
                code: "X".into(),
                doing: "apply".into(),
                resource: "r".into(),
                cause: "refused s3cr3t-value".into(),
                hint: Some("s3cr3t-value".into()),
                retryable: false,
                left_behind: vec!["s3cr3t-value".into()],
                evidence: vec!["s3cr3t-value".into()],
            },
        };
        let guarded = redactor.guard(failed).expect("texts can be replaced");
        assert!(!format!("{guarded:?}").contains("s3cr3t"), "{guarded:?}");
        let applied = Body::StepApplied {
            step: "a/b".into(),
            change: Change::Created,
            outputs: json!({"url": "http://u:s3cr3t-value@h"}),
            digest: "d".into(),
            millis: 1,
        };
        let guarded = redactor.guard(applied).expect("outputs can be replaced");
        assert!(!format!("{guarded:?}").contains("s3cr3t"), "{guarded:?}");
        let intent = Body::StepIntent {
            step: "a/b".into(),
            attempt: 1,
            identity: json!({"name": "x-s3cr3t-value"}),
        };
        let refused = redactor
            .guard(intent)
            .expect_err("an identity cannot be replaced");
        assert_eq!(refused.code(), "STA012");
        assert!(!refused.to_string().contains("s3cr3t"), "{refused}");
    }
}
