use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::record::{InventoryTotals, Phase};
use crate::testing::*;

fn choices() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..400)
}

proptest! {
    #[test]
    fn a_legal_history_folds_the_same_at_once_and_one_by_one(choices in choices()) {
        let records = history(&choices);
        let at_once = EnvironmentState::fold(NAME, &records).expect("the history is legal");
        let mut one_by_one = EnvironmentState::new(NAME);
        for record in &records {
            one_by_one.apply(record).expect("the history is legal");
            // As after a crash: through the text of a snapshot and back.
            if record.seq % 16 == 0 {
                let text = serde_json::to_string(&one_by_one).expect("a state has a text");
                one_by_one = serde_json::from_str(&text).expect("and back");
            }
        }
        prop_assert_eq!(&at_once, &one_by_one);
        prop_assert_eq!(at_once.seq(), records.len() as u64);
        prop_assert!(at_once.runs.len() <= RUNS_KEPT);
    }

    #[test]
    fn a_snapshot_stands_for_the_history_before_it(choices in choices(), cut in any::<prop::sample::Index>()) {
        let records = history(&choices);
        let cut = cut.index(records.len() + 1);
        let before = EnvironmentState::fold(NAME, &records[..cut]).expect("legal");
        prop_assume!(before.seq() > 0);
        let snapshot = record(cut as u64 + 1, run_id(9999), before.fence(), Body::Snapshot { state: Box::new(before) });
        let shifted = records[cut..].iter().map(|record| Record { seq: record.seq + 1, ..record.clone() });
        let rotated: Vec<Record> = std::iter::once(snapshot).chain(shifted).collect();
        let mut from_snapshot = EnvironmentState::fold(NAME, &rotated).expect("a snapshot begins a legal history");
        let direct = EnvironmentState::fold(NAME, &records).expect("legal");
        from_snapshot.position.seq -= 1;
        prop_assert_eq!(from_snapshot, direct);
    }
}

#[test]
fn the_model_tells_histories_of_every_kind() {
    // Were the model's histories all short or alike, the properties above would prove nothing.
    let mut seen = std::collections::BTreeSet::new();
    let mut longest = 0;
    let mut interrupted = 0;
    for seed in 0..200_u32 {
        let choices: Vec<u8> = (0..400_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(40_503)).to_le_bytes()[2])
            .collect();
        let records = history(&choices);
        longest = longest.max(records.len());
        seen.extend(records.iter().map(|record| record.body.name()));
        let state = EnvironmentState::fold(NAME, &records).expect("legal");
        interrupted += state
            .runs
            .iter()
            .filter(|run| run.outcome == Some(Outcome::Interrupted))
            .count();
    }
    assert!(longest > 100, "{longest}");
    assert!(interrupted > 10, "{interrupted}");
    assert_eq!(seen.len(), 14, "every body but a snapshot: {seen:?}");
}

#[test]
fn a_killed_run_is_closed_as_interrupted_and_its_intent_is_kept() {
    let mut state = EnvironmentState::new(NAME);
    let identity = json!({"name": "vpc"});
    let first = numbered(
        1,
        1,
        [
            created(),
            started(RunKind::Up),
            intent("network/vpc", 1, identity.clone()),
        ],
    );
    for record in &first {
        state.apply(record).expect("legal");
    }
    assert_eq!(state.phase(), LifePhase::ComingUp);
    assert_eq!(state.open_run().map(|run| run.unsettled), Some(1));

    for record in &numbered(4, 2, [started(RunKind::Up)]) {
        state.apply(record).expect("a new run follows a killed one");
    }
    assert_eq!(state.runs[0].outcome, Some(Outcome::Interrupted));
    assert_eq!(state.open_run().map(|run| run.unsettled), Some(0));
    let step = state.step("network/vpc").expect("it is remembered");
    assert!(step.may_exist());
    assert_eq!(step.status, StepStatus::Intended);
    assert_eq!(
        step.last_intent().map(|intent| &intent.identity),
        Some(&identity)
    );
    assert_eq!(state.attempt_for("network/vpc", &identity), 1);
    assert_eq!(state.attempt_for("network/vpc", &json!("another")), 2);
    assert_eq!(state.fresh_attempt("network/vpc"), 2);
}

#[test]
fn attempt_numbers_survive_a_removal() {
    let identity = json!("x");
    let records = numbered(
        1,
        1,
        [
            created(),
            started(RunKind::Up),
            intent("a/b", 1, identity.clone()),
            applied("a/b", Change::Created),
            removal("a/b"),
            removed("a/b"),
        ],
    );
    let mut state = EnvironmentState::fold(NAME, &records).expect("legal");
    let step = state.step("a/b").expect("it is remembered");
    assert!(!step.may_exist());
    assert_eq!(step.outputs, Value::Null);
    assert_eq!(state.attempt_for("a/b", &identity), 2);
    let reused = record(7, run_id(1), 1, intent("a/b", 1, identity.clone()));
    assert_eq!(
        state
            .apply(&reused)
            .expect_err("a token is not used twice")
            .code(),
        "STA004"
    );
    state
        .apply(&record(7, run_id(1), 1, intent("a/b", 2, identity)))
        .expect("a new number");
}

#[test]
fn phases_follow_the_runs() {
    let mut state = EnvironmentState::new(NAME);
    assert_eq!(state.phase(), LifePhase::Absent);
    let mut seq = 0;
    let mut apply = |state: &mut EnvironmentState, run: u64, body: Body| {
        seq += 1;
        state
            .apply(&record(seq, run_id(run), run, body))
            .expect("legal");
        state.phase()
    };
    assert_eq!(apply(&mut state, 1, created()), LifePhase::Created);
    assert_eq!(
        apply(&mut state, 1, started(RunKind::Up)),
        LifePhase::ComingUp
    );
    assert_eq!(
        apply(&mut state, 1, finished(Outcome::Failed)),
        LifePhase::Incomplete
    );
    assert_eq!(
        apply(&mut state, 2, started(RunKind::Up)),
        LifePhase::ComingUp
    );
    assert_eq!(
        apply(&mut state, 2, applied("a/b", Change::Adopted)),
        LifePhase::ComingUp
    );
    assert_eq!(
        apply(&mut state, 2, finished(Outcome::Succeeded)),
        LifePhase::Up
    );
    assert_eq!(
        apply(&mut state, 3, started(RunKind::Verify)),
        LifePhase::Up
    );
    assert_eq!(
        apply(&mut state, 3, finished(Outcome::Failed)),
        LifePhase::Up
    );
    assert_eq!(
        apply(&mut state, 4, started(RunKind::Down)),
        LifePhase::GoingDown
    );
    assert_eq!(apply(&mut state, 4, inventory(1)), LifePhase::GoingDown);
    assert_eq!(
        apply(&mut state, 4, finished(Outcome::Failed)),
        LifePhase::PartlyDown
    );
    assert_eq!(
        state.inventory.as_ref().map(|proof| proof.left.len()),
        Some(1)
    );
    assert_eq!(
        apply(&mut state, 5, started(RunKind::Down)),
        LifePhase::GoingDown
    );
    assert_eq!(apply(&mut state, 5, inventory(0)), LifePhase::GoingDown);
    assert_eq!(
        apply(&mut state, 5, Body::EnvironmentRemoved {}),
        LifePhase::Removed
    );
    assert!(!state.step("a/b").expect("remembered").may_exist());
    assert_eq!(
        apply(&mut state, 5, finished(Outcome::Succeeded)),
        LifePhase::Removed
    );
    // The same name lives again, with what the runs before it were.
    assert_eq!(apply(&mut state, 6, created()), LifePhase::Created);
    assert!(state.steps.is_empty());
    assert_eq!(state.run_count, 5);
    assert_eq!(state.runs.len(), 5);
}

#[test]
fn a_no_op_keeps_the_times_of_the_change() {
    let records = numbered(
        1,
        1,
        [
            created(),
            started(RunKind::Up),
            intent("a/b", 1, json!(1)),
            applied("a/b", Change::Created),
            ready("a/b"),
            finished(Outcome::Succeeded),
        ],
    );
    let mut state = EnvironmentState::fold(NAME, &records).expect("legal");
    let before = state.step("a/b").expect("there").clone();
    for record in &numbered(
        7,
        2,
        [
            started(RunKind::Up),
            applied("a/b", Change::Unchanged),
            ready("a/b"),
        ],
    ) {
        state.apply(record).expect("legal");
    }
    let after = state.step("a/b").expect("there");
    assert_eq!(
        (after.applied_at, after.ready_at, after.durations),
        (before.applied_at, before.ready_at, before.durations)
    );
    assert_eq!(after.status, StepStatus::Ready);
    assert_eq!(state.runs[1].counts.unchanged, 1);
    assert_eq!(state.runs[0].counts.changed, 1);
}

#[test]
fn failures_are_kept_until_a_success() {
    let records = numbered(
        1,
        1,
        [
            created(),
            started(RunKind::Up),
            failed("a/b", Phase::Observe),
        ],
    );
    let mut state = EnvironmentState::fold(NAME, &records).expect("legal");
    let failure = state
        .step("a/b")
        .and_then(|step| step.failure.as_ref())
        .expect("recorded");
    assert_eq!(
        (failure.phase, failure.error.code.as_str()),
        (Phase::Observe, "K8S001")
    );
    state
        .apply(&record(4, run_id(1), 1, applied("a/b", Change::Unchanged)))
        .expect("legal");
    assert_eq!(
        state.step("a/b").and_then(|step| step.failure.as_ref()),
        None
    );
}

#[test]
fn only_the_last_runs_and_intents_are_kept() {
    let mut state = EnvironmentState::new(NAME);
    let mut seq = 0;
    let mut apply = |state: &mut EnvironmentState, run: u64, body: Body| {
        seq += 1;
        state
            .apply(&record(seq, run_id(run), run, body))
            .expect("legal");
    };
    apply(&mut state, 1, created());
    for run in 1..=300_u64 {
        apply(&mut state, run, started(RunKind::Up));
        let identity = json!(run);
        let attempt = state.attempt_for("a/b", &identity);
        apply(&mut state, run, intent("a/b", attempt, identity));
        apply(&mut state, run, applied("a/b", Change::Created));
        apply(&mut state, run, finished(Outcome::Succeeded));
    }
    assert_eq!(state.runs.len(), RUNS_KEPT);
    assert_eq!(state.run_count, 300);
    let step = state.step("a/b").expect("there");
    assert_eq!((step.intents.len(), step.attempt), (INTENTS_KEPT, 300));
}

#[test]
fn absence_is_proved_only_when_nothing_is_left_or_unchecked() {
    assert!(
        InventoryTotals {
            scheduled: 1,
            ..InventoryTotals::default()
        }
        .proves_absence()
    );
    assert!(
        !InventoryTotals {
            unchecked: 1,
            ..InventoryTotals::default()
        }
        .proves_absence()
    );
    assert!(
        !InventoryTotals {
            still_there: 1,
            ..InventoryTotals::default()
        }
        .proves_absence()
    );
}
