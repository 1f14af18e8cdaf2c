//! `pipectl status` of an environment of which nothing is recorded on this machine: it is found where it lives, and what is
//! there speaks for itself. Which pipeline it was brought up with is not known, so there are no steps to be told of.

use std::collections::BTreeMap;

use pipectl_stages::{
    Environment as Owner,
    inventory::{Inventory, Item, ItemStanding},
};
use pipectl_state::Environment;
use serde::Serialize;
use uuid::Uuid;

use super::{
    args::{DataFormat, StatusArgs},
    holdings,
    output::Output,
    reach::Start,
    whereabouts::{self, There},
};
use crate::{exit::Exit, failure::Failure, session::hold::AtWork};

/// Everything that is known of it; the form of `-o json` and `-o yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    environment: String,
    uid: Uuid,
    /// Never: this is the form for what is not.
    recorded: bool,
    place: String,
    /// Since when it is there, as its record there says.
    since: Option<String>,
    /// Who works on it now, as its record there says.
    at_work: Option<AtWork>,
    /// Where its state is kept, as its record there says.
    state: Option<String>,
    /// How many things of each kind there are.
    holds: BTreeMap<String, usize>,
    things: Vec<Thing>,
    not_checked: Vec<NotChecked>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    resource: String,
    kind: String,
    /// What is to be known besides that it is there.
    note: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotChecked {
    what: String,
    why: String,
}

/// Finds it where the command line says, and shows what is there. Changes nothing, and starts nothing.
///
/// # Errors
/// `STA001` where the command line does not say where to look, or there is no such environment.
pub async fn run(
    args: &StatusArgs,
    environment: &Environment,
    output: Output,
) -> Result<Exit, Failure> {
    let name = environment.name();
    let There { access, uid, found } = whereabouts::find(
        &args.whereabouts,
        environment,
        None,
        false,
        Start::Never,
        output,
    )
    .await?;
    let owner = Owner {
        name: name.to_owned(),
        uid: uid.to_string(),
    };
    let ports = access.ports(None)?;
    let inventory = access.inventory(&ports, &owner, None, false).await;
    let place = access.place.to_string();
    // Whoever reads may stop reading: what the look needed on disk is gone by then.
    drop(access);
    let report = Report {
        environment: name.to_owned(),
        uid,
        recorded: false,
        place,
        since: found.as_ref().map(|found| found.created.clone()),
        at_work: found.as_ref().and_then(|found| found.at_work.clone()),
        state: found.and_then(|found| found.state),
        holds: inventory.counts().into_iter().collect(),
        things: inventory.items.values().map(thing).collect(),
        not_checked: inventory
            .not_checked
            .iter()
            .map(|(what, why)| NotChecked {
                what: what.clone(),
                why: why.clone(),
            })
            .collect(),
    };
    match args.output {
        DataFormat::Text => print(&report, &inventory, args, output),
        format => output.data(format, &report),
    }
    // Without its pipeline nobody can say that everything is in place.
    Ok(if args.check { Exit::Failed } else { Exit::Ok })
}

fn thing(item: &Item) -> Thing {
    Thing {
        resource: item.resource.clone(),
        kind: item.kind.clone(),
        note: match &item.standing {
            // What holds it matters when it is to go, and nothing goes here.
            ItemStanding::There { .. } => None,
            ItemStanding::Scheduled { on } => Some(format!("goes on {on}")),
            ItemStanding::Kept { why } => Some(why.clone()),
        },
    }
}

fn print(report: &Report, inventory: &Inventory, args: &StatusArgs, output: Output) {
    let since = report.since.as_deref();
    let since = since.map_or_else(String::new, |since| format!("  since {since}"));
    output.line(format!(
        "{}  not recorded here  {}{since}",
        report.environment, report.place
    ));
    output.line("");
    if args.steps {
        for Thing { resource, note, .. } in &report.things {
            let note = note.as_ref().map(|note| format!("  ({note})"));
            output.line(format!("  {resource}{}", note.unwrap_or_default()));
        }
        output.line("");
    }
    let holds = holdings::in_words(inventory);
    let holds = holds.unwrap_or_else(|| "nothing but its record there".to_owned());
    output.line(format!("  holds       {holds}"));
    if let Some(at_work) = &report.at_work {
        output.line(format!("  at work     {}", at_work.in_words()));
    }
    for NotChecked { what, why } in &report.not_checked {
        output.line(format!("  not seen    {what}: {why}"));
    }
    output.line("  record      nothing is recorded of it on this machine");
    if let Some(state) = &report.state {
        output.line(format!("  state       was kept at {state}"));
    }
    output.line(format!(
        "  next        pipectl plan with its pipeline file shows its stages · pipectl down {}{}",
        report.environment,
        args.whereabouts.arguments()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_says_what_is_to_be_known_besides_that_it_is_there() {
        let note = |standing| {
            let item = Item {
                resource: "subnet subnet-1".to_owned(),
                kind: "subnet".to_owned(),
                standing,
            };
            thing(&item).note
        };
        let there = ItemStanding::There {
            held_by: vec!["interface eni-1".to_owned()],
            safe_next: None,
        };
        assert_eq!(note(there), None);
        let on = "2026-11-28".to_owned();
        assert_eq!(
            note(ItemStanding::Scheduled { on }).as_deref(),
            Some("goes on 2026-11-28")
        );
    }
}
