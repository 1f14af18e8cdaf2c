//! What surrounds the scripted steps: ports that lead nowhere, and a boot-time clock in paused time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_stages::{
    PortError, PortErrorKind,
    ports::{
        objects::{
            ApplyOptions, ClusterIdentity, Deletion, ObjectApi, ObjectRef, Selection, Served,
        },
        releases::{ChartRef, Release, ReleaseApi, ReleaseSpec},
        secrets::{SecretApi, SecretSource, SecretValue},
    },
};
use pipectl_state::{BootInstant, LeaseClock};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

/// Ports that lead nowhere but announce changes: scripted steps use no port.
pub(super) struct Closed(pub(super) watch::Sender<u64>);

fn closed<T>() -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Other, "TST009", "closed"))
}

#[async_trait]
impl ObjectApi for Closed {
    async fn served(&self, _: &str, _: &str) -> Result<Option<Served>, PortError> {
        closed()
    }
    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        closed()
    }
    async fn get(&self, _: &ObjectRef) -> Result<Option<Value>, PortError> {
        closed()
    }
    async fn list(&self, _: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        closed()
    }
    async fn list_metadata(&self, _: &Selection) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn apply(&self, _: &Value, _: ApplyOptions) -> Result<Value, PortError> {
        closed()
    }
    async fn delete(&self, _: &ObjectRef, _: Option<&str>) -> Result<Deletion, PortError> {
        closed()
    }
    async fn strip_finalizers(
        &self,
        _: &ObjectRef,
        _: &str,
        _: &[String],
    ) -> Result<(), PortError> {
        closed()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        closed()
    }
}

#[async_trait]
impl ReleaseApi for Closed {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Release>, PortError> {
        closed()
    }
    async fn owned(&self, _: &str) -> Result<Vec<Release>, PortError> {
        closed()
    }
    async fn crds(&self, _: &ChartRef) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn render(&self, _: &ReleaseSpec) -> Result<Vec<Value>, PortError> {
        closed()
    }
    async fn install(&self, _: &ReleaseSpec) -> Result<Release, PortError> {
        closed()
    }
    async fn uninstall(&self, _: &str, _: &str, _: Duration) -> Result<bool, PortError> {
        closed()
    }
}

#[async_trait]
impl SecretApi for Closed {
    async fn resolve(&self, _: &SecretSource) -> Result<SecretValue, PortError> {
        closed()
    }
}

/// The boot-time clock of these tests is tokio's, which can be paused; it can be made to jump, too.
#[derive(Default)]
pub(super) struct PausedClock {
    start: std::sync::OnceLock<Instant>,
    pub(super) jump: Mutex<Duration>,
}

#[async_trait]
impl LeaseClock for PausedClock {
    fn now(&self) -> BootInstant {
        let jump = *self.jump.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.start.get_or_init(Instant::now);
        BootInstant::from_boot(Duration::from_secs(1000) + start.elapsed() + jump)
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
