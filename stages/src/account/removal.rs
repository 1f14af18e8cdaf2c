//! The end of `down` on AWS: the proof of absence, then the environment's record in the account.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{STAGE, inventory};
use crate::{
    blocks::Row,
    cloud::{CloudRemoval, Pace, Remnant, Unwanted, cloud},
    cluster::own_keys::OwnKeys,
    context::StepContext,
    error::{PortError, StepError},
    findings::{Fate, Finding, Leftover},
    inventory::{Inventory, absence},
    ports::cloud::Deletion,
    removal::{Removal, RemovalProgress},
    step::{Need, StepId, Timeouts},
};

/// How often the inventory is taken before what remains counts as remaining: lists lag behind deletions.
const LOOKS: u32 = 8;

/// The removal that proves absence.
#[must_use]
pub fn proof() -> StepId {
    StepId::new(STAGE, "inventory")
}

/// The removals of the stage. `before` is what the inventory held before anything was removed, `everything` the
/// removals that the proof comes after.
#[must_use]
pub fn removals(
    pace: Pace,
    keep_data: bool,
    before: Inventory,
    everything: Vec<Need>,
) -> Vec<Arc<dyn Removal>> {
    let bound = pace.bound(Duration::from_secs(300));
    let proof_row = Row::new(STAGE, "inventory", "proof of absence")
        .needs(everything)
        .ready_within(bound, 2);
    let anchor_row = Row::new(STAGE, "anchor", "record in the account")
        .needs([Need::ready(proof())])
        .ready_within(bound, 1);
    vec![
        Arc::new(Proof {
            row: proof_row,
            poll: pace.poll(5),
            before,
            keep_data,
            keys: OwnKeys::default(),
            looks: Mutex::new(0),
        }),
        CloudRemoval::removal(anchor_row, pace.poll(2), AnchorRecord),
    ]
}

struct Proof {
    row: Row,
    poll: Duration,
    before: Inventory,
    keep_data: bool,
    keys: OwnKeys,
    looks: Mutex<u32>,
}

fn is_open(left: &Leftover) -> bool {
    matches!(left.fate, Fate::StillThere { .. } | Fate::NotChecked { .. })
}

fn evidence(left: &Leftover) -> String {
    match &left.fate {
        Fate::StillThere { held_by, .. } if held_by.is_empty() => {
            format!("still there: {}", left.resource)
        }
        Fate::StillThere { held_by, .. } => {
            format!("still there: {} ← {}", left.resource, held_by.join(" ← "))
        }
        Fate::NotChecked { why } => format!("could not be checked: {}: {why}", left.resource),
        Fate::Scheduled { on } => format!("{} goes on {on}", left.resource),
        Fate::Kept { why } => format!("{} stays: {why}", left.resource),
    }
}

#[async_trait]
impl Removal for Proof {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn regardless(&self) -> bool {
        true
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(self.poll)
    }

    async fn start(&self, _: &StepContext) -> Result<u32, StepError> {
        Ok(0)
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let now = inventory::take(cx, self.keep_data, &self.keys).await;
        let report = absence(&self.before, &now);
        let open: Vec<&Leftover> = report
            .remaining
            .iter()
            .filter(|left| is_open(left))
            .collect();
        let looks = {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            *looks += 1;
            *looks
        };
        if let Some(first) = open.first()
            && looks < LOOKS
            && !cx.cancel.is_cancelled()
        {
            return Ok(RemovalProgress::InProgress {
                waiting_for: format!("looking again: {}", evidence(first)),
                count: None,
            });
        }
        cx.finding(Finding::Absence(report.clone()));
        if open.is_empty() {
            let things = match report.checked {
                1 => "1 thing".to_owned(),
                number => format!("{number} things"),
            };
            return Ok(RemovalProgress::Gone(format!(
                "{things} checked over {}",
                report.over.join(", ")
            )));
        }
        let error = StepError::new(
            "DWN003",
            "prove the absence of",
            format!("environment {}", cx.environment.name),
            format!("{} things are not gone", open.len()),
        )
        .with_evidence(open.into_iter().map(evidence).collect())
        .with_hint(
            "mend what holds them and run pipectl down again: the environment's record in the account stays until then",
        );
        Ok(RemovalProgress::Stuck(Box::new(error)))
    }
}

/// The environment's record: the last thing to go.
struct AnchorRecord;

#[async_trait]
impl Unwanted for AnchorRecord {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let found = cloud(cx)?.anchors.find(&cx.environment.name).await;
        let found = found.map_err(|error| error.during("read", "the environment's anchor"))?;
        Ok(found
            // Another environment of the same name by now: not ours to remove.
            .filter(|anchor| anchor.uid == cx.environment.uid)
            .map(|anchor| Remnant::there(&anchor.name, format!("record of {}", anchor.name)))
            .into_iter()
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.anchors.delete(&remnant.id).await)
    }

    fn gone(&self) -> String {
        "no trace left".to_owned()
    }
}
