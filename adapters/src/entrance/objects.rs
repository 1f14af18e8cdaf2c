//! Kubernetes objects of a cluster that may not have been entered yet.

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_stages::{
    error::PortError,
    ports::{
        objects::{
            ApplyOptions, ClusterIdentity, Deletion, ObjectApi, ObjectRef, Selection, Served,
        },
        probes::{Probe, ProbeApi, ProbeOutput},
    },
};
use serde_json::Value;
use tokio::sync::watch;

use super::gate::Way;

/// Leads to the cluster behind the gate, once it was entered.
pub(super) struct LateObjects {
    way: Arc<Way>,
}

impl LateObjects {
    pub(super) fn new(way: Arc<Way>) -> Self {
        Self { way }
    }
}

#[async_trait]
impl ObjectApi for LateObjects {
    async fn served(&self, group: &str, kind: &str) -> Result<Option<Served>, PortError> {
        self.way.adapter()?.served(group, kind).await
    }

    async fn all_served(&self) -> Result<(Vec<Served>, Vec<PortError>), PortError> {
        self.way.adapter()?.all_served().await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, PortError> {
        self.way.adapter()?.get(object).await
    }

    async fn list(&self, selection: &Selection) -> Result<Vec<Arc<Value>>, PortError> {
        self.way.adapter()?.list(selection).await
    }

    async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>, PortError> {
        self.way.adapter()?.list_metadata(selection).await
    }

    async fn apply(&self, object: &Value, options: ApplyOptions) -> Result<Value, PortError> {
        self.way.adapter()?.apply(object, options).await
    }

    async fn create(&self, object: &Value) -> Result<Value, PortError> {
        self.way.adapter()?.create(object).await
    }

    fn probes(&self) -> Option<&dyn ProbeApi> {
        let has = |adapter: Arc<crate::kubernetes::KubernetesAdapter>| adapter.probes().is_some();
        self.way.adapter().is_ok_and(has).then_some(self as _)
    }

    async fn delete(&self, object: &ObjectRef, uid: Option<&str>) -> Result<Deletion, PortError> {
        self.way.adapter()?.delete(object, uid).await
    }

    async fn strip_finalizers(
        &self,
        object: &ObjectRef,
        uid: &str,
        finalizers: &[String],
    ) -> Result<(), PortError> {
        let adapter = self.way.adapter()?;
        adapter.strip_finalizers(object, uid, finalizers).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.way.changes.subscribe()
    }

    async fn identity(&self) -> Result<ClusterIdentity, PortError> {
        self.way.adapter()?.identity().await
    }
}

#[async_trait]
impl ProbeApi for LateObjects {
    async fn run(&self, probe: &Probe) -> Result<ProbeOutput, PortError> {
        let adapter = self.way.adapter()?;
        match adapter.probes() {
            Some(probes) => probes.run(probe).await,
            None => Err(crate::kubernetes::no_way_yet(
                "programs inside pods cannot be run here",
            )),
        }
    }
}
