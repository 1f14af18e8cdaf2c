//! EKS control planes.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_eks::types::{
    self, AuthenticationMode, ClusterStatus, CreateAccessConfigRequest, EncryptionConfig, LogSetup,
    LogType, Logging, Provider, VersionStatus, VpcConfigRequest,
};
use pipectl_stages::{
    error::PortError,
    ports::{
        cloud::{Deletion, Tags, UpdateProgress},
        clusters::{
            Cluster, ClusterApi, ClusterChange, ClusterSpec, ClusterState, Endpoint, OfferedVersion,
        },
    },
};

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    convert,
    errors::{self, translate, translate_creation},
    updates::{self, Of, translate_change},
};

/// The kinds of logs that there are (EKS API, `LogSetup`).
const LOGS: [&str; 5] = [
    "api",
    "audit",
    "authenticator",
    "controllerManager",
    "scheduler",
];

#[async_trait]
impl ClusterApi for Aws {
    async fn versions(&self) -> Result<Vec<OfferedVersion>, PortError> {
        let pages = self.eks().describe_cluster_versions().into_paginator();
        let mut pages = pages.items().send();
        let mut offered: Vec<OfferedVersion> = Vec::new();
        while let Some(one) = pages.next().await {
            let one = one.map_err(translate)?;
            let Some(version) = one.cluster_version() else {
                continue;
            };
            let known = offered.iter().any(|known| known.version == version);
            if !known && one.version_status() != Some(&VersionStatus::Unsupported) {
                offered.push(OfferedVersion {
                    version: version.to_owned(),
                    standard_support: one.version_status() == Some(&VersionStatus::StandardSupport),
                    default: one.default_version(),
                });
            }
        }
        offered.sort_by_key(|one| std::cmp::Reverse(convert::numbers(&one.version)));
        Ok(offered)
    }

    async fn find(&self, name: &str) -> Result<Option<Cluster>, PortError> {
        let asked = self.eks().describe_cluster().name(name).send().await;
        let found = absent(asked.map_err(translate))?;
        found
            .and_then(|found| found.cluster)
            .map(|found| cluster(&found))
            .transpose()
    }

    async fn names(&self) -> Result<Vec<String>, PortError> {
        all!(self.eks().list_clusters())
    }

    async fn create(&self, spec: &ClusterSpec) -> Result<Cluster, PortError> {
        let network = reach(&spec.endpoint)
            .set_subnet_ids(Some(spec.subnets.clone()))
            .set_security_group_ids(Some(spec.security_groups.clone()));
        let access = CreateAccessConfigRequest::builder()
            .authentication_mode(AuthenticationMode::Api)
            .bootstrap_cluster_creator_admin_permissions(true);
        let encryption = spec.encryption_key.as_deref().map(encryption);
        let logs = (!spec.logging.is_empty()).then(|| logging(&spec.logging, false));
        let request = self
            .eks()
            .create_cluster()
            .name(&spec.name)
            .version(&spec.version)
            .role_arn(&spec.role)
            .resources_vpc_config(network.build())
            .access_config(access.build())
            .bootstrap_self_managed_addons(false)
            .set_logging(logs)
            .set_encryption_config(encryption.map(|key| vec![key]))
            .set_tags(Some(spec.tags.clone().into_iter().collect()))
            .client_request_token(&spec.token);
        let made = request.send().await.map_err(translate_creation)?;
        let made = made.cluster();
        cluster(made.ok_or_else(|| errors::unclear("CreateCluster", "cluster"))?)
    }

    async fn change(
        &self,
        name: &str,
        change: &ClusterChange,
        token: &str,
    ) -> Result<String, PortError> {
        let eks = self.eks();
        let config = || {
            eks.update_cluster_config()
                .name(name)
                .client_request_token(token)
        };
        match change {
            ClusterChange::Version(version) => {
                let request = eks.update_cluster_version().name(name).version(version);
                let begun = request.client_request_token(token).send().await;
                updates::begun(
                    begun.map_err(translate_change)?.update(),
                    "UpdateClusterVersion",
                )
            }
            ClusterChange::Endpoint(endpoint) => {
                let request = config().resources_vpc_config(reach(endpoint).build());
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "UpdateClusterConfig")
            }
            ClusterChange::Subnets(subnets) => {
                // Alone: EKS takes no change of the endpoint in the same call.
                let vpc = VpcConfigRequest::builder().set_subnet_ids(Some(subnets.clone()));
                let request = config().resources_vpc_config(vpc.build());
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "UpdateClusterConfig")
            }
            ClusterChange::Logging(kinds) => {
                let request = config().logging(logging(kinds, true));
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "UpdateClusterConfig")
            }
            ClusterChange::Encryption(key) => {
                let request = eks.associate_encryption_config().cluster_name(name);
                let request = request
                    .encryption_config(encryption(key))
                    .client_request_token(token);
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "AssociateEncryptionConfig")
            }
        }
    }

    async fn update(&self, name: &str, update: &str) -> Result<Option<UpdateProgress>, PortError> {
        updates::progress(self, name, Of::Cluster, update).await
    }

    async fn retag(&self, arn: &str, set: &Tags, remove: &[String]) -> Result<(), PortError> {
        if !set.is_empty() {
            let request = self.eks().tag_resource().resource_arn(arn);
            let request = request.set_tags(Some(set.clone().into_iter().collect()));
            request.send().await.map_err(translate)?;
        }
        if !remove.is_empty() {
            let request = self.eks().untag_resource().resource_arn(arn);
            let request = request.set_tag_keys(Some(remove.to_vec()));
            request.send().await.map_err(translate)?;
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<Deletion, PortError> {
        let sent = self.eks().delete_cluster().name(name).send().await;
        deletion(sent.map_err(translate))
    }
}

/// Ranges say nothing, and are refused, where there is no public endpoint.
fn reach(endpoint: &Endpoint) -> types::builders::VpcConfigRequestBuilder {
    let cidrs = endpoint.public_cidrs.iter().cloned().collect::<Vec<_>>();
    VpcConfigRequest::builder()
        .endpoint_public_access(endpoint.public)
        .endpoint_private_access(endpoint.private)
        .set_public_access_cidrs((endpoint.public && !cidrs.is_empty()).then_some(cidrs))
}

/// These kinds on; `others_off` says so of the rest, which a change needs and a creation does not.
fn logging(kinds: &BTreeSet<String>, others_off: bool) -> Logging {
    let setup = |enabled: bool, kinds: Vec<LogType>| {
        let setup = LogSetup::builder().enabled(enabled);
        setup.set_types(Some(kinds)).build()
    };
    let on: Vec<LogType> = kinds.iter().map(|kind| kind.as_str().into()).collect();
    let rest = LOGS.into_iter().filter(|kind| !kinds.contains(*kind));
    let off: Vec<LogType> = rest.map(Into::into).collect();
    let mut setups = Vec::new();
    if !on.is_empty() {
        setups.push(setup(true, on));
    }
    if others_off && !off.is_empty() {
        setups.push(setup(false, off));
    }
    Logging::builder().set_cluster_logging(Some(setups)).build()
}

/// With the customer's key for Secrets (EKS API, `EncryptionConfig`).
#[expect(
    deprecated,
    reason = "newer clusters encrypt everything, and ignore it; the API still wants it said"
)]
fn encryption(key: &str) -> EncryptionConfig {
    EncryptionConfig::builder()
        .resources("secrets")
        .provider(Provider::builder().key_arn(key).build())
        .build()
}

fn cluster(found: &types::Cluster) -> Result<Cluster, PortError> {
    let name = found.name().unwrap_or_default().to_owned();
    let state = match found.status() {
        Some(ClusterStatus::Creating | ClusterStatus::Pending) => ClusterState::Creating,
        Some(ClusterStatus::Active) => ClusterState::Active,
        Some(ClusterStatus::Updating) => ClusterState::Updating,
        Some(ClusterStatus::Deleting) => ClusterState::Deleting,
        Some(ClusterStatus::Failed) => ClusterState::Failed,
        other => {
            let state = other.map(ClusterStatus::as_str);
            return Err(updates::unknown_state(&format!("cluster {name}"), state));
        }
    };
    let network = found.resources_vpc_config();
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let logging = found.logging().map(Logging::cluster_logging);
    let logging = logging.unwrap_or_default().iter();
    let logging = logging.filter(|setup| setup.enabled() == Some(true));
    let encryption = found.encryption_config().first();
    let issues = found.health().map(types::ClusterHealth::issues);
    Ok(Cluster {
        arn: text(found.arn()).ok_or_else(|| errors::unclear("DescribeCluster", "ARN"))?,
        name,
        state,
        version: found.version().unwrap_or_default().to_owned(),
        platform_version: text(found.platform_version()),
        server: text(found.endpoint()),
        ca: text(found.certificate_authority().and_then(|ca| ca.data())),
        issuer: text(
            found
                .identity()
                .and_then(|identity| identity.oidc()?.issuer()),
        ),
        role: found.role_arn().unwrap_or_default().to_owned(),
        vpc: text(network.and_then(|network| network.vpc_id())).unwrap_or_default(),
        subnets: network.map_or_else(Vec::new, |network| network.subnet_ids().to_vec()),
        security_groups: network
            .map_or_else(Vec::new, |network| network.security_group_ids().to_vec()),
        own_security_group: text(network.and_then(|network| network.cluster_security_group_id())),
        endpoint: Endpoint {
            public: network.is_some_and(types::VpcConfigResponse::endpoint_public_access),
            private: network.is_some_and(types::VpcConfigResponse::endpoint_private_access),
            public_cidrs: network
                .map_or(&[][..], types::VpcConfigResponse::public_access_cidrs)
                .iter()
                .cloned()
                .collect(),
        },
        logging: logging
            .flat_map(LogSetup::types)
            .map(|kind| kind.as_str().to_owned())
            .collect(),
        encryption_key: text(encryption.and_then(|one| one.provider()?.key_arn())),
        issues: issues
            .unwrap_or_default()
            .iter()
            .map(|one| {
                let code = one.code().map(types::ClusterIssueCode::as_str);
                updates::issue(code, one.message(), one.resource_ids())
            })
            .collect(),
        created: found.created_at().and_then(convert::timestamp),
        tags: updates::tags(found.tags()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_logging_says_what_is_off_too() {
        let kinds = |setup: &LogSetup| -> Vec<String> {
            let types = setup.types().iter();
            types.map(|kind| kind.as_str().to_owned()).collect()
        };
        let wanted = BTreeSet::from(["api".to_owned(), "audit".to_owned()]);
        let made = logging(&wanted, false);
        assert_eq!(made.cluster_logging().len(), 1);
        let changed = logging(&wanted, true);
        let [on, off] = changed.cluster_logging() else {
            panic!("{changed:?}");
        };
        assert_eq!(
            (on.enabled(), kinds(on)),
            (Some(true), vec!["api".to_owned(), "audit".to_owned()])
        );
        assert_eq!(off.enabled(), Some(false));
        assert_eq!(
            kinds(off),
            ["authenticator", "controllerManager", "scheduler"]
        );
        let none = logging(&BTreeSet::new(), true);
        assert_eq!(kinds(&none.cluster_logging()[0]), LOGS);
    }

    #[test]
    fn ranges_are_only_said_of_a_public_endpoint() {
        let mut endpoint = Endpoint {
            public: true,
            private: false,
            public_cidrs: BTreeSet::from(["192.0.2.0/24".to_owned()]),
        };
        assert_eq!(
            reach(&endpoint).build().public_access_cidrs(),
            ["192.0.2.0/24"]
        );
        endpoint.public = false;
        assert!(reach(&endpoint).build().public_access_cidrs().is_empty());
    }
}
