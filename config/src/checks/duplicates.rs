//! Names and ports that are used twice.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    report::Report,
    yaml::{Path, Span, at},
};
use std::collections::HashMap;

/// Kinds of objects that belong to no namespace. Only for words and comparisons; what is namespaced, discovery says.
const CLUSTER_KINDS: [&str; 9] = [
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "StorageClass",
    "PersistentVolume",
    "PriorityClass",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Finds repetitions and remembers where each thing was first; `None` for what pipectl fills in itself.
struct Seen {
    first: HashMap<String, Option<Span>>,
    findings: Vec<(Span, Diagnostic)>,
}

impl Seen {
    /// Takes in something that must not come twice; `what` names it in full.
    fn add(&mut self, what: String, span: Option<Span>, report: &Report) {
        let Some(first) = self.first.get(&what) else {
            self.first.insert(what, span);
            return;
        };
        let Some(place) = span.or(*first) else { return };
        let help = match first {
            None => "pipectl itself uses the name".to_owned(),
            Some(first) if first.text == place.text => {
                format!("the first is on line {}", first.line)
            }
            Some(first) => format!(
                "the first is on line {} of {}",
                first.line,
                report.text_name(first.text)
            ),
        };
        let diagnostic = Diagnostic::error(codes::DUPLICATE, format!("{what} is declared twice"));
        self.findings.push((place, diagnostic.help(help)));
    }
}

pub(super) fn check(context: &mut Context<'_>) {
    let mut objects = Vec::new();
    for (namespace, object) in context.owned_objects() {
        let group = object.text(&["apiVersion"]).unwrap_or_default();
        let group = group
            .rsplit_once('/')
            .map_or(String::new(), |(group, _)| format!("{group}/"));
        let place = if CLUSTER_KINDS.contains(&object.kind()) {
            String::new()
        } else {
            format!(" in namespace {}", object.namespace().unwrap_or(namespace))
        };
        let what = format!("{group}{} {}{place}", object.kind(), object.name());
        objects.push((what, object.span));
    }
    let declared = declared(context);
    report(context, declared, objects);
}

/// Reports what comes twice among things of the pipeline file and objects of manifests.
fn report(context: &mut Context<'_>, declared: Vec<(String, Path)>, objects: Vec<(String, Span)>) {
    let mut seen = Seen {
        first: HashMap::new(),
        findings: Vec::new(),
    };
    for (what, path) in declared {
        let span = context.is_set(&path).then(|| context.tree.span_at(&path));
        seen.add(what, span, context.report);
    }
    for (what, span) in objects {
        seen.add(what, Some(span), context.report);
    }
    for (span, diagnostic) in seen.findings {
        context.at_span(span, diagnostic);
    }
}

/// Zones and subnets that are named twice: EKS would have fewer places than it seems, and a subnet is private or public.
pub(super) fn places(context: &mut Context<'_>) {
    let network = &context.pipeline.spec.network;
    let base = at!["spec", "network"];
    let mut list: Vec<(String, Path)> = Vec::new();
    let zones = base.key("zones");
    for (index, zone) in network.zones.iter().enumerate() {
        if !zone.is_empty() {
            list.push((format!("zone {zone}"), zones.index(index)));
        }
    }
    if let Some(vpc) = &network.existing_vpc {
        let base = base.key("existingVpc");
        for (field, subnets) in [
            ("privateSubnets", &vpc.private_subnets),
            ("publicSubnets", &vpc.public_subnets),
        ] {
            for (index, subnet) in subnets.iter().enumerate() {
                list.push((format!("subnet {subnet}"), base.key(field).index(index)));
            }
        }
    }
    report(context, list, Vec::new());
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
        for (position, taint) in group.taints.iter().enumerate() {
            list.push((
                format!(
                    "taint {}:{:?} of node group {}",
                    taint.key, taint.effect, group.name
                ),
                at!["spec", "nodeGroups", index, "taints", position, "key"],
            ));
        }
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
