//! Launching an instance: what has to be there, and what comes with it.

use std::collections::BTreeMap;

use http::StatusCode;

use super::instance::{Instance, State};
use super::instance_type::InstanceType;
use super::interface::{self, Attachment, NewInterface, PublicAddress};
use super::resource::find;
use super::volume::{self, NewVolume};
use super::{Event, address, instance_type};
use crate::aws::wire::error::ApiError;
use crate::aws::world::faults::AwsFaultEffect;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// What an instance is launched with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) subnet: String,
    /// Security groups; the VPC's default one when empty.
    pub(crate) groups: Vec<String>,
    /// ARN of its instance profile.
    pub(crate) profile: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) spot: bool,
    /// Whether it gets a public address; the subnet decides when absent.
    pub(crate) public: Option<bool>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) volume_tags: BTreeMap<String, String>,
    pub(crate) interface_tags: BTreeMap<String, String>,
}

/// A volume that comes with an instance. The first is the root.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) device: String,
    /// GiB.
    pub(crate) size: i64,
    pub(crate) kind: String,
    pub(crate) encrypted: bool,
    pub(crate) delete_on_termination: bool,
}

impl Default for Disk {
    /// The root volume of an EKS image.
    fn default() -> Self {
        Self {
            device: "/dev/xvda".to_owned(),
            size: 20,
            kind: "gp3".to_owned(),
            encrypted: false,
            delete_on_termination: true,
        }
    }
}

/// Launch one instance, for any part of the simulator. Nothing has changed when it fails.
///
/// # Errors
/// As `RunInstances` fails: type unknown or not in that zone, no capacity, quota reached, no free address.
pub(crate) fn launch(
    scene: &mut Scene<'_>,
    new: &Launch,
    reservation: &str,
) -> Result<String, ApiError> {
    let subnet = find(&scene.region.ec2.subnets, &new.subnet)?;
    let (vpc, zone) = (subnet.vpc.clone(), subnet.zone.clone());
    let public = new.public.unwrap_or(subnet.public_addresses);
    let kind = instance_type::check(scene, &new.instance_type, &zone)?;
    enough_quota(scene, kind, new.spot)?;
    let core = &mut *scene.core;
    if core
        .faults
        .instance(&AwsFaultEffect::Capacity, &zone, &new.instance_type)
    {
        return Err(no_capacity(&new.instance_type, &zone));
    }
    let ids = &mut core.ids;
    let id = ids.ec2("i");
    let attachment = Attachment {
        id: ids.ec2("eni-attach"),
        instance: Some(id.clone()),
        owner: scene.place.account.clone(),
        index: 0,
        at: scene.now,
        delete_on_termination: true,
    };
    let interface = interface::create(
        scene,
        NewInterface {
            subnet: new.subnet.clone(),
            groups: new.groups.clone(),
            tags: new.interface_tags.clone(),
            ..NewInterface::default()
        },
    )?;
    let address = public.then(|| address::public_address(scene));
    if let Some(made) = scene.region.ec2.interfaces.get_mut(&interface) {
        made.attachment = Some(attachment);
        made.public = address.map(|address| PublicAddress {
            address,
            allocation: None,
            owner: "amazon".to_owned(),
        });
    }
    let standard = [Disk::default()];
    let disks = if new.disks.is_empty() {
        &standard[..]
    } else {
        &new.disks
    };
    for disk in disks {
        let volume = volume::create(
            scene,
            NewVolume {
                zone: zone.clone(),
                size: disk.size,
                kind: disk.kind.clone(),
                iops: None,
                throughput: None,
                encrypted: disk.encrypted,
                kms_key: None,
                tags: new.volume_tags.clone(),
            },
        );
        volume::attach(
            scene,
            &volume,
            &id,
            disk.device.clone(),
            disk.delete_on_termination,
        );
        scene.schedule(Wait::VolumeAttached, Event::VolumeMoved { volume });
    }
    let instance = Instance {
        id: id.clone(),
        created: scene.now,
        reservation: reservation.to_owned(),
        instance_type: new.instance_type.clone(),
        image: new.image.clone(),
        subnet: new.subnet.clone(),
        vpc,
        zone,
        state: State::Pending,
        profile: new.profile.clone(),
        key_name: new.key_name.clone(),
        token: new.token.clone(),
        spot: new.spot,
        root_device: disks[0].device.clone(),
        why: None,
        tags: Tags::new(new.tags.clone()),
    };
    scene.region.ec2.instances.insert(id.clone(), instance);
    scene.schedule(
        Wait::InstanceRunning,
        Event::InstanceRunning {
            instance: id.clone(),
        },
    );
    Ok(id)
}

/// Each quota counts the vCPUs of the families that share it.
fn enough_quota(scene: &Scene<'_>, kind: &InstanceType, spot: bool) -> Result<(), ApiError> {
    let (vcpus, code) = (kind.vcpus, instance_type::quota(kind.name, spot));
    let quota = scene.quota(code);
    let alive = scene.region.ec2.instances.values();
    let used: u32 = alive
        .filter(|instance| instance.is_alive() && instance.spot == spot)
        .filter(|instance| instance_type::quota(&instance.instance_type, spot) == code)
        .filter_map(|instance| instance_type::find(&instance.instance_type))
        .map(|kind| kind.vcpus)
        .sum();
    if usize::try_from(used + vcpus).unwrap_or(usize::MAX) <= quota {
        return Ok(());
    }
    if spot {
        let message = "Max spot instance count exceeded";
        return Err(ApiError::new("MaxSpotInstanceCountExceeded", message));
    }
    let message = format!(
        "You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the instance bucket that the \
         specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment \
         to this limit."
    );
    Err(ApiError::new("VcpuLimitExceeded", message))
}

fn no_capacity(kind: &str, zone: &str) -> ApiError {
    let message = format!(
        "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be \
         working on provisioning additional capacity."
    );
    // HTTP 500, which SDKs repeat: users see it after their client's last attempt.
    ApiError::new("InsufficientInstanceCapacity", message).status(StatusCode::INTERNAL_SERVER_ERROR)
}
