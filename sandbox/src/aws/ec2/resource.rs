//! What all resources of EC2 have in common: identifiers, errors, describe calls.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::filters::Filters;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// How EC2 speaks of a type of resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// What identifiers begin with, without the hyphen.
    pub(crate) prefix: &'static str,
    /// In messages: `The vpc ID '...' does not exist`.
    pub(crate) noun: &'static str,
    /// The code when there is none of that identifier.
    pub(crate) not_found: &'static str,
    /// The code when the identifier can be none.
    pub(crate) malformed: &'static str,
    /// The type in tag specifications and in `DescribeTags`.
    pub(crate) tagged: &'static str,
    /// The parameter that lists identifiers in the describe call.
    pub(crate) ids: &'static str,
    /// The list in the reply.
    pub(crate) set: &'static str,
}

/// A resource of EC2.
pub(crate) trait Resource {
    /// How EC2 speaks of it.
    const WORDS: Words;
    /// Filters beside the tags', each with its path in what [`Self::show`] gives; lists on the way are looked through.
    const FILTERS: &'static [(&'static str, &'static str)];

    /// When it was made.
    fn created(&self) -> Time;
    /// Its tags.
    fn tags(&self) -> &Tags;
    /// Its tags, to change them.
    fn tags_mut(&mut self) -> &mut Tags;
    /// As replies show it.
    fn show(&self, scene: &Scene<'_>) -> Value;
}

/// The error that there is no such resource.
pub(crate) fn absent<R: Resource>(id: &str) -> ApiError {
    let Words {
        prefix,
        noun,
        not_found,
        malformed,
        ..
    } = R::WORDS;
    let shaped = id
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if shaped {
        ApiError::new(not_found, format!("The {noun} ID '{id}' does not exist"))
    } else {
        let message = format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")");
        ApiError::new(malformed, message)
    }
}

/// The resource of that identifier.
pub(crate) fn find<'a, R: Resource>(
    resources: &'a BTreeMap<String, R>,
    id: &str,
) -> Result<&'a R, ApiError> {
    resources.get(id).ok_or_else(|| absent::<R>(id))
}

/// The resource of that identifier, to change it.
pub(crate) fn find_mut<'a, R: Resource>(
    resources: &'a mut BTreeMap<String, R>,
    id: &str,
) -> Result<&'a mut R, ApiError> {
    resources.get_mut(id).ok_or_else(|| absent::<R>(id))
}

/// The error that something still needs it.
pub(crate) fn has_dependencies<R: Resource>(id: &str) -> ApiError {
    let noun = R::WORDS.noun;
    let message = format!("The {noun} '{id}' has dependencies and cannot be deleted.");
    ApiError::new("DependencyViolation", message)
}

/// A describe call: by identifiers, filters and pages.
pub(crate) fn describe<R: Resource>(
    scene: &Scene<'_>,
    params: Params<'_>,
    resources: &BTreeMap<String, R>,
) -> Result<Value, ApiError> {
    let ids = params.texts(R::WORDS.ids);
    for id in &ids {
        let known = resources.get(*id).filter(|one| scene.known(one.created()));
        if known.is_none() {
            return Err(absent::<R>(id));
        }
    }
    let listed = |id: &String, one: &R| {
        if ids.is_empty() {
            scene.listed(one.created())
        } else {
            ids.contains(&id.as_str())
        }
    };
    let found = resources
        .iter()
        .filter(|(id, one)| listed(id, one))
        .map(|(id, one)| (id.clone(), one.tags(), one.show(scene)))
        .collect();
    answer(
        scene,
        params,
        found,
        R::FILTERS,
        R::WORDS.set,
        ids.is_empty(),
    )
}

/// The rest of a describe call, for what is no [`Resource`]: filter and page what was found.
pub(crate) fn answer(
    scene: &Scene<'_>,
    params: Params<'_>,
    found: Vec<(String, &Tags, Value)>,
    fields: &[(&str, &str)],
    set: &str,
    pages: bool,
) -> Result<Value, ApiError> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let filters = Filters::read(params, &names)?;
    let most = most(params, set)?;
    if most.is_some() && !pages {
        let message = "The parameter maxResults cannot be used with a list of identifiers";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let fitting: Vec<(String, Value)> = found
        .into_iter()
        .filter(|(_, tags, shown)| {
            filters.fit(tags.seen(scene), |name| {
                let path = fields.iter().find(|(field, _)| *field == name);
                path.map(|(_, path)| values(shown, path))
                    .unwrap_or_default()
            })
        })
        .map(|(key, _, shown)| (key, shown))
        .collect();
    let token = params.text("NextToken");
    let page = page(
        fitting,
        |(key, _)| key.clone(),
        token,
        most,
        "InvalidNextToken",
    )?;
    let items: Vec<Value> = page.items.into_iter().map(|(_, shown)| shown).collect();
    let mut reply = Map::new();
    reply.insert(set.to_owned(), items.into());
    if let Some(next) = page.next {
        reply.insert("nextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}

/// `MaxResults`: 5 to 1000 in every describe call here, but for route tables (ranges of the API's model).
fn most(params: Params<'_>, set: &str) -> Result<Option<usize>, ApiError> {
    let highest = if set == "routeTableSet" { 100 } else { 1000 };
    let Some(most) = params.number("MaxResults")? else {
        return Ok(None);
    };
    if !(5..=highest).contains(&most) {
        let message = format!(
            "Value ( {most} ) for parameter maxResults is invalid. Expecting a value between 5 and {highest}."
        );
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(usize::try_from(most).ok())
}

/// The texts at a path of a tree; lists on the way are looked through.
fn values(tree: &Value, path: &str) -> Vec<String> {
    match tree {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(|item| values(item, path)).collect(),
        Value::Object(map) => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            map.get(first)
                .map(|next| values(next, rest))
                .unwrap_or_default()
        }
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_through_lists() {
        let tree = json!({"attachmentSet": [{"vpcId": "a"}, {"vpcId": "b"}], "on": true});
        assert_eq!(values(&tree, "attachmentSet.vpcId"), ["a", "b"]);
        assert_eq!(values(&tree, "on"), ["true"]);
        assert!(values(&tree, "none.at.all").is_empty());
    }
}
