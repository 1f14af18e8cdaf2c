//! Instances: launched, running, ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::interface::{self, Attachment, Interface, group_set};
use super::resource::{Resource, Words, answer, find};
use super::volume;
use super::{Event, instance_type};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;
use crate::aws::world::zones;

/// An instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) created: Time,
    pub(crate) reservation: String,
    pub(crate) instance_type: String,
    pub(crate) image: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) zone: String,
    pub(crate) state: State,
    pub(crate) profile: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) spot: bool,
    pub(crate) root_device: String,
    pub(crate) why: Option<String>,
    pub(crate) tags: Tags,
}

/// The states of an instance. Stopping one is not simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
}

impl State {
    pub(super) fn show(self) -> Value {
        let code = match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
        };
        json!({"code": code, "name": self})
    }
}

impl Instance {
    /// Whether volumes can be attached to it.
    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether it was launched in that call.
    pub(crate) fn is_of(&self, reservation: &str) -> bool {
        self.reservation == reservation
    }

    /// Whether it counts: against quotas, and as something that is there.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, State::Pending | State::Running)
    }
}

impl Resource for Instance {
    const WORDS: Words = Words {
        prefix: "i",
        noun: "instance",
        not_found: "InvalidInstanceID.NotFound",
        malformed: "InvalidInstanceID.Malformed",
        tagged: "instance",
        ids: "InstanceId",
        set: "instancesSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("instance-id", "instanceId"),
        ("instance-state-name", "instanceState.name"),
        ("instance-state-code", "instanceState.code"),
        ("instance-type", "instanceType"),
        ("instance-lifecycle", "instanceLifecycle"),
        ("availability-zone", "placement.availabilityZone"),
        ("subnet-id", "subnetId"),
        ("vpc-id", "vpcId"),
        ("image-id", "imageId"),
        ("client-token", "clientToken"),
        ("private-dns-name", "privateDnsName"),
        ("private-ip-address", "privateIpAddress"),
        ("ip-address", "ipAddress"),
        ("instance.group-id", "groupSet.groupId"),
        ("iam-instance-profile.arn", "iamInstanceProfile.arn"),
        ("reservation-id", "reservationId"),
        (
            "network-interface.network-interface-id",
            "networkInterfaceSet.networkInterfaceId",
        ),
    ];

    fn created(&self) -> Time {
        self.created
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }

    fn show(&self, scene: &Scene<'_>) -> Value {
        let ec2 = &scene.region.ec2;
        let mine = |attachment: &Option<Attachment>| {
            attachment.as_ref().and_then(|a| a.instance.as_deref()) == Some(self.id.as_str())
        };
        let interfaces: Vec<_> = ec2
            .interfaces
            .values()
            .filter(|i| mine(&i.attachment))
            .collect();
        let first = interfaces
            .iter()
            .find(|interface| interface.attachment.as_ref().is_some_and(|a| a.index == 0));
        let private = first.and_then(|interface| interface.addresses.first());
        let dns = private.map(|address| private_name(scene, &address.to_string()));
        let volumes = ec2.volumes.values().filter_map(|volume| {
            let attachment = volume
                .attachment
                .as_ref()
                .filter(|a| a.instance == self.id)?;
            Some(json!({
                "deviceName": attachment.device,
                "ebs": {
                    "volumeId": volume.id,
                    "status": attachment.state,
                    "attachTime": attachment.at.iso(),
                    "deleteOnTermination": attachment.delete_on_termination,
                },
            }))
        });
        let volumes: Vec<Value> = volumes.collect();
        let architecture = instance_type::find(&self.instance_type).map(|kind| kind.architecture);
        json!({
            "instanceId": self.id,
            "imageId": self.image,
            "instanceState": self.state.show(),
            "stateReason": self.why.as_ref().map(|why| json!({"code": why, "message": why})),
            "privateDnsName": dns.unwrap_or_default(),
            "dnsName": "",
            "keyName": self.key_name,
            "amiLaunchIndex": 0,
            "instanceType": self.instance_type,
            "instanceLifecycle": self.spot.then_some("spot"),
            "launchTime": self.created.iso(),
            "placement": {
                "availabilityZone": self.zone,
                "availabilityZoneId": zones::zone_id(&self.zone),
                "groupName": "",
                "tenancy": "default",
            },
            "monitoring": {"state": "disabled"},
            "subnetId": first.map(|_| &self.subnet),
            "vpcId": first.map(|_| &self.vpc),
            "privateIpAddress": private,
            "ipAddress": first.and_then(|interface| interface.public.as_ref()).map(|public| public.address),
            "sourceDestCheck": true,
            "groupSet": group_set(scene, first.map_or(&[], |interface| &interface.groups)),
            "architecture": architecture,
            "rootDeviceType": "ebs",
            "rootDeviceName": self.root_device,
            "blockDeviceMapping": volumes,
            "virtualizationType": "hvm",
            "hypervisor": "xen",
            "ebsOptimized": false,
            "clientToken": self.token.as_deref().unwrap_or_default(),
            "iamInstanceProfile": self.profile.as_ref().map(|arn| json!({"arn": arn})),
            "networkInterfaceSet": interfaces.iter().map(|one| of_instance(scene, one)).collect::<Vec<_>>(),
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

/// An interface as it is shown with its instance: less than by itself.
fn of_instance(scene: &Scene<'_>, interface: &Interface) -> Value {
    let mut shown = interface.show(scene);
    if let Some(shown) = shown.as_object_mut() {
        for name in [
            "availabilityZone",
            "availabilityZoneId",
            "requesterId",
            "requesterManaged",
            "tagSet",
        ] {
            shown.shift_remove(name);
        }
        if let Some(attachment) = shown.get_mut("attachment").and_then(Value::as_object_mut) {
            attachment.shift_remove("instanceId");
            attachment.shift_remove("instanceOwnerId");
        }
    }
    shown
}

/// The name that an instance has in its VPC, by its private address.
pub(crate) fn private_name(scene: &Scene<'_>, address: &str) -> String {
    let region = &scene.place.region;
    let name = address.replace('.', "-");
    match region.as_str() {
        "us-east-1" => format!("ip-{name}.ec2.internal"),
        _ => format!("ip-{name}.{region}.compute.internal"),
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::read(
        "DescribeInstances",
        &["InstanceId", "Filter", "MaxResults", "NextToken"],
        describe_instances,
    ),
    Action::write("TerminateInstances", &["InstanceId"], terminate_instances),
];

/// End an instance, for any part of the simulator.
pub(crate) fn terminate(scene: &mut Scene<'_>, id: &str, why: &str) {
    let Some(instance) = scene.region.ec2.instances.get_mut(id) else {
        return;
    };
    if instance.is_alive() {
        instance.state = State::ShuttingDown;
        instance.why = Some(why.to_owned());
        scene.schedule(
            Wait::InstanceTerminated,
            Event::InstanceTerminated {
                instance: id.to_owned(),
            },
        );
    }
}

/// It runs.
pub(crate) fn running(scene: &mut Scene<'_>, id: &str) {
    if let Some(instance) = scene.region.ec2.instances.get_mut(id)
        && instance.state == State::Pending
    {
        instance.state = State::Running;
    }
}

/// It has ended: interfaces and volumes that go with it go, others stay.
pub(crate) fn terminated(scene: &mut Scene<'_>, id: &str) {
    let ec2 = &mut scene.region.ec2;
    let Some(instance) = ec2.instances.get_mut(id) else {
        return;
    };
    instance.state = State::Terminated;
    let mut going = Vec::new();
    for interface in ec2.interfaces.values_mut() {
        let attachment = interface.attachment.as_ref();
        let Some(attachment) = attachment.filter(|a| a.instance.as_deref() == Some(id)) else {
            continue;
        };
        if attachment.delete_on_termination {
            going.push(interface.id.clone());
        } else {
            interface.attachment = None;
        }
    }
    let mut volumes = Vec::new();
    for volume in ec2.volumes.values_mut() {
        let attachment = volume.attachment.as_ref();
        let Some(attachment) = attachment.filter(|a| a.instance == id) else {
            continue;
        };
        if attachment.delete_on_termination {
            volumes.push(volume.id.clone());
        } else {
            volume.attachment = None;
            volume.state = volume::State::Available;
        }
    }
    going
        .iter()
        .for_each(|interface| interface::remove(scene, interface));
    volumes
        .iter()
        .for_each(|volume| volume::remove(scene, volume));
    scene.schedule(
        Wait::InstanceForgotten,
        Event::InstanceForgotten {
            instance: id.to_owned(),
        },
    );
}

/// It is no longer shown.
pub(crate) fn forgotten(scene: &mut Scene<'_>, id: &str) {
    scene.region.ec2.instances.remove(id);
}

/// Instances as replies have them: in reservations, those that were launched together.
pub(crate) fn reservations(scene: &Scene<'_>, instances: &[&Instance]) -> Vec<Value> {
    let mut sets: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for instance in instances {
        sets.entry(&instance.reservation)
            .or_default()
            .push(instance.show(scene));
    }
    let show = |(id, set): (&str, Vec<Value>)| {
        json!({
            "reservationId": id, "ownerId": scene.place.account, "groupSet": [], "instancesSet": set,
        })
    };
    sets.into_iter().map(show).collect()
}

fn describe_instances(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = &scene.region.ec2.instances;
    let ids = params.texts("InstanceId");
    for id in &ids {
        find(all, id)?;
        if !all
            .get(*id)
            .is_some_and(|instance| scene.known(instance.created))
        {
            return Err(super::resource::absent::<Instance>(id));
        }
    }
    let asked = |instance: &&Instance| {
        if ids.is_empty() {
            scene.listed(instance.created)
        } else {
            ids.contains(&instance.id.as_str())
        }
    };
    // Those of a reservation stay together, also over pages.
    let key = |instance: &Instance| format!("{}/{}", instance.reservation, instance.id);
    let found = all
        .values()
        .filter(asked)
        .map(|instance| {
            let mut shown = instance.show(scene);
            shown["reservationId"] = instance.reservation.clone().into();
            (key(instance), &instance.tags, shown)
        })
        .collect();
    let page = answer(
        scene,
        params,
        found,
        Instance::FILTERS,
        "instancesSet",
        ids.is_empty(),
    )?;
    let shown = page["instancesSet"].as_array().into_iter().flatten();
    let chosen: Vec<&Instance> = shown
        .filter_map(|shown| all.get(shown["instanceId"].as_str()?))
        .collect();
    Ok(json!({"reservationSet": reservations(scene, &chosen), "nextToken": page.get("nextToken")}))
}

fn terminate_instances(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let ids = params.texts("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    for id in &ids {
        find(&scene.region.ec2.instances, id)?;
    }
    let mut changes = Vec::new();
    for id in ids {
        let before = find(&scene.region.ec2.instances, id)?.state;
        terminate(scene, id, "Client.UserInitiatedShutdown");
        let after = find(&scene.region.ec2.instances, id)?.state;
        changes.push(json!({
            "instanceId": id, "previousState": before.show(), "currentState": after.show(),
        }));
    }
    Ok(json!({ "instancesSet": changes }))
}
