//! EKS: clusters and what is in them; roles that are passed to it; the key of a cluster's secrets.

use super::{Need, On, tags};
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// The service that clusters and nodes have their roles from (EKS user guide: identity-based policy examples).
const EKS: &str = "eks.amazonaws.com";
/// And the one that pods have theirs from (EKS user guide: pod identity role).
const PODS: &str = "pods.eks.amazonaws.com";

pub(super) fn of(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let everything = [
        "DescribeAddonConfiguration",
        "DescribeAddonVersions",
        "DescribeClusterVersions",
        "ListAccessPolicies",
        "ListClusters",
    ];
    if everything.contains(&action) {
        return vec![Need::new(own, On::Everything)];
    }
    let requested = tags(params, "tags");
    let arn = resource(scene, action, params);
    let mut need = match &arn {
        Some(arn) => Need::on(own, arn).tagged(has(scene, arn)),
        None => Need::new(own, On::Unknown),
    };
    need.requested = requested.clone();
    if action == "UntagResource" {
        need.untagged = untagged(params);
    }
    let mut needs = vec![need];
    // Tags in a create need the permission to tag what it makes.
    if action.starts_with("Create") && !requested.is_empty() {
        let on = made(scene, action, params).map_or(On::Unknown, On::Resource);
        needs.push(Need::new("eks:TagResource", on).requesting(requested));
    }
    let passed = [
        (
            "roleArn",
            if action.contains("PodIdentity") {
                PODS
            } else {
                EKS
            },
        ),
        ("nodeRole", EKS),
        ("serviceAccountRoleArn", EKS),
    ];
    for (field, to) in passed {
        needs.extend(params.text(field).map(|role| Need::pass(role, to)));
    }
    for pod in params.sections("podIdentityAssociations") {
        needs.extend(pod.text("roleArn").map(|role| Need::pass(role, PODS)));
    }
    // A cluster's secrets are encrypted under a grant that EKS makes with the caller's own permissions.
    for config in params.sections("encryptionConfig") {
        let key = config
            .section("provider")
            .and_then(|one| one.text("keyArn"));
        for action in ["kms:DescribeKey", "kms:CreateGrant"] {
            needs.extend(key.map(|key| Need::on(action, key)));
        }
    }
    needs
}

/// What an action works on: of a create in a cluster, the cluster.
fn resource(scene: &Scene<'_>, action: &str, params: Params<'_>) -> Option<String> {
    if let Some(arn) = params.text("resourceArn") {
        return Some(arn.to_owned());
    }
    let cluster = params.text("clusterName").or(params.text("name"))?;
    let whole = scene.place.arn("eks", &format!("cluster/{cluster}"));
    if action.starts_with("Create") || action.starts_with("List") {
        return Some(whole);
    }
    let part = [
        ("nodegroupName", "nodegroup"),
        ("addonName", "addon"),
        ("associationId", "podidentityassociation"),
    ];
    let part = part
        .into_iter()
        .find_map(|(field, kind)| Some((kind, params.text(field)?)));
    if let Some((kind, name)) = part {
        let start = scene.place.arn("eks", &format!("{kind}/{cluster}/{name}"));
        return Some(beginning(scene, &start).unwrap_or(start));
    }
    if let Some(principal) = params.text("principalArn") {
        let entries = scene.region.eks.clusters.get(cluster)?.entries.values();
        let mut mine = entries.filter(|entry| entry.principal == principal);
        return mine.next().map(|entry| entry.arn.clone());
    }
    Some(whole)
}

/// What a create makes; the last part of its ARN is not known before.
fn made(scene: &Scene<'_>, action: &str, params: Params<'_>) -> Option<String> {
    let cluster = params.text("clusterName").or(params.text("name"))?;
    let rest = match action {
        "CreateCluster" => format!("cluster/{cluster}"),
        "CreateNodegroup" => format!("nodegroup/{cluster}/{}/*", params.text("nodegroupName")?),
        "CreateAddon" => format!("addon/{cluster}/{}/*", params.text("addonName")?),
        "CreatePodIdentityAssociation" => format!("podidentityassociation/{cluster}/*"),
        "CreateAccessEntry" => format!("access-entry/{cluster}/*"),
        _ => return None,
    };
    Some(scene.place.arn("eks", &rest))
}

/// The ARN that begins so: the part behind it is made up by EKS.
fn beginning(scene: &Scene<'_>, start: &str) -> Option<String> {
    let all = scene.region.eks.tagged().into_iter();
    let fits = |arn: &str| {
        let rest = arn.strip_prefix(start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    all.map(|(arn, _)| arn)
        .find(|arn| fits(arn))
        .map(str::to_owned)
}

fn has(scene: &Scene<'_>, arn: &str) -> std::collections::BTreeMap<String, String> {
    let mut all = scene.region.eks.tagged().into_iter();
    let found = all.find(|(own, _)| *own == arn);
    found
        .map(|(_, tags)| tags.current().clone())
        .unwrap_or_default()
}

/// Keys in a query string: one, or several.
fn untagged(params: Params<'_>) -> Vec<String> {
    let one = params.text("tagKeys").into_iter();
    let keys = one.chain(params.texts("tagKeys"));
    keys.map(str::to_owned).collect()
}
