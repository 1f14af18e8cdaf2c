//! `pipectl status`: what stands, live beside recorded.

use crate::exit::Exit;
use crate::failure::Failure;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pipectl_config::Loaded;
use pipectl_stages::{CloudOptions, Difference, Readiness, Step, UpOptions, cloud::NOT_KNOWN};
use pipectl_state::{Environment, EnvironmentState, LifePhase, Outcome, RunSummary, StepStatus};
use serde::Serialize;

use super::{
    args::{DataFormat, StatusArgs},
    list::phase_words,
    output::Output,
    reach::{Start, reach},
    unrecorded, whereabouts,
};
use crate::{
    engine::{event::Endpoint, span},
    reporter::words::together,
    session::{
        access, environment,
        hold::AtWork,
        inspect::{Seen, Sight},
        place::Place,
        standing,
    },
};

/// Everything that `status` says; the form of `-o json` and `-o yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    environment: String,
    uid: String,
    /// Always: what is not has another form.
    recorded: bool,
    phase: LifePhase,
    place: String,
    #[serde(skip)]
    on_aws: bool,
    /// Seconds since it was created.
    age_seconds: Option<u64>,
    last_run: Option<RunSummary>,
    /// Whether somebody changes the environment now.
    at_work: bool,
    /// Who does: by the lease on this machine, or by the environment's record in the account.
    holder: Option<AtWork>,
    /// Whether the cluster was asked; if not, why.
    live: Live,
    stages: Vec<StageReport>,
    endpoints: Vec<Endpoint>,
    kubeconfig: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Live {
    asked: bool,
    why_not: Option<String>,
}

/// How a stage or step stands, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    InPlace,
    Recorded,
    Waiting,
    Drifted,
    Absent,
    Failed,
}

impl Standing {
    fn mark(self) -> char {
        match self {
            Self::InPlace => '✔',
            Self::Recorded | Self::Absent => '·',
            Self::Waiting => '◐',
            Self::Drifted => '!',
            Self::Failed => '✖',
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageReport {
    stage: String,
    standing: Standing,
    words: String,
    steps: Vec<StepReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepReport {
    step: String,
    title: String,
    standing: Standing,
    words: String,
    recorded: Option<StepStatus>,
    differences: Vec<Difference>,
}

/// Runs it.
///
/// # Errors
/// When the environment is neither recorded here nor found where the command line says, when it lives elsewhere than that, or
/// its record cannot be read. A cluster out of reach is no error: the recorded half is shown, and why there is no live half.
pub async fn run(args: &StatusArgs, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name().as_deref())?;
    let name = environment.name().to_owned();
    let Some(state) = environment::recorded(&environment)? else {
        if args.offline {
            return Err(environment::unknown(&name));
        }
        return unrecorded::run(args, &environment, output).await;
    };
    let place = match args.whereabouts.aws.recorded(&state) {
        Some(_) => Some(whereabouts::recorded_place(
            &args.whereabouts,
            &state,
            &name,
        )?),
        None => None,
    };
    let loaded = standing::recorded_pipeline(&state);
    let steps = match (&place, &loaded) {
        (Some(place), Some(loaded)) => {
            let (up, cloud) = (UpOptions::default(), CloudOptions::default());
            access::steps(place, loaded, up, &cloud)
        }
        _ => Vec::new(),
    };
    let mut holder = AtWork::here(&environment);
    let (seen, live) = if args.offline {
        (
            None,
            Live {
                asked: false,
                why_not: Some("not asked to (--offline)".to_owned()),
            },
        )
    } else {
        let place = place.as_ref();
        match look(&environment, place, &state, loaded.as_ref(), output).await {
            Ok((seen, in_account)) => {
                holder = holder.or(in_account);
                (
                    Some(seen),
                    Live {
                        asked: true,
                        why_not: None,
                    },
                )
            }
            Err(failure) => (
                None,
                Live {
                    asked: false,
                    why_not: Some(in_words(&failure)),
                },
            ),
        }
    };
    let stages = stages(&steps, &state, seen.as_deref());
    let now = jiff::Timestamp::now();
    let age = state
        .created_at
        .and_then(|at| u64::try_from(now.duration_since(at).as_secs()).ok());
    let own = access::own_kubeconfig(&environment);
    let report = Report {
        environment: name,
        uid: state.uid().map(|uid| uid.to_string()).unwrap_or_default(),
        recorded: true,
        phase: state.phase(),
        place: place
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string),
        on_aws: matches!(place, Some(Place::Eks(_))),
        age_seconds: age,
        last_run: state.runs.last().cloned(),
        at_work: holder.is_some(),
        holder,
        live,
        endpoints: loaded.as_ref().map(standing::endpoints).unwrap_or_default(),
        kubeconfig: own.exists().then(|| own.display().to_string()),
        stages,
    };
    match args.output {
        DataFormat::Text => print(&report, args.steps, output),
        format => output.data(format, &report),
    }
    let all_well = report.live.asked
        && report.phase == LifePhase::Up
        && report
            .stages
            .iter()
            .all(|stage| stage.standing == Standing::InPlace);
    Ok(if args.check && !all_well {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

async fn look(
    environment: &Environment,
    place: Option<&Place>,
    state: &EnvironmentState,
    loaded: Option<&Loaded>,
    output: Output,
) -> Result<(Vec<Seen>, Option<AtWork>), Failure> {
    let place = place.ok_or_else(|| environment::unknown(environment.name()))?;
    let access = reach(place, environment, Start::Never, output).await?;
    let seen = access::look(&access, state, loaded).await?;
    Ok((seen, access.at_work().await?))
}

fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Problem(problem) => problem.error.to_string(),
        Failure::Input(diagnostics) => diagnostics.to_string(),
        Failure::Said(_) => String::new(),
    }
}

fn stages(
    steps: &[Arc<dyn Step>],
    state: &EnvironmentState,
    seen: Option<&[Seen]>,
) -> Vec<StageReport> {
    let seen: BTreeMap<&str, &Seen> = seen
        .unwrap_or_default()
        .iter()
        .map(|seen| (seen.step.as_str(), seen))
        .collect();
    let mut stages: Vec<StageReport> = Vec::new();
    for step in steps {
        let id = step.id();
        let report = step_report(step.as_ref(), state, seen.get(id.as_str()).copied());
        match stages.iter_mut().find(|stage| stage.stage == id.stage()) {
            Some(stage) => stage.steps.push(report),
            None => stages.push(StageReport {
                stage: id.stage().to_owned(),
                standing: Standing::InPlace,
                words: String::new(),
                steps: vec![report],
            }),
        }
    }
    let all_well = stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .all(|step| step.standing == Standing::InPlace || is_verification(&step.step));
    for step in stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        // Looking does not check again: the result is that of the last run, and holds while everything stands.
        if is_verification(&step.step) && step.standing == Standing::InPlace && !all_well {
            step.standing = Standing::Recorded;
            step.words = format!("at the last run: {}", step.words);
        }
    }
    for stage in &mut stages {
        // The worst step speaks for its stage; where all is well, all of them do.
        let worst = stage.steps.iter().rev().max_by_key(|step| step.standing);
        if let Some(worst) = worst {
            stage.standing = worst.standing;
            stage.words = match worst.standing {
                Standing::InPlace => together(stage.steps.iter().map(|step| step.words.as_str())),
                _ => worst.words.clone(),
            };
        }
        let absent = stage
            .steps
            .iter()
            .filter(|step| step.standing == Standing::Absent)
            .count();
        if stage.standing == Standing::Absent && absent == stage.steps.len() {
            stage.words = "absent".to_owned();
        }
    }
    stages
}

fn is_verification(step: &str) -> bool {
    step.split('/').next() == Some(pipectl_stages::verification::STAGE)
}

fn step_report(step: &dyn Step, state: &EnvironmentState, seen: Option<&Seen>) -> StepReport {
    let recorded = state.steps.get(step.id().as_str());
    let (standing, words) = match seen {
        Some(seen) => live_words(seen),
        None => match recorded {
            Some(record) => recorded_words(record),
            None => (Standing::Absent, "not begun".to_owned()),
        },
    };
    StepReport {
        step: step.id().to_string(),
        title: step.title(),
        standing,
        words,
        recorded: recorded.map(|record| record.status),
        differences: seen
            .and_then(|seen| match &seen.sight {
                Sight::Looked { differences, .. } => differences.clone().ok(),
                Sight::NoCluster | Sight::NoWayIn(_) => None,
            })
            .unwrap_or_default(),
    }
}

fn live_words(seen: &Seen) -> (Standing, String) {
    let (differences, readiness) = match &seen.sight {
        Sight::NoCluster => return (Standing::Absent, "absent: there is no cluster".to_owned()),
        Sight::NoWayIn(why) => {
            return (
                Standing::Failed,
                format!("the cluster was not entered: {why}"),
            );
        }
        Sight::Looked {
            differences,
            readiness,
        } => match differences {
            Err(error) if error.code == NOT_KNOWN => {
                return (Standing::Absent, "absent".to_owned());
            }
            Err(error) => return (Standing::Failed, error.to_string()),
            Ok(differences) => (differences, readiness),
        },
    };
    match readiness {
        None => (Standing::Absent, "absent".to_owned()),
        Some(Readiness::Failed(error)) => (Standing::Failed, error.cause.clone()),
        Some(_) if !differences.is_empty() => (Standing::Drifted, drift_words(differences)),
        Some(Readiness::InProgress { waiting_for, .. }) => (Standing::Waiting, waiting_for.clone()),
        Some(Readiness::Ready(summary)) => (Standing::InPlace, summary.clone()),
    }
}

fn drift_words(differences: &[Difference]) -> String {
    let Some(first) = differences.first() else {
        return String::new();
    };
    let mut words = format!("differs: {}", first.resource);
    if let Some(field) = &first.field {
        words.push(' ');
        words.push_str(field);
    }
    match (&first.live, &first.wanted) {
        (Some(live), Some(wanted)) => words.push_str(&format!(" {live} → {wanted}")),
        (None, Some(_)) => words.push_str(" missing"),
        (Some(live), None) => words.push_str(&format!(" {live} (not wanted)")),
        (None, None) => {}
    }
    if differences.len() > 1 {
        words.push_str(&format!(" and {} more", differences.len() - 1));
    }
    words
}

fn recorded_words(record: &pipectl_state::StepState) -> (Standing, String) {
    let summary = || record.summary.clone().unwrap_or_default();
    match record.status {
        StepStatus::Ready => (Standing::Recorded, format!("recorded: {}", summary())),
        StepStatus::Applied => (Standing::Recorded, "recorded: applied".to_owned()),
        StepStatus::Intended => (Standing::Recorded, "recorded: begun".to_owned()),
        StepStatus::Failed => {
            let cause = record
                .failure
                .as_ref()
                .map(|failure| failure.error.cause.clone());
            (
                Standing::Failed,
                format!("recorded: {}", cause.unwrap_or_default()),
            )
        }
        StepStatus::Withheld => (
            Standing::Recorded,
            format!(
                "recorded: withheld, {}",
                record.withheld_because.clone().unwrap_or_default()
            ),
        ),
        StepStatus::Removing => (Standing::Recorded, "recorded: being removed".to_owned()),
        StepStatus::Removed => (Standing::Absent, "recorded: removed".to_owned()),
    }
}

/// One run in words: `up, 15m 08s`. A run without an end is under way while its process is at work, and was cut off otherwise.
#[must_use]
pub fn run_words(run: &RunSummary, at_work: bool) -> String {
    let took = run
        .millis
        .map(|millis| format!(", {}", span(Duration::from_millis(millis))))
        .unwrap_or_default();
    let end = match run.outcome {
        None if at_work => " (under way)",
        None => " interrupted",
        Some(Outcome::Succeeded) => "",
        Some(Outcome::Failed) => " failed",
        Some(Outcome::Cancelled) => " cancelled",
        Some(Outcome::Interrupted) => " interrupted",
    };
    format!("{}{end}{took}", run.kind)
}

fn print(report: &Report, with_steps: bool, output: Output) {
    let age = report
        .age_seconds
        .map(|age| format!(" {}", span(Duration::from_secs(age))))
        .unwrap_or_default();
    let last = report
        .last_run
        .as_ref()
        .map(|run| format!("  last run: {}", run_words(run, report.at_work)))
        .unwrap_or_default();
    output.line(format!(
        "{}  {}{age}  {}{last}",
        report.environment,
        phase_words(report.phase),
        report.place
    ));
    if let Some(holder) = &report.holder {
        output.line(format!("  at work: {}", holder.in_words()));
    }
    output.line("");
    let stage_names = report.stages.iter().map(|stage| stage.stage.len());
    let step_names = report
        .stages
        .iter()
        .flat_map(|stage| stage.steps.iter().map(|step| step.step.len()));
    let width = if with_steps {
        step_names.max()
    } else {
        stage_names.max()
    }
    .unwrap_or(0)
    .max(10);
    for stage in &report.stages {
        if with_steps {
            for step in &stage.steps {
                output.line(format!(
                    "  {:<width$}  {} {}",
                    step.step,
                    step.standing.mark(),
                    step.words
                ));
            }
        } else {
            let line = format!(
                "  {:<width$}  {} {}",
                stage.stage,
                stage.standing.mark(),
                stage.words
            );
            // Where all is well, the end of the list may be missed; a trouble is said in full.
            if stage.standing == Standing::InPlace {
                output.line_cut(&line);
            } else {
                output.line(line);
            }
        }
    }
    if let Some(why) = report
        .live
        .why_not
        .as_deref()
        .filter(|_| !report.live.asked)
    {
        output.line("");
        let whom = if report.on_aws { "AWS" } else { "the cluster" };
        output.line(format!("  {whom} was not asked: {why}"));
    }
    if !report.endpoints.is_empty() || report.kubeconfig.is_some() {
        output.line("");
        for endpoint in &report.endpoints {
            output.line(format!(
                "  {:<width$}  {}",
                endpoint.label, endpoint.address
            ));
        }
        if let Some(kubeconfig) = &report.kubeconfig {
            output.line(format!("  {:<width$}  {kubeconfig}", "kubeconfig"));
        }
    }
}
