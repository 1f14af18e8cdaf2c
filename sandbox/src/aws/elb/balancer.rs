//! Load balancers: application and network ones.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Event, absent, is_classic, tags};
use crate::aws::ec2::interface::{self, NewInterface};
use crate::aws::ec2::resource::find;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::latency::Wait;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

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
    pub(super) tags: Tags,
}

impl Balancer {
    fn show(&self, scene: &Scene<'_>, arn: &str) -> Value {
        let zones: Vec<Value> = self
            .subnets
            .iter()
            .map(|(zone, subnet)| json!({"ZoneName": zone, "SubnetId": subnet, "LoadBalancerAddresses": []}))
            .collect();
        let region = &scene.place.region;
        let domain = if self.kind == "network" { "elb" } else { "" };
        let dns = match domain {
            "" => format!("{}-{}.{region}.elb.amazonaws.com", self.name, self.id),
            _ => format!("{}-{}.elb.{region}.amazonaws.com", self.name, self.id),
        };
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
    if scene
        .region
        .elb
        .balancers
        .values()
        .any(|other| other.name == name)
    {
        let message = format!(
            "A load balancer with the same name '{name}' exists, but with different settings"
        );
        return Err(ApiError::new("DuplicateLoadBalancerName", message));
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
    let tags = Tags::new(tags(params)?);
    let id = scene.core.ids.hex(16);
    let short = if kind == "network" { "net" } else { "app" };
    let mut interfaces = Vec::new();
    for (_, subnet) in &subnets {
        let new = NewInterface {
            subnet: subnet.clone(),
            description: format!("ELB {short}/{name}/{id}"),
            groups: groups.clone(),
            kind: if kind == "network" {
                "network_load_balancer"
            } else {
                "interface"
            },
            requester: Some("amazon-elb".to_owned()),
            service: Some("amazon-elb"),
            ..NewInterface::default()
        };
        match interface::create(scene, new) {
            Ok(made) => interfaces.push(made),
            Err(error) => {
                interfaces
                    .iter()
                    .for_each(|made| interface::remove(scene, made));
                return Err(ApiError::new("InvalidSubnet", error.message));
            }
        }
    }
    let arn = scene.place.arn(
        "elasticloadbalancing",
        &format!("loadbalancer/{short}/{name}/{id}"),
    );
    let balancer = Balancer {
        name,
        id,
        created: scene.now,
        kind,
        scheme: params
            .text("Scheme")
            .unwrap_or("internet-facing")
            .to_owned(),
        vpc,
        subnets,
        groups,
        active: false,
        interfaces,
        tags,
    };
    let shown = balancer.show(scene, &arn);
    scene.region.elb.balancers.insert(arn.clone(), balancer);
    scene.schedule(Wait::BalancerActive, Event::Active { balancer: arn });
    Ok(json!({ "LoadBalancers": [shown] }))
}

/// It is active.
pub(super) fn active(scene: &mut Scene<'_>, arn: &str) {
    if let Some(balancer) = scene.region.elb.balancers.get_mut(arn) {
        balancer.active = true;
    }
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        let named = params.texts("LoadBalancerNames");
        if let Some(name) = named.first() {
            let message = format!("There is no ACTIVE Load Balancer named '{name}'");
            return Err(ApiError::new("LoadBalancerNotFound", message));
        }
        return Ok(json!({ "LoadBalancerDescriptions": [] }));
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
        return Ok(json!({}));
    }
    let arn = params.need("LoadBalancerArn")?;
    if let Some(gone) = scene.region.elb.balancers.remove(arn) {
        scene
            .region
            .elb
            .listeners
            .retain(|_, listener| listener.balancer != arn);
        let interfaces = gone.interfaces;
        scene.schedule(
            Wait::BalancerInterfacesGone,
            Event::InterfacesGone { interfaces },
        );
    }
    Ok(json!({}))
}

/// Its interfaces go.
pub(super) fn interfaces_gone(scene: &mut Scene<'_>, interfaces: &[String]) {
    interfaces
        .iter()
        .for_each(|id| interface::remove(scene, id));
}
