//! Everything in the region that carries a tag, whatever service it belongs to.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::cloud::Tags;
use crate::error::PortError;

/// One resource, as the Resource Groups Tagging API knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaggedResource {
    /// Its ARN.
    pub arn: String,
    /// Its tags.
    pub tags: Tags,
}

/// The Resource Groups Tagging API.
#[async_trait]
pub trait TaggedApi: Send + Sync {
    /// Everything of the region that carries all of these tags, as far as the service knows: it lags behind, shows
    /// deleted things for a while, and knows no IAM roles.
    async fn all(&self, tags: &Tags) -> Result<Vec<TaggedResource>, PortError>;
}
