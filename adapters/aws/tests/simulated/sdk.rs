//! SDK clients beside the adapter, for what others do in an account.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::Builder;

use crate::support::{Account, REGION};

/// What any client is made from.
pub fn config(account: &Account) -> SdkConfig {
    let key = account.simulator.credentials();
    let credentials = Credentials::new(
        key.access_key_id,
        key.secret_access_key,
        None,
        None,
        "the test's own",
    );
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .endpoint_url(account.simulator.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Builder::new().build_http())
        .build()
}
