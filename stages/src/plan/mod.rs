//! The two graphs as tables: what `up` does and what `down` does.
//!
//! Rows stand in an order that never names a need before its step, so a cycle cannot be written; what runs when follows
//! from the needs alone.

use std::{sync::Arc, time::Duration};

use pipectl_config::Loaded;
use serde_json::Value;

use crate::{
    account, addons,
    blocks::after::After,
    cloud::CloudOptions,
    cluster, environment,
    inventory::Inventory,
    kafka, namespaces, network, nodes, operators,
    ports::objects::Kind,
    removal::Removal,
    spark_application, spark_operator,
    step::{Need, Step, StepId},
    strimzi, verification, workloads,
    workloads::manifests::Manifests,
};

mod on_aws;

pub use on_aws::{CloudDownOptions, DOWN_STAGES_ON_AWS, down_on_aws};

/// The stages in install order, as a person thinks of them. The first ones have steps where pipectl makes the cluster
/// itself.
pub const STAGES: &[&str] = &[
    account::STAGE,
    network::STAGE,
    cluster::STAGE,
    addons::STAGE,
    nodes::STAGE,
    environment::STAGE,
    strimzi::STAGE,
    kafka::STAGE,
    spark_operator::STAGE,
    namespaces::STAGE,
    workloads::STAGE,
    spark_application::STAGE,
    verification::STAGE,
];

/// What `up` is asked for besides the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// Run the probes that write (produce and consume a message) although nothing changed.
    pub verify: bool,
}

/// The steps that make a pipeline.
#[must_use]
pub fn up(loaded: &Loaded) -> Vec<Arc<dyn Step>> {
    up_with(loaded, UpOptions::default())
}

/// The steps that make a pipeline, with options, in a cluster that is there already.
#[must_use]
pub fn up_with(loaded: &Loaded, options: UpOptions) -> Vec<Arc<dyn Step>> {
    let loaded = &Arc::new(loaded.clone());
    platform(loaded, options, environment::steps(), &Nodes::default())
}

/// The steps that make a pipeline on AWS: its network, its EKS cluster, and the platform in it.
#[must_use]
pub fn up_on_aws(loaded: &Loaded, options: UpOptions, cloud: &CloudOptions) -> Vec<Arc<dyn Step>> {
    let loaded = &Arc::new(loaded.clone());
    // What is applied as soon as the API server answers waits for nodes that boot.
    let booting = loaded.pipeline.spec.timeouts.node_groups.duration();
    let nodes = Nodes {
        booting: cloud.pace.bound(booting),
        groups: nodes::groups(loaded),
    };
    let before = on_aws::before_platform(loaded, cloud);
    platform(loaded, options, before, &nodes)
}

/// The nodes that a cluster gets while the platform is applied already.
#[derive(Default)]
struct Nodes {
    /// How long they may take to boot.
    booting: Duration,
    /// The steps that make them.
    groups: Vec<StepId>,
}

impl Nodes {
    /// What has pods waits longer, and not at all where no node will ever come.
    fn carry(&self, steps: Vec<Arc<dyn Step>>) -> Vec<Arc<dyn Step>> {
        if self.groups.is_empty() {
            return steps;
        }
        let bare = [strimzi::crds(), spark_operator::crds()];
        let carried = steps.into_iter().map(|step| {
            if bare.contains(step.id()) {
                return step;
            }
            let step = After::longer(step, self.booting);
            After::standing_on(step, &self.groups)
        });
        carried.collect()
    }
}

/// The platform's steps after those that come before it.
fn platform(
    loaded: &Arc<Loaded>,
    options: UpOptions,
    before: Vec<Arc<dyn Step>>,
    nodes: &Nodes,
) -> Vec<Arc<dyn Step>> {
    let mut steps = before;
    steps.extend(namespaces::steps(loaded));
    let mut with_pods = strimzi::steps(loaded);
    with_pods.extend(kafka::steps(loaded));
    with_pods.extend(spark_operator::steps(loaded));
    with_pods.extend(workloads::steps(loaded));
    with_pods.extend(spark_application::steps(loaded));
    steps.extend(nodes.carry(with_pods));

    let everything: Vec<Need> = steps
        .iter()
        .map(|step| Need::ready(step.id().clone()))
        .collect();
    steps.push(environment::obsolete::step(steps.clone()));
    if loaded.pipeline.spec.verification.enabled {
        steps.push(verification::step(loaded, everything, options.verify));
    }
    steps
}

/// The stages of the down graph, in the order of removal.
pub const DOWN_STAGES: &[&str] = &[
    kafka::STAGE,
    spark_application::STAGE,
    workloads::STAGE,
    operators::STAGE,
    namespaces::STAGE,
    environment::STAGE,
];

/// What `down` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownOptions {
    /// Leave claims, and the namespaces that hold them.
    pub keep_data: bool,
    /// The inventory as it was before, taken by [`crate::inventory::take`]: the proof of absence counts against it.
    pub before: Inventory,
}

/// The removals of an environment. They work from labels alone: no pipeline file and no record is needed.
#[must_use]
pub fn down(options: &DownOptions) -> Vec<Arc<dyn Removal>> {
    let mut removals = Vec::new();
    removals.extend(kafka::removal::removals(options.keep_data));
    removals.extend(spark_application::removal::removals());
    removals.extend(workloads::removal::removals());
    removals.extend(operators::removal::removals());
    removals.extend(namespaces::removal::removals(options.keep_data));
    let everything = removals
        .iter()
        .map(|removal: &Arc<dyn Removal>| Need::ready(removal.id().clone()))
        .collect();
    removals.extend(environment::removal::removals(
        options.before.clone(),
        options.keep_data,
        everything,
    ));
    removals
}

/// Everything that pipectl itself renders for a pipeline, without ownership marks, without charts and without Secrets
/// from references: pure, so that tests can hold it against any API server. `strimzi` is the version of Strimzi's API
/// to render for; `scopes` answers whether a kind is namespaced, where it is known.
#[must_use]
pub fn rendered_objects(
    loaded: &Loaded,
    strimzi: &str,
    scopes: &dyn Fn(&Kind) -> Option<bool>,
) -> Vec<Value> {
    let loaded = &Arc::new(loaded.clone());
    let spec = &loaded.pipeline.spec;
    let mut objects: Vec<Value> = spec.namespaces.iter().map(namespaces::render).collect();
    if let Some(kafka) = &spec.kafka {
        objects.extend(kafka::render::node_pools(kafka, strimzi));
        objects.push(kafka::render::cluster(
            kafka,
            spec.strimzi.as_ref(),
            strimzi,
        ));
        objects.extend(kafka::render::topics(kafka, strimzi));
        let zookeeper = Manifests::new(loaded, &kafka.namespace, loaded.zookeeper_objects());
        objects.extend(zookeeper.render(scopes));
    }
    for workload in spec.workloads.iter().filter(|workload| workload.enabled) {
        let given = loaded.workload_objects(&workload.name);
        objects.extend(Manifests::new(loaded, &workload.namespace, given).render(scopes));
    }
    objects.extend(spark_application::rendered(loaded, scopes));
    objects
}

#[cfg(test)]
mod tests;
