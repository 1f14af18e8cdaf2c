//! Parameters of the standard tier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// A parameter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parameter {
    kind: String,
    value: String,
    description: Option<String>,
    key: Option<String>,
    version: i64,
    pub(crate) created: Time,
    changed: Time,
    by: String,
    pub(crate) tags: Tags,
}

/// Longest value of the standard tier (Systems Manager user guide: parameter tiers).
const LONGEST: usize = 4096;
/// Most parameters of an account and region in the standard tier (the same).
const MOST: usize = 10_000;

const LISTED: &[&str] = &["ResourceType", "ResourceId"];

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "PutParameter",
        &[
            "Name",
            "Description",
            "Value",
            "Type",
            "KeyId",
            "Overwrite",
            "Tags",
            "Tier",
            "DataType",
            "AllowedPattern",
        ],
        put,
    ),
    Action::read("GetParameter", &["Name", "WithDecryption"], get),
    Action::read("GetParameters", &["Names", "WithDecryption"], get_several),
    Action::read(
        "GetParametersByPath",
        &[
            "Path",
            "Recursive",
            "WithDecryption",
            "MaxResults",
            "NextToken",
        ],
        get_by_path,
    ),
    Action::read(
        "DescribeParameters",
        &["ParameterFilters", "MaxResults", "NextToken"],
        describe,
    ),
    Action::write("DeleteParameter", &["Name"], delete),
    Action::write("DeleteParameters", &["Names"], delete_several),
    Action::write(
        "AddTagsToResource",
        &["ResourceType", "ResourceId", "Tags"],
        add_tags,
    ),
    Action::write(
        "RemoveTagsFromResource",
        &["ResourceType", "ResourceId", "TagKeys"],
        remove_tags,
    ),
    Action::read("ListTagsForResource", LISTED, list_tags),
];

/// The ARN of a parameter of that name.
pub(crate) fn arn(scene: &Scene<'_>, name: &str) -> String {
    scene.place.arn(
        "ssm",
        &format!("parameter/{}", name.trim_start_matches('/')),
    )
}

fn absent(name: &str) -> ApiError {
    ApiError::new("ParameterNotFound", format!("Parameter {name} not found."))
}

fn tags_of(params: Params<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    params
        .sections("Tags")
        .iter()
        .map(|tag| {
            let value = tag.text("Value").unwrap_or_default();
            Ok((tag.need("Key")?.to_owned(), value.to_owned()))
        })
        .collect()
}

fn put(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, value) = (params.need("Name")?, params.need("Value")?);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let reserved = ["aws", "ssm"].iter().any(|word| {
        name.trim_start_matches('/')
            .to_ascii_lowercase()
            .starts_with(word)
    });
    if name.len() > 1011
        || !name.chars().all(allowed)
        || reserved
        || (name.contains('/') && !name.starts_with('/'))
    {
        let message = format!(
            "Parameter name: {name} is invalid: it can't be prefixed with \"aws\" or \"ssm\" and has to be fully qualified."
        );
        return Err(ApiError::new("ValidationException", message));
    }
    if value.len() > LONGEST {
        let message =
            "Standard tier parameters support a maximum parameter value of 4096 characters.";
        return Err(ApiError::new("ValidationException", message));
    }
    if !matches!(params.text("Tier"), None | Some("Standard")) {
        return Err(ApiError::not_simulated(
            "parameters of other tiers than Standard",
        ));
    }
    // Terraform always sends it, empty.
    if params.text("AllowedPattern").is_some_and(|p| !p.is_empty()) {
        return Err(ApiError::not_simulated("patterns that parameters obey"));
    }
    let kind = params.text("Type");
    if !matches!(kind, None | Some("String" | "StringList" | "SecureString")) {
        return Err(ApiError::new(
            "UnsupportedParameterType",
            "The parameter type is not supported.",
        ));
    }
    let overwrite = params.flag("Overwrite")?.unwrap_or(false);
    let tags = tags_of(params)?;
    if overwrite && !tags.is_empty() {
        let message = "Invalid request: tags and overwrite can't be used together.";
        return Err(ApiError::new("ValidationException", message));
    }
    let (now, by) = (scene.now, scene.caller.arn.clone());
    let most = scene.region.ssm.parameters.len() >= MOST;
    let version = match scene.region.ssm.parameters.get_mut(name) {
        Some(_) if !overwrite => {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(ApiError::new("ParameterAlreadyExists", message));
        }
        Some(known) => {
            value.clone_into(&mut known.value);
            if let Some(kind) = kind {
                kind.clone_into(&mut known.kind);
            }
            if let Some(description) = params.text("Description") {
                known.description = Some(description.to_owned());
            }
            known.version += 1;
            known.changed = now;
            known.by = by;
            known.version
        }
        None if most => {
            let message = "You have exceeded the number of parameters for this AWS account.";
            return Err(ApiError::new("ParameterLimitExceeded", message));
        }
        None => {
            let kind = kind.ok_or_else(|| {
                ApiError::new(
                    "ValidationException",
                    "A parameter type is required when you create a parameter.",
                )
            })?;
            let new = Parameter {
                kind: kind.to_owned(),
                value: value.to_owned(),
                description: params.text("Description").map(str::to_owned),
                key: (kind == "SecureString")
                    .then(|| params.text("KeyId").unwrap_or("alias/aws/ssm").to_owned()),
                version: 1,
                created: now,
                changed: now,
                by,
                tags: Tags::new(tags),
            };
            scene.region.ssm.parameters.insert(name.to_owned(), new);
            1
        }
    };
    Ok(json!({"Version": version, "Tier": "Standard"}))
}

impl Parameter {
    fn show(&self, scene: &Scene<'_>, name: &str, decrypt: bool) -> Value {
        // What is encrypted without the key is nothing that a client could use.
        let value = if self.kind == "SecureString" && !decrypt {
            "AQICAHsimulated".to_owned()
        } else {
            self.value.clone()
        };
        json!({
            "Name": name,
            "Type": self.kind,
            "Value": value,
            "Version": self.version,
            "LastModifiedDate": self.changed.epoch(),
            "ARN": arn(scene, name),
            "DataType": "text",
        })
    }
}

fn decrypt(params: Params<'_>) -> Result<bool, ApiError> {
    Ok(params.flag("WithDecryption")?.unwrap_or(false))
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("Name")?;
    if name.starts_with("/aws/") {
        return Err(ApiError::not_simulated(format!(
            "the public parameter {name}"
        )));
    }
    let found = scene.region.ssm.parameters.get(name);
    let found = found
        .filter(|one| scene.there(one.created))
        .ok_or_else(|| absent(name))?;
    Ok(json!({ "Parameter": found.show(scene, name, decrypt(params)?) }))
}

fn get_several(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let decrypt = decrypt(params)?;
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in params.texts("Names") {
        match scene.region.ssm.parameters.get(name) {
            Some(one) => found.push(one.show(scene, name, decrypt)),
            None => invalid.push(name),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
}

/// A page of at most `most`.
fn paged(params: Params<'_>, most: i64, items: Vec<(String, Value)>) -> Result<Value, ApiError> {
    let wanted = params.number("MaxResults")?.unwrap_or(most);
    if !(1..=most).contains(&wanted) {
        let message = format!("MaxResults has to be between 1 and {most}.");
        return Err(ApiError::new("ValidationException", message));
    }
    let token = params.text("NextToken");
    let page = page(
        items,
        |(name, _)| name.clone(),
        token,
        usize::try_from(wanted).ok(),
        "InvalidNextToken",
    )?;
    let mut reply = Map::new();
    let shown: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    reply.insert("Parameters".to_owned(), shown.into());
    if let Some(next) = page.next {
        reply.insert("NextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}

fn get_by_path(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let path = params.need("Path")?;
    if !path.starts_with('/') {
        let message =
            "The parameter doesn't meet the parameter name requirements: a path begins with /.";
        return Err(ApiError::new("ValidationException", message));
    }
    let start = format!("{}/", path.trim_end_matches('/'));
    let (recursive, decrypt) = (params.flag("Recursive")?.unwrap_or(false), decrypt(params)?);
    let all = scene.region.ssm.parameters.iter();
    let under = all.filter(|(name, one)| {
        let rest = name.strip_prefix(&start);
        rest.is_some_and(|rest| recursive || !rest.contains('/')) && scene.there(one.created)
    });
    let shown = under.map(|(name, one)| (name.clone(), one.show(scene, name, decrypt)));
    paged(params, 10, shown.collect())
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let filters = params.sections("ParameterFilters");
    let mut shown = Vec::new();
    for (name, one) in &scene.region.ssm.parameters {
        let mut fits = scene.there(one.created);
        for filter in &filters {
            let (key, values) = (filter.need("Key")?, filter.texts("Values"));
            let option = filter.text("Option");
            fits &= match (key, option) {
                ("Name", None | Some("Equals")) => values.contains(&name.as_str()),
                ("Name", Some("BeginsWith")) => values.iter().any(|value| name.starts_with(value)),
                ("Type", _) => values.contains(&one.kind.as_str()),
                ("Path", _) => values
                    .iter()
                    .any(|value| name.starts_with(&format!("{}/", value.trim_end_matches('/')))),
                (key, _) => match key.strip_prefix("tag:") {
                    Some(tag) => one
                        .tags
                        .seen(scene)
                        .get(tag)
                        .is_some_and(|has| values.is_empty() || values.contains(&has.as_str())),
                    None => {
                        return Err(ApiError::not_simulated(format!(
                            "the filter {key} of DescribeParameters"
                        )));
                    }
                },
            };
        }
        if fits {
            let text = json!({
                "Name": name,
                "ARN": arn(scene, name),
                "Type": one.kind,
                "KeyId": one.key,
                "LastModifiedDate": one.changed.epoch(),
                "LastModifiedUser": one.by,
                "Description": one.description,
                "Version": one.version,
                "Tier": "Standard",
                "Policies": [],
                "DataType": "text",
            });
            shown.push((name.clone(), text));
        }
    }
    paged(params, 50, shown)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("Name")?;
    scene
        .region
        .ssm
        .parameters
        .remove(name)
        .ok_or_else(|| absent(name))?;
    Ok(json!({}))
}

fn delete_several(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (mut gone, mut invalid) = (Vec::new(), Vec::new());
    for name in params.texts("Names") {
        match scene.region.ssm.parameters.remove(name) {
            Some(_) => gone.push(name),
            None => invalid.push(name),
        }
    }
    Ok(json!({"DeletedParameters": gone, "InvalidParameters": invalid}))
}

fn tagged<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Tags, ApiError> {
    if params.need("ResourceType")? != "Parameter" {
        return Err(ApiError::not_simulated("tags of anything but parameters"));
    }
    let name = params.need("ResourceId")?;
    let found = scene
        .region
        .ssm
        .parameters
        .get_mut(name)
        .map(|one| &mut one.tags);
    found.ok_or_else(|| ApiError::new("InvalidResourceId", "The resource ID isn't valid."))
}

fn add_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (now, more) = (scene.now, tags_of(params)?);
    let tags = tagged(scene, params)?;
    tags.add(now, &more)
        .map_err(|error| ApiError::new("TooManyTagsError", error.message))?;
    Ok(json!({}))
}

fn remove_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let now = scene.now;
    let tags = tagged(scene, params)?;
    params
        .texts("TagKeys")
        .iter()
        .for_each(|key| tags.remove(now, key, None));
    Ok(json!({}))
}

fn list_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let tags = tagged(scene, params)?.current();
    let list: Vec<Value> = tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    Ok(json!({ "TagList": list }))
}
