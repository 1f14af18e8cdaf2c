//! The log group of the control plane. EKS would make it by itself, without retention; so it is made before.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use crate::{
    account,
    cloud::{Look, Resource, cloud, names, scope::cluster_names, tags, text},
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::{cloud::Tags, logs::LogGroup},
    step::{Change, Difference, Readiness},
};

/// The log groups that the environment's clusters left: its own, or those without tags that EKS made (anew) for them; see
/// [`is_ours`].
///
/// # Errors
/// When the account cannot be read.
pub(crate) async fn left_behind(cx: &StepContext) -> Result<Vec<LogGroup>, StepError> {
    let mut left = Vec::new();
    for cluster in cluster_names(cx).await? {
        left.extend(left_by(cx, &cluster).await?);
    }
    Ok(left)
}

/// The log group that the cluster of this name left.
async fn left_by(cx: &StepContext, cluster: &str) -> Result<Option<LogGroup>, StepError> {
    let name = names::log_group(cluster);
    let found = cloud(cx)?.logs.find(&name).await;
    let found = found.map_err(|error| error.during("look at", format!("log group {name}")))?;
    let Some(group) = found else {
        return Ok(None);
    };
    let ours = match tags::owner(&group.tags, &cx.environment) {
        Owner::Ours => true,
        Owner::Other { .. } => false,
        Owner::Unmarked => is_ours(cx, cluster, &group).await?,
    };
    Ok(ours.then_some(group))
}

/// Whether a group without tags, of the name of this cluster, is the environment's. EKS tags none that it makes, and makes
/// one anew whenever a cluster that logs finds it gone. Ours is what came to be since the environment did, unless the
/// cluster of that name is somebody else's. What was there before are the logs of another cluster, or of an earlier
/// environment of that name, and whoever left them may want them.
async fn is_ours(cx: &StepContext, cluster: &str, group: &LogGroup) -> Result<bool, StepError> {
    let Some(made) = group.created else {
        return Ok(false);
    };
    if began(cx, cluster).await?.is_none_or(|began| made < began) {
        return Ok(false);
    }
    let live = cloud(cx)?.clusters.find(cluster).await;
    let live = live.map_err(|error| error.during("look at", format!("EKS cluster {cluster}")))?;
    Ok(live.is_none_or(|live| tags::foreign(&live.tags, &cx.environment).is_none()))
}

/// Since when the environment is there that has, or had, the cluster of this name: as its record says, or its anchor.
async fn began(cx: &StepContext, cluster: &str) -> Result<Option<Timestamp>, StepError> {
    let anchored = account::anchor();
    if text(cx, &anchored, "cluster").is_some_and(|name| name == cluster)
        && let Some(created) = text(cx, &anchored, "created")
    {
        return Ok(created.parse().ok());
    }
    let anchor = cloud(cx)?.anchors.find(&cx.environment.name).await;
    let anchor = anchor.map_err(|error| error.during("read", "the environment's anchor"))?;
    Ok(anchor
        .filter(|anchor| anchor.uid == cx.environment.uid && anchor.cluster == cluster)
        .map(|anchor| anchor.created))
}

/// The group as this environment has it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    group: LogGroup,
    /// It was there before the environment: EKS writes to it all the same, and it is neither changed nor deleted.
    before: bool,
}

/// The log group of an environment's cluster.
pub(super) struct ControlPlaneLogs {
    pub(super) loaded: Arc<Loaded>,
}

impl ControlPlaneLogs {
    fn name(&self, cx: &StepContext) -> String {
        names::log_group(&names::cluster(&self.loaded, &cx.environment))
    }

    fn days(&self) -> u16 {
        self.loaded.pipeline.spec.cluster.log_retention_days
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-control-plane", cx.environment.name);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    async fn find(&self, cx: &StepContext) -> Result<Option<LogGroup>, StepError> {
        let name = self.name(cx);
        let found = cloud(cx)?.logs.find(&name).await;
        found.map_err(|error| error.during("look at", format!("log group {name}")))
    }
}

#[async_trait]
impl Resource for ControlPlaneLogs {
    type Live = Kept;

    async fn look(&self, cx: &StepContext) -> Result<Look<Kept>, StepError> {
        let Some(group) = self.find(cx).await? else {
            return Ok(Look::absent());
        };
        let before = match tags::owner(&group.tags, &cx.environment) {
            other @ Owner::Other { .. } => return Ok(Look::Foreign(other.words())),
            Owner::Ours => false,
            Owner::Unmarked => {
                let cluster = names::cluster(&self.loaded, &cx.environment);
                !is_ours(cx, &cluster, &group).await?
            }
        };
        Ok(Look::there(Kept { group, before }))
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"logGroup": self.name(cx)}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Kept, PortError>, StepError> {
        let name = self.name(cx);
        let tags = tags::stamped(self.tags(cx), attempt);
        Ok(cloud(cx)?.logs.create(&name, &tags).await.map(|()| Kept {
            group: LogGroup {
                arn: String::new(),
                retention_days: None,
                created: None,
                name,
                tags,
            },
            before: false,
        }))
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Kept,
    ) -> Result<Vec<Difference>, StepError> {
        if live.before {
            return Ok(Vec::new());
        }
        let live = &live.group;
        let resource = format!("log group {}", live.name);
        let mut differences = Vec::new();
        if live.retention_days != Some(self.days()) {
            differences.push(Difference {
                resource: resource.clone(),
                field: Some("retentionDays".to_owned()),
                live: live.retention_days.map(|days| days.to_string()),
                wanted: Some(self.days().to_string()),
                change: Change::Updated,
            });
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, kept: Kept) -> Result<Kept, StepError> {
        if kept.before {
            return Ok(kept);
        }
        let live = &kept.group;
        let logs = &cloud(cx)?.logs;
        let failed = |error: PortError| {
            let retry = self.retry(cx, &error);
            let error = error.during("set up", format!("log group {}", live.name));
            error.with_retry(retry)
        };
        if live.retention_days != Some(self.days()) {
            let done = logs.retain(&live.name, self.days()).await;
            done.map_err(failed)?;
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = logs.retag(&live.name, &retag.set, &retag.remove).await;
            done.map_err(failed)?;
        }
        Ok(kept)
    }

    fn outputs(&self, _: &StepContext, live: &Kept) -> Value {
        json!({"name": live.group.name})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Kept) -> String {
        let name = &live.group.name;
        if live.before {
            format!("log group {name}, there before and left as it is")
        } else {
            format!("log group {name}")
        }
    }

    fn works(&self, live: &Kept) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match self.find(cx).await? {
            Some(group) => Readiness::Ready(format!("log group {}", group.name)),
            None => Readiness::waiting("the log group is not seen yet"),
        })
    }
}
