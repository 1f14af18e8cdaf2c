//! Which permissions a request needs, and on what (Service Authorization Reference: actions, resources, and condition keys of
//! each service, with their dependent actions).

mod ec2;
mod eks;
mod iam;
mod rest;
mod secrets;

use std::collections::BTreeMap;

use super::permission;
use crate::aws::service::Service;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// One permission that a request needs.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// e.g. `ec2:CreateVpc`.
    pub(super) action: String,
    pub(super) on: On,
    /// Tags that the request gives to what it makes.
    pub(super) requested: BTreeMap<String, String>,
    /// Keys of tags that it takes away.
    pub(super) untagged: Vec<String>,
    /// Tags that the resource has.
    pub(super) tags: BTreeMap<String, String>,
    /// The service that a role is passed to.
    pub(super) passed_to: Option<&'static str>,
    /// The action that makes what is tagged.
    pub(super) by: Option<String>,
}

/// What it is needed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// The resource of that ARN.
    Resource(String),
    /// The action knows no resources: only statements about `*` are about it.
    Everything,
    /// There are resources, and the simulator does not know their ARNs.
    Unknown,
}

impl Need {
    fn new(action: impl Into<String>, on: On) -> Self {
        Self {
            action: action.into(),
            on,
            requested: BTreeMap::new(),
            untagged: Vec::new(),
            tags: BTreeMap::new(),
            passed_to: None,
            by: None,
        }
    }

    fn on(action: impl Into<String>, arn: impl Into<String>) -> Self {
        Self::new(action, On::Resource(arn.into()))
    }

    fn requesting(self, requested: BTreeMap<String, String>) -> Self {
        Self { requested, ..self }
    }

    fn tagged(self, tags: BTreeMap<String, String>) -> Self {
        Self { tags, ..self }
    }

    /// That a role is passed to a service (IAM user guide: granting a user permissions to pass a role).
    fn pass(role: &str, to: &'static str) -> Self {
        Self {
            passed_to: Some(to),
            ..Self::on("iam:PassRole", role)
        }
    }
}

/// All of them, the action's own first.
pub(super) fn of(
    scene: &Scene<'_>,
    service: &Service,
    action: &str,
    params: Params<'_>,
) -> Vec<Need> {
    let own = permission(service.name, action);
    match service.name {
        "ec2" => ec2::of(scene, action, own, params),
        "iam" => iam::of(scene, action, own, params),
        "eks" => eks::of(scene, action, own, params),
        "kms" => rest::kms(scene, action, own, params),
        "logs" => rest::logs(scene, action, own, params),
        "ssm" => rest::ssm(scene, action, own, params),
        "elasticloadbalancing" => rest::elb(action, own, params),
        "secretsmanager" => secrets::of(scene, action, own, params),
        "sts" => match params.text("RoleArn") {
            Some(role) => vec![Need::on(own, role)],
            None => vec![Need::new(own, On::Everything)],
        },
        // Service Quotas and the tagging API know no resources in what is simulated of them.
        _ => vec![Need::new(own, On::Everything)],
    }
}

/// Tags in a list of keys and values, or in a map; each service has its own words for them.
fn tags(params: Params<'_>, field: &str) -> BTreeMap<String, String> {
    if let Some(map) = params.tree().get(field).and_then(|map| map.as_object())
        && map.values().all(serde_json::Value::is_string)
    {
        let text = |(key, value): (&String, &serde_json::Value)| {
            Some((key.clone(), value.as_str()?.to_owned()))
        };
        return map.iter().filter_map(text).collect();
    }
    let word = |tag: Params<'_>, names: [&str; 2]| {
        let mut found = names.into_iter().filter_map(|name| tag.text(name));
        found.next().map(str::to_owned)
    };
    let pair = |tag: Params<'_>| {
        let key = word(tag, ["Key", "TagKey"])?;
        Some((key, word(tag, ["Value", "TagValue"]).unwrap_or_default()))
    };
    let listed = params.sections(field).into_iter();
    listed.filter_map(pair).collect()
}
