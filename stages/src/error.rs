//! Typed errors of ports and steps. Decisions are taken on [`PortErrorKind`] and codes, never on message texts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether doing the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same call may succeed in a moment (throttled, connection lost, server error).
    Soon,
    /// Only after a person or another step changed something.
    AfterChange,
    /// Never: the request itself is wrong.
    Never,
}

/// What a port could not do, sorted by what a caller does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortErrorKind {
    /// The thing, or something it names, does not exist.
    NotFound,
    /// A thing of that name exists already.
    AlreadyExists,
    /// Somebody else's write got in between, or owns the field.
    Conflict,
    /// The API refused the content (schema, webhook, quota text); the cause quotes its words.
    Invalid,
    /// The namespace or object is being deleted.
    Terminating,
    /// Known identity, missing permission.
    Forbidden,
    /// Identity missing, wrong or expired.
    Unauthorized,
    /// The API does not serve this kind (yet).
    NotServed,
    /// No connection, or it broke.
    Unreachable,
    /// The other side asks for patience.
    Throttled,
    /// No answer within the call's bound.
    Timeout,
    /// The other side failed (5xx).
    ServerError,
    /// A program that is needed is not installed.
    ToolMissing,
    /// The thing carries somebody else's ownership.
    Foreign,
    /// Something else still needs it (a dependency violation, a resource in use).
    InUse,
    /// A quota, or what the other side has to give, is used up.
    Exhausted,
    /// The run is being cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

impl PortErrorKind {
    /// What repeating the call promises.
    #[must_use]
    pub fn retry(self) -> Retry {
        match self {
            Self::Unreachable
            | Self::Throttled
            | Self::Timeout
            | Self::ServerError
            | Self::Conflict
            | Self::Terminating => Retry::Soon,
            Self::NotFound
            | Self::AlreadyExists
            | Self::Forbidden
            | Self::Unauthorized
            | Self::NotServed
            | Self::ToolMissing
            | Self::Foreign
            | Self::InUse
            | Self::Exhausted
            | Self::Cancelled => Retry::AfterChange,
            Self::Invalid | Self::Other => Retry::Never,
        }
    }
}

/// What an adapter answers when it could not do what a port asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{cause}")]
pub struct PortError {
    /// The sort of trouble, for decisions.
    pub kind: PortErrorKind,
    /// Stable code, e.g. `K8S004`.
    pub code: String,
    /// The other side's own words, without secrets.
    pub cause: String,
    /// What a person can do, where the adapter knows it.
    pub hint: Option<String>,
}

impl PortError {
    /// An error without a hint.
    pub fn new(kind: PortErrorKind, code: &str, cause: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            cause: cause.into(),
            hint: None,
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// This error as a step's: with what was being done to which resource.
    pub fn during(self, doing: impl Into<String>, resource: impl fmt::Display) -> StepError {
        StepError {
            retry: self.kind.retry(),
            code: self.code,
            doing: doing.into(),
            resource: resource.to_string(),
            cause: self.cause,
            hint: self.hint,
            left_behind: Vec::new(),
            evidence: Vec::new(),
        }
    }
}

/// Why a step failed: what was being done to which resource, why, what may be left behind and what a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: cannot {doing} {resource}: {cause}")]
pub struct StepError {
    /// Stable code, e.g. `KFK003`.
    pub code: String,
    /// The verb phrase after "cannot", e.g. `apply`, `wait for`.
    pub doing: String,
    /// The resource, in words a person can search for, e.g. `Kafka kafka/streaming-cluster`.
    pub resource: String,
    /// Why, in the other side's words where there are any.
    pub cause: String,
    /// What a person can do now.
    pub hint: Option<String>,
    /// Whether repeating can help.
    pub retry: Retry,
    /// What may exist although the step failed.
    pub left_behind: Vec<String>,
    /// Lines of evidence: events, pod states, conditions.
    pub evidence: Vec<String>,
}

impl StepError {
    /// A failure that repeating does not mend.
    pub fn new(
        code: &str,
        doing: impl Into<String>,
        resource: impl fmt::Display,
        cause: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            doing: doing.into(),
            resource: resource.to_string(),
            cause: cause.into(),
            hint: None,
            retry: Retry::AfterChange,
            left_behind: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with lines of evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<String>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The same error with another promise about repeating.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}
