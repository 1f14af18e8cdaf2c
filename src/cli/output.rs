//! Printing: the one place where commands write to standard output and standard error.
#![expect(clippy::print_stderr, reason = "this is where the command line prints")]

use std::io::{IsTerminal, Write};

use pipectl_stages::StepError;
use serde::Serialize;

use super::args::{ColorWhen, DataFormat, Global};
use crate::{engine::event::EVENT_VERSION, failure::Failure};

/// How programs read a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// One JSON object a line.
    Line,
    /// One document.
    Document(DataFormat),
}

/// A command that ended before there was anything else to print.
#[derive(Debug, Serialize)]
struct FailureData {
    version: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The exit code.
    exit: u8,
    error: StepError,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further: Vec<StepError>,
}

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Colour on standard output.
    pub color_out: bool,
    /// Colour on standard error.
    pub color_err: bool,
    /// Say only errors and results.
    pub quiet: bool,
}

impl Output {
    /// What the options and the surroundings ask for.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let wants = |terminal: bool| match global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                let set =
                    |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (terminal && !dumb))
            }
        };
        Self {
            color_out: wants(std::io::stdout().is_terminal()),
            color_err: wants(std::io::stderr().is_terminal()),
            quiet: global.quiet,
        }
    }

    /// A line of the command's result.
    pub fn line(self, text: impl AsRef<str>) {
        // A reader that went away (`| head`) is no error of ours.
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    /// A line of the command's result that may be cut where a terminal ends.
    pub fn line_cut(self, text: &str) {
        let terminal = console::Term::stdout();
        if terminal.is_term() {
            let (_, columns) = terminal.size();
            self.line(crate::reporter::theme::cut(text, columns.into()));
        } else {
            self.line(text);
        }
    }

    /// Text of the command's result, as it is.
    pub fn text(self, text: impl AsRef<str>) {
        let _ = write!(std::io::stdout(), "{}", text.as_ref());
    }

    /// A remark beside the result.
    pub fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
        }
    }

    /// An error or warning; said even when quiet.
    pub fn complain(self, text: impl AsRef<str>) {
        let _ = write!(std::io::stderr(), "{}", text.as_ref());
    }

    /// Data, as JSON or YAML.
    ///
    /// # Panics
    /// Never: the types given here serialise.
    pub fn data<T: Serialize>(self, format: DataFormat, value: &T) {
        match format {
            DataFormat::Yaml => self.text(serde_norway::to_string(value).unwrap_or_default()),
            DataFormat::Json | DataFormat::Text => {
                self.line(serde_json::to_string_pretty(value).unwrap_or_default());
            }
        }
    }

    /// Why a command ended early.
    pub fn failure(self, failure: &Failure) {
        match failure {
            Failure::Input(diagnostics) => self.complain(diagnostics.render(self.color_err)),
            Failure::Problem(problem) => {
                self.complain(crate::reporter::error::render(
                    &problem.error,
                    None,
                    self.color_err,
                ));
            }
            Failure::Said(_) => {}
        }
    }

    /// The same for programs, on standard output: an object where they read events or data, and find an error else only by the
    /// exit code. Its `error` has the form of those inside events; where there are several, `further` has the rest.
    pub fn failure_as_data(self, failure: &Failure, form: Data) {
        let mut errors = failure.errors().into_iter();
        let Some(error) = errors.next() else {
            return;
        };
        let said = FailureData {
            version: EVENT_VERSION,
            kind: "error",
            exit: failure.exit().number(),
            error,
            further: errors.collect(),
        };
        match form {
            Data::Line => self.line(serde_json::to_string(&said).unwrap_or_default()),
            Data::Document(format) => self.data(format, &said),
        }
    }

    /// Asks for a word on the terminal; `None` when there is none to ask on.
    #[must_use]
    pub fn ask(self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        eprint!("{question}");
        let _ = std::io::stderr().flush();
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }
}
