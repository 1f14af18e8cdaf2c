//! Lines without a terminal: one for each event that matters, nothing repeated, each with the time since the start.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Reporter, error, result,
    screen::{name_width, stage_words},
    steps::step_text,
    theme::{Theme, pad},
    view::{StageStand, Stand, View},
    words::{counted, goes_on, stamp, took},
};
use crate::engine::{Event, EventKind, Verb, WAITED_IN_VAIN, event::Urgency};

/// How long a stage must have been silent before its waiting is told, in milliseconds. A log that stands still for
/// minutes looks dead; one that tells every poll hides what matters.
const SILENCE_MS: u64 = 30_000;

/// After how long the same words are told again, in milliseconds: CI systems end a job that says nothing for ten minutes,
/// and a control plane takes nine.
const REPEAT_MS: u64 = 180_000;

/// Writes plain lines.
pub struct Plain<W> {
    out: W,
    view: View,
    /// Say every step.
    verbose: bool,
    /// Say errors and the result only.
    quiet: bool,
    show_checks: bool,
    theme: Theme,
    stands: Vec<StageStand>,
    /// When a stage last said something, and its last words.
    said: BTreeMap<usize, (u64, String)>,
    /// When anything was written last.
    written_ms: u64,
    /// How many steps were withheld and not told yet, and when.
    withheld: (usize, u64),
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W, verbose: bool, quiet: bool, show_checks: bool) -> Self {
        Self {
            out,
            view: View::default(),
            verbose,
            quiet,
            show_checks,
            // No terminal, no width: whoever reads a log wraps it as they like.
            theme: Theme {
                width: 100,
                color: false,
            },
            stands: Vec::new(),
            said: BTreeMap::new(),
            written_ms: 0,
            withheld: (0, 0),
        }
    }

    fn line(&mut self, at_ms: u64, name: &str, text: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        self.written_ms = at_ms;
        let name = pad(name, name_width(&self.view));
        writeln!(self.out, "{} {name} {text}", stamp(at_ms))?;
        self.out.flush()
    }

    fn block(&mut self, lines: &[String]) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.out.flush()
    }

    fn step_line(&mut self, event: &Event) -> io::Result<()> {
        let (Some(step), Some(text)) = (event.kind.step(), step_text(&event.kind)) else {
            return Ok(());
        };
        let text = format!("{}: {text}", step.name());
        self.line(event.elapsed_ms, step.stage(), &text)
    }

    /// Stages that changed their standing with this event.
    fn stage_lines(&mut self, at_ms: u64) -> io::Result<()> {
        for stage in 0..self.view.plan.stages.len() {
            let stand = self.view.stage_stand(stage);
            if self.stands.get(stage) == Some(&stand) {
                continue;
            }
            if let Some(known) = self.stands.get_mut(stage) {
                *known = stand;
            }
            let name = self.view.plan.stages[stage].name.clone();
            let (began, ended) = self.view.stage_times(stage);
            if stand == StageStand::Done {
                let words = stage_words(&self.view, stage, stand);
                let time = took(
                    ended
                        .unwrap_or(at_ms)
                        .saturating_sub(began.unwrap_or(at_ms)),
                );
                let verb = self.view.pipeline.as_ref().map(|pipeline| pipeline.verb);
                let done = match verb {
                    // The words say it already.
                    _ if self.view.stage_unchanged(stage) => "",
                    Some(Verb::Down) if !self.view.members(stage).any(|step| step.found) => {
                        "gone: "
                    }
                    _ => "done: ",
                };
                self.line(at_ms, &name, &format!("{done}{words} ({time})"))?;
            }
        }
        Ok(())
    }

    /// What the stage of a waiting step waits for, if it was silent for long enough.
    fn waiting_line(&mut self, event: &Event) -> io::Result<()> {
        let Some(step) = event.kind.step() else {
            return Ok(());
        };
        let stages = &self.view.plan.stages;
        let Some(stage) = stages.iter().position(|stage| stage.name == step.stage()) else {
            return Ok(());
        };
        self.tell_waiting(stage, event.elapsed_ms)
    }

    /// What a stage waits for, if it was silent for long enough, and says something new or said it long ago.
    fn tell_waiting(&mut self, stage: usize, now_ms: u64) -> io::Result<()> {
        let began = self.view.stage_times(stage).0.unwrap_or(now_ms);
        let words = stage_words(&self.view, stage, StageStand::Working);
        let said = self.said.get(&stage).cloned();
        let (last, known) = said.unwrap_or((began, String::new()));
        let silent = now_ms.saturating_sub(last);
        if silent < SILENCE_MS || (words == known && silent < REPEAT_MS) {
            return Ok(());
        }
        self.said.insert(stage, (now_ms, words.clone()));
        let name = self.view.plan.stages[stage].name.clone();
        self.line(now_ms, &name, &format!("waits: {words}"))
    }

    /// What the stages at work wait for, when nothing was said for a while: a step says its words once, and they may stay true
    /// for minutes.
    fn break_silence(&mut self, now_ms: u64) -> io::Result<()> {
        if now_ms.saturating_sub(self.written_ms) < SILENCE_MS {
            return Ok(());
        }
        for stage in 0..self.stands.len() {
            let at_work = self
                .view
                .members(stage)
                .any(|step| matches!(step.stand, Stand::Acting(_) | Stand::Waiting(_)));
            if at_work {
                self.tell_waiting(stage, now_ms)?;
            }
        }
        Ok(())
    }

    /// What was not begun because of a failure, in one line behind it.
    fn withheld_line(&mut self) -> io::Result<()> {
        let (withheld, at_ms) = std::mem::take(&mut self.withheld);
        if withheld == 0 || self.verbose {
            return Ok(());
        }
        let text = format!("{} not begun because of it", counted(withheld, "step"));
        self.line(at_ms, "", &text)
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.view.take(event);
        let at = event.elapsed_ms;
        if !matches!(event.kind, EventKind::StepWithheld { .. }) {
            self.withheld_line()?;
        }
        match &event.kind {
            EventKind::RunStarted {
                pipeline,
                continues,
                ..
            } => {
                self.stands = vec![StageStand::Pending; self.view.plan.stages.len()];
                let text = format!(
                    "{} {} run {}",
                    pipeline.environment, pipeline.place, event.run
                );
                self.line(at, pipeline.verb.as_str(), &text)?;
                if let Some(left) = continues {
                    self.line(at, "", &goes_on(left))?;
                }
            }
            EventKind::StepFailed { step, error, .. } if error.code == WAITED_IN_VAIN => {
                let text = format!("{}: {}", step.name(), error.cause);
                self.line(at, step.stage(), &text)?;
            }
            EventKind::StepFailed { step, error, .. }
            | EventKind::RemovalStuck { step, error, .. } => {
                let text = format!("{} failed: {}", step.name(), error.code);
                self.line(at, step.stage(), &text)?;
                let so_far = self.view.so_far(step);
                let lines = error::lines(error, Some(&so_far), &self.theme);
                self.block(&lines)?;
            }
            EventKind::StepWithheld { .. } => self.withheld = (self.withheld.0 + 1, at),
            EventKind::StepWaits { .. } | EventKind::StepProgress { .. } if !self.verbose => {
                self.waiting_line(event)?;
            }
            EventKind::Cancelling { urgency, running } => {
                let text = match urgency {
                    Urgency::Soon => format!(
                        "a signal came: nothing new is begun, {} may end",
                        counted(running.len(), "step")
                    ),
                    Urgency::Now => "a second signal came: ending at once".to_owned(),
                };
                self.line(at, "", &text)?;
            }
            EventKind::LeaseLost { error } | EventKind::JournalFailed { error } => {
                let lines = error::lines(error, None, &self.theme);
                self.block(&lines)?;
            }
            EventKind::RunFinished { .. } => {
                let lines = result::lines(&self.view, self.show_checks, &self.theme);
                if !self.quiet {
                    self.block(&[String::new()])?;
                }
                self.block(&lines)?;
            }
            _ => {}
        }
        if self.verbose {
            self.step_line(event)?;
        }
        self.stage_lines(at)
    }

    fn tick(&mut self, now_ms: u64) {
        // Where nothing can be written any more, the next event finds out.
        let _ = self.break_silence(now_ms);
    }
}
