use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::record::RunId;
use crate::state::EnvironmentState;
use crate::testing::*;

/// Records that no history can be followed by when it has led to `state`, with the reason that each breaks.
fn illegal_after(state: &EnvironmentState) -> Vec<(&'static str, Record)> {
    let seq = state.seq() + 1;
    let fence = state.fence();
    let fresh = RunId::from_uuid(Uuid::from_u128(u128::MAX));
    let (open, kind) = match state.open_run() {
        Some(open) => (open.id, Some(open.kind)),
        None => (fresh, None),
    };
    let lives = !matches!(state.phase(), LifePhase::Absent | LifePhase::Removed);
    let here = |body| record(seq, open, fence, body);
    let mut found = vec![
        (
            "a gap",
            Record {
                seq: seq + 1,
                ..here(started(RunKind::Down))
            },
        ),
        (
            "interrupted by its own word",
            here(finished(Outcome::Interrupted)),
        ),
        (
            "an effect without an intent",
            here(applied("never/seen", Change::Created)),
        ),
        ("ready before applied", here(ready("never/seen"))),
        ("gone before its removal", here(removed("never/seen"))),
        (
            "a removal failed before it began",
            here(failed("never/seen", Phase::Removal)),
        ),
        (
            "attempts count from 1",
            here(intent("never/seen", 0, json!(0))),
        ),
        (
            "another run speaks",
            record(seq, fresh, fence, intent("never/seen", 1, json!(0))),
        ),
        (
            "another environment",
            here(Body::EnvironmentCreated {
                uid: Uuid::nil(),
                name: "other".into(),
                pipectl_version: String::new(),
                pins: Pins::new(),
            }),
        ),
    ];
    if seq > 1 {
        found.push((
            "a number twice",
            Record {
                seq: seq - 1,
                ..here(started(RunKind::Down))
            },
        ));
        found.push((
            "an old lease",
            Record {
                fence: fence - 1,
                ..record(seq, fresh, fence, started(RunKind::Down))
            },
        ));
        found.push((
            "a snapshot in the middle",
            here(Body::Snapshot {
                state: Box::new(state.clone()),
            }),
        ));
    } else {
        found.push(("a run of nothing", here(started(RunKind::Up))));
    }
    if lives {
        found.push((
            "a second creation",
            record(seq, fresh, fence + 1, created()),
        ));
        found.push((
            "a pin changed",
            here(Body::EnvironmentPinned {
                pins: Pins::from([("provider".into(), "eks".into())]),
            }),
        ));
    }
    if state.phase() == LifePhase::Removed {
        found.push((
            "up of what is removed",
            record(seq, fresh, fence + 1, started(RunKind::Up)),
        ));
    }
    match kind {
        None => found.push(("outside of a run", here(intent("never/seen", 1, json!(0))))),
        Some(kind) => {
            found.push((
                "two runs under one lease",
                record(seq, fresh, fence, started(RunKind::Down)),
            ));
            found.push((
                "the lease changed within the run",
                record(seq, open, fence + 1, removal("never/seen")),
            ));
            if kind != RunKind::Down {
                found.push(("an inventory outside of down", here(inventory(0))));
                found.push(("removed outside of down", here(Body::EnvironmentRemoved {})));
            }
            if kind != RunKind::Up {
                found.push((
                    "an intent outside of up",
                    here(intent("never/seen", 1, json!(0))),
                ));
            }
            if kind == RunKind::Verify {
                found.push(("a removal while verifying", here(removal("never/seen"))));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_illegal_record_is_refused_wherever_it_is_inserted(
        choices in vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let records = history(&choices);
        let cut = cut.index(records.len() + 1);
        let state = EnvironmentState::fold(NAME, &records[..cut]).expect("the history is legal");
        for (what, illegal) in illegal_after(&state) {
            let mut changed = state.clone();
            let Err(refusal) = changed.apply(&illegal) else {
                return Err(TestCaseError::fail(format!("{what} was let pass: {illegal:?}")));
            };
            let StateError::IllegalHistory { seq, .. } = refusal else {
                return Err(TestCaseError::fail(format!("{what}: {refusal:?}")));
            };
            prop_assert_eq!(seq, illegal.seq);
            prop_assert_eq!(&changed, &state, "{} changed the state", what);
        }
    }
}

/// Folds one `up` run of these bodies and returns the reason of the refusal, if there is one.
fn verdict(kind: RunKind, bodies: Vec<Body>) -> Option<String> {
    let all = [created(), started(kind)].into_iter().chain(bodies);
    match EnvironmentState::fold(NAME, &numbered(1, 1, all)) {
        Ok(_) => None,
        Err(StateError::IllegalHistory { reason, .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn an_effect_needs_an_intent_of_the_same_run() {
    for change in [Change::Created, Change::Updated, Change::Replaced] {
        let with = vec![intent("a/b", 1, json!(1)), applied("a/b", change)];
        assert_eq!(verdict(RunKind::Up, with), None);
        let used_up = vec![
            intent("a/b", 1, json!(1)),
            applied("a/b", change),
            applied("a/b", change),
        ];
        assert!(verdict(RunKind::Up, used_up).is_some());
    }
    for change in [Change::Unchanged, Change::Adopted, Change::Removed] {
        assert_eq!(verdict(RunKind::Up, vec![applied("a/b", change)]), None);
    }
    // The intent of a killed run does not count: what became of it must be observed first.
    let mut state = EnvironmentState::new(NAME);
    for record in numbered(
        1,
        1,
        [created(), started(RunKind::Up), intent("a/b", 1, json!(1))],
    )
    .iter()
    .chain(&numbered(4, 2, [started(RunKind::Up)]))
    {
        state.apply(record).expect("legal");
    }
    assert!(
        state
            .clone()
            .apply(&record(5, run_id(2), 2, applied("a/b", Change::Created)))
            .is_err()
    );
    state
        .apply(&record(5, run_id(2), 2, applied("a/b", Change::Adopted)))
        .expect("observed");
}

#[test]
fn one_attempt_belongs_to_one_identity() {
    let one = || intent("a/b", 1, json!("one"));
    assert_eq!(verdict(RunKind::Up, vec![one(), one()]), None);
    assert!(verdict(RunKind::Up, vec![one(), intent("a/b", 1, json!("two"))]).is_some());
    assert_eq!(
        verdict(
            RunKind::Up,
            vec![one(), intent("a/b", 2, json!("two")), one()]
        ),
        None
    );
    assert_eq!(
        verdict(RunKind::Up, vec![one(), intent("a/b", 2, json!("one"))]),
        None
    );
    assert!(
        verdict(
            RunKind::Up,
            vec![one(), intent("a/b", 2, json!("one")), one()]
        )
        .is_some()
    );
}

#[test]
fn success_cannot_be_claimed_over_a_failure() {
    let done = || finished(Outcome::Succeeded);
    for unsettled in [
        failed("a/b", Phase::Observe),
        intent("a/b", 1, json!(1)),
        Body::StepWithheld {
            step: "a/b".into(),
            because: "x".into(),
        },
        removal("a/b"),
    ] {
        assert!(
            verdict(RunKind::Up, vec![unsettled.clone(), done()]).is_some(),
            "{unsettled:?}"
        );
        assert_eq!(
            verdict(RunKind::Up, vec![unsettled, finished(Outcome::Failed)]),
            None
        );
    }
    let mended = vec![
        failed("a/b", Phase::Observe),
        applied("a/b", Change::Unchanged),
        done(),
    ];
    assert_eq!(verdict(RunKind::Up, mended), None);
}

#[test]
fn an_environment_is_removed_only_after_proof() {
    let gone = || Body::EnvironmentRemoved {};
    assert!(verdict(RunKind::Down, vec![gone()]).is_some());
    assert!(verdict(RunKind::Down, vec![inventory(1), gone()]).is_some());
    assert!(verdict(RunKind::Down, vec![inventory(0), inventory(1), gone()]).is_some());
    assert_eq!(
        verdict(
            RunKind::Down,
            vec![inventory(0), gone(), finished(Outcome::Succeeded)]
        ),
        None
    );
    assert!(verdict(RunKind::Down, vec![inventory(0), gone(), removal("a/b")]).is_some());
}
