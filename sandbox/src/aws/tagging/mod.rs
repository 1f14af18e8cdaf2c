//! Resource Groups Tagging: every resource by its tags. IAM is not in it, as in AWS.

use serde_json::{Value, json};

use crate::aws::logs;
use crate::aws::service::{Action, Protocol, Service};
use crate::aws::ssm;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

pub(crate) const SERVICE: Service = Service {
    name: "tagging",
    protocol: Protocol::Json {
        target: "ResourceGroupsTaggingAPI_20170126",
        version: "1.1",
    },
    invalid: Some("InvalidParameterException"),
    actions: &[ACTIONS],
};

const ACTIONS: &[Action] = &[Action::read(
    "GetResources",
    &[
        "PaginationToken",
        "TagFilters",
        "ResourcesPerPage",
        "ResourceTypeFilters",
        "ResourceARNList",
    ],
    get_resources,
)];

/// Everything of the region that can have tags: ARN, tags.
fn all<'a>(scene: &'a Scene<'_>) -> Vec<(String, &'a Tags)> {
    let region = &*scene.region;
    let listed = |created| scene.listed(created);
    let mut all: Vec<(String, &Tags)> = Vec::new();
    let ec2 = region.ec2.tagged();
    all.extend(
        ec2.into_iter()
            .filter(|one| listed(one.created))
            .map(|one| {
                (
                    scene.place.arn("ec2", &format!("{}/{}", one.kind, one.id)),
                    one.tags,
                )
            }),
    );
    all.extend(
        region
            .eks
            .tagged()
            .into_iter()
            .map(|(arn, tags)| (arn.to_owned(), tags)),
    );
    all.extend(region.elb.tagged(scene.place));
    let keys = region.kms.keys.values().filter(|key| listed(key.created));
    all.extend(keys.map(|key| (key.arn.clone(), &key.tags)));
    let groups = region.logs.groups.iter();
    all.extend(groups.map(|(name, group)| (logs::arn(scene, name), &group.tags)));
    let parameters = region
        .ssm
        .parameters
        .iter()
        .filter(|(_, one)| listed(one.created));
    all.extend(parameters.map(|(name, one)| (ssm::arn(scene, name), &one.tags)));
    all.extend(region.secrets.tagged(scene));
    all
}

/// Whether an ARN is of a type such as `ec2`, `ec2:vpc` or `eks:cluster`.
fn is_of(arn: &str, kind: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2).unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    let sort = resource.split(['/', ':']).next().unwrap_or_default();
    match kind.split_once(':') {
        Some((wanted, rest)) => wanted == service && rest.split('/').next() == Some(sort),
        None => kind == service,
    }
}

fn get_resources(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let kinds = params.texts("ResourceTypeFilters");
    let arns = params.texts("ResourceARNList");
    let filters = params.sections("TagFilters");
    if !arns.is_empty()
        && (!filters.is_empty() || !kinds.is_empty() || params.has("ResourcesPerPage"))
    {
        let message = "ResourceARNList cannot be combined with other filters";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let mut found = Vec::new();
    for (arn, tags) in all(scene) {
        let tags = tags.seen(scene);
        let mut fits = (kinds.is_empty() || kinds.iter().any(|kind| is_of(&arn, kind)))
            && (arns.is_empty() || arns.contains(&arn.as_str()));
        for filter in &filters {
            let (key, values) = (filter.need("Key")?, filter.texts("Values"));
            let has = tags.get(key);
            fits &= has.is_some_and(|has| values.is_empty() || values.contains(&has.as_str()));
        }
        if fits && !tags.is_empty() {
            let list: Vec<Value> = tags
                .iter()
                .map(|(key, value)| json!({"Key": key, "Value": value}))
                .collect();
            found.push((arn.clone(), json!({"ResourceARN": arn, "Tags": list})));
        }
    }
    let most = params.number("ResourcesPerPage")?.unwrap_or(50);
    if !(1..=100).contains(&most) {
        let message = "ResourcesPerPage has to be between 1 and 100";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let token = params.text("PaginationToken");
    let most = usize::try_from(most).ok();
    let page = page(
        found,
        |(arn, _)| arn.clone(),
        token,
        most,
        "InvalidParameterException",
    )?;
    let shown: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    // An empty token is the end.
    Ok(json!({"PaginationToken": page.next.unwrap_or_default(), "ResourceTagMappingList": shown}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::testing::Stage;

    #[test]
    fn resources_of_several_services_are_found_by_their_tags() {
        let mut stage = Stage::new();
        let tagged = "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=env&TagSpecification.1.Tag.1.Value=a";
        stage
            .ec2("CreateVpc", &format!("CidrBlock=10.0.0.0/16&{tagged}"))
            .unwrap();
        stage
            .call(
                "kms",
                "CreateKey",
                &json!({"Tags": [{"TagKey": "env", "TagValue": "a"}]}),
            )
            .unwrap();
        stage
            .call(
                "logs",
                "CreateLogGroup",
                &json!({"logGroupName": "/g", "tags": {"env": "b"}}),
            )
            .unwrap();
        let asked = json!({"TagFilters": [{"Key": "env", "Values": ["a"]}]});
        let found = stage.call("tagging", "GetResources", &asked).unwrap();
        assert_eq!(found["ResourceTagMappingList"].as_array().unwrap().len(), 2);
        let asked =
            json!({"TagFilters": [{"Key": "env"}], "ResourceTypeFilters": ["logs", "ec2:vpc"]});
        let found = stage.call("tagging", "GetResources", &asked).unwrap();
        assert_eq!(found["ResourceTagMappingList"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn types_are_read_from_arns() {
        assert!(is_of("arn:aws:ec2:r:1:vpc/vpc-1", "ec2:vpc"));
        assert!(is_of("arn:aws:logs:r:1:log-group:/g", "logs:log-group"));
        assert!(!is_of("arn:aws:ec2:r:1:vpc/vpc-1", "ec2:subnet"));
        assert!(is_of("arn:aws:eks:r:1:cluster/c", "eks"));
    }
}
