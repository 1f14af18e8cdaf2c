//! Conditions and generations, as all kinds have them.

use serde_json::Value;

use super::Health;

/// One condition of an object's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// A word for programs.
    pub reason: &'a str,
    /// A sentence for people.
    pub message: &'a str,
    /// When the status last changed; empty when it is not said.
    pub since: &'a str,
}

impl Condition<'_> {
    /// Whether the status is `True`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// An object's condition of this type.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|found| found["type"] == kind)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
        since: text("lastTransitionTime"),
    })
}

/// Whether the controller has seen the newest version of the object; `None` when it does not say.
pub(super) fn seen(object: &Value) -> Option<bool> {
    let observed = object["status"]["observedGeneration"].as_i64()?;
    let generation = object["metadata"]["generation"].as_i64()?;
    Some(observed >= generation)
}

/// A kind nobody here knows: its controller must have seen it, and `Ready` or `Available` must be true where there is
/// one. An object without any status has nothing to wait for (kstatus decides the same way).
pub(super) fn generic(object: &Value) -> Health {
    if seen(object) == Some(false) {
        return Health::waiting("its controller has not seen the change yet");
    }
    for kind in ["Ready", "Available", "Established"] {
        if let Some(condition) = condition(object, kind) {
            return if condition.is_true() {
                Health::Ready("ready".to_owned())
            } else {
                Health::waiting(words_of(&condition, "not ready yet"))
            };
        }
    }
    Health::Ready("in place".to_owned())
}

/// A condition's message, else its reason, else a default.
pub(super) fn words_of(condition: &Condition<'_>, default: &str) -> String {
    [condition.message, condition.reason, default]
        .into_iter()
        .find(|words| !words.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// A number in the status; 0 when absent.
pub(super) fn number(object: &Value, pointer: &str) -> u32 {
    object
        .pointer(pointer)
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}
