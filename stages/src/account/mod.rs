//! The AWS account: looked at before the first effect, and told first and last that the environment is there.

mod anchor;
pub mod inventory;
mod limits;
mod peers;
pub mod permissions;
mod preflight;
pub mod removal;
mod secrets;

use std::sync::Arc;

use pipectl_config::{EksProvider, Loaded, Provider};

use crate::{
    blocks::Row,
    cloud::{CloudOptions, CloudStep},
    step::{Need, Step, StepId},
};

/// The stage's name.
pub const STAGE: &str = "account";

/// The look at the account before the first effect. Its outputs say `account`, `region`, `partition`, `principal` and
/// `zones`.
#[must_use]
pub fn preflight() -> StepId {
    StepId::new(STAGE, "preflight")
}

/// The look for the values of secrets before the first effect; there only where the pipeline refers to any.
#[must_use]
pub fn secrets() -> StepId {
    StepId::new(STAGE, "secrets")
}

/// The environment's record in the account.
#[must_use]
pub fn anchor() -> StepId {
    StepId::new(STAGE, "anchor")
}

/// The AWS section of a pipeline, where it has one.
#[must_use]
pub fn provider(loaded: &Loaded) -> Option<&EksProvider> {
    match &loaded.pipeline.spec.provider {
        Provider::Eks(eks) => Some(eks),
        Provider::Sandbox | Provider::Existing(_) => None,
    }
}

/// The steps of the stage.
#[must_use]
pub fn steps(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let bound = options
        .pace
        .bound(loaded.pipeline.spec.timeouts.network.duration());
    let preflight_row = Row::new(STAGE, "preflight", "account, permissions, quotas and zones")
        .ready_within(bound, 1);
    let secrets_row = Row::new(STAGE, "secrets", "values of secrets")
        .needs([Need::ready(preflight())])
        .ready_within(bound, 1);
    let asked = secrets::Secrets::step(secrets_row, loaded);
    let looks = [preflight()]
        .into_iter()
        .chain(asked.iter().map(|step| step.id().clone()));
    let anchor_row = Row::new(STAGE, "anchor", "record in the account")
        .needs(looks.map(Need::ready))
        .ready_within(bound, 1);
    let anchor = anchor::AnchorResource {
        loaded: loaded.clone(),
        state_url: options.state_url.clone(),
    };
    let mut steps = vec![preflight::Preflight::step(
        preflight_row,
        loaded,
        options.pace,
    )];
    steps.extend(asked);
    steps.push(CloudStep::step(anchor_row, options.pace.poll(2), anchor));
    steps
}
