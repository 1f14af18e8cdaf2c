//! The record of an environment in the account itself: made first, removed last, seen by every machine.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Where its state is kept (`file://...` or `s3://...`); not a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_url: Option<String>,
    /// Who works on it: user, host, job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Until when that holder may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When the environment may be collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// The anchors of one account and region, kept as SSM parameters `/pipectl/environments/NAME` whose value is the
/// anchor as JSON.
#[async_trait]
pub trait AnchorApi: Send + Sync {
    /// Makes it, in one atomic call that exactly one of several racing callers wins; the others get
    /// [`PortErrorKind::AlreadyExists`](crate::error::PortErrorKind).
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<(), PortError>;

    /// The anchor of this name. One whose value cannot be read as an anchor is an error of kind `Foreign`.
    async fn find(&self, name: &str) -> Result<Option<Anchor>, PortError>;

    /// Every anchor of the account in this region that can be read as one.
    async fn all(&self) -> Result<Vec<Anchor>, PortError>;

    /// Replaces the content of one that exists.
    async fn update(&self, anchor: &Anchor) -> Result<(), PortError>;

    /// Removes it.
    async fn delete(&self, name: &str) -> Result<Deletion, PortError>;
}
