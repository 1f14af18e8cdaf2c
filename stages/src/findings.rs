//! What steps find out and a person wants to see item by item: results of verification, and what is left after `down`.

use serde::{Deserialize, Serialize};

/// How one check of the verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Seen as expected.
    Passed,
    /// Seen otherwise than expected.
    Failed,
    /// It needs a running program that is not there (a sandbox simulates pods); never counted as success.
    NotCheckable,
}

/// One check of the verification: what was expected, what was seen, and how a person would look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// What is checked, e.g. `topic streaming-topic has 3 partitions`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was expected, in words or as a value.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// The command that a person would run to see the same.
    pub command: Option<String>,
}

/// What became of one thing of the inventory after `down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It will go at a date that somebody else sets (a KMS key's waiting period).
    Scheduled {
        /// When, in words or as a date.
        on: String,
    },
    /// It stays on purpose: somebody else's, or kept by request.
    Kept {
        /// Why, in words.
        why: String,
    },
    /// It stays.
    StillThere {
        /// The chain of what holds it, nearest first; empty when nothing is known to hold it.
        held_by: Vec<String>,
        /// A command that is safe to try next.
        safe_next: Option<String>,
    },
    /// Nobody can say; the reason in words.
    NotChecked {
        /// Why, in words.
        why: String,
    },
}

/// One thing that is not simply gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The thing, e.g. `Namespace kafka`.
    pub resource: String,
    /// What became of it.
    pub fate: Fate,
}

/// The proof of absence: everything the inventory knew, and what is not gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceReport {
    /// How many things were looked for.
    pub checked: u32,
    /// How many of them are gone.
    pub gone: u32,
    /// Where was looked, e.g. `Kubernetes (31 kinds)`, `Helm releases`.
    pub over: Vec<String>,
    /// What is not gone.
    pub remaining: Vec<Leftover>,
}

/// Something found out by a step; kept in the run's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// One check of the verification.
    Check(CheckResult),
    /// The inventory after a removal.
    Absence(AbsenceReport),
}
