//! The one place that decides which record may follow which history.
//!
//! A history that breaks the law is an error, on writing (a mistake in pipectl, stopped before it does harm) and on
//! reading (files mixed up or edited). The law does not say that a run goes well; it says that what is recorded can
//! have happened, and that no effect is recorded without the intent that must come first.

use crate::error::StateError;
use crate::record::{Body, Change, Outcome, Phase, Pins, Record, RunKind};
use crate::state::{LifePhase, OpenRun, Position, StepState, StepStatus};

/// Whether `record` may follow a history that led to `position`, and to `step` if the record is about one.
pub(crate) fn check(
    position: &Position,
    step: Option<&StepState>,
    record: &Record,
) -> Result<(), StateError> {
    let verdict = envelope(position, record).and_then(|()| body(position, step, record));
    verdict.map_err(|reason| StateError::IllegalHistory {
        seq: record.seq,
        reason,
    })
}

type Verdict = Result<(), String>;

fn require(condition: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(otherwise()) }
}

fn envelope(position: &Position, record: &Record) -> Verdict {
    // A snapshot stands for everything before it, so it may begin at any number.
    let begins = position.seq == 0 && matches!(record.body, Body::Snapshot { .. });
    require(
        begins || record.seq == position.seq.saturating_add(1),
        || format!("record {} was expected", position.seq.saturating_add(1)),
    )?;
    require(record.fence >= position.fence, || {
        format!(
            "its fencing number {} is below {}, which another holder has used",
            record.fence, position.fence
        )
    })
}

fn body(position: &Position, step: Option<&StepState>, record: &Record) -> Verdict {
    match (&position.open_run, &record.body) {
        // The beginning: nothing comes before the environment, and it comes only once.
        (open, Body::EnvironmentCreated { name, .. }) => {
            // An environment that was removed can be made anew, with a new UID, in the same journal.
            require(
                matches!(position.phase, LifePhase::Absent | LifePhase::Removed),
                || "the environment exists already".to_owned(),
            )?;
            require(
                open.as_ref().is_none_or(|open| record.fence > open.fence),
                || "the run that removed the environment is open under the same lease".to_owned(),
            )?;
            require(position.name.is_empty() || position.name == *name, || {
                format!(
                    "it creates the environment {name:?} in the journal of {:?}",
                    position.name
                )
            })
        }
        (_, Body::Snapshot { state }) => {
            require(position.seq == 0, || {
                "a snapshot can only begin a journal".to_owned()
            })?;
            require(
                position.name.is_empty() || position.name == state.name(),
                || {
                    format!(
                        "it is a snapshot of {:?} in the journal of {:?}",
                        state.name(),
                        position.name
                    )
                },
            )?;
            require(state.seq().saturating_add(1) == record.seq, || {
                format!("it stands for the records up to {}", state.seq())
            })?;
            require(state.fence() <= record.fence, || {
                "the snapshot has a higher fencing number".to_owned()
            })
        }
        _ if position.phase == LifePhase::Absent => {
            Err("no environment was created before it".to_owned())
        }

        // A new run closes one that died; two runs at once are kept apart by the fencing number.
        (open, Body::RunStarted { kind, .. }) => {
            // Whether anything came back is the one thing to ask of an environment that was removed.
            require(
                position.phase != LifePhase::Removed || *kind == RunKind::Down,
                || "the environment was removed".to_owned(),
            )?;
            require(position.last_run != Some(record.run), || {
                format!("run {} has begun before", record.run)
            })?;
            match open {
                Some(open) => require(record.fence > open.fence, || {
                    format!("run {} is open under the same lease", open.id)
                }),
                None => Ok(()),
            }
        }
        (None, _) => Err("no run is open".to_owned()),
        (Some(run), body) => {
            require(run.id == record.run, || {
                format!(
                    "it belongs to run {}, but run {} is open",
                    record.run, run.id
                )
            })?;
            require(run.fence == record.fence, || {
                format!(
                    "its fencing number is {}, its run's is {}",
                    record.fence, run.fence
                )
            })?;
            require(
                position.phase != LifePhase::Removed || matches!(body, Body::RunFinished { .. }),
                || "the environment was removed".to_owned(),
            )?;
            within_run(position, run, step, body)
        }
    }
}

fn within_run(
    position: &Position,
    run: &OpenRun,
    step: Option<&StepState>,
    body: &Body,
) -> Verdict {
    let up = || {
        require(run.kind == RunKind::Up, || {
            format!("a run of kind {} does not do this", run.kind)
        })
    };
    let changing = || {
        require(run.kind != RunKind::Verify, || {
            "a verifying run changes nothing".to_owned()
        })
    };
    let down = || {
        require(run.kind == RunKind::Down, || {
            format!("a run of kind {} does not do this", run.kind)
        })
    };
    // What an earlier run left half done must be looked at again before it counts.
    let status = step.map(|step| step.status);
    let status_now = step
        .filter(|step| step.run == run.id)
        .map(|step| step.status);

    match body {
        Body::EnvironmentPinned { pins } => same_pins(&position.pins, pins),
        Body::StepIntent {
            attempt, identity, ..
        } => {
            up()?;
            require(*attempt > 0, || "attempts count from 1".to_owned())?;
            let Some(step) = step else { return Ok(()) };
            let known = step
                .intents
                .iter()
                .find(|intent| intent.attempt == *attempt);
            match known {
                Some(known) => require(known.identity == *identity, || {
                    format!("attempt {attempt} belongs to another identity of the step")
                }),
                None => require(*attempt > step.attempt, || {
                    format!(
                        "attempt {attempt} is used up, the last was {}",
                        step.attempt
                    )
                }),
            }
        }
        Body::StepApplied { change, .. } => {
            up()?;
            match change {
                Change::Created | Change::Updated | Change::Replaced => {
                    require(status_now == Some(StepStatus::Intended), || {
                        "an effect is recorded without an intent before it in the same run"
                            .to_owned()
                    })
                }
                Change::Unchanged | Change::Adopted | Change::Removed => Ok(()),
            }
        }
        Body::StepReady { .. } => {
            up()?;
            let waited_in_vain = step
                .and_then(|step| step.failure.as_ref())
                .is_some_and(|failure| failure.phase == Phase::Readiness);
            require(
                match status_now {
                    Some(StepStatus::Applied | StepStatus::Ready) => true,
                    Some(StepStatus::Failed) => waited_in_vain,
                    _ => false,
                },
                || "the step was not applied in this run".to_owned(),
            )
        }
        Body::StepFailed { phase, .. } => match phase {
            Phase::Observe => Ok(()),
            Phase::Apply => up(),
            Phase::Readiness => {
                up()?;
                require(
                    matches!(
                        status_now,
                        Some(StepStatus::Applied | StepStatus::Ready | StepStatus::Failed)
                    ),
                    || "the step was not applied in this run".to_owned(),
                )
            }
            Phase::Removal => {
                changing()?;
                require(status == Some(StepStatus::Removing), || {
                    "no removal of the step has begun".to_owned()
                })
            }
        },
        Body::StepWithheld { .. } => {
            changing()?;
            require(
                status_now.is_none() || status_now == Some(StepStatus::Withheld),
                || "the step was begun in this run".to_owned(),
            )
        }
        Body::RemovalStarted { .. } => changing(),
        Body::Removed { .. } => {
            changing()?;
            require(status_now == Some(StepStatus::Removing), || {
                "no removal of the step has begun in this run".to_owned()
            })
        }
        Body::Verification { .. } => require(run.kind != RunKind::Down, || {
            "a run of kind down does not do this".to_owned()
        }),
        Body::InventoryProved { .. } => down(),
        Body::EnvironmentRemoved {} => {
            down()?;
            require(run.proved_absence, || {
                "no inventory of this run proves that nothing is left".to_owned()
            })
        }
        Body::RunFinished { outcome, .. } => match outcome {
            Outcome::Succeeded => require(run.unsettled == 0, || {
                format!(
                    "the run cannot have succeeded: {} of its steps came to no good end",
                    run.unsettled
                )
            }),
            Outcome::Failed | Outcome::Cancelled => Ok(()),
            Outcome::Interrupted => Err("a run that was interrupted does not say so".to_owned()),
        },
        Body::EnvironmentCreated { .. } | Body::RunStarted { .. } | Body::Snapshot { .. } => {
            Err("it cannot stand within a run".to_owned())
        }
    }
}

fn same_pins(before: &Pins, further: &Pins) -> Verdict {
    let changed = further
        .iter()
        .find(|(name, value)| before.get(*name).is_some_and(|known| known != *value));
    match changed {
        Some((name, _)) => Err(format!("the environment is bound to another {name:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
