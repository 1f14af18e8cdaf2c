//! EBS volumes.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Event;
use super::resource::{Resource, Words, absent, describe, find};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};
use crate::aws::world::zones;

/// A volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: String,
    created: Time,
    pub(crate) zone: String,
    pub(crate) size: i64,
    kind: String,
    iops: Option<i64>,
    throughput: Option<i64>,
    pub(crate) encrypted: bool,
    pub(crate) kms_key: Option<String>,
    pub(crate) state: State,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) tags: Tags,
}

/// The states of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Creating,
    Available,
    InUse,
    Deleting,
}

/// What a volume is attached to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) instance: String,
    pub(crate) device: String,
    /// `attaching`, `attached` or `detaching`.
    pub(crate) state: String,
    pub(crate) at: Time,
    pub(crate) delete_on_termination: bool,
}

/// What a volume is made with by other parts of the simulator.
#[derive(Clone, Debug)]
pub(crate) struct NewVolume {
    pub(crate) zone: String,
    /// GiB.
    pub(crate) size: i64,
    /// `gp3`, `gp2`, `io1`, ...
    pub(crate) kind: String,
    pub(crate) iops: Option<i64>,
    pub(crate) throughput: Option<i64>,
    pub(crate) encrypted: bool,
    pub(crate) kms_key: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Resource for Volume {
    const WORDS: Words = Words {
        prefix: "vol",
        noun: "volume",
        not_found: "InvalidVolume.NotFound",
        malformed: "InvalidParameterValue",
        tagged: "volume",
        ids: "VolumeId",
        set: "volumeSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("volume-id", "volumeId"),
        ("availability-zone", "availabilityZone"),
        ("status", "status"),
        ("size", "size"),
        ("volume-type", "volumeType"),
        ("encrypted", "encrypted"),
        ("attachment.instance-id", "attachmentSet.instanceId"),
        ("attachment.device", "attachmentSet.device"),
        ("attachment.status", "attachmentSet.status"),
        (
            "attachment.delete-on-termination",
            "attachmentSet.deleteOnTermination",
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
        let attachments: Vec<Value> = self
            .attachment
            .iter()
            .map(|one| self.attached(one))
            .collect();
        json!({
            "volumeId": self.id,
            "size": self.size,
            "volumeType": self.kind,
            "iops": self.iops,
            "throughput": self.throughput,
            "encrypted": self.encrypted,
            "kmsKeyId": self.kms_key,
            "snapshotId": "",
            "availabilityZone": self.zone,
            "availabilityZoneId": zones::zone_id(&self.zone),
            "status": self.state,
            "createTime": self.created.iso(),
            "multiAttachEnabled": false,
            "attachmentSet": attachments,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

impl Volume {
    fn attached(&self, attachment: &Attachment) -> Value {
        json!({
            "volumeId": self.id,
            "instanceId": attachment.instance,
            "device": attachment.device,
            "status": attachment.state,
            "attachTime": attachment.at.iso(),
            "deleteOnTermination": attachment.delete_on_termination,
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateVolume",
        &[
            "AvailabilityZone",
            "Size",
            "VolumeType",
            "Iops",
            "Throughput",
            "Encrypted",
            "KmsKeyId",
            "ClientToken",
            "TagSpecification",
        ],
        create_volume,
    ),
    Action::write("DeleteVolume", &["VolumeId"], delete_volume),
    Action::read(
        "DescribeVolumes",
        &["VolumeId", "Filter", "MaxResults", "NextToken"],
        describe_volumes,
    ),
    Action::write(
        "AttachVolume",
        &["VolumeId", "InstanceId", "Device"],
        attach_volume,
    ),
    Action::write(
        "DetachVolume",
        &["VolumeId", "InstanceId", "Device", "Force"],
        detach_volume,
    ),
];

/// Make a volume, for any part of the simulator; it becomes available a little later.
pub(crate) fn create(scene: &mut Scene<'_>, new: NewVolume) -> String {
    let id = scene.core.ids.ec2("vol");
    create_as(scene, id.clone(), new);
    id
}

/// The same with an identifier of the caller's; nothing happens when there is a volume of that identifier.
pub(crate) fn create_as(scene: &mut Scene<'_>, id: String, new: NewVolume) {
    if scene.region.ec2.volumes.contains_key(&id) {
        return;
    }
    let gp3 = new.kind == "gp3";
    let volume = Volume {
        id: id.clone(),
        created: scene.now,
        zone: new.zone,
        size: new.size,
        iops: new.iops.or(gp3.then_some(3000)),
        throughput: new.throughput.or(gp3.then_some(125)),
        kind: new.kind,
        encrypted: new.encrypted || new.kms_key.is_some(),
        kms_key: new.kms_key,
        state: State::Creating,
        attachment: None,
        tags: Tags::new(new.tags),
    };
    scene.region.ec2.volumes.insert(id.clone(), volume);
    scene.schedule(Wait::VolumeAvailable, Event::VolumeAvailable { volume: id });
}

/// Delete a volume, for any part of the simulator, whatever it is attached to.
pub(crate) fn remove(scene: &mut Scene<'_>, id: &str) {
    if let Some(volume) = scene.region.ec2.volumes.get_mut(id) {
        volume.attachment = None;
        volume.state = State::Deleting;
        scene.schedule(
            Wait::VolumeDeleted,
            Event::VolumeDeleted {
                volume: id.to_owned(),
            },
        );
    }
}

/// It is there.
pub(crate) fn available(scene: &mut Scene<'_>, id: &str) {
    if let Some(volume) = scene.region.ec2.volumes.get_mut(id)
        && volume.state == State::Creating
    {
        volume.state = State::Available;
    }
}

/// It has gone.
pub(crate) fn deleted(scene: &mut Scene<'_>, id: &str) {
    scene.region.ec2.volumes.remove(id);
}

/// It is attached, or detached.
pub(crate) fn moved(scene: &mut Scene<'_>, id: &str) {
    let Some(volume) = scene.region.ec2.volumes.get_mut(id) else {
        return;
    };
    match volume.attachment.as_mut() {
        Some(attachment) if attachment.state == "attaching" => {
            "attached".clone_into(&mut attachment.state)
        }
        Some(attachment) if attachment.state == "detaching" => {
            volume.attachment = None;
            volume.state = State::Available;
        }
        _ => {}
    }
}

fn missing(id: &str) -> ApiError {
    let mut error = absent::<Volume>(id);
    if error.code_for(None) == Volume::WORDS.not_found {
        error.message = format!("The volume '{id}' does not exist.");
    }
    error
}

fn create_volume(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(id) => id,
        first => {
            let zone = params.need("AvailabilityZone")?;
            if !zone.starts_with(&scene.place.region) || zones::zone_id(zone).is_none() {
                let message = format!("The zone '{zone}' does not exist.");
                return Err(ApiError::new("InvalidZone.NotFound", message));
            }
            let kind = params.text("VolumeType").unwrap_or("gp2");
            if !["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"].contains(&kind) {
                let message = format!("Unknown volume type: {kind}");
                return Err(ApiError::new("UnknownVolumeType", message));
            }
            let size = params
                .number("Size")?
                .ok_or_else(|| ApiError::missing("size/snapshot"))?;
            if !(1..=65_536).contains(&size) {
                let message = format!(
                    "Volume of {size}GiB is too large or too small for volume type {kind}."
                );
                return Err(ApiError::new("InvalidParameterValue", message));
            }
            let new = NewVolume {
                zone: zone.to_owned(),
                size,
                kind: kind.to_owned(),
                iops: params.number("Iops")?,
                throughput: params.number("Throughput")?,
                encrypted: params.flag("Encrypted")?.unwrap_or(false),
                kms_key: params.text("KmsKeyId").map(str::to_owned),
                tags: tags::specified(params, "volume", &[])?,
            };
            let id = create(scene, new);
            remember(scene, first, &id);
            id
        }
    };
    let volume = find(&scene.region.ec2.volumes, &id)?;
    Ok(volume.show(scene))
}

fn delete_volume(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("VolumeId")?;
    let volume = scene
        .region
        .ec2
        .volumes
        .get(id)
        .ok_or_else(|| missing(id))?;
    if let Some(attachment) = &volume.attachment {
        let message = format!(
            "Volume {id} is currently attached to {}",
            attachment.instance
        );
        return Err(ApiError::new("VolumeInUse", message));
    }
    match volume.state {
        State::Deleting => return Err(missing(id)),
        State::Creating => {
            let message = format!("Volume {id} is in state creating and cannot be deleted.");
            return Err(ApiError::new("IncorrectState", message));
        }
        _ => remove(scene, id),
    }
    Ok(json!({"return": true}))
}

fn describe_volumes(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    for id in params.texts("VolumeId") {
        scene
            .region
            .ec2
            .volumes
            .get(id)
            .ok_or_else(|| missing(id))?;
    }
    describe(scene, params, &scene.region.ec2.volumes)
}

fn attach_volume(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (id, instance) = (params.need("VolumeId")?, params.need("InstanceId")?);
    let device = params.need("Device")?.to_owned();
    let ec2 = &scene.region.ec2;
    let volume = ec2.volumes.get(id).ok_or_else(|| missing(id))?;
    let host = find(&ec2.instances, instance)?;
    if volume.zone != host.zone {
        let message = format!(
            "The volume '{id}' is not in the same availability zone as instance '{instance}'"
        );
        return Err(ApiError::new("InvalidVolume.ZoneMismatch", message));
    }
    if let Some(attachment) = &volume.attachment {
        let message = format!(
            "{id} is already attached to an instance ({})",
            attachment.instance
        );
        return Err(ApiError::new("VolumeInUse", message));
    }
    if volume.state != State::Available || !host.is_running() {
        let message = format!(
            "Instance '{instance}' or volume '{id}' is not in a state in which it can be attached."
        );
        return Err(ApiError::new("IncorrectState", message));
    }
    let reply = attach(scene, id, instance, device, false);
    scene.schedule(
        Wait::VolumeAttached,
        Event::VolumeMoved {
            volume: id.to_owned(),
        },
    );
    Ok(reply)
}

/// Attach a volume, for any part of the simulator; it is `attaching` until [`moved`].
pub(crate) fn attach(
    scene: &mut Scene<'_>,
    id: &str,
    instance: &str,
    device: String,
    delete_on_termination: bool,
) -> Value {
    let at = scene.now;
    let Some(volume) = scene.region.ec2.volumes.get_mut(id) else {
        return Value::Null;
    };
    let attachment = Attachment {
        instance: instance.to_owned(),
        device,
        state: "attaching".to_owned(),
        at,
        delete_on_termination,
    };
    let reply = volume.attached(&attachment);
    volume.state = State::InUse;
    volume.attachment = Some(attachment);
    reply
}

fn detach_volume(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("VolumeId")?;
    let volume = scene
        .region
        .ec2
        .volumes
        .get_mut(id)
        .ok_or_else(|| missing(id))?;
    let wanted = params.text("InstanceId");
    let fits = |attachment: &&mut Attachment| wanted.is_none_or(|id| id == attachment.instance);
    let Some(attachment) = volume.attachment.as_mut().filter(fits) else {
        let message = format!("Volume '{id}' is in the 'available' state.");
        return Err(ApiError::new("IncorrectState", message).status(StatusCode::BAD_REQUEST));
    };
    "detaching".clone_into(&mut attachment.state);
    let attachment = attachment.clone();
    let reply = volume.attached(&attachment);
    scene.schedule(
        Wait::VolumeAttached,
        Event::VolumeMoved {
            volume: id.to_owned(),
        },
    );
    Ok(reply)
}
