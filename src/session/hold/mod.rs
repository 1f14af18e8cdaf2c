//! The lease in the account: who may change an environment on AWS, for every machine.
//!
//! The lease of the state directory keeps runs of one directory apart. Two machines, or two jobs with directories of their own, meet
//! in the account alone: in the environment's record there. A run takes it with its first effect, so that a run which finds nothing
//! to do writes nothing; a first `up` takes it in the very call that makes the record. While the run goes it is written anew now and
//! then; at the end it is given back, and it goes with the record where that is removed.

mod judge;
mod ports;
#[cfg(test)]
mod tests;
mod words;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_stages::{
    PortError, PortErrorKind, Retry, StepError,
    ports::{
        anchors::{Anchor, AnchorApi, AnchorLease, Sighting},
        cloud::{Deletion, Tags},
    },
};
use pipectl_state::{BootClock, BootInstant, LeaseClock};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::Hold;

pub use judge::{Claimant, MARGIN, TERM, Verdict, judge};
pub use words::{AtWork, held, moment};
use words::{later, problem, refused};

/// How often it is tried to take it where the account does not answer, or the record changes under the hand.
const TRIES: u32 = 4;

/// The pause between two such tries; and how long after it was taken it is looked at for the first time: by then those that came
/// in the same moment have written, and what they wrote over is put right.
const SETTLES: Duration = Duration::from_secs(1);

/// How often somebody who came too late looks who was faster.
const LOOKS_FOR_THE_FASTER: u32 = 5;

/// No deadline: there is nothing to hold, or it was not taken yet.
const NONE: u64 = 0;

/// A deadline that is over.
const OVER: u64 = 1;

/// The lease of one environment in its account, as one run sees it.
pub struct AccountLease {
    anchors: Arc<dyn AnchorApi>,
    environment: pipectl_stages::Environment,
    claimant: Claimant,
    term: Duration,
    margin: Duration,
    clock: Arc<dyn LeaseClock>,
    stand: Mutex<Stand>,
    /// Until when an effect may be sent, in nanoseconds since the boot.
    deadline: AtomicU64,
    lost: watch::Sender<Option<StepError>>,
    kept: AtomicBool,
    ended: CancellationToken,
    me: Weak<Self>,
}

/// Where the run stands with it.
enum Stand {
    /// Nothing was changed yet.
    Idle,
    /// The record says that it is this run's.
    Held(Box<Held>),
    /// There is no record of this environment that could be held: somebody removed it by hand, or it is another's by now. What
    /// is left is found by tags.
    Apart,
    /// Given back, or gone with the record.
    Over,
}

/// The record as this run wrote it last.
struct Held {
    anchor: Anchor,
    lease: AnchorLease,
    version: u64,
}

impl AccountLease {
    /// The lease of `environment` in the account of these anchors, not taken yet.
    #[must_use]
    pub fn new(
        anchors: Arc<dyn AnchorApi>,
        environment: pipectl_stages::Environment,
        claimant: Claimant,
    ) -> Arc<Self> {
        let clock = Arc::new(BootClock);
        Self::within(anchors, environment, claimant, (TERM, MARGIN), clock)
    }

    /// The same with a term, a margin and a clock of one's own.
    #[must_use]
    pub fn within(
        anchors: Arc<dyn AnchorApi>,
        environment: pipectl_stages::Environment,
        claimant: Claimant,
        (term, margin): (Duration, Duration),
        clock: Arc<dyn LeaseClock>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            anchors,
            environment,
            claimant,
            term,
            margin,
            clock,
            stand: Mutex::new(Stand::Idle),
            deadline: AtomicU64::new(NONE),
            lost: watch::Sender::new(None),
            kept: AtomicBool::new(false),
            ended: CancellationToken::new(),
            me: me.clone(),
        })
    }

    /// Until when, since the boot, an effect may be sent by this lease; `None` while there is nothing to hold.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.lost.borrow().is_some() {
            return Some(Duration::ZERO);
        }
        match self.deadline.load(Ordering::Acquire) {
            NONE => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// To be asked before every effect: takes the lease before the first, and refuses once it does not count any more.
    ///
    /// # Errors
    /// `STA020` when somebody else holds the environment, `STA021` when somebody took it over, `STA022` when it ran out; or why
    /// the record cannot be read or written.
    pub async fn before_effect(&self) -> Result<(), PortError> {
        if let Some(standing) = self.standing() {
            return standing;
        }
        let mut stand = self.stand.lock().await;
        if let Some(standing) = self.standing() {
            return standing;
        }
        match *stand {
            Stand::Idle => self.take(&mut stand).await,
            Stand::Held(_) | Stand::Apart | Stand::Over => Ok(()),
        }
    }

    /// What is known without asking anybody: it counts, or it does not any more.
    fn standing(&self) -> Option<Result<(), PortError>> {
        if let Some(error) = &*self.lost.borrow() {
            return Some(Err(refused(error)));
        }
        let deadline = self.deadline()?;
        let now = self.clock.now().since_boot();
        if now < deadline {
            return Some(Ok(()));
        }
        Some(Err(self.lose(self.ran_out(now.saturating_sub(deadline)))))
    }

    /// Takes it, where it is free.
    async fn take(&self, stand: &mut Stand) -> Result<(), PortError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failed = match self.take_once(stand).await {
                Ok(()) => {
                    self.keep();
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let passes =
                failed.kind.retry() == Retry::Soon || failed.kind == PortErrorKind::NotFound;
            if !passes || tries >= TRIES || self.lost.borrow().is_some() {
                return Err(failed);
            }
            // A write whose answer was lost is found by the next look, which knows it for this run's.
            self.clock.sleep(SETTLES).await;
        }
    }

    async fn take_once(&self, stand: &mut Stand) -> Result<(), PortError> {
        let begun = self.clock.now();
        let Some(seen) = self.sight().await? else {
            *stand = Stand::Apart;
            return Ok(());
        };
        if let Verdict::Held { by, left } = judge(&seen, &self.claimant) {
            return Err(self.lose(held(&self.environment.name, by.as_deref(), left)));
        }
        let lease = self.lease();
        let anchor = self.record(&seen.anchor, Some(&lease), seen.version);
        let version = self.anchors.update(&anchor).await?;
        if version != seen.version + 1 {
            return Err(self.lose(self.too_late().await));
        }
        self.hold(
            stand,
            Held {
                anchor,
                lease,
                version,
            },
            begun,
        );
        Ok(())
    }

    /// The record of this environment; one of another environment of the same name is none.
    async fn sight(&self) -> Result<Option<Sighting>, PortError> {
        let seen = self.anchors.sight(&self.environment.name).await?;
        Ok(seen.filter(|seen| seen.anchor.uid == self.environment.uid))
    }

    fn lease(&self) -> AnchorLease {
        AnchorLease {
            holder: self.claimant.holder.to_string(),
            run: self.claimant.run.clone(),
            since: Timestamp::now(),
            until: later(self.term),
            term_millis: millis(self.term),
            margin_millis: millis(self.margin),
            abandoned: false,
            process: json!(self.claimant.holder),
        }
    }

    fn record(&self, anchor: &Anchor, lease: Option<&AnchorLease>, follows: u64) -> Anchor {
        Anchor {
            lease: lease.map(|lease| AnchorLease {
                until: later(self.term),
                ..lease.clone()
            }),
            follows,
            ..anchor.clone()
        }
    }

    /// It is this run's, for a term from before the call that made it so.
    fn hold(&self, stand: &mut Stand, held: Held, begun: BootInstant) {
        let deadline = (begun + self.term).since_boot().as_nanos();
        let nanos = u64::try_from(deadline).unwrap_or(u64::MAX);
        self.deadline.store(nanos, Ordering::Release);
        *stand = Stand::Held(Box::new(held));
    }

    /// Who was faster: whoever it was puts the record right within moments.
    async fn too_late(&self) -> StepError {
        for _ in 0..LOOKS_FOR_THE_FASTER {
            self.clock.sleep(SETTLES / 2).await;
            let Ok(Some(seen)) = self.sight().await else {
                continue;
            };
            let theirs = seen.anchor.lease.as_ref();
            let theirs = theirs.filter(|lease| seen.counts() && lease.run != self.claimant.run);
            if let Some(lease) = theirs {
                let left = lease.runs_out_after().saturating_sub(seen.silent);
                return held(&self.environment.name, Some(lease), left);
            }
        }
        held(&self.environment.name, None, self.term + self.margin)
    }

    /// Writes it anew from now on, and looks whether it is still this run's.
    fn keep(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if self.kept.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(async move {
            // So that two may fail before it runs out, and three more are tried in between.
            let every = me.term / 3;
            let mut pause = SETTLES.min(every);
            let mut writes = false;
            loop {
                tokio::select! {
                    () = me.ended.cancelled() => return,
                    () = me.clock.sleep(pause) => {}
                }
                // The end does not wait for an answer that does not come.
                let beat = tokio::select! {
                    () = me.ended.cancelled() => return,
                    beat = tokio::time::timeout(every, me.beat(writes)) => beat,
                };
                pause = match beat {
                    Ok(Ok(())) => {
                        writes = true;
                        every
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "the hold in the account could not be prolonged; trying again");
                        every / 4
                    }
                    Err(_) => every / 4,
                };
            }
        });
    }

    /// One heartbeat; without `writes` only what others wrote over is put right.
    async fn beat(&self, writes: bool) -> Result<(), PortError> {
        let mut stand = self.stand.lock().await;
        // Its deadline may have passed while nobody asked for an effect.
        if let Some(Err(_)) = self.standing() {
            return Ok(());
        }
        let begun = self.clock.now();
        let held = match &*stand {
            Stand::Held(held) => held,
            // Somebody may have made the record anew.
            Stand::Apart => return self.take(&mut stand).await,
            Stand::Idle | Stand::Over => return Ok(()),
        };
        let Some(seen) = self.sight().await? else {
            self.lose(self.taken("its record in the account is gone"));
            return Ok(());
        };
        let theirs = seen.anchor.lease.as_ref();
        let mine = theirs.is_some_and(|lease| lease.run == self.claimant.run);
        let follows = if seen.version <= held.version {
            // As it was, or a look that lags behind.
            if !writes {
                return Ok(());
            }
            held.version
        } else if seen.counts() && !mine {
            let words = match theirs {
                Some(lease) => format!("{} has it since {}", lease.holder, moment(lease.since)),
                None => "its record in the account names nobody any more".to_owned(),
            };
            self.lose(self.taken(&words));
            return Ok(());
        } else {
            // Somebody came too late and wrote over it, or the answer to a write of ours was lost.
            seen.version
        };
        let held = Held {
            anchor: self.record(&held.anchor, Some(&held.lease), follows),
            lease: held.lease.clone(),
            version: held.version,
        };
        self.write(&mut stand, held, begun).await
    }

    /// Writes the record as it is in `held`, which prolongs the lease.
    async fn write(
        &self,
        stand: &mut Stand,
        held: Held,
        begun: BootInstant,
    ) -> Result<(), PortError> {
        match self.anchors.update(&held.anchor).await {
            Ok(version) => {
                self.hold(stand, Held { version, ..held }, begun);
                Ok(())
            }
            Err(error) => {
                if error.kind == PortErrorKind::NotFound {
                    self.lose(self.taken("its record in the account is gone"));
                }
                Err(error)
            }
        }
    }

    /// Makes the record in one call with the lease in it.
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<u64, PortError> {
        let mut stand = self.stand.lock().await;
        if let Some(Err(error)) = self.standing() {
            return Err(error);
        }
        let begun = self.clock.now();
        let lease = self.lease();
        let anchor = self.record(anchor, Some(&lease), 0);
        let version = self.anchors.create(&anchor, tags).await?;
        self.hold(
            &mut stand,
            Held {
                anchor,
                lease,
                version,
            },
            begun,
        );
        self.keep();
        Ok(version)
    }

    /// Changes what the record says besides the lease.
    async fn update(&self, anchor: &Anchor) -> Result<u64, PortError> {
        self.before_effect().await?;
        let mut stand = self.stand.lock().await;
        let begun = self.clock.now();
        let Stand::Held(held) = &*stand else {
            return self.anchors.update(anchor).await;
        };
        let held = Held {
            anchor: self.record(anchor, Some(&held.lease), held.version),
            lease: held.lease.clone(),
            version: held.version,
        };
        self.write(&mut stand, held, begun).await?;
        Ok(match &*stand {
            Stand::Held(held) => held.version,
            _ => 0,
        })
    }

    /// Removes the record, and the lease with it.
    async fn delete(&self, name: &str) -> Result<Deletion, PortError> {
        self.before_effect().await?;
        let mut stand = self.stand.lock().await;
        let deletion = self.anchors.delete(name).await?;
        self.ended.cancel();
        self.deadline.store(NONE, Ordering::Release);
        *stand = Stand::Over;
        Ok(deletion)
    }

    /// Writes the record once more, with this lease or without any.
    async fn end(&self, abandoned: bool) {
        self.ended.cancel();
        let mut stand = self.stand.lock().await;
        if self.lost.borrow().is_some() {
            return;
        }
        if let Stand::Held(held) = &*stand {
            let last = AnchorLease {
                abandoned,
                ..held.lease.clone()
            };
            let last = abandoned.then_some(&last);
            let anchor = self.record(&held.anchor, last, held.version);
            if let Err(error) = self.anchors.update(&anchor).await {
                tracing::warn!(%error, "the hold in the account could not be given back; it runs out by itself");
            }
            self.deadline.store(OVER, Ordering::Release);
        }
        *stand = Stand::Over;
    }

    /// From now on nothing may be changed. The first reason counts.
    fn lose(&self, error: StepError) -> PortError {
        let refused = refused(&error);
        self.deadline.store(OVER, Ordering::Release);
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert(error);
            first
        });
        self.ended.cancel();
        refused
    }

    fn taken(&self, how: &str) -> StepError {
        let what = format!("environment {}", self.environment.name);
        problem(
            "STA021",
            "go on changing",
            &what,
            format!("the lease was lost: {how}"),
        )
    }

    fn ran_out(&self, overdue: Duration) -> StepError {
        let what = format!("environment {}", self.environment.name);
        let overdue = overdue.as_millis();
        problem(
            "STA022",
            "go on changing",
            &what,
            format!("the lease in the account ran out {overdue} ms ago"),
        )
    }
}

#[async_trait]
impl Hold for AccountLease {
    async fn lost(&self) -> StepError {
        let mut lost = self.lost.subscribe();
        let lost = lost.wait_for(Option::is_some).await;
        let error = lost.ok().and_then(|error| error.clone());
        match error {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    async fn give_back(&self) {
        self.end(false).await;
    }

    async fn abandon(&self) {
        self.end(true).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
