//! Objects in manifests and inline lists: names and node ports.

use super::{
    Context,
    names::{LABEL, SUBDOMAIN, problem, repaired},
};
use crate::{
    diagnostics::{Diagnostic, codes},
    manifests::ObjectNode,
    yaml::{Content, Node, Span},
};
use std::collections::HashMap;

/// The ports that Kubernetes gives out to services on every node, unless an API server is told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<u64> = 30_000..=32_767;

pub(super) fn check(context: &mut Context<'_>) {
    let mut findings = Vec::new();
    let mut node_ports: HashMap<u64, Span> = HashMap::new();
    for (_, object) in context.owned_objects() {
        name(object, &mut findings);
        if object.kind() == "Service" {
            for node in ports(object) {
                node_port(node, &mut node_ports, &mut findings);
            }
        }
    }
    for (span, diagnostic) in findings {
        context.at_span(span, diagnostic);
    }
}

fn name(object: &ObjectNode, findings: &mut Vec<(Span, Diagnostic)>) {
    let group = object.text(&["apiVersion"]).unwrap_or_default();
    // Roles and their bindings may have colons and capitals in their names.
    if group.starts_with("rbac.authorization.k8s.io/") {
        return;
    }
    let (max, dots) = if matches!(object.kind(), "Service" | "Namespace") {
        (LABEL, false)
    } else {
        (SUBDOMAIN, true)
    };
    if let (Some(problem), Some(node)) = (
        problem(object.name(), max, dots),
        object.field(&["metadata", "name"]),
    ) {
        let message = format!(
            "{} '{}' cannot be used: {problem}",
            object.kind(),
            object.name()
        );
        let mut diagnostic = Diagnostic::error(codes::KUBERNETES_NAME, message);
        diagnostic.help =
            repaired(object.name(), max).map(|better| format!("for instance {better}"));
        findings.push((node.span, diagnostic));
    }
}

fn ports(object: &ObjectNode) -> Vec<&Node> {
    match object.field(&["spec", "ports"]).map(|node| &node.content) {
        Some(Content::List(ports)) => ports
            .iter()
            .filter_map(|port| port.get("nodePort"))
            .collect(),
        _ => Vec::new(),
    }
}

fn node_port(node: &Node, seen: &mut HashMap<u64, Span>, findings: &mut Vec<(Span, Diagnostic)>) {
    // What is no number, the API server refuses with words of its own.
    let Some(port) = node
        .text()
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|port| *port != 0)
    else {
        return;
    };
    if !NODE_PORTS.contains(&port) {
        let diagnostic = Diagnostic::error(
            codes::NODE_PORT,
            format!("node port {port} is out of range"),
        )
        .label(format!(
            "from {} to {}",
            NODE_PORTS.start(),
            NODE_PORTS.end()
        ))
        .help("take a port in the range, or leave it out and Kubernetes chooses one");
        findings.push((node.span, diagnostic));
    } else if let std::collections::hash_map::Entry::Vacant(e) = seen.entry(port) {
        e.insert(node.span);
    } else {
        let diagnostic = Diagnostic::error(
            codes::DUPLICATE,
            format!("node port {port} is used by two services"),
        );
        findings.push((
            node.span,
            diagnostic.help("a node port belongs to one service in the whole cluster"),
        ));
    }
}
