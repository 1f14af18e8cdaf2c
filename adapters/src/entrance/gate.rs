//! Entering: the kubeconfig, the connection, whose cluster it is.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use pipectl_stages::{
    error::PortError,
    ports::{
        entrance::{Door, EntranceApi},
        objects::{ClusterIdentity, ObjectApi},
        releases::ReleaseApi,
    },
};
use tokio::sync::{Mutex, watch};

use super::{
    kubeconfig::{self, ExecEntry},
    objects::LateObjects,
};
use crate::{
    EffectDeadline,
    helm::{HelmAdapter, HelmOptions, Reach},
    kubernetes::{
        CallBounds, ConnectOptions, Kubernetes, KubernetesAdapter, foreign, no_way_yet,
        put_where_it_differs,
    },
};

/// What a gate needs to know beforehand.
#[derive(Debug, Clone)]
pub struct GateOptions {
    /// Where pipectl's own kubeconfig is written: in the environment's state directory.
    pub kubeconfig: PathBuf,
    /// The program in it that gives tokens.
    pub exec: ExecEntry,
    /// The name of its one context.
    pub context: String,
    /// The cluster that the environment is pinned to, where one is recorded: entering another is refused.
    pub expected: Option<ClusterIdentity>,
    /// Bounds of every call to the API server.
    pub bounds: CallBounds,
    /// Helm's settings; cancellation and redactor count for the API server as well.
    pub helm: HelmOptions,
}

/// The cluster that was entered.
struct Inside {
    door: Door,
    adapter: Arc<KubernetesAdapter>,
    identity: ClusterIdentity,
}

/// What the gate shares with the ports that it hands out.
pub(super) struct Way {
    options: GateOptions,
    inside: RwLock<Option<Inside>>,
    /// Counts up with the watches of the cluster that was entered.
    pub(super) changes: watch::Sender<u64>,
    deadline: Arc<RwLock<Option<EffectDeadline>>>,
}

impl Way {
    /// The cluster that was entered.
    pub(super) fn adapter(&self) -> Result<Arc<KubernetesAdapter>, PortError> {
        let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
        match &*inside {
            Some(inside) => Ok(Arc::clone(&inside.adapter)),
            None => Err(no_way_yet(format!(
                "the cluster of {} has not been entered yet",
                self.options.context
            ))),
        }
    }

    fn seen(&self) -> Option<(Door, Arc<KubernetesAdapter>, ClusterIdentity)> {
        let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
        let inside = inside.as_ref()?;
        Some((
            inside.door.clone(),
            Arc::clone(&inside.adapter),
            inside.identity.clone(),
        ))
    }
}

#[async_trait]
impl Reach for Way {
    async fn verify(&self) -> Result<(), PortError> {
        self.adapter()?.verify().await
    }

    fn origin(&self) -> (&Path, Option<&str>) {
        (&self.options.kubeconfig, Some(&self.options.context))
    }
}

/// The way into an environment's own EKS cluster.
pub struct Gate {
    way: Arc<Way>,
    objects: Arc<LateObjects>,
    releases: Arc<HelmAdapter>,
    /// Held while entering: a connection that was made and has not shown yet whose it is, so that looking again runs no
    /// credential program again.
    waiting: Mutex<Option<(Door, Arc<KubernetesAdapter>)>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("kubeconfig", &self.way.options.kubeconfig)
            .field("entered", &self.entered())
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate before which nobody has stood yet. Nothing is written and nobody is asked.
    #[must_use]
    pub fn new(options: GateOptions) -> Arc<Self> {
        let deadline = Arc::new(RwLock::new(options.helm.deadline.clone()));
        let mut helm = options.helm.clone();
        let bound = Arc::clone(&deadline);
        helm.deadline = Some(Arc::new(move || {
            let bound = bound.read().unwrap_or_else(PoisonError::into_inner).clone();
            bound.map_or(Duration::MAX, |bound| bound())
        }));
        let way = Arc::new(Way {
            options,
            inside: RwLock::default(),
            changes: watch::Sender::new(0),
            deadline,
        });
        let objects = Arc::new(LateObjects::new(Arc::clone(&way)));
        let releases = HelmAdapter::over(
            Arc::clone(&way) as Arc<dyn Reach>,
            Arc::clone(&objects) as Arc<dyn ObjectApi>,
            helm,
        );
        Arc::new(Self {
            way,
            objects,
            releases: Arc::new(releases),
            waiting: Mutex::default(),
        })
    }

    /// Kubernetes objects of the cluster that was entered; `Unreachable` (`K8S004`) before.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn ObjectApi> {
        Arc::clone(&self.objects) as _
    }

    /// Helm releases of the cluster that was entered; `Unreachable` (`K8S004`) before. Charts can be fetched and rendered
    /// at any time.
    #[must_use]
    pub fn releases(&self) -> Arc<dyn ReleaseApi> {
        Arc::clone(&self.releases) as _
    }

    /// Who the cluster is that was entered, for the environment's record.
    #[must_use]
    pub fn identity(&self) -> Option<ClusterIdentity> {
        self.way.seen().map(|(_, _, identity)| identity)
    }

    /// From now on a change is sent, and a Helm that changes something runs, only while `until` is ahead.
    pub fn fence_effects(&self, until: EffectDeadline) {
        let deadline = &self.way.deadline;
        *deadline.write().unwrap_or_else(PoisonError::into_inner) = Some(until.clone());
        if let Some((_, adapter, _)) = self.way.seen() {
            adapter.fence_effects(until);
        }
    }

    fn write_kubeconfig(&self, door: &Door) -> Result<(), PortError> {
        let options = &self.way.options;
        let text = kubeconfig::text(door, &options.context, &options.exec);
        put_where_it_differs(&options.kubeconfig, text.as_bytes())
    }

    async fn connection(&self) -> Result<Arc<KubernetesAdapter>, PortError> {
        let options = &self.way.options;
        let mut connect = ConnectOptions::new(&options.kubeconfig)
            .context(&options.context)
            .cancel(options.helm.cancel.clone());
        connect.bounds = options.bounds;
        connect.redactor = options.helm.redactor.clone();
        connect.own_program = true;
        Kubernetes::open(connect).await.map(Arc::new)
    }

    /// The cluster is known: from here on the ports lead to it.
    fn pass(&self, door: &Door, adapter: &Arc<KubernetesAdapter>, identity: &ClusterIdentity) {
        let deadline = &self.way.deadline;
        let deadline = deadline
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(deadline) = deadline {
            adapter.fence_effects(deadline);
        }
        let mut changes = adapter.changes();
        *self
            .way
            .inside
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(Inside {
            door: door.clone(),
            adapter: Arc::clone(adapter),
            identity: identity.clone(),
        });
        // Ends with the connection, whose watches own the other end, or with the gate.
        let way = Arc::downgrade(&self.way);
        tokio::spawn(async move {
            loop {
                match way.upgrade() {
                    Some(way) => way.changes.send_modify(|count| *count += 1),
                    None => return,
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

#[async_trait]
impl EntranceApi for Gate {
    async fn enter(&self, door: &Door) -> Result<ClusterIdentity, PortError> {
        // Held all the way: several steps may come at once, and one entrance is enough for all of them.
        let mut waiting = self.waiting.lock().await;
        let before = self.way.seen();
        if let Some((entered, adapter, identity)) = &before {
            if entered.arn != door.arn {
                return Err(foreign(format!(
                    "this run is about {}, and not about {}",
                    entered.arn, door.arn
                )));
            }
            self.write_kubeconfig(door)?;
            if (&entered.server, &entered.ca) == (&door.server, &door.ca) {
                adapter.verify().await?;
                return Ok(identity.clone());
            }
        } else {
            self.write_kubeconfig(door)?;
        }
        let adapter = match waiting.take().filter(|(waits, _)| waits == door) {
            Some((_, adapter)) => adapter,
            None => self.connection().await?,
        };
        let seen = match adapter.introduced().await {
            Ok(seen) => seen,
            Err(error) => {
                *waiting = Some((door.clone(), adapter));
                return Err(error);
            }
        };
        let expected = match before {
            Some((_, _, identity)) => identity,
            None => match &self.way.options.expected {
                Some(expected) => expected.clone(),
                None => seen.clone(),
            },
        };
        adapter.pin_as(&expected, &seen)?;
        self.pass(door, &adapter, &seen);
        Ok(seen)
    }

    fn entered(&self) -> Option<Door> {
        self.way.seen().map(|(door, _, _)| door)
    }
}
