//! The record of an environment in the account itself: made first, removed last, seen by every machine.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// What the account says of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Anchor {
    /// The environment's name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was made.
    pub created: Timestamp,
    /// The EKS cluster's name, so that `down` finds it with nothing else left.
    pub cluster: String,
    /// The VPC that was brought, so that `down` looks into it with nothing else left: nothing that pipectl may write is on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought_vpc: Option<String>,
    /// Where its state is kept (`file://...` or `s3://...`); not a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_url: Option<String>,
    /// Who works on it now; nobody where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<AnchorLease>,
    /// The version of this record that its writer had read, 0 of a first one: one below its own, or somebody else's write came
    /// in between and this one grants nothing.
    #[serde(default)]
    pub follows: u64,
    /// When the environment may be collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// Who may change an environment now, as its record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnchorLease {
    /// Who: user, host, process, job; for people.
    pub holder: String,
    /// The run's id, one of a kind.
    pub run: String,
    /// When the run took it, by its own clock.
    pub since: Timestamp,
    /// Until when it counts unless it is prolonged, by its holder's clock: for people, who see one record. Decisions hang on
    /// [`Sighting::silent`].
    pub until: Timestamp,
    /// How long one write of it counts, in milliseconds.
    pub term_millis: u64,
    /// How long a call of the holder may still take after its lease ran out, in milliseconds.
    pub margin_millis: u64,
    /// Its run ended while calls were under way: nobody may follow before it has run out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandoned: bool,
    /// By what the holder's own machine knows whether its process lives.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub process: Value,
}

impl AnchorLease {
    /// How long after its last write nothing that was begun under it is under way any more.
    #[must_use]
    pub fn runs_out_after(&self) -> Duration {
        Duration::from_millis(self.term_millis.saturating_add(self.margin_millis))
    }
}

/// An anchor as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What it says.
    pub anchor: Anchor,
    /// Which version of it: every write makes the next one.
    pub version: u64,
    /// How long ago it was written, both moments by the account's own clock.
    pub silent: Duration,
}

impl Sighting {
    /// Whether its writer had read the version before it: only then it says who holds the environment.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.anchor.follows.checked_add(1) == Some(self.version)
    }
}

/// The anchors of one account and region, kept as SSM parameters `/pipectl/environments/NAME` whose value is the
/// anchor as JSON.
#[async_trait]
pub trait AnchorApi: Send + Sync {
    /// Makes it, in one atomic call that exactly one of several racing callers wins; the others get
    /// [`PortErrorKind::AlreadyExists`](crate::error::PortErrorKind). Answers its first version.
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<u64, PortError>;

    /// The anchor of this name, with what is known of its last write. One whose value cannot be read as an anchor is an error
    /// of kind `Foreign`.
    async fn sight(&self, name: &str) -> Result<Option<Sighting>, PortError>;

    /// The anchor of this name, as [`AnchorApi::sight`] has it.
    async fn find(&self, name: &str) -> Result<Option<Anchor>, PortError> {
        let seen = self.sight(name).await?;
        Ok(seen.map(|seen| seen.anchor))
    }

    /// Every anchor of the account in this region that can be read as one.
    async fn all(&self) -> Result<Vec<Sighting>, PortError>;

    /// Replaces the content of one that exists; answers its new version. There is no "only if": a write follows the version
    /// that it was made from when the answer is the next number. Sent at most once, for a repetition would find the first one's
    /// write in between.
    async fn update(&self, anchor: &Anchor) -> Result<u64, PortError>;

    /// Removes it.
    async fn delete(&self, name: &str) -> Result<Deletion, PortError>;
}
