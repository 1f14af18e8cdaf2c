//! Elastic IP addresses.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::interface::{Interface, PublicAddress};
use super::resource::{Resource, Words, absent, answer, find};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// An Elastic IP address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) id: String,
    pub(crate) created: Time,
    pub(crate) address: Ipv4Addr,
    pub(crate) association: Option<Association>,
    tags: Tags,
}

/// What an address is mapped to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) interface: String,
}

impl Resource for Address {
    const WORDS: Words = Words {
        prefix: "eipalloc",
        noun: "allocation",
        not_found: "InvalidAllocationID.NotFound",
        malformed: "InvalidAllocationID.Malformed",
        tagged: "elastic-ip",
        ids: "AllocationId",
        set: "addressesSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("allocation-id", "allocationId"),
        ("association-id", "associationId"),
        ("domain", "domain"),
        ("instance-id", "instanceId"),
        ("network-border-group", "networkBorderGroup"),
        ("network-interface-id", "networkInterfaceId"),
        ("network-interface-owner-id", "networkInterfaceOwnerId"),
        ("private-ip-address", "privateIpAddress"),
        ("public-ip", "publicIp"),
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
        let interfaces = &scene.region.ec2.interfaces;
        let association = self.association.as_ref();
        let interface = association.and_then(|association| interfaces.get(&association.interface));
        let attachment = interface.and_then(|interface| interface.attachment.as_ref());
        json!({
            "allocationId": self.id,
            "publicIp": self.address,
            "domain": "vpc",
            "publicIpv4Pool": "amazon",
            "networkBorderGroup": scene.place.region,
            "associationId": association.map(|association| &association.id),
            "networkInterfaceId": interface.map(|interface| &interface.id),
            "networkInterfaceOwnerId": interface.map(|_| &scene.place.account),
            "privateIpAddress": interface.and_then(|interface| interface.addresses.first()),
            "instanceId": attachment.and_then(|attachment| attachment.instance.as_ref()),
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

/// A public address that nobody has: from ranges of Amazon's, never the same twice in a region.
pub(crate) fn public_address(scene: &mut Scene<'_>) -> Ipv4Addr {
    loop {
        let number = scene.core.ids.below(1 << 20);
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(52, 32, 0, 0)) + number);
        let ec2 = &scene.region.ec2;
        let of_interface = |interface: &Interface| {
            let public = interface.public.as_ref();
            public.is_some_and(|public| public.address == address)
        };
        let taken = ec2.addresses.values().any(|other| other.address == address)
            || ec2.interfaces.values().any(of_interface);
        if !taken {
            return address;
        }
    }
}

/// Map an address to an interface, for any part of the simulator; both have to be there.
pub(crate) fn associate(
    scene: &mut Scene<'_>,
    allocation: &str,
    interface: &str,
) -> Option<String> {
    let id = scene.core.ids.ec2("eipassoc");
    let owner = scene.place.account.clone();
    let ec2 = &mut scene.region.ec2;
    let address = ec2.addresses.get_mut(allocation)?;
    let interface = ec2.interfaces.get_mut(interface)?;
    address.association = Some(Association {
        id: id.clone(),
        interface: interface.id.clone(),
    });
    interface.public = Some(PublicAddress {
        address: address.address,
        allocation: Some((allocation.to_owned(), id.clone())),
        owner,
    });
    Some(id)
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "AllocateAddress",
        &[
            "Domain",
            "NetworkBorderGroup",
            "PublicIpv4Pool",
            "TagSpecification",
        ],
        allocate_address,
    ),
    Action::write(
        "ReleaseAddress",
        &["AllocationId", "NetworkBorderGroup"],
        release_address,
    ),
    Action::read(
        "DescribeAddresses",
        &["AllocationId", "PublicIp", "Filter"],
        describe_addresses,
    ),
    Action::read(
        "DescribeAddressesAttribute",
        &["AllocationId", "Attribute", "MaxResults", "NextToken"],
        describe_addresses_attribute,
    ),
    Action::write(
        "AssociateAddress",
        &[
            "AllocationId",
            "NetworkInterfaceId",
            "InstanceId",
            "AllowReassociation",
        ],
        associate_address,
    ),
    Action::write(
        "DisassociateAddress",
        &["AssociationId"],
        disassociate_address,
    ),
];

fn allocate_address(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    for (name, only) in [("Domain", "vpc"), ("PublicIpv4Pool", "amazon")] {
        if params.text(name).is_some_and(|given| given != only) {
            return Err(ApiError::not_simulated(format!(
                "{name} other than {only} in AllocateAddress"
            )));
        }
    }
    let group = params.text("NetworkBorderGroup");
    if group.is_some_and(|group| group != scene.place.region) {
        return Err(ApiError::not_simulated(
            "a network border group other than the region's",
        ));
    }
    let tags = tags::specified(params, "elastic-ip", &[])?;
    if scene.region.ec2.addresses.len() >= scene.quota("L-0263D0A3") {
        let message = "The maximum number of addresses has been reached.";
        return Err(ApiError::new("AddressLimitExceeded", message));
    }
    let address = Address {
        id: scene.core.ids.ec2("eipalloc"),
        created: scene.now,
        address: public_address(scene),
        association: None,
        tags: Tags::new(tags),
    };
    let reply = json!({
        "publicIp": address.address,
        "allocationId": address.id,
        "publicIpv4Pool": "amazon",
        "networkBorderGroup": scene.place.region,
        "domain": "vpc",
    });
    let addresses = &mut scene.region.ec2.addresses;
    addresses.insert(address.id.clone(), address);
    Ok(reply)
}

fn no_permission() -> ApiError {
    let message = "You do not have permission to access the specified resource.";
    ApiError::new("AuthFailure", message)
}

fn release_address(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("AllocationId")?;
    let ec2 = &mut scene.region.ec2;
    let address = find(&ec2.addresses, id)?;
    if let Some(association) = &address.association {
        let interface = ec2.interfaces.get(&association.interface);
        if interface.is_some_and(|interface| interface.requester.is_some()) {
            return Err(no_permission());
        }
        let message = format!("Address {} is in use.", address.address);
        return Err(ApiError::new("InvalidIPAddress.InUse", message));
    }
    ec2.addresses.remove(id);
    Ok(json!({"return": true}))
}

fn describe_addresses(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (ids, public) = (params.texts("AllocationId"), params.texts("PublicIp"));
    let addresses = &scene.region.ec2.addresses;
    for id in &ids {
        let known = addresses
            .get(*id)
            .filter(|address| scene.known(address.created));
        if known.is_none() {
            return Err(absent::<Address>(id));
        }
    }
    for wanted in &public {
        if !addresses
            .values()
            .any(|address| address.address.to_string() == *wanted)
        {
            let message = format!("Address '{wanted}' not found.");
            return Err(ApiError::new("InvalidAddress.NotFound", message));
        }
    }
    let all = ids.is_empty() && public.is_empty();
    let asked = |address: &&Address| {
        if all {
            return scene.listed(address.created);
        }
        let shown = address.address.to_string();
        ids.contains(&address.id.as_str()) || public.contains(&shown.as_str())
    };
    let found = addresses
        .values()
        .filter(asked)
        .map(|address| (address.id.clone(), &address.tags, address.show(scene)))
        .collect();
    answer(
        scene,
        params,
        found,
        Address::FILTERS,
        "addressesSet",
        false,
    )
}

/// Reverse DNS names: none has been set, which Terraform asks for each address.
fn describe_addresses_attribute(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    let addresses = &scene.region.ec2.addresses;
    let ids = params.texts("AllocationId");
    for id in &ids {
        find(addresses, id)?;
    }
    let found: Vec<Value> = addresses
        .values()
        .filter(|address| ids.is_empty() || ids.contains(&address.id.as_str()))
        .map(|address| json!({"publicIp": address.address, "allocationId": address.id}))
        .collect();
    Ok(json!({ "addressSet": found }))
}

fn associate_address(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let allocation = params.need("AllocationId")?;
    let ec2 = &scene.region.ec2;
    let address = find(&ec2.addresses, allocation)?;
    let interface = match (params.text("NetworkInterfaceId"), params.text("InstanceId")) {
        (Some(id), _) => find(&ec2.interfaces, id)?,
        (None, Some(instance)) => ec2
            .interfaces
            .values()
            .find(|interface| {
                let attachment = interface.attachment.as_ref();
                attachment.is_some_and(|a| a.instance.as_deref() == Some(instance) && a.index == 0)
            })
            .ok_or_else(|| {
                let message = format!("The instance ID '{instance}' does not exist");
                ApiError::new("InvalidInstanceID.NotFound", message)
            })?,
        (None, None) => return Err(ApiError::missing("NetworkInterfaceId")),
    };
    let attached = |igw: &super::internet_gateway::InternetGateway| {
        igw.vpc.as_deref() == Some(interface.vpc.as_str())
    };
    if !ec2.internet_gateways.values().any(attached) {
        let message = format!(
            "Network {} is not attached to any internet gateway",
            interface.vpc
        );
        return Err(ApiError::new("Gateway.NotAttached", message));
    }
    let managed = |id: &String| {
        ec2.interfaces
            .get(id)
            .is_some_and(|i| i.requester.is_some())
    };
    let held = address
        .association
        .as_ref()
        .map(|association| &association.interface);
    if interface.requester.is_some() || held.is_some_and(managed) {
        return Err(no_permission());
    }
    let interface = interface.id.clone();
    if held.is_some_and(|held| *held != interface)
        && params.flag("AllowReassociation")? != Some(true)
    {
        let message =
            format!("resource {allocation} is already associated with associate-id {interface}");
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    unmap(scene, allocation);
    let id = associate(scene, allocation, &interface);
    Ok(json!({"return": true, "associationId": id}))
}

fn disassociate_address(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("AssociationId")?;
    let ec2 = &scene.region.ec2;
    let of = |address: &&Address| {
        let association = address.association.as_ref();
        association.is_some_and(|association| association.id == id)
    };
    let Some(address) = ec2.addresses.values().find(of) else {
        let message = format!("The association ID '{id}' does not exist");
        return Err(ApiError::new("InvalidAssociationID.NotFound", message));
    };
    let interface = address
        .association
        .as_ref()
        .map(|association| &association.interface);
    let interface = interface.and_then(|id| ec2.interfaces.get(id));
    if interface.is_some_and(|interface| interface.requester.is_some()) {
        return Err(no_permission());
    }
    let allocation = address.id.clone();
    unmap(scene, &allocation);
    Ok(json!({"return": true}))
}

/// Take an address from its interface.
fn unmap(scene: &mut Scene<'_>, allocation: &str) {
    let ec2 = &mut scene.region.ec2;
    let address = ec2.addresses.get_mut(allocation);
    let association = address.and_then(|address| address.association.take());
    let interface =
        association.and_then(|association| ec2.interfaces.get_mut(&association.interface));
    if let Some(interface) = interface {
        interface.public = None;
    }
}
