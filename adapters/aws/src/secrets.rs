//! Secrets in AWS Secrets Manager: their values, and nothing else of them. A value is in none of the errors: what the service
//! answers beside it is its name.

use async_trait::async_trait;
use aws_config::Region;
use aws_sdk_secretsmanager::config::Builder;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::secrets::{SecretValue, SecretsManagerApi},
};

use crate::{
    client::Aws,
    codes,
    errors::{error, translate, unclear},
};

#[async_trait]
impl SecretsManagerApi for Aws {
    async fn read(&self, id: &str) -> Result<SecretValue, PortError> {
        let mut call = self.secrets().get_secret_value().secret_id(id).customize();
        if let Some(region) = region_of(id).filter(|region| *region != self.region()) {
            let there = Builder::new().region(Region::new(region.to_owned()));
            call = call.config_override(there);
        }
        let answer = call.send().await.map_err(|failed| {
            let code = failed.code().map(str::to_owned);
            refused(code.as_deref(), translate(failed))
        })?;
        match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => Ok(SecretValue::new(text)),
            (None, Some(_)) => Err(error(
                Kind::Invalid,
                codes::SECRET_BINARY,
                format!("secret {id} holds bytes"),
            )),
            (None, None) => Err(unclear("GetSecretValue", "SecretString")),
        }
    }
}

/// What the codes mean for a secret (Secrets Manager API reference: `GetSecretValue`, errors). Where permissions are missing it may
/// be the key's.
fn refused(code: Option<&str>, translated: PortError) -> PortError {
    let (kind, own) = match code {
        Some("ResourceNotFoundException") => (Kind::NotFound, codes::SECRET_MISSING),
        Some("InvalidRequestException") => (Kind::NotFound, codes::SECRET_NOT_GIVEN),
        Some("DecryptionFailure") => (Kind::Forbidden, codes::SECRET_LOCKED),
        _ if translated.kind == Kind::Forbidden => {
            return translated.with_hint(
                "allow secretsmanager:GetSecretValue on the secret to this identity, and kms:Decrypt on its KMS key where it is encrypted with one of your own",
            );
        }
        _ => return translated,
    };
    error(kind, own, translated.cause)
}

/// The region in an ARN, `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
fn region_of(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    let arn = parts.next() == Some("arn");
    let region = parts.nth(2)?;
    (arn && !region.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_its_region_and_a_name_none() {
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf";
        assert_eq!(region_of(arn), Some("eu-west-1"));
        for name in ["db", "a:b:c:d:e", "arn:x", "team/db@1"] {
            assert_eq!(region_of(name), None, "{name}");
        }
    }
}
