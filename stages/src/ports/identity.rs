//! IAM roles and OIDC providers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cloud::{Deletion, Tags};
use crate::error::PortError;

/// A role to be made, without policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// Its name, unique in the account whatever its path, at most 64 characters.
    pub name: String,
    /// Its path, with a slash at both ends.
    pub path: String,
    /// What it is for.
    pub description: String,
    /// Who may assume it: a policy document.
    pub trust: Value,
    /// Its tags.
    pub tags: Tags,
}

/// A role as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Who may assume it: a policy document.
    pub trust: Value,
    /// ARNs of managed policies attached to it.
    pub attached: BTreeSet<String>,
    /// Its own policies by name, as documents.
    pub inline: BTreeMap<String, Value>,
    /// Its tags.
    pub tags: Tags,
}

/// An instance profile: how a role gets onto instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Tags,
}

/// An OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// Its ARN.
    pub arn: String,
    /// The issuer's address without `https://`.
    pub issuer: String,
    /// Audiences.
    pub clients: BTreeSet<String>,
    /// Its tags.
    pub tags: Tags,
}

/// IAM, as far as steps need it. It belongs to the account, not to the region.
#[async_trait]
pub trait IdentityApi: Send + Sync {
    /// A role by name with its policies and tags.
    async fn role(&self, name: &str) -> Result<Option<Role>, PortError>;

    /// The names of the roles under a path (a list of roles carries no tags).
    async fn roles_under(&self, path: &str) -> Result<Vec<String>, PortError>;

    /// Makes a role. One of that name is `AlreadyExists`.
    async fn create_role(&self, spec: &RoleSpec) -> Result<Role, PortError>;

    /// Sets who may assume a role.
    async fn trust(&self, role: &str, trust: &Value) -> Result<(), PortError>;

    /// Attaches a managed policy; nothing happens when it is attached.
    async fn attach(&self, role: &str, policy: &str) -> Result<(), PortError>;

    /// Detaches a managed policy; nothing happens when it is not attached.
    async fn detach(&self, role: &str, policy: &str) -> Result<(), PortError>;

    /// Sets one of a role's own policies, or removes it.
    async fn set_inline(
        &self,
        role: &str,
        name: &str,
        policy: Option<&Value>,
    ) -> Result<(), PortError>;

    /// Sets these tags on a role and removes those keys.
    async fn retag_role(&self, role: &str, set: &Tags, remove: &[String]) -> Result<(), PortError>;

    /// Deletes a role with everything that hangs on it: policies detached, own policies deleted, taken out of instance
    /// profiles. May be repeated after being cut off in the middle.
    async fn delete_role(&self, role: &str) -> Result<Deletion, PortError>;

    /// The instance profiles that a role is in.
    async fn profiles_of(&self, role: &str) -> Result<Vec<InstanceProfile>, PortError>;

    /// Takes a role out of an instance profile and deletes the profile.
    async fn delete_profile(&self, name: &str, role: &str) -> Result<Deletion, PortError>;

    /// Every OIDC provider of the account, with its tags.
    async fn oidc_providers(&self) -> Result<Vec<OidcProvider>, PortError>;

    /// The provider of an issuer (`https://...`).
    async fn oidc_provider(&self, issuer: &str) -> Result<Option<OidcProvider>, PortError>;

    /// Makes a provider for an issuer (`https://...`). One of the same issuer is `AlreadyExists`.
    async fn create_oidc_provider(
        &self,
        issuer: &str,
        clients: &BTreeSet<String>,
        tags: &Tags,
    ) -> Result<OidcProvider, PortError>;

    /// Sets these tags on a provider, by ARN, and removes those keys.
    async fn retag_oidc_provider(
        &self,
        arn: &str,
        set: &Tags,
        remove: &[String],
    ) -> Result<(), PortError>;

    /// Deletes a provider, by ARN.
    async fn delete_oidc_provider(&self, arn: &str) -> Result<Deletion, PortError>;
}
