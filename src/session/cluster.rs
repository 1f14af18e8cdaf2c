//! The way to a cluster that was there before, or to a sandbox's own: who it is, and which environments are in it.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};
use pipectl_adapters::kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter};
use pipectl_stages::{
    PortError,
    objects::ownership::{ENVIRONMENT_LABEL, ENVIRONMENT_UID_LABEL},
    ports::objects::{ClusterIdentity, ObjectApi, Selection},
};
use pipectl_state::Redactor;

use super::{
    access::Found,
    place::{Entrance, Place},
};
use crate::{exit::Exit, failure::Failure};

/// How many lists are under way at once when an environment is looked for by its labels.
const LISTS_AT_ONCE: usize = 16;

/// A cluster that was there before; changes are refused until it is pinned.
pub struct Cluster {
    /// The adapter.
    pub kubernetes: Arc<KubernetesAdapter>,
    /// Who it is, as it said at the connection.
    pub identity: ClusterIdentity,
    /// The context that was taken.
    pub entrance: Entrance,
}

impl Cluster {
    /// Connects, and asks who is there. Reads only.
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub async fn open(
        entrance: Entrance,
        place: &Place,
        redactor: &Redactor,
    ) -> Result<Self, Failure> {
        let mut options = ConnectOptions::new(&entrance.kubeconfig);
        options.context.clone_from(&entrance.context);
        options.redactor = redactor.clone();
        let reached = async {
            let adapter = Kubernetes::connect(options).await?;
            let identity = adapter.identity().await?;
            Ok::<_, PortError>((adapter, identity))
        };
        let (adapter, identity) = reached.await.map_err(|error| unreached(error, place))?;
        Ok(Self {
            kubernetes: Arc::new(adapter),
            identity,
            entrance,
        })
    }

    /// The environment of this name, by its record in the cluster.
    ///
    /// # Errors
    /// When the cluster cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<Found>, PortError> {
        let record = pipectl_stages::environment::find(self.kubernetes.as_ref(), name).await?;
        Ok(record.and_then(|record| {
            Some(Found {
                uid: record.environment.uid.parse().ok()?,
                created: record.created,
                state: None,
                at_work: None,
            })
        }))
    }

    /// UIDs of environments of this name that have left something here, by labels alone.
    ///
    /// # Errors
    /// When nothing is found and not everything could be looked at.
    pub async fn remains(&self, name: &str) -> Result<BTreeSet<String>, PortError> {
        let objects: &dyn ObjectApi = self.kubernetes.as_ref();
        let (kinds, mut unseen) = objects.all_served().await?;
        let looks = kinds.into_iter().map(|served| async move {
            let selection = Selection {
                kind: served.kind,
                namespace: None,
                labels: Some(format!("{ENVIRONMENT_LABEL}={name}")),
            };
            objects.list_metadata(&selection).await
        });
        let mut uids = BTreeSet::new();
        let mut looks = stream::iter(looks).buffer_unordered(LISTS_AT_ONCE);
        while let Some(look) = looks.next().await {
            match look {
                Ok(objects) => uids.extend(objects.iter().filter_map(|object| {
                    let labels = &object["metadata"]["labels"];
                    labels[ENVIRONMENT_UID_LABEL].as_str().map(str::to_owned)
                })),
                Err(error) => unseen.push(error),
            }
        }
        match unseen.into_iter().next() {
            Some(error) if uids.is_empty() => Err(error),
            _ => Ok(uids),
        }
    }
}

/// Why the cluster was not reached: with a kubeconfig that is not right, the input is to blame and nothing was tried.
fn unreached(error: PortError, place: &Place) -> Failure {
    let of_kubeconfig = matches!(error.code.as_str(), "K8S001" | "K8S002" | "K8S003");
    let mut failure = Failure::port(error, "reach", place.to_string());
    if of_kubeconfig && let Failure::Problem(problem) = &mut failure {
        problem.exit = Exit::BadInput;
    }
    failure
}
