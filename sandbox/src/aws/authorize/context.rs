//! What a request's context is made of here.

use super::condition::Context;
use super::needs::Need;
use crate::aws::service::Service;
use crate::aws::world::scene::Scene;

/// IAM and STS' global endpoint are in one region, whoever calls from where (AWS global condition context keys:
/// `aws:RequestedRegion`).
const GLOBAL_REGION: &str = "us-east-1";

/// The context of one permission that a request needs.
pub(super) fn of(scene: &Scene<'_>, service: &Service, need: &Need) -> Context {
    let mut context = Context::of_request();
    let mut set = |key: &str, value: &str| context.set(key, vec![value.to_owned()]);
    let region = match service.name {
        "iam" => GLOBAL_REGION,
        _ => &scene.place.region,
    };
    set("aws:RequestedRegion", region);
    set("aws:PrincipalAccount", &scene.place.account);
    set("aws:userid", &scene.caller.user_id);
    set("aws:ViaAWSService", "false");
    match scene.account.iam.role_behind(&scene.caller.arn) {
        Some(role) => {
            set("aws:PrincipalArn", &role.arn);
            set("aws:PrincipalType", "AssumedRole");
        }
        None => {
            let name = scene.caller.arn.rsplit('/').next().unwrap_or_default();
            set("aws:PrincipalArn", &scene.caller.arn);
            set("aws:PrincipalType", "User");
            set("aws:username", name);
        }
    }
    for (key, value) in &need.requested {
        set(&format!("aws:RequestTag/{key}"), value);
    }
    for (key, value) in &need.tags {
        set(&format!("aws:ResourceTag/{key}"), value);
        set(&format!("ec2:ResourceTag/{key}"), value);
    }
    if let Some(to) = need.passed_to {
        set("iam:PassedToService", to);
    }
    if let Some(action) = &need.by {
        set("ec2:CreateAction", action);
    }
    let keys: Vec<String> = need
        .requested
        .keys()
        .chain(&need.untagged)
        .cloned()
        .collect();
    if !keys.is_empty() {
        context.set("aws:TagKeys", keys);
    }
    context
}
