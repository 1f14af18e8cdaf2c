//! `pipectl plan`: what `up` would change; changes nothing.

use crate::exit::Exit;
use crate::failure::Failure;
use std::collections::BTreeMap;

use pipectl_stages::{
    Change, Difference, Environment as Owner, StepError, UpOptions, cloud::NOT_KNOWN,
    cluster::steps::entrance,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    args::{DataFormat, PlanArgs},
    output::Output,
    reach::{Start, reach},
};
use crate::session::{
    access::recorded_outputs,
    environment,
    inspect::{Inspection, Sight},
    pipeline,
    place::Place,
};

/// What `-o json` and `-o yaml` print.
#[derive(Debug, Serialize)]
struct Planned {
    step: String,
    title: String,
    differences: Vec<Difference>,
    /// Why nobody can say yet.
    unknown: Option<String>,
}

/// Runs it. Where the sandbox is the provider and doesn't run, it is started.
///
/// # Errors
/// When the pipeline file is wrong, or the environment's cluster is out of reach or another one.
pub async fn run(args: &PlanArgs, output: Output) -> Result<Exit, Failure> {
    let (loaded, origin) = pipeline::load(args.pipeline.choice())?;
    let name = args
        .pipeline
        .env
        .clone()
        .unwrap_or_else(|| loaded.pipeline.metadata.name.clone());
    let environment = environment::named(&name)?;
    let place = Place::of(&loaded, args.pipeline.sandbox.as_deref());
    pipeline::meant(args.pipeline.choice(), &place)?;
    let recorded = environment::recorded(&environment)?;
    if let Some(state) = &recorded {
        place.check(state.pins(), &name)?;
    }
    let access = reach(&place, &environment, Start::IfNeeded, output).await?;
    access.fence(recorded.as_ref()).await?;
    let steps = access.steps(&loaded, UpOptions::default());
    let recorded_uid = recorded.as_ref().and_then(|state| state.uid());
    let unrecorded = match recorded_uid {
        Some(_) => None,
        None => access.find().await?,
    };
    // One that lives there without a record here; or none, which owns nothing, under whatever UID.
    let found = unrecorded.as_ref().map(|found| found.uid);
    let uid = recorded_uid.or(found).unwrap_or_else(Uuid::nil).to_string();
    let inspection = Inspection {
        environment: Owner {
            name: name.clone(),
            uid,
        },
        ports: access.ports(Some(&loaded))?,
        outputs: recorded.as_ref().map(recorded_outputs).unwrap_or_default(),
    };
    let planned: Vec<Planned> = inspection
        .look(&steps)
        .await
        .into_iter()
        .map(|seen| {
            let (differences, unknown) = match seen.sight {
                Sight::Looked { differences, .. } => match differences {
                    Ok(differences) => (differences, None),
                    Err(error) => (Vec::new(), Some(unknown(&error))),
                },
                Sight::NoCluster => (Vec::new(), Some(format!("known after {}", entrance()))),
                Sight::NoWayIn(why) => (Vec::new(), Some(why)),
            };
            Planned {
                step: seen.step.to_string(),
                title: seen.title,
                differences,
                unknown,
            }
        })
        .collect();
    // Whoever reads may stop reading: what the look needed on disk is gone by then.
    drop(access);
    let to_do = planned
        .iter()
        .any(|step| !step.differences.is_empty() || step.unknown.is_some());
    if args.output == DataFormat::Text {
        print(&name, &place, &planned, output);
        if let Some(found) = &unrecorded {
            output.line("");
            output.line(format!(
                "  nothing is recorded of it on this machine; it is there since {}, and up goes on with it",
                found.created
            ));
        }
        if to_do {
            // In a sandbox it can only be this machine's own.
            let adopt = match (&unrecorded, place.sandbox()) {
                (Some(_), None) => " --adopt",
                _ => "",
            };
            output.note(format!(
                "\nnext: {}{adopt}",
                super::up::again(&args.pipeline, &origin, &place)
            ));
        }
    } else {
        output.data(args.output, &planned);
    }
    // 2 for "there is something to do" is what Terraform's users know from its flag of the same name.
    Ok(if to_do && args.detailed_exitcode {
        Exit::Usage
    } else {
        Exit::Ok
    })
}

/// Why nobody can say what a step would change.
fn unknown(error: &StepError) -> String {
    match error.code.as_str() {
        // An earlier step's work, which the error names.
        NOT_KNOWN => error.cause.clone(),
        code => format!("{code}: {}", error.cause),
    }
}

fn print(name: &str, place: &Place, planned: &[Planned], output: Output) {
    let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
    output.line(format!("pipectl plan  {name}  {place}"));
    output.line("");
    let mut unknown: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for step in planned {
        if let Some(why) = &step.unknown {
            let (stage, name) = step.step.split_once('/').unwrap_or((&step.step, ""));
            match unknown.last_mut() {
                Some((of, because, names)) if *of == stage && because == why => names.push(name),
                _ => unknown.push((stage, why, vec![name])),
            }
        }
        for difference in &step.differences {
            *counts.entry(difference.change).or_default() += 1;
            output.line(format!(
                "  {} {}{}",
                sign(difference.change),
                difference.resource,
                field(difference)
            ));
        }
    }
    for (stage, why, names) in &unknown {
        output.line(format!("  ? {stage:<14} {}: {why}", names.join(", ")));
    }
    if counts.is_empty() {
        output.line(if !unknown.is_empty() {
            "  nothing to do for the rest: it is as the pipeline says"
        } else {
            "  nothing to do: everything is as the pipeline says"
        });
        return;
    }
    let words: Vec<_> = counts
        .iter()
        .map(|(change, count)| {
            let verb = match change {
                Change::Unchanged => "unchanged",
                Change::Adopted => "to adopt",
                Change::Created => "to create",
                Change::Updated => "to update",
                Change::Replaced => "to replace",
                Change::Removed => "to remove",
            };
            format!("{count} {verb}")
        })
        .collect();
    output.line("");
    output.line(format!("  {}", words.join(", ")));
}

fn sign(change: Change) -> char {
    match change {
        Change::Created => '+',
        Change::Updated => '~',
        Change::Replaced => '±',
        Change::Removed => '-',
        Change::Unchanged | Change::Adopted => '=',
    }
}

fn field(difference: &Difference) -> String {
    let Some(field) = &difference.field else {
        return String::new();
    };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    format!(
        "  {field}: {} → {}",
        or_none(&difference.live),
        or_none(&difference.wanted)
    )
}
