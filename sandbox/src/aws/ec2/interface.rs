//! Network interfaces: what ties everything to its subnet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::{Resource, Words, absent, describe, find};
use super::security_group::Group;
use super::subnet::Subnet;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};
use crate::aws::world::zones;

/// A network interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Interface {
    pub(crate) id: String,
    created: Time,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) zone: String,
    pub(crate) description: String,
    pub(crate) groups: Vec<String>,
    /// Private addresses, the primary one first.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// `interface`, `nat_gateway`, `vpc_endpoint`, `network_load_balancer`, ...
    pub(crate) kind: String,
    /// Who made it on the owner's behalf: an account's number, or `amazon-elb` and the like.
    pub(crate) requester: Option<String>,
    pub(crate) attachment: Option<Attachment>,
    pub(crate) public: Option<PublicAddress>,
    mac: String,
    pub(crate) tags: Tags,
}

/// What an interface is attached to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attachment {
    /// `eni-attach-...`, or `ela-attach-...` for what a service attached.
    pub(crate) id: String,
    /// The instance; none when it belongs to a service.
    pub(crate) instance: Option<String>,
    /// The account, or the service.
    pub(crate) owner: String,
    pub(crate) index: u32,
    pub(crate) at: Time,
    /// Whether it goes with its instance.
    pub(crate) delete_on_termination: bool,
}

/// A public address that is mapped to an interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PublicAddress {
    pub(crate) address: Ipv4Addr,
    /// The Elastic IP's allocation and its association; none for an address of Amazon's pool.
    pub(crate) allocation: Option<(String, String)>,
    /// The account, or `amazon` and the like.
    pub(crate) owner: String,
}

/// What an interface is made with by other parts of the simulator.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewInterface {
    pub(crate) subnet: String,
    pub(crate) description: String,
    /// Security groups; the VPC's default one when empty and `kind` is `interface`.
    pub(crate) groups: Vec<String>,
    /// As `InterfaceType` is shown; `interface` when empty.
    pub(crate) kind: &'static str,
    /// Who asks for it, when that is not the account itself: such an interface nobody else can detach or delete.
    pub(crate) requester: Option<String>,
    /// Attached from the start: to a service (its owner id, e.g. `amazon-aws`).
    pub(crate) service: Option<&'static str>,
    /// How many private addresses beside the first.
    pub(crate) secondary: usize,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Resource for Interface {
    const WORDS: Words = Words {
        prefix: "eni",
        noun: "networkInterface",
        not_found: "InvalidNetworkInterfaceID.NotFound",
        malformed: "InvalidNetworkInterfaceId.Malformed",
        tagged: "network-interface",
        ids: "NetworkInterfaceId",
        set: "networkInterfaceSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("network-interface-id", "networkInterfaceId"),
        ("vpc-id", "vpcId"),
        ("subnet-id", "subnetId"),
        ("availability-zone", "availabilityZone"),
        ("description", "description"),
        ("group-id", "groupSet.groupId"),
        ("group-name", "groupSet.groupName"),
        ("interface-type", "interfaceType"),
        ("status", "status"),
        ("owner-id", "ownerId"),
        ("requester-id", "requesterId"),
        ("requester-managed", "requesterManaged"),
        ("mac-address", "macAddress"),
        ("private-ip-address", "privateIpAddress"),
        (
            "addresses.private-ip-address",
            "privateIpAddressesSet.privateIpAddress",
        ),
        ("addresses.primary", "privateIpAddressesSet.primary"),
        (
            "addresses.association.public-ip",
            "privateIpAddressesSet.association.publicIp",
        ),
        ("association.public-ip", "association.publicIp"),
        ("association.allocation-id", "association.allocationId"),
        ("association.association-id", "association.associationId"),
        ("association.ip-owner-id", "association.ipOwnerId"),
        ("attachment.attachment-id", "attachment.attachmentId"),
        ("attachment.instance-id", "attachment.instanceId"),
        ("attachment.instance-owner-id", "attachment.instanceOwnerId"),
        ("attachment.status", "attachment.status"),
        ("attachment.device-index", "attachment.deviceIndex"),
        (
            "attachment.delete-on-termination",
            "attachment.deleteOnTermination",
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
        let association = self.public.as_ref().map(|public| {
            let (allocation, association) = match &public.allocation {
                Some((allocation, association)) => (Some(allocation), Some(association)),
                None => (None, None),
            };
            json!({
                "publicIp": public.address,
                "ipOwnerId": public.owner,
                "allocationId": allocation,
                "associationId": association,
            })
        });
        let addresses: Vec<Value> = self
            .addresses
            .iter()
            .enumerate()
            .map(|(index, address)| {
                json!({
                    "privateIpAddress": address,
                    "primary": index == 0,
                    "association": association.as_ref().filter(|_| index == 0),
                })
            })
            .collect();
        json!({
            "networkInterfaceId": self.id,
            "subnetId": self.subnet,
            "vpcId": self.vpc,
            "availabilityZone": self.zone,
            "availabilityZoneId": zones::zone_id(&self.zone),
            "description": self.description,
            "ownerId": scene.place.account,
            "requesterId": self.requester,
            "requesterManaged": self.requester.is_some(),
            "status": if self.attachment.is_some() { "in-use" } else { "available" },
            "macAddress": self.mac,
            "privateIpAddress": self.addresses.first(),
            "privateIpAddressesSet": addresses,
            "sourceDestCheck": self.kind == "interface",
            "interfaceType": self.kind,
            "groupSet": group_set(scene, &self.groups),
            "attachment": self.attachment.as_ref().map(|attachment| json!({
                "attachmentId": attachment.id,
                "instanceId": attachment.instance,
                "instanceOwnerId": attachment.owner,
                "deviceIndex": attachment.index,
                "status": "attached",
                "attachTime": attachment.at.iso(),
                "deleteOnTermination": attachment.delete_on_termination,
            })),
            "association": association,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

/// Groups as replies list them beside something that has them.
pub(crate) fn group_set(scene: &Scene<'_>, groups: &[String]) -> Value {
    let name = |id: &String| {
        let group = scene.region.ec2.groups.get(id);
        group.map(|group| group.name.clone())
    };
    groups
        .iter()
        .map(|id| json!({"groupId": id, "groupName": name(id)}))
        .collect()
}

/// Make an interface, for any part of the simulator. Nothing has changed when it fails.
///
/// # Errors
/// When the subnet or a group is not there, or the subnet has no free address.
pub(crate) fn create(scene: &mut Scene<'_>, new: NewInterface) -> Result<String, ApiError> {
    let ec2 = &scene.region.ec2;
    let subnet: &Subnet = find(&ec2.subnets, &new.subnet)?;
    let (vpc, zone) = (subnet.vpc.clone(), subnet.zone.clone());
    let mut groups = new.groups;
    for id in &groups {
        let group: &Group = find(&ec2.groups, id)?;
        if group.vpc != vpc {
            let message = format!(
                "You have specified two resources that belong to different networks: {id}, {}",
                new.subnet
            );
            return Err(ApiError::new("InvalidParameter", message));
        }
    }
    if groups.len() > scene.quota("L-2AFB9258") {
        let message =
            "You have exceeded the number of security groups allowed per network interface.";
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            message,
        ));
    }
    if ec2.interfaces.len() >= scene.quota("L-DF5E4CA3") {
        let message = "The maximum number of network interfaces has been reached.";
        return Err(ApiError::new("NetworkInterfaceLimitExceeded", message));
    }
    let addresses = subnet.addresses(scene, 1 + new.secondary)?;
    let kind = if new.kind.is_empty() {
        "interface"
    } else {
        new.kind
    };
    if groups.is_empty() && kind == "interface" {
        let mut all = ec2.groups.values();
        groups.extend(
            all.find(|group| group.vpc == vpc && group.is_default())
                .map(|group| group.id.clone()),
        );
    }
    let ids = &mut scene.core.ids;
    let id = ids.ec2("eni");
    let mac = ids.hex(10);
    let mac: Vec<&str> = (0..5).map(|at| &mac[at * 2..at * 2 + 2]).collect();
    let attachment = new.service.map(|owner| Attachment {
        id: ids.ec2("ela-attach"),
        instance: None,
        owner: owner.to_owned(),
        index: 1,
        at: scene.now,
        delete_on_termination: false,
    });
    let interface = Interface {
        id: id.clone(),
        created: scene.now,
        subnet: new.subnet,
        vpc,
        zone,
        description: new.description,
        groups,
        addresses,
        kind: kind.to_owned(),
        requester: new.requester,
        attachment,
        public: None,
        mac: format!("06:{}", mac.join(":")),
        tags: Tags::new(new.tags),
    };
    scene.region.ec2.interfaces.insert(id.clone(), interface);
    Ok(id)
}

/// Take an interface away, whoever it belongs to; its Elastic IP becomes free. For other parts of the simulator.
pub(crate) fn remove(scene: &mut Scene<'_>, id: &str) {
    let removed = scene.region.ec2.interfaces.remove(id);
    let public = removed.and_then(|interface| interface.public);
    if let Some((allocation, _)) = public.and_then(|public| public.allocation)
        && let Some(address) = scene.region.ec2.addresses.get_mut(&allocation)
    {
        address.association = None;
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateNetworkInterface",
        &[
            "SubnetId",
            "Description",
            "SecurityGroupId",
            "SecondaryPrivateIpAddressCount",
            "TagSpecification",
            "ClientToken",
        ],
        create_network_interface,
    ),
    Action::write(
        "DeleteNetworkInterface",
        &["NetworkInterfaceId"],
        delete_network_interface,
    ),
    Action::write("DetachNetworkInterface", &["AttachmentId", "Force"], detach),
    Action::read(
        "DescribeNetworkInterfaces",
        &["NetworkInterfaceId", "Filter", "MaxResults", "NextToken"],
        describe_network_interfaces,
    ),
    Action::write(
        "ModifyNetworkInterfaceAttribute",
        &["NetworkInterfaceId", "SecurityGroupId", "Description"],
        modify,
    ),
];

fn create_network_interface(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let again = replay(scene, params, "ClientToken", "IdempotentParameterMismatch")?;
    let id = match again {
        Replay::Again(id) => id,
        first => {
            let secondary = params
                .number("SecondaryPrivateIpAddressCount")?
                .unwrap_or(0);
            let new = NewInterface {
                subnet: params.need("SubnetId")?.to_owned(),
                description: params.text("Description").unwrap_or_default().to_owned(),
                groups: params
                    .texts("SecurityGroupId")
                    .iter()
                    .map(|id| (*id).to_owned())
                    .collect(),
                secondary: usize::try_from(secondary).unwrap_or(0),
                tags: tags::specified(params, "network-interface", &[])?,
                ..NewInterface::default()
            };
            let id = create(scene, new)?;
            remember(scene, first, &id);
            id
        }
    };
    let interface = find(&scene.region.ec2.interfaces, &id)?;
    Ok(json!({
        "networkInterface": interface.show(scene),
        "clientToken": params.text("ClientToken"),
    }))
}

fn delete_network_interface(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("NetworkInterfaceId")?;
    let interface = find(&scene.region.ec2.interfaces, id)?;
    if interface.attachment.is_some() {
        let message = format!("Network interface '{id}' is currently in use.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    remove(scene, id);
    Ok(json!({"return": true}))
}

fn detach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("AttachmentId")?;
    let attached = |interface: &&mut Interface| {
        let attachment = interface.attachment.as_ref();
        attachment.is_some_and(|attachment| attachment.id == id)
    };
    let mut interfaces = scene.region.ec2.interfaces.values_mut();
    let Some(interface) = interfaces.find(attached) else {
        let message = format!("The attachment '{id}' does not exist");
        return Err(ApiError::new("InvalidAttachmentID.NotFound", message));
    };
    let of_service = interface
        .attachment
        .as_ref()
        .is_some_and(|a| a.instance.is_none());
    if of_service {
        let message = "You are not allowed to manage 'ela-attach' attachments.";
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    if interface.attachment.as_ref().is_some_and(|a| a.index == 0) {
        let message = format!(
            "The network interface at device index 0 and networkCard index 0 cannot be detached. ({id})"
        );
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    interface.attachment = None;
    Ok(json!({"return": true}))
}

fn describe_network_interfaces(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.interfaces)
}

fn modify(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("NetworkInterfaceId")?;
    let groups = params.texts("SecurityGroupId");
    let ec2 = &mut scene.region.ec2;
    for group in &groups {
        let _: &Group = find(&ec2.groups, group)?;
    }
    let interface = ec2
        .interfaces
        .get_mut(id)
        .ok_or_else(|| absent::<Interface>(id))?;
    if interface.requester.is_some() {
        let message = "You do not have permission to access the specified resource.";
        return Err(ApiError::new("AuthFailure", message));
    }
    if !groups.is_empty() {
        interface.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    }
    let description = params
        .section("Description")
        .and_then(|section| section.text("Value"));
    if let Some(description) = description {
        interface.description = description.to_owned();
    }
    Ok(json!({"return": true}))
}
