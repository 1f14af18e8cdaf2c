//! Managed policies: AWS's and the account's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    add_tags, conflict, document, exists, managed, name, no_such, paged, path, remove_tags,
    show_tags, tags,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::wire::query::encode;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;

/// A policy of the account's own, in its only version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    name: String,
    arn: String,
    id: String,
    path: String,
    created: Time,
    description: Option<String>,
    document: String,
    tags: BTreeMap<String, String>,
}

impl Policy {
    /// What it says.
    pub(super) fn document(&self) -> &str {
        &self.document
    }

    fn show(&self, scene: &Scene<'_>, whole: bool) -> Value {
        json!({
            "PolicyName": self.name,
            "PolicyId": self.id,
            "Arn": self.arn,
            "Path": self.path,
            "DefaultVersionId": "v1",
            "AttachmentCount": attachments(scene, &self.arn).len(),
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": true,
            "Description": self.description.as_ref().filter(|_| whole),
            "CreateDate": self.created.iso(),
            "UpdateDate": self.created.iso(),
            "Tags": (whole && !self.tags.is_empty()).then(|| show_tags(&self.tags)),
        })
    }
}

/// Names of the roles and users that a policy is attached to.
fn attachments(scene: &Scene<'_>, arn: &str) -> Vec<String> {
    let roles = scene.account.iam.roles.values();
    let roles = roles.filter(|role| role.attached.contains(arn));
    let users = scene.account.iam.users.values();
    let users = users.filter(|user| user.attached.contains(arn));
    let names = users.map(|user| user.name.clone());
    roles.map(|role| role.name.clone()).chain(names).collect()
}

/// One of AWS's, as replies show it.
fn show_managed(scene: &Scene<'_>, name: &str) -> Value {
    let arn = format!("{}{name}", managed::PREFIX);
    let (path, name) = name
        .rsplit_once('/')
        .map_or(("/".to_owned(), name), |(path, name)| {
            (format!("/{path}/"), name)
        });
    json!({
        "PolicyName": name,
        "Arn": arn,
        "Path": path,
        "DefaultVersionId": "v1",
        "AttachmentCount": attachments(scene, &arn).len(),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": true,
    })
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreatePolicy",
        &[
            "PolicyName",
            "Path",
            "PolicyDocument",
            "Description",
            "Tags",
        ],
        create,
    ),
    Action::read("GetPolicy", &["PolicyArn"], get),
    Action::read("GetPolicyVersion", &["PolicyArn", "VersionId"], get_version),
    Action::read(
        "ListPolicyVersions",
        &["PolicyArn", "Marker", "MaxItems"],
        list_versions,
    ),
    Action::read(
        "ListPolicies",
        &["Scope", "OnlyAttached", "PathPrefix", "Marker", "MaxItems"],
        list,
    ),
    Action::read(
        "ListEntitiesForPolicy",
        &[
            "PolicyArn",
            "EntityFilter",
            "PathPrefix",
            "Marker",
            "MaxItems",
        ],
        list_entities,
    ),
    Action::write("DeletePolicy", &["PolicyArn"], delete),
    Action::write("TagPolicy", &["PolicyArn", "Tags"], tag),
    Action::write("UntagPolicy", &["PolicyArn", "TagKeys"], untag),
    Action::read(
        "ListPolicyTags",
        &["PolicyArn", "Marker", "MaxItems"],
        list_tags,
    ),
];

fn absent(arn: &str) -> ApiError {
    no_such(format!("Policy {arn} was not found."))
}

fn of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Policy, ApiError> {
    let arn = params.need("PolicyArn")?;
    scene
        .account
        .iam
        .policies
        .get(arn)
        .ok_or_else(|| absent(arn))
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, path) = (name(params, "PolicyName", 128)?, path(params)?);
    let document = params.need("PolicyDocument")?;
    document::check_permissions(document)?;
    let mut own = BTreeMap::new();
    add_tags(&mut own, tags(params)?)?;
    let arn = scene
        .place
        .global_arn("iam", &format!("policy{path}{name}"));
    if scene
        .account
        .iam
        .policies
        .values()
        .any(|policy| policy.name == name)
    {
        return Err(exists(format!(
            "A policy called {name} already exists. Duplicate names are not allowed."
        )));
    }
    let policy = Policy {
        name: name.to_owned(),
        arn: arn.clone(),
        id: format!("ANPA{}", scene.core.ids.letters(17)),
        path: path.to_owned(),
        created: scene.now,
        description: params.text("Description").map(str::to_owned),
        document: document.to_owned(),
        tags: own,
    };
    let shown = json!({ "Policy": policy.show(scene, true) });
    scene.account.iam.policies.insert(arn, policy);
    Ok(shown)
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    if managed::is_managed(arn) {
        let name = arn.trim_start_matches(managed::PREFIX);
        return Ok(json!({ "Policy": show_managed(scene, name) }));
    }
    Ok(json!({ "Policy": of(scene, params)?.show(scene, true) }))
}

fn get_version(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    if managed::is_managed(arn) {
        return Err(ApiError::not_simulated(
            "the documents of policies that AWS manages",
        ));
    }
    let policy = of(scene, params)?;
    if params.need("VersionId")? != "v1" {
        return Err(no_such("Policy version was not found."));
    }
    Ok(json!({"PolicyVersion": {
        "Document": encode(&policy.document, true),
        "VersionId": "v1", "IsDefaultVersion": true, "CreateDate": policy.created.iso(),
    }}))
}

fn list_versions(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let policy = of(scene, params)?;
    let only =
        json!({"VersionId": "v1", "IsDefaultVersion": true, "CreateDate": policy.created.iso()});
    paged(params, "Versions", vec![("v1".to_owned(), only)])
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let scope = params.text("Scope").unwrap_or("All");
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let mut shown: Vec<(String, Value)> = Vec::new();
    if scope != "AWS" {
        let own = scene.account.iam.policies.values();
        shown.extend(own.map(|policy| (policy.arn.clone(), policy.show(scene, false))));
    }
    if scope != "Local" {
        let all = managed::POLICIES.iter();
        shown.extend(all.map(|name| {
            (
                format!("{}{name}", managed::PREFIX),
                show_managed(scene, name),
            )
        }));
    }
    shown.retain(|(_, policy)| {
        policy["Path"]
            .as_str()
            .is_some_and(|path| path.starts_with(prefix))
    });
    if params.flag("OnlyAttached")? == Some(true) {
        shown.retain(|(_, policy)| policy["AttachmentCount"] != 0);
    }
    paged(params, "Policies", shown)
}

fn list_entities(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("PolicyArn")?;
    if !managed::is_managed(arn) {
        of(scene, params)?;
    }
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let asked = matches!(params.text("EntityFilter"), None | Some("Role"));
    let roles = scene.account.iam.roles.values();
    let mine =
        roles.filter(|role| asked && role.attached.contains(arn) && role.path.starts_with(prefix));
    let shown = mine.map(|role| {
        (
            role.name.clone(),
            json!({"RoleName": role.name, "RoleId": role.id}),
        )
    });
    let mut page = paged(params, "PolicyRoles", shown.collect())?;
    let asked = matches!(params.text("EntityFilter"), None | Some("User"));
    let users = scene.account.iam.users.values();
    let mine =
        users.filter(|user| asked && user.attached.contains(arn) && user.path.starts_with(prefix));
    page["PolicyUsers"] = mine
        .map(|user| json!({"UserName": user.name, "UserId": user.id}))
        .collect();
    page["PolicyGroups"] = json!([]);
    Ok(page)
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = of(scene, params)?.arn.clone();
    if !attachments(scene, &arn).is_empty() {
        return Err(conflict("Cannot delete a policy attached to entities."));
    }
    scene.account.iam.policies.remove(&arn);
    Ok(Value::Null)
}

fn of_mut<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Policy, ApiError> {
    let arn = params.need("PolicyArn")?;
    scene
        .account
        .iam
        .policies
        .get_mut(arn)
        .ok_or_else(|| absent(arn))
}

fn tag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let more = tags(params)?;
    add_tags(&mut of_mut(scene, params)?.tags, more)?;
    Ok(Value::Null)
}

fn untag(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    remove_tags(&mut of_mut(scene, params)?.tags, params);
    Ok(Value::Null)
}

fn list_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let list =
        |(key, value): (&String, &String)| (key.clone(), json!({"Key": key, "Value": value}));
    paged(
        params,
        "Tags",
        of(scene, params)?.tags.iter().map(list).collect(),
    )
}
