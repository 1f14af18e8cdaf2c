//! Waiting until a step's thing works, or is gone.
//!
//! Asked at once, then whenever a shared watch saw a change (a burst of changes counts once), at the step's own
//! interval where it has one, and in any case at a slow safety interval: a watch may be wrong, a clock is not.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use pipectl_stages::{Readiness, RemovalProgress, StepContext, StepError};
use tokio::{sync::watch, time::Instant};

use super::{
    event::Phase,
    executor::{Broken, Cut, Job, LastWords, Message, panic_text},
    graph::Task,
    retry, words,
};

/// What one look found.
enum Look {
    Done(String),
    NotYet(String, Option<(u32, u32)>),
    Never(StepError),
}

impl Job {
    /// Waits for readiness (or absence) and tells the dispatcher how that ended.
    pub(super) async fn wait(self) {
        let (node, messages) = (self.node, self.desk.messages.clone());
        let (step, title) = (self.step.clone(), self.title.clone());
        let end = AssertUnwindSafe(self.watch())
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                Err(failed(
                    words::panicked(&step, &title, &panic_text(&*panic)),
                    false,
                ))
            });
        let _ = messages.send(Message::Waited { node, end });
    }

    async fn watch(&self) -> Result<String, Broken> {
        let deadline = Instant::now() + self.timeouts.ready;
        let last = Arc::new(LastWords::default());
        let cx = self.waiting_context(last.clone());
        let salt = retry::salt(&self.desk.run, self.step.as_str());
        let mut changes = Some(self.desk.ports.objects.changes());
        let mut said: Option<(String, Option<(u32, u32)>)> = None;
        let mut failures = 0;
        // A removal's progress may change things (it may strip a finalizer), a step's readiness only reads.
        let effect = matches!(self.task, Task::Down(_));
        let mut ground_lost = self.ground_lost.clone();
        loop {
            // Seen before looking, so that a change during the look brings another look.
            if let Some(changes) = &mut changes {
                changes.borrow_and_update();
            }
            if effect {
                self.check_fence()?;
            }
            let looked = self.guard(false, deadline, self.desk.places.acquire());
            let looked = match looked.await {
                Ok(place) => {
                    let looked = self.guard(effect, deadline, self.look(&cx)).await;
                    drop(place);
                    looked
                }
                Err(cut) => Err(cut),
            };
            let pause = match looked {
                Ok(Ok(Look::Done(summary))) => return Ok(summary),
                Ok(Ok(Look::Never(error))) => return Err(failed(error, false)),
                Ok(Ok(Look::NotYet(words, count))) => {
                    failures = 0;
                    last.set(words.clone());
                    if let Some(because) = &*ground_lost.borrow() {
                        let error = super::words::nothing_to_stand_on(&self.title, because, &words);
                        return Err(failed(error, false));
                    }
                    let now = Some((words, count));
                    if now != said {
                        said.clone_from(&now);
                        if let Some((waiting_for, count)) = now {
                            let node = self.node;
                            let _ = self.desk.messages.send(Message::Waits {
                                node,
                                waiting_for,
                                count,
                            });
                        }
                    }
                    None
                }
                Ok(Err(error)) => {
                    if self.desk.soon.is_cancelled() {
                        return Err(Broken::Cancelled { in_flight: false });
                    }
                    failures += 1;
                    let polled = self.task.poll_interval().is_some();
                    let Some(pause) = self.desk.options.pause(polled, &error, failures, salt)
                    else {
                        return Err(failed(error, false));
                    };
                    last.set(error.cause.clone());
                    let _ = self.desk.messages.send(Message::Retrying {
                        node: self.node,
                        attempt: failures,
                        pause,
                        error,
                    });
                    Some(pause)
                }
                Err(cut) => return Err(self.cut(cut, &last)),
            };
            let idle = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => tokio::select! {
                        () = self.until_worth_looking(&mut changes) => {}
                        // One more look tells whether it made it before.
                        Ok(()) = ground_lost.changed() => {}
                    },
                }
            };
            if let Err(cut) = self.guard(false, deadline, idle).await {
                return Err(self.cut(cut, &last));
            }
        }
    }

    async fn look(&self, cx: &StepContext) -> Result<Look, StepError> {
        Ok(match &self.task {
            Task::Up(step) => match step.readiness(cx).await? {
                Readiness::Ready(summary) => Look::Done(summary),
                Readiness::InProgress { waiting_for, count } => Look::NotYet(waiting_for, count),
                Readiness::Failed(error) => Look::Never(*error),
            },
            Task::Down(removal) => match removal.progress(cx).await? {
                RemovalProgress::Gone(summary) => Look::Done(summary),
                RemovalProgress::InProgress { waiting_for, count } => {
                    Look::NotYet(waiting_for, count)
                }
                RemovalProgress::Stuck(error) => Look::Never(*error),
            },
        })
    }

    /// Returns when a change was announced (and no more of the burst follows for a moment), or an interval is over.
    async fn until_worth_looking(&self, changes: &mut Option<watch::Receiver<u64>>) {
        let options = &self.desk.options;
        let interval = self.poll_interval.map_or(options.safety_interval, |poll| {
            poll.min(options.safety_interval)
        });
        let announced = async {
            if let Some(receiver) = changes {
                if receiver.changed().await.is_ok() {
                    tokio::time::sleep(options.debounce).await;
                    return;
                }
                *changes = None;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = announced => {}
            () = tokio::time::sleep(interval.max(Duration::from_millis(10))) => {}
        }
    }

    fn cut(&self, cut: Cut, last: &LastWords) -> Broken {
        match cut {
            Cut::Cancelled { in_flight } => Broken::Cancelled { in_flight },
            Cut::Expired => failed(
                words::not_ready_in_time(&self.task, &self.title, self.timeouts.ready, last.get()),
                matches!(self.task, Task::Down(_)),
            ),
        }
    }
}

fn failed(error: StepError, in_flight: bool) -> Broken {
    Broken::Failed {
        phase: Phase::Readiness,
        error: Box::new(error),
        in_flight,
    }
}
