//! Access entries: which of IAM's users and roles may enter a cluster, and with which of EKS' policies.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster, bad_parameter, bad_request, changed, cluster_mut, cluster_of, in_use, not_found,
    paged, tags,
};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// An access entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// ARN of the user or role.
    pub(crate) principal: String,
    pub(crate) arn: String,
    /// `STANDARD`, or `EC2_LINUX` for nodes.
    kind: String,
    pub(super) username: String,
    pub(super) groups: Vec<String>,
    created: Time,
    changed: Time,
    pub(crate) tags: Tags,
    /// By ARN of the policy.
    pub(super) policies: BTreeMap<String, Scope>,
}

/// Where a policy holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    /// None for the whole cluster.
    pub(super) namespaces: Option<BTreeSet<String>>,
    created: Time,
    changed: Time,
}

/// What precedes the name of EKS' access policies.
const POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/";

/// EKS' access policies that are simulated (EKS user guide: access policy permissions), each with the ClusterRole of
/// Kubernetes that comes closest to it.
pub(super) const POLICIES: [(&str, &str); 5] = [
    ("AmazonEKSClusterAdminPolicy", "cluster-admin"),
    ("AmazonEKSAdminPolicy", "admin"),
    ("AmazonEKSEditPolicy", "edit"),
    ("AmazonEKSViewPolicy", "view"),
    ("AmazonEKSAdminViewPolicy", "view"),
];

impl Entry {
    fn new(scene: &mut Scene<'_>, cluster: &str, principal: &str, kind: &str) -> Self {
        let uid = scene.core.ids.uuid();
        // `user/NAME` or `role/PATH/NAME`
        let rest = principal.splitn(6, ':').nth(5).unwrap_or_default();
        let (sort, name) = rest.split_once('/').unwrap_or(("root", ""));
        let name = name.rsplit('/').next().unwrap_or_default();
        let account = principal.split(':').nth(4).unwrap_or_default();
        let tail = format!("access-entry/{cluster}/{sort}/{account}/{name}/{uid}");
        let (username, groups) = match (kind, sort) {
            ("EC2_LINUX", _) => (
                "system:node:{{EC2PrivateDNSName}}".to_owned(),
                vec!["system:nodes".to_owned()],
            ),
            (_, "role") => (
                format!("arn:aws:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}"),
                Vec::new(),
            ),
            _ => (principal.to_owned(), Vec::new()),
        };
        Self {
            principal: principal.to_owned(),
            arn: scene.place.arn("eks", &tail),
            kind: kind.to_owned(),
            username,
            groups,
            created: scene.now,
            changed: scene.now,
            tags: Tags::default(),
            policies: BTreeMap::new(),
        }
    }

    /// The entry that whoever makes a cluster gets.
    pub(super) fn of_creator(scene: &mut Scene<'_>, cluster: &str) -> Self {
        let principal = principal_of(scene, &scene.caller.arn.clone());
        let mut entry = Self::new(scene, cluster, &principal, "STANDARD");
        let scope = Scope {
            namespaces: None,
            created: scene.now,
            changed: scene.now,
        };
        entry
            .policies
            .insert(format!("{POLICY}AmazonEKSClusterAdminPolicy"), scope);
        entry
    }

    /// The entry that the role of a node group's nodes gets.
    pub(super) fn of_nodes(scene: &mut Scene<'_>, cluster: &str, role: &str) -> Self {
        Self::new(scene, cluster, role, "EC2_LINUX")
    }

    pub(super) fn is_of_nodes(&self) -> bool {
        self.kind == "EC2_LINUX"
    }

    fn show(&self, cluster: &str) -> Value {
        json!({
            "clusterName": cluster,
            "principalArn": self.principal,
            "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn,
            "createdAt": self.created.epoch(),
            "modifiedAt": self.changed.epoch(),
            "tags": self.tags.current(),
            "username": self.username,
            "type": self.kind,
        })
    }
}

/// The user or role behind a caller's ARN: sessions stand for their role.
pub(super) fn principal_of(scene: &Scene<'_>, caller: &str) -> String {
    let mut parts = caller.split(":assumed-role/");
    let session = parts.nth(1).and_then(|rest| rest.split('/').next());
    let role = session.and_then(|name| scene.account.iam.roles.get(name));
    role.map_or_else(|| caller.to_owned(), |role| role.arn.clone())
}

const NAMED: &[&str] = &["clusterName", "principalArn"];
const ENTRY: &str = "/clusters/{clusterName}/access-entries/{principalArn}";

pub(crate) const ACTIONS: &[Action] = &[
    Action::write(
        "CreateAccessEntry",
        &[
            "clusterName",
            "principalArn",
            "kubernetesGroups",
            "tags",
            "clientRequestToken",
            "username",
            "type",
        ],
        create,
    )
    .at("POST", "/clusters/{clusterName}/access-entries"),
    Action::read("DescribeAccessEntry", NAMED, describe).at("GET", ENTRY),
    Action::read(
        "ListAccessEntries",
        &[
            "clusterName",
            "associatedPolicyArn",
            "maxResults",
            "nextToken",
        ],
        list,
    )
    .at("GET", "/clusters/{clusterName}/access-entries"),
    Action::write(
        "UpdateAccessEntry",
        &[
            "clusterName",
            "principalArn",
            "kubernetesGroups",
            "clientRequestToken",
            "username",
        ],
        update,
    )
    .at("POST", ENTRY),
    Action::write("DeleteAccessEntry", NAMED, delete).at("DELETE", ENTRY),
    Action::read(
        "ListAccessPolicies",
        &["maxResults", "nextToken"],
        list_policies,
    )
    .at("GET", "/access-policies"),
    Action::write(
        "AssociateAccessPolicy",
        &["clusterName", "principalArn", "policyArn", "accessScope"],
        associate,
    )
    .at(
        "POST",
        "/clusters/{clusterName}/access-entries/{principalArn}/access-policies",
    ),
    Action::read(
        "ListAssociatedAccessPolicies",
        &["clusterName", "principalArn", "maxResults", "nextToken"],
        list_associated,
    )
    .at(
        "GET",
        "/clusters/{clusterName}/access-entries/{principalArn}/access-policies",
    ),
    Action::write(
        "DisassociateAccessPolicy",
        &["clusterName", "principalArn", "policyArn"],
        disassociate,
    )
    .at(
        "DELETE",
        "/clusters/{clusterName}/access-entries/{principalArn}/access-policies/{policyArn}",
    ),
];

/// The cluster, where entries work.
fn open<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Cluster, ApiError> {
    let cluster = cluster_of(scene, params, "clusterName")?;
    if cluster.authentication == "CONFIG_MAP" {
        return Err(bad_request(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
        ));
    }
    Ok(cluster)
}

fn absent(principal: &str) -> ApiError {
    not_found(format!(
        "The specified principalArn could not be found: {principal}."
    ))
}

fn entry_mut<'a>(scene: &'a mut Scene<'_>, params: Params<'_>) -> Result<&'a mut Entry, ApiError> {
    open(scene, params)?;
    let principal = params.need("principalArn")?;
    let entries = &mut cluster_mut(scene, params, "clusterName")?.entries;
    entries.get_mut(principal).ok_or_else(|| absent(principal))
}

fn entry_of<'a>(scene: &'a Scene<'_>, params: Params<'_>) -> Result<&'a Entry, ApiError> {
    let principal = params.need("principalArn")?;
    open(scene, params)?
        .entries
        .get(principal)
        .ok_or_else(|| absent(principal))
}

fn groups(params: Params<'_>) -> Result<Vec<String>, ApiError> {
    let groups = params.texts("kubernetesGroups");
    let reserved = ["system:", "eks:", "aws:", "amazon:", "iam:"];
    if let Some(group) = groups
        .iter()
        .find(|group| reserved.iter().any(|start| group.starts_with(start)))
    {
        return Err(bad_parameter(format!(
            "The kubernetes group name {group} is invalid, it cannot start with system:"
        )));
    }
    Ok(groups.iter().map(|group| (*group).to_owned()).collect())
}

fn create(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let cluster = open(scene, params)?;
    let principal = params.need("principalArn")?;
    if cluster.entries.contains_key(principal) {
        return Err(in_use(
            "The specified access entry resource is already in use on this cluster.",
        ));
    }
    let name = cluster.name.clone();
    let mut parts = principal.splitn(6, ':');
    let (account, rest) = (
        parts.nth(4).unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let ours = account == scene.place.account;
    let valid = match rest.split_once('/') {
        Some(("user", _)) => true,
        Some(("role", _)) => !ours || scene.account.iam.role_of(principal).is_some(),
        _ => false,
    };
    if !principal.starts_with("arn:aws:iam::") || !valid {
        return Err(bad_parameter(format!(
            "The specified principalArn is invalid: {principal}."
        )));
    }
    let kind = params.text("type").unwrap_or("STANDARD");
    if !["STANDARD", "EC2_LINUX"].contains(&kind) {
        return Err(ApiError::not_simulated(format!(
            "access entries of type {kind}"
        )));
    }
    let (groups, tags) = (groups(params)?, tags(params)?);
    let mut entry = Entry::new(scene, &name, principal, kind);
    if kind == "STANDARD" {
        entry.groups = groups;
    }
    if let Some(username) = params.text("username") {
        entry.username = username.to_owned();
    }
    entry.tags = Tags::new(tags);
    let shown = json!({ "accessEntry": entry.show(&name) });
    let entries = &mut cluster_mut(scene, params, "clusterName")?.entries;
    entries.insert(principal.to_owned(), entry);
    Ok(shown)
}

fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("clusterName")?;
    Ok(json!({ "accessEntry": entry_of(scene, params)?.show(name) }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let policy = params.text("associatedPolicyArn");
    let all = open(scene, params)?.entries.values();
    let mine = all.filter(|entry| policy.is_none_or(|policy| entry.policies.contains_key(policy)));
    let shown = mine.map(|entry| (entry.principal.clone(), json!(entry.principal)));
    paged(params, "accessEntries", shown.collect())
}

fn update(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let name = params.need("clusterName")?.to_owned();
    let groups = groups(params)?;
    let now = scene.now;
    let entry = entry_mut(scene, params)?;
    if params.has("kubernetesGroups") {
        entry.groups = groups;
    }
    if let Some(username) = params.text("username") {
        entry.username = username.to_owned();
    }
    entry.changed = now;
    Ok(json!({ "accessEntry": entry.show(&name) }))
}

fn delete(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    entry_of(scene, params)?;
    let principal = params.need("principalArn")?;
    cluster_mut(scene, params, "clusterName")?
        .entries
        .remove(principal);
    Ok(json!({}))
}

fn list_policies(_: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = POLICIES.iter();
    let shown = all.map(|(name, _)| {
        (
            (*name).to_owned(),
            json!({"name": name, "arn": format!("{POLICY}{name}")}),
        )
    });
    paged(params, "accessPolicies", shown.collect())
}

fn show_policy(arn: &str, scope: &Scope) -> Value {
    json!({
        "policyArn": arn,
        "accessScope": {
            "type": if scope.namespaces.is_some() { "namespace" } else { "cluster" },
            "namespaces": scope.namespaces.iter().flatten().collect::<Vec<_>>(),
        },
        "associatedAt": scope.created.epoch(),
        "modifiedAt": scope.changed.epoch(),
    })
}

fn associate(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("policyArn")?;
    let known = arn
        .strip_prefix(POLICY)
        .filter(|name| POLICIES.iter().any(|(one, _)| one == name));
    if known.is_none() {
        return Err(bad_parameter(format!(
            "The policyArn parameter format is not valid or the policy is not simulated: {arn}"
        )));
    }
    let scope = params
        .section("accessScope")
        .ok_or_else(|| ApiError::missing("accessScope"))?;
    let named: BTreeSet<String> = scope
        .texts("namespaces")
        .iter()
        .map(|n| (*n).to_owned())
        .collect();
    let namespaces = match scope.need("type")? {
        "cluster" => None,
        "namespace" if !named.is_empty() => Some(named),
        _ => {
            return Err(bad_parameter(
                "The accessScope is invalid: namespaces have to be given for type namespace",
            ));
        }
    };
    let now = scene.now;
    let name = params.need("clusterName")?.to_owned();
    let entry = entry_mut(scene, params)?;
    if entry.is_of_nodes() {
        return Err(bad_request(
            "Access policies cannot be associated with an entry of this type",
        ));
    }
    let created = entry.policies.get(arn).map_or(now, |scope| scope.created);
    let scope = Scope {
        namespaces,
        created,
        changed: now,
    };
    let shown = json!({
        "clusterName": name, "principalArn": entry.principal, "associatedAccessPolicy": show_policy(arn, &scope),
    });
    entry.policies.insert(arn.to_owned(), scope);
    changed(scene, &name);
    Ok(shown)
}

fn list_associated(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let entry = entry_of(scene, params)?;
    let shown = entry
        .policies
        .iter()
        .map(|(arn, scope)| (arn.clone(), show_policy(arn, scope)));
    let mut page = paged(params, "associatedAccessPolicies", shown.collect())?;
    page["clusterName"] = params.need("clusterName")?.into();
    page["principalArn"] = entry.principal.clone().into();
    Ok(page)
}

fn disassociate(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("policyArn")?;
    let entry = entry_mut(scene, params)?;
    if entry.policies.remove(arn).is_none() {
        return Err(not_found(format!(
            "The specified policyArn could not be found: {arn}."
        )));
    }
    let name = params.need("clusterName")?.to_owned();
    changed(scene, &name);
    Ok(json!({}))
}

/// Name and namespaces (none for all) of each policy of an entry.
pub(super) fn policies_of(entry: &Entry) -> Vec<(&str, Option<&BTreeSet<String>>)> {
    let all = entry.policies.iter();
    all.filter_map(|(arn, scope)| Some((arn.strip_prefix(POLICY)?, scope.namespaces.as_ref())))
        .collect()
}
