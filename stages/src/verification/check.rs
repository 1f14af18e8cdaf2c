//! One check and its result.

use serde::{Deserialize, Serialize};

use crate::findings::{CheckResult, Verdict};

/// The words for what cannot be checked where it runs.
pub const NOT_CHECKABLE: &str = "not checkable here";

/// A check with its result; kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable key, e.g. `topics/streaming-topic`.
    pub id: String,
    /// What is checked, for a person.
    pub title: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// The command that a person would run to see the same.
    pub command: Option<String>,
}

impl Check {
    /// A check that passes when what was seen is as expected.
    pub fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
        passed: bool,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            verdict: if passed {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            expected: expected.into(),
            seen: seen.into(),
            command: None,
        }
    }

    /// A check that passes when both texts are equal.
    pub fn equal(
        id: impl Into<String>,
        title: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Self {
        let (expected, seen) = (expected.into(), seen.into());
        let passed = expected == seen;
        Self::new(id, title, expected, seen, passed)
    }

    /// A check that cannot be made here, and why.
    pub fn open(
        id: impl Into<String>,
        title: impl Into<String>,
        expected: impl Into<String>,
        why: &str,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            verdict: Verdict::NotCheckable,
            expected: expected.into(),
            seen: format!("{NOT_CHECKABLE}: {why}"),
            command: None,
        }
    }

    /// The same with the command that a person would run.
    #[must_use]
    pub fn by(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Whether it failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    /// As a finding.
    #[must_use]
    pub fn result(&self) -> CheckResult {
        CheckResult {
            name: self.title.clone(),
            verdict: self.verdict,
            expected: self.expected.clone(),
            seen: self.seen.clone(),
            command: self.command.clone(),
        }
    }
}
