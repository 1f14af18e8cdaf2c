//! Load balancers: application and network ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attributes::{Attributes, PROTECTED};
use super::{Event, absent, classic, is_classic, tags};
use crate::aws::ec2::address;
use crate::aws::ec2::interface::{self, NewInterface, PublicAddress};
use crate::aws::ec2::resource::find;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::paging::page;
use crate::aws::world::scene::{Place, Scene};
use crate::aws::world::tags::Tags;

/// Who makes the interfaces of load balancers.
const SERVICE: &str = "amazon-elb";

/// A load balancer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Balancer {
    name: String,
    id: String,
    created: Time,
    kind: String,
    scheme: String,
    pub(super) vpc: String,
    /// Zone and subnet.
    subnets: Vec<(String, String)>,
    groups: Vec<String>,
    active: bool,
    interfaces: Vec<String>,
    #[serde(default)]
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
}

impl Balancer {
    /// Whether it is a network load balancer; otherwise it is an application one.
    pub(super) fn is_network(&self) -> bool {
        self.kind == "network"
    }

    fn host_name(&self, place: &Place) -> String {
        let (name, id, region) = (&self.name, &self.id, &place.region);
        if self.is_network() {
            format!("{name}-{id}.elb.{region}.amazonaws.com")
        } else {
            format!("{name}-{id}.{region}.elb.amazonaws.com")
        }
    }

    fn show(&self, scene: &Scene<'_>, arn: &str) -> Value {
        let zones: Vec<Value> = self
            .subnets
            .iter()
            .map(|(zone, subnet)| json!({"ZoneName": zone, "SubnetId": subnet, "LoadBalancerAddresses": []}))
            .collect();
        let dns = self.host_name(scene.place);
        json!({
            "LoadBalancerArn": arn,
            "DNSName": dns,
            "CanonicalHostedZoneId": "Z1H1FL5HABSF5",
            "CreatedTime": self.created.iso(),
            "LoadBalancerName": self.name,
            "Scheme": self.scheme,
            "VpcId": self.vpc,
            "State": {"Code": if self.active { "active" } else { "provisioning" }},
            "Type": self.kind,
            "AvailabilityZones": zones,
            "SecurityGroups": self.groups,
            "IpAddressType": "ipv4",
        })
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateLoadBalancer",
        &[
            "Name",
            "Subnets",
            "SecurityGroups",
            "Scheme",
            "Tags",
            "Type",
            "IpAddressType",
        ],
        create,
    ),
    Action::read(
        "DescribeLoadBalancers",
        &[
            "LoadBalancerArns",
            "Names",
            "Marker",
            "PageSize",
            "LoadBalancerNames",
        ],
        describe,
    ),
    Action::write(
        "DeleteLoadBalancer",
        &["LoadBalancerArn", "LoadBalancerName"],
        delete,
    ),
];

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        return Err(ApiError::not_simulated("classic load balancers"));
    }
    let name = params.need("Name")?.to_owned();
    let kind = params.text("Type").unwrap_or("application").to_owned();
    if !["application", "network"].contains(&kind.as_str()) {
        return Err(ApiError::not_simulated(format!(
            "load balancers of type {kind}"
        )));
    }
    let mut subnets = Vec::new();
    let mut vpc = String::new();
    for id in params.texts("Subnets") {
        let subnet = scene.region.ec2.subnets.get(id);
        let subnet = subnet.ok_or_else(|| {
            ApiError::new(
                "SubnetNotFound",
                format!("The subnet ID '{id}' does not exist"),
            )
        })?;
        vpc.clone_from(&subnet.vpc);
        subnets.push((subnet.zone.clone(), id.to_owned()));
    }
    let least = if kind == "application" { 2 } else { 1 };
    if subnets.len() < least {
        let message =
            format!("At least {least} subnets in different Availability Zones must be specified");
        return Err(ApiError::new("InvalidSubnet", message));
    }
    let groups: Vec<String> = params
        .texts("SecurityGroups")
        .iter()
        .map(|id| (*id).to_owned())
        .collect();
    for id in &groups {
        find(&scene.region.ec2.groups, id)
            .map_err(|error| ApiError::new("InvalidSecurityGroup", error.message))?;
    }
    let internal = params.text("Scheme") == Some("internal");
    let mut all = scene.region.elb.balancers.iter();
    if let Some((arn, other)) = all.find(|(_, other)| other.name == name) {
        // The same call again succeeds (ELB API reference: CreateLoadBalancer).
        let same = other.kind == kind
            && (other.scheme == "internal") == internal
            && other.subnets == subnets
            && other.groups == groups;
        if same {
            return Ok(json!({ "LoadBalancers": [other.show(scene, arn)] }));
        }
        let message = format!(
            "A load balancer with the same name '{name}' exists, but with different settings"
        );
        return Err(ApiError::new("DuplicateLoadBalancerName", message));
    }
    let new = NewBalancer {
        name,
        kind: if kind == "network" {
            "network"
        } else {
            "application"
        },
        internal,
        vpc,
        subnets: subnets.into_iter().map(|(_, subnet)| subnet).collect(),
        groups,
        tags: tags(params)?,
    };
    let arn = make(scene, new)?;
    let made = scene.region.elb.balancers.get(&arn);
    let shown = made.map(|made| made.show(scene, &arn));
    Ok(json!({ "LoadBalancers": [shown] }))
}

/// What a load balancer is made with by other parts of the simulator.
pub(super) struct NewBalancer {
    pub(super) name: String,
    /// `application` or `network`.
    pub(super) kind: &'static str,
    pub(super) internal: bool,
    pub(super) vpc: String,
    pub(super) subnets: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) tags: BTreeMap<String, String>,
}

/// Make one; gives its ARN.
pub(super) fn make(scene: &mut Scene<'_>, new: NewBalancer) -> Result<String, ApiError> {
    let id = scene.core.ids.hex(16);
    let (short, interface) = match new.kind {
        "network" => ("net", "network_load_balancer"),
        _ => ("app", "interface"),
    };
    let describe = format!("ELB {short}/{}/{id}", new.name);
    let interfaces = interfaces(
        scene,
        &new.subnets,
        &describe,
        &new.groups,
        interface,
        !new.internal,
    )?;
    let arn = scene.place.arn(
        "elasticloadbalancing",
        &format!("loadbalancer/{short}/{}/{id}", new.name),
    );
    let zone = |id: &String| scene.region.ec2.subnets.get(id).map(|one| one.zone.clone());
    let subnets = new.subnets.iter();
    let subnets = subnets.filter_map(|id| Some((zone(id)?, id.clone())));
    let balancer = Balancer {
        name: new.name,
        id,
        created: scene.now,
        kind: new.kind.to_owned(),
        scheme: if new.internal {
            "internal".to_owned()
        } else {
            "internet-facing".to_owned()
        },
        vpc: new.vpc,
        subnets: subnets.collect(),
        groups: new.groups,
        active: false,
        interfaces,
        attributes: Attributes::new(),
        tags: Tags::new(new.tags),
    };
    scene.region.elb.balancers.insert(arn.clone(), balancer);
    scene.schedule(
        Wait::BalancerActive,
        Event::Active {
            balancer: arn.clone(),
        },
    );
    Ok(arn)
}

/// An interface in each subnet, with a public address where it is reached from the internet; none when one fails.
pub(super) fn interfaces(
    scene: &mut Scene<'_>,
    subnets: &[String],
    description: &str,
    groups: &[String],
    kind: &'static str,
    public: bool,
) -> Result<Vec<String>, ApiError> {
    let mut made = Vec::new();
    for subnet in subnets {
        let new = NewInterface {
            subnet: subnet.clone(),
            description: description.to_owned(),
            groups: groups.to_vec(),
            kind,
            requester: Some(SERVICE.to_owned()),
            service: Some(SERVICE),
            ..NewInterface::default()
        };
        match interface::create(scene, new) {
            Ok(id) => {
                let address = public.then(|| address::public_address(scene));
                if let Some(interface) = scene.region.ec2.interfaces.get_mut(&id) {
                    interface.public = address.map(|address| PublicAddress {
                        address,
                        allocation: None,
                        owner: SERVICE.to_owned(),
                    });
                }
                made.push(id);
            }
            Err(error) => {
                made.iter().for_each(|id| interface::remove(scene, id));
                return Err(ApiError::new("InvalidSubnet", error.message));
            }
        }
    }
    Ok(made)
}

/// The ARN of the one of that name.
pub(super) fn named(scene: &Scene<'_>, name: &str) -> Option<String> {
    let mut all = scene.region.elb.balancers.iter();
    all.find(|(_, one)| one.name == name)
        .map(|(arn, _)| arn.clone())
}

/// Its name in DNS.
pub(super) fn host_name(scene: &Scene<'_>, arn: &str) -> Option<String> {
    let balancer = scene.region.elb.balancers.get(arn)?;
    Some(balancer.host_name(scene.place))
}

/// It is active.
pub(super) fn active(scene: &mut Scene<'_>, arn: &str) {
    if let Some(balancer) = scene.region.elb.balancers.get_mut(arn) {
        balancer.active = true;
    }
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        return classic::describe(scene, params);
    }
    let (arns, names) = (params.texts("LoadBalancerArns"), params.texts("Names"));
    let all = &scene.region.elb.balancers;
    if let Some(arn) = arns.iter().find(|arn| !all.contains_key(**arn)) {
        return Err(absent(arn));
    }
    let known = |name: &&&str| !all.values().any(|one| one.name == **name);
    if let Some(name) = names.iter().find(known) {
        let message = format!("Load balancers '[{name}]' not found");
        return Err(ApiError::new("LoadBalancerNotFound", message));
    }
    let mine = all.iter().filter(|(arn, one)| {
        (arns.is_empty() || arns.contains(&arn.as_str()))
            && (names.is_empty() || names.contains(&one.name.as_str()))
    });
    let shown: Vec<(String, Value)> = mine
        .map(|(arn, one)| (arn.clone(), one.show(scene, arn)))
        .collect();
    let most = params
        .number("PageSize")?
        .and_then(|most| usize::try_from(most).ok());
    let page = page(
        shown,
        |(arn, _)| arn.clone(),
        params.text("Marker"),
        most,
        "ValidationError",
    )?;
    let list: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    Ok(json!({"LoadBalancers": list, "NextMarker": page.next}))
}

/// Deleting one that is not there is no error (ELB API reference). Its interfaces linger.
fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        return classic::delete(scene, params);
    }
    let arn = params.need("LoadBalancerArn")?.to_owned();
    let known = scene.region.elb.balancers.get(&arn);
    let protected = known.and_then(|known| known.attributes.get(PROTECTED));
    if protected.is_some_and(|value| value == "true") {
        let message = format!(
            "Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        );
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    remove(scene, &arn);
    Ok(json!({}))
}

/// Take it away, with its listeners; its interfaces linger.
pub(super) fn remove(scene: &mut Scene<'_>, arn: &str) {
    if let Some(gone) = scene.region.elb.balancers.remove(arn) {
        let listeners = &mut scene.region.elb.listeners;
        listeners.retain(|_, listener| listener.balancer != arn);
        linger(scene, gone.interfaces);
    }
}

/// Interfaces of a load balancer that is gone stay for a while.
pub(super) fn linger(scene: &mut Scene<'_>, interfaces: Vec<String>) {
    scene.schedule(
        Wait::BalancerInterfacesGone,
        Event::InterfacesGone { interfaces },
    );
}

/// Its interfaces go.
pub(super) fn interfaces_gone(scene: &mut Scene<'_>, interfaces: &[String]) {
    interfaces
        .iter()
        .for_each(|id| interface::remove(scene, id));
}
