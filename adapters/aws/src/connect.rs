//! From options to a connection: which credentials, over which HTTP client, with which bounds.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, identity::IdentityCache,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use pipectl_stages::error::{PortError, PortErrorKind as Kind};

use crate::{
    call::CallBounds,
    client::Aws,
    codes, errors,
    options::{AwsOptions, OwnEndpoint},
};

/// Longest that an idle connection is kept: AWS's endpoints close theirs after a minute or less.
const IDLE: Duration = Duration::from_secs(50);

/// The defaults that this adapter was written against; a new SDK does not change them behind its back.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Prepares the way to an account. Nothing is sent yet, apart from what finding credentials takes; whether they work,
/// [`AccountApi::caller`](pipectl_stages::ports::account::AccountApi::caller) tells.
///
/// # Errors
/// `Invalid` when an option cannot be used.
pub async fn connect(options: AwsOptions) -> Result<Aws, PortError> {
    connect_within(options, CallBounds::default()).await
}

async fn connect_within(options: AwsOptions, bounds: CallBounds) -> Result<Aws, PortError> {
    check(&options)?;
    let config = match &options.endpoint {
        Some(endpoint) => own(&options, endpoint, bounds),
        None => ambient(&options, bounds).await,
    };
    let config = match &options.role_arn {
        Some(role) => assuming(config, role).await,
        None => config,
    };
    Ok(Aws::new(config, options))
}

fn check(options: &AwsOptions) -> Result<(), PortError> {
    let refused = |cause: String| Err(errors::error(Kind::Invalid, codes::OPTIONS, cause));
    if options.region.is_empty()
        || !options
            .region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return refused(format!("{:?} is not the name of a region", options.region));
    }
    if !options.time_scale.is_finite() || options.time_scale <= 0.0 {
        return refused(format!("{} is not a time scale", options.time_scale));
    }
    if let Some(endpoint) = &options.endpoint
        && !["http://", "https://"]
            .iter()
            .any(|scheme| endpoint.url.starts_with(scheme))
    {
        return refused(format!(
            "{:?} is not the address of an endpoint",
            endpoint.url
        ));
    }
    Ok(())
}

/// Only what the options say: made without the loader that looks at the environment.
fn own(options: &AwsOptions, endpoint: &OwnEndpoint, bounds: CallBounds) -> SdkConfig {
    let credentials = Credentials::new(
        endpoint.access_key_id.clone(),
        endpoint.secret_access_key.clone(),
        None,
        None,
        "own endpoint",
    );
    let mut builder = SdkConfig::builder()
        .behavior_version(behavior())
        .region(Region::new(options.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(identity_cache())
        .retry_config(bounds.retry(options.time_scale))
        .timeout_config(bounds.timeouts())
        .http_client(http_client(bounds, ProxyConfig::disabled()))
        .time_source(SystemTimeSource::new())
        .sleep_impl(TokioSleep::new())
        .endpoint_url(endpoint.url.clone());
    builder.set_app_name(app_name());
    builder.build()
}

/// AWS's own chain. A profile that was named counts alone: of credentials in the environment, which the chain would prefer, nobody
/// said that they belong to the same account.
async fn ambient(options: &AwsOptions, bounds: CallBounds) -> SdkConfig {
    let http = http_client(bounds, ProxyConfig::from_env());
    let mut loader = aws_config::defaults(behavior())
        .region(Region::new(options.region.clone()))
        .identity_cache(identity_cache())
        .retry_config(bounds.retry(options.time_scale))
        .timeout_config(bounds.timeouts())
        .http_client(http.clone());
    if let Some(name) = app_name() {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &options.profile {
        let provider = ProviderConfig::default()
            .with_region(Some(Region::new(options.region.clone())))
            .with_http_client(http);
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&provider)
            .profile_name(profile)
            .build();
        loader = loader
            .profile_name(profile)
            .credentials_provider(credentials);
    }
    loader.load().await
}

/// The same connection under a role's credentials, which are renewed before they end.
async fn assuming(config: SdkConfig, role: &str) -> SdkConfig {
    let provider = AssumeRoleProvider::builder(role)
        .session_name("pipectl")
        .configure(&config)
        .build()
        .await;
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

/// Credentials are asked for once for all services and renewed in time; a browser or a program behind a profile may take a while.
fn identity_cache() -> impl aws_smithy_runtime_api::client::identity::ResolveCachedIdentity + 'static
{
    IdentityCache::lazy()
        .load_timeout(Duration::from_secs(12))
        .build()
}

/// How calls name their program in CloudTrail; a plain word is always accepted.
fn app_name() -> Option<AppName> {
    AppName::new("pipectl").ok()
}

/// One pool of connections for all services and calls.
fn http_client(bounds: CallBounds, proxy: ProxyConfig) -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(bounds.connect)
        .build();
    let connector = SharedHttpConnector::new(
        Connector::builder()
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .pool_idle_timeout(IDLE)
            .proxy_config(proxy)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build(),
    );
    http_client_fn(move |_, _| connector.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use pipectl_stages::ports::account::AccountApi;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_pauses_fit_into_the_whole_calls_bound() {
        let bounds = CallBounds::default();
        let mut pauses = Duration::ZERO;
        let mut pause = bounds.first_pause;
        for _ in 1..bounds.attempts {
            pauses += pause;
            pause = (pause * 2).min(bounds.longest_pause);
        }
        assert!(pauses < bounds.total, "{pauses:?}");
        assert!(bounds.attempt < bounds.total && bounds.connect < bounds.attempt);
    }

    /// Somebody who takes connections and never says a word.
    #[tokio::test]
    async fn silence_ends_an_attempt_and_then_the_call() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                keep.lock().unwrap().push(connection);
            }
        });
        let options = AwsOptions {
            region: "us-west-2".to_owned(),
            profile: None,
            role_arn: None,
            endpoint: Some(OwnEndpoint {
                url,
                access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                secret_access_key: "nothing".to_owned(),
            }),
            time_scale: 1_000.0,
        };
        let bounds = CallBounds {
            attempt: Duration::from_millis(50),
            attempts: 3,
            ..CallBounds::default()
        };
        let aws = connect_within(options, bounds).await.unwrap();
        let error = aws.caller().await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (Kind::Timeout, codes::TIMEOUT),
            "{error}"
        );
        // Each attempt came over a connection of its own: one that says nothing is not used again.
        assert_eq!(taken.lock().unwrap().len(), 3);
    }
}
