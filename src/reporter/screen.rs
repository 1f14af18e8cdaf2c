//! The screen while a run goes on: one line a stage, what it waits for in words, how long still. Pure.

use pipectl_stages::Milestone;

use super::{
    estimate::estimate,
    theme::{Theme, Tone, cut, pad, wrap},
    view::{StageStand, Stand, StepView, View},
    words::{about, counted, together, took},
};

/// Columns of a progress bar.
const BAR: usize = 11;

/// The screen at `now_ms` of the run.
#[must_use]
pub fn lines(view: &View, now_ms: u64, theme: &Theme) -> Vec<String> {
    let Some(pipeline) = &view.pipeline else {
        return Vec::new();
    };
    let estimate = estimate(view, now_ms);
    let head = format!(
        "pipectl {}  {}  {}",
        pipeline.verb.as_str(),
        theme.paint(Tone::Strong, &pipeline.environment),
        pipeline.place
    );
    let time = if view.cancelling.is_some() {
        format!("{} · ending", took(now_ms))
    } else {
        of_about(now_ms, 0, estimate.total_ms)
    };
    let mut lines = vec![theme.ends(&head, &time), String::new()];
    let name_width = name_width(view);
    for stage in 0..view.plan.stages.len() {
        lines.extend(stage_lines(view, stage, now_ms, name_width, theme));
    }
    if estimate.path.len() > 1 && view.cancelling.is_none() {
        lines.push(String::new());
        let path = format!("  critical path  {}", estimate.path.join(" → "));
        lines.push(theme.paint(Tone::Faint, &cut(&path, theme.width)));
    }
    lines
}

/// Columns for the stages' names.
#[must_use]
pub fn name_width(view: &View) -> usize {
    let names = view
        .plan
        .stages
        .iter()
        .map(|stage| console::measure_text_width(&stage.name));
    names.max().unwrap_or(0).clamp(8, 16)
}

fn stage_lines(
    view: &View,
    stage: usize,
    now_ms: u64,
    name_width: usize,
    theme: &Theme,
) -> Vec<String> {
    let plan = &view.plan.stages[stage];
    let (began, ended) = view.stage_times(stage);
    let stand = view.stage_stand(stage);
    let (mark, tone) = match stand {
        StageStand::Done => ("✔", Tone::Good),
        StageStand::Working => ("◐", Tone::Busy),
        StageStand::Failed => ("✖", Tone::Bad),
        StageStand::Pending | StageStand::Withheld => ("·", Tone::Faint),
    };
    let spent = |until: u64| until.saturating_sub(began.unwrap_or(until));
    let time = match (began, stand) {
        (None, _) => String::new(),
        (Some(_), StageStand::Working) => of_about(spent(now_ms), 5000, plan.expected_ms),
        (Some(_), _) => took(spent(ended.unwrap_or(now_ms))),
    };
    let words = stage_words(view, stage, stand);
    let name = pad(&cut(&plan.name, name_width), name_width);
    let start = format!("  {} {name}  ", theme.paint(tone, mark));
    let indent = 6 + name_width;
    let room = theme
        .width
        .saturating_sub(indent + console::measure_text_width(&time) + 2);
    // A stage that is waited for may take a second line; everything else fits or is cut.
    let wrapped = wrap(&words, room.max(10));
    if stand == StageStand::Working && wrapped.len() > 1 {
        let faint = theme.paint(Tone::Faint, &wrapped[1..].join(" "));
        let second = format!("{}{faint}", " ".repeat(indent));
        return vec![format!("{start}{}", wrapped[0]), theme.ends(&second, &time)];
    }
    let bar = (stand == StageStand::Working && plan.expected_ms >= 30_000)
        .then(|| bar(spent(now_ms), plan.expected_ms))
        .filter(|_| console::measure_text_width(&words) + BAR + 2 <= room);
    let right = bar.map_or_else(
        || time.clone(),
        |bar| format!("{}  {time}", theme.paint(Tone::Busy, &bar)),
    );
    let words = match stand {
        StageStand::Pending | StageStand::Withheld => theme.paint(Tone::Faint, &words),
        StageStand::Done | StageStand::Working | StageStand::Failed => words,
    };
    vec![theme.ends(&format!("{start}{words}"), &right)]
}

/// What a person reads beside a stage's name.
#[must_use]
pub fn stage_words(view: &View, stage: usize, stand: StageStand) -> String {
    match stand {
        StageStand::Done => done_words(view, stage),
        StageStand::Working => working_words(view, stage),
        StageStand::Failed => failed_words(view, stage),
        StageStand::Pending => pending_words(view, stage),
        StageStand::Withheld => withheld_words(view, stage),
    }
}

/// What came of a stage: what changed, or else what is there.
fn done_words(view: &View, stage: usize) -> String {
    let summaries = |only_changed: bool| {
        let told = view.members(stage);
        let told = told.filter(|step| step.changed || !only_changed);
        together(told.map(|step| step.summary.as_str()))
    };
    let mut words = summaries(true);
    if words.is_empty() {
        words = summaries(false);
    }
    match (view.stage_unchanged(stage), words.is_empty()) {
        (true, true) => "unchanged".to_owned(),
        (true, false) => format!("unchanged: {words}"),
        (false, true) => "done".to_owned(),
        (false, false) => words,
    }
}

/// What a stage waits for: the words of the step that began first and has words, and how many others go on.
fn working_words(view: &View, stage: usize) -> String {
    let going: Vec<&StepView> = view
        .members(stage)
        .filter(|step| matches!(step.stand, Stand::Acting(_) | Stand::Waiting(_)))
        .collect();
    let with_words = going.iter().filter(|step| step.words.is_some());
    let Some(step) = with_words
        .min_by_key(|step| step.started_ms)
        .or(going.first())
    else {
        return pending_words(view, stage);
    };
    let words = match (&step.words, &step.stand) {
        (Some(words), _) => words.clone(),
        (None, Stand::Waiting(_)) => format!("{}: waits until it is ready", step.title),
        (None, _) => step.title.clone(),
    };
    match going.len() - 1 {
        0 => words,
        more => format!("{words} (+{more})"),
    }
}

fn failed_words(view: &View, stage: usize) -> String {
    let failed: Vec<&StepView> = view
        .members(stage)
        .filter(|step| step.stand == Stand::Failed)
        .collect();
    let Some(first) = failed.first() else {
        return String::new();
    };
    let code = view
        .failures
        .iter()
        .find(|failure| failure.step == first.id);
    let code = code.map_or("", |failure| failure.error.code.as_str());
    let going = view
        .members(stage)
        .any(|step| matches!(step.stand, Stand::Acting(_) | Stand::Waiting(_)));
    let rest = if going {
        format!(" · {}", working_words(view, stage))
    } else {
        String::new()
    };
    let others = failed.len() - 1;
    let more = if others > 0 {
        format!(" (+{others})")
    } else {
        String::new()
    };
    format!("{code} {}{more}{rest}", first.title)
}

/// Which stages the stage still waits for. A need that is met by `applied` says so, when it is the only one.
fn pending_words(view: &View, stage: usize) -> String {
    let name = &view.plan.stages[stage].name;
    let mut early_only = true;
    let mut stages: Vec<&str> = Vec::new();
    for step in &view.plan.steps {
        if step.id.stage() != name
            || view
                .step(&step.id)
                .is_none_or(|own| own.stand != Stand::Pending)
        {
            continue;
        }
        for need in &step.needs {
            let met = view
                .step(&need.step)
                .is_none_or(|needed| match needed.stand {
                    Stand::Ready => true,
                    Stand::Waiting(_) => need.milestone == Milestone::Applied,
                    _ => false,
                });
            let other = need.step.stage();
            if !met && other != name {
                early_only &= need.milestone == Milestone::Applied;
                if !stages.contains(&other) {
                    stages.push(other);
                }
            }
        }
    }
    // In the order of the plan, whatever the order of the needs.
    let order = |of: &str| view.plan.stages.iter().position(|stage| stage.name == of);
    stages.sort_by_key(|stage| order(stage));
    let others = view.plan.stages.len().saturating_sub(1);
    match stages.as_slice() {
        [] => "waits for its turn".to_owned(),
        all if all.len() > 3 && all.len() + 1 >= others => "waits for everything".to_owned(),
        [one] if early_only => format!("waits for {one} to be applied"),
        some if some.len() <= 3 => format!("waits for {}", some.join(", ")),
        many => format!(
            "waits for {} and {}",
            many[..2].join(", "),
            counted(many.len() - 2, "more stage")
        ),
    }
}

fn withheld_words(view: &View, stage: usize) -> String {
    let because = view.members(stage).find_map(|step| match &step.stand {
        Stand::Withheld(because) => Some(because),
        _ => None,
    });
    because.map_or_else(String::new, |because| {
        format!("not begun: {because} failed")
    })
}

/// `1m 31s of ~2m 40s`; only the first once there is nothing sensible to expect, or it was too little.
fn of_about(spent_ms: u64, worth_ms: u64, expected_ms: u64) -> String {
    if expected_ms <= spent_ms || expected_ms < worth_ms.max(1) {
        return took(spent_ms);
    }
    format!("{} of {}", took(spent_ms), about(expected_ms))
}

/// How much of the expected time is over; never quite full.
fn bar(spent_ms: u64, expected_ms: u64) -> String {
    let cells = u64::try_from(BAR).unwrap_or(11);
    let full = (spent_ms.saturating_mul(cells) / expected_ms.max(1)).min(cells - 1);
    let full = usize::try_from(full).unwrap_or(0);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}
