//! Killed right after each effect, a run goes on where it was: each thing is there once, and all of it goes again.
//!
//! The kill point is a call that took effect and whose answer never came: the connection is reset, and the process with all its
//! tasks ends there. Every second point loses what was recorded as well.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use pipectl::engine::{Graph, Stop, Verb};
use pipectl_sandbox::aws::{AwsFaultEffect, AwsFaultMoment, AwsFaultRule};
use pipectl_state::Holder;

use crate::{
    account::Account,
    house::{House, Work, chosen, pipeline},
    lifecycle::{is_empty, is_whole},
};

/// How many points are tried at once.
const AT_ONCE: usize = 6;

/// A changing call: the so-manieth of its action.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    service: String,
    action: String,
    ordinal: u32,
    loses_records: bool,
}

/// Every changing call that was counted.
fn points(account: &Account) -> Vec<Point> {
    let mut points = Vec::new();
    for count in account.changes() {
        for ordinal in 0..u32::try_from(count.calls).unwrap() {
            points.push(Point {
                service: count.service.clone(),
                action: count.action.clone(),
                ordinal,
                loses_records: points.len() % 2 == 1,
            });
        }
    }
    points
}

impl Point {
    fn rule(&self) -> AwsFaultRule {
        AwsFaultRule {
            service: Some(self.service.clone()),
            action: Some(self.action.clone()),
            skip: self.ordinal,
            count: Some(1),
            effect: AwsFaultEffect::Reset {
                when: AwsFaultMoment::After,
            },
            ..AwsFaultRule::default()
        }
    }
}

/// Runs a graph in a process of its own, as far as that goes in a test, and ends it at the point; answers whether it came there.
async fn killed_at(account: &Arc<Account>, work: Work, graph: Graph, verb: Verb) -> bool {
    let account = account.clone();
    let killed = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let killed = runtime.block_on(async {
            tokio::select! {
                biased;
                () = struck(&account) => true,
                _ = work.run(graph, verb, Stop::never()) => false,
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(10));
        killed
    });
    killed.await.unwrap()
}

/// A process of this machine that has ended: the one of these tests lives on when a run of theirs is killed.
fn that_dies() -> Holder {
    Holder {
        started: Some("before".to_owned()),
        ..Holder::current()
    }
}

async fn struck(account: &Account) {
    while account.aws.faults().iter().all(|rule| rule.hits == 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What is wrong after a kill at this point of `up`.
async fn up_killed_at(point: &Point) {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "killed").await;
    let loaded = pipeline(&[]);
    account.faults(vec![point.rule()]);
    let graph = Graph::up(house.steps(&loaded)).unwrap();
    let work = house.work_of(that_dies()).await;
    assert!(
        killed_at(&account, work, graph, Verb::Up).await,
        "{point:?} was not reached"
    );
    account.faults(Vec::new());
    if point.loses_records {
        house.forget();
    }
    house.up(&loaded).await.well();
    is_whole(&account);
    account.aws.reset_counters();
    house.up(&loaded).await.well();
    assert_eq!(
        account.changes(),
        [],
        "{point:?}: the next run changes nothing"
    );
    house.down().await.well();
    is_empty(&account);
}

/// The same of `down`.
async fn down_killed_at(point: &Point) {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "killed").await;
    house.up(&pipeline(&[])).await.well();
    account.faults(vec![point.rule()]);
    let graph = Graph::down(house.removals(false).await).unwrap();
    let work = house.work_of(that_dies()).await;
    assert!(
        killed_at(&account, work, graph, Verb::Down).await,
        "{point:?} was not reached"
    );
    account.faults(Vec::new());
    if point.loses_records {
        house.forget();
    }
    house.down().await.well();
    is_empty(&account);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_goes_on_after_a_kill_at_any_effect() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "killed").await;
    house.up(&pipeline(&[])).await.well();
    let points = chosen(points(&account), 12);
    assert!(points.len() > 3, "{points:?}");
    futures::stream::iter(points)
        .map(|point| async move { up_killed_at(&point).await })
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_goes_on_after_a_kill_at_any_effect() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "killed").await;
    house.up(&pipeline(&[])).await.well();
    account.aws.reset_counters();
    house.down().await.well();
    let points = chosen(points(&account), 10);
    assert!(points.len() > 2, "{points:?}");
    futures::stream::iter(points)
        .map(|point| async move { down_killed_at(&point).await })
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_records_lost_tags_are_enough_to_go_on_and_to_go_down() {
    let account = Arc::new(Account::new().await);
    let mut house = House::new(account.clone(), "forgotten").await;
    let loaded = pipeline(&[("spec.cluster.name", "by-another-name")]);
    house.up(&loaded).await.well();
    house.forget();
    account.aws.reset_counters();
    house.up(&loaded).await.well();
    assert_eq!(
        account.changes(),
        [],
        "everything is found and nothing is written"
    );
    house.forget();
    house.down().await.well();
    is_empty(&account);
}
