//! Down: removals instead of steps, and the proof of absence at the end.

use pipectl_stages::{AbsenceReport, Fate as Remains, Finding, Leftover, Milestone};
use pipectl_state::{LifePhase, StepStatus};

use super::{
    journal::{assert_events_are_in_order, assert_records_come_first},
    world::{Fate, House, Script, need},
};
use crate::engine::{EventKind, RunOutcome, Stop, Verb};

/// What a scripted removal named `proof` finds.
pub(super) fn absence(left: usize) -> Finding {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let leftover = |_| Leftover {
        resource: "thing".to_owned(),
        fate: Remains::StillThere {
            held_by: vec!["finalizer".to_owned()],
            safe_next: None,
        },
    };
    Finding::Absence(AbsenceReport {
        checked: 3,
        gone: 3_u32.saturating_sub(left),
        over: vec!["the world".to_owned()],
        remaining: (0..left).map(leftover).collect(),
    })
}

fn up() -> Vec<Script> {
    vec![
        Script::new("kafka/cluster", vec![]),
        Script::new(
            "kafka/topics",
            vec![need("kafka/cluster", Milestone::Ready)],
        ),
    ]
}

fn down() -> Vec<Script> {
    vec![
        Script::new("kafka/topics", vec![]),
        Script::new(
            "kafka/cluster",
            vec![need("kafka/topics", Milestone::Ready)],
        ),
        Script::new(
            "absence/proof",
            vec![
                need("kafka/topics", Milestone::Ready),
                need("kafka/cluster", Milestone::Ready),
            ],
        ),
        Script::new(
            "absence/identity",
            vec![need("absence/proof", Milestone::Ready)],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn down_removes_in_order_and_records_the_proof() {
    let mut house = House::new();
    house.up(&up()).await;
    house.options.removes_environment = true;
    let seen = house.run(&down(), Verb::Down, Stop::never()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_records_come_first(&seen);
    assert_events_are_in_order(&seen);
    assert!(!house.world.exists("kafka/cluster"));
    assert_eq!(house.folded().phase(), LifePhase::Removed);
    assert!(
        seen.end.lease.is_some(),
        "the caller still has to move the directory away"
    );
    assert_eq!(seen.end.report.absence.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn something_that_stays_is_no_success_even_if_every_step_says_so() {
    let mut house = House::new();
    let mut all = up();
    all.push(Script::new("forgotten/thing", vec![]));
    house.up(&all).await;
    house.options.removes_environment = true;
    let seen = house.run(&down(), Verb::Down, Stop::never()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Failed);
    assert_eq!(house.folded().phase(), LifePhase::PartlyDown);
    assert!(seen.end.lease.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_removal_withholds_what_comes_after_and_can_be_run_again() {
    let house = House::new();
    house.up(&up()).await;
    let mut scripts = down();
    scripts[0].fate = Fate::ReadinessFails;
    let seen = house.run(&scripts, Verb::Down, Stop::never()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Failed);
    assert!(house.world.exists("kafka/cluster"));
    let stuck = seen.steps_that(|kind| matches!(kind, EventKind::RemovalStuck { .. }));
    assert_eq!(stuck, ["kafka/topics".to_owned()].into());
    let withheld = seen.steps_that(|kind| matches!(kind, EventKind::StepWithheld { .. }));
    assert_eq!(withheld, ["kafka/cluster".to_owned()].into());
    assert_eq!(
        seen.end.report.absence.len(),
        1,
        "what is left is looked at all the same"
    );
    assert_eq!(
        house.folded().steps["kafka/topics"].status,
        StepStatus::Failed
    );
    let seen = house.run(&down(), Verb::Down, Stop::never()).await;
    assert_eq!(seen.end.report.outcome, RunOutcome::Succeeded);
    assert_eq!(
        house.folded().steps["kafka/topics"].status,
        StepStatus::Removed
    );
}
