//! Network ACLs: the default one of each VPC.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::{Resource, Words, describe};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// The default network ACL of a VPC; others are not simulated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Acl {
    pub(crate) id: String,
    pub(crate) vpc: String,
    created: Time,
    tags: Tags,
}

impl Acl {
    /// The one that comes with a VPC.
    pub(crate) fn default_of(scene: &mut Scene<'_>, vpc: &str) -> Self {
        Self {
            id: scene.core.ids.ec2("acl"),
            vpc: vpc.to_owned(),
            created: scene.now,
            tags: Tags::default(),
        }
    }
}

impl Resource for Acl {
    const WORDS: Words = Words {
        prefix: "acl",
        noun: "networkAcl",
        not_found: "InvalidNetworkAclID.NotFound",
        malformed: "InvalidNetworkAclId.Malformed",
        tagged: "network-acl",
        ids: "NetworkAclId",
        set: "networkAclSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("network-acl-id", "networkAclId"),
        ("vpc-id", "vpcId"),
        ("default", "default"),
        ("owner-id", "ownerId"),
        (
            "association.association-id",
            "associationSet.networkAclAssociationId",
        ),
        ("association.network-acl-id", "associationSet.networkAclId"),
        ("association.subnet-id", "associationSet.subnetId"),
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
        let entry = |number: u32, action: &str, egress: bool| {
            json!({
                "ruleNumber": number, "protocol": "-1", "ruleAction": action, "egress": egress, "cidrBlock": "0.0.0.0/0",
            })
        };
        let subnets = scene.region.ec2.subnets.values();
        let associations: Vec<Value> = subnets
            .filter(|subnet| subnet.vpc == self.vpc)
            .map(|subnet| {
                json!({
                    "networkAclAssociationId": subnet.acl_association,
                    "networkAclId": self.id,
                    "subnetId": subnet.id,
                })
            })
            .collect();
        json!({
            "networkAclId": self.id,
            "vpcId": self.vpc,
            "ownerId": scene.place.account,
            "default": true,
            // As AWS makes it: everything allowed, and the last rule that cannot be changed.
            "entrySet": [
                entry(100, "allow", true), entry(32_767, "deny", true),
                entry(100, "allow", false), entry(32_767, "deny", false),
            ],
            "associationSet": associations,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "DescribeNetworkAcls",
    &["NetworkAclId", "Filter", "MaxResults", "NextToken"],
    describe_network_acls,
)];

fn describe_network_acls(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.acls)
}
