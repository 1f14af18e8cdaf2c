//! Which credentials and endpoints are used when the environment is full of others.
//!
//! A process cannot change its own environment safely, so each test runs itself again as a child with the environment that it
//! is about.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pipectl_aws::{Aws, AwsOptions, connect};
use pipectl_sandbox::aws::AwsCredentials;
use pipectl_stages::{
    error::PortErrorKind as Kind,
    ports::{
        account::{AccountApi, Quota},
        anchors::AnchorApi,
        balancers::BalancerApi,
        cloud::Tags,
        clusters::ClusterApi,
        identity::IdentityApi,
        keys::KeyApi,
        logs::LogApi,
        tagged::TaggedApi,
    },
};
use tokio::{net::TcpListener, process::Command};

use crate::{
    place::{SCALE, options},
    support::{Account, REGION},
};

/// Set in the child only.
const CHILD: &str = "PIPECTL_AWS_TEST_ENDPOINT";
const CHILD_KEY: &str = "PIPECTL_AWS_TEST_KEY";
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether this is the child, and where the simulator of its parent is.
fn endpoint() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs one test of this file again, in an environment of nothing but these variables.
async fn run_again(test: &str, account: &Account, variables: &[(&str, &str)]) {
    let key = account.simulator.credentials();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("ambient::{test}"), "--nocapture"])
        .env_clear()
        .env(CHILD, account.simulator.endpoint())
        .env(
            CHILD_KEY,
            format!("{}/{}", key.access_key_id, key.secret_access_key),
        )
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let ended = ended.expect("the child ends in time").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// Somebody whom nobody should ask; counts who does.
async fn trap() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, asked)
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn ambient(profile: Option<&str>) -> AwsOptions {
    AwsOptions {
        region: REGION.to_owned(),
        profile: profile.map(str::to_owned),
        role_arn: None,
        endpoint: None,
        time_scale: SCALE,
    }
}

/// Promise: with an endpoint of its own, neither environment, profile, proxy nor metadata is consulted.
#[tokio::test]
async fn an_own_endpoint_asks_nobody_else() {
    if let Some(url) = endpoint() {
        let key = std::env::var(CHILD_KEY).unwrap();
        let (id, secret) = key.split_once('/').unwrap();
        let key = AwsCredentials {
            account: String::new(),
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
        };
        let aws = connect(options(&url, &key, REGION)).await.unwrap();
        let caller = aws.caller().await.unwrap();
        assert_eq!(caller.region, REGION);
        assert_eq!(caller.expires, None);
        assert!(aws.zones().await.unwrap()[0].name.starts_with(REGION));
        assert!(every_service_answers(&aws).await);
        return;
    }
    let account = Account::new().await;
    let (url, asked) = trap().await;
    let directory = tempfile::tempdir().unwrap();
    let touched = directory.path().join("touched");
    let config = write(
        &directory.path().join("config"),
        &format!(
            "[default]\nregion = eu-west-3\nendpoint_url = {url}\ncredential_process = /bin/touch {}\n",
            touched.display()
        ),
    );
    let variables = [
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", config.as_str()),
        ("AWS_PROFILE", "nobody"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
        ("AWS_SESSION_TOKEN", "wrong"),
        ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ENDPOINT_URL_EC2", url.as_str()),
        ("AWS_ENDPOINT_URL_KMS", url.as_str()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", url.as_str()),
        ("AWS_ENDPOINT_URL_IAM", url.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_RETRY_MODE", "nonsense"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("HTTP_PROXY", url.as_str()),
        ("http_proxy", url.as_str()),
        ("HTTPS_PROXY", url.as_str()),
        ("ALL_PROXY", url.as_str()),
    ];
    run_again("an_own_endpoint_asks_nobody_else", &account, &variables).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(!touched.exists());
}

/// A read of every service, so that no client is forgotten.
async fn every_service_answers(aws: &Aws) -> bool {
    let none = Tags::new();
    IdentityApi::oidc_providers(aws).await.unwrap().is_empty()
        && KeyApi::tagged(aws, &none).await.unwrap().is_empty()
        && LogApi::find(aws, "/nothing").await.unwrap().is_none()
        && AnchorApi::all(aws).await.unwrap().is_empty()
        && BalancerApi::in_vpc(aws, "vpc-1").await.unwrap().is_empty()
        && TaggedApi::all(aws, &none).await.unwrap().is_empty()
        && ClusterApi::find(aws, "nothing").await.unwrap().is_none()
        && aws.quotas(&[Quota::Vpcs]).await.unwrap().len() == 1
}

/// A profile that the pipeline file names is not outvoted by keys that happen to be in the environment.
#[tokio::test]
async fn a_named_profile_counts_alone() {
    if endpoint().is_some() {
        let own = connect(ambient(Some("team"))).await.unwrap();
        let caller = own.caller().await.unwrap();
        assert_eq!(
            (caller.account.as_str(), caller.expires),
            ("222233334444", None)
        );
        assert!(own.zones().await.unwrap()[0].name.starts_with(REGION));
        // Without a name, the environment speaks, and says when it ends.
        let other = connect(ambient(None)).await.unwrap();
        let caller = other.caller().await.unwrap();
        assert_eq!(caller.account, "333344445555");
        assert_eq!(
            caller.expires,
            Some("2099-01-01T00:00:00Z".parse().unwrap())
        );
        let nobody = connect(ambient(Some("nobody"))).await.unwrap();
        let error = nobody.caller().await.unwrap_err();
        assert_eq!(error.kind, Kind::Unauthorized, "{error}");
        assert!(error.cause.contains("nobody"), "{error}");
        return;
    }
    let account = Account::new().await;
    let team = account.simulator.credentials_of("222233334444");
    let environment = account.simulator.credentials_of("333344445555");
    let directory = tempfile::tempdir().unwrap();
    let keys = write(
        &directory.path().join("credentials"),
        &format!(
            "[team]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            team.access_key_id, team.secret_access_key
        ),
    );
    let config = write(
        &directory.path().join("config"),
        "[profile team]\nregion = eu-west-3\n",
    );
    let variables = [
        ("AWS_CONFIG_FILE", config.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", keys.as_str()),
        ("AWS_ACCESS_KEY_ID", environment.access_key_id.as_str()),
        (
            "AWS_SECRET_ACCESS_KEY",
            environment.secret_access_key.as_str(),
        ),
        ("AWS_CREDENTIAL_EXPIRATION", "2099-01-01T00:00:00Z"),
        ("AWS_ENDPOINT_URL", account.simulator.endpoint()),
        ("AWS_REGION", "eu-west-3"),
    ];
    run_again("a_named_profile_counts_alone", &account, &variables).await;
}

#[tokio::test]
async fn no_credentials_anywhere_is_said_in_these_words() {
    if endpoint().is_some() {
        let aws = connect(ambient(None)).await.unwrap();
        let error = aws.caller().await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (Kind::Unauthorized, "AWS003"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("aws sso login"));
        return;
    }
    let account = Account::new().await;
    let directory = tempfile::tempdir().unwrap();
    let variables = [
        ("HOME", directory.path().to_str().unwrap()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", account.simulator.endpoint()),
    ];
    run_again(
        "no_credentials_anywhere_is_said_in_these_words",
        &account,
        &variables,
    )
    .await;
}
