//! VPCs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Event;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::filters::Filters;
use crate::aws::world::latency::Wait;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// A VPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) created: Time,
    pub(crate) state: String,
    pub(crate) cidr: String,
    pub(crate) tags: Tags,
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateVpc", &["CidrBlock", "TagSpecification"], create_vpc),
    Action::read(
        "DescribeVpcs",
        &["VpcId", "Filter", "MaxResults", "NextToken"],
        describe_vpcs,
    ),
];

fn create_vpc(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cidr = params.need("CidrBlock")?.to_owned();
    let tags = tags::specified(params, "vpc", &[])?;
    if scene.region.ec2.vpcs.len() >= scene.quota("L-F678F1CE") {
        return Err(ApiError::new(
            "VpcLimitExceeded",
            "The maximum number of VPCs has been reached.",
        ));
    }
    let id = scene.core.ids.ec2("vpc");
    let vpc = Vpc {
        id: id.clone(),
        created: scene.now,
        state: "pending".to_owned(),
        cidr,
        tags: Tags::new(tags),
    };
    let reply = show(scene, &vpc);
    scene.region.ec2.vpcs.insert(id.clone(), vpc);
    scene.schedule(Wait::VpcAvailable, Event::VpcAvailable { vpc: id });
    Ok(json!({ "vpc": reply }))
}

/// The VPC is there.
pub(crate) fn available(scene: &mut Scene<'_>, id: &str) {
    if let Some(vpc) = scene.region.ec2.vpcs.get_mut(id) {
        vpc.state = "available".to_owned();
    }
}

fn describe_vpcs(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let filters = Filters::read(params, &["vpc-id", "state", "cidr"])?;
    let found = scene
        .region
        .ec2
        .vpcs
        .values()
        .filter(|vpc| {
            filters.fit(vpc.tags.seen(scene), |name| match name {
                "vpc-id" => vec![vpc.id.clone()],
                "state" => vec![vpc.state.clone()],
                _ => vec![vpc.cidr.clone()],
            })
        })
        .collect();
    let page = page(
        found,
        |vpc| vpc.id.clone(),
        params.text("NextToken"),
        None,
        "InvalidNextToken",
    )?;
    let set: Vec<Value> = page.items.iter().map(|vpc| show(scene, vpc)).collect();
    Ok(json!({"vpcSet": set, "nextToken": page.next}))
}

fn show(scene: &Scene<'_>, vpc: &Vpc) -> Value {
    json!({
        "vpcId": vpc.id,
        "ownerId": scene.place.account,
        "state": vpc.state,
        "cidrBlock": vpc.cidr,
        "tagSet": Tags::xml(vpc.tags.current()),
    })
}
