//! An IAM role of an environment: a service that may assume it, AWS-managed policies, one policy of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use super::{Look, Resource, cloud, known, names, tags};
use crate::{
    account,
    context::StepContext,
    error::{PortError, PortErrorKind, Retry, StepError},
    ports::{
        cloud::Tags,
        identity::{Role, RoleSpec},
    },
    step::{Change, Difference, Readiness},
};

/// A policy of a role's own: its name, and what makes it of the context; `None`: the role has none.
pub(crate) type OwnPolicy = (
    &'static str,
    fn(&StepContext) -> Result<Option<Value>, StepError>,
);

/// What a role is for.
pub(crate) struct RoleResource {
    /// The pipeline, for its tags.
    pub(crate) loaded: Arc<Loaded>,
    /// The end of its name.
    pub(crate) purpose: &'static str,
    /// What it is for, in a sentence.
    pub(crate) description: &'static str,
    /// The service that may assume it, e.g. `eks.amazonaws.com`.
    pub(crate) service: &'static str,
    /// Whether the service tags its sessions.
    pub(crate) tags_sessions: bool,
    /// AWS-managed policies, by what follows `:policy/` in their ARNs.
    pub(crate) policies: &'static [&'static str],
    /// The policy of its own, if it has one.
    pub(crate) own: Option<OwnPolicy>,
}

impl RoleResource {
    fn name(&self, cx: &StepContext) -> Result<String, StepError> {
        let region = known(cx, &account::preflight(), "region")?;
        Ok(names::role(&region, &cx.environment, self.purpose))
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-{}", cx.environment.name, self.purpose);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    fn trust(&self) -> Value {
        let mut actions = vec!["sts:AssumeRole"];
        if self.tags_sessions {
            actions.push("sts:TagSession");
        }
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": self.service},
                "Action": actions,
            }],
        })
    }

    fn attached(&self, cx: &StepContext) -> Result<BTreeSet<String>, StepError> {
        let partition = known(cx, &account::preflight(), "partition")?;
        Ok(self
            .policies
            .iter()
            .map(|policy| format!("arn:{partition}:iam::aws:policy/{policy}"))
            .collect())
    }

    fn inline(&self, cx: &StepContext) -> Result<BTreeMap<String, Value>, StepError> {
        let Some((name, make)) = self.own else {
            return Ok(BTreeMap::new());
        };
        let policy = make(cx)?.map(|policy| (name.to_owned(), policy));
        Ok(policy.into_iter().collect())
    }
}

fn list<'a>(items: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let items: Vec<&str> = items.into_iter().map(String::as_str).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

#[async_trait]
impl Resource for RoleResource {
    type Live = Role;

    async fn look(&self, cx: &StepContext) -> Result<Look<Role>, StepError> {
        let name = self.name(cx)?;
        let found = cloud(cx)?.identity.role(&name).await;
        let found = found.map_err(|error| error.during("look at", format!("role {name}")))?;
        Ok(match found {
            Some(role) => Look::named(cx, role.clone(), &role.tags),
            None => Look::absent(),
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        let region = known(cx, &account::preflight(), "region")?;
        Ok(json!({
            "role": self.name(cx)?,
            "path": names::iam_path(&region, &cx.environment),
        }))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Role, PortError>, StepError> {
        let region = known(cx, &account::preflight(), "region")?;
        let spec = RoleSpec {
            name: self.name(cx)?,
            path: names::iam_path(&region, &cx.environment),
            description: self.description.to_owned(),
            trust: self.trust(),
            tags: tags::stamped(self.tags(cx), attempt),
        };
        Ok(cloud(cx)?.identity.create_role(&spec).await)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Role,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = format!("role {}", live.name);
        let differs = |field: &str, live: Option<String>, wanted: Option<String>| Difference {
            resource: resource.clone(),
            field: Some(field.to_owned()),
            live,
            wanted,
            change: Change::Updated,
        };
        let mut differences = Vec::new();
        if live.trust != self.trust() {
            let (is, wanted) = (live.trust.to_string(), self.trust().to_string());
            differences.push(differs("trust", Some(is), Some(wanted)));
        }
        let attached = self.attached(cx)?;
        if live.attached != attached {
            differences.push(differs("policies", list(&live.attached), list(&attached)));
        }
        let inline = self.inline(cx)?;
        if live.inline != inline {
            let (is, wanted) = (list(live.inline.keys()), list(inline.keys()));
            differences.push(differs("ownPolicy", is, wanted));
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: Role) -> Result<Role, StepError> {
        let identity = &cloud(cx)?.identity;
        let failed = |error: PortError| {
            let retry = self.retry(cx, &error);
            let error = error.during("set up", format!("role {}", live.name));
            error.with_retry(retry)
        };
        if live.trust != self.trust() {
            let done = identity.trust(&live.name, &self.trust()).await;
            done.map_err(failed)?;
        }
        let attached = self.attached(cx)?;
        for policy in attached.difference(&live.attached) {
            identity.attach(&live.name, policy).await.map_err(failed)?;
        }
        for policy in live.attached.difference(&attached) {
            identity.detach(&live.name, policy).await.map_err(failed)?;
        }
        let inline = self.inline(cx)?;
        for (name, policy) in &inline {
            if live.inline.get(name) != Some(policy) {
                let done = identity.set_inline(&live.name, name, Some(policy)).await;
                done.map_err(failed)?;
            }
        }
        for name in live
            .inline
            .keys()
            .filter(|name| !inline.contains_key(*name))
        {
            let done = identity.set_inline(&live.name, name, None).await;
            done.map_err(failed)?;
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = identity
                .retag_role(&live.name, &retag.set, &retag.remove)
                .await;
            done.map_err(failed)?;
        }
        Ok(Role {
            attached,
            inline,
            trust: self.trust(),
            ..live
        })
    }

    fn outputs(&self, cx: &StepContext, live: &Role) -> Value {
        // A role made in this run may not be known everywhere yet; see `retry_while_young`. One that was recorded may have gone since
        // and be made anew.
        let made = cx.recorded().map(|outputs| outputs["madeIn"].clone());
        let made_now = match (tags::made_at(&live.tags), cx.run_started()) {
            (Some(made), Some(began)) => made >= began,
            _ => false,
        };
        let made = made.filter(|_| !made_now);
        json!({
            "arn": live.arn,
            "name": live.name,
            "madeIn": made.unwrap_or_else(|| json!(cx.run)),
        })
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Role) -> String {
        format!("role {}", live.name)
    }

    fn works(&self, live: &Role) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let name = self.name(cx)?;
        let found = cloud(cx)?.identity.role(&name).await;
        let found = found.map_err(|error| error.during("look at", format!("role {name}")))?;
        Ok(match found {
            Some(role) => Readiness::Ready(format!("role {}", role.name)),
            None => Readiness::waiting(format!("role {name} is not seen yet")),
        })
    }
}

/// What repeating a create promises that hands the role of this step over. A role that was made in this very run is refused as
/// invalid until IAM's copies everywhere know it (IAM user guide, "changes that I make are not always immediately visible"), so
/// such a refusal is worth another try.
#[must_use]
pub(crate) fn retry_while_young(
    cx: &StepContext,
    step: &crate::step::StepId,
    error: &PortError,
) -> Retry {
    let young = || super::text(cx, step, "madeIn").is_some_and(|run| run == cx.run);
    match error.kind {
        PortErrorKind::NotFound => Retry::Soon,
        PortErrorKind::Invalid if young() => Retry::Soon,
        kind => kind.retry(),
    }
}
