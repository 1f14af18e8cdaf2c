//! Which pipeline a command is about, and how a run says what it does.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::session::pipeline::Choice;

/// Which pipeline.
#[derive(Debug, Clone, Args)]
pub struct PipelineArgs {
    /// The pipeline file [default: ./pipeline.yaml when there is one, else the built-in `streaming` blueprint].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Take a built-in blueprint instead of a file.
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub blueprint: Option<String>,
    /// Change one value of the file, e.g. `--set kafka.topics[streaming-topic].partitions=6`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Name of the environment [default: the pipeline's name].
    #[arg(long, env = "PIPECTL_ENV", value_name = "NAME")]
    pub env: Option<String>,
    /// Use the sandbox on this machine as the provider; started when it isn't running.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "default", value_name = "NAME")]
    pub sandbox: Option<String>,
}

impl PipelineArgs {
    /// What is said about the pipeline itself.
    #[must_use]
    pub fn choice(&self) -> Choice<'_> {
        Choice {
            file: self.file.as_deref(),
            blueprint: self.blueprint.as_deref(),
            set: &self.set,
            sandbox: self.sandbox.is_some(),
        }
    }
}

/// How a run says what it does.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// How to say it: `auto` draws on a terminal and writes plain lines elsewhere.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Auto)]
    pub output: OutputFormat,
    /// Also write a Markdown summary to this file (`GITHUB_STEP_SUMMARY` is honoured by itself).
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// How many effects may be under way at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// End the run in order after this long, e.g. `40m`.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub timeout: Option<Duration>,
}

/// How a run says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Drawn on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON event a line.
    Json,
}

/// A duration with its unit, e.g. `90s`, `40m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "give a number with its unit, e.g. 90s, 40m or 1h30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}
