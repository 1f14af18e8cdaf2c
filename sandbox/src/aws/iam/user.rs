//! Users: callers of the account beside its own administrator.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{add_tags, conflict, document, exists, name, no_such, paged, path, show_tags, tags};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::keys::AwsCredentials;
use crate::aws::world::scene::{Caller, Scene};

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(super) id: String,
    pub(super) path: String,
    created: Time,
    /// ARNs of managed policies.
    pub(super) attached: BTreeSet<String>,
    /// Its own policies.
    pub(super) inline: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

impl User {
    /// The user of the account's own key. It is not in the graph: nobody made it, and nobody can take it away.
    pub(super) fn administrator(scene: &Scene<'_>) -> Self {
        let Caller { arn, user_id, .. } = Caller::administrator(&scene.place.account);
        Self {
            name: "sandbox".to_owned(),
            arn,
            id: user_id,
            path: "/".to_owned(),
            created: Time(0),
            attached: ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into(),
            inline: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// As replies show it; lists leave the tags out.
    fn show(&self, whole: bool) -> Value {
        json!({
            "Path": self.path,
            "UserName": self.name,
            "UserId": self.id,
            "Arn": self.arn,
            "CreateDate": self.created.iso(),
            "Tags": (whole && !self.tags.is_empty()).then(|| show_tags(&self.tags)),
        })
    }

    /// Who calls with one of its keys.
    pub(super) fn caller(&self, account: &str) -> Caller {
        Caller {
            account: account.to_owned(),
            arn: self.arn.clone(),
            user_id: self.id.clone(),
        }
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateUser", &["UserName", "Path", "Tags"], create_user),
    Action::read("GetUser", &["UserName"], get_user),
    Action::read(
        "ListUsers",
        &["PathPrefix", "Marker", "MaxItems"],
        list_users,
    ),
    Action::write("DeleteUser", &["UserName"], delete_user),
];

/// The error that there is no such user.
pub(super) fn absent(name: &str) -> ApiError {
    no_such(format!("The user with name {name} cannot be found."))
}

/// The user that a call names; without a name it is whoever calls (IAM API reference: GetUser, CreateAccessKey).
pub(super) fn of(scene: &Scene<'_>, params: Params<'_>) -> Result<User, ApiError> {
    let administrator = User::administrator(scene);
    let users = &scene.account.iam.users;
    match params.text("UserName") {
        Some(name) if name == administrator.name => Ok(administrator),
        Some(name) => users.get(name).cloned().ok_or_else(|| absent(name)),
        None if scene.caller.arn == administrator.arn => Ok(administrator),
        None => {
            let mut all = users.values();
            let mine = all.find(|user| user.arn == scene.caller.arn).cloned();
            mine.ok_or_else(|| {
                super::invalid("Must specify userName when calling with non-User credentials")
            })
        }
    }
}

/// One that was made, to change it.
pub(super) fn of_mut<'a>(
    scene: &'a mut Scene<'_>,
    params: Params<'_>,
) -> Result<&'a mut User, ApiError> {
    let name = params.need("UserName")?;
    if name == User::administrator(scene).name {
        return Err(ApiError::not_simulated(format!(
            "changes of the user {name}"
        )));
    }
    let users = &mut scene.account.iam.users;
    users.get_mut(name).ok_or_else(|| absent(name))
}

fn create_user(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let (name, path) = (name(params, "UserName", 64)?, path(params)?);
    let mut own = BTreeMap::new();
    add_tags(&mut own, tags(params)?)?;
    let taken = |other: &str| other.eq_ignore_ascii_case(name);
    let users = &scene.account.iam.users;
    if users.keys().any(|other| taken(other)) || taken(&User::administrator(scene).name) {
        return Err(exists(format!("User with name {name} already exists.")));
    }
    let user = make(scene, name, path, own);
    Ok(json!({ "User": user.show(true) }))
}

fn make(scene: &mut Scene<'_>, name: &str, path: &str, tags: BTreeMap<String, String>) -> User {
    let user = User {
        name: name.to_owned(),
        arn: scene.place.global_arn("iam", &format!("user{path}{name}")),
        id: format!("AIDA{}", scene.core.ids.letters(17)),
        path: path.to_owned(),
        created: scene.now,
        attached: BTreeSet::new(),
        inline: BTreeMap::new(),
        tags,
    };
    let users = &mut scene.account.iam.users;
    users.insert(name.to_owned(), user.clone());
    user
}

fn get_user(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "User": of(scene, params)?.show(true) }))
}

fn list_users(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let prefix = params.text("PathPrefix").unwrap_or("/");
    let own = User::administrator(scene);
    let users = scene.account.iam.users.values().chain([&own]);
    let shown = users
        .filter(|user| user.path.starts_with(prefix) && scene.listed(user.created))
        .map(|user| (user.name.clone(), user.show(false)));
    let mut shown: Vec<(String, Value)> = shown.collect();
    shown.sort_by(|(one, _), (other, _)| one.cmp(other));
    paged(params, "Users", shown)
}

fn delete_user(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let account = scene.place.account.clone();
    let user = of_mut(scene, params)?.clone();
    if scene
        .core
        .keys
        .of_user(&account, &user.name)
        .next()
        .is_some()
    {
        return Err(conflict(
            "Cannot delete entity, must delete access keys first.",
        ));
    }
    if !user.attached.is_empty() {
        return Err(conflict(
            "Cannot delete entity, must detach all policies first.",
        ));
    }
    if !user.inline.is_empty() {
        return Err(conflict(
            "Cannot delete entity, must delete policies first.",
        ));
    }
    scene.account.iam.users.remove(&user.name);
    Ok(Value::Null)
}

/// What the owner of the sandbox gets at once: a user of that name under that policy and no other, with its key. A user who
/// is there already keeps the key.
///
/// # Errors
/// When the name can't be a user's, or the policy is none.
pub(crate) fn hand_out(
    scene: &mut Scene<'_>,
    name: &str,
    policy: &str,
) -> Result<AwsCredentials, ApiError> {
    document::check_permissions(policy)?;
    let tree = json!({"UserName": name});
    let name = super::name(Params::new(&tree), "UserName", 64)?;
    let account = scene.place.account.clone();
    if name.eq_ignore_ascii_case(&User::administrator(scene).name) {
        return Err(exists(format!("User with name {name} already exists.")));
    }
    let there = scene.account.iam.users.get(name).cloned();
    let user = there.unwrap_or_else(|| make(scene, name, "/", BTreeMap::new()));
    if let Some(user) = scene.account.iam.users.get_mut(name) {
        user.attached.clear();
        user.inline = BTreeMap::from([("permissions".to_owned(), policy.to_owned())]);
    }
    let core = &mut *scene.core;
    Ok(match core.keys.again(&account, name) {
        Some(credentials) => credentials,
        None => {
            let caller = user.caller(&account);
            core.keys.create(&mut core.ids, name, scene.now, caller)
        }
    })
}
