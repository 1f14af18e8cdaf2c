//! Random graphs with random failures: whatever happens, the promises hold.

use std::{collections::BTreeSet, time::Duration};

use pipectl_stages::Milestone;
use pipectl_state::StepStatus;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{
    journal::{assert_events_are_in_order, assert_records_come_first},
    world::{Deed, Fate, House, Script, need},
};
use crate::engine::{EventKind, RunOutcome, Stop, Verb, stop};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Well),
        1 => Just(Fate::EnsureFails),
        1 => Just(Fate::ReadinessFails),
        1 => Just(Fate::Stumbles(2)),
    ]
}

/// Up to twenty steps in three stages; each needs some of those before it.
fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let step = (
        fate(),
        0_u64..400,
        0_u64..3000,
        prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
    );
    prop::collection::vec(step, 1..20).prop_map(|steps| {
        let id = |n: usize| format!("stage-{}/{n}", n % 3);
        let script = |(n, (fate, ensure, ready, needs)): (usize, (Fate, u64, u64, Vec<_>))| {
            let needs: Vec<(prop::sample::Index, bool)> = needs;
            let needs = needs.iter().filter(|_| n > 0).map(|(index, early)| {
                let milestone = if *early {
                    Milestone::Applied
                } else {
                    Milestone::Ready
                };
                need(&id(index.index(n)), milestone)
            });
            Script::new(&id(n), needs.collect())
                .fate(fate)
                .takes(Duration::from_millis(ensure), Duration::from_millis(ready))
        };
        steps.into_iter().enumerate().map(script).collect()
    })
}

/// What must be reached when nothing ends the run early, worked out from the scripts alone.
fn expected(scripts: &[Script]) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
    let (mut applied, mut ready) = (BTreeSet::new(), BTreeSet::new());
    let mut withheld = BTreeSet::new();
    for script in scripts {
        let id = script.id.to_string();
        let met = script.needs.iter().all(|need| match need.milestone {
            Milestone::Applied => applied.contains(need.step.as_str()),
            Milestone::Ready => ready.contains(need.step.as_str()),
        });
        if !met {
            withheld.insert(id);
        } else if script.fate != Fate::EnsureFails {
            if script.fate != Fate::ReadinessFails {
                ready.insert(id.clone());
            }
            applied.insert(id);
        }
    }
    (applied, ready, withheld)
}

/// Nothing is observed before every milestone that it waits for was reached.
fn assert_milestones_hold(scripts: &[Script], deeds: &[Deed]) {
    let first = |step: &str, what: &str| -> Option<Instant> {
        let mut same = deeds
            .iter()
            .filter(|deed| deed.step == step && deed.what == what);
        same.next().map(|deed| deed.at)
    };
    for script in scripts {
        let Some(began) = first(script.id.as_str(), "observe") else {
            continue;
        };
        for need in &script.needs {
            let what = match need.milestone {
                Milestone::Applied => "made",
                Milestone::Ready => "works",
            };
            let reached = first(need.step.as_str(), what);
            assert!(
                reached.is_some_and(|at| at <= began),
                "{} began before {} was {what}",
                script.id,
                need.step
            );
        }
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_is_legal_and_a_failure_withholds_exactly_its_dependents(
        scripts in scripts(),
        effects in 1_usize..6,
        waits in 1_usize..4,
    ) {
        paused().block_on(async {
            let mut house = House::new();
            (house.options.effects, house.options.waits) = (effects, waits);
            let seen = house.up(&scripts).await;
            let (applied, ready, withheld) = expected(&scripts);

            assert_milestones_hold(&scripts, &house.world.deeds());
            assert_records_come_first(&seen);
            assert_events_are_in_order(&seen);
            let said = |which: fn(&EventKind) -> bool| seen.steps_that(which);
            assert_eq!(said(|kind| matches!(kind, EventKind::StepApplied { .. })), applied);
            assert_eq!(said(|kind| matches!(kind, EventKind::StepReady { .. })), ready);
            assert_eq!(said(|kind| matches!(kind, EventKind::StepWithheld { .. })), withheld);
            let everything = ready.len() == scripts.len();
            let outcome = if everything { RunOutcome::Succeeded } else { RunOutcome::Failed };
            assert_eq!(seen.end.report.outcome, outcome);
            let state = house.folded();
            for id in &ready {
                assert_eq!(state.steps[id].status, StepStatus::Ready);
            }

            // Nothing was unwound, and the next run goes on from there without doing anything twice.
            house.world.mend();
            let seen = house.up(&scripts).await;
            assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
            for script in &scripts {
                assert_eq!(house.world.did(script.id.as_str(), "made"), 1);
            }
        });
    }

    #[test]
    fn ended_anywhere_the_journal_folds_and_the_next_run_finishes(
        scripts in scripts(),
        after_ms in 0_u64..6000,
        again in any::<bool>(),
        killed in any::<bool>(),
    ) {
        paused().block_on(async {
            let house = House::new();
            let (stopper, stop) = stop();
            let cut = Duration::from_millis(after_ms);
            if killed {
                // The process dies: nothing of it runs on.
                let _ = tokio::time::timeout(cut, house.run(&scripts, Verb::Up, stop)).await;
            } else {
                let signals = tokio::spawn(async move {
                    tokio::time::sleep(cut).await;
                    stopper.request();
                    if again {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        stopper.request();
                    }
                    std::future::pending::<()>().await;
                    drop(stopper);
                });
                let began = Instant::now();
                let seen = house.run(&scripts, Verb::Up, stop).await;
                signals.abort();
                assert!(began.elapsed() <= cut + Duration::from_secs(5));
                assert_records_come_first(&seen);
                assert_events_are_in_order(&seen);
            }
            assert_milestones_hold(&scripts, &house.world.deeds());
            let state = house.folded();
            for (id, step) in &state.steps {
                let may_exist = house.world.exists(id);
                assert!(!may_exist || step.may_exist(), "{id} exists without a trace in the journal");
            }

            house.world.mend();
            let seen = house.run(&scripts, Verb::Up, Stop::never()).await;
            assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
            assert!(house.folded().steps.values().all(|step| step.status == StepStatus::Ready));
            for script in &scripts {
                assert_eq!(house.world.did(script.id.as_str(), "made"), 1, "{}", script.id);
            }
        });
    }
}
