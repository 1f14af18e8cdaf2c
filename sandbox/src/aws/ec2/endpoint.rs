//! VPC endpoints: gateways in route tables, interfaces in subnets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Event;
use super::interface::{self, NewInterface, group_set};
use super::prefix_list;
use super::resource::{Resource, Words, absent, describe, find, find_mut};
use super::route::{Destination, Route, Target};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};
use crate::aws::world::tokens::{Replay, remember, replay};

/// An endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    created: Time,
    pub(crate) vpc: String,
    pub(crate) service: String,
    gateway: bool,
    state: State,
    policy: Option<String>,
    pub(crate) route_tables: Vec<String>,
    subnets: Vec<String>,
    pub(crate) groups: Vec<String>,
    interfaces: Vec<String>,
    private_dns: bool,
    pub(crate) tags: Tags,
}

/// The states of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Pending,
    Available,
    Deleting,
}

/// What an endpoint allows when nothing else is said.
const FULL_ACCESS: &str = r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

impl Resource for Endpoint {
    const WORDS: Words = Words {
        prefix: "vpce",
        noun: "Vpc Endpoint",
        not_found: "InvalidVpcEndpointId.NotFound",
        malformed: "InvalidVpcEndpointId.Malformed",
        tagged: "vpc-endpoint",
        ids: "VpcEndpointId",
        set: "vpcEndpointSet",
    };
    const FILTERS: &'static [(&'static str, &'static str)] = &[
        ("vpc-endpoint-id", "vpcEndpointId"),
        ("vpc-endpoint-type", "vpcEndpointType"),
        ("vpc-endpoint-state", "state"),
        ("vpc-id", "vpcId"),
        ("service-name", "serviceName"),
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
            "vpcEndpointId": self.id,
            "vpcEndpointType": if self.gateway { "Gateway" } else { "Interface" },
            "vpcId": self.vpc,
            "serviceName": self.service,
            "state": self.state,
            "policyDocument": self.policy.as_deref().unwrap_or(FULL_ACCESS),
            "routeTableIdSet": self.route_tables,
            "subnetIdSet": self.subnets,
            "groupSet": group_set(scene, &self.groups),
            "ipAddressType": "ipv4",
            "dnsOptions": {"dnsRecordIpType": if self.gateway { "service-defined" } else { "ipv4" }},
            "privateDnsEnabled": self.private_dns,
            "requesterManaged": false,
            "networkInterfaceIdSet": self.interfaces,
            "dnsEntrySet": [],
            "creationTimestamp": self.created.iso(),
            "ownerId": scene.place.account,
            "tagSet": Tags::xml(self.tags.seen(scene)),
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateVpcEndpoint",
        &[
            "VpcEndpointType",
            "VpcId",
            "ServiceName",
            "PolicyDocument",
            "RouteTableId",
            "SubnetId",
            "SecurityGroupId",
            "PrivateDnsEnabled",
            "ClientToken",
            "TagSpecification",
        ],
        create_vpc_endpoint,
    ),
    Action::write(
        "DeleteVpcEndpoints",
        &["VpcEndpointId"],
        delete_vpc_endpoints,
    ),
    Action::read(
        "DescribeVpcEndpoints",
        &["VpcEndpointId", "Filter", "MaxResults", "NextToken"],
        describe_vpc_endpoints,
    ),
    Action::write(
        "ModifyVpcEndpoint",
        &[
            "VpcEndpointId",
            "PolicyDocument",
            "ResetPolicy",
            "AddRouteTableId",
            "RemoveRouteTableId",
        ],
        modify_vpc_endpoint,
    ),
];

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn create_vpc_endpoint(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(id) => id,
        first => {
            let id = make(scene, params)?;
            remember(scene, first, &id);
            id
        }
    };
    let endpoint = find(&scene.region.ec2.endpoints, &id)?;
    Ok(json!({"vpcEndpoint": endpoint.show(scene), "clientToken": params.text("ClientToken")}))
}

fn make(scene: &mut Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let vpc = find(&scene.region.ec2.vpcs, params.need("VpcId")?)?
        .id
        .clone();
    let service = params.need("ServiceName")?;
    let gateway = match params.text("VpcEndpointType").unwrap_or("Gateway") {
        "Gateway" => true,
        "Interface" => false,
        other => {
            return Err(ApiError::not_simulated(format!(
                "VPC endpoints of type {other}"
            )));
        }
    };
    let prefix = format!("com.amazonaws.{}.", scene.place.region);
    let list = prefix_list::of_service(scene, service);
    if !service.starts_with(&prefix) || (gateway && list.is_none()) {
        let message = format!("The Vpc Endpoint Service '{service}' does not exist");
        return Err(ApiError::new("InvalidServiceName", message));
    }
    let tags = tags::specified(params, "vpc-endpoint", &[])?;
    let tables = owned(&params.texts("RouteTableId"));
    let subnets = owned(&params.texts("SubnetId"));
    let groups = owned(&params.texts("SecurityGroupId"));
    if gateway && !subnets.is_empty() {
        let message = "Subnet IDs cannot be specified for Gateway endpoints";
        return Err(ApiError::new("InvalidParameter", message));
    }
    check_tables(scene, &vpc, service, &tables)?;
    let all = scene.region.ec2.endpoints.values();
    let (code, there, quota) = if gateway {
        let there = all.filter(|other| other.gateway).count();
        ("VpcEndpointLimitExceeded", there, scene.quota("L-1B52E74A"))
    } else {
        let there = all
            .filter(|other| !other.gateway && other.vpc == vpc)
            .count();
        ("VpcEndpointLimitExceeded", there, scene.quota("L-29B6F2EB"))
    };
    if there >= quota {
        return Err(ApiError::new(
            code,
            "The maximum number of VPC endpoints has been reached.",
        ));
    }
    let id = scene.core.ids.ec2("vpce");
    let mut interfaces = Vec::new();
    for subnet in &subnets {
        let made = interface::create(
            scene,
            NewInterface {
                subnet: subnet.clone(),
                description: format!("VPC Endpoint Interface {id}"),
                groups: if groups.is_empty() {
                    default_group(scene, &vpc)
                } else {
                    groups.clone()
                },
                kind: "vpc_endpoint",
                requester: Some(REQUESTER.to_owned()),
                service: Some("amazon-aws"),
                ..NewInterface::default()
            },
        );
        match made {
            Ok(made) => interfaces.push(made),
            Err(error) => {
                // A call that fails leaves nothing behind.
                interfaces
                    .iter()
                    .for_each(|made| interface::remove(scene, made));
                return Err(error);
            }
        }
    }
    let groups = match gateway {
        true => Vec::new(),
        false if groups.is_empty() => default_group(scene, &vpc),
        false => groups,
    };
    let endpoint = Endpoint {
        id: id.clone(),
        created: scene.now,
        vpc,
        service: service.to_owned(),
        gateway,
        state: State::Pending,
        policy: params.text("PolicyDocument").map(str::to_owned),
        route_tables: tables.clone(),
        subnets,
        groups,
        interfaces,
        private_dns: !gateway && params.flag("PrivateDnsEnabled")?.unwrap_or(true),
        tags: Tags::new(tags),
    };
    scene.region.ec2.endpoints.insert(id.clone(), endpoint);
    if let Some(list) = list {
        add_routes(scene, &id, &list, &tables);
    }
    let wait = match gateway {
        true => Wait::GatewayEndpointAvailable,
        false => Wait::InterfaceEndpointAvailable,
    };
    scene.schedule(
        wait,
        Event::EndpointAvailable {
            endpoint: id.clone(),
        },
    );
    Ok(id)
}

/// The account that interfaces of endpoints are requested by.
const REQUESTER: &str = "727180483921";

fn default_group(scene: &Scene<'_>, vpc: &str) -> Vec<String> {
    let mut groups = scene.region.ec2.groups.values();
    let found = groups.find(|group| group.vpc == vpc && group.is_default());
    found.map(|group| group.id.clone()).into_iter().collect()
}

fn check_tables(
    scene: &Scene<'_>,
    vpc: &str,
    service: &str,
    tables: &[String],
) -> Result<(), ApiError> {
    for id in tables {
        let table = find(&scene.region.ec2.route_tables, id)?;
        if table.vpc != vpc {
            let message =
                format!("route table {id} and network {vpc} belong to different networks");
            return Err(ApiError::new("InvalidParameter", message));
        }
        let has =
            |endpoint: &Endpoint| endpoint.service == service && endpoint.route_tables.contains(id);
        if scene.region.ec2.endpoints.values().any(has) {
            let list = prefix_list::of_service(scene, service).unwrap_or_default();
            let message = format!(
                "route table {id} already has a route with destination-prefix-list-id {list}"
            );
            return Err(ApiError::new("RouteAlreadyExists", message));
        }
    }
    Ok(())
}

fn add_routes(scene: &mut Scene<'_>, endpoint: &str, list: &str, tables: &[String]) {
    for id in tables {
        if let Some(table) = scene.region.ec2.route_tables.get_mut(id) {
            table.routes.push(Route {
                destination: Destination::PrefixList(list.to_owned()),
                target: Target::Endpoint(endpoint.to_owned()),
            });
        }
    }
}

fn remove_routes(scene: &mut Scene<'_>, endpoint: &str, only: Option<&[String]>) {
    let target = Target::Endpoint(endpoint.to_owned());
    for table in scene.region.ec2.route_tables.values_mut() {
        if only.is_none_or(|only| only.contains(&table.id)) {
            table.routes.retain(|route| route.target != target);
        }
    }
}

/// It is there.
pub(crate) fn available(scene: &mut Scene<'_>, id: &str) {
    if let Some(endpoint) = scene.region.ec2.endpoints.get_mut(id)
        && endpoint.state == State::Pending
    {
        endpoint.state = State::Available;
    }
}

/// It has gone, with its interfaces.
pub(crate) fn deleted(scene: &mut Scene<'_>, id: &str) {
    if let Some(endpoint) = scene.region.ec2.endpoints.remove(id) {
        endpoint
            .interfaces
            .iter()
            .for_each(|interface| interface::remove(scene, interface));
    }
}

fn delete_vpc_endpoints(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let mut unsuccessful: Vec<Value> = Vec::new();
    let ids = params.texts("VpcEndpointId");
    if ids.is_empty() {
        return Err(ApiError::missing("VpcEndpointId"));
    }
    for id in ids {
        let Some(endpoint) = scene.region.ec2.endpoints.get_mut(id) else {
            let error = absent::<Endpoint>(id);
            unsuccessful.push(json!({
                "error": {"code": error.code_for(None), "message": error.message}, "resourceId": id,
            }));
            continue;
        };
        if endpoint.state == State::Deleting {
            continue;
        }
        endpoint.state = State::Deleting;
        remove_routes(scene, id, None);
        scene.schedule(
            Wait::EndpointDeleted,
            Event::EndpointDeleted {
                endpoint: id.to_owned(),
            },
        );
    }
    Ok(json!({ "unsuccessful": unsuccessful }))
}

fn describe_vpc_endpoints(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    describe(scene, params, &scene.region.ec2.endpoints)
}

fn modify_vpc_endpoint(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let id = params.need("VpcEndpointId")?;
    let endpoint = find(&scene.region.ec2.endpoints, id)?;
    let (vpc, service) = (endpoint.vpc.clone(), endpoint.service.clone());
    let add = owned(&params.texts("AddRouteTableId"));
    let remove = owned(&params.texts("RemoveRouteTableId"));
    let reset = params.flag("ResetPolicy")? == Some(true);
    check_tables(scene, &vpc, &service, &add)?;
    if let Some(list) = prefix_list::of_service(scene, &service) {
        add_routes(scene, id, &list, &add);
    }
    remove_routes(scene, id, Some(&remove));
    let endpoint = find_mut(&mut scene.region.ec2.endpoints, id)?;
    endpoint
        .route_tables
        .retain(|table| !remove.contains(table));
    endpoint.route_tables.extend(add);
    if let Some(policy) = params.text("PolicyDocument") {
        endpoint.policy = Some(policy.to_owned());
    } else if reset {
        endpoint.policy = None;
    }
    Ok(json!({"return": true}))
}
