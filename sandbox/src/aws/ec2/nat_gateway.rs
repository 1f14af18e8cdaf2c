//! NAT gateways.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::interface::{self, NewInterface};
use super::resource::{Resource, Words, answer, find};
use super::{Event, address};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};

/// A NAT gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NatGateway {
    pub(crate) id: String,
    created: Time,
    deleted: Option<Time>,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    zone: String,
    pub(crate) state: State,
    connectivity: String,
    allocation: Option<String>,
    association: Option<String>,
    interface: String,
    private: Option<Ipv4Addr>,
    public: Option<Ipv4Addr>,
    failure: Option<(String, String)>,
    tags: Tags,
}

/// The states of a NAT gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Failed,
    Available,
    Deleting,
    Deleted,
}

impl NatGateway {
    /// Whether it still holds anything.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(
            self.state,
            State::Pending | State::Available | State::Deleting
        )
    }
}

impl Resource for NatGateway {
    const WORDS: Words = Words {
        prefix: "nat",
        noun: "natGateway",
        not_found: "InvalidNatGatewayID.NotFound",
        malformed: "InvalidNatGatewayID.Malformed",
        tagged: "natgateway",
        ids: "NatGatewayId",
        set: "natGatewaySet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("nat-gateway-id", "natGatewayId"),
        ("state", "state"),
        ("subnet-id", "subnetId"),
        ("vpc-id", "vpcId"),
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
        let settled = matches!(
            self.state,
            State::Available | State::Deleting | State::Deleted
        );
        json!({
            "natGatewayId": self.id,
            "state": self.state,
            "subnetId": self.subnet,
            "vpcId": self.vpc,
            "connectivityType": self.connectivity,
            "createTime": self.created.iso(),
            "deleteTime": self.deleted.map(Time::iso),
            "failureCode": self.failure.as_ref().filter(|_| self.state == State::Failed).map(|(code, _)| code),
            "failureMessage": self.failure.as_ref().filter(|_| self.state == State::Failed).map(|(_, message)| message),
            "natGatewayAddressSet": [{
                "allocationId": self.allocation,
                "associationId": self.association.as_ref().filter(|_| settled),
                "networkInterfaceId": Some(&self.interface).filter(|id| !id.is_empty()),
                "privateIp": self.private,
                "publicIp": self.public,
                "isPrimary": true,
                "status": match self.state {
                    State::Pending => "associating",
                    State::Failed => "failed",
                    _ => "succeeded",
                },
            }],
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateNatGateway",
        &[
            "SubnetId",
            "AllocationId",
            "ConnectivityType",
            "ClientToken",
            "TagSpecification",
        ],
        create_nat_gateway,
    ),
    Action::write("DeleteNatGateway", &["NatGatewayId"], delete_nat_gateway),
    Action::read(
        "DescribeNatGateways",
        &["NatGatewayId", "Filter", "MaxResults", "NextToken"],
        describe_nat_gateways,
    ),
];

fn create_nat_gateway(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        // Also when it has failed since: a token stands for one gateway.
        Replay::Again(id) => id,
        first => {
            let id = make(scene, params)?;
            remember(scene, first, &id);
            id
        }
    };
    let nat = scene
        .region
        .ec2
        .nat_gateways
        .get(&id)
        .ok_or_else(|| not_found(&id))?;
    Ok(json!({"natGateway": nat.show(scene), "clientToken": params.text("ClientToken")}))
}

fn make(scene: &mut Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let ec2 = &scene.region.ec2;
    let subnet = find(&ec2.subnets, params.need("SubnetId")?)?;
    let (subnet_id, vpc, zone) = (subnet.id.clone(), subnet.vpc.clone(), subnet.zone.clone());
    let connectivity = params
        .text("ConnectivityType")
        .unwrap_or("public")
        .to_owned();
    let allocation = match connectivity.as_str() {
        "public" => {
            let allocation = params.need("AllocationId")?;
            // A fresh address is not known here at once: this very call is where users met it.
            let known = ec2
                .addresses
                .get(allocation)
                .filter(|a| scene.known(a.created));
            if known.is_none() {
                let message = format!("The elasticIp ID '{allocation}' does not exist");
                return Err(ApiError::new("InvalidElasticIpID.NotFound", message));
            }
            Some(allocation.to_owned())
        }
        "private" => None,
        other => {
            let message = format!("Value ({other}) for parameter connectivityType is invalid.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
    };
    let tags = tags::specified(params, "natgateway", &[])?;
    let quota = scene.quota("L-FE5A380F");
    let alive = ec2
        .nat_gateways
        .values()
        .filter(|nat| nat.zone == zone && nat.is_alive());
    if alive.count() >= quota {
        let message =
            format!("Performing this operation would exceed the limit of {quota} NAT gateways");
        return Err(ApiError::new("NatGatewayLimitExceeded", message));
    }
    // These make a gateway that fails a little later, not an error of the call.
    let attached =
        |igw: &super::internet_gateway::InternetGateway| igw.vpc.as_deref() == Some(&vpc);
    let taken = |allocation: &String| {
        let address = ec2.addresses.get(allocation);
        address.is_some_and(|address| address.association.is_some())
    };
    let failure = if allocation.is_some() && !ec2.internet_gateways.values().any(attached) {
        let message = format!("Network {vpc} has no Internet gateway attached");
        Some(("Gateway.NotAttached".to_owned(), message))
    } else {
        allocation
            .as_ref()
            .filter(|allocation| taken(allocation))
            .map(|allocation| {
                let message = format!("Elastic IP address {allocation} is already associated");
                ("Resource.AlreadyAssociated".to_owned(), message)
            })
    };
    let id = scene.core.ids.ec2("nat");
    let new = NewInterface {
        subnet: subnet_id.clone(),
        description: format!("Interface for NAT Gateway {id}"),
        kind: "nat_gateway",
        requester: Some(REQUESTER.to_owned()),
        service: Some("amazon-aws"),
        ..NewInterface::default()
    };
    let (interface, failure) = match interface::create(scene, new) {
        Ok(interface) => (interface, failure),
        Err(error) if error.code_for(None) == "InsufficientFreeAddressesInSubnet" => {
            let message = "Subnet has insufficient free addresses to create this NAT gateway";
            let code = "InsufficientFreeAddressesInSubnet".to_owned();
            (String::new(), Some((code, message.to_owned())))
        }
        Err(error) => return Err(error),
    };
    let association = match (&failure, &allocation) {
        (None, Some(allocation)) => address::associate(scene, allocation, &interface),
        _ => None,
    };
    let ec2 = &mut scene.region.ec2;
    let made = ec2.interfaces.get(&interface);
    let public = allocation.as_ref().and_then(|id| ec2.addresses.get(id));
    let nat = NatGateway {
        id: id.clone(),
        created: scene.now,
        deleted: None,
        vpc,
        subnet: subnet_id,
        zone,
        state: State::Pending,
        connectivity,
        association,
        private: made.and_then(|made| made.addresses.first().copied()),
        public: public.map(|public| public.address),
        allocation,
        interface,
        failure: failure.clone(),
        tags: Tags::new(tags),
    };
    ec2.nat_gateways.insert(id.clone(), nat);
    let wait = match failure {
        Some(_) => Wait::NatGatewayFailed,
        None => Wait::NatGatewayAvailable,
    };
    scene.schedule(wait, Event::NatGatewaySettles { nat: id.clone() });
    Ok(id)
}

/// The account that AWS's own interfaces are requested by.
const REQUESTER: &str = "270901834984";

/// It becomes available, or fails.
pub(crate) fn settles(scene: &mut Scene<'_>, id: &str) {
    let Some(nat) = scene.region.ec2.nat_gateways.get_mut(id) else {
        return;
    };
    if nat.state != State::Pending {
        return;
    }
    if nat.failure.is_none() {
        nat.state = State::Available;
        return;
    }
    nat.state = State::Failed;
    nat.deleted = Some(scene.now);
    let interface = nat.interface.clone();
    interface::remove(scene, &interface);
    scene.schedule(
        Wait::NatGatewayForgotten,
        Event::NatGatewayForgotten { nat: id.to_owned() },
    );
}

/// It has gone: its interface goes, its address becomes free.
pub(crate) fn deleted(scene: &mut Scene<'_>, id: &str) {
    let Some(nat) = scene.region.ec2.nat_gateways.get_mut(id) else {
        return;
    };
    nat.state = State::Deleted;
    nat.deleted = Some(scene.now);
    let interface = nat.interface.clone();
    interface::remove(scene, &interface);
    scene.schedule(
        Wait::NatGatewayForgotten,
        Event::NatGatewayForgotten { nat: id.to_owned() },
    );
}

/// It is no longer shown.
pub(crate) fn forgotten(scene: &mut Scene<'_>, id: &str) {
    scene.region.ec2.nat_gateways.remove(id);
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(
        "NatGatewayNotFound",
        format!("The Nat Gateway {id} was not found"),
    )
}

fn delete_nat_gateway(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("NatGatewayId")?;
    let nat = scene
        .region
        .ec2
        .nat_gateways
        .get_mut(id)
        .ok_or_else(|| not_found(id))?;
    match nat.state {
        State::Pending | State::Available => {
            nat.state = State::Deleting;
            scene.schedule(
                Wait::NatGatewayDeleted,
                Event::NatGatewayDeleted { nat: id.to_owned() },
            );
        }
        State::Deleting => {}
        State::Failed => nat.state = State::Deleted,
        State::Deleted => return Err(not_found(id)),
    }
    Ok(json!({ "natGatewayId": id }))
}

fn describe_nat_gateways(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = &scene.region.ec2.nat_gateways;
    let ids = params.texts("NatGatewayId");
    for id in &ids {
        let known = all.get(*id).filter(|nat| scene.known(nat.created));
        if known.is_none() {
            return Err(not_found(id));
        }
    }
    let asked = |nat: &&NatGateway| {
        if ids.is_empty() {
            scene.listed(nat.created)
        } else {
            ids.contains(&nat.id.as_str())
        }
    };
    let found = all
        .values()
        .filter(asked)
        .map(|nat| (nat.id.clone(), &nat.tags, nat.show(scene)))
        .collect();
    answer(
        scene,
        params,
        found,
        NatGateway::FILTERS,
        "natGatewaySet",
        ids.is_empty(),
    )
}

#[cfg(test)]
#[path = "nat_gateway_tests.rs"]
mod tests;
