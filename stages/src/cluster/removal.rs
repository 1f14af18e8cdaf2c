//! Taking the cluster down: load balancers while their controllers live, then the control plane, then what it leaves in
//! the account: log group, OIDC provider, roles, key.
//!
//! Nothing inside the cluster is removed one by one, except what would leave something behind outside it. Add-ons, access
//! entries and pod identity associations go with the control plane.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{STAGE, balancers, key::WAITING_DAYS, log_group::left_behind, own_keys::OwnKeys};
use crate::{
    blocks::Row,
    cloud::{
        CloudRemoval, Pace, Remnant, Removed, Unwanted, cloud,
        lost::{self, Lost, is_recorded},
        names,
        scope::{belongs, cluster_names, own_clusters},
        tags,
    },
    context::StepContext,
    error::{PortError, StepError},
    nodes::removal::groups,
    objects::ownership::Owner,
    ports::{cloud::Deletion, clusters::ClusterState, keys::KeyState},
    removal::Removal,
    step::{Need, StepId},
};

/// How long the control plane's deletion may take; about 15 minutes are usual (eksctl#1651).
const REMOVED_WITHIN: Duration = Duration::from_secs(2700);

/// How long a log group must stay away before it counts as gone: EKS writes what it still has, and makes it anew.
const STAYS_AWAY: Duration = Duration::from_secs(30);

/// The removal of load balancers.
#[must_use]
pub fn load_balancers() -> StepId {
    StepId::new(STAGE, "load-balancers")
}

/// The removal of the control plane.
#[must_use]
pub fn control_plane() -> StepId {
    StepId::new(STAGE, "control-plane")
}

fn row(pace: Pace, name: &str, title: &str, expected: u64, needs: Vec<Need>) -> Row {
    let mut row = Row::new(STAGE, name, title).needs(needs);
    row.timeouts.ready = pace.bound(REMOVED_WITHIN);
    row.timeouts.expected = pace.expected(expected);
    row
}

/// What goes before the nodes do: controllers run on them.
#[must_use]
pub fn before_nodes(pace: Pace) -> Vec<Arc<dyn Removal>> {
    let title = "load balancers of services and ingresses";
    let row = row(pace, "load-balancers", title, 60, Vec::new());
    vec![balancers::removal(row, pace)]
}

/// The control plane, and what it leaves in the account.
#[must_use]
pub fn after_nodes(pace: Pace) -> Vec<Arc<dyn Removal>> {
    let quick = pace.poll(5);
    let gone = || vec![Need::ready(control_plane())];
    let groups = vec![Need::ready(groups())];
    vec![
        CloudRemoval::removal(
            row(pace, "control-plane", "control plane", 900, groups),
            pace.poll(15),
            ControlPlane,
        ),
        CloudRemoval::removal(
            row(pace, "log-group", "control-plane logs", 30, gone()),
            quick,
            LogGroup {
                stays_away: pace.scaled(STAYS_AWAY),
                away_since: Mutex::new(None),
            },
        ),
        CloudRemoval::removal(
            row(pace, "oidc-provider", "OIDC provider", 1, gone()),
            quick,
            OidcProvider,
        ),
        CloudRemoval::removal(row(pace, "roles", "IAM roles", 2, gone()), quick, Roles),
        CloudRemoval::removal(
            row(pace, "key", "key of Kubernetes Secrets", 1, gone()),
            quick,
            Keys::default(),
        ),
    ]
}

struct ControlPlane;

#[async_trait]
impl Unwanted for ControlPlane {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        Ok(own_clusters(cx)
            .await?
            .into_iter()
            .map(|cluster| {
                let words = format!("EKS cluster {}", cluster.name);
                match cluster.state {
                    ClusterState::Deleting => {
                        Remnant::going(&cluster.name, format!("{words} DELETING"))
                    }
                    // EKS refuses to delete what it is still making; the next look asks again.
                    ClusterState::Creating => {
                        Remnant::going(&cluster.name, format!("{words} CREATING"))
                    }
                    _ => Remnant::there(&cluster.name, words),
                }
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.clusters.delete(&remnant.id).await)
    }

    async fn holders(&self, cx: &StepContext, remnant: &Remnant) -> Result<Removed, StepError> {
        let groups = cloud(cx)?.node_groups.names(&remnant.id).await;
        let groups = groups.map_err(|error| error.during("look at", &remnant.words))?;
        Ok(Removed::Held(
            groups
                .into_iter()
                .map(|group| format!("node group {group}"))
                .collect(),
        ))
    }

    fn gone(&self) -> String {
        "no cluster left".to_owned()
    }
}

/// The log group; EKS may make it again after its deletion, so it must stay away for a while.
struct LogGroup {
    stays_away: Duration,
    away_since: Mutex<Option<Instant>>,
}

#[async_trait]
impl Unwanted for LogGroup {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let found = left_behind(cx).await?;
        let mut away = self
            .away_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !found.is_empty() {
            *away = None;
            let left = found
                .iter()
                .map(|group| Remnant::there(&group.name, format!("log group {}", group.name)));
            return Ok(left.collect());
        }
        let since = *away.get_or_insert_with(Instant::now);
        Ok(if since.elapsed() >= self.stays_away {
            Vec::new()
        } else {
            let words = "the log group is gone; whether it stays away";
            vec![Remnant::going("log group", words)]
        })
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.logs.delete(&remnant.id).await)
    }

    fn gone(&self) -> String {
        "no log group left".to_owned()
    }
}

/// What is this environment's of a kind, and what it made that does not say so any more.
pub(crate) struct Made<T> {
    pub(crate) own: Vec<T>,
    pub(crate) lost: Vec<Lost>,
}

/// The environment's OIDC providers, found by their tags, or as recorded.
pub(crate) async fn providers(
    cx: &StepContext,
) -> Result<Made<crate::ports::identity::OidcProvider>, StepError> {
    let all = cloud(cx)?.identity.oidc_providers().await;
    let (mut own, mut lost) = (Vec::new(), Vec::new());
    for provider in all.map_err(|error| error.during("look for", "OIDC providers"))? {
        let recorded = is_recorded(cx, "arn", &provider.arn);
        if tags::owner(&provider.tags, &cx.environment) == Owner::Ours
            || recorded && tags::is_still_ours(&provider.tags, &cx.environment)
        {
            own.push(provider);
        } else if recorded {
            lost.push(Lost::oidc_provider(
                &cx.environment,
                &provider.arn,
                &provider.tags,
            ));
        }
    }
    Ok(Made { own, lost })
}

struct OidcProvider;

#[async_trait]
impl Unwanted for OidcProvider {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let providers = providers(cx).await?;
        if providers.own.is_empty() {
            lost::none_left(&providers.lost)?;
        }
        Ok(providers
            .own
            .iter()
            .map(|provider| {
                Remnant::there(&provider.arn, format!("OIDC provider {}", provider.issuer))
            })
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        Ok(cloud(cx)?.identity.delete_oidc_provider(&remnant.id).await)
    }

    fn gone(&self) -> String {
        "no OIDC provider left".to_owned()
    }
}

/// The environment's roles, found by their path and held against their tags. Only pipectl makes roles under it; one of
/// another UID is an earlier environment's of that name, unless this one recorded it.
pub(crate) async fn roles(
    cx: &StepContext,
) -> Result<Made<crate::ports::identity::Role>, StepError> {
    let cloud = cloud(cx)?;
    let caller = cloud.account.caller().await;
    let caller = caller.map_err(|error| error.during("ask who is calling", "AWS"))?;
    let path = names::iam_path(&caller.region, &cx.environment);
    let failed = |error: PortError| error.during("look for roles under", &path);
    let (mut own, mut lost) = (Vec::new(), Vec::new());
    for name in cloud.identity.roles_under(&path).await.map_err(failed)? {
        let Some(role) = cloud.identity.role(&name).await.map_err(failed)? else {
            continue;
        };
        let unmarked = tags::owner(&role.tags, &cx.environment) == Owner::Unmarked;
        if tags::is_still_ours(&role.tags, &cx.environment) {
            own.push(role);
        } else if unmarked || is_recorded(cx, "arn", &role.arn) {
            lost.push(Lost::role(&cx.environment, &role.name, &role.tags));
        }
    }
    Ok(Made { own, lost })
}

struct Roles;

#[async_trait]
impl Unwanted for Roles {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let roles = roles(cx).await?;
        if roles.own.is_empty() {
            lost::none_left(&roles.lost)?;
        }
        Ok(roles
            .own
            .iter()
            .map(|role| Remnant::there(&role.name, format!("role {}", role.name)))
            .collect())
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let identity = &cloud(cx)?.identity;
        let clusters = cluster_names(cx).await?;
        let profiles = match identity.profiles_of(&remnant.id).await {
            Ok(profiles) => profiles,
            Err(error) => return Ok(Err(error)),
        };
        // What somebody in the cluster made for its nodes (Karpenter does) would be left behind, empty; other people's only
        // lose the role.
        for profile in profiles {
            if belongs(&profile.tags, cx, &clusters)
                && let Err(error) = identity.delete_profile(&profile.name, &remnant.id).await
            {
                return Ok(Err(error));
            }
        }
        Ok(identity.delete_role(&remnant.id).await)
    }

    fn gone(&self) -> String {
        "no roles left".to_owned()
    }
}

/// The environment's keys that are not waiting for their deletion yet. The alias goes at once.
#[derive(Default)]
struct Keys {
    own: OwnKeys,
}

#[async_trait]
impl Unwanted for Keys {
    async fn remaining(&self, cx: &StepContext) -> Result<Vec<Remnant>, StepError> {
        let found = self.own.look(cx).await?;
        let mut remaining = Vec::new();
        if found.aliased {
            let alias = names::key_alias(&cx.environment);
            remaining.push(Remnant::there(&alias, format!("key alias {alias}")));
        }
        remaining.extend(
            found
                .keys
                .values()
                .filter(|key| !matches!(key.state, KeyState::PendingDeletion(_)))
                .map(|key| Remnant::there(&key.id, format!("KMS key {}", key.id))),
        );
        if remaining.is_empty() {
            lost::none_left(&found.lost)?;
        }
        Ok(remaining)
    }

    async fn remove(
        &self,
        cx: &StepContext,
        remnant: &Remnant,
    ) -> Result<Result<Deletion, PortError>, StepError> {
        let keys = &cloud(cx)?.keys;
        if remnant.id.starts_with("alias/") {
            return Ok(keys.unalias(&remnant.id).await);
        }
        let scheduled = keys.schedule_deletion(&remnant.id, WAITING_DAYS).await;
        Ok(scheduled.map(|_| Deletion::Accepted))
    }

    fn gone(&self) -> String {
        format!("no key in use; keys go after {WAITING_DAYS} days")
    }
}
