//! EKS add-ons.

use async_trait::async_trait;
use aws_sdk_eks::types::{self, AddonStatus, ResolveConflicts};
use pipectl_stages::{
    error::PortError,
    ports::{
        addons::{Addon, AddonApi, AddonSpec, AddonState, AddonVersion},
        cloud::{Deletion, UpdateProgress},
    },
};
use serde_json::Value;

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    convert,
    errors::{self, translate},
    updates::{self, Of, translate_change, translate_creation_inside, translate_deletion_inside},
};

#[async_trait]
impl AddonApi for Aws {
    async fn versions(
        &self,
        addon: &str,
        kubernetes: &str,
    ) -> Result<Vec<AddonVersion>, PortError> {
        let request = self.eks().describe_addon_versions().addon_name(addon);
        let request = request.kubernetes_version(kubernetes);
        let found = absent(all!(request))?.unwrap_or_default();
        let all = found.iter().flat_map(types::AddonInfo::addon_versions);
        let mut versions: Vec<AddonVersion> = all
            .filter_map(|info| {
                let mut fits = info.compatibilities().iter();
                let fit = fits.find(|fit| fit.cluster_version() == Some(kubernetes))?;
                Some(AddonVersion {
                    version: info.addon_version()?.to_owned(),
                    default: fit.default_version(),
                })
            })
            .collect();
        versions.sort_by_key(|one| std::cmp::Reverse(convert::numbers(&one.version)));
        Ok(versions)
    }

    async fn find(&self, cluster: &str, name: &str) -> Result<Option<Addon>, PortError> {
        let request = self.eks().describe_addon().cluster_name(cluster);
        let asked = request.addon_name(name).send().await;
        let found = absent(asked.map_err(translate))?;
        found
            .and_then(|found| found.addon)
            .map(|found| addon(&found))
            .transpose()
    }

    async fn names(&self, cluster: &str) -> Result<Vec<String>, PortError> {
        let request = self.eks().list_addons().cluster_name(cluster);
        Ok(absent(all!(request))?.unwrap_or_default())
    }

    async fn create(&self, spec: &AddonSpec) -> Result<Addon, PortError> {
        let request = self
            .eks()
            .create_addon()
            .cluster_name(&spec.cluster)
            .addon_name(&spec.name)
            .addon_version(&spec.version)
            .resolve_conflicts(ResolveConflicts::Overwrite)
            .set_configuration_values(spec.configuration.as_ref().map(Value::to_string))
            .set_tags(Some(spec.tags.clone().into_iter().collect()))
            .client_request_token(&spec.token);
        let made = request.send().await.map_err(translate_creation_inside)?;
        let made = made.addon();
        addon(made.ok_or_else(|| errors::unclear("CreateAddon", "add-on"))?)
    }

    async fn change(&self, spec: &AddonSpec) -> Result<String, PortError> {
        // Settings that are not given stay as they are: none is said with an empty object.
        let none = || "{}".to_owned();
        let values = spec
            .configuration
            .as_ref()
            .map_or_else(none, Value::to_string);
        let request = self
            .eks()
            .update_addon()
            .cluster_name(&spec.cluster)
            .addon_name(&spec.name)
            .addon_version(&spec.version)
            .resolve_conflicts(ResolveConflicts::Overwrite)
            .configuration_values(values)
            .client_request_token(&spec.token);
        let begun = request.send().await.map_err(translate_change)?;
        updates::begun(begun.update(), "UpdateAddon")
    }

    async fn update(
        &self,
        cluster: &str,
        name: &str,
        update: &str,
    ) -> Result<Option<UpdateProgress>, PortError> {
        updates::progress(self, cluster, Of::Addon(name), update).await
    }

    async fn delete(&self, cluster: &str, name: &str) -> Result<Deletion, PortError> {
        let request = self.eks().delete_addon().cluster_name(cluster);
        let sent = request.addon_name(name).send().await;
        deletion(sent.map_err(translate_deletion_inside))
    }
}

/// Settings as they were given, in JSON or YAML. What is neither was not given by us, and differs from whatever is wanted.
fn configuration(text: Option<&str>) -> Option<Value> {
    let text = text?.trim();
    if text.is_empty() {
        return None;
    }
    let read = serde_norway::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let empty = read.is_null() || read.as_object().is_some_and(serde_json::Map::is_empty);
    (!empty).then_some(read)
}

fn addon(found: &types::Addon) -> Result<Addon, PortError> {
    let name = found.addon_name().unwrap_or_default().to_owned();
    let state = match found.status() {
        Some(AddonStatus::Creating) => AddonState::Creating,
        Some(AddonStatus::Active) => AddonState::Active,
        Some(AddonStatus::Updating) => AddonState::Updating,
        Some(AddonStatus::Degraded) => AddonState::Degraded,
        Some(AddonStatus::CreateFailed) => AddonState::CreateFailed,
        Some(AddonStatus::UpdateFailed) => AddonState::UpdateFailed,
        Some(AddonStatus::Deleting) => AddonState::Deleting,
        Some(AddonStatus::DeleteFailed) => AddonState::DeleteFailed,
        other => {
            let state = other.map(AddonStatus::as_str);
            return Err(updates::unknown_state(&format!("add-on {name}"), state));
        }
    };
    let issues = found.health().map(types::AddonHealth::issues);
    Ok(Addon {
        arn: found
            .addon_arn()
            .map(str::to_owned)
            .ok_or_else(|| errors::unclear("DescribeAddon", "ARN"))?,
        name,
        state,
        version: found.addon_version().unwrap_or_default().to_owned(),
        configuration: configuration(found.configuration_values()),
        issues: issues
            .unwrap_or_default()
            .iter()
            .map(|one| {
                let code = one.code().map(types::AddonIssueCode::as_str);
                updates::issue(code, one.message(), one.resource_ids())
            })
            .collect(),
        created: found.created_at().and_then(convert::timestamp),
        tags: updates::tags(found.tags()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_json_or_yaml_and_empty_ones_are_none() {
        for (text, expected) in [
            (None, None),
            (Some(""), None),
            (Some("{}"), None),
            (Some("null"), None),
            (Some("{\"a\": {\"b\": 1}}"), Some(json!({"a": {"b": 1}}))),
            (Some("a:\n  b: 1\n"), Some(json!({"a": {"b": 1}}))),
            (Some("a: [b"), Some(json!("a: [b"))),
        ] {
            assert_eq!(configuration(text), expected, "{text:?}");
        }
    }
}
