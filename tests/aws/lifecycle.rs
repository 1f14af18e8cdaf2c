//! Up, once more, down: everything is made once, nothing is written twice, nothing is left.

use std::sync::Arc;

use crate::{
    account::Account,
    graph::standing,
    house::{House, pipeline},
};

/// What a whole environment is made of, by service and kind.
pub const WHOLE: &[(&str, usize)] = &[
    ("ec2/addresses", 1),
    ("ec2/endpoints", 1),
    ("ec2/internet_gateways", 1),
    ("ec2/nat_gateways", 1),
    ("ec2/subnets", 4),
    ("ec2/vpcs", 1),
    ("eks/clusters", 1),
    ("iam/providers", 1),
    ("iam/roles", 3),
    ("kms/keys", 1),
    ("logs/groups", 1),
    ("ssm/parameters", 1),
];

/// Holds that each thing of an environment is there, and only once.
#[track_caller]
pub fn is_whole(account: &Account) {
    let graph = account.graph();
    let found = standing(&graph);
    for (kind, count) in WHOLE {
        assert_eq!(
            found.get(*kind),
            Some(count),
            "{kind} in {found:#?}\n{graph:#}"
        );
    }
}

/// Holds that nothing is left but what AWS keeps to be seen for a while.
#[track_caller]
pub fn is_empty(account: &Account) {
    let graph = account.graph();
    let left = standing(&graph);
    assert!(left.is_empty(), "{left:#?}\n{graph:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_and_again_and_down() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "plain").await;
    let loaded = pipeline(&[]);

    house.up(&loaded).await.well();
    is_whole(&account);

    account.aws.reset_counters();
    house.up(&loaded).await.well();
    assert_eq!(account.changes(), [], "a no-op makes no changing call");

    house.down().await.well();
    assert_eq!(account.refused(), Vec::<String>::new());
    is_empty(&account);
}
