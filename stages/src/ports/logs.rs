//! CloudWatch log groups.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// Its ARN, without a trailing `:*`.
    pub arn: String,
    /// Days after which what is in it expires; `None`: never.
    pub retention_days: Option<u16>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// CloudWatch log groups.
#[async_trait]
pub trait LogApi: Send + Sync {
    /// A group by its whole name.
    async fn find(&self, name: &str) -> Result<Option<LogGroup>, PortError>;

    /// Makes a group. One of that name is `AlreadyExists`.
    async fn create(&self, name: &str, tags: &Tags) -> Result<(), PortError>;

    /// Lets what is in it expire after so many days (one of the numbers that CloudWatch takes).
    async fn retain(&self, name: &str, days: u16) -> Result<(), PortError>;

    /// Sets these tags on a group, by name, and removes those keys.
    async fn retag(&self, name: &str, set: &Tags, remove: &[String]) -> Result<(), PortError>;

    /// Deletes a group with what is in it.
    async fn delete(&self, name: &str) -> Result<Deletion, PortError>;
}
