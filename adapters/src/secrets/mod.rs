//! Values of secret references: [`Secrets`] implements `SecretApi` for environment variables, files, and, where there is an AWS
//! account, AWS Secrets Manager.

mod local;
mod manager;

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::secrets::{SecretApi, SecretSource, SecretValue, SecretsManagerApi},
};
use tokio::sync::Mutex;

use crate::{CodeRow, Redactor};

const VARIABLE_MISSING: &str = "SEC001";
const FILE_MISSING: &str = "SEC002";
const FILE_FORBIDDEN: &str = "SEC003";
const NOT_TEXT: &str = "SEC004";
const NOT_AVAILABLE: &str = "SEC005";
const FILE_UNREADABLE: &str = "SEC006";
const FILE_EMPTY: &str = "SEC008";
const KEY_UNUSABLE: &str = "SEC009";

/// Every code of this adapter: code, meaning, what a person can do.
pub const CODES: &[CodeRow] = &[
    (
        VARIABLE_MISSING,
        "the environment variable that a secretRef names is not set, or is empty",
        "export the variable in the shell or CI job that runs pipectl",
    ),
    (
        FILE_MISSING,
        "the file that a secretRef names does not exist",
        "create the file, or correct its path in the pipeline file",
    ),
    (
        FILE_FORBIDDEN,
        "the file that a secretRef names may not be read by the user who runs pipectl",
        "make the file readable for that user alone: chmod 600 FILE, and chown it if it is somebody else's",
    ),
    (
        NOT_TEXT,
        "the secret's value is not UTF-8 text, or contains a NUL character",
        "give the value as text; binary values belong into base64",
    ),
    (
        NOT_AVAILABLE,
        "AWS Secrets Manager is not available with this provider; it comes with the provider `eks`, on AWS and in its sandbox",
        "use a secretRef with `env` or `file` instead",
    ),
    (
        FILE_UNREADABLE,
        "the file that a secretRef names is neither a plain file nor a pipe, is larger than 1 MiB, or cannot be read",
        "name a plain file or a pipe that holds nothing but the secret's value",
    ),
    (
        FILE_EMPTY,
        "the file that a secretRef names is empty",
        "write the secret's value into the file; a pipe can be read only once, so it must not have been read before",
    ),
    (
        KEY_UNUSABLE,
        "a secretRef names a key of a secret in AWS Secrets Manager, and the secret is not a JSON object with a text, a whole number or a truth value under that key",
        "correct `key` in the pipeline file, leave it out to take the secret as a whole, or write the value as a text into the secret's JSON",
    ),
];

/// Secrets of this machine and of one AWS account. Every value that was resolved is known to its [`Redactor`] from then on, and
/// stays the same as long as this lives: a pipe can be read only once, what is observed is what is then applied, and two keys of
/// one secret belong together.
#[derive(Clone, Default)]
pub struct Secrets {
    redactor: Redactor,
    manager: Option<Arc<dyn SecretsManagerApi>>,
    /// One at a time, so that two that ask for the same pipe do not share its content out.
    resolved: Arc<Mutex<Resolved>>,
}

#[derive(Default)]
struct Resolved {
    values: HashMap<SecretSource, SecretValue>,
    /// Secrets of Secrets Manager as a whole, by name or ARN.
    whole: HashMap<String, SecretValue>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Those of this machine. Tells `redactor` every value that it resolves.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            ..Self::default()
        }
    }

    /// The same with those of an AWS account.
    #[must_use]
    pub fn with_manager(self, manager: Arc<dyn SecretsManagerApi>) -> Self {
        Self {
            manager: Some(manager),
            ..self
        }
    }

    async fn managed(
        &self,
        whole: &mut HashMap<String, SecretValue>,
        id: &str,
        key: Option<&str>,
    ) -> Result<SecretValue, PortError> {
        let manager = self.manager.as_ref().ok_or_else(|| {
            error(
                Kind::Other,
                NOT_AVAILABLE,
                format!("secret {id}: AWS Secrets Manager is not available with this provider"),
            )
        })?;
        let text = match whole.get(id) {
            Some(text) => text.clone(),
            None => {
                let text = manager.read(id).await?;
                whole.insert(id.to_owned(), text.clone());
                text
            }
        };
        manager::part(id, &text, key)
    }
}

#[async_trait]
impl SecretApi for Secrets {
    async fn resolve(&self, source: &SecretSource) -> Result<SecretValue, PortError> {
        let mut resolved = self.resolved.lock().await;
        let Resolved { values, whole } = &mut *resolved;
        if let Some(value) = values.get(source) {
            return Ok(value.clone());
        }
        let (name, value) = match source {
            SecretSource::Environment(name) => (
                name.clone(),
                local::from_variable(name, std::env::var_os(name)),
            ),
            SecretSource::File(path) => (
                path.display().to_string(),
                local::from_file(path, local::FILE_PATIENCE).await,
            ),
            SecretSource::AwsSecretsManager { id, key } => {
                let value = self.managed(whole, id, key.as_deref()).await;
                let name = match key {
                    Some(key) => format!("{id} {key}"),
                    None => id.clone(),
                };
                (name, value)
            }
        };
        let value = value?;
        self.redactor.register(&name, value.expose());
        values.insert(source.clone(), value.clone());
        Ok(value)
    }
}

fn error(kind: Kind, code: &str, cause: String) -> PortError {
    let error = PortError::new(kind, code, cause);
    match CODES.iter().find(|row| row.0 == code) {
        Some(row) => error.with_hint(row.2),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A Secrets Manager whose secret is another one each time it is read.
    #[derive(Default)]
    struct Rotating(AtomicUsize);

    #[async_trait]
    impl SecretsManagerApi for Rotating {
        async fn read(&self, id: &str) -> Result<SecretValue, PortError> {
            let turn = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(SecretValue::new(format!(
                r#"{{"id": "{id}", "user": "user{turn}", "password": "password{turn}"}}"#
            )))
        }
    }

    fn managed(key: Option<&str>) -> SecretSource {
        SecretSource::AwsSecretsManager {
            id: "db".to_owned(),
            key: key.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn what_was_resolved_is_redacted_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "geheimnis\n").unwrap();
        let source = SecretSource::File(path);
        let redactor = Redactor::default();
        Secrets::new(redactor.clone())
            .resolve(&source)
            .await
            .unwrap();
        assert!(
            !redactor
                .text("wrong password geheimnis")
                .contains("geheimnis")
        );
    }

    #[tokio::test]
    async fn keys_of_one_secret_are_of_one_version_and_redacted() {
        let redactor = Redactor::default();
        let manager = Arc::new(Rotating::default());
        let secrets = Secrets::new(redactor.clone()).with_manager(manager.clone());
        for (key, wanted) in [("user", "user0"), ("password", "password0"), ("id", "db")] {
            let value = secrets.resolve(&managed(Some(key))).await.unwrap();
            assert_eq!(value.expose(), wanted);
        }
        let shown = redactor.text("password0 is wrong");
        assert_eq!(shown, "‹secret db password› is wrong");
        assert_eq!(manager.0.load(Ordering::SeqCst), 1);
        let missing = secrets.resolve(&managed(Some("host"))).await.unwrap_err();
        assert_eq!(missing.code, KEY_UNUSABLE);
        // Another command reads anew.
        let later = Secrets::default().with_manager(manager);
        let value = later.resolve(&managed(Some("user"))).await.unwrap();
        assert_eq!(value.expose(), "user1");
    }

    #[tokio::test]
    async fn secrets_manager_says_with_whom_it_comes() {
        let error = Secrets::default()
            .resolve(&managed(None))
            .await
            .unwrap_err();
        assert_eq!(error.code, NOT_AVAILABLE);
        assert!(error.hint.unwrap().contains("env"));
    }
}
