//! Log groups; what is written into them is not simulated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::aws::eks;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// A log group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    created: Time,
    retention: Option<i64>,
    key: Option<String>,
    pub(crate) tags: Tags,
}

/// The numbers of days that CloudWatch takes (CloudWatch Logs API reference: `PutRetentionPolicy`).
const DAYS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateLogGroup",
        &["logGroupName", "kmsKeyId", "tags", "logGroupClass"],
        create,
    ),
    Action::write("DeleteLogGroup", &["logGroupName"], delete),
    Action::read(
        "DescribeLogGroups",
        &[
            "logGroupNamePrefix",
            "logGroupNamePattern",
            "nextToken",
            "limit",
        ],
        describe,
    ),
    Action::write(
        "PutRetentionPolicy",
        &["logGroupName", "retentionInDays"],
        put_retention,
    ),
    Action::write("DeleteRetentionPolicy", &["logGroupName"], delete_retention),
    Action::write("TagResource", &["resourceArn", "tags"], tag),
    Action::write("UntagResource", &["resourceArn", "tagKeys"], untag),
    Action::read("ListTagsForResource", &["resourceArn"], list_tags),
    Action::write("TagLogGroup", &["logGroupName", "tags"], tag_by_name),
    Action::write("UntagLogGroup", &["logGroupName", "tags"], untag_by_name),
    Action::read("ListTagsLogGroup", &["logGroupName"], list_tags_by_name),
];

/// Make a group where it is missing, for any part of the simulator.
pub(crate) fn ensure(scene: &mut Scene<'_>, name: &str) {
    let group = Group {
        created: scene.now,
        retention: None,
        key: None,
        tags: Tags::default(),
    };
    scene
        .region
        .logs
        .groups
        .entry(name.to_owned())
        .or_insert(group);
}

/// The ARN of a group of that name, without the star that `DescribeLogGroups` adds.
pub(crate) fn arn(scene: &Scene<'_>, name: &str) -> String {
    scene.place.arn("logs", &format!("log-group:{name}"))
}

fn absent() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}

fn by_name<'a>(scene: &'a mut Scene<'_>, name: &str) -> Result<&'a mut Group, ApiError> {
    scene.region.logs.groups.get_mut(name).ok_or_else(absent)
}

fn named<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Group, ApiError> {
    by_name(scene, params.need("logGroupName")?)
}

fn by_arn<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Group, ApiError> {
    let arn = params.need("resourceArn")?;
    let start = scene.place.arn("logs", "log-group:");
    let name = arn.strip_prefix(&start).ok_or_else(absent)?;
    by_name(scene, name.trim_end_matches(":*"))
}

fn tags_of(params: Params<'_>) -> BTreeMap<String, String> {
    let entries = params
        .section("tags")
        .map(Params::tree)
        .and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    entries.into_iter().flatten().filter_map(text).collect()
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("logGroupName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._/#-".contains(c);
    if name.len() > 512 || !name.chars().all(allowed) {
        return Err(ApiError::new(
            "InvalidParameterException",
            "The name of the log group is invalid.",
        ));
    }
    if !matches!(params.text("logGroupClass"), None | Some("STANDARD")) {
        return Err(ApiError::not_simulated(
            "log groups of other classes than STANDARD",
        ));
    }
    if scene.region.logs.groups.contains_key(name) {
        let message = "The specified log group already exists";
        return Err(ApiError::new("ResourceAlreadyExistsException", message));
    }
    let group = Group {
        created: scene.now,
        retention: None,
        key: params.text("kmsKeyId").map(str::to_owned),
        tags: Tags::new(tags_of(params)),
    };
    scene.region.logs.groups.insert(name.to_owned(), group);
    Ok(Value::Null)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("logGroupName")?;
    scene.region.logs.groups.remove(name).ok_or_else(absent)?;
    eks::log_group_deleted(scene, name);
    Ok(Value::Null)
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (prefix, pattern) = (
        params.text("logGroupNamePrefix"),
        params.text("logGroupNamePattern"),
    );
    if prefix.is_some() && pattern.is_some() {
        let message =
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let mut shown = Vec::new();
    for (name, group) in &scene.region.logs.groups {
        let fits = prefix.is_none_or(|prefix| name.starts_with(prefix))
            && pattern.is_none_or(|pattern| name.to_lowercase().contains(&pattern.to_lowercase()));
        // At once: clients read right after they created, and give up when it isn't there (FIDELITY.md).
        if !fits || !scene.there(group.created) {
            continue;
        }
        let arn = arn(scene, name);
        let one = json!({
            "logGroupName": name,
            "creationTime": group.created.0,
            "retentionInDays": group.retention,
            "kmsKeyId": group.key,
            "metricFilterCount": 0,
            "storedBytes": 0,
            "logGroupClass": "STANDARD",
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
        });
        shown.push((name.clone(), one));
    }
    let most = params.number("limit")?.unwrap_or(50);
    if !(1..=50).contains(&most) {
        return Err(ApiError::new(
            "InvalidParameterException",
            "limit has to be between 1 and 50",
        ));
    }
    let token = params.text("nextToken");
    let most = usize::try_from(most).ok();
    let page = page(
        shown,
        |(name, _)| name.clone(),
        token,
        most,
        "InvalidParameterException",
    )?;
    let mut reply = Map::new();
    let groups: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    reply.insert("logGroups".to_owned(), groups.into());
    if let Some(next) = page.next {
        reply.insert("nextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}

fn put_retention(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let days = params
        .number("retentionInDays")?
        .ok_or_else(|| ApiError::missing("retentionInDays"))?;
    if !DAYS.contains(&days) {
        let message = format!("{days} is no valid number of days.");
        return Err(ApiError::new("InvalidParameterException", message));
    }
    named(scene, params)?.retention = Some(days);
    Ok(Value::Null)
}

fn delete_retention(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    named(scene, params)?.retention = None;
    Ok(Value::Null)
}

fn add(group: &mut Group, now: Time, tags: &BTreeMap<String, String>) -> Result<Value, ApiError> {
    group
        .tags
        .add(now, tags)
        .map_err(|error| ApiError::new("TooManyTagsException", error.message))?;
    Ok(Value::Null)
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    add(by_arn(scene, params)?, now, &tags_of(params))
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let group = by_arn(scene, params)?;
    params
        .texts("tagKeys")
        .iter()
        .for_each(|key| group.tags.remove(now, key, None));
    Ok(Value::Null)
}

fn list_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "tags": by_arn(scene, params)?.tags.current() }))
}

fn tag_by_name(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    add(named(scene, params)?, now, &tags_of(params))
}

fn untag_by_name(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let group = named(scene, params)?;
    params
        .texts("tags")
        .iter()
        .for_each(|key| group.tags.remove(now, key, None));
    Ok(Value::Null)
}

fn list_tags_by_name(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "tags": named(scene, params)?.tags.current() }))
}
