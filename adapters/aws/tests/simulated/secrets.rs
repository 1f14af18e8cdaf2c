//! Secrets in AWS Secrets Manager.

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::{
    Client, Config,
    config::{BehaviorVersion, Region},
    primitives::Blob,
};
use aws_smithy_http_client::Builder;
use pipectl_sandbox::aws::AwsFaultEffect;
use pipectl_stages::{
    error::{PortErrorKind as Kind, Retry},
    ports::secrets::SecretsManagerApi,
};

use crate::{
    place::fault,
    support::{Account, REGION},
};

/// Somebody who keeps secrets in the account.
fn keeper(account: &Account, region: &'static str) -> Client {
    let key = account.simulator.credentials();
    let credentials =
        Credentials::new(key.access_key_id, key.secret_access_key, None, None, "test");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(account.simulator.endpoint())
        .credentials_provider(credentials)
        .http_client(Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn a_secret_is_read_by_name_and_by_the_arn_of_any_region() {
    let account = Account::new().await;
    let manager: &dyn SecretsManagerApi = &account.aws;
    let keeper_here = keeper(&account, REGION);
    let made = keeper_here.create_secret().name("team/db");
    let made = made.secret_string("hush").send().await.unwrap();
    for id in ["team/db", made.arn().unwrap()] {
        assert_eq!(manager.read(id).await.unwrap().expose(), "hush");
    }
    let put = keeper_here.put_secret_value().secret_id("team/db");
    put.secret_string("hush again").send().await.unwrap();
    assert_eq!(
        manager.read("team/db").await.unwrap().expose(),
        "hush again"
    );

    let elsewhere = keeper(&account, "eu-west-1").create_secret().name("far");
    let far = elsewhere.secret_string("away").send().await.unwrap();
    let value = manager.read(far.arn().unwrap()).await.unwrap();
    assert_eq!(value.expose(), "away");
    assert_eq!(manager.read("far").await.unwrap_err().code, "AWS024");
}

#[tokio::test]
async fn what_is_not_given_out_is_told_apart_by_its_code() {
    let account = Account::new().await;
    let manager: &dyn SecretsManagerApi = &account.aws;
    let keeper = keeper(&account, REGION);
    let text = keeper.create_secret().name("gone").secret_string("hush");
    text.send().await.unwrap();
    let bytes = keeper.create_secret().name("bytes");
    let bytes = bytes.secret_binary(Blob::new([0, 255]));
    bytes.send().await.unwrap();
    keeper.create_secret().name("empty").send().await.unwrap();
    let delete = keeper.delete_secret().secret_id("gone");
    delete.send().await.unwrap();
    for (id, kind, code) in [
        ("none", Kind::NotFound, "AWS024"),
        ("empty", Kind::NotFound, "AWS024"),
        ("gone", Kind::NotFound, "AWS025"),
        ("bytes", Kind::Invalid, "AWS027"),
    ] {
        let error = manager.read(id).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.hint.is_some(), "{error}");
    }
    for (answered, kind, code, hint) in [
        (
            "DecryptionFailure",
            Kind::Forbidden,
            "AWS026",
            "kms:Decrypt",
        ),
        (
            "AccessDeniedException",
            Kind::Forbidden,
            "AWS005",
            "secretsmanager:GetSecretValue",
        ),
        ("InvalidParameterException", Kind::Invalid, "AWS013", ""),
    ] {
        let effect = AwsFaultEffect::Error {
            code: answered.to_owned(),
            message: "no".to_owned(),
            status: None,
        };
        fault(
            &account,
            "secretsmanager",
            "GetSecretValue",
            Some(1),
            effect,
        );
        let error = manager.read("bytes").await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.hint.unwrap().contains(hint));
        assert_ne!(error.kind.retry(), Retry::Soon);
    }
    // Throttled, it is asked again.
    let effect = AwsFaultEffect::Throttle;
    fault(
        &account,
        "secretsmanager",
        "GetSecretValue",
        Some(2),
        effect,
    );
    assert_eq!(manager.read("bytes").await.unwrap_err().code, "AWS027");
}
