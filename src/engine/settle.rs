//! What follows when a step's job ends: records, events, who may begin now, what is withheld.

use pipectl_stages::{Change, Milestone, Need, Outcome, StepError};
use pipectl_state::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    books,
    dispatcher::{Dispatcher, Work},
    event::{EventKind, Phase, Verb},
    executor::{Acted, Broken},
    words,
};

impl Dispatcher {
    pub(super) fn acted(&mut self, node: usize, end: Result<Acted, Broken>) {
        match end {
            Ok(Acted::Passed) => self.passed(node),
            Ok(Acted::Ensured(outcome)) => self.ensured(node, outcome),
            Ok(Acted::Asked(asked)) => {
                self.runs[node].asked = asked;
                self.runs[node].changed = asked > 0;
                let step = self.graph.nodes()[node].id.clone();
                self.batch
                    .events
                    .push(EventKind::RemovalStarted { step, asked });
                self.applied(node);
            }
            Err(broken) => self.broken(node, broken),
        }
    }

    pub(super) fn waited(&mut self, node: usize, end: Result<String, Broken>) {
        match end {
            Ok(summary) => self.ready(node, summary),
            Err(broken) => self.broken(node, broken),
        }
    }

    /// Found as it should be, nothing was called.
    fn passed(&mut self, node: usize) {
        self.runs[node].quiet = true;
        if !self.runs[node].settled {
            self.speak_up(node);
        }
        let step = self.graph.nodes()[node].id.clone();
        self.batch.events.push(EventKind::StepUnchanged { step });
        self.applied(node);
    }

    /// Records that a step was found as it should be, where that was not worth a record until now.
    fn speak_up(&mut self, node: usize) {
        if !std::mem::take(&mut self.runs[node].quiet) || self.verb != Verb::Up {
            return;
        }
        let id = &self.graph.nodes()[node].id;
        let outcome = Outcome {
            change: Change::Unchanged,
            outputs: self.recorded_output(node).cloned().unwrap_or(Value::Null),
            summary: String::new(),
        };
        let body = books::applied(id, &outcome, self.took_ms(node));
        self.batch.bodies.push(body);
    }

    fn ensured(&mut self, node: usize, outcome: Outcome) {
        let id = self.graph.nodes()[node].id.clone();
        let run = &self.runs[node];
        if books::needs_intent(outcome.change) && !run.intended && self.verb == Verb::Up {
            let error = words::unannounced(&id, &self.graph.nodes()[node].title);
            self.fail(node, Phase::Ensure, error);
            return;
        }
        let unchanged = outcome.change == Change::Unchanged;
        let quiet = unchanged
            && run.settled
            && !run.intended
            && self.recorded_output(node).unwrap_or(&Value::Null) == &outcome.outputs;
        self.runs[node].quiet = quiet || self.verb != Verb::Up;
        self.runs[node].changed = !unchanged;
        if !self.runs[node].quiet {
            let body = books::applied(&id, &outcome, self.took_ms(node));
            self.batch.bodies.push(body);
        }
        self.record_output(node, &outcome.outputs);
        self.batch.events.push(if unchanged {
            EventKind::StepUnchanged { step: id }
        } else {
            EventKind::StepApplied {
                step: id,
                change: outcome.change,
                summary: outcome.summary,
            }
        });
        self.applied(node);
    }

    fn applied(&mut self, node: usize) {
        self.runs[node].applied_ms = Some(self.now_ms());
        let freed = self.scheduler.applied(node);
        self.released(node, Milestone::Applied, &freed);
        if self.is_ending() {
            self.end(node);
            self.scheduler.cancelled(node);
        } else {
            self.batch.jobs.push((node, Work::Wait));
        }
    }

    fn ready(&mut self, node: usize, summary: String) {
        let now = self.now_ms();
        let step = self.graph.nodes()[node].id.clone();
        let run = &mut self.runs[node];
        run.ready_ms = Some(now);
        let waited = now.saturating_sub(run.applied_ms.unwrap_or(now));
        if self.verb == Verb::Down {
            self.batch.bodies.push(Body::Removed {
                step: step.to_string(),
                gone: u64::from(run.asked),
                evidence: json!({ "summary": summary }),
                millis: now.saturating_sub(run.started_ms.unwrap_or(now)),
            });
            self.batch
                .events
                .push(EventKind::RemovalGone { step, summary });
        } else {
            if !run.quiet {
                self.batch.bodies.push(Body::StepReady {
                    step: step.to_string(),
                    summary: summary.clone(),
                    outputs: None,
                    millis: waited,
                });
            }
            self.batch
                .events
                .push(EventKind::StepReady { step, summary });
        }
        self.end(node);
        let freed = self.scheduler.ready(node);
        self.released(node, Milestone::Ready, &freed);
    }

    fn broken(&mut self, node: usize, broken: Broken) {
        match broken {
            Broken::Failed {
                phase,
                error,
                in_flight,
            } => {
                if in_flight {
                    self.dropped_at = Some(Instant::now());
                }
                self.fail(node, phase, *error);
            }
            Broken::Cancelled { in_flight } => {
                self.end(node);
                if in_flight {
                    self.dropped_at = Some(Instant::now());
                    self.runs[node].in_flight = true;
                }
                self.scheduler.cancelled(node);
            }
            Broken::LeaseLost(error) => {
                self.end(node);
                self.scheduler.cancelled(node);
                self.lose_lease(*error);
            }
        }
    }

    fn fail(&mut self, node: usize, phase: Phase, error: StepError) {
        if phase == Phase::Readiness {
            self.speak_up(node);
        }
        self.end(node);
        let step = self.graph.nodes()[node].id.clone();
        if self.verb != Verb::Verify {
            self.batch.bodies.push(Body::StepFailed {
                step: step.to_string(),
                phase: books::phase(self.verb, phase),
                error: books::error(&error),
            });
        }
        self.runs[node].failure = Some((phase, error.clone()));
        self.batch.events.push(if self.verb == Verb::Down {
            EventKind::RemovalStuck { step, phase, error }
        } else {
            EventKind::StepFailed { step, phase, error }
        });
        for withheld in self.scheduler.failed(node) {
            self.runs[withheld.node].withheld = true;
            let step = self.graph.nodes()[withheld.node].id.clone();
            let because = self.graph.nodes()[withheld.because].id.clone();
            if self.verb != Verb::Verify {
                self.batch.bodies.push(Body::StepWithheld {
                    step: step.to_string(),
                    because: format!("{because} failed"),
                });
            }
            self.batch
                .events
                .push(EventKind::StepWithheld { step, because });
        }
        self.take_ground(node);
    }

    /// Tells the waits of those that have nothing left to stand on, now that this one failed.
    fn take_ground(&self, failed: usize) {
        let lost = |id| {
            let node = self.graph.position(id);
            node.is_some_and(|node| self.runs[node].failure.is_some() || self.runs[node].withheld)
        };
        for (index, node) in self.graph.nodes().iter().enumerate() {
            if !node.stands_on.is_empty() && node.stands_on.iter().all(lost) {
                let because = self.graph.nodes()[failed].id.clone();
                self.runs[index].ground_lost.send_if_modified(|said| {
                    let first = said.is_none();
                    said.get_or_insert(because);
                    first
                });
            }
        }
    }

    fn released(&mut self, by: usize, milestone: Milestone, freed: &[usize]) {
        let now = self.now_ms();
        let need = Need {
            step: self.graph.nodes()[by].id.clone(),
            milestone,
        };
        for &node in freed {
            self.runs[node].released_ms = now;
            self.runs[node].released_by = Some(need.clone());
        }
    }

    fn end(&mut self, node: usize) {
        self.runs[node].ended_ms = Some(self.now_ms());
    }

    fn took_ms(&self, node: usize) -> u64 {
        let now = self.now_ms();
        now.saturating_sub(self.runs[node].started_ms.unwrap_or(now))
    }
}
