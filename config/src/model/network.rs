//! The VPC around the cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The VPC around the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// The VPC's address range, /16 to /24, since each zone gets a public and a private subnet of it.
    pub cidr: String,
    /// How many availability zones get subnets; ignored when `zones` names them. EKS needs at least 2.
    #[schemars(range(min = 2, max = 6))]
    pub zone_count: u8,
    /// The availability zones by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("uniqueItems" = true))]
    pub zones: Vec<String>,
    /// How private subnets reach the internet.
    pub nat: NatMode,
    /// What the VPC is to be connected with later: ids of VPCs in the same account and region, or address ranges of others. pipectl
    /// makes no connection; it refuses a `cidr` that has addresses in common with one of them, since AWS would refuse the peering.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// A VPC that exists already; it is used and never changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_vpc: Option<ExistingVpc>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            cidr: "10.0.0.0/16".to_owned(),
            zone_count: 3,
            zones: Vec::new(),
            nat: NatMode::Single,
            peers: Vec::new(),
            existing_vpc: None,
        }
    }
}

/// How private subnets reach the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NatMode {
    /// Not at all.
    None,
    /// Through one NAT gateway: cheaper, and gone with its zone.
    #[default]
    Single,
    /// Through one NAT gateway in each zone.
    PerZone,
}

/// A VPC that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExistingVpc {
    /// The VPC's id, such as `vpc-0a1b2c3d4e5f60718`.
    pub id: String,
    /// Ids of the private subnets, in at least two zones.
    #[schemars(extend("uniqueItems" = true))]
    pub private_subnets: Vec<String>,
    /// Ids of the public subnets; needed for public load balancers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("uniqueItems" = true))]
    pub public_subnets: Vec<String>,
}
