//! How a run is asked to end: once for "soon", twice for "now".

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::event::Urgency;

/// Asks a run to end.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Urgency>>);

/// What a run watches to know whether it is asked to end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Urgency>>);

/// A connected pair.
#[must_use]
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// The first call asks to end soon, every further one to end now.
    pub fn request(&self) {
        self.0.send_modify(|urgency| {
            *urgency = Some(match urgency {
                None => Urgency::Soon,
                Some(_) => Urgency::Now,
            });
        });
    }
}

impl Stop {
    /// A stop that never comes.
    #[must_use]
    pub fn never() -> Self {
        stop().1
    }

    /// What was asked for until now.
    #[must_use]
    pub fn requested(&self) -> Option<Urgency> {
        *self.0.borrow()
    }

    /// Returns when more is asked for than when this was last called.
    pub async fn changed(&mut self) -> Urgency {
        loop {
            if self.0.changed().await.is_err() {
                // The stopper is gone: nobody will ask any more.
                return std::future::pending().await;
            }
            if let Some(urgency) = *self.0.borrow_and_update() {
                return urgency;
            }
        }
    }

    /// Asked for by SIGINT (Ctrl-C), SIGTERM (CI, `kill`) and SIGHUP (the terminal went away): the first of them
    /// soon, any further one now. From here on these signals end the process no more by themselves.
    ///
    /// # Errors
    /// When the system refuses to hand the signals over.
    pub fn on_signals() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (stopper, stop) = stop();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    Some(()) = hangup.recv() => {}
                    () = stopper.0.closed() => return,
                    else => return,
                }
                stopper.request();
            }
        });
        Ok(stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_says_soon_and_the_second_now() {
        let (stopper, mut stop) = stop();
        assert_eq!(stop.requested(), None);
        stopper.request();
        assert_eq!(stop.changed().await, Urgency::Soon);
        stopper.request();
        stopper.request();
        assert_eq!(stop.changed().await, Urgency::Now);
        assert_eq!(stop.requested(), Some(Urgency::Now));
    }
}
