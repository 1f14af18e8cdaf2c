//! Attaching reporters to a run: events go in at one end, everybody who wants them hears them in the same order.

use std::{io, path::PathBuf, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    Reporter,
    ndjson::Ndjson,
    plain::Plain,
    summary::{Summary, Target},
    terminal::{Drawing, Terminal},
};
use crate::engine::Event;

/// The form in which a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Drawn on a terminal.
    Terminal,
    /// Plain lines on standard output.
    Plain,
    /// One JSON event a line on standard output.
    Json,
}

impl Format {
    /// Drawn where standard output and standard error are a terminal that can move its cursor; plain lines elsewhere.
    #[must_use]
    pub fn detect() -> Self {
        let able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        let terminal = console::Term::stdout().is_term() && console::Term::stderr().is_term();
        if able && terminal {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// What is told, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The form.
    pub format: Format,
    /// Whether colour underlines the words; drawn form only.
    pub color: bool,
    /// Say every step, not only every stage.
    pub verbose: bool,
    /// Say errors and the result only. JSON stays whole: a program that reads it wants all of it.
    pub quiet: bool,
    /// List every check of the verification in the result.
    pub show_checks: bool,
    /// A file for the Markdown summary.
    pub summary: Option<PathBuf>,
    /// The CI job's summary file, added to; see [`Options::ci_summary`].
    pub ci_summary: Option<PathBuf>,
}

impl Options {
    /// The form alone, everything else as it is when nothing is asked for.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            color: false,
            verbose: false,
            quiet: false,
            show_checks: false,
            summary: None,
            ci_summary: None,
        }
    }

    /// The file that GitHub Actions shows on the job's page: `GITHUB_STEP_SUMMARY` ("Workflow commands for GitHub
    /// Actions", adding a job summary).
    #[must_use]
    pub fn ci_summary() -> Option<PathBuf> {
        std::env::var_os("GITHUB_STEP_SUMMARY")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }

    fn reporters(&self) -> Vec<Box<dyn Reporter>> {
        let mut reporters: Vec<Box<dyn Reporter>> = Vec::new();
        reporters.push(match self.format {
            Format::Terminal => Box::new(Terminal::new(Drawing {
                color: self.color,
                verbose: self.verbose,
                quiet: self.quiet,
                show_checks: self.show_checks,
            })),
            Format::Plain => Box::new(Plain::new(
                io::stdout(),
                self.verbose,
                self.quiet,
                self.show_checks,
            )),
            Format::Json => Box::new(Ndjson::new(io::stdout())),
        });
        if let Some(path) = &self.summary {
            reporters.push(Box::new(Summary::new(Target::File(path.clone()))));
        }
        if let Some(path) = &self.ci_summary {
            reporters.push(Box::new(Summary::new(Target::Append(path.clone()))));
        }
        reporters
    }
}

/// Reporters at work.
#[derive(Debug)]
pub struct Attached {
    task: JoinHandle<Vec<io::Error>>,
}

impl Attached {
    /// Waits until every event is told: after [`crate::engine::run`] has returned, which drops the sender. Answers what
    /// could not be written; a reporter that failed was left out from then on, the run went on.
    pub async fn finish(self) -> Vec<io::Error> {
        self.task
            .await
            .unwrap_or_else(|error| vec![io::Error::other(error)])
    }
}

/// Starts the reporters; what is sent is told.
#[must_use]
pub fn attach(options: &Options) -> (mpsc::UnboundedSender<Event>, Attached) {
    attach_all(options.reporters())
}

/// Starts any reporters; what is sent is told to each.
#[must_use]
pub fn attach_all(reporters: Vec<Box<dyn Reporter>>) -> (mpsc::UnboundedSender<Event>, Attached) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let task = tokio::spawn(tell(receiver, reporters));
    (sender, Attached { task })
}

async fn tell(
    mut events: mpsc::UnboundedReceiver<Event>,
    mut reporters: Vec<Box<dyn Reporter>>,
) -> Vec<io::Error> {
    let mut failures = Vec::new();
    let mut clock = tokio::time::interval(Duration::from_millis(120));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<(Instant, u64)> = None;
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return failures };
                last = Some((Instant::now(), event.elapsed_ms));
                reporters.retain_mut(|reporter| match reporter.event(&event) {
                    Ok(()) => true,
                    Err(error) => {
                        // A reader that went away (`| head`) does not stop the run, and is no news.
                        if error.kind() != io::ErrorKind::BrokenPipe {
                            failures.push(error);
                        }
                        false
                    }
                });
            }
            _ = clock.tick() => {
                if let Some((at, elapsed_ms)) = last {
                    let now = elapsed_ms.saturating_add(crate::engine::event::millis(at.elapsed()));
                    for reporter in &mut reporters {
                        reporter.tick(now);
                    }
                }
            }
        }
    }
}
