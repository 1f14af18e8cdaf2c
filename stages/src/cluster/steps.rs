//! The keys of the stage's steps.

use super::STAGE;
use crate::step::StepId;

/// The control plane's role.
#[must_use]
pub fn role() -> StepId {
    StepId::new(STAGE, "role")
}

/// The key that encrypts Secrets.
#[must_use]
pub fn key() -> StepId {
    StepId::new(STAGE, "key")
}

/// The log group of the control plane.
#[must_use]
pub fn log_group() -> StepId {
    StepId::new(STAGE, "log-group")
}

/// The control plane.
#[must_use]
pub fn control_plane() -> StepId {
    StepId::new(STAGE, "control-plane")
}

/// The caller's access entry.
#[must_use]
pub fn access() -> StepId {
    StepId::new(STAGE, "access")
}

/// The way in: from here on the Kubernetes ports lead somewhere.
#[must_use]
pub fn entrance() -> StepId {
    StepId::new(STAGE, "entrance")
}

/// The OIDC provider.
#[must_use]
pub fn oidc_provider() -> StepId {
    StepId::new(STAGE, "oidc-provider")
}
