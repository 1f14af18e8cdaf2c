//! The keys of the stage's steps. Zones count from 0 here and from 1 in keys.

use super::STAGE;
use crate::step::StepId;

/// The VPC, made or brought.
#[must_use]
pub fn vpc() -> StepId {
    StepId::new(STAGE, "vpc")
}

/// The internet gateway.
#[must_use]
pub fn internet_gateway() -> StepId {
    StepId::new(STAGE, "internet-gateway")
}

/// The private subnet of a zone.
#[must_use]
pub fn private_subnet(zone: usize) -> StepId {
    numbered("private-subnet", zone)
}

/// The public subnet of a zone.
#[must_use]
pub fn public_subnet(zone: usize) -> StepId {
    numbered("public-subnet", zone)
}

/// The address of a zone's NAT gateway.
#[must_use]
pub fn nat_address(zone: usize) -> StepId {
    numbered("nat-address", zone)
}

/// The NAT gateway of a zone.
#[must_use]
pub fn nat_gateway(zone: usize) -> StepId {
    numbered("nat-gateway", zone)
}

/// The route table of all public subnets.
#[must_use]
pub fn public_routes() -> StepId {
    StepId::new(STAGE, "public-routes")
}

/// The route table of a zone's private subnet.
#[must_use]
pub fn private_routes(zone: usize) -> StepId {
    numbered("private-routes", zone)
}

/// The gateway endpoint for S3.
#[must_use]
pub fn s3_endpoint() -> StepId {
    StepId::new(STAGE, "s3-endpoint")
}

/// The control plane's further security group.
#[must_use]
pub fn control_plane_group() -> StepId {
    StepId::new(STAGE, "control-plane-group")
}

/// NAT gateways and addresses that the pipeline does not want any more.
#[must_use]
pub fn obsolete() -> StepId {
    StepId::new(STAGE, "obsolete")
}

fn numbered(name: &str, zone: usize) -> StepId {
    StepId::new(STAGE, &format!("{name}-{}", zone + 1))
}
