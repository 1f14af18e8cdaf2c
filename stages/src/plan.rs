//! The two graphs as tables: what `up` does and what `down` does.
//!
//! Rows stand in an order that never names a need before its step, so a cycle cannot be written; what runs when follows
//! from the needs alone.

use std::{collections::BTreeSet, sync::Arc};

use pipectl_config::Loaded;

use crate::{
    environment, kafka, namespaces, spark_application, spark_operator,
    step::{Need, Step, StepId},
    strimzi, verification, workloads,
};

/// The stages in install order, as a person thinks of them. `network` and `cluster` have steps where pipectl makes
/// these itself.
pub const STAGES: &[&str] = &[
    environment::STAGE,
    "network",
    "cluster",
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

/// The steps that make a pipeline, with options.
#[must_use]
pub fn up_with(loaded: &Loaded, options: UpOptions) -> Vec<Arc<dyn Step>> {
    let loaded = &Arc::new(loaded.clone());
    let mut steps = Vec::new();
    steps.extend(environment::steps());
    steps.extend(namespaces::steps(loaded));
    steps.extend(strimzi::steps(loaded));
    steps.extend(kafka::steps(loaded));
    steps.extend(spark_operator::steps(loaded));
    steps.extend(workloads::steps(loaded));
    steps.extend(spark_application::steps(loaded));

    let everything: Vec<Need> = steps
        .iter()
        .map(|step| Need::ready(step.id().clone()))
        .collect();
    let mut known: BTreeSet<StepId> = steps.iter().map(|step| step.id().clone()).collect();
    known.insert(verification::checks());
    steps.push(environment::obsolete::step(
        known,
        vec![environment::settled()],
    ));
    if loaded.pipeline.spec.verification.enabled {
        steps.push(verification::step(loaded, everything, options.verify));
    }
    steps
}
