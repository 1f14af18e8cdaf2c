//! Names and ports that are used twice.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    yaml::{Path, Span, at},
};
use std::collections::HashMap;

/// Finds repetitions and remembers where each thing was first.
struct Seen {
    first: HashMap<String, Span>,
    findings: Vec<(Span, Diagnostic)>,
}

impl Seen {
    fn new() -> Self {
        Self {
            first: HashMap::new(),
            findings: Vec::new(),
        }
    }

    /// Takes in something that must not come twice; `what` names it in full.
    fn add(&mut self, what: String, span: Span, file: &str) {
        match self.first.get(&what) {
            Some(first) => {
                let help = if first.text == span.text {
                    format!("the first is on line {}", first.line)
                } else {
                    format!("the first is on line {} of {file}", first.line)
                };
                self.findings.push((
                    span,
                    Diagnostic::error(codes::DUPLICATE, format!("{what} is declared twice"))
                        .help(help),
                ));
            }
            None => {
                self.first.insert(what, span);
            }
        }
    }
}

pub(super) fn check(context: &mut Context<'_>) {
    let mut seen = Seen::new();
    for (what, path) in declared(context) {
        seen.add(what, context.tree.span_at(&path), "");
    }
    for (namespace, object) in context.owned_objects() {
        let group = object.text(&["apiVersion"]).unwrap_or_default();
        let group = group.rsplit_once('/').map_or("", |(group, _)| group);
        let namespace = object.namespace().unwrap_or(namespace);
        let slash = if group.is_empty() { "" } else { "/" };
        let what = format!(
            "{group}{slash}{} {} in namespace {namespace}",
            object.kind(),
            object.name()
        );
        let first_file = seen
            .first
            .get(&what)
            .map(|span| context.report.text_name(span.text).to_owned())
            .unwrap_or_default();
        seen.add(what, object.span, &first_file);
    }
    for (span, diagnostic) in seen.findings {
        context.at_span(span, diagnostic);
    }
}

/// Everything in the pipeline file that must not come twice, with its place.
fn declared(context: &Context<'_>) -> Vec<(String, Path)> {
    let spec = &context.pipeline.spec;
    let mut list: Vec<(String, Path)> = Vec::new();
    if let Some(kafka) = &spec.kafka {
        let base = at!["spec", "kafka"];
        for (index, pool) in kafka.node_pools.iter().enumerate() {
            list.push((
                format!("node pool {}", pool.name),
                base.key("nodePools").index(index).key("name"),
            ));
        }
        for (index, listener) in kafka.listeners.iter().enumerate() {
            let path = base.key("listeners").index(index);
            list.push((format!("listener {}", listener.name), path.key("name")));
            list.push((format!("listener port {}", listener.port), path.key("port")));
        }
        for (index, topic) in kafka.topics.iter().enumerate() {
            list.push((
                format!("topic {}", topic.name),
                base.key("topics").index(index).key("name"),
            ));
        }
    }
    for (index, namespace) in spec.namespaces.iter().enumerate() {
        list.push((
            format!("namespace {}", namespace.name),
            at!["spec", "namespaces", index, "name"],
        ));
    }
    for (index, group) in spec.node_groups.iter().enumerate() {
        list.push((
            format!("node group {}", group.name),
            at!["spec", "nodeGroups", index, "name"],
        ));
    }
    for (index, addon) in spec.addons.iter().enumerate() {
        list.push((
            format!("add-on {}", addon.name.as_str()),
            at!["spec", "addons", index, "name"],
        ));
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        list.push((
            format!("Secret {} in namespace {}", secret.name, secret.namespace),
            at!["spec", "secrets", index, "name"],
        ));
    }
    for (index, app) in spec.spark_applications.iter().enumerate() {
        let base = at!["spec", "sparkApplications", index];
        list.push((
            format!(
                "Spark application {} in namespace {}",
                app.name, app.namespace
            ),
            base.key("name"),
        ));
        if let Some(code) = &app.code {
            list.push((
                format!(
                    "ConfigMap {} in namespace {}",
                    code.config_map, app.namespace
                ),
                base.key("code").key("configMap"),
            ));
            for (position, file) in code.files.iter().enumerate() {
                let key = crate::model::CodeConfigMap::key(file);
                list.push((
                    format!("key {key} of ConfigMap {}", code.config_map),
                    base.key("code").key("files").index(position),
                ));
            }
        }
    }
    for (index, extra) in spec.verification.extra.iter().enumerate() {
        list.push((
            format!("check {}", extra.name),
            at!["spec", "verification", "extra", index, "name"],
        ));
    }
    let release =
        |name: &str, namespace: &str| format!("Helm release {name} in namespace {namespace}");
    if let Some(strimzi) = &spec.strimzi {
        list.push((
            release(&strimzi.release_name, &strimzi.namespace),
            at!["spec", "strimzi", "releaseName"],
        ));
    }
    if let Some(operator) = &spec.spark_operator {
        list.push((
            release(&operator.release_name, &operator.namespace),
            at!["spec", "sparkOperator", "releaseName"],
        ));
    }
    for (index, workload) in spec.workloads.iter().enumerate() {
        let base = at!["spec", "workloads", index];
        list.push((format!("workload {}", workload.name), base.key("name")));
        for (position, chart) in workload.charts.iter().enumerate() {
            list.push((
                release(&chart.name, &workload.namespace),
                base.key("charts").index(position).key("name"),
            ));
        }
    }
    list
}
