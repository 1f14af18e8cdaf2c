//! The end of `down`: the proof of absence, then the environment's identity.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{STAGE, record_of};
use crate::{
    blocks::Row,
    context::StepContext,
    error::StepError,
    findings::{Fate, Finding},
    inventory::{self, Inventory},
    objects::{Owner, delete_all, owner},
    removal::{Removal, RemovalProgress},
    step::{Need, StepId, Timeouts},
};

/// The removal that proves absence.
#[must_use]
pub fn proof() -> StepId {
    StepId::new(STAGE, "inventory")
}

/// The removals of the stage. `before` is what the inventory held before anything was removed, `everything` the
/// removals that the proof comes after.
#[must_use]
pub fn removals(
    before: Inventory,
    keep_data: bool,
    everything: Vec<Need>,
) -> Vec<Arc<dyn Removal>> {
    let proof_row = Row::new(STAGE, "inventory", "proof of absence")
        .needs(everything)
        .ready_within(Duration::from_secs(120), 2);
    let identity_row = Row::new(STAGE, "identity", "identity of the environment")
        .needs([Need::ready(proof())])
        .ready_within(Duration::from_secs(60), 1);
    vec![
        Arc::new(Proof {
            row: proof_row,
            before,
            keep_data,
        }),
        Arc::new(Identity { row: identity_row }),
    ]
}

struct Proof {
    row: Row,
    before: Inventory,
    keep_data: bool,
}

/// How often the inventory is taken before what remains counts as remaining: owners are collected in the background.
const LOOKS: u32 = 8;

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

    async fn start(&self, _: &StepContext) -> Result<u32, StepError> {
        Ok(0)
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let mut look = 1;
        let report = loop {
            let known = self.before.namespaces();
            let now = inventory::take(&cx.ports, &cx.environment, &known, self.keep_data).await;
            let report = inventory::absence(&self.before, &now);
            let still = report
                .remaining
                .iter()
                .any(|left| matches!(left.fate, Fate::StillThere { .. }));
            if !still || look >= LOOKS || cx.cancel.is_cancelled() {
                break report;
            }
            let first = report
                .remaining
                .first()
                .map_or("", |left| left.resource.as_str());
            cx.progress(format!("looking again: {first} is still there"));
            tokio::time::sleep(Duration::from_millis(250 * u64::from(look))).await;
            look += 1;
        };
        cx.sink.finding(&cx.step, Finding::Absence(report.clone()));
        let open: Vec<&crate::findings::Leftover> = report
            .remaining
            .iter()
            .filter(|left| matches!(left.fate, Fate::StillThere { .. } | Fate::NotChecked { .. }))
            .collect();
        if open.is_empty() {
            return Ok(RemovalProgress::Gone(format!(
                "{} things checked over {}",
                report.checked,
                report.over.join(", ")
            )));
        }
        let evidence = open
            .iter()
            .map(|left| match &left.fate {
                Fate::StillThere { held_by, .. } if held_by.is_empty() => {
                    format!("still there: {}", left.resource)
                }
                Fate::StillThere { held_by, .. } => {
                    format!("still there: {} ← {}", left.resource, held_by.join(" ← "))
                }
                Fate::NotChecked { why } => {
                    format!("could not be checked: {}: {why}", left.resource)
                }
                Fate::Scheduled { .. } | Fate::Kept { .. } => left.resource.clone(),
            })
            .collect();
        let error = StepError::new(
            "DWN003",
            "prove the absence of",
            format!("environment {}", cx.environment.name),
            format!("{} things are not gone", open.len()),
        )
        .with_evidence(evidence)
        .with_hint("mend what holds them and run pipectl down again: the environment's identity stays until then");
        Ok(RemovalProgress::Stuck(Box::new(error)))
    }
}

struct Identity {
    row: Row,
}

#[async_trait]
impl Removal for Identity {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    async fn start(&self, cx: &StepContext) -> Result<u32, StepError> {
        let at = record_of(&cx.environment.name);
        let found = cx.ports.objects.get(&at).await;
        let found = found.map_err(|error| error.during("read", &at))?;
        match found {
            Some(record) if owner(&record, &cx.environment) == Owner::Ours => {
                delete_all(cx, &[Arc::new(record)]).await
            }
            // Another environment of the same name by now: not ours to remove.
            Some(_) | None => Ok(0),
        }
    }

    async fn progress(&self, cx: &StepContext) -> Result<RemovalProgress, StepError> {
        let at = record_of(&cx.environment.name);
        let found = cx.ports.objects.get(&at).await;
        let found = found.map_err(|error| error.during("read", &at))?;
        Ok(match found {
            Some(record) if owner(&record, &cx.environment) == Owner::Ours => {
                RemovalProgress::InProgress {
                    waiting_for: at.to_string(),
                    count: None,
                }
            }
            Some(_) | None => RemovalProgress::Gone("no trace left".to_owned()),
        })
    }
}
