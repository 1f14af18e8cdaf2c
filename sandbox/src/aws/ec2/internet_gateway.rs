//! Internet gateways.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::resource::{Resource, Words, describe, find, find_mut, has_dependencies};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// An internet gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InternetGateway {
    pub(crate) id: String,
    created: Time,
    /// The VPC that it is attached to.
    pub(crate) vpc: Option<String>,
    tags: Tags,
}

impl Resource for InternetGateway {
    const WORDS: Words = Words {
        prefix: "igw",
        noun: "internetGateway",
        not_found: "InvalidInternetGatewayID.NotFound",
        malformed: "InvalidInternetGatewayId.Malformed",
        tagged: "internet-gateway",
        ids: "InternetGatewayId",
        set: "internetGatewaySet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("internet-gateway-id", "internetGatewayId"),
        ("attachment.vpc-id", "attachmentSet.vpcId"),
        ("attachment.state", "attachmentSet.state"),
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
        // EC2 says "available" here where its model says "attached".
        let attachment = |vpc: &String| json!({"vpcId": vpc, "state": "available"});
        let attachments: Vec<Value> = self.vpc.iter().map(attachment).collect();
        json!({
            "internetGatewayId": self.id,
            "ownerId": scene.place.account,
            "attachmentSet": attachments,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateInternetGateway",
        &["TagSpecification"],
        create_internet_gateway,
    ),
    Action::write(
        "DeleteInternetGateway",
        &["InternetGatewayId"],
        delete_internet_gateway,
    ),
    Action::write(
        "AttachInternetGateway",
        &["InternetGatewayId", "VpcId"],
        attach,
    ),
    Action::write(
        "DetachInternetGateway",
        &["InternetGatewayId", "VpcId"],
        detach,
    ),
    Action::read(
        "DescribeInternetGateways",
        &["InternetGatewayId", "Filter", "MaxResults", "NextToken"],
        describe_internet_gateways,
    ),
];

fn create_internet_gateway(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let tags = tags::specified(params, "internet-gateway", &[])?;
    if scene.region.ec2.internet_gateways.len() >= scene.quota("L-A4707A72") {
        let message = "The maximum number of internet gateways has been reached.";
        return Err(ApiError::new("InternetGatewayLimitExceeded", message));
    }
    let gateway = InternetGateway {
        id: scene.core.ids.ec2("igw"),
        created: scene.now,
        vpc: None,
        tags: Tags::new(tags),
    };
    let reply = gateway.show(scene);
    let gateways = &mut scene.region.ec2.internet_gateways;
    gateways.insert(gateway.id.clone(), gateway);
    Ok(json!({ "internetGateway": reply }))
}

fn delete_internet_gateway(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("InternetGatewayId")?;
    let gateways = &mut scene.region.ec2.internet_gateways;
    if find(gateways, id)?.vpc.is_some() {
        return Err(has_dependencies::<InternetGateway>(id));
    }
    gateways.remove(id);
    Ok(json!({"return": true}))
}

fn attach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (id, vpc) = (params.need("InternetGatewayId")?, params.need("VpcId")?);
    let ec2 = &mut scene.region.ec2;
    let gateway = find(&ec2.internet_gateways, id)?;
    find(&ec2.vpcs, vpc)?;
    if let Some(attached) = &gateway.vpc {
        let message = format!("resource {id} is already attached to network {attached}");
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    let mut others = ec2.internet_gateways.values();
    if others.any(|other| other.vpc.as_deref() == Some(vpc)) {
        let message = format!("Network {vpc} already has an internet gateway attached");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    find_mut(&mut ec2.internet_gateways, id)?.vpc = Some(vpc.to_owned());
    Ok(json!({"return": true}))
}

fn detach(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (id, vpc) = (params.need("InternetGatewayId")?, params.need("VpcId")?);
    let ec2 = &mut scene.region.ec2;
    let gateway = find(&ec2.internet_gateways, id)?;
    find(&ec2.vpcs, vpc)?;
    if gateway.vpc.as_deref() != Some(vpc) {
        let message = format!("resource {id} is not attached to network {vpc}");
        return Err(ApiError::new("Gateway.NotAttached", message));
    }
    let mapped = |interface: &super::interface::Interface| {
        interface.vpc == vpc && interface.public.is_some()
    };
    if ec2.interfaces.values().any(mapped) {
        let message = format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        );
        return Err(ApiError::new("DependencyViolation", message));
    }
    find_mut(&mut ec2.internet_gateways, id)?.vpc = None;
    Ok(json!({"return": true}))
}

fn describe_internet_gateways(
    scene: &mut Scene<'_>,
    params: Params<'_>,
) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.internet_gateways)
}
