//! An account of a test's own: the simulator, the adapter, and an SDK client beside it for what the adapter never does.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::{BehaviorVersion, Region};
use aws_smithy_http_client::Builder;
use pipectl_aws::{Aws, AwsOptions, OwnEndpoint, connect};
use pipectl_sandbox::aws::{self, AwsFaultEffect, AwsFaultRule, AwsSettings, Consistency, Wait};
use pipectl_stages::ports::{cloud::Tags, compute::ComputeApi, network::NetworkApi};
use tokio_util::sync::CancellationToken;

/// The region of all tests.
pub const REGION: &str = "us-west-2";
/// How much faster than AWS things go.
const SCALE: f64 = 500.0;
/// Longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// An account in the simulator.
pub struct Account {
    /// The simulator.
    pub simulator: aws::Aws,
    /// The adapter under test.
    pub aws: Aws,
    /// Its port of networks.
    pub network: Arc<dyn NetworkApi>,
    /// Its port of instances and the like.
    pub compute: Arc<dyn ComputeApi>,
    /// For what only others do.
    pub ec2: aws_sdk_ec2::Client,
    end: CancellationToken,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Account {
    /// An account whose reads know everything at once.
    pub async fn new() -> Self {
        Self::with(Consistency {
            by_id: Duration::ZERO,
            by_filter: Duration::ZERO,
        })
        .await
    }

    /// An account whose reads are this late.
    pub async fn with(consistency: Consistency) -> Self {
        let end = CancellationToken::new();
        let settings = AwsSettings {
            time_scale: SCALE,
            consistency,
            // What AWS shows for an hour is shown for the whole test, however busy the machine is.
            latencies: BTreeMap::from([
                (Wait::NatGatewayForgotten, Duration::from_secs(10_000_000)),
                (Wait::InstanceForgotten, Duration::from_secs(10_000_000)),
            ]),
            ..AwsSettings::default()
        };
        let simulator = aws::serve(settings, end.clone()).await.unwrap();
        let key = simulator.credentials();
        let aws = connect(AwsOptions {
            region: REGION.to_owned(),
            profile: None,
            role_arn: None,
            endpoint: Some(OwnEndpoint {
                url: simulator.endpoint().to_owned(),
                access_key_id: key.access_key_id.clone(),
                secret_access_key: key.secret_access_key.clone(),
            }),
            time_scale: SCALE,
        })
        .await
        .unwrap();
        let credentials =
            Credentials::new(key.access_key_id, key.secret_access_key, None, None, "test");
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(simulator.endpoint())
            .credentials_provider(credentials)
            .http_client(Builder::new().build_http())
            .build();
        Self {
            network: Arc::new(aws.clone()),
            compute: Arc::new(aws.clone()),
            ec2: aws_sdk_ec2::Client::from_conf(config),
            simulator,
            aws,
            end,
        }
    }

    /// How often an action of EC2 was called since the start or since [`Self::count_anew`].
    pub fn calls(&self, action: &str) -> u64 {
        let counters = self.simulator.counters();
        let of_action = counters.iter().filter(|count| count.action == action);
        of_action.map(|count| count.calls).sum()
    }

    /// Counts from zero again.
    pub fn count_anew(&self) {
        self.simulator.reset_counters();
    }

    /// So many calls of an action of EC2 suffer this, after `skip` that don't.
    pub fn fault(&self, action: &str, skip: u32, count: u32, effect: AwsFaultEffect) {
        self.simulator.set_faults(vec![AwsFaultRule {
            service: Some("ec2".to_owned()),
            action: Some(action.to_owned()),
            skip,
            count: Some(count),
            effect,
            ..AwsFaultRule::default()
        }]);
    }
}

/// Waits until a look gives something.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tags.
pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
