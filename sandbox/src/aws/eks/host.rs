//! The border to real control planes: which clusters there are, how they should look, and who may enter.
//!
//! It works by level, not by edge: a host learns that something has changed, asks for all clusters, and makes its control
//! planes like that. What it missed while it was away it sees all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::access::{POLICIES, policies_of, principal_of};
use super::addon::Addon;
use super::cluster::{self, Plane, Status};
use super::{by_id, version};
use crate::aws::Aws;
use crate::aws::ec2::{instance, instance_type};
use crate::aws::world::World;
use crate::aws::world::scene::Scene;
use crate::aws::world::zones;

/// A cluster as its control plane should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Name.
    pub name: String,
    /// Unique among all clusters that ever were; names come again.
    pub id: String,
    /// Version, e.g. `1.35`.
    pub version: String,
    /// Issuer of its service account tokens.
    pub issuer: String,
    /// Addresses of services, e.g. `172.20.0.0/16`.
    pub service_range: String,
    /// Where its control plane listened when it was up last; nowhere before it was.
    pub plane: Option<PlaneAddress>,
    /// Its nodes.
    pub nodes: Vec<NodeView>,
    /// Whether volumes are made for claims: the EBS CSI driver works.
    pub volumes: bool,
    /// Namespaces in which access policies hold, each with the policy's name.
    pub namespaced: BTreeSet<(String, String)>,
}

/// A node as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name in Kubernetes: the instance's private DNS name.
    pub name: String,
    /// Instance.
    pub instance: String,
    /// Zone, e.g. `us-west-2a`.
    pub zone: String,
    /// Zone's id, e.g. `usw2-az1`.
    pub zone_id: String,
    /// Private address.
    pub address: String,
    /// Instance type.
    pub instance_type: String,
    /// `amd64` or `arm64`.
    pub architecture: &'static str,
    /// vCPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// How many pods fit.
    pub pods: u32,
    /// Root disk in GiB.
    pub disk_gib: i64,
    /// Node group.
    pub group: String,
    /// Whether it is a spot instance.
    pub spot: bool,
    /// Kubernetes version, e.g. `1.35.4`.
    pub version: String,
    /// Labels of its node group.
    pub labels: BTreeMap<String, String>,
    /// Taints of its node group: key, value, effect in Kubernetes' words.
    pub taints: Vec<(String, String, &'static str)>,
    /// Whether its network works; without it is not ready.
    pub ready: bool,
    /// Whether it is being drained: it takes no more pods.
    pub leaving: bool,
}

/// Who somebody is inside a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the user.
    pub username: String,
    /// Unique id.
    pub uid: String,
    /// Groups; access policies appear as groups, see [`policy_group`].
    pub groups: Vec<String>,
}

/// Where a control plane listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaneAddress {
    /// `https://...`.
    pub server: String,
    /// Certificate of its authority, PEM in base64.
    pub authority: String,
}

/// Boots, changes and ends control planes.
#[async_trait]
pub trait ClusterHost: Send + Sync + 'static {
    /// Make the control planes those of `clusters`: boot what is missing, end what is no longer there, see to nodes and
    /// bindings of those that are up. Reports what is up with [`Aws::cluster_is_up`]. Called again after each change; one call
    /// at a time.
    async fn reconcile(&self, aws: &Arc<Aws>, clusters: Vec<ClusterView>);
}

/// The group by which an access policy is bound inside a cluster, everywhere or in one namespace. EKS has an authorizer of its own
/// for that, which needs no groups; here real RBAC does it, and the groups show in a `SelfSubjectReview`.
#[must_use]
pub fn policy_group(policy: &str, namespace: Option<&str>) -> String {
    match namespace {
        None => format!("eks-access-policy:{policy}"),
        Some(namespace) => format!("eks-access-policy:{policy}:{namespace}"),
    }
}

/// The ClusterRole that stands for each access policy.
#[must_use]
pub fn access_policies() -> &'static [(&'static str, &'static str)] {
    &POLICIES
}

fn effect(effect: &str) -> &'static str {
    match effect {
        "NO_EXECUTE" => "NoExecute",
        "PREFER_NO_SCHEDULE" => "PreferNoSchedule",
        _ => "NoSchedule",
    }
}

fn nodes(scene: &Scene<'_>, cluster: &cluster::Cluster) -> Vec<NodeView> {
    let ec2 = &scene.region.ec2;
    let mut all = Vec::new();
    for group in cluster.nodegroups.values() {
        for (id, node) in group.nodes.iter().filter(|(_, node)| node.has_joined()) {
            let Some(machine) = ec2.instances.get(id).filter(|machine| machine.is_running()) else {
                continue;
            };
            let of_it = |interface: &&crate::aws::ec2::interface::Interface| {
                let attachment = interface.attachment.as_ref();
                attachment
                    .is_some_and(|a| a.instance.as_deref() == Some(id.as_str()) && a.index == 0)
            };
            let interface = ec2.interfaces.values().find(of_it);
            let address = interface.and_then(|interface| interface.addresses.first());
            let (Some(kind), Some(address)) =
                (instance_type::find(&machine.instance_type), address)
            else {
                continue;
            };
            let taint = |taint: &super::nodegroup::Taint| {
                (
                    taint.key.clone(),
                    taint.value.clone(),
                    effect(&taint.effect),
                )
            };
            all.push(NodeView {
                name: instance::private_name(scene, &address.to_string()),
                instance: id.clone(),
                zone: machine.zone.clone(),
                zone_id: zones::zone_id(&machine.zone).unwrap_or_default().to_owned(),
                address: address.to_string(),
                instance_type: machine.instance_type.clone(),
                architecture: if kind.architecture == "arm64" {
                    "arm64"
                } else {
                    "amd64"
                },
                vcpus: kind.vcpus,
                memory_mib: kind.memory_mib,
                pods: kind.max_pods(),
                disk_gib: group.disk,
                group: group.name.clone(),
                spot: group.spot,
                version: version::patch(&node.version).to_owned(),
                labels: group.labels.clone(),
                taints: group.taints.iter().map(taint).collect(),
                ready: node.is_ready() || node.is_leaving(),
                leaving: node.is_leaving(),
            });
        }
    }
    all
}

fn view(scene: &Scene<'_>, cluster: &cluster::Cluster) -> ClusterView {
    let entries = cluster.entries.values();
    let policies = entries.flat_map(policies_of);
    let namespaced = policies.flat_map(|(policy, namespaces)| {
        let named = namespaces.into_iter().flatten();
        named.map(move |namespace| (namespace.clone(), policy.to_owned()))
    });
    ClusterView {
        account: scene.place.account.clone(),
        region: scene.place.region.clone(),
        name: cluster.name.clone(),
        id: cluster.id.clone(),
        version: cluster.version.clone(),
        issuer: cluster.issuer(scene.place),
        service_range: cluster.service_range.clone(),
        plane: cluster.plane.as_ref().map(|plane| PlaneAddress {
            server: plane.server.clone(),
            authority: plane.authority.clone(),
        }),
        nodes: nodes(scene, cluster),
        volumes: cluster
            .addons
            .get("aws-ebs-csi-driver")
            .is_some_and(Addon::works),
        namespaced: namespaced.collect(),
    }
}

/// Look at, or change, the cluster of that id, wherever it is.
pub(super) fn at<T>(
    world: &mut World,
    id: &str,
    work: impl FnOnce(&mut Scene<'_>) -> T,
) -> Option<T> {
    let place = world.places().into_iter().find(|place| {
        world.on(place, world.core.clock.now(), |scene| {
            by_id(scene, id).is_some()
        })
    })?;
    let now = world.core.clock.now();
    Some(world.on(&place, now, work))
}

impl Aws {
    /// Let `host` see to control planes until `shutdown`. From now on clusters become active only when theirs is up.
    pub fn host(self: &Arc<Self>, host: Arc<dyn ClusterHost>, shutdown: CancellationToken) {
        self.cloud.with(|world| world.core.hosted = true);
        let mut changes = self.cloud.effects_seen();
        let aws = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                // Seen before it is looked at: a change in between is not lost.
                changes.borrow_and_update();
                let clusters = aws.clusters();
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = host.reconcile(&aws, clusters) => {}
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
            }
        });
    }

    /// Every cluster that needs a control plane, in every account and region.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterView> {
        self.cloud.with(|world| {
            let now = world.core.clock.now();
            let mut all = Vec::new();
            for place in world.places() {
                all.extend(world.on(&place, now, |scene| {
                    let clusters = scene.region.eks.clusters.values();
                    let alive = clusters.filter(|cluster| cluster.status != Status::Failed);
                    alive
                        .map(|cluster| view(scene, cluster))
                        .collect::<Vec<_>>()
                }));
            }
            all
        })
    }

    /// The control plane of the cluster of that id is up.
    pub fn cluster_is_up(&self, id: &str, address: PlaneAddress) {
        self.cloud.change(|world| {
            at(world, id, |scene| {
                if let Some(cluster) = by_id(scene, id) {
                    let PlaneAddress { server, authority } = address;
                    cluster.plane = Some(Plane { server, authority });
                }
                cluster::settles(scene, id);
            })
        });
    }

    /// Who the bearer of a token (`k8s-aws-v1.` and a presigned URL in base64) is in the cluster of that id; nobody when the
    /// token is none, is for another cluster, has expired, or its caller has no access entry.
    #[must_use]
    pub fn identify(&self, id: &str, token: &str) -> Option<Identity> {
        let encoded = token.strip_prefix("k8s-aws-v1.")?;
        let url = String::from_utf8(unpadded(encoded)?).ok()?;
        let name = self.cloud.with(|world| {
            at(world, id, |scene| {
                by_id(scene, id).map(|cluster| cluster.name.clone())
            })
        })??;
        let caller = self.caller_of(&url, &[("x-k8s-aws-id", &name)])?;
        self.cloud
            .with(|world| at(world, id, |scene| entered(scene, id, &caller)))?
    }
}

/// Base64 without padding, by both alphabets.
fn unpadded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    // A last character alone says nothing whole.
    (held != 6).then_some(out)
}

/// Who a caller is in a cluster.
fn entered(scene: &mut Scene<'_>, id: &str, caller: &str) -> Option<Identity> {
    let principal = principal_of(scene, caller);
    let session = caller.rsplit('/').next().unwrap_or_default().to_owned();
    let entry = by_id(scene, id)?.entries.get(&principal)?;
    let mut groups = entry.groups.clone();
    for (policy, namespaces) in policies_of(entry) {
        match namespaces {
            None => groups.push(policy_group(policy, None)),
            Some(all) => groups.extend(all.iter().map(|one| policy_group(policy, Some(one)))),
        }
    }
    Some(Identity {
        username: entry.username.replace("{{SessionName}}", &session),
        uid: format!("aws-iam-authenticator:{principal}"),
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_both_alphabets() {
        assert_eq!(unpadded("cGlwZQ").unwrap(), b"pipe");
        assert_eq!(unpadded("_-8").unwrap(), [0xff, 0xef]);
        assert_eq!(unpadded("/+8=").unwrap(), [0xff, 0xef]);
        assert!(unpadded("a b").is_none());
        assert!(unpadded("cGlwZ").is_none());
    }
}
