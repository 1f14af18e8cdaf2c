//! Drawing on a terminal: one line a stage, redrawn while the run goes on; errors above it as they come; the result below
//! when it is over.

use std::io::{self, Write};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Reporter, error, result, screen,
    steps::step_text,
    theme::{Theme, pad},
    view::View,
    words::{goes_on, stamp},
};
use crate::engine::{Event, EventKind, WAITED_IN_VAIN};

/// The widest that lines get: longer ones are harder to read, not more useful.
const WIDEST: usize = 110;

/// How the terminal is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    /// Colour underlines what the words say.
    pub color: bool,
    /// Say every step, above the stages.
    pub verbose: bool,
    /// Draw nothing while the run goes on.
    pub quiet: bool,
    /// List every check in the result.
    pub show_checks: bool,
}

/// Draws on standard error, and puts the result on standard output.
pub struct Terminal {
    drawing: Drawing,
    view: View,
    term: Term,
    canvas: MultiProgress,
    lines: Vec<ProgressBar>,
    style: ProgressStyle,
}

impl Terminal {
    /// On the process's own terminal.
    #[must_use]
    pub fn new(drawing: Drawing) -> Self {
        let target = if drawing.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        Self {
            drawing,
            view: View::default(),
            term: Term::stderr(),
            canvas: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
            // A template of one field cannot be malformed; if it were, the default one would still show the stages.
            style: ProgressStyle::with_template("{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        }
    }

    fn theme(&self) -> Theme {
        let columns = self
            .term
            .size_checked()
            .map_or(80, |(_, columns)| usize::from(columns));
        Theme {
            // The last column stays free: some terminals wrap when it is written.
            width: columns.saturating_sub(1).clamp(39, WIDEST),
            color: self.drawing.color,
        }
    }

    fn draw(&mut self, now_ms: u64) {
        if self.drawing.quiet || self.view.finished.is_some() {
            return;
        }
        let lines = screen::lines(&self.view, now_ms, &self.theme());
        while self.lines.len() > lines.len() {
            if let Some(bar) = self.lines.pop() {
                bar.finish_and_clear();
                self.canvas.remove(&bar);
            }
        }
        while self.lines.len() < lines.len() {
            let bar = ProgressBar::new_spinner().with_style(self.style.clone());
            self.lines.push(self.canvas.add(bar));
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            // An empty message would make the line vanish.
            bar.set_message(if line.is_empty() {
                " ".to_owned()
            } else {
                line
            });
            bar.tick();
        }
    }

    /// Lines that stay, above the stages.
    fn above(&self, lines: &[String]) -> io::Result<()> {
        if self.drawing.quiet {
            let mut err = io::stderr().lock();
            for line in lines {
                writeln!(err, "{line}")?;
            }
            return err.flush();
        }
        self.canvas.println(lines.join("\n"))
    }

    fn clear(&mut self) -> io::Result<()> {
        for bar in self.lines.drain(..) {
            bar.finish_and_clear();
        }
        self.canvas.clear()
    }
}

impl Reporter for Terminal {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.view.take(event);
        let theme = self.theme();
        match &event.kind {
            // Its line on the screen says it, and the result.
            EventKind::StepFailed { error, .. } if error.code == WAITED_IN_VAIN => {}
            EventKind::StepFailed { step, error, .. }
            | EventKind::RemovalStuck { step, error, .. } => {
                let so_far = self.view.so_far(step);
                let mut lines = error::lines(error, Some(&so_far), &theme);
                // An empty line would be swallowed.
                lines.push(" ".to_owned());
                self.above(&lines)?;
            }
            EventKind::RunStarted {
                continues: Some(left),
                ..
            } if !self.drawing.quiet => self.above(&[goes_on(left)])?,
            EventKind::LeaseLost { error } | EventKind::JournalFailed { error } => {
                self.above(&error::lines(error, None, &theme))?;
            }
            EventKind::RunFinished { .. } => {
                self.clear()?;
                let mut out = io::stdout().lock();
                for line in result::lines(&self.view, self.drawing.show_checks, &theme) {
                    writeln!(out, "{line}")?;
                }
                return out.flush();
            }
            kind if self.drawing.verbose => {
                if let (Some(step), Some(text)) = (kind.step(), step_text(kind)) {
                    let stage = pad(step.stage(), screen::name_width(&self.view));
                    let at = stamp(event.elapsed_ms);
                    self.above(&[format!("{at} {stage} {}: {text}", step.name())])?;
                }
            }
            _ => {}
        }
        self.draw(event.elapsed_ms);
        Ok(())
    }

    fn tick(&mut self, now_ms: u64) {
        self.draw(now_ms);
    }
}
