//! Prefix lists of AWS's own: those that gateway endpoints route.

use serde_json::{Value, json};

use super::resource::answer;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// The services that have gateway endpoints, and their lists. The identifiers differ from region to region at AWS, and are the
/// same in all regions here.
const LISTS: [(&str, &str, &[&str]); 2] = [
    (
        "s3",
        "pl-68a54001",
        &["52.218.128.0/17", "3.5.76.0/22", "52.92.128.0/17"],
    ),
    (
        "dynamodb",
        "pl-00a54069",
        &["52.94.10.0/24", "35.71.64.0/22", "3.218.180.0/22"],
    ),
];

/// The list of the service of that name (`com.amazonaws.REGION.s3`), when it has gateway endpoints.
pub(crate) fn of_service(scene: &Scene<'_>, service: &str) -> Option<String> {
    let region = &scene.place.region;
    let mut lists = LISTS.iter();
    let found = lists.find(|(name, _, _)| service == format!("com.amazonaws.{region}.{name}"));
    found.map(|(_, id, _)| (*id).to_owned())
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::read(
        "DescribePrefixLists",
        &["PrefixListId", "Filter", "MaxResults", "NextToken"],
        |scene, params| lists(scene, params, false),
    ),
    Action::read(
        "DescribeManagedPrefixLists",
        &["PrefixListId", "Filter", "MaxResults", "NextToken"],
        |scene, params| lists(scene, params, true),
    ),
];

fn lists(scene: &mut Scene<'_>, params: Params<'_>, managed: bool) -> Result<Value, ApiError> {
    let ids = params.texts("PrefixListId");
    if let Some(other) = ids
        .iter()
        .find(|id| !LISTS.iter().any(|(_, known, _)| known == *id))
    {
        let message = format!("The prefix list ID '{other}' does not exist");
        return Err(ApiError::new("InvalidPrefixListId.NotFound", message));
    }
    let region = &scene.place.region;
    let tags = Tags::default();
    let found = LISTS
        .iter()
        .filter(|(_, id, _)| ids.is_empty() || ids.contains(id))
        .map(|(name, id, cidrs)| {
            let name = format!("com.amazonaws.{region}.{name}");
            let shown = match managed {
                false => json!({"prefixListId": id, "prefixListName": name, "cidrSet": cidrs}),
                true => json!({
                    "prefixListId": id,
                    "prefixListName": name,
                    "addressFamily": "IPv4",
                    "state": "create-complete",
                    "ownerId": "AWS",
                    "prefixListArn": format!("arn:aws:ec2:{region}:aws:prefix-list/{id}"),
                }),
            };
            ((*id).to_owned(), &tags, shown)
        })
        .collect();
    let fields = [
        ("prefix-list-id", "prefixListId"),
        ("prefix-list-name", "prefixListName"),
        ("owner-id", "ownerId"),
    ];
    answer(
        scene,
        params,
        found,
        &fields,
        "prefixListSet",
        ids.is_empty(),
    )
}
