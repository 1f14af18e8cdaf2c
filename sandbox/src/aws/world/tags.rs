//! Tags, and that a change of them is not seen everywhere at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock::Time;
use super::scene::Scene;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;

/// The tags of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tags {
    current: BTreeMap<String, String>,
    /// What lists still show, and when the change was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<(Time, BTreeMap<String, String>)>,
}

/// Most tags that a resource can have, system tags apart (AWS: tag naming limits and requirements).
const MOST: usize = 50;

impl Tags {
    /// Tags from the start.
    pub(crate) fn new(current: BTreeMap<String, String>) -> Self {
        Self {
            current,
            before: None,
        }
    }

    /// As they are.
    pub(crate) fn current(&self) -> &BTreeMap<String, String> {
        &self.current
    }

    /// One of them.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.current.get(key).map(String::as_str)
    }

    /// As lists and filters see them at this scene's moment.
    pub(crate) fn seen(&self, scene: &Scene<'_>) -> &BTreeMap<String, String> {
        match &self.before {
            Some((changed, before)) if !scene.listed(*changed) => before,
            _ => &self.current,
        }
    }

    /// Add and replace some.
    pub(crate) fn add(
        &mut self,
        now: Time,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        let mut after = self.current.clone();
        after.extend(tags.clone());
        if after.keys().filter(|key| !key.starts_with("aws:")).count() > MOST {
            return Err(ApiError::new(
                "TagLimitExceeded",
                "The maximum number of Tags for a resource has been reached.",
            ));
        }
        self.become_(now, after);
        Ok(())
    }

    /// Remove one: whatever its value, or only when it has this one.
    pub(crate) fn remove(&mut self, now: Time, key: &str, value: Option<&str>) {
        let fits = self
            .get(key)
            .is_some_and(|has| value.is_none_or(|v| v == has));
        if fits {
            let mut after = self.current.clone();
            after.remove(key);
            self.become_(now, after);
        }
    }

    fn become_(&mut self, now: Time, after: BTreeMap<String, String>) {
        if after != self.current {
            let before = std::mem::replace(&mut self.current, after);
            self.before = Some((now, before));
        }
    }

    /// As XML replies have them: a list of `key` and `value`; nothing at all when there are none.
    pub(crate) fn xml(tags: &BTreeMap<String, String>) -> Value {
        let list = |(key, value): (&String, &String)| json!({"key": key, "value": value});
        if tags.is_empty() {
            Value::Null
        } else {
            tags.iter().map(list).collect()
        }
    }
}

/// Tags out of a list of `Key` and `Value`.
pub(crate) fn read(tags: &[Params<'_>]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut read = BTreeMap::new();
    for tag in tags {
        let key = tag.need("Key")?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Tag keys starting with 'aws:' are reserved for internal use: {key}"),
            ));
        }
        if key.chars().count() > 128 {
            return Err(ApiError::new(
                "InvalidParameterValue",
                "Tag key exceeds the maximum length of 128 characters",
            ));
        }
        let value = tag.text("Value").unwrap_or_default();
        if value.chars().count() > 256 {
            return Err(ApiError::new(
                "InvalidParameterValue",
                "Tag value exceeds the maximum length of 256 characters",
            ));
        }
        if read.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Duplicate tag key '{key}' specified."),
            ));
        }
    }
    Ok(read)
}

/// The tags that a create call gives to resources of one type (`TagSpecification.N` of EC2).
///
/// # Errors
/// When it names a type that this call does not make.
pub(crate) fn specified(
    params: Params<'_>,
    resource_type: &str,
    others: &[&str],
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut found = BTreeMap::new();
    for specification in params.sections("TagSpecification") {
        let named = specification.need("ResourceType")?;
        if named == resource_type {
            found.extend(read(&specification.sections("Tag"))?);
        } else if !others.contains(&named) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("'{named}' is not a valid taggable resource type for this operation."),
            ));
        }
    }
    Ok(found)
}
