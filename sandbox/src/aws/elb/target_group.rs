//! Target groups, and the listeners that lead to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attributes::Attributes;
use super::{absent, is_classic, tags};
use crate::aws::ec2::resource::find;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// A target group; targets are not simulated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    name: String,
    protocol: String,
    port: i64,
    vpc: String,
    kind: String,
    #[serde(default)]
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
}

/// What a target group is made with by other parts of the simulator.
pub(super) struct NewTargetGroup {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) port: i64,
    pub(super) vpc: String,
    pub(super) tags: BTreeMap<String, String>,
}

/// Make a target group, and a listener of that load balancer which leads to it.
pub(super) fn listen(scene: &mut Scene<'_>, balancer: &str, port: i64, new: NewTargetGroup) {
    let id = scene.core.ids.hex(16);
    let target = scene.place.arn(
        "elasticloadbalancing",
        &format!("targetgroup/{}/{id}", new.name),
    );
    let listener = Listener {
        balancer: balancer.to_owned(),
        protocol: new.protocol.clone(),
        port,
        target: target.clone(),
        tags: Tags::default(),
    };
    let group = TargetGroup {
        name: new.name,
        protocol: new.protocol,
        port: new.port,
        vpc: new.vpc,
        kind: "instance".to_owned(),
        attributes: Attributes::new(),
        tags: Tags::new(new.tags),
    };
    let id = scene.core.ids.hex(16);
    let arn = listener_arn(balancer, &id);
    let elb = &mut scene.region.elb;
    elb.target_groups.insert(target, group);
    elb.listeners.insert(arn, listener);
}

/// Whether a load balancer listens at that port.
pub(super) fn listens(scene: &Scene<'_>, balancer: &str, port: i64) -> bool {
    let mut all = scene.region.elb.listeners.values();
    all.any(|listener| listener.balancer == balancer && listener.port == port)
}

/// The target groups of a load balancer.
pub(super) fn of(scene: &Scene<'_>, balancer: &str) -> Vec<String> {
    let all = scene.region.elb.listeners.values();
    let mine = all.filter(|listener| listener.balancer == balancer);
    mine.map(|listener| listener.target.clone()).collect()
}

fn listener_arn(balancer: &str, id: &str) -> String {
    let base = balancer.replacen(":loadbalancer/", ":listener/", 1);
    format!("{base}/{id}")
}

/// A listener of a load balancer, which forwards to one target group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(super) balancer: String,
    protocol: String,
    port: i64,
    target: String,
    #[serde(default)]
    pub(super) tags: Tags,
}

impl Listener {
    /// Whether it speaks plain TCP.
    pub(super) fn is_of_tcp(&self) -> bool {
        self.protocol == "TCP"
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateTargetGroup",
        &["Name", "Protocol", "Port", "VpcId", "TargetType", "Tags"],
        create,
    ),
    Action::read(
        "DescribeTargetGroups",
        &[
            "LoadBalancerArn",
            "TargetGroupArns",
            "Names",
            "Marker",
            "PageSize",
        ],
        describe,
    ),
    Action::write("DeleteTargetGroup", &["TargetGroupArn"], delete),
    Action::write(
        "CreateListener",
        &[
            "LoadBalancerArn",
            "Protocol",
            "Port",
            "DefaultActions",
            "Tags",
        ],
        create_listener,
    ),
    Action::read(
        "DescribeListeners",
        &["LoadBalancerArn", "ListenerArns"],
        describe_listeners,
    ),
    Action::write("DeleteListener", &["ListenerArn"], delete_listener),
];

impl TargetGroup {
    /// Whether it is one of an application load balancer.
    pub(super) fn is_of_http(&self) -> bool {
        ["HTTP", "HTTPS"].contains(&self.protocol.as_str())
    }

    fn show(&self, scene: &Scene<'_>, arn: &str) -> Value {
        let listeners = scene.region.elb.listeners.values();
        let mut balancers: Vec<&String> = listeners
            .filter(|l| l.target == arn)
            .map(|l| &l.balancer)
            .collect();
        balancers.dedup();
        json!({
            "TargetGroupArn": arn,
            "TargetGroupName": self.name,
            "Protocol": self.protocol,
            "Port": self.port,
            "VpcId": self.vpc,
            "LoadBalancerArns": balancers,
            "TargetType": self.kind,
            "IpAddressType": "ipv4",
        })
    }
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("Name")?;
    let vpc = params.need("VpcId")?;
    find(&scene.region.ec2.vpcs, vpc)
        .map_err(|error| ApiError::new("ValidationError", error.message))?;
    let group = TargetGroup {
        name: name.to_owned(),
        protocol: params.need("Protocol")?.to_owned(),
        port: params
            .number("Port")?
            .ok_or_else(|| ApiError::missing("Port"))?,
        vpc: vpc.to_owned(),
        kind: params.text("TargetType").unwrap_or("instance").to_owned(),
        attributes: Attributes::new(),
        tags: Tags::new(tags(params)?),
    };
    let mut all = scene.region.elb.target_groups.iter();
    if let Some((arn, other)) = all.find(|(_, other)| other.name == name) {
        // The same call again succeeds (ELB API reference: CreateTargetGroup).
        let same = other.protocol == group.protocol
            && other.port == group.port
            && other.vpc == group.vpc
            && other.kind == group.kind;
        if same {
            return Ok(json!({ "TargetGroups": [other.show(scene, arn)] }));
        }
        let message = format!(
            "A target group with the same name '{name}' exists, but with different settings"
        );
        return Err(ApiError::new("DuplicateTargetGroupName", message));
    }
    let id = scene.core.ids.hex(16);
    let arn = scene
        .place
        .arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}"));
    let shown = group.show(scene, &arn);
    scene.region.elb.target_groups.insert(arn, group);
    Ok(json!({ "TargetGroups": [shown] }))
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (arns, names) = (params.texts("TargetGroupArns"), params.texts("Names"));
    let of = params.text("LoadBalancerArn");
    let all = &scene.region.elb.target_groups;
    if let Some(arn) = arns.iter().find(|arn| !all.contains_key(**arn)) {
        return Err(absent(arn));
    }
    let led = |arn: &String| {
        let mut listeners = scene.region.elb.listeners.values();
        of.is_none_or(|of| {
            listeners.any(|listener| listener.balancer == of && &listener.target == arn)
        })
    };
    let mine = all.iter().filter(|(arn, one)| {
        (arns.is_empty() || arns.contains(&arn.as_str()))
            && (names.is_empty() || names.contains(&one.name.as_str()))
            && led(arn)
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
    Ok(json!({"TargetGroups": list, "NextMarker": page.next}))
}

/// Deleting one that is not there is no error (ELB API reference).
fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("TargetGroupArn")?;
    if scene
        .region
        .elb
        .listeners
        .values()
        .any(|listener| listener.target == arn)
    {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(ApiError::new("ResourceInUse", message));
    }
    scene.region.elb.target_groups.remove(arn);
    Ok(json!({}))
}

fn show_listener(arn: &str, listener: &Listener) -> Value {
    json!({
        "ListenerArn": arn,
        "LoadBalancerArn": listener.balancer,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": listener.target}],
    })
}

fn create_listener(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        return Err(ApiError::not_simulated("classic load balancers"));
    }
    let balancer = params.need("LoadBalancerArn")?;
    if !scene.region.elb.balancers.contains_key(balancer) {
        return Err(absent(balancer));
    }
    let actions = params.sections("DefaultActions");
    let forward = actions
        .first()
        .and_then(|action| action.text("TargetGroupArn"));
    let Some(target) = forward else {
        return Err(ApiError::not_simulated(
            "listeners that do anything but forward to one target group",
        ));
    };
    if !scene.region.elb.target_groups.contains_key(target) {
        return Err(absent(target));
    }
    let listener = Listener {
        balancer: balancer.to_owned(),
        protocol: params.need("Protocol")?.to_owned(),
        port: params
            .number("Port")?
            .ok_or_else(|| ApiError::missing("Port"))?,
        target: target.to_owned(),
        tags: Tags::new(tags(params)?),
    };
    let mut all = scene.region.elb.listeners.iter();
    let taken = |other: &Listener| other.balancer == balancer && other.port == listener.port;
    if let Some((arn, other)) = all.find(|(_, other)| taken(other)) {
        // The same call again succeeds (ELB API reference: CreateListener).
        if other.protocol == listener.protocol && other.target == listener.target {
            return Ok(json!({ "Listeners": [show_listener(arn, other)] }));
        }
        let message = "A listener already exists on this port for this load balancer";
        return Err(ApiError::new("DuplicateListener", message));
    }
    let id = scene.core.ids.hex(16);
    let arn = listener_arn(balancer, &id);
    let shown = show_listener(&arn, &listener);
    scene.region.elb.listeners.insert(arn, listener);
    Ok(json!({ "Listeners": [shown] }))
}

fn describe_listeners(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (of, arns) = (params.text("LoadBalancerArn"), params.texts("ListenerArns"));
    let all = scene.region.elb.listeners.iter();
    let mine = all.filter(|(arn, one)| {
        of.is_none_or(|of| of == one.balancer) && (arns.is_empty() || arns.contains(&arn.as_str()))
    });
    let shown: Vec<Value> = mine.map(|(arn, one)| show_listener(arn, one)).collect();
    Ok(json!({ "Listeners": shown }))
}

fn delete_listener(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("ListenerArn")?;
    let gone = scene.region.elb.listeners.remove(arn);
    gone.ok_or_else(|| ApiError::new("ListenerNotFound", "One or more listeners not found"))?;
    Ok(json!({}))
}
