//! Namespaces: declared, and not Kubernetes' own.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::{CreatedBy, ExtraCheckKind, is_system_namespace},
    suggest::nearest,
    yaml::{Path, at},
};

pub(super) fn system(context: &mut Context<'_>) {
    for (index, namespace) in context.pipeline.spec.namespaces.iter().enumerate() {
        if is_system_namespace(&namespace.name) && namespace.created_by == CreatedBy::Pipectl {
            let message = format!(
                "namespace {} belongs to Kubernetes and cannot be created or deleted",
                namespace.name
            );
            let diagnostic = Diagnostic::error(codes::SYSTEM_NAMESPACE, message);
            context.at(
                &at!["spec", "namespaces", index, "name"],
                diagnostic.help("add createdBy: user"),
            );
        }
    }
}

pub(super) fn declared(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let mut uses: Vec<(Path, &str)> = Vec::new();
    for (index, workload) in spec.workloads.iter().enumerate() {
        uses.push((
            at!["spec", "workloads", index, "namespace"],
            &workload.namespace,
        ));
    }
    for (index, app) in spec.spark_applications.iter().enumerate() {
        uses.push((
            at!["spec", "sparkApplications", index, "namespace"],
            &app.namespace,
        ));
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        uses.push((
            at!["spec", "secrets", index, "namespace"],
            &secret.namespace,
        ));
    }
    if let Some(operator) = &spec.spark_operator {
        for (index, name) in operator.job_namespaces.iter().flatten().enumerate() {
            uses.push((at!["spec", "sparkOperator", "jobNamespaces", index], name));
        }
    }
    if let Some(strimzi) = &spec.strimzi {
        for (index, name) in strimzi.watch_namespaces.iter().flatten().enumerate() {
            uses.push((at!["spec", "strimzi", "watchNamespaces", index], name));
        }
    }
    for (index, extra) in spec.verification.extra.iter().enumerate() {
        let path = at!["spec", "verification", "extra", index, "check"];
        match &extra.check {
            ExtraCheckKind::ObjectReady(check) => {
                uses.extend(
                    check
                        .namespace
                        .as_deref()
                        .map(|name| (path.key("objectReady").key("namespace"), name)),
                );
            }
            ExtraCheckKind::PodsReady(check) => {
                uses.push((path.key("podsReady").key("namespace"), &check.namespace))
            }
            ExtraCheckKind::Http(check) => {
                uses.push((path.key("http").key("namespace"), &check.namespace))
            }
        }
    }
    // An empty text in jobNamespaces means all namespaces.
    let undeclared = |name: &str| {
        !name.is_empty()
            && !is_system_namespace(name)
            && !spec
                .namespaces
                .iter()
                .any(|namespace| namespace.name == name)
    };
    let finding = |name: &str| {
        let names = spec
            .namespaces
            .iter()
            .map(|namespace| namespace.name.as_str());
        let help = match nearest(name, names) {
            Some(candidate) => format!(
                "did you mean {candidate}? Otherwise add {{name: {name}}} to spec.namespaces"
            ),
            None => format!("add {{name: {name}}} to spec.namespaces"),
        };
        Diagnostic::error(
            codes::UNDECLARED_NAMESPACE,
            format!("namespace {name} is not declared"),
        )
        .help(help)
    };
    let mut findings = Vec::new();
    for (path, name) in uses.into_iter().filter(|(_, name)| undeclared(name)) {
        findings.push((context.tree.span_at(&path), finding(name)));
    }
    for (_, object) in context.owned_objects() {
        if let Some(name) = object.namespace().filter(|name| undeclared(name)) {
            let span = object
                .field(&["metadata", "namespace"])
                .map_or(object.span, |node| node.span);
            findings.push((span, finding(name)));
        }
        if object.kind() == "Namespace" {
            let diagnostic = if undeclared(object.name()) {
                finding(object.name())
            } else {
                let message = format!(
                    "this Namespace is left out, since {} is declared under spec.namespaces",
                    object.name()
                );
                Diagnostic::warning(codes::NO_EFFECT, message)
                    .help("remove it here, and put its labels into spec.namespaces")
            };
            findings.push((
                object.span,
                diagnostic.label("pipectl creates and deletes namespaces itself"),
            ));
        }
    }
    for (span, diagnostic) in findings {
        context.at_span(span, diagnostic);
    }
}
