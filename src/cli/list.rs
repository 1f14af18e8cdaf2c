//! `pipectl list`: the environments known on this machine, or those that an AWS account has records of.

use crate::exit::Exit;
use crate::failure::Failure;
use pipectl_state::LifePhase;
use serde::Serialize;

use super::{
    args::{DataFormat, ListArgs},
    output::Output,
    reach::{self, Start},
};
use crate::{
    engine::span,
    session::{
        account::Account,
        environment,
        hold::AtWork,
        place::{Place, Region},
    },
};

/// One environment in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    uid: Option<String>,
    phase: Option<LifePhase>,
    place: Option<String>,
    age_seconds: Option<u64>,
    last_run: Option<String>,
    /// Who works on it now, where somebody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_work: Option<AtWork>,
    /// Where its state is kept, as its record in the account says.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Why its record cannot be read.
    error: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When the state directory or the account cannot be read.
pub async fn run(args: &ListArgs, output: Output) -> Result<Exit, Failure> {
    let rows: Vec<Row> = if args.sandbox.is_some() || args.aws.region.is_some() {
        in_account(args, output).await?
    } else {
        let root = environment::root()?;
        let known = pipectl_state::list_environments(&root)
            .map_err(|error| environment::state_failure("list", "environments", &error))?;
        known.iter().map(|entry| row(&entry.name)).collect()
    };
    if args.output != DataFormat::Text {
        output.data(args.output, &rows);
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        output.note("no environments here; bring one up with: pipectl up --sandbox");
        return Ok(Exit::Ok);
    }
    output.line(format!(
        "{:<20} {:<12} {:<32} {:<10} last run",
        "name", "phase", "where", "age"
    ));
    for row in rows {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let phase = row.phase.map(|phase| phase_words(phase).to_owned());
        let age = row
            .age_seconds
            .map(|age| span(std::time::Duration::from_secs(age)));
        output.line(format!(
            "{:<20} {:<12} {:<32} {:<10} {}",
            row.name,
            or_dash(phase),
            or_dash(row.place),
            or_dash(age),
            or_dash(row.last_run.or(row.state).or(row.error)),
        ));
        if let Some(at_work) = row.at_work {
            output.line(format!("{:<20} at work: {}", "", at_work.in_words()));
        }
    }
    Ok(Exit::Ok)
}

fn row(name: &str) -> Row {
    let state =
        environment::named(name).and_then(|environment| environment::recorded(&environment));
    let (state, error) = match state {
        Ok(state) => (state, None),
        Err(Failure::Problem(problem)) => (None, Some(problem.error.to_string())),
        Err(_) => (None, None),
    };
    let now = jiff::Timestamp::now();
    let age = state
        .as_ref()
        .and_then(|state| state.created_at)
        .map(|at| now.duration_since(at).as_secs().max(0));
    let at_work = environment::named(name).ok();
    let at_work = at_work.and_then(|environment| AtWork::here(&environment));
    Row {
        name: name.to_owned(),
        uid: state
            .as_ref()
            .and_then(|state| state.uid())
            .map(|uid| uid.to_string()),
        phase: state.as_ref().map(|state| state.phase()),
        place: state
            .as_ref()
            .and_then(|state| Place::pinned(state.pins()))
            .map(|place| place.to_string()),
        age_seconds: age.and_then(|age| u64::try_from(age).ok()),
        last_run: state
            .as_ref()
            .and_then(|state| state.runs.last())
            .map(|run| super::status::run_words(run, at_work.is_some())),
        at_work,
        state: None,
        error,
    }
}

/// The environments that an account has records of.
async fn in_account(args: &ListArgs, output: Output) -> Result<Vec<Row>, Failure> {
    let settings = match &args.sandbox {
        Some(name) => Some(reach::settings(name, false, Start::Never, output).await?),
        None => None,
    };
    let simulated = settings.map(|settings| settings.aws);
    let given = args.aws.region.clone();
    let region = given.or_else(|| simulated.as_ref().map(|aws| aws.region.clone()));
    let region = Region {
        region: region.unwrap_or_default(),
        account: None,
        sandbox: args.sandbox.clone(),
        credentials: args.aws.credentials(),
    };
    let account = Account::open(&region, simulated).await?;
    let anchors = account.anchors().await?;
    let now = jiff::Timestamp::now();
    Ok(anchors
        .into_iter()
        .map(|seen| (AtWork::of(&seen), seen.anchor))
        .map(|(at_work, anchor)| Row {
            name: anchor.name,
            uid: Some(anchor.uid),
            phase: None,
            place: Some(account.region.to_string()),
            age_seconds: u64::try_from(now.duration_since(anchor.created).as_secs()).ok(),
            last_run: None,
            at_work,
            state: anchor.state_url,
            error: None,
        })
        .collect())
}

/// A phase of life in words.
#[must_use]
pub fn phase_words(phase: LifePhase) -> &'static str {
    match phase {
        LifePhase::Absent => "absent",
        LifePhase::Created => "created",
        LifePhase::ComingUp => "coming up",
        LifePhase::Up => "up",
        LifePhase::Incomplete => "incomplete",
        LifePhase::GoingDown => "going down",
        LifePhase::PartlyDown => "partly down",
        LifePhase::Removed => "removed",
    }
}
