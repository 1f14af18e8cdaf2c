//! The smaller services.

use super::{Need, On, tags};
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::{logs as log_groups, ssm as parameters};

/// KMS: keys, and aliases, which need a permission on both (KMS developer guide: controlling access to aliases).
pub(super) fn kms(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let requested = tags(params, "Tags");
    let key = |name: &str| {
        let id = name.rsplit('/').next().unwrap_or_default();
        let has = scene.region.kms.keys.get(id);
        let has = has.map(|key| key.tags.current().clone());
        Need::on(own.clone(), scene.place.arn("kms", &format!("key/{id}")))
            .tagged(has.unwrap_or_default())
    };
    let mut needs = Vec::new();
    if let Some(alias) = params.text("AliasName") {
        needs.push(Need::on(own.clone(), scene.place.arn("kms", alias)));
        let there = scene.region.kms.target_of(alias);
        needs.extend(there.map(&key));
        needs.extend(params.text("TargetKeyId").map(&key));
        return needs;
    }
    match params.text("KeyId").filter(|_| action != "ListAliases") {
        Some(name) => {
            let target = name.find("alias/").map(|at| &name[at..]);
            let target = target.and_then(|alias| scene.region.kms.target_of(alias));
            let untagged = params.texts("TagKeys").into_iter().map(str::to_owned);
            needs.push(Need {
                untagged: untagged.collect(),
                ..key(target.unwrap_or(name)).requesting(requested)
            });
        }
        None => {
            needs.push(Need::new(own, On::Everything).requesting(requested.clone()));
            if action == "CreateKey" && !requested.is_empty() {
                needs.push(Need::new("kms:TagResource", On::Everything).requesting(requested));
            }
        }
    }
    needs
}

/// CloudWatch Logs: groups.
pub(super) fn logs(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let named = params
        .text("logGroupName")
        .map(|name| log_groups::arn(scene, name));
    let arn = named.or(params.text("resourceArn").map(str::to_owned));
    let Some(arn) = arn.map(|arn| arn.trim_end_matches(":*").to_owned()) else {
        return vec![Need::on(own, log_groups::arn(scene, "*"))];
    };
    let requested = tags(params, "tags");
    let mut needs = vec![Need::on(own, &arn).requesting(requested.clone())];
    if action == "CreateLogGroup" && !requested.is_empty() {
        needs.push(Need::on("logs:TagResource", arn).requesting(requested));
    }
    needs
}

/// Systems Manager: parameters.
pub(super) fn ssm(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let one = ["Name", "Path", "ResourceId"];
    let one = one.into_iter().find_map(|field| params.text(field));
    let names: Vec<&str> = match one {
        Some(name) => vec![name],
        None => params.texts("Names"),
    };
    if names.is_empty() {
        return vec![Need::new(own, On::Everything)];
    }
    let requested = tags(params, "Tags");
    let mut needs = Vec::new();
    for name in names {
        let arn = parameters::arn(scene, name);
        needs.push(Need::on(own.clone(), &arn).requesting(requested.clone()));
        if action == "PutParameter" && !requested.is_empty() {
            let tagging = Need::on("ssm:AddTagsToResource", arn);
            needs.push(tagging.requesting(requested.clone()));
        }
    }
    needs
}

/// Load balancers of both generations.
pub(super) fn elb(action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let requested = tags(params, "Tags");
    if action.starts_with("Describe") {
        return vec![Need::new(own, On::Everything)];
    }
    let mut needs: Vec<Need> = ["LoadBalancerArn", "TargetGroupArn", "ListenerArn"]
        .into_iter()
        .filter_map(|field| params.text(field))
        .chain(params.texts("ResourceArns"))
        .map(|arn| Need::on(own.clone(), arn).requesting(requested.clone()))
        .collect();
    // A listener is made on its load balancer; the target group is not asked about.
    needs.truncate(if action == "AddTags" || action == "RemoveTags" {
        needs.len()
    } else {
        1
    });
    if needs.is_empty() {
        needs.push(Need::new(own, On::Unknown).requesting(requested.clone()));
    }
    if action.starts_with("Create") && !requested.is_empty() {
        let tagging = Need::new("elasticloadbalancing:AddTags", On::Unknown);
        needs.push(tagging.requesting(requested));
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn tags_are_read_in_every_services_words() {
        let wanted = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        for tree in [
            json!({"t": {"a": "b"}}),
            json!({"t": {"1": {"Key": "a", "Value": "b"}}}),
            json!({"t": {"member": {"1": {"Key": "a", "Value": "b"}}}}),
            json!({"t": [{"TagKey": "a", "TagValue": "b"}]}),
        ] {
            assert_eq!(tags(Params::new(&tree), "t"), wanted, "{tree}");
        }
    }
}
