//! The running simulator: the world behind its lock, and what follows from a change.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::world::World;
use super::world::counters::Counters;
use super::world::effects::Effect;
use super::world::keys::AwsCredentials;
use super::world::snapshot;

/// The account whose key the sandbox hands out.
pub(crate) const DEFAULT_ACCOUNT: &str = "111122223333";

/// The world with its lock, its counters and its ways out.
pub(crate) struct Cloud {
    world: Mutex<World>,
    pub(crate) counters: Counters,
    effects: mpsc::UnboundedSender<Effect>,
    file: Option<PathBuf>,
    changed: Notify,
    /// Counts effects, for those who look at the whole graph whenever there was one.
    seen: watch::Sender<u64>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
}

impl Cloud {
    pub(crate) fn new(
        world: World,
        effects: mpsc::UnboundedSender<Effect>,
        file: Option<PathBuf>,
        endpoint: String,
    ) -> Self {
        Self {
            world: Mutex::new(world),
            counters: Counters::default(),
            effects,
            file,
            changed: Notify::new(),
            seen: watch::Sender::new(0),
            endpoint,
        }
    }

    /// Look at the world as it is now. What is due happens first.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.enter(false, look)
    }

    /// Change the world: the file is written before this returns, then the outside learns of it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.enter(true, change)
    }

    fn enter<T>(&self, changes: bool, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = world.settle();
        let result = work(&mut world);
        if changes || settled {
            if let Some(file) = &self.file
                && let Err(error) = snapshot::save(&world, file)
            {
                tracing::warn!(%error, "the graph could not be written");
            }
            for effect in world.core.effects.drain(..) {
                // Nobody listens when the simulator runs alone.
                let _ = self.effects.send(effect);
                self.seen.send_modify(|count| *count += 1);
            }
            self.changed.notify_one();
        }
        result
    }

    /// Changes whenever there was an effect.
    pub(crate) fn effects_seen(&self) -> watch::Receiver<u64> {
        self.seen.subscribe()
    }

    /// The key of the sandbox's own account.
    pub(crate) fn default_credentials(&self) -> AwsCredentials {
        self.with(|world| world.core.keys.of(DEFAULT_ACCOUNT))
    }

    /// Let things happen in time even when nobody asks, until `shutdown`: the outside waits for them.
    pub(crate) async fn tick(&self, shutdown: CancellationToken) {
        loop {
            let wait = self.with(|world| {
                let next = world.core.schedule.next()?;
                let left = next.0.saturating_sub(world.core.clock.now().0);
                Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
            });
            let next = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = next => {}
                () = self.changed.notified() => {}
            }
        }
    }
}
