//! VPCs, and what comes with each: main route table, default network ACL, default security group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Event;
use super::acl::Acl;
use super::net::Cidr;
use super::resource::{Resource, Words, describe, find, find_mut, has_dependencies};
use super::route_table::RouteTable;
use super::security_group::Group;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// A VPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) created: Time,
    pub(crate) available: bool,
    pub(crate) cidr: Cidr,
    cidr_association: String,
    /// Ranges that were added later, by association.
    #[serde(default)]
    further: BTreeMap<String, Cidr>,
    pub(crate) tenancy: String,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    address_metrics: bool,
    pub(crate) tags: Tags,
}

impl Vpc {
    fn associations(&self) -> impl Iterator<Item = Value> {
        let first = std::iter::once((&self.cidr_association, self.cidr));
        let further = self.further.iter().map(|(id, cidr)| (id, *cidr));
        first.chain(further).map(|(id, cidr)| {
            json!({"cidrBlock": cidr, "associationId": id, "cidrBlockState": {"state": "associated"}})
        })
    }

    /// Ranges that were added later.
    pub(crate) fn further(&self) -> Vec<Cidr> {
        self.further.values().copied().collect()
    }

    /// Whether a range lies in one of its own.
    pub(crate) fn contains(&self, cidr: Cidr) -> bool {
        let mut own = std::iter::once(&self.cidr).chain(self.further.values());
        own.any(|range| range.contains(cidr))
    }
}

impl Resource for Vpc {
    const WORDS: Words = Words {
        prefix: "vpc",
        noun: "vpc",
        not_found: "InvalidVpcID.NotFound",
        malformed: "InvalidVpcID.Malformed",
        tagged: "vpc",
        ids: "VpcId",
        set: "vpcSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("vpc-id", "vpcId"),
        ("state", "state"),
        ("cidr", "cidrBlock"),
        (
            "cidr-block-association.cidr-block",
            "cidrBlockAssociationSet.cidrBlock",
        ),
        (
            "cidr-block-association.association-id",
            "cidrBlockAssociationSet.associationId",
        ),
        (
            "cidr-block-association.state",
            "cidrBlockAssociationSet.cidrBlockState.state",
        ),
        ("dhcp-options-id", "dhcpOptionsId"),
        ("is-default", "isDefault"),
        ("isDefault", "isDefault"),
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
            "vpcId": self.id,
            "ownerId": scene.place.account,
            "state": if self.available { "available" } else { "pending" },
            "cidrBlock": self.cidr,
            "cidrBlockAssociationSet": self.associations().collect::<Vec<_>>(),
            "dhcpOptionsId": super::dhcp::ID,
            "instanceTenancy": self.tenancy,
            "isDefault": false,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateVpc",
        &[
            "CidrBlock",
            "InstanceTenancy",
            "TagSpecification",
            "AmazonProvidedIpv6CidrBlock",
        ],
        create_vpc,
    ),
    Action::write("DeleteVpc", &["VpcId"], delete_vpc),
    Action::write(
        "AssociateVpcCidrBlock",
        &["VpcId", "CidrBlock"],
        associate_cidr,
    ),
    Action::read(
        "DescribeVpcs",
        &["VpcId", "Filter", "MaxResults", "NextToken"],
        describe_vpcs,
    ),
    Action::read(
        "DescribeVpcAttribute",
        &["VpcId", "Attribute"],
        describe_vpc_attribute,
    ),
    Action::write(
        "ModifyVpcAttribute",
        &[
            "VpcId",
            "EnableDnsSupport",
            "EnableDnsHostnames",
            "EnableNetworkAddressUsageMetrics",
        ],
        modify_vpc_attribute,
    ),
];

/// The CIDR block in a parameter.
pub(crate) fn cidr_block(params: Params<'_>, name: &str) -> Result<Cidr, ApiError> {
    let text = params.need(name)?;
    text.parse().map_err(|_| {
        let message = format!(
            "Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        );
        ApiError::new("InvalidParameterValue", message)
    })
}

fn create_vpc(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cidr = cidr_block(params, "CidrBlock")?;
    // Of the ranges without hosts AWS' pages name this one alone (Amazon VPC user guide: CIDR block association restrictions).
    let link_local = "169.254.0.0/16".parse::<Cidr>();
    let link_local = link_local.is_ok_and(|range| range.overlaps(cidr));
    if link_local || !(16..=28).contains(&cidr.prefix()) {
        let message = format!("The CIDR '{}' is invalid.", params.need("CidrBlock")?);
        return Err(ApiError::new("InvalidVpc.Range", message));
    }
    if params.flag("AmazonProvidedIpv6CidrBlock")? == Some(true) {
        return Err(ApiError::not_simulated("IPv6 in a VPC"));
    }
    let tags = tags::specified(params, "vpc", &[])?;
    if scene.region.ec2.vpcs.len() >= scene.quota("L-F678F1CE") {
        let message = "The maximum number of VPCs has been reached.";
        return Err(ApiError::new("VpcLimitExceeded", message));
    }
    let id = scene.core.ids.ec2("vpc");
    let vpc = Vpc {
        id: id.clone(),
        created: scene.now,
        available: false,
        cidr,
        cidr_association: scene.core.ids.ec2("vpc-cidr-assoc"),
        further: BTreeMap::new(),
        tenancy: params
            .text("InstanceTenancy")
            .unwrap_or("default")
            .to_owned(),
        dns_support: true,
        // Only a default VPC gives its instances names at first (Amazon VPC user guide: DNS attributes).
        dns_hostnames: false,
        address_metrics: false,
        tags: Tags::new(tags),
    };
    let reply = vpc.show(scene);
    let table = RouteTable::new(scene, &id, cidr, true, Tags::default());
    let group = Group::default_of(scene, &id);
    let acl = Acl::default_of(scene, &id);
    let ec2 = &mut scene.region.ec2;
    ec2.vpcs.insert(id.clone(), vpc);
    ec2.route_tables.insert(table.id.clone(), table);
    ec2.groups.insert(group.id.clone(), group);
    ec2.acls.insert(acl.id.clone(), acl);
    scene.schedule(Wait::VpcAvailable, Event::VpcAvailable { vpc: id });
    Ok(json!({ "vpc": reply }))
}

/// A further range of a VPC. Which ones EC2 refuses beside the first (restricted blocks, ranges of its peers and routes) is a
/// table of its own in the VPC user guide, and not modelled.
fn associate_cidr(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cidr = cidr_block(params, "CidrBlock")?;
    let id = params.need("VpcId")?.to_owned();
    let vpc = find(&scene.region.ec2.vpcs, &id)?;
    let mut taken = std::iter::once(&vpc.cidr).chain(vpc.further.values());
    if !(16..=28).contains(&cidr.prefix()) || taken.any(|own| own.overlaps(cidr)) {
        return Err(ApiError::not_simulated(format!(
            "the refusal of {cidr} as a further range of a VPC"
        )));
    }
    let association = scene.core.ids.ec2("vpc-cidr-assoc");
    for table in scene.region.ec2.route_tables.values_mut() {
        if table.vpc == id {
            table.add_local(cidr);
        }
    }
    let vpc = find_mut(&mut scene.region.ec2.vpcs, &id)?;
    vpc.further.insert(association.clone(), cidr);
    Ok(json!({
        "vpcId": id,
        "cidrBlockAssociation": {
            "cidrBlock": cidr,
            "associationId": association,
            "cidrBlockState": {"state": "associating"},
        },
    }))
}

/// The VPC is there.
pub(crate) fn available(scene: &mut Scene<'_>, id: &str) {
    if let Some(vpc) = scene.region.ec2.vpcs.get_mut(id) {
        vpc.available = true;
    }
}

fn delete_vpc(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("VpcId")?;
    let ec2 = &mut scene.region.ec2;
    find(&ec2.vpcs, id)?;
    let held = ec2.subnets.values().any(|subnet| subnet.vpc == id)
        || ec2.interfaces.values().any(|interface| interface.vpc == id)
        || ec2
            .internet_gateways
            .values()
            .any(|igw| igw.vpc.as_deref() == Some(id))
        || ec2
            .route_tables
            .values()
            .any(|table| table.vpc == id && !table.main)
        || ec2
            .groups
            .values()
            .any(|group| group.vpc == id && !group.is_default())
        || ec2.endpoints.values().any(|endpoint| endpoint.vpc == id)
        || ec2
            .nat_gateways
            .values()
            .any(|nat| nat.vpc == id && nat.is_alive());
    if held {
        return Err(has_dependencies::<Vpc>(id));
    }
    ec2.vpcs.remove(id);
    // What came with it goes with it.
    ec2.route_tables.retain(|_, table| table.vpc != id);
    ec2.groups.retain(|_, group| group.vpc != id);
    ec2.acls.retain(|_, acl| acl.vpc != id);
    Ok(json!({"return": true}))
}

fn describe_vpcs(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.vpcs)
}

fn describe_vpc_attribute(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let vpc = find(&scene.region.ec2.vpcs, params.need("VpcId")?)?;
    let attribute = params.need("Attribute")?;
    let value = match attribute {
        "enableDnsSupport" => vpc.dns_support,
        "enableDnsHostnames" => vpc.dns_hostnames,
        "enableNetworkAddressUsageMetrics" => vpc.address_metrics,
        other => {
            let message = format!("Value ({other}) for parameter attribute is invalid.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    };
    Ok(json!({"vpcId": vpc.id, attribute: {"value": value}}))
}

fn modify_vpc_attribute(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let vpc = find_mut(&mut scene.region.ec2.vpcs, params.need("VpcId")?)?;
    let attribute = |name: &str| match params.section(name) {
        Some(section) => section.flag("Value"),
        None => Ok(None),
    };
    let support = attribute("EnableDnsSupport")?;
    let names = attribute("EnableDnsHostnames")?;
    let metrics = attribute("EnableNetworkAddressUsageMetrics")?;
    // One at a time, as the API reference says of this action.
    match [support, names, metrics].iter().flatten().count() {
        1 => {}
        0 => return Err(ApiError::missing("Attribute")),
        _ => {
            let message = "Fields for multiple attribute types specified";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
    }
    vpc.dns_support = support.unwrap_or(vpc.dns_support);
    vpc.dns_hostnames = names.unwrap_or(vpc.dns_hostnames);
    vpc.address_metrics = metrics.unwrap_or(vpc.address_metrics);
    Ok(json!({"return": true}))
}
