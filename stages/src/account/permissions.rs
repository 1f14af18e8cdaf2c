//! What an environment's life needs to be allowed, and whether the caller is.
//!
//! [`TABLE`] is the one list; `docs/reference/aws-permissions.json` says the same as a policy, and tests hold both against each
//! other and against the calls of a whole life.

use pipectl_config::{AddonName, Loaded};

use crate::{
    cloud::{cloud, names},
    context::{Environment, StepContext},
    error::StepError,
    network::nat_zones,
    ports::account::{Allowance, Allowances, Caller, Deed},
};

/// When a permission is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// To bring any environment up.
    Up,
    /// To bring one up in a VPC of its own.
    OwnVpc,
    /// To bring one up whose nodes go out through NAT gateways.
    Nat,
    /// To bring one up whose Secrets are encrypted with a key of its own.
    Key,
    /// To bring one up whose control plane writes logs.
    Logs,
    /// To bring one up with the EBS driver, which has a role of its own.
    Ebs,
    /// To change one or to take it down.
    Later,
}

/// What it is needed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The action knows no resources.
    Everything,
    /// All that EC2 has of a type, as its ARNs say it.
    Ec2(&'static str),
    /// The environment's cluster.
    Cluster,
    /// What is in it, by the type in its ARNs.
    InCluster(&'static str),
    /// The environment's roles.
    Role,
    /// The OIDC provider of its cluster.
    Provider,
    /// KMS keys; theirs is not known before.
    Key,
    /// The log group of its control plane.
    LogGroup,
    /// Its anchor.
    Anchor,
    /// All anchors.
    Anchors,
}

/// A permission of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// As policies name it.
    pub action: &'static str,
    /// When it is needed.
    pub when: When,
    /// What it is needed on.
    pub on: On,
}

const fn row(action: &'static str, when: When, on: On) -> Permission {
    Permission { action, when, on }
}

use On::{Anchor, Anchors, Cluster, Ec2, Everything, InCluster, LogGroup, Provider, Role};
use When::{Ebs, Later, Logs, Nat, OwnVpc, Up};

/// Every permission that an environment's life may need, in the order of the policy. Left out is what no caller lacks
/// (`sts:GetCallerIdentity`), what is needed only at an account's very first use of a service
/// (`iam:CreateServiceLinkedRole`), and the right to ask about rights.
pub const TABLE: &[Permission] = &[
    row("ec2:DescribeAddresses", Up, Everything),
    row("ec2:DescribeAvailabilityZones", OwnVpc, Everything),
    row("ec2:DescribeInstanceTypeOfferings", Up, Everything),
    row("ec2:DescribeInstanceTypes", Up, Everything),
    row("ec2:DescribeInstances", Up, Everything),
    row("ec2:DescribeInternetGateways", OwnVpc, Everything),
    row("ec2:DescribeNatGateways", OwnVpc, Everything),
    row("ec2:DescribeNetworkInterfaces", Later, Everything),
    row("ec2:DescribeRouteTables", Up, Everything),
    row("ec2:DescribeSecurityGroupRules", Later, Everything),
    row("ec2:DescribeSecurityGroups", Up, Everything),
    row("ec2:DescribeSnapshots", Later, Everything),
    row("ec2:DescribeSubnets", Up, Everything),
    row("ec2:DescribeVolumes", Later, Everything),
    row("ec2:DescribeVpcAttribute", Up, Everything),
    row("ec2:DescribeVpcEndpoints", OwnVpc, Everything),
    row("ec2:DescribeVpcPeeringConnections", Later, Everything),
    row("ec2:DescribeVpcs", Up, Everything),
    row("eks:DescribeAddonVersions", Up, Everything),
    row("eks:DescribeClusterVersions", Up, Everything),
    row("eks:ListClusters", Up, Everything),
    row(
        "elasticloadbalancing:DescribeLoadBalancers",
        Later,
        Everything,
    ),
    row("elasticloadbalancing:DescribeTags", Later, Everything),
    row(
        "elasticloadbalancing:DescribeTargetGroups",
        Later,
        Everything,
    ),
    row("iam:GetOpenIDConnectProvider", Up, Provider),
    // A role that is not there has no path, so it is asked for outside of the environment's.
    row("iam:GetRole", Up, Everything),
    row("iam:ListOpenIDConnectProviders", Up, Everything),
    row("iam:ListRoles", Later, Everything),
    row("kms:DescribeKey", When::Key, On::Key),
    row("kms:ListAliases", Later, Everything),
    row("kms:ListKeys", When::Key, Everything),
    row("kms:ListResourceTags", When::Key, On::Key),
    row("logs:DescribeLogGroups", Logs, Everything),
    row("logs:ListTagsForResource", Logs, LogGroup),
    row("servicequotas:GetAWSDefaultServiceQuota", Later, Everything),
    row("servicequotas:GetServiceQuota", Up, Everything),
    row("tag:GetResources", Later, Everything),
    row("ec2:AllocateAddress", Nat, Ec2("elastic-ip")),
    row("ec2:AssociateRouteTable", OwnVpc, Ec2("route-table")),
    row("ec2:AttachInternetGateway", OwnVpc, Ec2("internet-gateway")),
    row(
        "ec2:AuthorizeSecurityGroupEgress",
        Later,
        Ec2("security-group"),
    ),
    row(
        "ec2:AuthorizeSecurityGroupIngress",
        Up,
        Ec2("security-group"),
    ),
    row("ec2:CreateInternetGateway", OwnVpc, Ec2("internet-gateway")),
    row("ec2:CreateNatGateway", Nat, Ec2("natgateway")),
    row("ec2:CreateRoute", OwnVpc, Ec2("route-table")),
    row("ec2:CreateRouteTable", OwnVpc, Ec2("route-table")),
    row("ec2:CreateSecurityGroup", Up, Ec2("security-group")),
    row("ec2:CreateSubnet", OwnVpc, Ec2("subnet")),
    row("ec2:CreateTags", Up, Ec2("security-group")),
    row("ec2:CreateVpc", OwnVpc, Ec2("vpc")),
    row("ec2:CreateVpcEndpoint", OwnVpc, Ec2("vpc-endpoint")),
    row("ec2:DeleteInternetGateway", Later, Ec2("internet-gateway")),
    row("ec2:DeleteNatGateway", Later, Ec2("natgateway")),
    row(
        "ec2:DeleteNetworkInterface",
        Later,
        Ec2("network-interface"),
    ),
    row("ec2:DeleteRoute", Later, Ec2("route-table")),
    row("ec2:DeleteRouteTable", Later, Ec2("route-table")),
    row("ec2:DeleteSecurityGroup", Later, Ec2("security-group")),
    row("ec2:DeleteSnapshot", Later, Ec2("snapshot")),
    row("ec2:DeleteSubnet", Later, Ec2("subnet")),
    row("ec2:DeleteTags", Later, Ec2("vpc")),
    row("ec2:DeleteVolume", Later, Ec2("volume")),
    row("ec2:DeleteVpc", Later, Ec2("vpc")),
    row("ec2:DeleteVpcEndpoints", Later, Ec2("vpc-endpoint")),
    row("ec2:DetachInternetGateway", Later, Ec2("internet-gateway")),
    row("ec2:DisassociateRouteTable", Later, Ec2("route-table")),
    row("ec2:ModifySubnetAttribute", OwnVpc, Ec2("subnet")),
    row("ec2:ModifyVpcAttribute", OwnVpc, Ec2("vpc")),
    row("ec2:ModifyVpcEndpoint", Later, Ec2("vpc-endpoint")),
    row("ec2:ReleaseAddress", Later, Ec2("elastic-ip")),
    row("ec2:ReplaceRoute", Later, Ec2("route-table")),
    row(
        "ec2:ReplaceRouteTableAssociation",
        Later,
        Ec2("route-table"),
    ),
    row(
        "ec2:RevokeSecurityGroupEgress",
        Later,
        Ec2("security-group"),
    ),
    row(
        "ec2:RevokeSecurityGroupIngress",
        Later,
        Ec2("security-group"),
    ),
    row("ec2:TerminateInstances", Later, Ec2("instance")),
    row("elasticloadbalancing:DeleteLoadBalancer", Later, Everything),
    row("elasticloadbalancing:DeleteTargetGroup", Later, Everything),
    row(
        "eks:AssociateAccessPolicy",
        Later,
        InCluster("access-entry"),
    ),
    row("eks:AssociateEncryptionConfig", Later, Cluster),
    row("eks:CreateAccessEntry", Later, Cluster),
    row("eks:CreateAddon", Up, Cluster),
    row("eks:CreateCluster", Up, Cluster),
    row("eks:CreateNodegroup", Up, Cluster),
    row("eks:CreatePodIdentityAssociation", Ebs, Cluster),
    row("eks:DeleteAddon", Later, InCluster("addon")),
    row("eks:DeleteCluster", Later, Cluster),
    row("eks:DeleteNodegroup", Later, InCluster("nodegroup")),
    row(
        "eks:DeletePodIdentityAssociation",
        Later,
        InCluster("podidentityassociation"),
    ),
    row("eks:DescribeAccessEntry", Up, InCluster("access-entry")),
    row("eks:DescribeAddon", Up, InCluster("addon")),
    row("eks:DescribeCluster", Up, Cluster),
    row("eks:DescribeNodegroup", Up, InCluster("nodegroup")),
    row(
        "eks:DescribePodIdentityAssociation",
        Ebs,
        InCluster("podidentityassociation"),
    ),
    row("eks:DescribeUpdate", Later, Cluster),
    row("eks:ListAddons", Up, Cluster),
    row(
        "eks:ListAssociatedAccessPolicies",
        Up,
        InCluster("access-entry"),
    ),
    row("eks:ListNodegroups", Up, Cluster),
    row("eks:ListPodIdentityAssociations", Ebs, Cluster),
    row("eks:TagResource", Up, Cluster),
    row("eks:UntagResource", Later, Cluster),
    row("eks:UpdateAddon", Later, InCluster("addon")),
    row("eks:UpdateClusterConfig", Later, Cluster),
    row("eks:UpdateClusterVersion", Later, Cluster),
    row("eks:UpdateNodegroupConfig", Later, InCluster("nodegroup")),
    row("eks:UpdateNodegroupVersion", Later, InCluster("nodegroup")),
    row(
        "eks:UpdatePodIdentityAssociation",
        Later,
        InCluster("podidentityassociation"),
    ),
    row("iam:AttachRolePolicy", Up, Role),
    row("iam:CreateRole", Up, Role),
    row("iam:DeleteRole", Later, Role),
    row("iam:DeleteRolePolicy", Later, Role),
    row("iam:DetachRolePolicy", Later, Role),
    row("iam:GetRolePolicy", When::Key, Role),
    row("iam:ListAttachedRolePolicies", Up, Role),
    row("iam:ListInstanceProfilesForRole", Later, Role),
    row("iam:ListRolePolicies", Up, Role),
    row("iam:PassRole", Up, Role),
    row("iam:PutRolePolicy", When::Key, Role),
    row("iam:TagRole", Up, Role),
    row("iam:UntagRole", Later, Role),
    row("iam:UpdateAssumeRolePolicy", Later, Role),
    row("iam:DeleteInstanceProfile", Later, Everything),
    row("iam:GetInstanceProfile", Later, Everything),
    row("iam:RemoveRoleFromInstanceProfile", Later, Everything),
    row("iam:CreateOpenIDConnectProvider", Up, Provider),
    row("iam:DeleteOpenIDConnectProvider", Later, Provider),
    row("iam:TagOpenIDConnectProvider", Up, Provider),
    row("iam:UntagOpenIDConnectProvider", Later, Provider),
    row("kms:CreateAlias", When::Key, On::Key),
    row("kms:CreateGrant", When::Key, On::Key),
    row("kms:CreateKey", When::Key, Everything),
    row("kms:DeleteAlias", Later, On::Key),
    row("kms:ScheduleKeyDeletion", Later, On::Key),
    row("kms:TagResource", When::Key, On::Key),
    row("kms:UntagResource", Later, On::Key),
    row("kms:UpdateAlias", Later, On::Key),
    row("logs:CreateLogGroup", Logs, LogGroup),
    row("logs:DeleteLogGroup", Later, LogGroup),
    row("logs:PutRetentionPolicy", Logs, LogGroup),
    row("logs:TagResource", Logs, LogGroup),
    row("logs:UntagResource", Later, LogGroup),
    row("ssm:AddTagsToResource", Up, Anchor),
    row("ssm:DeleteParameter", Later, Anchor),
    row("ssm:GetParameter", Up, Anchor),
    row("ssm:GetParametersByPath", Later, Anchors),
    row("ssm:PutParameter", Up, Anchor),
];

/// Whether bringing this pipeline up needs it.
#[must_use]
pub fn needed(permission: &Permission, loaded: &Loaded) -> bool {
    let spec = &loaded.pipeline.spec;
    let own_vpc = spec.network.existing_vpc.is_none();
    match permission.when {
        When::Up => true,
        When::OwnVpc => own_vpc,
        When::Nat => own_vpc && nat_zones(&spec.network) > 0,
        When::Key => spec.cluster.encrypt_secrets,
        When::Logs => !spec.cluster.logging.is_empty(),
        When::Ebs => {
            let mut addons = spec.addons.iter();
            addons.any(|addon| addon.name == AddonName::AwsEbsCsiDriver)
        }
        When::Later => false,
    }
}

impl Permission {
    fn deed(&self, caller: &Caller, environment: &Environment, cluster: &str) -> Deed {
        let (region, account) = (&caller.region, &caller.account);
        let arn = |service: &str, region: &str, rest: &str| {
            let partition = &caller.partition;
            Some(format!(
                "arn:{partition}:{service}:{region}:{account}:{rest}"
            ))
        };
        let resource = match self.on {
            On::Everything => None,
            On::Ec2(kind) => arn("ec2", region, &format!("{kind}/*")),
            On::Cluster => arn("eks", region, &format!("cluster/{cluster}")),
            On::InCluster(kind) => arn("eks", region, &format!("{kind}/{cluster}/*")),
            On::Role => {
                let name = names::role(region, environment, "cluster");
                let path = names::iam_path(region, environment);
                arn("iam", "", &format!("role{path}{name}"))
            }
            On::Provider => {
                let host = if caller.partition == "aws-cn" {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                arn(
                    "iam",
                    "",
                    &format!("oidc-provider/oidc.eks.{region}.{host}/id/*"),
                )
            }
            On::Key => arn("kms", region, "key/*"),
            On::LogGroup => {
                let group = names::log_group(cluster);
                arn("logs", region, &format!("log-group:{group}"))
            }
            On::Anchor => {
                let name = &environment.name;
                arn(
                    "ssm",
                    region,
                    &format!("parameter/pipectl/environments/{name}"),
                )
            }
            On::Anchors => arn("ssm", region, "parameter/pipectl/environments"),
        };
        Deed {
            action: self.action.to_owned(),
            resource,
        }
    }
}

/// Refuses to begin what the caller may not end, before anything is made. That nobody could be asked, or that something hangs
/// on what cannot be judged beforehand, is a passing remark.
///
/// # Errors
/// `ACC012` with every permission that is missing, all in one error.
pub(super) async fn check(
    cx: &StepContext,
    loaded: &Loaded,
    caller: &Caller,
) -> Result<(), StepError> {
    let cluster = names::cluster(loaded, &cx.environment);
    let needed = TABLE.iter().filter(|one| needed(one, loaded));
    let deeds: Vec<Deed> = needed
        .map(|one| one.deed(caller, &cx.environment, &cluster))
        .collect();
    let told = cloud(cx)?.account.allowances(caller, &deeds).await;
    let told = told.map_err(|error| error.during("ask for", "the caller's permissions"))?;
    let answers = match told {
        Allowances::Told(answers) => answers,
        Allowances::NotTold(why) => {
            cx.progress(format!("permissions are not looked at: {why}"));
            return Ok(());
        }
    };
    let those = |wanted: Allowance| {
        let both = deeds.iter().zip(&answers);
        both.filter(move |(_, answer)| **answer == wanted)
            .map(|(deed, _)| deed)
    };
    let missing: Vec<&Deed> = those(Allowance::Missing).collect();
    if !missing.is_empty() {
        return Err(refusal(cx, caller, &missing));
    }
    let unclear: Vec<&str> = those(Allowance::Unclear)
        .map(|deed| deed.action.as_str())
        .collect();
    if !unclear.is_empty() {
        let unclear = unclear.join(", ");
        cx.progress(format!(
            "perhaps not allowed, by a condition or the organization: {unclear}"
        ));
    }
    Ok(())
}

fn refusal(cx: &StepContext, caller: &Caller, missing: &[&Deed]) -> StepError {
    let names: Vec<&str> = missing.iter().map(|deed| deed.action.as_str()).collect();
    let evidence = missing.iter().map(|deed| match &deed.resource {
        Some(resource) => format!("{} on {resource}", deed.action),
        None => deed.action.clone(),
    });
    StepError::new(
        "ACC012",
        "make",
        format!("environment {}", cx.environment.name),
        format!("{} may not {}", caller.principal, names.join(", ")),
    )
    .with_evidence(evidence.collect())
    .with_hint(
        "nothing was changed: have these allowed; docs/reference/aws-permissions.json is a policy with all that pipectl needs",
    )
}
