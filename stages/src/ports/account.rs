//! Who is asking, and what the account allows: looked at before the first effect.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::families::Families;
use crate::error::PortError;

/// Who the credentials in use belong to (STS `GetCallerIdentity`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The account, 12 digits.
    pub account: String,
    /// The ARN as STS says it; for a role it names a session.
    pub arn: String,
    /// The ARN of the IAM user or role behind it, with its path, as an access entry of a cluster wants it. For the
    /// root user it is `arn:PARTITION:iam::ACCOUNT:root`.
    pub principal: String,
    /// The partition, e.g. `aws`.
    pub partition: String,
    /// The region that every call goes to.
    pub region: String,
    /// When the credentials end; `None` when they don't, or when they renew themselves.
    pub expires: Option<Timestamp>,
}

/// A limit of the account that an environment comes up against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// VPCs in the region (L-F678F1CE).
    Vpcs,
    /// Internet gateways in the region (L-A4707A72).
    InternetGateways,
    /// Elastic IP addresses in the region (L-0263D0A3).
    Addresses,
    /// NAT gateways in a zone (L-FE5A380F); `used` counts the fullest zone.
    NatGatewaysPerZone,
    /// EKS clusters in the region (L-1194D53C).
    Clusters,
    /// vCPUs of running on-demand instances of these families (standard ones: L-1216C47A).
    OnDemandCpus(Families),
    /// vCPUs of spot instances of these families (standard ones: L-34B43A08).
    SpotCpus(Families),
}

impl Quota {
    /// The quota's code in Service Quotas, which a person needs to have it raised (`aws service-quotas
    /// list-service-quotas`).
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Vpcs => "L-F678F1CE",
            Self::InternetGateways => "L-A4707A72",
            Self::Addresses => "L-0263D0A3",
            Self::NatGatewaysPerZone => "L-FE5A380F",
            Self::Clusters => "L-1194D53C",
            Self::OnDemandCpus(families) => families.on_demand(),
            Self::SpotCpus(families) => families.spot(),
        }
    }

    /// The service's code in Service Quotas.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Vpcs | Self::InternetGateways | Self::NatGatewaysPerZone => "vpc",
            Self::Addresses | Self::OnDemandCpus(_) | Self::SpotCpus(_) => "ec2",
            Self::Clusters => "eks",
        }
    }

    /// What is counted, in the plural.
    #[must_use]
    pub fn what(self) -> String {
        let what = match self {
            Self::Vpcs => "VPCs",
            Self::InternetGateways => "internet gateways",
            Self::Addresses => "Elastic IP addresses",
            Self::NatGatewaysPerZone => "NAT gateways in one zone",
            Self::Clusters => "EKS clusters",
            Self::OnDemandCpus(families) => {
                return format!("vCPUs of on-demand instances ({})", families.words());
            }
            Self::SpotCpus(families) => {
                return format!("vCPUs of spot instances ({})", families.words());
            }
        };
        what.to_owned()
    }
}

/// How much of a quota is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUse {
    /// Which.
    pub quota: Quota,
    /// The limit in force.
    pub limit: u32,
    /// How much of it is in use by anybody.
    pub used: u32,
}

/// An availability zone of the region (local and wavelength zones are left out: EKS control planes don't go there).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Zone {
    /// Name in this account, e.g. `us-west-2a`.
    pub name: String,
    /// Id that is the same in every account, e.g. `usw2-az1`.
    pub id: String,
    /// Whether it takes new resources.
    pub available: bool,
}

/// An instance type as the region offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    /// e.g. `m6i.large`.
    pub name: String,
    /// Architectures as Kubernetes names them: `amd64`, `arm64`.
    pub architectures: Vec<String>,
    /// vCPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Names of the zones that offer it.
    pub zones: Vec<String>,
}

/// Something that is to be done, as IAM's policies name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deed {
    /// The action, e.g. `iam:CreateRole`.
    pub action: String,
    /// ARN of what it is done to, or of all of that kind (`.../vpc/*`). A policy may allow it there and nowhere else; `None`:
    /// the action knows no resources.
    pub resource: Option<String>,
}

/// What the account says of a deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// It is allowed.
    Allowed,
    /// The caller's policies or permissions boundary do not allow it.
    Missing,
    /// It seems not to be allowed, by something that cannot be judged beforehand: a condition on what only the real request
    /// says, or a policy of the organization's.
    Unclear,
}

/// What came of asking what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowances {
    /// An answer for each deed, in their order.
    Told(Vec<Allowance>),
    /// Nobody answers: this sort of caller has no policies to be asked about, or may not ask. Why, in words.
    NotTold(String),
}

/// The account behind the credentials.
#[async_trait]
pub trait AccountApi: Send + Sync {
    /// Who is asking. Errors are [`PortErrorKind::Unauthorized`](crate::error::PortErrorKind) without credentials, or
    /// with expired ones.
    async fn caller(&self) -> Result<Caller, PortError>;

    /// These quotas with what is in use of them; one that the service does not know is left out.
    async fn quotas(&self, which: &[Quota]) -> Result<Vec<QuotaUse>, PortError>;

    /// The region's availability zones, by name.
    async fn zones(&self) -> Result<Vec<Zone>, PortError>;

    /// Those of these instance types that the region has; one it has not is left out.
    async fn instance_types(&self, names: &[String]) -> Result<Vec<InstanceType>, PortError>;

    /// What the caller may do, without doing it. Who may not ask hears [`Allowances::NotTold`]; errors are those of a
    /// connection that does not work.
    async fn allowances(&self, caller: &Caller, deeds: &[Deed]) -> Result<Allowances, PortError>;
}
