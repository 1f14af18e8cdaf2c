//! A run with its reporters attached, and what its end means for the command.

use crate::exit::Exit;
use crate::failure::{Failure, Problem, exit_of_step};
use pipectl_stages::StepError;
use pipectl_state::{Holder, Invoker};
use tokio_util::sync::CancellationToken;

use super::{
    args::{Global, OutputFormat, RunArgs},
    output::Output,
};
use crate::engine::{self, GraphError, RunEnd, RunOutcome, RunReport, RunRequest, Stop};
use crate::reporter::{Format, Options, attach};

/// How a run is said.
pub struct Reporting<'a> {
    /// The run's options.
    pub args: &'a RunArgs,
    /// The options of every command.
    pub global: &'a Global,
    /// Where commands print.
    pub output: Output,
    /// Every check of the verification.
    pub show_checks: bool,
}

impl Reporting<'_> {
    /// Runs the request with its reporters, and answers the trouble with a report that could not be written beside the run's
    /// end. `cancel` ends children under way at the first signal.
    pub async fn run(
        &self,
        request: RunRequest,
        cancel: CancellationToken,
    ) -> (RunEnd, Option<Failure>) {
        let mut stop = request.stop.clone();
        let watcher = tokio::spawn(async move {
            stop.changed().await;
            cancel.cancel();
        });
        let (events, attached) = attach(&Options {
            format: match self.args.output {
                // Log lines between drawn ones would garble both.
                OutputFormat::Auto if self.global.verbose > 1 => Format::Plain,
                OutputFormat::Auto => Format::detect(),
                OutputFormat::Plain => Format::Plain,
                OutputFormat::Json => Format::Json,
            },
            color: self.output.color_out,
            verbose: self.global.verbose > 0,
            quiet: self.global.quiet,
            show_checks: self.show_checks,
            summary: self.args.summary.clone(),
            ci_summary: Options::ci_summary(),
        });
        let end = engine::run(request, events).await;
        let unwritten = attached.finish().await;
        watcher.abort();
        let unwritten = unwritten.first().map(|error| {
            let what = "the report of the run";
            Failure::problem(
                Exit::Unavailable,
                "CLI019",
                "write",
                what,
                error.to_string(),
            )
            .hint("the run itself went on without it; see `pipectl status`")
        });
        (end, unwritten)
    }
}

/// Signals, from here on handed to the run instead of ending the process.
///
/// # Errors
/// When the system refuses to hand them over.
pub fn signals() -> Result<Stop, Failure> {
    Stop::on_signals().map_err(|error| {
        Failure::problem(
            Exit::Unavailable,
            "CLI016",
            "listen for",
            "signals",
            error.to_string(),
        )
    })
}

/// Who runs this command, for the record.
#[must_use]
pub fn invoker() -> Invoker {
    let holder = Holder::current();
    let command: Vec<_> = std::env::args().skip(1).collect();
    Invoker {
        user: holder.user,
        host: holder.host,
        job_url: holder.job_url,
        command: format!("pipectl {}", command.join(" ")),
    }
}

/// What the end of a run means for the command.
#[must_use]
pub fn exit(report: &RunReport) -> Exit {
    match report.outcome {
        RunOutcome::Succeeded => Exit::Ok,
        RunOutcome::Cancelled => Exit::Cancelled,
        RunOutcome::LeaseLost => Exit::Held,
        RunOutcome::JournalFailed => Exit::Unavailable,
        RunOutcome::Failed if !report.absence.is_empty() => Exit::Leftovers,
        RunOutcome::Failed
            if report
                .failures
                .iter()
                .all(|failure| failure.step.stage() == "verification") =>
        {
            Exit::NotVerified
        }
        RunOutcome::Failed
            if report
                .failures
                .iter()
                .all(|failure| exit_of_step(&failure.error) == Exit::Refused) =>
        {
            Exit::Refused
        }
        RunOutcome::Failed => Exit::Failed,
    }
}

/// A graph that cannot be built: a defect, or a pipeline that needs what it does not declare.
#[must_use]
pub fn graph_failure(error: &GraphError) -> Failure {
    Failure::Problem(Box::new(Problem {
        exit: Exit::BadInput,
        error: StepError::new("ENG010", "plan", "the pipeline", error.to_string()),
    }))
}
