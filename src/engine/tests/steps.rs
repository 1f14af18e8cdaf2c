//! What happens to single steps: retries, timeouts, panics, what a failure withholds, what wakes a wait.

use std::{sync::atomic::Ordering, time::Duration};

use pipectl_stages::{Milestone, Timeouts};
use pipectl_state::{Body, StepStatus};

use super::world::{Fate, House, Script, need};
use crate::engine::{EventKind, RunOutcome};

fn failure_code(seen: &super::world::Seen, step: &str) -> Option<String> {
    let failures = seen.end.report.failures.iter();
    let mut of_step = failures.filter(|failure| failure.step.as_str() == step);
    of_step.next().map(|failure| failure.error.code.clone())
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_last_of_what_it_stands_on_has_failed_and_not_before() {
    let minute = Duration::from_secs(60);
    let pods = |id: &str, ground: &[&str]| {
        Script::new(id, vec![])
            .takes(Duration::from_millis(50), minute)
            .stands_on(ground)
    };
    let house = House::new();
    let begun = tokio::time::Instant::now();
    let seen = house
        .up(&[
            Script::new("nodes/role", vec![]).fate(Fate::EnsureFails),
            Script::new("nodes/one", vec![need("nodes/role", Milestone::Ready)]),
            Script::new("nodes/two", vec![]).fate(Fate::ReadinessFails),
            Script::new("nodes/good", vec![]),
            pods("a/nowhere", &["nodes/one", "nodes/two"]),
            pods("a/somewhere", &["nodes/one", "nodes/good"]),
            pods("a/elsewhere", &["not/here"]),
            // What is ready at its first look needs nobody's ground.
            Script::new("a/at-once", vec![])
                .takes(Duration::from_millis(500), Duration::ZERO)
                .stands_on(&["nodes/one", "nodes/two"]),
        ])
        .await;
    assert_eq!(failure_code(&seen, "a/nowhere").as_deref(), Some("ENG008"));
    let nowhere = seen.end.report.failures.iter();
    let mut nowhere = nowhere.filter(|failure| failure.step.as_str() == "a/nowhere");
    let cause = &nowhere.next().unwrap().error.cause;
    assert!(cause.contains("nodes/"), "{cause}");
    for well in ["a/somewhere", "a/elsewhere", "a/at-once"] {
        assert_eq!(failure_code(&seen, well), None, "{well}");
    }
    assert!(begun.elapsed() < 2 * minute);
}

#[tokio::test(start_paused = true)]
async fn a_dependent_on_applied_runs_although_readiness_failed() {
    let house = House::new();
    let seen = house
        .up(&[
            Script::new("a/broken", vec![]).fate(Fate::ReadinessFails),
            Script::new("a/early", vec![need("a/broken", Milestone::Applied)]),
            Script::new("a/late", vec![need("a/broken", Milestone::Ready)]),
            Script::new("a/later", vec![need("a/late", Milestone::Applied)]),
            Script::new("a/sibling", vec![]),
        ])
        .await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Failed);
    assert!(house.world.exists("a/early") && house.world.exists("a/sibling"));
    let withheld = seen.steps_that(|kind| matches!(kind, EventKind::StepWithheld { .. }));
    assert_eq!(withheld, ["a/late".to_owned(), "a/later".to_owned()].into());
    let state = house.folded();
    let status = |id| state.step(id).map(|step| step.status);
    assert_eq!(status("a/broken"), Some(StepStatus::Failed));
    assert_eq!(status("a/early"), Some(StepStatus::Ready));
    assert_eq!(status("a/later"), Some(StepStatus::Withheld));
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_recorded_once() {
    let house = House::new();
    let seen = house
        .up(&[Script::new("a/1", vec![]).fate(Fate::Stumbles(3))])
        .await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_eq!(house.world.did("a/1", "effect"), 4);
    let tries = seen
        .kinds()
        .iter()
        .filter(|kind| matches!(kind, EventKind::Retrying { .. }))
        .count();
    assert_eq!(tries, 3);
    let attempts: Vec<u32> = seen
        .records()
        .iter()
        .filter_map(|body| match body {
            Body::StepIntent { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 1, 1, 1], "the same identity keeps its number");
}

#[tokio::test(start_paused = true)]
async fn trying_again_has_an_end() {
    let house = House::new();
    let seen = house
        .up(&[Script::new("a/1", vec![]).fate(Fate::Stumbles(100))])
        .await;
    assert_eq!(failure_code(&seen, "a/1").as_deref(), Some("TST001"));
    assert_eq!(house.world.did("a/1", "effect"), 8);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_takes_too_long_names_what_it_waited_for_last() {
    let house = House::new();
    let mut script = Script::new("a/1", vec![]).fate(Fate::NeverReady);
    script.timeouts.ready = Duration::from_secs(90);
    let seen = house.up(&[script]).await;
    let failure = &seen.end.report.failures[0];
    assert_eq!(failure.error.code, "ENG002");
    assert_eq!(
        failure.error.cause,
        "not ready after 1m 30s; last: a miracle"
    );
    assert_eq!(seen.took.as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn an_ensure_that_hangs_ends_at_its_bound_and_says_what_may_exist() {
    let house = House::new();
    let mut script = Script::new("a/1", vec![]).fate(Fate::Hangs);
    script.timeouts = Timeouts {
        ensure: Duration::from_secs(20),
        ..Timeouts::default()
    };
    let seen = house.up(&[script]).await;
    let error = &seen.end.report.failures[0].error;
    assert_eq!(error.code, "ENG001");
    assert_eq!(error.cause, "not done after 20s; last: being made");
    assert_eq!(error.left_behind, ["thing a/1"]);
    assert!(seen.end.lease.is_none());
    let state = house.folded();
    assert_eq!(
        state.steps["a/1"].intents.len(),
        1,
        "its identity stays on record"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_steps_failure_and_nobody_elses() {
    let house = House::new();
    let seen = house
        .up(&[
            Script::new("a/1", vec![]).fate(Fate::Panics),
            Script::new("a/2", vec![]),
        ])
        .await;
    let error = &seen.end.report.failures[0].error;
    assert_eq!(error.code, "ENG003");
    assert!(
        error.cause.ends_with("the script says so"),
        "{}",
        error.cause
    );
    assert!(house.world.exists("a/2"));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_thing_is_not_touched() {
    let house = House::new();
    let seen = house
        .up(&[Script::new("a/1", vec![]).fate(Fate::Foreign)])
        .await;
    assert_eq!(failure_code(&seen, "a/1").as_deref(), Some("ENG004"));
    assert_eq!(house.world.did("a/1", "ensure"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_without_an_intent_is_a_failure_not_a_lie_in_the_journal() {
    let house = House::new();
    let seen = house
        .up(&[Script::new("a/1", vec![]).fate(Fate::Unannounced)])
        .await;
    assert_eq!(failure_code(&seen, "a/1").as_deref(), Some("ENG005"));
    // It exists, so the next run finds it and takes it on.
    let seen = house.up(&[Script::new("a/1", vec![])]).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_eq!(house.world.did("a/1", "effect"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_steps_act_at_once_than_allowed() {
    let mut house = House::new();
    house.options.effects = 3;
    let scripts: Vec<Script> = (0..20)
        .map(|n| Script::new(&format!("a/{n}"), vec![]))
        .collect();
    let seen = house.up(&scripts).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_eq!(house.world.most_acting.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_bound_on_waits_starves_nobody() {
    let mut house = House::new();
    house.options.waits = 1;
    let scripts: Vec<Script> = (0..10)
        .map(|n| {
            Script::new(&format!("a/{n}"), vec![]).takes(Duration::ZERO, Duration::from_secs(60))
        })
        .collect();
    let seen = house.up(&scripts).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert!(
        seen.took < Duration::from_secs(62),
        "they wait side by side: {:?}",
        seen.took
    );
}

#[tokio::test(start_paused = true)]
async fn an_announced_change_ends_a_wait_long_before_the_safety_interval() {
    let mut house = House::new();
    house.options.safety_interval = Duration::from_secs(3600);
    let mut script = Script::new("a/1", vec![]).takes(Duration::ZERO, Duration::from_secs(30));
    script.poll = None;
    script.timeouts.ready = Duration::from_secs(7200);
    let world = house.world.clone();
    let announcer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(31)).await;
        // A burst counts once.
        for _ in 0..50 {
            world.announce();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let seen = house.up(&[script]).await;
    announcer.await.expect("the announcer ends");
    assert!(seen.took < Duration::from_secs(32), "{:?}", seen.took);
    assert_eq!(house.world.did("a/1", "readiness"), 2);
}

#[tokio::test(start_paused = true)]
async fn without_announcements_the_safety_interval_looks_again() {
    let mut house = House::new();
    house.options.safety_interval = Duration::from_secs(7);
    let mut script = Script::new("a/1", vec![]).takes(Duration::ZERO, Duration::from_secs(20));
    script.poll = None;
    let seen = house.up(&[script]).await;
    assert_eq!(seen.took.as_secs(), 21);
}

#[tokio::test(start_paused = true)]
async fn the_report_says_which_step_cost_what_and_what_it_waited_for() {
    let house = House::new();
    let slow = Duration::from_secs(60);
    let seen = house
        .up(&[
            Script::new("cluster/plane", vec![]).takes(Duration::from_secs(1), slow),
            Script::new("net/nat", vec![]),
            Script::new(
                "kafka/cluster",
                vec![
                    need("cluster/plane", Milestone::Ready),
                    need("net/nat", Milestone::Ready),
                ],
            )
            .takes(Duration::from_secs(1), Duration::from_secs(9)),
        ])
        .await;
    let parts: Vec<(&str, u64)> = seen
        .end
        .report
        .critical_path
        .iter()
        .map(|part| (part.step.as_str(), part.took_ms / 1000))
        .collect();
    assert_eq!(parts, [("cluster/plane", 61), ("kafka/cluster", 10)]);
    let waited_for = seen.end.report.critical_path[1].waited_for.clone();
    assert_eq!(waited_for, Some(need("cluster/plane", Milestone::Ready)));
}
