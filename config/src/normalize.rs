//! Fills in what a pipeline file leaves out where that depends on other parts of it.
//!
//! Filling in twice changes nothing, so that a complete pipeline that is written out and read again is the same pipeline.

use crate::{
    compat::strimzi_release,
    model::{
        Addon, CreatedBy, Namespace, NodeGroup, Pipeline, PipelineSpec, Provider, Scalar,
        SparkOperator, Strimzi, is_system_namespace,
    },
    yaml::{Node, at},
};
use std::collections::BTreeSet;

/// Completes a pipeline; `tree` tells what the file itself sets.
pub(crate) fn complete(pipeline: &mut Pipeline, tree: &Node) {
    let spec = &mut pipeline.spec;
    if spec.kafka.is_some() && spec.strimzi.is_none() {
        spec.strimzi = Some(Strimzi::default());
    }
    if !spec.spark_applications.is_empty() && spec.spark_operator.is_none() {
        spec.spark_operator = Some(SparkOperator::default());
    }
    // A Strimzi of another age brings its own default Kafka.
    if let (Some(kafka), Some(strimzi), None) = (
        &mut spec.kafka,
        &spec.strimzi,
        tree.find(&at!["spec", "kafka", "version"]),
    ) && let Some(release) = strimzi_release(&strimzi.version)
    {
        kafka.version = release.default_kafka.clone();
    }
    if tree.find(&at!["spec", "nodeGroups"]).is_none()
        && !matches!(spec.provider, Provider::Existing(_))
    {
        spec.node_groups = vec![NodeGroup::standard()];
    }
    if tree.find(&at!["spec", "addons"]).is_none() && matches!(spec.provider, Provider::Eks(_)) {
        spec.addons = Addon::standard();
    }
    watched_namespaces(spec);
    spark_defaults(spec);
    namespaces(spec);
}

fn watched_namespaces(spec: &mut PipelineSpec) {
    if let Some(strimzi) = &mut spec.strimzi
        && strimzi.watch_namespaces.is_none()
    {
        let kafka = spec.kafka.iter().map(|kafka| kafka.namespace.clone());
        strimzi.watch_namespaces = Some(kafka.filter(|name| *name != strimzi.namespace).collect());
    }
    if let Some(operator) = &mut spec.spark_operator
        && operator.job_namespaces.is_none()
    {
        let names: BTreeSet<String> = spec
            .spark_applications
            .iter()
            .map(|app| app.namespace.clone())
            .collect();
        operator.job_namespaces = Some(names.into_iter().collect());
    }
}

/// Both pod template settings are empty unless set: Spark would otherwise look for a template file that the operator never mounts,
/// and the driver would fail before it starts.
fn spark_defaults(spec: &mut PipelineSpec) {
    for app in &mut spec.spark_applications {
        for setting in crate::model::POD_TEMPLATE_SETTINGS {
            app.spark_conf
                .entry(setting.to_owned())
                .or_insert_with(|| Scalar::from(""));
        }
        app.main_application_file = app.main_file();
    }
}

/// Lists the namespaces of the components, which need no declaration, and those of Kubernetes itself that something uses.
fn namespaces(spec: &mut PipelineSpec) {
    let components = [
        spec.strimzi
            .as_ref()
            .map(|strimzi| strimzi.namespace.clone()),
        spec.kafka.as_ref().map(|kafka| kafka.namespace.clone()),
        spec.spark_operator
            .as_ref()
            .map(|operator| operator.namespace.clone()),
    ];
    let users = spec.workloads.iter().map(|workload| &workload.namespace);
    let users = users.chain(spec.spark_applications.iter().map(|app| &app.namespace));
    let users = users.chain(spec.secrets.iter().map(|secret| &secret.namespace));
    let system: Vec<String> = users
        .filter(|name| is_system_namespace(name))
        .cloned()
        .collect();
    for name in components.into_iter().flatten().chain(system) {
        if !spec
            .namespaces
            .iter()
            .any(|namespace| namespace.name == name)
        {
            let created_by = if is_system_namespace(&name) {
                CreatedBy::User
            } else {
                CreatedBy::Pipectl
            };
            spec.namespaces.push(Namespace {
                name,
                labels: Default::default(),
                created_by,
            });
        }
    }
}
