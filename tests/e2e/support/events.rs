//! The events of a run (`--output json`), as a test asks about them.

use serde_json::Value;

/// The events of one run, in order.
#[derive(Debug, Clone, Default)]
pub struct Events(pub Vec<Value>);

impl Events {
    /// Every line that is an event.
    pub fn parse(text: &str) -> Self {
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Self(
            events
                .filter(|event: &Value| event["version"].is_u64())
                .collect(),
        )
    }

    /// The events of one type.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |event| event["type"] == kind)
    }

    /// The steps with an event of this type.
    pub fn steps(&self, kind: &str) -> Vec<String> {
        self.of(kind)
            .filter_map(|event| Some(event["step"].as_str()?.to_owned()))
            .collect()
    }

    /// The codes of the errors by which steps failed, with the steps.
    pub fn failures(&self) -> Vec<(String, String)> {
        self.of("step_failed")
            .chain(self.of("removal_stuck"))
            .map(|event| {
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (word(&event["step"]), word(&event["error"]["code"]))
            })
            .collect()
    }

    /// The error of a step's failure.
    pub fn error_of(&self, step: &str) -> Value {
        let failed = self.of("step_failed").chain(self.of("removal_stuck"));
        let mut failed = failed.filter(|event| event["step"] == step);
        failed
            .next()
            .map_or(Value::Null, |event| event["error"].clone())
    }

    /// How the run ended: `succeeded`, `failed`, `cancelled`, ...
    pub fn outcome(&self) -> Option<&str> {
        self.of("run_finished").last()?["outcome"].as_str()
    }

    /// What is left by the inventory's last word, apart from what AWS deletes on a day that is fixed.
    #[track_caller]
    pub fn left(&self) -> Vec<Value> {
        let absence = self.absence();
        let remaining = absence["remaining"].as_array();
        let remaining = remaining.unwrap_or_else(|| panic!("no inventory: {absence:#}"));
        let left = remaining
            .iter()
            .filter(|item| item["fate"]["scheduled"].is_null());
        left.cloned().collect()
    }

    /// The inventory's last word.
    pub fn absence(&self) -> Value {
        self.of("absence_checked")
            .last()
            .map_or(Value::Null, |event| event["report"].clone())
    }
}
