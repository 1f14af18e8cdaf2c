//! EBS snapshots.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Event;
use super::resource::{Resource, Words, describe, find};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// A snapshot. It outlives its volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    id: String,
    created: Time,
    volume: String,
    /// GiB of the volume.
    size: i64,
    encrypted: bool,
    kms_key: Option<String>,
    description: String,
    owner: String,
    completed: bool,
    pub(crate) tags: Tags,
}

impl Resource for Snapshot {
    const WORDS: Words = Words {
        prefix: "snap",
        noun: "snapshot",
        not_found: "InvalidSnapshot.NotFound",
        malformed: "InvalidSnapshotID.Malformed",
        tagged: "snapshot",
        ids: "SnapshotId",
        set: "snapshotSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("snapshot-id", "snapshotId"),
        ("volume-id", "volumeId"),
        ("volume-size", "volumeSize"),
        ("status", "status"),
        ("owner-id", "ownerId"),
        ("description", "description"),
        ("encrypted", "encrypted"),
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
        json!({
            "snapshotId": self.id,
            "volumeId": self.volume,
            "volumeSize": self.size,
            "status": if self.completed { "completed" } else { "pending" },
            "progress": if self.completed { "100%" } else { "" },
            "startTime": self.created.iso(),
            "ownerId": self.owner,
            "description": self.description,
            "encrypted": self.encrypted,
            "kmsKeyId": self.kms_key,
            "storageTier": "standard",
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateSnapshot",
        &["VolumeId", "Description", "TagSpecification"],
        create_snapshot,
    ),
    Action::write("DeleteSnapshot", &["SnapshotId"], delete_snapshot),
    Action::read(
        "DescribeSnapshots",
        &["SnapshotId", "Owner", "Filter", "MaxResults", "NextToken"],
        describe_snapshots,
    ),
];

/// A snapshot holds all that was written.
pub(super) fn completed(scene: &mut Scene<'_>, id: &str) {
    if let Some(snapshot) = scene.region.ec2.snapshots.get_mut(id) {
        snapshot.completed = true;
    }
}

fn create_snapshot(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let volume = find(&scene.region.ec2.volumes, params.need("VolumeId")?)?.clone();
    let tags = Tags::new(tags::specified(params, "snapshot", &[])?);
    let id = scene.core.ids.ec2("snap");
    let snapshot = Snapshot {
        id: id.clone(),
        created: scene.now,
        volume: volume.id,
        size: volume.size,
        encrypted: volume.encrypted,
        kms_key: volume.kms_key,
        description: params.text("Description").unwrap_or_default().to_owned(),
        owner: scene.place.account.clone(),
        completed: false,
        tags,
    };
    let shown = snapshot.show(scene);
    scene.region.ec2.snapshots.insert(id.clone(), snapshot);
    scene.schedule(
        Wait::SnapshotCompleted,
        Event::SnapshotCompleted { snapshot: id },
    );
    Ok(shown)
}

/// One that is not complete goes as well; which blocks others need of it is EBS's own business.
fn delete_snapshot(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("SnapshotId")?;
    find(&scene.region.ec2.snapshots, id)?;
    scene.region.ec2.snapshots.remove(id);
    Ok(json!({"return": true}))
}

/// Nobody else's are at hand here, so without an owner there are those of the account.
fn describe_snapshots(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let owners = params.texts("Owner");
    let own = |owner: &&str| *owner == "self" || *owner == scene.place.account;
    if owners.is_empty() || owners.iter().any(own) {
        return describe(scene, params, &scene.region.ec2.snapshots);
    }
    Ok(json!({"snapshotSet": []}))
}
