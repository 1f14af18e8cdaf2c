//! What a removal has to go by: the cluster's name, the VPCs that are the environment's own, and whose the things are
//! that AWS and the cluster's controllers made in them.

use std::collections::BTreeSet;

use super::{cloud, lost::Lost, names, tags};
use crate::{
    cluster::steps as cluster_steps,
    context::StepContext,
    error::{PortError, StepError},
    network::steps as network_steps,
    objects::ownership::Owner,
    ports::{
        anchors::Anchor,
        cloud::Tags,
        clusters::Cluster,
        network::{Detail, Lookup, Piece, PieceKind},
    },
};

/// Tag that the VPC CNI puts on interfaces it makes (amazon-vpc-cni-k8s, `CLUSTER_NAME`).
const CNI_CLUSTER_TAG: &str = "cluster.k8s.amazonaws.com/name";
/// Tag that the AWS load balancer controller puts on what it makes.
const CONTROLLER_CLUSTER_TAG: &str = "elbv2.k8s.aws/cluster";
/// Tag that EKS puts on the security group it makes for a cluster.
const EKS_CLUSTER_TAG: &str = "aws:eks:cluster-name";

/// The EKS cluster's name: as recorded, else as the account's anchor says, else that of the cluster that carries the
/// environment's tags, else the default one.
///
/// # Errors
/// When the account cannot be read.
pub async fn cluster_name(cx: &StepContext) -> Result<String, StepError> {
    if let Some(name) = super::text(cx, &cluster_steps::control_plane(), "name") {
        return Ok(name);
    }
    if let Some(anchor) = own_anchor(cx).await? {
        return Ok(anchor.cluster);
    }
    let clusters = &cloud(cx)?.clusters;
    let read = |error: PortError| error.during("look for", "EKS clusters");
    for name in clusters.names().await.map_err(read)? {
        let found = clusters.find(&name).await.map_err(read)?;
        if found.is_some_and(|found| tags::owner(&found.tags, &cx.environment) == Owner::Ours) {
            return Ok(name);
        }
    }
    Ok(names::default_cluster(&cx.environment))
}

/// The environment's record in the account, while there is one.
async fn own_anchor(cx: &StepContext) -> Result<Option<Anchor>, StepError> {
    let anchor = cloud(cx)?.anchors.find(&cx.environment.name).await;
    let anchor = anchor.map_err(|error| error.during("read", "the environment's anchor"))?;
    Ok(anchor.filter(|anchor| anchor.uid == cx.environment.uid))
}

/// The names of the environment's clusters: that of [`cluster_name`], and what others its tags are found on. An older version
/// let the name change and left the cluster of the old one. The tagging service lags behind and shows what is gone for a
/// while; where it does not answer, the inventory says so.
///
/// # Errors
/// When the account cannot be read.
pub async fn cluster_names(cx: &StepContext) -> Result<BTreeSet<String>, StepError> {
    let mut names = BTreeSet::from([cluster_name(cx).await?]);
    let tagged = cloud(cx)?
        .tagged
        .all(&tags::owned_by(&cx.environment))
        .await
        .unwrap_or_default();
    names.extend(tagged.iter().filter_map(|one| cluster_of(&one.arn)));
    Ok(names)
}

/// The cluster that an ARN names: its own, or that of its log group.
fn cluster_of(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next()?, parts.nth(2)?);
    let name = match service {
        "eks" => resource.strip_prefix("cluster/")?,
        "logs" => {
            let group = resource.strip_prefix("log-group:/aws/eks/")?;
            group.split_once("/cluster")?.0
        }
        _ => return None,
    };
    Some(name.to_owned())
}

/// The environment's clusters that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters {
    /// This environment's.
    pub own: Vec<Cluster>,
    /// Made by this environment, and without its tags now.
    pub lost: Vec<Cluster>,
}

/// The environment's clusters.
///
/// # Errors
/// When the account cannot be read.
pub async fn clusters(cx: &StepContext) -> Result<Clusters, StepError> {
    let mut clusters = Clusters::default();
    for name in cluster_names(cx).await? {
        let found = cloud(cx)?.clusters.find(&name).await;
        let found =
            found.map_err(|error| error.during("look at", format!("EKS cluster {name}")))?;
        match found {
            Some(cluster) if tags::is_still_ours(&cluster.tags, &cx.environment) => {
                clusters.own.push(cluster);
            }
            Some(cluster) if made_here(cx, &cluster) => clusters.lost.push(cluster),
            Some(_) | None => {}
        }
    }
    Ok(clusters)
}

/// Whether a cluster whose tags do not say so was made by this environment. Its role says it: only pipectl makes roles under
/// an environment's path, and a cluster keeps its role for life. Under another environment's UID that is not enough.
fn made_here(cx: &StepContext, cluster: &Cluster) -> bool {
    let region = cluster.arn.split(':').nth(3).unwrap_or_default();
    let path = names::iam_path(region, &cx.environment);
    let by_role = cluster.role.contains(&format!(":role{path}"));
    let recorded = super::text(cx, &cluster_steps::control_plane(), "arn");
    match tags::owner(&cluster.tags, &cx.environment) {
        Owner::Ours => true,
        Owner::Unmarked => by_role,
        Owner::Other { .. } => by_role && recorded.is_some_and(|arn| arn == cluster.arn),
    }
}

/// The environment's clusters, to take them down.
///
/// # Errors
/// `DWN005` when one lost its tags: what it stands on must not be taken from under it. When the account cannot be read.
pub async fn own_clusters(cx: &StepContext) -> Result<Vec<Cluster>, StepError> {
    let clusters = clusters(cx).await?;
    match clusters.lost.first() {
        Some(lost) => Err(lost_cluster(cx, lost).error()),
        None => Ok(clusters.own),
    }
}

/// A cluster that lost its tags.
pub(crate) fn lost_cluster(cx: &StepContext, cluster: &Cluster) -> Lost {
    Lost::cluster(&cx.environment, &cluster.name, &cluster.arn, &cluster.tags)
}

/// Pieces of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    /// This environment's.
    pub own: Vec<Piece>,
    /// Made by this environment, and without its tags now.
    pub lost: Vec<Lost>,
}

/// The environment's pieces of a kind: by tags, and by recorded ids where these are still the environment's.
///
/// # Errors
/// When EC2 cannot be read.
pub async fn own_pieces(cx: &StepContext, kind: PieceKind) -> Result<Vec<Piece>, StepError> {
    Ok(pieces(cx, kind).await?.own)
}

/// The environment's pieces of a kind, with those that do not say any more that they are.
///
/// # Errors
/// When EC2 cannot be read.
pub async fn pieces(cx: &StepContext, kind: PieceKind) -> Result<Pieces, StepError> {
    let network = &cloud(cx)?.network;
    let read = |error: PortError| error.during("look for", kind.words());
    let ours = Lookup::Tagged(tags::owned_by(&cx.environment));
    let mut own = network.find(kind, &ours).await.map_err(read)?;
    // An id says its kind, and one that was recorded while its tags were not to be seen yet is found by it.
    let recorded: Vec<String> = cx
        .outputs
        .iter()
        .filter(|(step, outputs)| step.starts_with("network/") && outputs["brought"] != true)
        .filter_map(|(_, outputs)| outputs["id"].as_str())
        .filter(|id| kind_of_id(id) == Some(kind) && !own.iter().any(|piece| piece.id == *id))
        .map(str::to_owned)
        .collect();
    let mut lost = Vec::new();
    if !recorded.is_empty() {
        let by_id = network.find(kind, &Lookup::Ids(recorded)).await;
        for piece in by_id.map_err(read)? {
            if tags::is_still_ours(&piece.tags, &cx.environment) {
                own.push(piece);
            } else if piece.is_alive() {
                lost.push(Lost::piece(&cx.environment, &piece));
            }
        }
    }
    Ok(Pieces { own, lost })
}

/// The kind of piece that an id names (EC2 user guide, resource ids).
fn kind_of_id(id: &str) -> Option<PieceKind> {
    let (prefix, _) = id.split_once('-')?;
    Some(match prefix {
        "vpc" => PieceKind::Vpc,
        "igw" => PieceKind::InternetGateway,
        "subnet" => PieceKind::Subnet,
        "eipalloc" => PieceKind::Address,
        "nat" => PieceKind::NatGateway,
        "rtb" => PieceKind::RouteTable,
        "vpce" => PieceKind::Endpoint,
        "sg" => PieceKind::SecurityGroup,
        _ => return None,
    })
}

/// The VPCs in which the environment's things stand, and which of them are its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vpcs {
    /// Made by the environment.
    pub own: BTreeSet<String>,
    /// Brought by the user.
    pub brought: BTreeSet<String>,
}

impl Vpcs {
    /// All of them, with whether each is the environment's own.
    pub fn all(&self) -> impl Iterator<Item = (&String, bool)> {
        let own = self.own.iter().map(|vpc| (vpc, true));
        own.chain(self.brought.iter().map(|vpc| (vpc, false)))
    }
}

/// The VPCs of the environment.
///
/// # Errors
/// When EC2 or EKS cannot be read.
pub async fn vpcs(cx: &StepContext) -> Result<Vpcs, StepError> {
    let mut brought = BTreeSet::new();
    if let Some(outputs) = cx.output_of(network_steps::vpc().as_str())
        && let Some(id) = outputs["id"].as_str()
    {
        // What is recorded stands in its id: in a VPC that is gone there is nothing to be found.
        let id = BTreeSet::from([id.to_owned()]);
        return Ok(if outputs["brought"] == true {
            Vpcs {
                own: BTreeSet::new(),
                brought: id,
            }
        } else {
            Vpcs { own: id, brought }
        });
    }
    let own = own_pieces(cx, PieceKind::Vpc).await?;
    let own: BTreeSet<String> = own.into_iter().map(|vpc| vpc.id).collect();
    if own.is_empty() {
        // With the record lost: what the account's own record says, where the cluster stands, or where it stood, as its
        // further security group says.
        brought.extend(own_anchor(cx).await?.and_then(|anchor| anchor.brought_vpc));
        let clusters = clusters(cx).await?;
        let clusters = clusters.own.into_iter().chain(clusters.lost);
        brought.extend(clusters.map(|cluster| cluster.vpc));
        let groups = own_pieces(cx, PieceKind::SecurityGroup).await?;
        brought.extend(groups.into_iter().filter_map(|group| match group.detail {
            Detail::SecurityGroup { vpc, .. } => Some(vpc),
            _ => None,
        }));
    }
    Ok(Vpcs { own, brought })
}

/// Whether a thing carries the environment's ownership, or was made for one of its clusters by a controller.
#[must_use]
pub fn belongs(tags_of: &Tags, cx: &StepContext, clusters: &BTreeSet<String>) -> bool {
    match tags::owner(tags_of, &cx.environment) {
        Owner::Ours => true,
        Owner::Other { .. } => false,
        Owner::Unmarked => clusters.iter().any(|cluster| made_for(tags_of, cluster)),
    }
}

/// Whether a controller made a thing for this cluster. `shared` is what we say of subnets, so it does not count.
#[must_use]
pub fn made_for(tags_of: &Tags, cluster: &str) -> bool {
    let names = [CNI_CLUSTER_TAG, CONTROLLER_CLUSTER_TAG, EKS_CLUSTER_TAG];
    names
        .iter()
        .any(|key| tags_of.get(*key).is_some_and(|value| value == cluster))
        || tags_of
            .get(&format!("kubernetes.io/cluster/{cluster}"))
            .is_some_and(|value| value == "owned")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controllers_made_for_the_cluster_is_known_by_their_tags() {
        let tags = |key: &str, value: &str| Tags::from([(key.to_owned(), value.to_owned())]);
        assert!(made_for(&tags("cluster.k8s.amazonaws.com/name", "c"), "c"));
        assert!(made_for(&tags("kubernetes.io/cluster/c", "owned"), "c"));
        assert!(!made_for(&tags("kubernetes.io/cluster/c", "shared"), "c"));
        assert!(!made_for(&tags("aws:eks:cluster-name", "other"), "c"));
    }

    #[test]
    fn arns_name_clusters() {
        let of = |rest: &str| cluster_of(&format!("arn:aws:{rest}"));
        assert_eq!(of("eks:r:1:cluster/c").as_deref(), Some("c"));
        let group = "logs:r:1:log-group:/aws/eks/c/cluster";
        assert_eq!(of(group).as_deref(), Some("c"));
        assert_eq!(of("eks:r:1:nodegroup/c/g/id"), None);
        assert_eq!(of("logs:r:1:log-group:/aws/lambda/c"), None);
        assert_eq!(of("ec2:r:1:vpc/vpc-1"), None);
    }
}
