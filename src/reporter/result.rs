//! What a person reads when a run is over. Pure.

use pipectl_stages::{Fate, StepId, Verdict};

use super::{
    theme::{Theme, Tone, pad, wrap},
    view::{Finished, Stand, View},
    words::{counted, few, took},
};
use crate::engine::{PipelineInfo, RunOutcome, Verb, WAITED_IN_VAIN};

/// Columns of the labels.
const LABEL: usize = 15;

/// The result of a finished run; nothing while it goes on.
#[must_use]
pub fn lines(view: &View, show_checks: bool, theme: &Theme) -> Vec<String> {
    let (Some(pipeline), Some(finished)) = (&view.pipeline, &view.finished) else {
        return Vec::new();
    };
    let good = finished.outcome == RunOutcome::Succeeded;
    let head = headline(view, pipeline, finished);
    let head = theme.paint(if good { Tone::Strong } else { Tone::Bad }, &head);
    let mut lines = vec![theme.ends(&head, &took(finished.took_ms))];
    let hint = if show_checks { "" } else { ", --show-checks" };
    let body = match (pipeline.verb, good) {
        (Verb::Down, _) => down_body(view, finished, theme),
        (Verb::Up | Verb::Verify, true) => up_body(view, pipeline, finished, hint, theme),
        (Verb::Up | Verb::Verify, false) => unfinished_body(view, pipeline, finished, hint, theme),
    };
    if !body.is_empty() {
        lines.push(String::new());
        lines.extend(body);
    }
    if show_checks && !view.checks.is_empty() {
        lines.push(String::new());
        lines.extend(check_lines(view, theme));
    }
    lines
}

fn headline(view: &View, pipeline: &PipelineInfo, finished: &Finished) -> String {
    let name = &pipeline.environment;
    let totals = finished.totals;
    match finished.outcome {
        RunOutcome::Succeeded => {
            let (passed, _, _) = view.check_counts();
            match pipeline.verb {
                Verb::Down => format!("{name} is gone"),
                Verb::Verify => format!("{name} is verified"),
                Verb::Up => {
                    let verified = if passed > 0 { " and verified" } else { "" };
                    let unchanged = if totals.changed == 0 {
                        "; nothing had to change"
                    } else {
                        ""
                    };
                    format!("{name} is up{verified}{unchanged}")
                }
            }
        }
        RunOutcome::Failed => {
            let state = match pipeline.verb {
                Verb::Up => "is not up",
                Verb::Down => "is not gone",
                Verb::Verify => "is not verified",
            };
            let mut parts = Vec::new();
            if totals.failed > 0 {
                parts.push(format!(
                    "{} failed",
                    counted(totals.failed as usize, "step")
                ));
            }
            if totals.withheld > 0 {
                parts.push(format!("{} not begun because of it", totals.withheld));
            }
            let (_, failed_checks, _) = view.check_counts();
            if failed_checks > 0 {
                parts.push(format!("{} failed", counted(failed_checks, "check")));
            }
            let (left, unchecked) = (still_there(view), not_checked(view));
            if left > 0 {
                parts.push(format!("{} left", counted(left, "thing")));
            }
            if unchecked > 0 {
                parts.push(format!("{} not checked", counted(unchecked, "thing")));
            }
            let why = parts.join(", ");
            format!(
                "{name} {state}{}{why}",
                if why.is_empty() { "" } else { ": " }
            )
        }
        RunOutcome::Cancelled => {
            format!("{name}: {} was ended by a signal", pipeline.verb.as_str())
        }
        RunOutcome::LeaseLost => {
            format!("{name}: stopped, because the environment's lease was lost")
        }
        RunOutcome::JournalFailed => {
            format!("{name}: stopped, because the journal cannot be written")
        }
    }
}

/// A labelled paragraph; nothing when there is no text.
fn entry(label: &str, text: &str, theme: &Theme) -> Vec<String> {
    let room = theme.width.saturating_sub(2 + LABEL).max(20);
    let lines = wrap(text, room).into_iter().enumerate();
    lines
        .map(|(index, line)| {
            let label = pad(if index == 0 { label } else { "" }, LABEL);
            format!("  {}{line}", theme.paint(Tone::Faint, &label))
        })
        .collect()
}

fn up_body(
    view: &View,
    pipeline: &PipelineInfo,
    finished: &Finished,
    hint: &str,
    theme: &Theme,
) -> Vec<String> {
    let mut lines = Vec::new();
    for endpoint in &pipeline.endpoints {
        lines.extend(entry(&endpoint.label, &endpoint.address, theme));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(entry("verified", &verified(view, hint), theme));
    lines.extend(entry("critical path", &path(finished), theme));
    lines.extend(entry("next", &pipeline.next.join(" · "), theme));
    lines
}

/// `12 of 12 checks (2 not checkable here, --show-checks)`; `hint` is left out where the checks are shown anyway.
#[must_use]
pub fn verified(view: &View, hint: &str) -> String {
    let (passed, failed, not_checkable) = view.check_counts();
    if passed + failed + not_checkable == 0 {
        return String::new();
    }
    let apart = if not_checkable > 0 {
        format!(" ({not_checkable} not checkable here{hint})")
    } else {
        String::new()
    };
    format!("{passed} of {} checks{apart}", passed + failed)
}

/// The critical path by stage, with what each cost. Stages that cost next to nothing are left out.
#[must_use]
pub fn path(finished: &Finished) -> String {
    // Of a run that took no time nothing can be learnt about where it went.
    if finished.took_ms < 5000 {
        return String::new();
    }
    let mut stages: Vec<(String, u64)> = Vec::new();
    for part in &finished.critical_path {
        match stages.last_mut() {
            Some((stage, took)) if stage == part.step.stage() => *took += part.took_ms,
            _ => stages.push((part.step.stage().to_owned(), part.took_ms)),
        }
    }
    let worth = stages.iter().filter(|(_, ms)| *ms >= 1000);
    let shown: Vec<String> = worth
        .map(|(stage, ms)| format!("{stage} {}", took(*ms)))
        .collect();
    shown.join(" → ")
}

fn unfinished_body(
    view: &View,
    pipeline: &PipelineInfo,
    finished: &Finished,
    hint: &str,
    theme: &Theme,
) -> Vec<String> {
    let verb = pipeline.verb.as_str();
    let mut lines = Vec::new();
    let (in_vain, failures): (Vec<_>, Vec<_>) = view
        .failures
        .iter()
        .partition(|failure| failure.error.code == WAITED_IN_VAIN);
    for failure in failures {
        let what = format!("{} ({})", failure.step, failure.error.code);
        lines.extend(entry("failed", &what, theme));
    }
    let in_vain: Vec<String> = in_vain
        .iter()
        .map(|failure| failure.step.to_string())
        .collect();
    lines.extend(entry("not ready", &few(&in_vain, 5), theme));
    let withheld: Vec<String> = view
        .steps
        .iter()
        .filter(|step| matches!(step.stand, Stand::Withheld(_)))
        .map(|step| step.id.to_string())
        .collect();
    lines.extend(entry("not begun", &few(&withheld, 5), theme));
    lines.extend(entry("verified", &verified(view, hint), theme));
    let done = view
        .steps
        .iter()
        .filter(|step| step.stand == Stand::Ready)
        .count();
    let kept = format!("{done} of {} steps", view.steps.len());
    let kept_label = if pipeline.verb == Verb::Down {
        "steps gone"
    } else {
        "done and kept"
    };
    lines.extend(entry(kept_label, &kept, theme));
    let in_flight: Vec<String> = finished.in_flight.iter().map(StepId::to_string).collect();
    lines.extend(entry("in flight", &few(&in_flight, 5), theme));
    let next = match finished.outcome {
        RunOutcome::LeaseLost => format!(
            "pipectl status {} shows who holds the environment",
            pipeline.environment
        ),
        _ => {
            let again = pipeline.again.clone();
            let command = again.unwrap_or_else(|| format!("pipectl {verb}"));
            format!("{command} goes on from here")
        }
    };
    lines.extend(entry("next", &next, theme));
    lines
}

fn still_there(view: &View) -> usize {
    left(view, |fate| matches!(fate, Fate::StillThere { .. }))
}

fn not_checked(view: &View) -> usize {
    left(view, |fate| matches!(fate, Fate::NotChecked { .. }))
}

/// How many things of the last inventory have such a fate.
fn left(view: &View, which: impl Fn(&Fate) -> bool) -> usize {
    let items = view.absence.iter().flat_map(|report| &report.remaining);
    items.filter(|item| which(&item.fate)).count()
}

fn down_body(view: &View, finished: &Finished, theme: &Theme) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(report) = &view.absence {
        let over = if report.over.is_empty() {
            String::new()
        } else {
            format!(" over {}", report.over.join(", "))
        };
        let things = counted(report.checked as usize, "thing");
        lines.extend(entry("checked", &format!("{things}{over}"), theme));
        lines.extend(entry("gone", &report.gone.to_string(), theme));
        let left = match (still_there(view), not_checked(view)) {
            (left, 0) => left.to_string(),
            (0, _) => "not known".to_owned(),
            (left, _) => format!("{left} or more"),
        };
        lines.extend(entry("left", &left, theme));
        for item in &report.remaining {
            let (label, text, next) = match &item.fate {
                Fate::Scheduled { on } => ("scheduled", format!("{} on {on}", item.resource), None),
                Fate::Kept { why } => ("kept", format!("{}: {why}", item.resource), None),
                Fate::NotChecked { why } => {
                    ("not checked", format!("{}: {why}", item.resource), None)
                }
                Fate::StillThere { held_by, safe_next } => {
                    let mut chain = vec![item.resource.clone()];
                    chain.extend(held_by.iter().cloned());
                    ("still there", chain.join(" ← "), safe_next.as_ref())
                }
            };
            lines.extend(entry(label, &text, theme));
            if let Some(next) = next {
                lines.extend(entry("", &format!("safe next: {next}"), theme));
            }
        }
    }
    if finished.outcome == RunOutcome::Succeeded {
        lines.extend(entry("critical path", &path(finished), theme));
    } else if let Some(pipeline) = &view.pipeline {
        lines.extend(unfinished_body(view, pipeline, finished, "", theme));
    }
    lines
}

/// Every check: expected, seen, and the command to see it.
#[must_use]
pub fn check_lines(view: &View, theme: &Theme) -> Vec<String> {
    let mut lines = Vec::new();
    for check in &view.checks {
        let (mark, tone) = match check.verdict {
            Verdict::Passed => ("✔", Tone::Good),
            Verdict::Failed => ("✖", Tone::Bad),
            Verdict::NotCheckable => ("–", Tone::Faint),
        };
        let apart = if check.verdict == Verdict::NotCheckable {
            "  not checkable here"
        } else {
            ""
        };
        lines.push(theme.ends(
            &format!("  {} {}{apart}", theme.paint(tone, mark), check.name),
            "",
        ));
        let mut detail = |label: &str, text: &str| {
            if !text.is_empty() {
                let label = theme.paint(Tone::Faint, &pad(label, 10));
                lines.push(format!("      {label}{text}"));
            }
        };
        detail("expected", &check.expected);
        detail("seen", &check.seen);
        detail("command", check.command.as_deref().unwrap_or_default());
    }
    lines
}
