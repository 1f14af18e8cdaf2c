//! KMS keys. A key has no name of its own: its alias is the name it is found by.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It can.
    Enabled,
    /// It cannot: disabled by somebody.
    Disabled,
    /// It cannot, and will be deleted at this time.
    PendingDeletion(Option<Timestamp>),
    /// Anything else.
    Other,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it can be used.
    pub state: KeyState,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// KMS.
#[async_trait]
pub trait KeyApi: Send + Sync {
    /// A key by id.
    async fn find(&self, id: &str) -> Result<Option<Key>, PortError>;

    /// The key behind an alias (`alias/...`).
    async fn behind(&self, alias: &str) -> Result<Option<Key>, PortError>;

    /// The customer's keys of the region that carry all of these tags, also those waiting for their deletion.
    async fn tagged(&self, tags: &Tags) -> Result<Vec<Key>, PortError>;

    /// Makes a symmetric key for encryption, managed by IAM of the account.
    async fn create(&self, description: &str, tags: &Tags) -> Result<Key, PortError>;

    /// Points an alias at a key; an alias that points elsewhere is moved.
    async fn alias(&self, alias: &str, key: &str) -> Result<(), PortError>;

    /// Removes an alias.
    async fn unalias(&self, alias: &str) -> Result<Deletion, PortError>;

    /// Schedules a key's deletion so many days from now (7 to 30) and answers when; one that is scheduled already keeps
    /// its date.
    async fn schedule_deletion(&self, key: &str, days: u8) -> Result<Option<Timestamp>, PortError>;

    /// Sets these tags on a key and removes those keys of tags.
    async fn retag(&self, key: &str, set: &Tags, remove: &[String]) -> Result<(), PortError>;
}
