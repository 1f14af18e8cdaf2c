//! The summary in Markdown: for a CI job's page, or a file.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
};

use pipectl_stages::{Fate, Verdict};

use super::{
    Reporter, error,
    result::{path, verified},
    screen::stage_words,
    theme::Theme,
    view::{StageStand, View},
    words::took,
};
use crate::engine::{Event, EventKind, RunOutcome};

/// Where the summary goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file that is written anew.
    File(PathBuf),
    /// A file that others write to as well: it is added at the end.
    Append(PathBuf),
}

/// Writes a summary when the run is over.
pub struct Summary {
    target: Target,
    view: View,
}

impl Summary {
    /// To this place.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            view: View::default(),
        }
    }
}

impl Reporter for Summary {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.view.take(event);
        if !matches!(event.kind, EventKind::RunFinished { .. }) {
            return Ok(());
        }
        let text = markdown(&self.view);
        match &self.target {
            Target::File(path) => std::fs::write(path, text),
            Target::Append(path) => {
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                file.write_all(text.as_bytes())
            }
        }
    }
}

/// The summary of a finished run.
#[must_use]
pub fn markdown(view: &View) -> String {
    let (Some(pipeline), Some(finished)) = (&view.pipeline, &view.finished) else {
        return String::new();
    };
    let outcome = match finished.outcome {
        RunOutcome::Succeeded => "✔ succeeded",
        RunOutcome::Failed => "✖ failed",
        RunOutcome::Cancelled => "✖ ended by a signal",
        RunOutcome::LeaseLost => "✖ stopped: the lease was lost",
        RunOutcome::JournalFailed => "✖ stopped: the journal cannot be written",
    };
    let mut text = format!(
        "## pipectl {} {}: {outcome} in {}\n\n{} · run `{}`\n\n",
        pipeline.verb.as_str(),
        cell(&pipeline.environment),
        took(finished.took_ms),
        cell(&pipeline.place),
        view.run
    );
    text.push_str("| stage | | | time |\n| --- | --- | --- | ---: |\n");
    for (index, stage) in view.plan.stages.iter().enumerate() {
        let stand = view.stage_stand(index);
        let mark = match stand {
            StageStand::Done => "✔",
            StageStand::Failed => "✖",
            StageStand::Pending | StageStand::Working | StageStand::Withheld => "·",
        };
        let (began, ended) = view.stage_times(index);
        let time = match (began, ended) {
            (Some(began), Some(ended)) => took(ended.saturating_sub(began)),
            _ => String::new(),
        };
        let words = match stand {
            StageStand::Pending => "not begun".to_owned(),
            StageStand::Working => "not finished".to_owned(),
            StageStand::Done | StageStand::Failed | StageStand::Withheld => {
                stage_words(view, index, stand)
            }
        };
        text.push_str(&format!(
            "| {} | {mark} | {} | {time} |\n",
            cell(&stage.name),
            cell(&words)
        ));
    }
    let path = path(finished);
    if !path.is_empty() {
        text.push_str(&format!("\nCritical path: {path}\n"));
    }
    text.push_str(&endpoints(view, finished.outcome));
    text.push_str(&checks(view));
    text.push_str(&absence(view));
    for failure in &view.failures {
        let so_far = view.so_far(&failure.step);
        let theme = Theme {
            width: 100,
            color: false,
        };
        let lines = error::lines(&failure.error, Some(&so_far), &theme);
        text.push_str(&fenced(&lines));
    }
    if let Some(fatal) = &view.fatal {
        text.push_str(&fenced(&error::lines(fatal, None, &Theme::plain())));
    }
    text
}

fn fenced(lines: &[String]) -> String {
    // A fence longer than any run of backticks inside cannot be closed by what it holds.
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`'))
        .map(str::len)
        .max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    format!("\n{fence}\n{}\n{fence}\n", lines.join("\n"))
}

fn endpoints(view: &View, outcome: RunOutcome) -> String {
    let endpoints = view
        .pipeline
        .iter()
        .flat_map(|pipeline| &pipeline.endpoints);
    let lines = endpoints.map(|of| format!("| {} | `{}` |\n", cell(&of.label), code(&of.address)));
    let lines: String = lines.collect();
    if lines.is_empty() || outcome != RunOutcome::Succeeded {
        return String::new();
    }
    format!("\n| endpoint | |\n| --- | --- |\n{lines}")
}

fn checks(view: &View) -> String {
    if view.checks.is_empty() {
        return String::new();
    }
    let lines = view.checks.iter().map(|check| {
        let mark = match check.verdict {
            Verdict::Passed => "✔",
            Verdict::Failed => "✖",
            Verdict::NotCheckable => "not checkable here",
        };
        let (name, expected, seen) = (cell(&check.name), cell(&check.expected), cell(&check.seen));
        format!("| {name} | {mark} | {expected} | {seen} |\n")
    });
    let lines: String = lines.collect();
    let verified = verified(view, "");
    format!(
        "\n<details><summary>Verified: {verified}</summary>\n\n| check | | expected | seen |\n| --- | --- | --- | --- |\n{lines}\n</details>\n"
    )
}

fn absence(view: &View) -> String {
    let Some(report) = &view.absence else {
        return String::new();
    };
    let mut text = format!(
        "\nChecked {} things, {} gone.\n",
        report.checked, report.gone
    );
    for item in &report.remaining {
        let fate = match &item.fate {
            Fate::Scheduled { on } => format!("scheduled on {on}"),
            Fate::Kept { why } => format!("kept: {why}"),
            Fate::StillThere { held_by, .. } if held_by.is_empty() => "still there".to_owned(),
            Fate::StillThere { held_by, .. } => format!("still there ← {}", held_by.join(" ← ")),
            Fate::NotChecked { why } => format!("could not be checked: {why}"),
        };
        text.push_str(&format!("- {}: {}\n", cell(&item.resource), cell(&fate)));
    }
    text
}

/// Text within a code span of a table's cell: there a bar is the only thing that still has a meaning, besides the backtick.
fn code(text: &str) -> String {
    text.replace('`', "'").replace('|', "\\|")
}

/// Text that cannot break out of a table's cell, nor start markup of its own.
fn cell(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;");
    escaped.split_whitespace().collect::<Vec<_>>().join(" ")
}
