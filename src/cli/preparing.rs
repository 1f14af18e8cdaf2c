//! What a person sees while the sandbox is prepared and started: one line a program at first use, nothing when it runs.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipectl_sandbox::{InstallEvent, InstallPhase, Program, StartEvent};

use super::output::Output;
use crate::engine::span;

/// Draws the progress of an installation and a start.
pub struct Preparing {
    output: Output,
    bar: Option<ProgressBar>,
    began: Instant,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    heading: bool,
    built: u32,
    waiting: bool,
}

impl Preparing {
    /// Ready to draw on standard error; on a terminal with a moving last line.
    #[must_use]
    pub fn new(output: Output) -> Self {
        let terminal = std::io::stderr().is_terminal() && !output.quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed:>6}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_spinner())
                    .tick_chars("◐◓◑◒✔"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            output,
            bar,
            began: Instant::now(),
            said: Mutex::default(),
        }
    }

    /// How long it has been at it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether a program was built, which happens at first use only.
    #[must_use]
    pub fn built(&self) -> u32 {
        self.said.lock().map_or(0, |said| said.built)
    }

    /// Takes one event of an installation.
    pub fn install(&self, event: &InstallEvent) {
        let Ok(mut said) = self.said.lock() else {
            return;
        };
        let heading = |said: &mut Said| {
            if !said.heading {
                said.heading = true;
                self.say("preparing the sandbox: building Kubernetes, etcd, KWOK and Helm from source, once");
            }
        };
        match (event.phase, event.tool) {
            (InstallPhase::Building, Some(tool)) => {
                heading(&mut said);
                let usual = span(usual_build_time(tool));
                self.now(format!(
                    "{:<24} building, about {usual} on 2 cores",
                    title(tool)
                ));
                if self.bar.is_none() {
                    self.say(format!(
                        "  · {:<24} building, about {usual} on 2 cores",
                        title(tool)
                    ));
                }
            }
            (InstallPhase::Built, Some(tool)) => {
                heading(&mut said);
                said.built += 1;
                self.say(format!(
                    "  ✔ {:<24} {:>8}",
                    title(tool),
                    span(event.elapsed)
                ));
            }
            (InstallPhase::WaitingForAnother, _) if !said.waiting => {
                said.waiting = true;
                self.now("another process is building it; waiting".to_owned());
                if self.bar.is_none() {
                    self.say("another process is building the sandbox's programs; waiting for it");
                }
            }
            _ => {}
        }
    }

    /// Takes one event of a start.
    pub fn start(&self, event: &StartEvent) {
        match event {
            StartEvent::Install(event) => self.install(event),
            StartEvent::WaitingForAnother => {
                self.now("another process is starting it; waiting".to_owned())
            }
            StartEvent::Step(step) => self.now(format!("starting the sandbox: {step}")),
        }
    }

    /// Ends the drawing; nothing of the moving line stays.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn now(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    fn say(&self, text: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        self.finish();
    }
}

fn title(program: Program) -> String {
    format!("{} {}", program.file_name(), program.version())
}

/// How long a program takes to build on 2 cores with an empty cache, for the "about".
fn usual_build_time(program: Program) -> Duration {
    Duration::from_secs(match program {
        Program::KubeApiserver => 180,
        Program::KubeControllerManager | Program::Etcd => 45,
        Program::Helm | Program::Kwok => 60,
        Program::KubeScheduler => 10,
    })
}
