//! The log group of the control plane. EKS would make it by itself, without retention; so it is made before.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use super::steps;
use crate::{
    cloud::{Look, Resource, cloud, names, scope::cluster_name, tags, text},
    context::StepContext,
    error::{PortError, StepError},
    objects::ownership::Owner,
    ports::{cloud::Tags, logs::LogGroup},
    step::{Change, Difference, Readiness},
};

/// The log group that the environment's cluster left: its own, or one without tags, which EKS made (anew) for it. Where the
/// environment never came to a cluster of that name, one without tags is of somebody else's.
///
/// # Errors
/// When the account cannot be read.
pub(crate) async fn left_behind(cx: &StepContext) -> Result<Option<LogGroup>, StepError> {
    let cluster = cluster_name(cx).await?;
    let name = names::log_group(&cluster);
    let found = cloud(cx)?.logs.find(&name).await;
    let found = found.map_err(|error| error.during("look at", format!("log group {name}")))?;
    let Some(group) = found else {
        return Ok(None);
    };
    let ours = match tags::owner(&group.tags, &cx.environment) {
        Owner::Ours => true,
        Owner::Other { .. } => false,
        Owner::Unmarked => had_cluster(cx, &cluster).await?,
    };
    Ok(ours.then_some(group))
}

/// Whether the environment has, or had, the cluster of this name, as its record or its anchor says; not while that is
/// somebody else's.
async fn had_cluster(cx: &StepContext, name: &str) -> Result<bool, StepError> {
    let cloud = cloud(cx)?;
    let live = cloud.clusters.find(name).await;
    let live = live.map_err(|error| error.during("look at", format!("EKS cluster {name}")))?;
    if let Some(live) = live {
        return Ok(tags::foreign(&live.tags, &cx.environment).is_none());
    }
    if text(cx, &steps::control_plane(), "name").is_some_and(|made| made == name) {
        return Ok(true);
    }
    let anchor = cloud.anchors.find(&cx.environment.name).await;
    let anchor = anchor.map_err(|error| error.during("read", "the environment's anchor"))?;
    Ok(anchor.is_some_and(|anchor| anchor.uid == cx.environment.uid && anchor.cluster == name))
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
    type Live = LogGroup;

    /// The name is the cluster's, so an unmarked group is one that EKS made for a cluster of that name: an earlier one,
    /// or this one, whose deletion it outlived. It is taken over; only another environment's is not.
    async fn look(&self, cx: &StepContext) -> Result<Look<LogGroup>, StepError> {
        Ok(match self.find(cx).await? {
            None => Look::absent(),
            Some(group) => match tags::owner(&group.tags, &cx.environment) {
                other @ Owner::Other { .. } => Look::Foreign(other.words()),
                Owner::Ours | Owner::Unmarked => Look::there(group),
            },
        })
    }

    async fn identity(&self, cx: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"logGroup": self.name(cx)}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<LogGroup, PortError>, StepError> {
        let name = self.name(cx);
        let tags = tags::stamped(self.tags(cx), attempt);
        Ok(cloud(cx)?
            .logs
            .create(&name, &tags)
            .await
            .map(|()| LogGroup {
                arn: String::new(),
                retention_days: None,
                name,
                tags,
            }))
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &LogGroup,
    ) -> Result<Vec<Difference>, StepError> {
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

    async fn mend(&self, cx: &StepContext, live: LogGroup) -> Result<LogGroup, StepError> {
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
        Ok(live)
    }

    fn outputs(&self, _: &StepContext, live: &LogGroup) -> Value {
        json!({"name": live.name})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &LogGroup) -> String {
        format!("log group {}", live.name)
    }

    fn works(&self, live: &LogGroup) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match self.find(cx).await? {
            Some(group) => Readiness::Ready(format!("log group {}", group.name)),
            None => Readiness::waiting("the log group is not seen yet"),
        })
    }
}
