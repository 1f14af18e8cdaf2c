//! Ending a run: once for soon, twice for now.

use std::time::Duration;

use pipectl_stages::{Milestone, StepId};
use pipectl_state::{Outcome, StepStatus};

use super::world::{Fate, House, Script, Seen, need};
use crate::engine::{EventKind, RunOutcome, Stop, Stopper, Verb, stop};

fn after(delay: Duration, stopper: Stopper, times: u32) -> tokio::task::JoinHandle<Stopper> {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        for _ in 0..times {
            stopper.request();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        stopper
    })
}

async fn run_until(house: &House, scripts: &[Script], delay: Duration, times: u32) -> Seen {
    let (stopper, stop) = stop();
    let task = after(delay, stopper, times);
    let seen = house.run(scripts, Verb::Up, stop).await;
    task.abort();
    seen
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_lets_calls_end_and_begins_nothing_new() {
    let house = House::new();
    let scripts = [
        Script::new("a/1", vec![]).takes(Duration::from_secs(2), Duration::ZERO),
        Script::new("a/2", vec![need("a/1", Milestone::Applied)]),
    ];
    let seen = run_until(&house, &scripts, Duration::from_secs(1), 1).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Cancelled);
    assert_eq!(seen.took.as_secs(), 2, "the call under way came to its end");
    assert_eq!(house.folded().steps["a/1"].status, StepStatus::Applied);
    assert_eq!(house.world.did("a/2", "observe"), 0);
    assert_eq!(
        house.folded().last_run().and_then(|run| run.outcome),
        Some(Outcome::Cancelled)
    );
    assert!(seen.end.report.in_flight.is_empty());
    // The lease was given back: the next run begins at once.
    let seen = house.up(&scripts).await;
    assert!(seen.took < Duration::from_secs(1), "{:?}", seen.took);
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_once() {
    let house = House::new();
    let scripts = [Script::new("a/1", vec![]).fate(Fate::NeverReady)];
    let seen = run_until(&house, &scripts, Duration::from_secs(30), 1).await;
    assert_eq!(seen.took.as_secs(), 30);
    assert_eq!(seen.end.report.totals.cancelled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_left_and_the_lease_runs_out() {
    let house = House::new();
    let scripts = [Script::new("a/1", vec![]).fate(Fate::Hangs)];
    let seen = run_until(&house, &scripts, Duration::from_secs(1), 1).await;
    assert!(seen.took < Duration::from_secs(6), "{:?}", seen.took);
    assert_eq!(seen.end.report.in_flight, [StepId::from("a/1")]);
    assert_eq!(house.folded().steps["a/1"].status, StepStatus::Intended);
    // Whoever comes next waits until nothing of it can take effect any more.
    house.world.mend();
    let began = tokio::time::Instant::now();
    let seen = house.up(&scripts).await;
    assert!(
        began.elapsed() > Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_ends_at_once() {
    let house = House::new();
    let scripts = [Script::new("a/1", vec![]).fate(Fate::Hangs)];
    let seen = run_until(&house, &scripts, Duration::from_secs(1), 2).await;
    assert!(seen.took <= Duration::from_millis(1300), "{:?}", seen.took);
    assert_eq!(seen.end.report.in_flight, [StepId::from("a/1")]);
}

#[tokio::test(start_paused = true)]
async fn one_signal_is_enough_where_the_disk_does_not_write() {
    let mut house = House::new();
    // The write of the step's end hangs, before the signal or after it.
    for takes in [1, 3] {
        house.stuck_after = Some(Duration::from_secs(1));
        let scripts =
            [Script::new("a/1", vec![]).takes(Duration::from_secs(takes), Duration::ZERO)];
        let seen = run_until(&house, &scripts, Duration::from_secs(2), 1).await;
        assert!(seen.took < Duration::from_secs(7), "{:?}", seen.took);
        house.stuck_after = None;
        let seen = house.up(&scripts).await;
        assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_asked_for_before_begins_nothing() {
    let house = House::new();
    let (stopper, stop) = stop();
    stopper.request();
    let seen = house
        .run(&[Script::new("a/1", vec![])], Verb::Up, stop)
        .await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Cancelled);
    assert!(!house.world.exists("a/1"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_is_said_and_gone_on_with() {
    let house = House::new();
    let scripts = [Script::new("a/1", vec![]).fate(Fate::Hangs)];
    // A kill: the run's future is dropped in the middle of a call.
    let killed = tokio::time::timeout(
        Duration::from_secs(2),
        house.run(&scripts, Verb::Up, Stop::never()),
    );
    assert!(killed.await.is_err());
    assert_eq!(house.folded().steps["a/1"].status, StepStatus::Intended);
    house.world.mend();
    let seen = house.up(&scripts).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    let kinds = seen.kinds();
    let Some(EventKind::RunStarted {
        continues: Some(left),
        ..
    }) = kinds.first()
    else {
        panic!("the run says what it goes on with: {:?}", kinds.first());
    };
    assert_eq!(left.intended, [StepId::from("a/1")]);
    assert_eq!(left.beyond_this_run, []);
    assert_eq!(house.folded().steps["a/1"].intents[0].attempt, 1);
}
