//! What happens to one step: observe and ensure, or ask for the removal. The wait that follows is in `waiting`.
//!
//! A job knows nothing of the journal or of other jobs: it does its calls, within their bounds, and tells the
//! dispatcher. It ends early on request: reads are dropped at once, calls that change something get a moment to end.

use std::{
    any::Any,
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use pipectl_stages::{
    Environment, Finding, Intents, Observation, Outcome, Ports, Progress, ProgressSink, Removal,
    Step, StepContext, StepError, StepId, Timeouts,
};
use pipectl_state::Fence;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{event::Phase, graph::Task, hold::Hold, options::RunOptions, retry, words};

/// What jobs tell the dispatcher.
pub(super) enum Message {
    /// An identity is to become durable before its effect.
    Intent {
        node: usize,
        identity: Value,
        reply: oneshot::Sender<Result<(), StepError>>,
    },
    /// A passing remark.
    Progress { node: usize, progress: Progress },
    /// Something found out.
    Finding { node: usize, finding: Finding },
    /// The wait has new words.
    Waits {
        node: usize,
        waiting_for: String,
        count: Option<(u32, u32)>,
    },
    /// A try failed and another follows.
    Retrying {
        node: usize,
        attempt: u32,
        pause: Duration,
        error: StepError,
    },
    /// Observe and ensure (or the asking for a removal) are over.
    Acted {
        node: usize,
        end: Result<Acted, Broken>,
    },
    /// The wait is over.
    Waited {
        node: usize,
        end: Result<String, Broken>,
    },
    /// A signal came.
    Asked(super::event::Urgency),
}

/// What a job achieved.
pub(super) enum Acted {
    /// Present and recorded: nothing was called.
    Passed,
    /// `ensure` ended well.
    Ensured(Outcome),
    /// So many things were asked to go.
    Asked(u32),
}

/// Why a job did not achieve it.
pub(super) enum Broken {
    /// An error of the step's.
    Failed {
        phase: Phase,
        error: Box<StepError>,
        /// Whether a call that changes something was dropped while under way.
        in_flight: bool,
    },
    /// Ended early on request.
    Cancelled { in_flight: bool },
    /// The lease does not allow the effect.
    LeaseLost(Box<StepError>),
}

/// What all jobs of a run share.
pub(super) struct Desk {
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) environment: Environment,
    pub(super) run: String,
    pub(super) ports: Ports,
    /// End soon.
    pub(super) soon: CancellationToken,
    /// End now.
    pub(super) now: CancellationToken,
    pub(super) fence: Fence,
    pub(super) hold: Option<Arc<dyn Hold>>,
    /// Places for readiness calls.
    pub(super) places: Semaphore,
    pub(super) options: RunOptions,
}

/// One step's work, as it stands at the start of a job.
pub(super) struct Job {
    pub(super) desk: Arc<Desk>,
    pub(super) node: usize,
    pub(super) step: StepId,
    pub(super) title: String,
    pub(super) task: Task,
    pub(super) timeouts: Timeouts,
    pub(super) poll_interval: Option<Duration>,
    pub(super) outputs: Arc<BTreeMap<String, Value>>,
    /// Whether outputs are recorded that may stand in for those of `ensure`.
    pub(super) recorded: bool,
    /// Says which step's failure took the last of what it stands on.
    pub(super) ground_lost: watch::Receiver<Option<StepId>>,
}

/// How a call under guard was cut off.
pub(super) enum Cut {
    Cancelled { in_flight: bool },
    Expired,
}

/// The last words of a step, for the error of a wait that took too long.
#[derive(Default)]
pub(super) struct LastWords(Mutex<Option<String>>);

impl LastWords {
    pub(super) fn set(&self, words: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A job's line to the dispatcher, in the shape that steps know.
struct Line {
    node: usize,
    messages: mpsc::UnboundedSender<Message>,
    last: Arc<LastWords>,
    intended: AtomicBool,
}

#[async_trait]
impl Intents for Line {
    async fn intent(&self, step: &StepId, identity: Value) -> Result<(), StepError> {
        self.intended.store(true, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let message = Message::Intent {
            node: self.node,
            identity,
            reply,
        };
        let gone = || words::run_is_ending(step);
        self.messages.send(message).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl ProgressSink for Line {
    fn progress(&self, _step: &StepId, progress: Progress) {
        self.last.set(progress.message.clone());
        let node = self.node;
        // Nobody listens any more when the run has ended; then nobody wants to know.
        let _ = self.messages.send(Message::Progress { node, progress });
    }

    fn finding(&self, _step: &StepId, finding: Finding) {
        let node = self.node;
        let _ = self.messages.send(Message::Finding { node, finding });
    }
}

impl Job {
    /// Observes and ensures, or asks for the removal, and tells the dispatcher how that ended.
    pub(super) async fn act(self) {
        let (node, messages) = (self.node, self.desk.messages.clone());
        let (step, title) = (self.step.clone(), self.title.clone());
        let end = AssertUnwindSafe(self.tries())
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                Err(Broken::Failed {
                    phase: Phase::Ensure,
                    error: Box::new(words::panicked(&step, &title, &panic_text(&*panic))),
                    in_flight: true,
                })
            });
        let _ = messages.send(Message::Acted { node, end });
    }

    async fn tries(&self) -> Result<Acted, Broken> {
        let started = Instant::now();
        let deadline = started + self.timeouts.ensure;
        let last = Arc::new(LastWords::default());
        let line = Arc::new(Line {
            node: self.node,
            messages: self.desk.messages.clone(),
            last: last.clone(),
            intended: AtomicBool::new(false),
        });
        let cx = self.context(line.clone());
        let salt = retry::salt(&self.desk.run, self.step.as_str());
        let mut attempt = 1;
        loop {
            let try_once = async {
                match &self.task {
                    Task::Up(step) => {
                        let recorded = self.recorded && !line.intended.load(Ordering::Relaxed);
                        self.bring_up(&**step, &cx, recorded, deadline).await
                    }
                    Task::Down(removal) => self.take_down(&**removal, &cx, deadline).await,
                }
            };
            let trouble = match try_once.await {
                Ok(acted) => return Ok(acted),
                Err(trouble) => trouble,
            };
            let (phase, error) = match trouble {
                Trouble::Error(phase, error) => (phase, *error),
                Trouble::Expired(phase) => {
                    return Err(Broken::Failed {
                        phase,
                        error: Box::new(words::took_too_long(
                            &self.task,
                            &self.title,
                            self.timeouts.ensure,
                            last.get(),
                        )),
                        in_flight: phase == Phase::Ensure,
                    });
                }
                Trouble::Broken(broken) => return Err(broken),
            };
            // What a cancelled call answers is about the cancelling, not about the step.
            if self.desk.soon.is_cancelled() {
                return Err(Broken::Cancelled { in_flight: false });
            }
            let failed = |error| Broken::Failed {
                phase,
                error: Box::new(error),
                in_flight: false,
            };
            let polled = self.task.poll_interval().is_some();
            let Some(pause) = self.desk.options.pause(polled, &error, attempt, salt) else {
                return Err(failed(error));
            };
            if Instant::now() + pause >= deadline {
                return Err(failed(error));
            }
            last.set(error.cause.clone());
            let _ = self.desk.messages.send(Message::Retrying {
                node: self.node,
                attempt,
                pause,
                error,
            });
            if let Err(Cut::Cancelled { in_flight }) =
                self.guard(false, deadline, tokio::time::sleep(pause)).await
            {
                return Err(Broken::Cancelled { in_flight });
            }
            attempt += 1;
        }
    }

    async fn bring_up(
        &self,
        step: &dyn Step,
        cx: &StepContext,
        recorded: bool,
        deadline: Instant,
    ) -> Result<Acted, Trouble> {
        let observed = self
            .guard(false, deadline, step.observe(cx))
            .await
            .map_err(|cut| Trouble::cut(cut, Phase::Observe))?
            .map_err(|error| Trouble::Error(Phase::Observe, Box::new(error)))?;
        match &observed {
            Observation::Foreign(owner) => {
                let error = words::foreign(&self.title, owner, step.beside_a_stranger());
                return Err(Trouble::Error(Phase::Observe, Box::new(error)));
            }
            Observation::Present if recorded => return Ok(Acted::Passed),
            Observation::Present | Observation::Absent | Observation::Partial(_) => {}
        }
        self.may_change()?;
        let outcome = self
            .guard(true, deadline, step.ensure(cx, &observed))
            .await
            .map_err(|cut| Trouble::cut(cut, Phase::Ensure))?
            .map_err(|error| Trouble::Error(Phase::Ensure, Box::new(error)))?;
        Ok(Acted::Ensured(outcome))
    }

    async fn take_down(
        &self,
        removal: &dyn Removal,
        cx: &StepContext,
        deadline: Instant,
    ) -> Result<Acted, Trouble> {
        self.may_change()?;
        let asked = self
            .guard(true, deadline, removal.start(cx))
            .await
            .map_err(|cut| Trouble::cut(cut, Phase::Ensure))?
            .map_err(|error| Trouble::Error(Phase::Ensure, Box::new(error)))?;
        Ok(Acted::Asked(asked))
    }

    fn may_change(&self) -> Result<(), Trouble> {
        self.check_fence().map_err(Trouble::Broken)
    }

    /// The lease's deadline, looked at right before an effect.
    pub(super) fn check_fence(&self) -> Result<(), Broken> {
        let lost = |error| Broken::LeaseLost(Box::new(words::of_lease(error)));
        self.desk.fence.check().map_err(lost)
    }

    /// Runs `call` until it ends, its time is up or the run is being ended. A call that changes something gets a moment
    /// to end by itself.
    pub(super) async fn guard<T>(
        &self,
        changes: bool,
        deadline: Instant,
        call: impl Future<Output = T>,
    ) -> Result<T, Cut> {
        let desk = &self.desk;
        let asked_to_end = async {
            desk.soon.cancelled().await;
            if changes {
                tokio::time::sleep(desk.options.grace).await;
            }
        };
        tokio::select! {
            biased;
            () = desk.now.cancelled() => Err(Cut::Cancelled { in_flight: changes }),
            value = call => Ok(value),
            () = asked_to_end => Err(Cut::Cancelled { in_flight: changes }),
            () = tokio::time::sleep_until(deadline) => Err(Cut::Expired),
        }
    }

    fn context(&self, line: Arc<Line>) -> StepContext {
        StepContext {
            step: self.step.clone(),
            environment: self.desk.environment.clone(),
            run: self.desk.run.clone(),
            ports: self.desk.ports.clone(),
            outputs: self.outputs.clone(),
            intents: line.clone(),
            sink: line,
            cancel: self.desk.soon.clone(),
        }
    }

    /// The context of the wait, which shares its last words with the caller.
    pub(super) fn waiting_context(&self, last: Arc<LastWords>) -> StepContext {
        self.context(Arc::new(Line {
            node: self.node,
            messages: self.desk.messages.clone(),
            last,
            intended: AtomicBool::new(false),
        }))
    }
}

/// Why one try did not succeed.
enum Trouble {
    Error(Phase, Box<StepError>),
    Expired(Phase),
    Broken(Broken),
}

impl Trouble {
    fn cut(cut: Cut, phase: Phase) -> Self {
        match cut {
            Cut::Cancelled { in_flight } => Self::Broken(Broken::Cancelled { in_flight }),
            Cut::Expired => Self::Expired(phase),
        }
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it said nothing".to_owned())
}
