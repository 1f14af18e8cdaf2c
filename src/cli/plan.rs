//! `pipectl plan`: what `up` would change; changes nothing.

use crate::exit::Exit;
use crate::failure::{Failure, Problem, exit_of_step};
use std::collections::{BTreeMap, BTreeSet};

use pipectl_stages::{
    Change, Difference, Environment as Owner, Retry, StepError, UpOptions, cloud::NOT_KNOWN,
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
    /// What `up` would end with; it is refused in the same words.
    error: Option<StepError>,
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
            let mut planned = Planned {
                step: seen.step.to_string(),
                title: seen.title,
                differences: Vec::new(),
                unknown: None,
                error: None,
            };
            match seen.sight {
                Sight::Looked { differences, .. } => match differences {
                    Ok(differences) => planned.differences = differences,
                    Err(error) if is_certain(&error) => planned.error = Some(error),
                    Err(error) => planned.unknown = Some(unknown(&error)),
                },
                Sight::NoCluster => planned.unknown = Some(format!("known after {}", entrance())),
                Sight::NoWayIn(why) => planned.unknown = Some(why),
            }
            planned
        })
        .collect();
    // Whoever reads may stop reading: what the look needed on disk is gone by then.
    drop(access);
    let to_do = planned
        .iter()
        .any(|step| !step.differences.is_empty() || step.unknown.is_some());
    let refused = planned.iter().find_map(|step| step.error.as_ref());
    if args.output == DataFormat::Text {
        print(&name, &place, &planned, output);
        if let Some(found) = &unrecorded {
            output.line("");
            output.line(format!(
                "  nothing is recorded of it on this machine; it is there since {}, and up goes on with it",
                found.created
            ));
        }
        if to_do && refused.is_none() {
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
    if let Some(first) = refused {
        let mut told = BTreeSet::new();
        for error in planned.iter().filter_map(|step| step.error.as_ref()) {
            // Several steps may meet the same.
            if !told.insert(error.to_string()) {
                continue;
            }
            output.failure(&Failure::Problem(Box::new(Problem {
                exit: exit_of_step(error),
                error: error.clone(),
            })));
        }
        return Ok(exit_of_step(first));
    }
    // 2 for "there is something to do" is what Terraform's users know from its flag of the same name.
    Ok(if to_do && args.detailed_exitcode {
        Exit::Usage
    } else {
        Exit::Ok
    })
}

/// Codes of values that this shell lacks: whoever runs `up` may have them, and a shell without secrets can still look.
const SECRETS: &str = "SEC";

/// Whether `up` would come to the same error: not what an earlier step is still to make, not what may pass by itself, and not
/// what another shell has.
fn is_certain(error: &StepError) -> bool {
    error.code != NOT_KNOWN && error.retry != Retry::Soon && !error.code.starts_with(SECRETS)
}

/// Why nobody can say what a step would change.
fn unknown(error: &StepError) -> String {
    match error.code.as_str() {
        // An earlier step's work, which the error names.
        NOT_KNOWN => error.cause.clone(),
        _ => error.to_string(),
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
    if counts.is_empty() && planned.iter().any(|step| step.error.is_some()) {
        return;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_work_to_do_and_what_may_pass_is_no_refusal() {
        let refused = StepError::new("ACC005", "use", "instance type m9.large", "none there");
        assert!(is_certain(&refused));
        assert!(!is_certain(&refused.clone().with_retry(Retry::Soon)));
        let lacking = StepError::new("SEC001", "resolve", "environment variable A", "not set");
        assert!(!is_certain(&lacking));
        assert!(!is_certain(&StepError::new(
            NOT_KNOWN,
            "look up",
            "id",
            "known after a/b"
        )));
        assert!(unknown(&refused).contains("cannot use instance type m9.large"));
    }
}
