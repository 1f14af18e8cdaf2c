//! The EBS CSI driver acts as its own role through EKS pod identity: no key in the cluster, and the nodes may do less.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use super::ebs_role;
use crate::{
    cloud::{Look, Resource, cloud, known, names, role, tags},
    cluster,
    context::StepContext,
    error::{PortError, Retry, StepError},
    ports::{
        access::{PodIdentity, PodIdentitySpec},
        cloud::Tags,
    },
    step::{Change, Difference, Readiness},
};

/// Where the driver's controller lives, and its service account (EKS user guide, Amazon EBS CSI driver).
const NAMESPACE: &str = "kube-system";
const SERVICE_ACCOUNT: &str = "ebs-csi-controller-sa";

/// The association of the driver's service account.
pub(super) struct EbsIdentity {
    pub(super) loaded: Arc<Loaded>,
}

impl EbsIdentity {
    fn tags(&self, cx: &StepContext) -> Tags {
        let name = format!("pipectl-{}-ebs-csi", cx.environment.name);
        tags::wanted(cx, &name, &self.loaded.pipeline.spec.tags)
    }

    async fn find(cx: &StepContext) -> Result<Option<PodIdentity>, StepError> {
        let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
        association(cx, &cluster).await
    }
}

/// The association of the driver's service account, whosever it is.
pub(super) async fn association(
    cx: &StepContext,
    cluster: &str,
) -> Result<Option<PodIdentity>, StepError> {
    let all = cloud(cx)?.access.pod_identities(cluster).await;
    let all = all.map_err(|error| error.during("look for", "pod identity associations"))?;
    Ok(all.into_iter().find(|association| {
        association.namespace == NAMESPACE && association.service_account == SERVICE_ACCOUNT
    }))
}

#[async_trait]
impl Resource for EbsIdentity {
    type Live = PodIdentity;

    async fn look(&self, cx: &StepContext) -> Result<Look<PodIdentity>, StepError> {
        Ok(match Self::find(cx).await? {
            Some(association) => Look::named(cx, association.clone(), &association.tags),
            None => Look::absent(),
        })
    }

    async fn identity(&self, _: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"serviceAccount": format!("{NAMESPACE}/{SERVICE_ACCOUNT}")}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<PodIdentity, PortError>, StepError> {
        let spec = PodIdentitySpec {
            cluster: known(cx, &cluster::steps::control_plane(), "name")?,
            namespace: NAMESPACE.to_owned(),
            service_account: SERVICE_ACCOUNT.to_owned(),
            role: known(cx, &ebs_role(), "arn")?,
            tags: tags::numbered(self.tags(cx), attempt),
            token: names::change_token(&cx.environment, &cx.step, &cx.run, "associate"),
        };
        Ok(cloud(cx)?.access.associate(&spec).await)
    }

    fn retry(&self, cx: &StepContext, error: &PortError) -> Retry {
        role::retry_while_young(cx, &ebs_role(), error)
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &PodIdentity,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = format!("pod identity association {}", live.id);
        let mut differences = Vec::new();
        let wanted = known(cx, &ebs_role(), "arn")?;
        if live.role != wanted {
            differences.push(Difference {
                resource: resource.clone(),
                field: Some("role".to_owned()),
                live: Some(live.role.clone()),
                wanted: Some(wanted),
                change: Change::Updated,
            });
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: PodIdentity) -> Result<PodIdentity, StepError> {
        let cloud = cloud(cx)?;
        let failed = |error: PortError| error.during("change", "the pod identity association");
        let wanted = known(cx, &ebs_role(), "arn")?;
        if live.role != wanted {
            let cluster = known(cx, &cluster::steps::control_plane(), "name")?;
            let token = names::change_token(&cx.environment, &cx.step, &cx.run, &wanted);
            let done = cloud.access.reassign(&cluster, &live.id, &wanted, &token);
            done.await.map_err(failed)?;
        }
        let retag = tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx));
        if !retag.is_empty() {
            let done = cloud.clusters.retag(&live.arn, &retag.set, &retag.remove);
            done.await.map_err(failed)?;
        }
        Ok(live)
    }

    /// The service account's name is the driver's.
    fn beside_a_stranger(&self) -> Option<String> {
        Some(format!(
            "the service account {NAMESPACE}/{SERVICE_ACCOUNT} has another role already: delete that association (aws eks \
             delete-pod-identity-association), or take aws-ebs-csi-driver out of spec.addons"
        ))
    }

    fn outputs(&self, _: &StepContext, live: &PodIdentity) -> Value {
        json!({"id": live.id, "role": live.role})
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, _: &PodIdentity) -> String {
        format!("{NAMESPACE}/{SERVICE_ACCOUNT} has its role")
    }

    fn works(&self, live: &PodIdentity) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        Ok(match Self::find(cx).await? {
            Some(live) => Readiness::Ready(self.summary(&live)),
            None => Readiness::waiting("the association is not seen yet"),
        })
    }
}
