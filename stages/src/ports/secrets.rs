//! Values of secret references.

use std::fmt;

use async_trait::async_trait;

use crate::error::PortError;

/// A secret's value. `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself; for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// An environment variable of the running program.
    Environment(String),
    /// A file's content, one trailing line end removed.
    File(std::path::PathBuf),
    /// A secret in AWS Secrets Manager, optionally one key of its JSON.
    AwsSecretsManager {
        /// Name or ARN.
        id: String,
        /// Key inside the JSON value.
        key: Option<String>,
    },
}

/// Resolves secret references.
#[async_trait]
pub trait SecretApi: Send + Sync {
    /// The value; an error never contains it.
    async fn resolve(&self, source: &SecretSource) -> Result<SecretValue, PortError>;
}

/// Reads what AWS Secrets Manager keeps.
#[async_trait]
pub trait SecretsManagerApi: Send + Sync {
    /// The whole text of the secret of this name or ARN, as it is now (the version labelled `AWSCURRENT`). An ARN may be of another
    /// region. An error never contains the text.
    async fn read(&self, id: &str) -> Result<SecretValue, PortError>;
}
