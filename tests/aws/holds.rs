//! The lease in the account: two machines, of which at most one changes an environment.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use pipectl::{
    engine::{Graph, Hold, RunOutcome, Verb},
    session::hold::{AccountLease, AtWork, Claimant, MARGIN, TERM},
};
use pipectl_stages::ports::anchors::{AnchorApi, Sighting};
use pipectl_state::{BootClock, Holder};

use crate::{
    account::Account,
    cluster::FakeCluster,
    house::{House, pipeline, uid},
    lifecycle::{is_empty, is_whole},
};

/// Longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A change that takes one call of AWS's.
const LARGER: &[(&str, &str)] = &[("spec.nodeGroups", "[{name: default, size: 3}]")];

/// Somebody on another machine.
fn elsewhere(host: &str) -> Holder {
    Holder {
        host: host.to_owned(),
        boot: Some(format!("boot-of-{host}")),
        ..Holder::current()
    }
}

async fn anchors(account: &Account) -> Arc<dyn AnchorApi> {
    let cluster = FakeCluster::new(account);
    account.ports(&cluster).await.cloud.unwrap().anchors
}

async fn seen(account: &Account, house: &House) -> Option<Sighting> {
    let anchors = anchors(account).await;
    anchors.sight(&house.environment.name).await.unwrap()
}

/// The lease of the house's environment for somebody on another machine, over a connection of its own.
async fn lease_of(
    account: &Account,
    house: &House,
    host: &str,
    bounds: (Duration, Duration),
) -> Arc<AccountLease> {
    let claimant = Claimant {
        holder: elsewhere(host),
        run: uid(),
        earlier: BTreeSet::new(),
    };
    let owner = house.environment.clone();
    AccountLease::within(
        anchors(account).await,
        owner,
        claimant,
        bounds,
        Arc::new(BootClock),
    )
}

/// The same environment, worked on from another machine with a record of its own.
async fn from(account: &Arc<Account>, house: &House, host: &str) -> House {
    let mut other = House::new(account.clone(), &house.environment.name).await;
    other.environment = house.environment.clone();
    other.holder = elsewhere(host);
    other
}

/// Changing calls that were made, with how often.
fn changes(account: &Account) -> Vec<(String, u64)> {
    let changes = account.changes().into_iter();
    changes.map(|count| (count.action, count.calls)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_machines_at_once_one_takes_it_and_the_others_are_told_which() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "raced").await;
    house.up(&pipeline(&[])).await.well();
    for round in 0..4 {
        let mut leases = Vec::new();
        for number in 0..12 {
            let host = format!("machine-{round}-{number}");
            leases.push((
                host.clone(),
                lease_of(&account, &house, &host, (TERM, MARGIN)).await,
            ));
        }
        let racing = leases.iter().map(|(_, lease)| {
            let lease = lease.clone();
            tokio::spawn(async move { lease.before_effect().await })
        });
        let taken = futures::future::join_all(racing.collect::<Vec<_>>()).await;
        let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
        let winners: Vec<usize> = (0..12).filter(|&number| taken[number].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{taken:#?}");
        for refused in taken.iter().filter_map(|one| one.as_ref().err()) {
            assert_eq!(refused.code, "STA020", "{refused}");
        }
        // However late the others wrote, the record names the one that has it.
        let (host, winner) = &leases[winners[0]];
        let begun = std::time::Instant::now();
        loop {
            let now = seen(&account, &house).await.unwrap();
            if now.counts() && AtWork::of(&now).is_some_and(|at_work| at_work.holder.contains(host))
            {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{now:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        winner.before_effect().await.unwrap();
        winner.give_back().await;
        assert_eq!(seen(&account, &house).await.unwrap().anchor.lease, None);
    }
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_machine_works_another_changes_nothing_and_follows_when_it_has_died() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "shared").await;
    let loaded = pipeline(&[]);
    house.up(&loaded).await.well();
    assert_eq!(seen(&account, &house).await.unwrap().anchor.lease, None);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    // So long that a busy machine does not let it run out while it lives.
    let bounds = (Duration::from_secs(10), Duration::from_secs(1));
    let lease = lease_of(&account, &house, "busy", bounds).await;
    let theirs = lease.clone();
    runtime
        .spawn(async move { theirs.before_effect().await })
        .await
        .unwrap()
        .unwrap();

    // Whoever finds nothing to do asks nobody.
    let mut other = from(&account, &house, "late").await;
    account.aws.reset_counters();
    other.up(&loaded).await.well();
    for _ in 0..2 {
        let refused = other.up(&pipeline(LARGER)).await;
        let report = &refused.end.report;
        assert_eq!(report.outcome, RunOutcome::LeaseLost);
        let fatal = report.fatal.as_ref().unwrap();
        assert_eq!(fatal.code, "STA020");
        assert!(fatal.cause.contains("@busy"), "{}", fatal.cause);
        assert_eq!(refused.changed(), Vec::<String>::new());
    }
    let refused = other.down().await;
    assert_eq!(refused.end.report.outcome, RunOutcome::LeaseLost);
    is_whole(&account);
    let writes = changes(&account);
    // Its own heartbeats.
    assert!(
        writes.iter().all(|(action, _)| action == "PutParameter"),
        "{writes:?}"
    );

    // It dies, and nobody is told. Another follows when what was begun under its lease has ended.
    runtime.shutdown_background();
    let begun = std::time::Instant::now();
    loop {
        let followed = other.up(&pipeline(LARGER)).await;
        if followed.succeeded() {
            assert_eq!(followed.changed(), ["nodes/group-default"]);
            break;
        }
        assert_eq!(followed.end.report.outcome, RunOutcome::LeaseLost);
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The dead one's process would not have been allowed anything meanwhile.
    assert_eq!(lease.before_effect().await.unwrap_err().code, "STA022");
    account.aws.reset_counters();
    other.down().await.well();
    let writes = changes(&account);
    assert!(
        writes.contains(&("PutParameter".to_owned(), 1)),
        "{writes:?}"
    );
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_it_with_its_first_effect_and_gives_it_back_at_its_end() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "counted").await;
    let puts = |account: &Account| {
        let changes = changes(account).into_iter();
        let puts = changes.filter(|(action, _)| action == "PutParameter");
        puts.map(|(_, calls)| calls).sum::<u64>()
    };
    let loaded = pipeline(&[]);
    house.up(&loaded).await.well();
    assert_eq!(
        puts(&account),
        2,
        "made with the lease in it, and given back"
    );
    account.aws.reset_counters();
    house.up(&pipeline(LARGER)).await.well();
    assert_eq!(puts(&account), 2, "taken and given back");
    account.aws.reset_counters();
    // A cancelled run gives it back as well, so that the next need not wait; where a call was cut off, it is left to run out.
    house.bounds = (Duration::from_secs(10), Duration::from_secs(1));
    let graph = Graph::up(house.steps(&loaded)).unwrap();
    let (stopper, stop) = pipectl::engine::stop();
    let mut run = Box::pin(house.run(graph, Verb::Up, stop));
    tokio::select! {
        _ = &mut run => panic!("it ended by itself"),
        () = async {
            while puts(&account) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => stopper.request(),
    }
    let cancelled = run.await;
    let report = &cancelled.end.report;
    assert_eq!(report.outcome, RunOutcome::Cancelled);
    let left = seen(&account, &house).await.unwrap().anchor.lease;
    assert_eq!(
        left.is_some_and(|lease| lease.abandoned),
        !report.in_flight.is_empty(),
        "{:?}",
        report.in_flight
    );
    let mut other = from(&account, &house, "next").await;
    let begun = std::time::Instant::now();
    while !other.up(&loaded).await.succeeded() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    other.down().await.well();
    assert!(seen(&account, &house).await.is_none());
    is_empty(&account);
}
