//! The two graphs of an environment on AWS: its network, cluster and nodes before the platform, and a way down that lets
//! nothing inside the cluster go one by one.

use std::sync::Arc;

use pipectl_config::{AddonName, Loaded};

use crate::{
    account, addons,
    blocks::after::After,
    cloud::{CloudOptions, Pace},
    cluster, environment,
    inventory::Inventory,
    network, nodes,
    removal::Removal,
    step::{Need, Step},
};

/// The stages of the down graph on AWS, in the order of removal.
pub const DOWN_STAGES_ON_AWS: &[&str] =
    &[nodes::STAGE, cluster::STAGE, network::STAGE, account::STAGE];

/// The steps that come before the platform's own, the environment's identity in the cluster among them.
pub(super) fn before_platform(loaded: &Arc<Loaded>, options: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let mut steps = account::steps(loaded, options);
    steps.extend(network::steps(loaded, options));
    steps.extend(cluster::steps(loaded, options));
    let groups = nodes::groups(loaded);
    let on_nodes = [
        AddonName::Coredns,
        AddonName::AwsEbsCsiDriver,
        AddonName::MetricsServer,
    ]
    .map(addons::addon);
    let addons = addons::steps(loaded, options).into_iter();
    steps.extend(addons.map(|step| match on_nodes.contains(step.id()) {
        true => After::standing_on(step, &groups),
        false => step,
    }));
    steps.extend(nodes::steps(loaded, options));
    steps.extend(network::steps_after_nodes(loaded, options));
    // Everything inside the cluster waits for the environment's identity there, and that for the way in.
    let entered = || vec![Need::ready(cluster::steps::entrance())];
    let inside = environment::steps().into_iter();
    steps.extend(inside.map(|step| After::step(step, entered())));
    steps.extend(addons::steps_inside(loaded));
    steps
}

/// What `down` is asked for on AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudDownOptions {
    /// How fast the account's time runs.
    pub pace: Pace,
    /// Leave the volumes of claims.
    pub keep_data: bool,
    /// The inventory as it was before, taken by [`crate::account::inventory::look_around`].
    pub before: Inventory,
}

/// The removals of an environment on AWS. They work from tags, paths and names alone: no pipeline file and no record is
/// needed.
#[must_use]
pub fn down_on_aws(options: &CloudDownOptions) -> Vec<Arc<dyn Removal>> {
    let pace = options.pace;
    let mut removals = cluster::removal::before_nodes(pace);
    removals.extend(nodes::removal::removals(pace, options.keep_data));
    removals.extend(cluster::removal::after_nodes(pace));
    removals.extend(network::removal::removals(pace));
    let everything = removals
        .iter()
        .map(|removal| Need::ready(removal.id().clone()))
        .collect();
    removals.extend(account::removal::removals(
        pace,
        options.keep_data,
        options.before.clone(),
        everything,
    ));
    removals
}
