//! Taking the nodes down: the groups with their instances, instances that something else started for the cluster, and the
//! volumes that claims left, with their snapshots.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{POLL, STAGE};
use crate::{
    blocks::Row,
    cloud::{
        CloudRemoval, Pace, Remnant, Removed, Unwanted, cloud,
        scope::{belongs, cluster_names, own_clusters, vpcs},
        tags,
    },
    cluster::removal::load_balancers,
    context::StepContext,
    error::{PortError, StepError},
    ports::{
        cloud::Deletion,
        compute::{Instance, InstanceState, Selector, Snapshot},
        node_groups::{NodeGroup, NodeGroupState},
    },
    removal::Removal,
    step::{Need, StepId},
};

/// How long a group's deletion may take: a drain of up to five minutes a node, then by force (EKS user guide, delete a
/// managed node group).
const REMOVED_WITHIN: Duration = Duration::from_secs(2700);

/// The removal of node groups.
#[must_use]
pub fn groups() -> StepId {
    StepId::new(STAGE, "groups")
}

/// The removal of other instances of the cluster.
#[must_use]
pub fn instances() -> StepId {
    StepId::new(STAGE, "instances")
}

/// The removal of volumes.
#[must_use]
pub fn volumes() -> StepId {
    StepId::new(STAGE, "volumes")
}

/// The removal of snapshots.
#[must_use]
pub fn snapshots() -> StepId {
    StepId::new(STAGE, "snapshots")
}

/// The removals of the stage. With `keep_data` volumes and snapshots stay.
#[must_use]
pub fn removals(pace: Pace, keep_data: bool) -> Vec<Arc<dyn Removal>> {
    let row = |step: StepId, title: &str, expected: u64, needs: Vec<Need>| {
        let mut row = Row::new(step.stage(), step.name(), title).needs(needs);
        row.timeouts.ready = pace.bound(REMOVED_WITHIN);
        row.timeouts.expected = pace.expected(expected);
        row
    };
    let mut table = vec![
        CloudRemoval::removal(
            row(
                groups(),
                "node groups",
                300,
                // Controllers that remove load balancers run on these nodes.
                vec![Need::ready(load_balancers())],
            ),
            pace.poll(POLL),
            Groups,
        ),
        CloudRemoval::removal(
            row(
                instances(),
                "instances that nobody's group holds",
                40,
                vec![Need::ready(groups())],
            ),
            pace.poll(5),
            Instances,
        ),
    ];
    if !keep_data {
        table.push(CloudRemoval::removal(
            row(
                volumes(),
                "volumes of claims",
                10,
                vec![Need::ready(instances())],
            ),
            pace.poll(5),
            Volumes,
        ));
        table.push(CloudRemoval::removal(
            row(
                snapshots(),
                "snapshots of volumes of claims",
                2,
                // The driver that makes them runs until then.
                vec![Need::ready(instances())],
            ),
            pace.poll(5),
            Snapshots,
        ));
    }
    table
}

/// Every group of the environment's own clusters: they must be empty to go.
struct Groups;

#[async_trait]
impl Unwanted for Groups {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let groups = &cloud(cx)?.node_groups;
        let failed = |error: PortError| error.during("look for", "node groups");
        let mut remaining = Vec::new();
        for cluster in own_clusters(cx).await? {
            for name in groups.names(&cluster.name).await.map_err(failed)? {
                let group = groups.find(&cluster.name, &name).await.map_err(failed)?;
                remaining.extend(group.map(|group| left(&cluster.name, &group)));
            }
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let Some((cluster, name)) = remnant.id.split_once('/') else {
            return Ok(Ok(Deletion::Absent));
        };
        let groups = &cloud(cx)?.node_groups;
        Ok(groups.delete(cluster, name).await)
    }

    fn gone(&self) -> String {
        "no node groups left".to_owned()
    }
}

/// A group that is still there, as `CLUSTER/GROUP`: neither name has a slash in it.
fn left(cluster: &str, group: &NodeGroup) -> Remnant {
    let id = format!("{cluster}/{}", group.name);
    let words = format!("node group {}", group.name);
    match group.state {
        NodeGroupState::Deleting => Remnant::going(&id, format!("{words} DELETING")),
        // It is asked again; why EKS could not is what a person needs to know.
        NodeGroupState::DeleteFailed => {
            let why: Vec<String> = group.issues.iter().map(ToString::to_string).collect();
            let words = format!("{words} DELETE_FAILED: {}", why.join("; "));
            Remnant::there(&id, words)
        }
        _ => Remnant::there(&id, words),
    }
}

/// Instances of the cluster that no group holds (field reports: Karpenter's, after its controller was gone).
struct Instances;

impl Instances {
    async fn all(cx: &StepContext) -> Result<Vec<Instance>, StepError> {
        let compute = &cloud(cx)?.compute;
        let failed = |error: PortError| error.during("look for", "instances");
        let clusters = cluster_names(cx).await?;
        let ours = Selector::Tagged(tags::owned_by(&cx.environment));
        let mut found = compute.instances(&ours).await.map_err(failed)?;
        for (vpc, _) in vpcs(cx).await?.all() {
            let inside = Selector::Vpc(vpc.clone());
            let inside = compute.instances(&inside).await.map_err(failed)?;
            for instance in inside {
                if belongs(&instance.tags, cx, &clusters)
                    && !found.iter().any(|known| known.id == instance.id)
                {
                    found.push(instance);
                }
            }
        }
        found.retain(|instance| instance.state != InstanceState::Terminated);
        Ok(found)
    }
}

#[async_trait]
impl Unwanted for Instances {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let all = Self::all(cx).await?;
        Ok(all
            .iter()
            .map(|instance| {
                let words = format!("instance {}", instance.id);
                match instance.state {
                    InstanceState::ShuttingDown => {
                        Remnant::going(&instance.id, format!("{words} shutting down"))
                    }
                    _ => Remnant::there(&instance.id, words),
                }
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let ended = cloud(cx)?
            .compute
            .terminate(std::slice::from_ref(&remnant.id));
        Ok(ended.await.map(|()| Deletion::Accepted))
    }

    fn gone(&self) -> String {
        "no instances left".to_owned()
    }
}

/// Volumes that the CSI driver made for claims: they carry the environment's tags (`extraVolumeTags`). The claims go with
/// the cluster, so nobody else deletes them.
struct Volumes;

#[async_trait]
impl Unwanted for Volumes {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let ours = Selector::Tagged(tags::owned_by(&cx.environment));
        let volumes = cloud(cx)?.compute.volumes(&ours).await;
        let volumes = volumes.map_err(|error| error.during("look for", "volumes"))?;
        Ok(volumes
            .iter()
            .map(|volume| {
                let words = format!("volume {} ({} GiB)", volume.id, volume.gibibytes);
                if volume.deleting {
                    Remnant::going(&volume.id, words)
                } else if let Some(instance) = volume.attached_to.first() {
                    Remnant::going(&volume.id, format!("{words} ← instance {instance}"))
                } else {
                    Remnant::there(&volume.id, words)
                }
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.compute.delete_volume(&remnant.id).await)
    }

    fn gone(&self) -> String {
        "no volumes left".to_owned()
    }
}

/// Snapshots that the CSI driver made of such volumes: it gives them the same tags, and they outlive volume and cluster. They
/// are data like the volumes, so they stay and go by the same rule.
struct Snapshots;

#[async_trait]
impl Unwanted for Snapshots {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let ours = Selector::Tagged(tags::owned_by(&cx.environment));
        let snapshots = cloud(cx)?.compute.snapshots(&ours).await;
        let snapshots = snapshots.map_err(|error| error.during("look for", "snapshots"))?;
        Ok(snapshots
            .iter()
            .map(|snapshot| {
                let Snapshot { id, volume, .. } = snapshot;
                Remnant::there(id, format!("snapshot {id} of {volume}"))
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.compute.delete_snapshot(&remnant.id).await)
    }

    /// Only an image is made of a snapshot, and pipectl makes none.
    async fn holders(&self, _: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        Ok(Removed::HeldByOthers {
            chain: vec!["an image (AMI) that is made of it".to_owned()],
            safe_next: Some(format!(
                "deregister the image, then run pipectl down again; aws ec2 describe-images --owners self --filters Name=block-device-mapping.snapshot-id,Values={} shows it",
                remnant.id
            )),
        })
    }

    fn gone(&self) -> String {
        "no snapshots left".to_owned()
    }
}
