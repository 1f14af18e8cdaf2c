//! IAM roles and OIDC providers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_iam::types::{Role as SdkRole, Tag};
use futures::future::try_join_all;
use percent_encoding::percent_decode_str;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        cloud::{Deletion, Tags},
        identity::{IdentityApi, InstanceProfile, OidcProvider, Role, RoleSpec},
    },
};
use serde_json::Value;

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    codes, convert,
    errors::{error, translate, unclear},
};

/// How often a role is deleted again while IAM still sees what was just taken off it (hashicorp/terraform#3222), and the pause in
/// between on AWS's clock.
const DELETIONS: u32 = 4;
const SETTLING: Duration = Duration::from_secs(2);

#[async_trait]
impl IdentityApi for Aws {
    async fn role(&self, name: &str) -> Result<Option<Role>, PortError> {
        let answer = self
            .iam()
            .get_role()
            .role_name(name)
            .send()
            .await
            .map_err(translate);
        let Some(role) = absent(answer)?.and_then(|answer| answer.role) else {
            return Ok(None);
        };
        let policies = futures::try_join!(self.attached(name), self.inline(name));
        // It may be going away under our eyes.
        let Some((attached, inline)) = absent(policies)? else {
            return Ok(None);
        };
        to_role(&role, attached, inline).map(Some)
    }

    async fn roles_under(&self, path: &str) -> Result<Vec<String>, PortError> {
        let roles = all!(self.iam().list_roles().path_prefix(path))?;
        let mut names: Vec<String> = roles.into_iter().map(|role| role.role_name).collect();
        names.sort();
        Ok(names)
    }

    async fn create_role(&self, spec: &RoleSpec) -> Result<Role, PortError> {
        let answer = self
            .iam()
            .create_role()
            .role_name(&spec.name)
            .path(&spec.path)
            .description(&spec.description)
            .assume_role_policy_document(spec.trust.to_string())
            .set_tags(Some(sdk_tags(&spec.tags)?))
            .send()
            .await
            .map_err(translate)?;
        let role = answer.role.ok_or_else(|| unclear("CreateRole", "role"))?;
        Ok(Role {
            name: role.role_name,
            path: role.path,
            arn: role.arn,
            created: convert::timestamp(&role.create_date),
            trust: spec.trust.clone(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            tags: spec.tags.clone(),
        })
    }

    async fn trust(&self, role: &str, trust: &Value) -> Result<(), PortError> {
        self.iam()
            .update_assume_role_policy()
            .role_name(role)
            .policy_document(trust.to_string())
            .send()
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn attach(&self, role: &str, policy: &str) -> Result<(), PortError> {
        self.iam()
            .attach_role_policy()
            .role_name(role)
            .policy_arn(policy)
            .send()
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn detach(&self, role: &str, policy: &str) -> Result<(), PortError> {
        let answer = self
            .iam()
            .detach_role_policy()
            .role_name(role)
            .policy_arn(policy)
            .send()
            .await
            .map_err(translate);
        absent(answer).map(|_| ())
    }

    async fn set_inline(
        &self,
        role: &str,
        name: &str,
        policy: Option<&Value>,
    ) -> Result<(), PortError> {
        match policy {
            Some(policy) => {
                self.iam()
                    .put_role_policy()
                    .role_name(role)
                    .policy_name(name)
                    .policy_document(policy.to_string())
                    .send()
                    .await
                    .map_err(translate)?;
                Ok(())
            }
            None => {
                let answer = self
                    .iam()
                    .delete_role_policy()
                    .role_name(role)
                    .policy_name(name)
                    .send()
                    .await
                    .map_err(translate);
                absent(answer).map(|_| ())
            }
        }
    }

    async fn retag_role(&self, role: &str, set: &Tags, remove: &[String]) -> Result<(), PortError> {
        if !set.is_empty() {
            self.iam()
                .tag_role()
                .role_name(role)
                .set_tags(Some(sdk_tags(set)?))
                .send()
                .await
                .map_err(translate)?;
        }
        if !remove.is_empty() {
            self.iam()
                .untag_role()
                .role_name(role)
                .set_tag_keys(Some(remove.to_vec()))
                .send()
                .await
                .map_err(translate)?;
        }
        Ok(())
    }

    async fn delete_role(&self, role: &str) -> Result<Deletion, PortError> {
        let mut attempt = 1;
        loop {
            match self.strip_and_delete(role).await {
                Err(refused) if refused.kind == Kind::InUse && attempt < DELETIONS => {
                    tokio::time::sleep(SETTLING.div_f64(self.options().time_scale)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// A list of profiles carries no tags.
    async fn profiles_of(&self, role: &str) -> Result<Vec<InstanceProfile>, PortError> {
        let listed = all!(self.iam().list_instance_profiles_for_role().role_name(role));
        let mut profiles = Vec::new();
        for profile in absent(listed)?.unwrap_or_default() {
            let name = profile.instance_profile_name();
            let asked = self.iam().get_instance_profile();
            let asked = asked.instance_profile_name(name).send().await;
            let found = absent(asked.map_err(translate))?;
            let found = found.and_then(|answer| answer.instance_profile);
            profiles.extend(found.map(|found| {
                let tags = found.tags().iter();
                InstanceProfile {
                    name: name.to_owned(),
                    tags: convert::tags(tags.map(|tag| (Some(tag.key()), Some(tag.value())))),
                }
            }));
        }
        Ok(profiles)
    }

    async fn delete_profile(&self, name: &str, role: &str) -> Result<Deletion, PortError> {
        self.take_out(name, role).await?;
        let request = self.iam().delete_instance_profile();
        let request = request.instance_profile_name(name);
        deletion(request.send().await.map_err(translate))
    }

    async fn oidc_providers(&self) -> Result<Vec<OidcProvider>, PortError> {
        let arns = self.oidc_arns().await?;
        let providers = try_join_all(arns.iter().map(|arn| self.oidc(arn))).await?;
        Ok(providers.into_iter().flatten().collect())
    }

    async fn oidc_provider(&self, issuer: &str) -> Result<Option<OidcProvider>, PortError> {
        let ending = format!(":oidc-provider/{}", plain(issuer));
        let arns = self.oidc_arns().await?;
        match arns.iter().find(|arn| arn.ends_with(&ending)) {
            Some(arn) => self.oidc(arn).await,
            None => Ok(None),
        }
    }

    /// Without a thumbprint: IAM gets the issuer's certificate itself, and for those of AWS trusts its own authorities.
    async fn create_oidc_provider(
        &self,
        issuer: &str,
        clients: &BTreeSet<String>,
        tags: &Tags,
    ) -> Result<OidcProvider, PortError> {
        let answer = self
            .iam()
            .create_open_id_connect_provider()
            .url(issuer)
            .set_client_id_list(Some(clients.iter().cloned().collect()))
            .set_tags(Some(sdk_tags(tags)?))
            .send()
            .await
            .map_err(translate)?;
        Ok(OidcProvider {
            arn: answer
                .open_id_connect_provider_arn
                .ok_or_else(|| unclear("CreateOpenIDConnectProvider", "ARN"))?,
            issuer: plain(issuer).to_owned(),
            clients: clients.clone(),
            tags: tags.clone(),
        })
    }

    async fn retag_oidc_provider(
        &self,
        arn: &str,
        set: &Tags,
        remove: &[String],
    ) -> Result<(), PortError> {
        if !set.is_empty() {
            self.iam()
                .tag_open_id_connect_provider()
                .open_id_connect_provider_arn(arn)
                .set_tags(Some(sdk_tags(set)?))
                .send()
                .await
                .map_err(translate)?;
        }
        if !remove.is_empty() {
            self.iam()
                .untag_open_id_connect_provider()
                .open_id_connect_provider_arn(arn)
                .set_tag_keys(Some(remove.to_vec()))
                .send()
                .await
                .map_err(translate)?;
        }
        Ok(())
    }

    async fn delete_oidc_provider(&self, arn: &str) -> Result<Deletion, PortError> {
        // IAM itself is content when there is no such provider.
        if self.oidc(arn).await?.is_none() {
            return Ok(Deletion::Absent);
        }
        let answer = self
            .iam()
            .delete_open_id_connect_provider()
            .open_id_connect_provider_arn(arn)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }
}

impl Aws {
    async fn attached(&self, role: &str) -> Result<BTreeSet<String>, PortError> {
        let attached = all!(self.iam().list_attached_role_policies().role_name(role))?;
        Ok(attached
            .into_iter()
            .filter_map(|policy| policy.policy_arn)
            .collect())
    }

    async fn inline_names(&self, role: &str) -> Result<Vec<String>, PortError> {
        all!(self.iam().list_role_policies().role_name(role))
    }

    async fn inline(&self, role: &str) -> Result<BTreeMap<String, Value>, PortError> {
        let names = self.inline_names(role).await?;
        let policies = names.into_iter().map(|name| async move {
            let answer = self
                .iam()
                .get_role_policy()
                .role_name(role)
                .policy_name(&name)
                .send()
                .await
                .map_err(translate);
            let Some(answer) = absent(answer)? else {
                return Ok(None);
            };
            let document = document("GetRolePolicy", answer.policy_document())?;
            Ok::<_, PortError>(Some((name, document)))
        });
        let policies = try_join_all(policies).await?;
        Ok(policies.into_iter().flatten().collect())
    }

    async fn take_out(&self, profile: &str, role: &str) -> Result<(), PortError> {
        let taken_out = self
            .iam()
            .remove_role_from_instance_profile()
            .instance_profile_name(profile)
            .role_name(role)
            .send()
            .await
            .map_err(translate);
        absent(taken_out).map(|_| ())
    }

    async fn strip_and_delete(&self, role: &str) -> Result<Deletion, PortError> {
        let Some(attached) = absent(self.attached(role).await)? else {
            return Ok(Deletion::Absent);
        };
        for policy in &attached {
            self.detach(role, policy).await?;
        }
        for name in absent(self.inline_names(role).await)?.unwrap_or_default() {
            self.set_inline(role, &name, None).await?;
        }
        let profiles = all!(self.iam().list_instance_profiles_for_role().role_name(role));
        for profile in absent(profiles)?.unwrap_or_default() {
            self.take_out(profile.instance_profile_name(), role).await?;
        }
        let answer = self
            .iam()
            .delete_role()
            .role_name(role)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }

    async fn oidc_arns(&self) -> Result<Vec<String>, PortError> {
        let answer = self
            .iam()
            .list_open_id_connect_providers()
            .send()
            .await
            .map_err(translate)?;
        let entries = answer.open_id_connect_provider_list().iter();
        let mut arns: Vec<String> = entries
            .filter_map(|entry| entry.arn().map(str::to_owned))
            .collect();
        arns.sort();
        Ok(arns)
    }

    async fn oidc(&self, arn: &str) -> Result<Option<OidcProvider>, PortError> {
        let answer = self
            .iam()
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(arn)
            .send()
            .await
            .map_err(translate);
        let Some(answer) = absent(answer)? else {
            return Ok(None);
        };
        let tags = answer.tags().iter();
        Ok(Some(OidcProvider {
            arn: arn.to_owned(),
            issuer: plain(
                answer
                    .url()
                    .ok_or_else(|| unclear("GetOpenIDConnectProvider", "address"))?,
            )
            .to_owned(),
            clients: answer.client_id_list().iter().cloned().collect(),
            tags: convert::tags(tags.map(|tag| (Some(tag.key()), Some(tag.value())))),
        }))
    }
}

/// An issuer's address as IAM keeps it.
fn plain(issuer: &str) -> &str {
    issuer.strip_prefix("https://").unwrap_or(issuer)
}

fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, PortError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| error(Kind::Invalid, codes::INVALID, source.to_string()))
}

fn to_role(
    role: &SdkRole,
    attached: BTreeSet<String>,
    inline: BTreeMap<String, Value>,
) -> Result<Role, PortError> {
    let tags = role.tags().iter();
    Ok(Role {
        name: role.role_name().to_owned(),
        path: role.path().to_owned(),
        arn: role.arn().to_owned(),
        created: convert::timestamp(role.create_date()),
        trust: document(
            "GetRole",
            role.assume_role_policy_document().unwrap_or_default(),
        )?,
        attached,
        inline,
        tags: convert::tags(tags.map(|tag| (Some(tag.key()), Some(tag.value())))),
    })
}

/// IAM answers policy documents URL-encoded (RFC 3986).
fn document(operation: &str, encoded: &str) -> Result<Value, PortError> {
    percent_decode_str(encoded)
        .decode_utf8()
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| unclear(operation, "readable policy document"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded() {
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22a%22%3A%22x%2By%20z%22%7D";
        let read = document("GetRole", encoded).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"Version": "2012-10-17", "a": "x+y z"})
        );
        assert!(document("GetRole", "%7B").is_err());
    }
}
