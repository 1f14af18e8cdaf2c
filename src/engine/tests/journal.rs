//! The journal: before every event, once for every fact, silent when nothing changed, and the end when it cannot be written.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_stages::{Milestone, StepError};
use pipectl_state::{Body, LifePhase, Outcome, StepStatus};

use super::world::{Fate, House, Line, Script, Seen, need};
use crate::engine::{EventKind, Hold, RunOutcome, Stop, Verb};

fn chain() -> Vec<Script> {
    vec![
        Script::new("a/1", vec![]),
        Script::new("a/2", vec![need("a/1", Milestone::Ready)]),
        Script::new("b/1", vec![need("a/1", Milestone::Applied)]),
    ]
}

/// Every event that tells of something lasting stands behind its record.
pub(super) fn assert_records_come_first(seen: &Seen) {
    let mut recorded: BTreeSet<(&str, String)> = BTreeSet::new();
    for line in &seen.lines {
        match line {
            Line::Recorded(body) => {
                let step = body.step().unwrap_or_default().to_owned();
                recorded.insert((body.name(), step));
            }
            Line::Said(event) => {
                let step = event
                    .kind
                    .step()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let record = match &event.kind {
                    EventKind::RunStarted { .. } => "run_started",
                    EventKind::StepApplied { .. } => "step_applied",
                    EventKind::StepFailed { .. } | EventKind::RemovalStuck { .. } => "step_failed",
                    EventKind::StepWithheld { .. } => "step_withheld",
                    EventKind::RemovalStarted { .. } => "removal_started",
                    EventKind::RemovalGone { .. } => "removed",
                    EventKind::RunFinished { .. } => "run_finished",
                    _ => continue,
                };
                assert!(
                    recorded.contains(&(record, step.clone())),
                    "{record} of {step:?} was said before it was recorded"
                );
            }
        }
    }
}

/// The events are numbered without a gap, in the order of time, the last of them the end of the run.
pub(super) fn assert_events_are_in_order(seen: &Seen) {
    let events = seen.events();
    for (index, event) in (0_u64..).zip(&events) {
        assert_eq!(event.index, index);
    }
    for pair in events.windows(2) {
        assert!(pair[0].elapsed_ms <= pair[1].elapsed_ms);
    }
    let ends = |kind: &EventKind| matches!(kind, EventKind::RunFinished { .. });
    assert!(events.last().is_some_and(|event| ends(&event.kind)));
    assert_eq!(events.iter().filter(|event| ends(&event.kind)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_leaves_a_complete_account() {
    let house = House::new();
    let seen = house.up(&chain()).await;
    assert_records_come_first(&seen);
    assert_events_are_in_order(&seen);
    let state = house.folded();
    assert_eq!(state.phase(), LifePhase::Up);
    assert!(
        state
            .steps
            .values()
            .all(|step| step.status == StepStatus::Ready)
    );
    assert_eq!(
        state.last_run().and_then(|run| run.outcome),
        Some(Outcome::Succeeded)
    );
    assert!(
        state.steps["a/2"]
            .durations
            .ready
            .is_some_and(|ms| ms >= 200)
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_changes_nothing_records_only_itself() {
    let house = House::new();
    house.up(&chain()).await;
    house.world.forget_deeds();
    let seen = house.up(&chain()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_eq!(seen.end.report.totals.unchanged, 3);
    let names: Vec<&str> = seen.records().iter().map(|body| body.name()).collect();
    assert_eq!(names, ["run_started", "run_finished"]);
    for step in ["a/1", "a/2", "b/1"] {
        assert_eq!(house.world.did(step, "ensure"), 0);
    }
    let unchanged = seen.steps_that(|kind| matches!(kind, EventKind::StepUnchanged { .. }));
    assert_eq!(unchanged.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_step_that_does_not_work_any_more_is_on_record() {
    let house = House::new();
    house.up(&chain()).await;
    let mut scripts = chain();
    scripts[0].fate = Fate::ReadinessFails;
    let seen = house.up(&scripts).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Failed);
    let state = house.folded();
    assert_eq!(state.steps["a/1"].status, StepStatus::Failed);
    assert_eq!(
        state.steps["a/1"].outputs["name"], "a/1",
        "what it gave to others stays known"
    );
    // And when it works again, that is on record too.
    house.up(&chain()).await;
    assert_eq!(house.folded().steps["a/1"].status, StepStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn what_exists_without_a_record_is_taken_on() {
    let house = House::new();
    house.up(&chain()).await;
    let other = House {
        store: pipectl_state::MemoryStore::new(),
        ..house
    };
    let seen = other.up(&chain()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    let state = other.folded();
    assert_eq!(
        state.steps["a/1"].outputs["name"], "a/1",
        "the outputs are known again"
    );
    assert_eq!(other.world.did("a/1", "effect"), 1, "nothing is made twice");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_the_run_before_the_next_effect() {
    for room in 0..12 {
        let house = House::new();
        house.up(&[]).await;
        house.store.limit(room);
        let scripts: Vec<Script> = (0..4)
            .map(|n| {
                let needs = (n > 0).then(|| need(&format!("a/{}", n - 1), Milestone::Applied));
                Script::new(&format!("a/{n}"), needs.into_iter().collect())
                    .takes(Duration::from_millis(10), Duration::from_secs(1))
            })
            .collect();
        let seen = house.up(&scripts).await;
        assert_eq!(
            seen.end.report.outcome,
            RunOutcome::JournalFailed,
            "room for {room}"
        );
        assert_eq!(
            seen.end
                .report
                .fatal
                .as_ref()
                .map(|error| error.code.as_str()),
            Some("STA006")
        );
        assert_records_of_effects(&house, &seen);
        // With room again the same command goes on.
        house.store.unlimited();
        let seen = house.up(&scripts).await;
        assert_eq!(
            seen.end.report.outcome,
            RunOutcome::Succeeded,
            "room for {room}"
        );
        for n in 0..4 {
            assert_eq!(
                house.world.did(&format!("a/{n}"), "effect"),
                1,
                "room for {room}, step {n}"
            );
        }
    }
}

/// No effect without its intent on record.
fn assert_records_of_effects(house: &House, seen: &Seen) {
    let intended: BTreeSet<String> = seen
        .records()
        .iter()
        .filter_map(|body| match body {
            Body::StepIntent { step, .. } => Some(step.clone()),
            _ => None,
        })
        .collect();
    for deed in house.world.deeds() {
        if deed.what == "effect" {
            assert!(
                intended.contains(&deed.step),
                "{} began without a record",
                deed.step
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_the_run_before_the_next_effect() {
    let house = House::new();
    let scripts = [
        Script::new("a/1", vec![]).takes(Duration::from_secs(5), Duration::from_secs(5)),
        Script::new("a/2", vec![need("a/1", Milestone::Ready)]),
    ];
    let clock = house.clock.clone();
    let sleeper = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        // The lid is closed for an hour: no tokio timer notices, the boot-time clock does.
        *clock
            .jump
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Duration::from_secs(3600);
    });
    let seen = house.up(&scripts).await;
    sleeper.await.expect("the sleeper ends");
    assert_eq!(seen.end.report.outcome, RunOutcome::LeaseLost);
    assert_eq!(
        seen.end
            .report
            .fatal
            .as_ref()
            .map(|error| error.code.as_str()),
        Some("STA022")
    );
    assert!(!house.world.exists("a/2"));
    assert!(
        seen.kinds()
            .iter()
            .any(|kind| matches!(kind, EventKind::LeaseLost { .. }))
    );
    let seen = house.up(&scripts).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
}

/// A hold that somebody takes over after a while.
struct Taken {
    after: Duration,
    ended: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl Hold for Taken {
    async fn lost(&self) -> StepError {
        tokio::time::sleep(self.after).await;
        StepError::new("STA021", "go on changing", "the environment", "taken")
    }

    async fn give_back(&self) {
        self.ended.lock().unwrap().push("given back");
    }

    async fn abandon(&self) {
        self.ended.lock().unwrap().push("abandoned");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_lost_ends_the_run_before_the_next_effect_and_one_that_is_not_is_given_back()
{
    for (after, outcome, ended, second) in [
        (
            Duration::from_secs(3),
            RunOutcome::LeaseLost,
            "abandoned",
            false,
        ),
        (
            Duration::from_secs(300),
            RunOutcome::Succeeded,
            "given back",
            true,
        ),
    ] {
        let mut house = House::new();
        let hold = Arc::new(Taken {
            after,
            ended: Mutex::default(),
        });
        house.hold = Some(hold.clone());
        let scripts = [
            Script::new("a/1", vec![]).takes(Duration::from_secs(5), Duration::from_secs(5)),
            Script::new("a/2", vec![need("a/1", Milestone::Ready)]),
        ];
        let seen = house.up(&scripts).await;
        let report = &seen.end.report;
        assert_eq!(report.outcome, outcome);
        assert_eq!(house.world.exists("a/2"), second);
        assert_eq!(*hold.ended.lock().unwrap(), [ended]);
        let code = report.fatal.as_ref().map(|error| error.code.as_str());
        assert_eq!(code, (!second).then_some("STA021"));
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_long_run_alive() {
    let house = House::new();
    let mut script = Script::new("a/1", vec![]).takes(Duration::ZERO, Duration::from_secs(500));
    script.poll = Some(Duration::from_secs(10));
    let seen = house
        .up(&[
            script,
            Script::new("a/2", vec![need("a/1", Milestone::Ready)]),
        ])
        .await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_recorded_said_or_reported() {
    let house = House::new();
    let seen = house
        .up(&[Script::new("a/1", vec![]).fate(Fate::Blabs)])
        .await;
    assert_eq!(seen.end.report.failures[0].error.code, "TST004");
    let said = serde_json::to_string(&seen.events()).expect("JSON");
    let recorded = serde_json::to_string(&house.store.records()).expect("JSON");
    let reported = format!("{:?}", seen.end.report);
    for text in [said, recorded, reported] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("‹secret password›"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_verifying_run_makes_nothing_and_records_no_step() {
    let house = House::new();
    let scripts = [Script::new("verify/platform", vec![])];
    let seen = house.run(&scripts, Verb::Verify, Stop::never()).await;
    let code = seen
        .end
        .report
        .failures
        .first()
        .map(|failure| failure.error.code.clone());
    assert_eq!(
        code.as_deref(),
        Some("ENG007"),
        "it tried to make something"
    );
    assert!(!house.world.exists("verify/platform"));
    house.up(&scripts).await;
    let seen = house.run(&scripts, Verb::Verify, Stop::never()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    let names: Vec<&str> = seen.records().iter().map(|body| body.name()).collect();
    assert_eq!(names, ["run_started", "run_finished"]);
}
