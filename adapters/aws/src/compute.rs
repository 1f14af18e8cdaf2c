//! Instances, network interfaces, volumes, snapshots.

use async_trait::async_trait;
use aws_sdk_ec2::{error::ProvideErrorMetadata, types};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::{
        cloud::Deletion,
        compute::{
            Attachment, ComputeApi, Instance, InstanceState, Interface, Selector, Snapshot, Volume,
        },
    },
};

use crate::{
    call::{absent, deletion},
    client::Aws,
    codes, convert,
    errors::{self, translate},
    network::{
        find::{Ask, described},
        parse::{tags, text},
    },
};

/// How many a page holds: the most that EC2 allows.
const PAGE: i32 = 1000;

#[async_trait]
impl ComputeApi for Aws {
    async fn instances(&self, which: &Selector) -> Result<Vec<Instance>, PortError> {
        let request = self.ec2().describe_instances();
        let reservations = described!(request, ask(which), set_instance_ids, set_filters, PAGE);
        let instances = reservations.iter().flat_map(|one| one.instances());
        Ok(instances.filter_map(instance).collect())
    }

    async fn interfaces(&self, which: &Selector) -> Result<Vec<Interface>, PortError> {
        let found = interfaces(self, ask(which)).await?;
        Ok(found.iter().filter_map(interface).collect())
    }

    async fn volumes(&self, which: &Selector) -> Result<Vec<Volume>, PortError> {
        if matches!(which, Selector::Vpc(_)) {
            return Ok(Vec::new());
        }
        let request = self.ec2().describe_volumes();
        let found = described!(request, ask(which), set_volume_ids, set_filters, PAGE);
        Ok(found.iter().filter_map(volume).collect())
    }

    async fn snapshots(&self, which: &Selector) -> Result<Vec<Snapshot>, PortError> {
        if matches!(which, Selector::Vpc(_)) {
            return Ok(Vec::new());
        }
        // Without an owner EC2 also goes through those that others share with everybody.
        let request = self.ec2().describe_snapshots().owner_ids("self");
        let found = described!(request, ask(which), set_snapshot_ids, set_filters, PAGE);
        Ok(found.iter().filter_map(snapshot).collect())
    }

    async fn terminate(&self, instances: &[String]) -> Result<(), PortError> {
        if instances.is_empty() {
            return Ok(());
        }
        match end(self, instances.to_vec()).await {
            // One that EC2 shows no more: then it ends none of them.
            Err(error) if error.kind == PortErrorKind::NotFound && instances.len() > 1 => {
                for instance in instances {
                    absent(end(self, vec![instance.clone()]).await)?;
                }
                Ok(())
            }
            ended => absent(ended).map(drop),
        }
    }

    async fn delete_interface(&self, id: &str) -> Result<Deletion, PortError> {
        let request = self.ec2().delete_network_interface();
        let Err(failed) = request.network_interface_id(id).send().await else {
            return Ok(Deletion::Accepted);
        };
        // The code for "in use" is one that says many things; the interface itself tells.
        let refused = failed.code() == Some("InvalidParameterValue");
        let translated = translate(failed);
        if refused {
            let found = absent(interfaces(self, Ask::Ids(vec![id.to_owned()])).await)?;
            let found = found.unwrap_or_default();
            if found.iter().filter_map(interface).any(|one| !one.available) {
                let cause = translated.cause;
                return Err(errors::error(PortErrorKind::InUse, codes::IN_USE, cause));
            }
        }
        deletion(Err::<(), _>(translated))
    }

    async fn delete_volume(&self, id: &str) -> Result<Deletion, PortError> {
        let request = self.ec2().delete_volume().volume_id(id);
        deletion(request.send().await.map_err(translate))
    }

    async fn delete_snapshot(&self, id: &str) -> Result<Deletion, PortError> {
        let request = self.ec2().delete_snapshot().snapshot_id(id);
        deletion(request.send().await.map_err(translate))
    }
}

fn ask(which: &Selector) -> Ask {
    match which {
        Selector::Vpc(vpc) => Ask::with("vpc-id", vpc),
        Selector::Tagged(tags) => Ask::tagged(tags),
    }
}

async fn interfaces(aws: &Aws, ask: Ask) -> Result<Vec<types::NetworkInterface>, PortError> {
    let request = aws.ec2().describe_network_interfaces();
    Ok(described!(
        request,
        ask,
        set_network_interface_ids,
        set_filters,
        PAGE
    ))
}

async fn end(aws: &Aws, instances: Vec<String>) -> Result<(), PortError> {
    let request = aws.ec2().terminate_instances();
    let request = request.set_instance_ids(Some(instances));
    request.send().await.map(drop).map_err(translate)
}

fn instance(instance: &types::Instance) -> Option<Instance> {
    let state = instance.state().and_then(|state| state.name());
    let placement = instance.placement();
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        state: match state {
            Some(types::InstanceStateName::Running) => InstanceState::Running,
            Some(types::InstanceStateName::ShuttingDown) => InstanceState::ShuttingDown,
            Some(types::InstanceStateName::Terminated) => InstanceState::Terminated,
            Some(types::InstanceStateName::Stopping) => InstanceState::Stopping,
            Some(types::InstanceStateName::Stopped) => InstanceState::Stopped,
            _ => InstanceState::Pending,
        },
        vpc: instance.vpc_id().map(str::to_owned),
        zone: text(placement.and_then(|placement| placement.availability_zone())),
        launched: instance.launch_time().and_then(convert::timestamp),
        tags: tags(instance.tags()),
    })
}

fn interface(interface: &types::NetworkInterface) -> Option<Interface> {
    let attachment = interface
        .attachment()
        .filter(|attachment| attachment.status() != Some(&types::AttachmentStatus::Detached));
    let kind = interface.interface_type().map(|kind| kind.as_str());
    Some(Interface {
        id: interface.network_interface_id()?.to_owned(),
        available: interface.status() == Some(&types::NetworkInterfaceStatus::Available),
        vpc: text(interface.vpc_id()),
        subnet: text(interface.subnet_id()),
        interface_type: text(kind),
        description: text(interface.description()),
        requester_managed: interface.requester_managed() == Some(true),
        attachment: attachment.map(|attachment| Attachment {
            instance: attachment.instance_id().map(str::to_owned),
            owner: attachment.instance_owner_id().map(str::to_owned),
        }),
        groups: interface
            .groups()
            .iter()
            .filter_map(|group| group.group_id().map(str::to_owned))
            .collect(),
        tags: tags(interface.tag_set()),
    })
}

/// A volume; none that is gone and only still shown.
fn volume(volume: &types::Volume) -> Option<Volume> {
    if volume.state() == Some(&types::VolumeState::Deleted) {
        return None;
    }
    let attached = volume
        .attachments()
        .iter()
        .filter(|attachment| attachment.state() != Some(&types::VolumeAttachmentState::Detached));
    Some(Volume {
        id: volume.volume_id()?.to_owned(),
        available: volume.state() == Some(&types::VolumeState::Available),
        deleting: volume.state() == Some(&types::VolumeState::Deleting),
        zone: text(volume.availability_zone()),
        gibibytes: u32::try_from(volume.size().unwrap_or(0)).unwrap_or(0),
        attached_to: attached
            .filter_map(|attachment| attachment.instance_id().map(str::to_owned))
            .collect(),
        tags: tags(volume.tags()),
    })
}

fn snapshot(snapshot: &types::Snapshot) -> Option<Snapshot> {
    Some(Snapshot {
        id: snapshot.snapshot_id()?.to_owned(),
        volume: text(snapshot.volume_id()),
        gibibytes: u32::try_from(snapshot.volume_size().unwrap_or(0)).unwrap_or(0),
        tags: tags(snapshot.tags()),
    })
}
