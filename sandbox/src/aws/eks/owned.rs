//! What the inside of a cluster makes outside of it: volumes of claims, load balancers of services. The cluster's drivers and its
//! cloud provider report it here; what they leave behind stays in the graph.

use std::collections::BTreeMap;
use std::time::Duration;

use super::addon::Addon;
use super::by_id;
use super::host::at;
use crate::aws::Aws;
use crate::aws::ec2::volume;
use crate::aws::elb::service::{self, OfCluster, ServiceBalancer};
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;

/// A volume that the EBS CSI driver made for a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimVolume {
    /// `vol-...`.
    pub id: String,
    /// Name of the persistent volume.
    pub name: String,
    /// Zone.
    pub zone: String,
    /// Size in GiB.
    pub size_gib: i64,
    /// Parameters of its storage class.
    pub parameters: BTreeMap<String, String>,
    /// What the driver writes on it, whichever cluster it is for.
    pub tags: BTreeMap<String, String>,
}

/// A parameter of a storage class; the driver takes their names in any case.
fn parameter<'a>(all: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let mut all = all.iter();
    all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn of_cluster<'a>(cluster: &'a super::cluster::Cluster) -> OfCluster<'a> {
    OfCluster {
        name: &cluster.name,
        vpc: &cluster.vpc,
        group: &cluster.own_group,
        instances: cluster
            .nodegroups
            .values()
            .flat_map(|group| &group.nodes)
            .filter(|(_, node)| node.has_joined() && !node.is_leaving())
            .map(|(id, _)| id.clone())
            .collect(),
    }
}

impl Aws {
    /// A claim of the cluster of that id has a volume: it appears in EC2, with the tags of the driver and of its add-on. One that
    /// is there grows to its size.
    pub fn claim_volume(&self, cluster: &str, claimed: ClaimVolume) {
        self.cloud.change(|world| {
            at(world, cluster, |scene| {
                if let Some(volume) = scene.region.ec2.volumes.get_mut(&claimed.id) {
                    volume.size = volume.size.max(claimed.size_gib);
                    return;
                }
                let Some(of) = by_id(scene, cluster) else {
                    return;
                };
                if !of.claimed.insert(claimed.id.clone()) {
                    return;
                }
                let mut tags = claimed.tags;
                let name = of.name.clone();
                tags.insert("KubernetesCluster".to_owned(), name.clone());
                tags.insert(
                    "Name".to_owned(),
                    format!("{name}-dynamic-{}", claimed.name),
                );
                tags.insert(format!("kubernetes.io/cluster/{name}"), "owned".to_owned());
                tags.extend(
                    of.addons
                        .get("aws-ebs-csi-driver")
                        .map(Addon::volume_tags)
                        .unwrap_or_default(),
                );
                let all = &claimed.parameters;
                let extra = all
                    .iter()
                    .filter(|(key, _)| key.to_ascii_lowercase().starts_with("tagspecification_"));
                tags.extend(extra.filter_map(|(_, tag)| {
                    let (key, value) = tag.split_once('=')?;
                    Some((key.to_owned(), value.to_owned()))
                }));
                let number = |name| parameter(all, name).and_then(|text| text.parse().ok());
                let new = volume::NewVolume {
                    zone: claimed.zone,
                    size: claimed.size_gib,
                    kind: parameter(all, "type").unwrap_or("gp3").to_owned(),
                    iops: number("iops"),
                    throughput: number("throughput"),
                    encrypted: parameter(all, "encrypted") == Some("true"),
                    kms_key: parameter(all, "kmsKeyId").map(str::to_owned),
                    tags,
                };
                volume::create_as(scene, claimed.id, new);
            });
        });
    }

    /// A claim's volume is deleted in EC2.
    pub fn release_volume(&self, cluster: &str, id: &str) {
        self.cloud.change(|world| {
            at(world, cluster, |scene| {
                if let Some(of) = by_id(scene, cluster) {
                    of.claimed.remove(id);
                }
                volume::remove(scene, id);
            })
        });
    }

    /// A claim's volume is attached to the instance of that node, or to none any more.
    pub fn place_volume(&self, cluster: &str, id: &str, node: Option<&str>) {
        let place = |scene: &mut Scene<'_>| {
            let instance = node.and_then(|node| instance_of(scene, node));
            let volumes = &mut scene.region.ec2.volumes;
            let used: Vec<String> = volumes
                .values()
                .filter_map(|volume| volume.attachment.as_ref())
                .filter(|attachment| Some(&attachment.instance) == instance.as_ref())
                .map(|attachment| attachment.device.clone())
                .collect();
            let Some(volume) = volumes.get_mut(id) else {
                return;
            };
            let at = volume.attachment.as_ref();
            if at.map(|attachment| &attachment.instance) == instance.as_ref() {
                return;
            }
            match instance {
                // The names that the driver gives, in their order.
                Some(instance) => {
                    let names = ('a'..='z').flat_map(|first| {
                        ('a'..='z').map(move |second| format!("/dev/xvd{first}{second}"))
                    });
                    let device = names.into_iter().find(|name| !used.contains(name));
                    volume::attach(scene, id, &instance, device.unwrap_or_default(), false);
                }
                None => {
                    if let Some(attachment) = volume.attachment.as_mut() {
                        "detaching".clone_into(&mut attachment.state);
                    }
                }
            }
            let volume = id.to_owned();
            scene.schedule(
                Wait::VolumeAttached,
                crate::aws::ec2::Event::VolumeMoved { volume },
            );
        };
        self.cloud.change(|world| at(world, cluster, place));
    }

    /// The load balancer of a service of that cluster, made or made as it should be: its name in DNS.
    ///
    /// # Errors
    /// Why it cannot be, in the words of an event.
    pub fn ensure_balancer(
        &self,
        cluster: &str,
        wanted: &ServiceBalancer,
    ) -> Result<String, String> {
        let ensure = |scene: &mut Scene<'_>| {
            let of = by_id(scene, cluster).map(|of| of.clone());
            let of = of.ok_or_else(|| "the cluster is gone".to_owned())?;
            service::ensure(scene, &of_cluster(&of), wanted)
        };
        let made = self.cloud.change(|world| at(world, cluster, ensure));
        made.unwrap_or_else(|| Err("the cluster is gone".to_owned()))
    }

    /// The load balancer of that name goes. Gives the security groups to be deleted with [`Aws::forget_group`] as soon as they can
    /// be.
    pub fn release_balancer(&self, cluster: &str, name: &str) -> Vec<String> {
        let release = |scene: &mut Scene<'_>| {
            let of = by_id(scene, cluster).map(|of| of.name.clone())?;
            Some(service::release(scene, &of, name))
        };
        let released = self.cloud.change(|world| at(world, cluster, release));
        released.flatten().unwrap_or_default()
    }

    /// Delete a security group of a load balancer that is gone, unless something still uses it; whether it is gone.
    pub fn forget_group(&self, cluster: &str, id: &str) -> bool {
        let forget = |scene: &mut Scene<'_>| service::forget_group(scene, id);
        let gone = self.cloud.change(|world| at(world, cluster, forget));
        gone.unwrap_or(true)
    }

    /// How long a duration of AWS's time takes here.
    #[must_use]
    pub fn scaled(&self, aws: Duration) -> Duration {
        self.cloud.with(|world| world.core.clock.scaled(aws))
    }
}

/// The instance behind a node's name.
fn instance_of(scene: &Scene<'_>, node: &str) -> Option<String> {
    let ec2 = &scene.region.ec2;
    let mut interfaces = ec2.interfaces.values();
    interfaces.find_map(|interface| {
        let address = interface.addresses.first()?;
        let instance = interface.attachment.as_ref()?.instance.clone()?;
        let alive = ec2.instances.get(&instance)?.is_alive();
        let name = crate::aws::ec2::instance::private_name(scene, &address.to_string());
        (alive && name == node).then_some(instance)
    })
}
