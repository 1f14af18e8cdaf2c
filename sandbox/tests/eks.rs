//! EKS as clients that were not written here see it: boto3 makes clusters whose control planes are real, the AWS CLI's tokens
//! enter them, and what was made is taken down again.

#[path = "support/account.rs"]
mod account;

use account::{Account, is_empty};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_entered_kept_over_a_restart_and_taken_down() {
    let Some(account) = Account::new("eks") else {
        return;
    };
    account.start().await;
    account.client("eks.py", &["up", "entered"]).await;
    account.sandbox.stop().await.unwrap();
    account.start().await;
    account.client("eks.py", &["volumes", "down"]).await;
    let left = account.left().await;
    assert!(is_empty(&left), "{left:#}");
    // The ends of control planes take their data along, a little later.
    Account::until("no control plane's data is left", async || {
        account.planes().is_empty()
    })
    .await;
}
