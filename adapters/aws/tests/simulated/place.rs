//! Other ways into the simulator than the account's own: other accounts, other regions, other keys.

use pipectl_aws::{Aws, AwsOptions, OwnEndpoint, connect};
use pipectl_sandbox::aws::{AwsCredentials, AwsFaultEffect, AwsFaultRule};

use crate::support::{Account, REGION};

/// As fast as the tests' own account.
pub const SCALE: f64 = 500.0;

/// Options for an endpoint and a key.
pub fn options(url: &str, key: &AwsCredentials, region: &str) -> AwsOptions {
    AwsOptions {
        region: region.to_owned(),
        profile: None,
        role_arn: None,
        endpoint: Some(OwnEndpoint {
            url: url.to_owned(),
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
        }),
        time_scale: SCALE,
    }
}

/// The simulator as another account or region sees it.
pub async fn elsewhere(account: &Account, number: &str, region: &str) -> Aws {
    let key = account.simulator.credentials_of(number);
    connect(options(account.simulator.endpoint(), &key, region))
        .await
        .unwrap()
}

/// The simulator with the tests' account under options of one's own.
pub async fn with(account: &Account, change: impl FnOnce(&mut AwsOptions)) -> Aws {
    let key = account.simulator.credentials();
    let mut options = options(account.simulator.endpoint(), &key, REGION);
    change(&mut options);
    connect(options).await.unwrap()
}

/// The first `count` calls of an action suffer this; all of them without a count.
pub fn fault(
    account: &Account,
    service: &str,
    action: &str,
    count: Option<u32>,
    effect: AwsFaultEffect,
) {
    account.simulator.set_faults(vec![AwsFaultRule {
        service: Some(service.to_owned()),
        action: Some(action.to_owned()),
        count,
        effect,
        ..AwsFaultRule::default()
    }]);
}
