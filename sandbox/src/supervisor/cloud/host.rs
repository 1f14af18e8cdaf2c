//! The control planes of EKS clusters: one for each cluster that is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio_util::task::TaskTracker;

use super::plane::{Plane, Shared};
use crate::aws::{Aws, ClusterHost, ClusterView};
use crate::control::EksStatus;
use crate::files::Layout;

/// Opens, changes and ends them.
pub(super) struct EksHost {
    /// One directory for each cluster.
    root: PathBuf,
    shared: Arc<Shared>,
    /// By the cluster's id.
    planes: Mutex<BTreeMap<String, Arc<Plane>>>,
    /// Ends of those whose cluster has gone.
    ends: TaskTracker,
}

impl EksHost {
    pub(super) fn new(root: PathBuf, shared: Shared) -> Self {
        Self {
            root,
            shared: Arc::new(shared),
            planes: Mutex::default(),
            ends: TaskTracker::new(),
        }
    }

    fn planes<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Arc<Plane>>) -> T) -> T {
        look(&mut self.planes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What there is to tell of them.
    pub(super) fn status(&self) -> Vec<EksStatus> {
        self.planes(|planes| planes.values().map(|plane| plane.status()).collect())
    }

    /// End all; their data stays.
    pub(super) async fn stop(&self) {
        let all = self.planes(std::mem::take);
        futures::future::join_all(all.values().map(|plane| plane.end(false))).await;
        self.ends.close();
        self.ends.wait().await;
    }
}

#[async_trait]
impl ClusterHost for EksHost {
    async fn reconcile(&self, aws: &Arc<Aws>, clusters: Vec<ClusterView>) {
        let gone = self.planes(|planes| {
            let is_there = |id: &String| clusters.iter().any(|view| &view.id == id);
            let gone = planes.keys().filter(|id| !is_there(id)).cloned();
            let gone: Vec<String> = gone.collect();
            gone.iter()
                .filter_map(|id| planes.remove(id))
                .collect::<Vec<_>>()
        });
        for plane in gone {
            // Others need not wait for its processes.
            self.ends.spawn(async move { plane.end(true).await });
        }
        for view in clusters {
            if let Some(plane) = self.planes(|planes| planes.get(&view.id).cloned()) {
                plane.follow(view);
                continue;
            }
            let (id, name) = (view.id.clone(), view.name.clone());
            let layout = Layout {
                root: self.root.join(&id),
            };
            match Plane::open(Arc::clone(&self.shared), Arc::clone(aws), layout, view).await {
                Ok(plane) => {
                    self.planes(|planes| planes.insert(id, plane));
                }
                Err(error) => {
                    tracing::error!(cluster = name, %error, "a cluster's front does not open");
                }
            }
        }
    }
}
