//! What the inside of an EKS cluster makes outside of it: load balancers of services, volumes of claims; with real control planes,
//! seen by clients that were not written here.

#[path = "support/account.rs"]
mod account;

use account::{Account, SCALE};
use pipectl_sandbox::AwsOptions;

#[tokio::test(flavor = "multi_thread")]
async fn balancers_and_volumes_come_and_go_with_their_objects_and_outlive_their_cluster() {
    let Some(account) = Account::new("owned") else {
        return;
    };
    account.start().await;
    account
        .client("owned.py", &["up", "balancers", "volumes", "leave"])
        .await;
    // The control plane has ended with its cluster, and nothing of it lingers.
    Account::until("the control plane is gone", async || {
        account.status().await.eks.is_empty()
            && Account::processes(&account.sandbox.layout().aws_clusters()).is_empty()
            && account.planes().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_sleeps_when_nobody_comes_and_wakes_for_clients_and_changes() {
    let Some(account) = Account::new("sleep") else {
        return;
    };
    let soon = AwsOptions {
        time_scale: SCALE,
        idle_seconds: 2,
        ..AwsOptions::default()
    };
    account.start_with(soon.clone()).await;
    account.client("failures.py", &["up", "grow"]).await;
    let asleep = async || {
        let planes = account.status().await.eks;
        planes.len() == 1 && planes[0].components.is_empty()
    };
    Account::until("it sleeps", asleep).await;
    let clusters = account.sandbox.layout().aws_clusters();
    Account::until("its processes have ended", async || {
        Account::processes(&clusters).is_empty()
    })
    .await;
    // A client wakes it, and finds what was there.
    account.client("failures.py", &["nodes"]).await;
    Account::until("it sleeps again", asleep).await;
    account.client("failures.py", &["follow"]).await;
    Account::until("it sleeps once more", asleep).await;
    // What changes wakes it, without a client.
    account.client("failures.py", &["shrink"]).await;
    account.client("failures.py", &["one_node"]).await;
    account.sandbox.stop().await.unwrap();
    assert_eq!(Account::processes(&clusters), Vec::<u32>::new());
    // After a restart it boots when somebody comes.
    account.start_with(soon).await;
    assert!(asleep().await, "nobody has come yet");
    account.client("failures.py", &["one_node"]).await;
    // It follows a supervisor that is killed, too.
    Account::kill(account.status().await.pid);
    Account::until("its processes follow", async || {
        Account::processes(&clusters).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_groups_without_capacity_or_whose_nodes_do_not_join_say_so() {
    let Some(account) = Account::new("failures") else {
        return;
    };
    // So slow that what is tried again is so before it has failed, also on a busy machine.
    let slow = AwsOptions {
        time_scale: 120,
        ..AwsOptions::default()
    };
    account.start_with(slow).await;
    account
        .client("failures.py", &["up", "no_capacity", "no_join"])
        .await;
}
