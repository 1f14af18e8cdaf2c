//! The policies that AWS manages, as far as EKS and its nodes use them.

/// ARN prefix of all of them.
pub(super) const PREFIX: &str = "arn:aws:iam::aws:policy/";

/// Path and name behind [`PREFIX`] (AWS managed policy reference guide).
pub(super) const POLICIES: &[&str] = &[
    "AmazonEKSClusterPolicy",
    "AmazonEKSServicePolicy",
    "AmazonEKSVPCResourceController",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKSWorkerNodeMinimalPolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSFargatePodExecutionRolePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
    "AmazonS3ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonPrometheusRemoteWriteAccess",
    "CloudWatchAgentServerPolicy",
    "AdministratorAccess",
    "ReadOnlyAccess",
    "service-role/AmazonEBSCSIDriverPolicy",
    "service-role/AmazonEBSCSIDriverPolicyV2",
    "service-role/AmazonEFSCSIDriverPolicy",
];

/// Whether AWS manages a policy of that ARN.
pub(super) fn is_managed(arn: &str) -> bool {
    arn.strip_prefix(PREFIX)
        .is_some_and(|name| POLICIES.contains(&name))
}

/// The text of one of them, where it is known here (AWS managed policy reference guide: AdministratorAccess).
pub(super) fn document(arn: &str) -> Option<&'static str> {
    (arn.strip_prefix(PREFIX)? == "AdministratorAccess").then_some(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    )
}
