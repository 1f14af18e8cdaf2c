//! Subnets.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::net::Cidr;
use super::resource::{Resource, Words, describe, find, find_mut, has_dependencies};
use super::vpc::cidr_block;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::zones;

/// A subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) created: Time,
    pub(crate) vpc: String,
    pub(crate) cidr: Cidr,
    /// Name of its zone.
    pub(crate) zone: String,
    /// Whether instances in it get public addresses.
    pub(crate) public_addresses: bool,
    /// Its association with the default network ACL.
    pub(crate) acl_association: String,
    hostname_type: String,
    name_records: bool,
    pub(crate) tags: Tags,
}

impl Resource for Subnet {
    const WORDS: Words = Words {
        prefix: "subnet",
        noun: "subnet",
        not_found: "InvalidSubnetID.NotFound",
        malformed: "InvalidSubnetID.Malformed",
        tagged: "subnet",
        ids: "SubnetId",
        set: "subnetSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("subnet-id", "subnetId"),
        ("subnet-arn", "subnetArn"),
        ("vpc-id", "vpcId"),
        ("state", "state"),
        ("cidr-block", "cidrBlock"),
        ("cidr", "cidrBlock"),
        ("cidrBlock", "cidrBlock"),
        ("availability-zone", "availabilityZone"),
        ("availabilityZone", "availabilityZone"),
        ("availability-zone-id", "availabilityZoneId"),
        ("available-ip-address-count", "availableIpAddressCount"),
        ("default-for-az", "defaultForAz"),
        ("map-public-ip-on-launch", "mapPublicIpOnLaunch"),
        ("owner-id", "ownerId"),
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
            "subnetId": self.id,
            "subnetArn": scene.place.arn("ec2", &format!("subnet/{}", self.id)),
            "state": "available",
            "ownerId": scene.place.account,
            "vpcId": self.vpc,
            "cidrBlock": self.cidr,
            "ipv6CidrBlockAssociationSet": [],
            "assignIpv6AddressOnCreation": false,
            "availableIpAddressCount": self.free_addresses(scene),
            "availabilityZone": self.zone,
            "availabilityZoneId": zones::zone_id(&self.zone),
            "defaultForAz": false,
            "mapPublicIpOnLaunch": self.public_addresses,
            "mapCustomerOwnedIpOnLaunch": false,
            "enableDns64": false,
            "ipv6Native": false,
            "privateDnsNameOptionsOnLaunch": {
                "hostnameType": self.hostname_type,
                "enableResourceNameDnsARecord": self.name_records,
                "enableResourceNameDnsAAAARecord": false,
            },
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

impl Subnet {
    fn taken<'a>(&'a self, scene: &'a Scene<'_>) -> impl Iterator<Item = Ipv4Addr> + 'a {
        let interfaces = scene.region.ec2.interfaces.values();
        interfaces
            .filter(|interface| interface.subnet == self.id)
            .flat_map(|interface| interface.addresses.iter().copied())
    }

    /// How many addresses are free.
    pub(crate) fn free_addresses(&self, scene: &Scene<'_>) -> u64 {
        let taken = self.taken(scene).count() as u64;
        (self.cidr.size() - 5).saturating_sub(taken)
    }

    /// So many free addresses.
    ///
    /// # Errors
    /// When there are not as many.
    pub(crate) fn addresses(
        &self,
        scene: &Scene<'_>,
        count: usize,
    ) -> Result<Vec<Ipv4Addr>, ApiError> {
        let taken: std::collections::BTreeSet<Ipv4Addr> = self.taken(scene).collect();
        let free = self
            .cidr
            .usable()
            .filter(|address| !taken.contains(address));
        let free: Vec<Ipv4Addr> = free.take(count).collect();
        if free.len() < count {
            let message = format!(
                "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                self.id
            );
            return Err(ApiError::new("InsufficientFreeAddressesInSubnet", message));
        }
        Ok(free)
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateSubnet",
        &[
            "VpcId",
            "CidrBlock",
            "AvailabilityZone",
            "AvailabilityZoneId",
            "TagSpecification",
        ],
        create_subnet,
    ),
    Action::write("DeleteSubnet", &["SubnetId"], delete_subnet),
    Action::read(
        "DescribeSubnets",
        &["SubnetId", "Filter", "MaxResults", "NextToken"],
        describe_subnets,
    ),
    Action::write(
        "ModifySubnetAttribute",
        &[
            "SubnetId",
            "MapPublicIpOnLaunch",
            "PrivateDnsHostnameTypeOnLaunch",
            "EnableResourceNameDnsARecordOnLaunch",
        ],
        modify_subnet_attribute,
    ),
];

fn create_subnet(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let ec2 = &scene.region.ec2;
    let vpc = find(&ec2.vpcs, params.need("VpcId")?)?;
    let vpc_id = vpc.id.clone();
    let text = params.need("CidrBlock")?;
    let cidr = cidr_block(params, "CidrBlock")?;
    if !(16..=28).contains(&cidr.prefix()) || !vpc.contains(cidr) {
        let message = format!("The CIDR '{text}' is invalid.");
        return Err(ApiError::new("InvalidSubnet.Range", message));
    }
    let siblings: Vec<&Subnet> = ec2.subnets.values().filter(|s| s.vpc == vpc_id).collect();
    if siblings.iter().any(|sibling| sibling.cidr.overlaps(cidr)) {
        let message = format!("The CIDR '{text}' conflicts with another subnet");
        return Err(ApiError::new("InvalidSubnet.Conflict", message));
    }
    if siblings.len() >= scene.quota("L-407747CB") {
        let message = "The maximum number of subnets has been reached.";
        return Err(ApiError::new("SubnetLimitExceeded", message));
    }
    let zone = zone(scene, params)?;
    let tags = tags::specified(params, "subnet", &[])?;
    let subnet = Subnet {
        id: scene.core.ids.ec2("subnet"),
        created: scene.now,
        vpc: vpc_id,
        cidr,
        zone,
        public_addresses: false,
        acl_association: scene.core.ids.ec2("aclassoc"),
        hostname_type: "ip-name".to_owned(),
        name_records: false,
        tags: Tags::new(tags),
    };
    let reply = subnet.show(scene);
    scene.region.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(json!({ "subnet": reply }))
}

/// The zone that the parameters name, or the first one.
fn zone(scene: &Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let region = &scene.place.region;
    let zones = zones::region(region).map_or(&[][..], |region| region.zones);
    let name = |letter: &str| format!("{region}{letter}");
    let (wanted, found) = match (
        params.text("AvailabilityZone"),
        params.text("AvailabilityZoneId"),
    ) {
        (Some(wanted), _) => (
            wanted,
            zones.iter().find(|(letter, _)| name(letter) == wanted),
        ),
        (None, Some(wanted)) => (wanted, zones.iter().find(|(_, id)| *id == wanted)),
        (None, None) => ("", zones.first()),
    };
    found.map(|(letter, _)| name(letter)).ok_or_else(|| {
        let all: Vec<String> = zones.iter().map(|(letter, _)| name(letter)).collect();
        let message = format!(
            "Value ({wanted}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following \
             availability zones: {}.",
            all.join(", ")
        );
        ApiError::new("InvalidParameterValue", message)
    })
}

fn delete_subnet(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("SubnetId")?;
    let ec2 = &mut scene.region.ec2;
    find(&ec2.subnets, id)?;
    // NAT gateways, instances, endpoints, load balancers and clusters all hold it through their interfaces.
    if ec2
        .interfaces
        .values()
        .any(|interface| interface.subnet == id)
    {
        return Err(has_dependencies::<Subnet>(id));
    }
    ec2.subnets.remove(id);
    for table in ec2.route_tables.values_mut() {
        table
            .associations
            .retain(|association| association.subnet != id);
    }
    Ok(json!({"return": true}))
}

fn describe_subnets(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.subnets)
}

fn modify_subnet_attribute(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let subnet = find_mut(&mut scene.region.ec2.subnets, params.need("SubnetId")?)?;
    let flag = |name: &str| match params.section(name) {
        Some(section) => section.flag("Value"),
        None => Ok(None),
    };
    let public = flag("MapPublicIpOnLaunch")?;
    let records = flag("EnableResourceNameDnsARecordOnLaunch")?;
    let hostname = params.text("PrivateDnsHostnameTypeOnLaunch");
    let given = [public.is_some(), records.is_some(), hostname.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => return Err(ApiError::missing("Attribute")),
        _ => {
            let message = "Fields for multiple attribute types specified";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
    }
    if let Some(hostname) = hostname {
        if !["ip-name", "resource-name"].contains(&hostname) {
            let message = format!("Value ({hostname}) for parameter hostnameType is invalid.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        subnet.hostname_type = hostname.to_owned();
    }
    subnet.public_addresses = public.unwrap_or(subnet.public_addresses);
    subnet.name_records = records.unwrap_or(subnet.name_records);
    Ok(json!({"return": true}))
}
