//! References to secret values, which the pipeline file never holds itself.

use crate::source::{FileSource, SourceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Where a secret value is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretRef {
    /// In an environment variable of this name.
    Env(String),
    /// In a file, relative to the pipeline file; one line break at its end is dropped.
    File(String),
    /// In AWS Secrets Manager.
    AwsSecretsManager(SecretsManagerRef),
}

/// A secret in AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretsManagerRef {
    /// The secret's name, or its ARN, which may be of another region.
    pub id: String,
    /// The key to take, when the secret is a JSON object: a text, a whole number or a truth value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A Kubernetes Secret that is made from secret values kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManagedSecret {
    /// The Secret's name.
    pub name: String,
    /// The Secret's namespace, which must be declared.
    pub namespace: String,
    /// The Secret's type.
    #[serde(default = "opaque", rename = "type")]
    pub secret_type: String,
    /// Where each key's value is kept.
    pub data: BTreeMap<String, SecretRef>,
}

fn opaque() -> String {
    "Opaque".to_owned()
}

/// A secret value in memory. It prints as `[secret]`, has no serialization, and its only way out is [`SecretValue::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// Takes a value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; never for journals, events, logs, argv, plain files or error texts.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a secret value could not be had. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    EnvMissing(String),
    /// The environment variable is not text.
    #[error("environment variable {0} is not UTF-8 text")]
    EnvNotText(String),
    /// The file could not be read.
    #[error("cannot read secret file {path}: {source}")]
    File {
        /// The file as the pipeline names it.
        path: String,
        /// Why.
        source: SourceError,
    },
    /// The file is not text.
    #[error("secret file {0} is not UTF-8 text")]
    FileNotText(String),
    /// The value is kept elsewhere and must be asked for there.
    #[error("{0} is not kept on this machine")]
    NotLocal(String),
}

impl SecretRef {
    /// Reads a value that is kept on this machine (`env`, `file`).
    ///
    /// # Errors
    /// [`SecretError::NotLocal`] for other places, else why the variable or file could not be read.
    pub fn read_local(&self, files: &dyn FileSource) -> Result<SecretValue, SecretError> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(SecretValue(value)),
                Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(SecretError::EnvNotText(name.clone()))
                }
            },
            Self::File(path) => {
                let bytes = files.read(path).map_err(|source| SecretError::File {
                    path: path.clone(),
                    source,
                })?;
                let mut text =
                    String::from_utf8(bytes).map_err(|_| SecretError::FileNotText(path.clone()))?;
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                Ok(SecretValue(text))
            }
            Self::AwsSecretsManager(_) => Err(SecretError::NotLocal(self.to_string())),
        }
    }
}

impl fmt::Display for SecretRef {
    /// The place in words, such as `environment variable TOKEN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::AwsSecretsManager(secret) => match &secret.key {
                Some(key) => write!(f, "AWS secret {} key {key}", secret.id),
                None => write!(f, "AWS secret {}", secret.id),
            },
        }
    }
}
