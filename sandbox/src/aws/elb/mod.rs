//! Elastic Load Balancing, version 2, and of the older API what looks for and deletes classic load balancers: services of EKS
//! clusters make them.

mod attributes;
mod balancer;
mod classic;
pub(crate) mod service;
mod target_group;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::service::{Action, Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::{Place, Scene};
use crate::aws::world::tags::Tags;

pub(crate) const SERVICE: Service = Service {
    name: "elasticloadbalancing",
    protocol: Protocol::Query {
        xmlns: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    },
    invalid: Some("ValidationError"),
    actions: &[
        balancer::ACTIONS,
        target_group::ACTIONS,
        attributes::ACTIONS,
        ACTIONS,
    ],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Classic ones, by name.
    classic: BTreeMap<String, classic::Classic>,
    /// By ARN.
    balancers: BTreeMap<String, balancer::Balancer>,
    /// By ARN.
    target_groups: BTreeMap<String, target_group::TargetGroup>,
    /// By ARN.
    listeners: BTreeMap<String, target_group::Listener>,
}

impl State {
    /// Everything that has tags.
    pub(crate) fn tagged(&self, place: &Place) -> Vec<(String, &Tags)> {
        let balancers = self
            .balancers
            .iter()
            .map(|(arn, one)| (arn.clone(), &one.tags));
        let groups = self
            .target_groups
            .iter()
            .map(|(arn, one)| (arn.clone(), &one.tags));
        let listeners = self
            .listeners
            .iter()
            .map(|(arn, one)| (arn.clone(), &one.tags));
        let classic = classic::tagged(&self.classic, place);
        balancers
            .chain(groups)
            .chain(listeners)
            .chain(classic)
            .collect()
    }

    fn tags_of(&mut self, arn: &str) -> Option<&mut Tags> {
        if let Some(one) = self.balancers.get_mut(arn) {
            return Some(&mut one.tags);
        }
        match self.target_groups.get_mut(arn) {
            Some(one) => Some(&mut one.tags),
            None => self.listeners.get_mut(arn).map(|one| &mut one.tags),
        }
    }
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A load balancer becomes active.
    Active { balancer: String },
    /// The interfaces of a load balancer that was deleted go.
    InterfacesGone { interfaces: Vec<String> },
}

impl Event {
    pub(crate) fn happen(self, scene: &mut Scene<'_>) {
        match self {
            Self::Active { balancer } => balancer::active(scene, &balancer),
            Self::InterfacesGone { interfaces } => balancer::interfaces_gone(scene, &interfaces),
        }
    }
}

impl From<Event> for crate::aws::world::schedule::Event {
    fn from(event: Event) -> Self {
        Self::Elb(event)
    }
}

/// The version of the older API, with classic load balancers.
const CLASSIC: &str = "2012-06-01";

/// Whether a call speaks the older API.
fn is_classic(params: Params<'_>) -> bool {
    params.text("Version") == Some(CLASSIC)
}

const ACTIONS: &[Action] = &[
    Action::read(
        "DescribeTags",
        &["ResourceArns", "LoadBalancerNames"],
        describe_tags,
    ),
    Action::write("AddTags", &["ResourceArns", "Tags"], add_tags),
    Action::write("RemoveTags", &["ResourceArns", "TagKeys"], remove_tags),
];

fn tags(params: Params<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    crate::aws::world::tags::read(&params.sections("Tags"))
}

fn absent(arn: &str) -> ApiError {
    let (code, what) = if arn.contains(":targetgroup/") {
        ("TargetGroupNotFound", "target groups")
    } else if arn.contains(":listener/") {
        ("ListenerNotFound", "listeners")
    } else {
        ("LoadBalancerNotFound", "load balancers")
    };
    ApiError::new(code, format!("One or more {what} not found"))
}

fn describe_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    if is_classic(params) {
        return classic::describe_tags(scene, params);
    }
    let mut shown = Vec::new();
    for arn in params.texts("ResourceArns") {
        let tags = scene
            .region
            .elb
            .tags_of(arn)
            .ok_or_else(|| absent(arn))?
            .current();
        let list: Vec<Value> = tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        shown.push(json!({"ResourceArn": arn, "Tags": list}));
    }
    Ok(json!({ "TagDescriptions": shown }))
}

fn add_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (now, more) = (scene.now, tags(params)?);
    let arns = params.texts("ResourceArns");
    for arn in &arns {
        scene.region.elb.tags_of(arn).ok_or_else(|| absent(arn))?;
    }
    for arn in arns {
        if let Some(tags) = scene.region.elb.tags_of(arn) {
            tags.add(now, &more)
                .map_err(|error| ApiError::new("TooManyTags", error.message))?;
        }
    }
    Ok(json!({}))
}

fn remove_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    for arn in params.texts("ResourceArns") {
        let tags = scene.region.elb.tags_of(arn).ok_or_else(|| absent(arn))?;
        params
            .texts("TagKeys")
            .iter()
            .for_each(|key| tags.remove(now, key, None));
    }
    Ok(json!({}))
}
