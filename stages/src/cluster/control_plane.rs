//! The EKS control plane: created once under a fixed name, adopted when a run was cut off, changed in place.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use pipectl_config::{EndpointAccess, Loaded};
use serde_json::{Value, json};

use super::{changes, steps};
use crate::{
    cloud::{Look, Pace, Resource, cloud, known, names, role, tags},
    context::StepContext,
    error::{PortError, Retry, StepError},
    network,
    ports::{
        cloud::Tags,
        clusters::{Cluster, ClusterSpec, ClusterState, Endpoint},
    },
    step::{Change, Difference, Readiness},
};

/// The control plane of an environment.
pub(super) struct ControlPlane {
    pub(super) loaded: Arc<Loaded>,
    pub(super) pace: Pace,
}

impl ControlPlane {
    pub(super) fn name(&self, cx: &StepContext) -> String {
        names::cluster(&self.loaded, &cx.environment)
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        tags::wanted(cx, &self.name(cx), &self.loaded.pipeline.spec.tags)
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        let cluster = &self.loaded.pipeline.spec.cluster;
        let access = cluster.endpoint_access;
        Endpoint {
            public: access != EndpointAccess::Private,
            private: access != EndpointAccess::Public,
            public_cidrs: cluster.public_access_cidrs.iter().cloned().collect(),
        }
    }

    pub(super) fn logging(&self) -> BTreeSet<String> {
        let kinds = self.loaded.pipeline.spec.cluster.logging.iter();
        kinds
            .filter_map(|kind| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned))
            .collect()
    }

    pub(super) fn version(&self) -> String {
        let cluster = &self.loaded.pipeline.spec.cluster;
        cluster.kubernetes_version.to_string()
    }

    pub(super) fn encrypts(&self) -> bool {
        self.loaded.pipeline.spec.cluster.encrypt_secrets
    }

    /// The subnets of its interfaces.
    pub(super) fn subnets(&self, cx: &StepContext) -> Result<Vec<String>, StepError> {
        network::private_subnets(cx, &self.loaded.pipeline.spec.network)
    }

    fn key(&self, cx: &StepContext) -> Result<Option<String>, StepError> {
        self.encrypts()
            .then(|| known(cx, &steps::key(), "arn"))
            .transpose()
    }

    /// The control plane as it is asked for.
    fn spec(&self, cx: &StepContext, attempt: u32) -> Result<ClusterSpec, StepError> {
        let mut spec = ClusterSpec {
            name: self.name(cx),
            version: self.version(),
            role: known(cx, &steps::role(), "arn")?,
            subnets: self.subnets(cx)?,
            security_groups: vec![known(cx, &network::steps::control_plane_group(), "id")?],
            endpoint: self.endpoint(),
            logging: self.logging(),
            encryption_key: self.key(cx)?,
            tags: tags::numbered(self.tags(cx), attempt),
            token: String::new(),
        };
        spec.token = names::token(&cx.environment, &cx.step, attempt, &spec);
        Ok(spec)
    }

    async fn find(&self, cx: &StepContext) -> Result<Option<Cluster>, StepError> {
        let name = self.name(cx);
        let found = cloud(cx)?.clusters.find(&name).await;
        found.map_err(|error| error.during("look at", format!("EKS cluster {name}")))
    }
}

#[async_trait]
impl Resource for ControlPlane {
    type Live = Cluster;

    async fn look(&self, cx: &StepContext) -> Result<Look<Cluster>, StepError> {
        let Some(cluster) = self.find(cx).await? else {
            let before = cx.recorded().map(|outputs| outputs["attempt"].as_u64());
            let last = before.map(|number| {
                let number = number.and_then(|number| u32::try_from(number).ok());
                number.unwrap_or(1)
            });
            return Ok(Look::Absent {
                attempt: last.map_or(1, |last| last.saturating_add(1)),
                replaces: None,
            });
        };
        if cluster.state == ClusterState::Deleting
            && tags::foreign(&cluster.tags, &cx.environment).is_none()
        {
            return Err(StepError::new(
                "EKS006",
                "use",
                format!("EKS cluster {}", cluster.name),
                "it is being deleted",
            )
            .with_retry(Retry::Soon)
            .with_hint("wait until it is gone, then run pipectl up again"));
        }
        Ok(Look::named(cx, cluster.clone(), &cluster.tags))
    }

    async fn identity(&self, cx: &StepContext, attempt: u32) -> Result<Value, StepError> {
        let spec = self.spec(cx, attempt)?;
        Ok(json!({"cluster": spec.name, "token": spec.token}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Cluster, PortError>, StepError> {
        let spec = self.spec(cx, attempt)?;
        Ok(cloud(cx)?.clusters.create(&spec).await)
    }

    fn retry(&self, cx: &StepContext, error: &PortError) -> Retry {
        role::retry_while_young(cx, &steps::role(), error)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Cluster,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = format!("EKS cluster {}", live.name);
        let mut differences: Vec<Difference> = changes::wanted(self, cx, live)?
            .into_iter()
            .map(|(field, is, wanted, _)| Difference {
                resource: resource.clone(),
                field: Some(field.to_owned()),
                live: is,
                wanted: Some(wanted),
                change: Change::Updated,
            })
            .collect();
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: Cluster) -> Result<Cluster, StepError> {
        let clusters = &cloud(cx)?.clusters;
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = clusters.retag(&live.arn, &retag.set, &retag.remove).await;
            done.map_err(|error| error.during("tag", format!("EKS cluster {}", live.name)))?;
        }
        changes::carry_out(self, cx, live).await
    }

    fn outputs(&self, cx: &StepContext, live: &Cluster) -> Value {
        json!({
            "name": live.name,
            "arn": live.arn,
            "vpc": live.vpc,
            "attempt": tags::attempt_of(&live.tags),
            "version": self.version(),
            "key": self.key(cx).ok().flatten(),
        })
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Cluster) -> String {
        format!("EKS {}", live.version)
    }

    fn works(&self, live: &Cluster) -> Option<String> {
        let entered = live.server.is_some() && live.ca.is_some();
        (live.state == ClusterState::Active && entered).then(|| self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let Some(cluster) = self.find(cx).await? else {
            return Ok(Readiness::waiting("the cluster is not seen yet"));
        };
        Ok(match cluster.state {
            ClusterState::Creating => Readiness::waiting("control plane CREATING"),
            ClusterState::Active | ClusterState::Updating
                if cluster.server.is_some() && cluster.ca.is_some() =>
            {
                Readiness::Ready(format!("EKS {}", cluster.version))
            }
            ClusterState::Active | ClusterState::Updating => {
                Readiness::waiting("the API server has no address yet")
            }
            ClusterState::Failed | ClusterState::Deleting => {
                let evidence = cluster.issues.iter().map(ToString::to_string).collect();
                let cause = match cluster.state {
                    ClusterState::Failed => "its creation failed",
                    _ => "somebody deletes it",
                };
                let what = format!("EKS cluster {}", cluster.name);
                Readiness::Failed(Box::new(
                    StepError::new("EKS002", "make", what, cause)
                        .with_evidence(evidence)
                        .with_hint(
                            "mend what it names, then: pipectl down, pipectl up; a failed cluster cannot be repaired",
                        ),
                ))
            }
        })
    }
}

impl ControlPlane {
    /// The pause between two looks at an update.
    pub(super) fn pause(&self) -> Duration {
        self.pace.poll(15)
    }
}
