//! Classic load balancers. Nobody makes them through the API here: the cloud provider inside EKS' control planes does, see
//! [`super::service`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::balancer::linger;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::paging::page;
use crate::aws::world::scene::{Place, Scene};
use crate::aws::world::tags::Tags;

/// A classic load balancer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Classic {
    pub(super) name: String,
    pub(super) number: String,
    pub(super) created: Time,
    pub(super) internal: bool,
    pub(super) vpc: String,
    /// Zone and subnet.
    pub(super) subnets: Vec<(String, String)>,
    pub(super) groups: Vec<String>,
    pub(super) listeners: Vec<ClassicListener>,
    pub(super) instances: Vec<String>,
    pub(super) interfaces: Vec<String>,
    pub(super) tags: Tags,
}

/// One of its listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassicListener {
    pub(super) protocol: String,
    pub(super) port: i64,
    pub(super) instance_port: i64,
}

impl Classic {
    /// Its name in DNS (Elastic Load Balancing: DNS names of classic load balancers).
    pub(super) fn host_name(&self, place: &Place) -> String {
        let prefix = if self.internal { "internal-" } else { "" };
        let (name, number, region) = (&self.name, &self.number, &place.region);
        format!("{prefix}{name}-{number}.{region}.elb.amazonaws.com")
    }

    fn show(&self, scene: &Scene<'_>) -> Value {
        let group = self.groups.first();
        let group = group.and_then(|id| scene.region.ec2.groups.get(id));
        let listeners: Vec<Value> = self
            .listeners
            .iter()
            .map(|listener| {
                json!({
                    "Listener": {
                        "Protocol": listener.protocol,
                        "LoadBalancerPort": listener.port,
                        "InstanceProtocol": listener.protocol,
                        "InstancePort": listener.instance_port,
                    },
                    "PolicyNames": [],
                })
            })
            .collect();
        let instances: Vec<Value> = self
            .instances
            .iter()
            .map(|id| json!({ "InstanceId": id }))
            .collect();
        let zones: Vec<&String> = self.subnets.iter().map(|(zone, _)| zone).collect();
        let subnets: Vec<&String> = self.subnets.iter().map(|(_, subnet)| subnet).collect();
        let dns = self.host_name(scene.place);
        json!({
            "LoadBalancerName": self.name,
            "DNSName": dns,
            "CanonicalHostedZoneName": dns,
            "CanonicalHostedZoneNameID": "Z1H1FL5HABSF5",
            "ListenerDescriptions": listeners,
            "AvailabilityZones": zones,
            "Subnets": subnets,
            "VPCId": self.vpc,
            "Instances": instances,
            "SourceSecurityGroup": {
                "OwnerAlias": scene.place.account,
                "GroupName": group.map(|group| &group.name),
            },
            "SecurityGroups": self.groups,
            "CreatedTime": self.created.iso(),
            "Scheme": if self.internal { "internal" } else { "internet-facing" },
        })
    }
}

/// The ARN by which the tagging API knows one.
pub(super) fn arn(place: &Place, name: &str) -> String {
    place.arn("elasticloadbalancing", &format!("loadbalancer/{name}"))
}

fn absent(name: &str) -> ApiError {
    // The older API's code: not that of version 2.
    let message = format!("There is no ACTIVE Load Balancer named '{name}'");
    ApiError::new("LoadBalancerNotFound", message)
}

pub(super) fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let names = params.texts("LoadBalancerNames");
    let all = &scene.region.elb.classic;
    if let Some(name) = names.iter().find(|name| !all.contains_key(**name)) {
        return Err(absent(name));
    }
    let mine = all
        .values()
        .filter(|one| names.is_empty() || names.contains(&one.name.as_str()));
    let shown: Vec<(String, Value)> = mine
        .map(|one| (one.name.clone(), one.show(scene)))
        .collect();
    let most = params
        .number("PageSize")?
        .and_then(|most| usize::try_from(most).ok());
    let page = page(
        shown,
        |(name, _)| name.clone(),
        params.text("Marker"),
        most,
        "ValidationError",
    )?;
    let list: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    Ok(json!({"LoadBalancerDescriptions": list, "NextMarker": page.next}))
}

pub(super) fn describe_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let mut shown = Vec::new();
    for name in params.texts("LoadBalancerNames") {
        let one = scene.region.elb.classic.get(name);
        let one = one.ok_or_else(|| absent(name))?;
        let tags = one.tags.current().iter();
        let list: Vec<Value> = tags
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        shown.push(json!({"LoadBalancerName": name, "Tags": list}));
    }
    Ok(json!({ "TagDescriptions": shown }))
}

/// Deleting one that is not there succeeds (Elastic Load Balancing API reference, version 2012-06-01).
pub(super) fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("LoadBalancerName")?.to_owned();
    remove(scene, &name);
    Ok(json!({}))
}

/// Take it away; its interfaces linger.
pub(super) fn remove(scene: &mut Scene<'_>, name: &str) {
    if let Some(gone) = scene.region.elb.classic.remove(name) {
        linger(scene, gone.interfaces);
    }
}

/// All of them, with their ARNs, for what looks for tags.
pub(super) fn tagged<'a>(
    all: &'a BTreeMap<String, Classic>,
    place: &Place,
) -> Vec<(String, &'a Tags)> {
    let with_arn = |one: &'a Classic| (arn(place, &one.name), &one.tags);
    all.values().map(with_arn).collect()
}
