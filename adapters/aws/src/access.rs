//! Who may enter a cluster, and which pods may act as which role.

use async_trait::async_trait;
use aws_sdk_eks::types::{self, AccessScope, AccessScopeType};
use futures::{StreamExt, TryStreamExt};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        access::{AccessApi, Entry, PodIdentity, PodIdentitySpec},
        cloud::{Deletion, Tags},
    },
};

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    errors::{self, translate, translate_creation},
    updates::{self, translate_change, translate_creation_inside, translate_deletion_inside},
};

/// How many associations are looked at at once.
const AT_ONCE: usize = 4;

/// EKS' own policy for administrators, in the partition of `principal` (EKS user guide, access policy permissions).
fn administrators(principal: &str) -> String {
    let partition = principal.split(':').nth(1).filter(|text| !text.is_empty());
    let partition = partition.unwrap_or("aws");
    format!("arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy")
}

#[async_trait]
impl AccessApi for Aws {
    async fn entry(&self, cluster: &str, principal: &str) -> Result<Option<Entry>, PortError> {
        let request = self.eks().describe_access_entry().cluster_name(cluster);
        let asked = request.principal_arn(principal).send().await;
        let found = absent(asked.map_err(translate))?;
        let Some(found) = found.and_then(|found| found.access_entry) else {
            return Ok(None);
        };
        let request = self.eks().list_associated_access_policies();
        let request = request.cluster_name(cluster).principal_arn(principal);
        let Some(policies) = absent(all!(request))? else {
            return Ok(None);
        };
        let wanted = administrators(principal);
        let everywhere = |policy: &types::AssociatedAccessPolicy| {
            let scope = policy.access_scope().and_then(AccessScope::r#type);
            policy.policy_arn() == Some(&wanted) && scope == Some(&AccessScopeType::Cluster)
        };
        Ok(Some(Entry {
            principal: found.principal_arn().unwrap_or(principal).to_owned(),
            administrator: policies.iter().any(everywhere),
            tags: updates::tags(found.tags()),
        }))
    }

    async fn admit(
        &self,
        cluster: &str,
        principal: &str,
        tags: &Tags,
        token: &str,
    ) -> Result<(), PortError> {
        match self.entry(cluster, principal).await? {
            Some(entry) if entry.administrator => return Ok(()),
            Some(_) => {}
            None => {
                let request = self.eks().create_access_entry().cluster_name(cluster);
                let request = request
                    .principal_arn(principal)
                    .set_tags(Some(tags.clone().into_iter().collect()))
                    .client_request_token(token);
                match request.send().await.map_err(translate_creation) {
                    Ok(_) => {}
                    // Somebody else was faster.
                    Err(error) if error.kind == Kind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let scope = AccessScope::builder().r#type(AccessScopeType::Cluster);
        let request = self.eks().associate_access_policy().cluster_name(cluster);
        let request = request
            .principal_arn(principal)
            .policy_arn(administrators(principal))
            .access_scope(scope.build());
        request.send().await.map(drop).map_err(translate)
    }

    async fn pod_identities(&self, cluster: &str) -> Result<Vec<PodIdentity>, PortError> {
        let request = self.eks().list_pod_identity_associations();
        let listed = absent(all!(request.cluster_name(cluster)))?.unwrap_or_default();
        // A list tells neither roles nor tags.
        let looks = listed.into_iter().map(|one| identity(self, cluster, one));
        let looks: Vec<_> = looks.collect();
        let found: Vec<Option<PodIdentity>> = futures::stream::iter(looks)
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn associate(&self, spec: &PodIdentitySpec) -> Result<PodIdentity, PortError> {
        let request = self
            .eks()
            .create_pod_identity_association()
            .cluster_name(&spec.cluster)
            .namespace(&spec.namespace)
            .service_account(&spec.service_account)
            .role_arn(&spec.role)
            .set_tags(Some(spec.tags.clone().into_iter().collect()))
            .client_request_token(&spec.token);
        let made = request.send().await.map_err(translate_creation_inside)?;
        let made = made.association().and_then(association);
        made.ok_or_else(|| errors::unclear("CreatePodIdentityAssociation", "association"))
    }

    async fn reassign(
        &self,
        cluster: &str,
        id: &str,
        role: &str,
        token: &str,
    ) -> Result<(), PortError> {
        let request = self.eks().update_pod_identity_association();
        let request = request.cluster_name(cluster).association_id(id);
        let request = request.role_arn(role).client_request_token(token);
        request.send().await.map(drop).map_err(translate_change)
    }

    async fn dissociate(&self, cluster: &str, id: &str) -> Result<Deletion, PortError> {
        let request = self.eks().delete_pod_identity_association();
        let request = request.cluster_name(cluster).association_id(id);
        deletion(request.send().await.map_err(translate_deletion_inside))
    }
}

/// One association, unless it has gone since it was listed.
async fn identity(
    aws: &Aws,
    cluster: &str,
    listed: types::PodIdentityAssociationSummary,
) -> Result<Option<PodIdentity>, PortError> {
    let request = aws.eks().describe_pod_identity_association();
    let request = request.cluster_name(cluster);
    let request = request.set_association_id(listed.association_id);
    let found = absent(request.send().await.map_err(translate))?;
    Ok(found.and_then(|found| association(found.association()?)))
}

fn association(found: &types::PodIdentityAssociation) -> Option<PodIdentity> {
    Some(PodIdentity {
        id: found.association_id()?.to_owned(),
        arn: found.association_arn()?.to_owned(),
        namespace: found.namespace()?.to_owned(),
        service_account: found.service_account()?.to_owned(),
        role: found.role_arn().unwrap_or_default().to_owned(),
        tags: updates::tags(found.tags()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_own_policy() {
        for (principal, policy) in [
            (
                "arn:aws:iam::111122223333:role/a",
                "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            ),
            (
                "arn:aws-cn:iam::111122223333:role/a",
                "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            ),
        ] {
            assert_eq!(administrators(principal), policy);
        }
    }
}
