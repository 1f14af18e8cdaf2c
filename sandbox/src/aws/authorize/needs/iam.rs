//! IAM: what each action works on, by the parameter that names it.

use std::collections::BTreeMap;

use super::{Need, On, tags};
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

pub(super) fn of(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let Some((arn, has)) = resource(scene, action, params) else {
        return vec![Need::new(own, On::Everything)];
    };
    let requested = tags(params, "Tags");
    let untagged = params.texts("TagKeys").into_iter().map(str::to_owned);
    let mut needs = vec![Need {
        untagged: untagged.collect(),
        ..Need::on(own, &arn)
            .requesting(requested.clone())
            .tagged(has)
    }];
    let tagging = match action {
        "CreateRole" => Some("iam:TagRole"),
        "CreateUser" => Some("iam:TagUser"),
        "CreatePolicy" => Some("iam:TagPolicy"),
        "CreateInstanceProfile" => Some("iam:TagInstanceProfile"),
        "CreateOpenIDConnectProvider" => Some("iam:TagOpenIDConnectProvider"),
        _ => None,
    };
    if let Some(tagging) = tagging.filter(|_| !requested.is_empty()) {
        needs.push(Need::on(tagging, &arn).requesting(requested));
    }
    if action == "AddRoleToInstanceProfile"
        && let Some(role) = params.text("RoleName")
    {
        let arn = scene.account.iam.arn_of_role(scene.place, role, "/");
        needs.push(Need::pass(&arn, "ec2.amazonaws.com"));
    }
    needs
}

/// The ARN, and the tags that it has; none where an action knows no resources. Simulations are on the simulated identity.
fn resource(
    scene: &Scene<'_>,
    action: &str,
    params: Params<'_>,
) -> Option<(String, BTreeMap<String, String>)> {
    let (iam, place) = (&scene.account.iam, scene.place);
    let path = params.text("Path").unwrap_or("/");
    let untagged = |arn: String| Some((arn, BTreeMap::new()));
    for field in ["OpenIDConnectProviderArn", "PolicySourceArn"] {
        if let Some(arn) = params.text(field) {
            return untagged(arn.to_owned());
        }
    }
    if action == "CreateOpenIDConnectProvider" {
        let url = params.text("Url")?.trim_start_matches("https://");
        return untagged(place.global_arn("iam", &format!("oidc-provider/{url}")));
    }
    if let Some(name) = params.text("InstanceProfileName") {
        return untagged(place.global_arn("iam", &format!("instance-profile{path}{name}")));
    }
    if let Some(name) = params.text("RoleName") {
        let has = iam.roles.get(name).map(|role| role.tags.clone());
        return Some((iam.arn_of_role(place, name, path), has.unwrap_or_default()));
    }
    if let Some(name) = params.text("UserName") {
        return untagged(iam.arn_of_user(place, name, path));
    }
    if let Some(arn) = params.text("PolicyArn") {
        return untagged(arn.to_owned());
    }
    if action == "CreatePolicy" {
        let name = params.text("PolicyName")?;
        return untagged(place.global_arn("iam", &format!("policy{path}{name}")));
    }
    // Without a name, an action on a user is on the caller.
    if action.contains("AccessKey") || action == "GetUser" {
        return untagged(scene.caller.arn.clone());
    }
    None
}
