//! Kafka clients: every bootstrap address must be the declared cluster's.

use super::Context;
use crate::{
    clients::{addresses, env_entries, is_bootstrap_variable},
    diagnostics::{Diagnostic, codes},
    manifests::ObjectNode,
    model::{Kafka, KafkaClient},
    suggest::nearest,
    yaml::{Content, Node, Path, Span, at},
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut findings = Vec::new();
    if let Some(kafka) = &context.pipeline.spec.kafka {
        for (namespace, object) in context.owned_objects() {
            let namespace = object.namespace().unwrap_or(namespace);
            look(kafka, namespace, &object.node, &mut findings);
        }
        // Spark settings, arguments and environment, chart values: any text in these sections.
        for section in ["sparkApplications", "workloads", "strimzi", "sparkOperator"] {
            if let Some(node) = context.tree.find(&at!["spec", section]) {
                look(kafka, "", node, &mut findings);
            }
        }
    }
    for (index, (workload, objects)) in context
        .pipeline
        .spec
        .workloads
        .iter()
        .zip(&context.objects.workloads)
        .enumerate()
    {
        if workload.enabled {
            for (position, client) in workload.kafka_clients.iter().enumerate() {
                let path = at!["spec", "workloads", index, "kafkaClients", position];
                declared_client(context.tree, &path, client, objects, &mut findings);
            }
        }
    }
    for (span, diagnostic) in findings {
        context.at_span(span, diagnostic);
    }
}

/// Looks at every text below `node`: those that look like a Strimzi bootstrap service, and the variables that are called so.
fn look(kafka: &Kafka, namespace: &str, node: &Node, findings: &mut Vec<(Span, Diagnostic)>) {
    node.visit(&Path::default(), &mut |_, node| match &node.content {
        Content::Scalar { text, .. } => {
            for address in addresses(text) {
                judge(kafka, namespace, address, node, findings);
            }
        }
        Content::Map(entries) => {
            let named = match (node.get("name").and_then(Node::text), node.get("value")) {
                (Some(name), Some(value)) if is_bootstrap_variable(name) => Some(value),
                _ => None,
            };
            let keyed = entries
                .iter()
                .filter(|(key, _)| is_bootstrap_variable(&key.text))
                .map(|(_, value)| value);
            for value in named.into_iter().chain(keyed) {
                for address in value.text().into_iter().flat_map(|text| text.split(',')) {
                    let address = address.trim();
                    // A reference of Kubernetes' own is resolved in the pod.
                    if !address.is_empty() && !address.contains("$(") {
                        judge(kafka, namespace, address, value, findings);
                    }
                }
            }
        }
        Content::List(_) => {}
    });
}

fn judge(
    kafka: &Kafka,
    namespace: &str,
    address: &str,
    node: &Node,
    findings: &mut Vec<(Span, Diagnostic)>,
) {
    // Inside a section the client's namespace is not known, so that a bare service name gets the benefit of the doubt.
    let client = if namespace.is_empty() {
        kafka.namespace.as_str()
    } else {
        namespace
    };
    if kafka.accepts_bootstrap(address, Some(client))
        || kafka
            .other_bootstrap_addresses
            .iter()
            .any(|other| other == address)
    {
        return;
    }
    let message = format!("'{address}' is not the bootstrap address of the declared Kafka");
    let diagnostic = Diagnostic::error(codes::BOOTSTRAP_ADDRESS, message)
        .label(format!("declared: {}", kafka.bootstrap_address()))
        .help("write ${kafka.bootstrap}; an address of another Kafka cluster goes into kafka.otherBootstrapAddresses");
    let finding = (node.span, diagnostic);
    if !findings.contains(&finding) {
        findings.push(finding);
    }
}

fn declared_client(
    tree: &Node,
    path: &Path,
    client: &KafkaClient,
    objects: &[ObjectNode],
    findings: &mut Vec<(Span, Diagnostic)>,
) {
    let same_kind = || objects.iter().filter(|object| object.kind() == client.kind);
    let Some(object) = same_kind().find(|object| object.name() == client.name) else {
        let names: Vec<&str> = same_kind().map(ObjectNode::name).collect();
        let diagnostic = Diagnostic::error(
            codes::UNKNOWN_CLIENT,
            format!("the workload has no {} called {}", client.kind, client.name),
        );
        let diagnostic = match nearest(&client.name, names.iter().copied()) {
            Some(candidate) => diagnostic.help(format!("did you mean {candidate}?")),
            None if names.is_empty() => {
                diagnostic.help(format!("none of its manifests has a {}", client.kind))
            }
            None => diagnostic.help(format!(
                "there {} {}",
                if names.len() == 1 { "is" } else { "are" },
                names.join(", ")
            )),
        };
        findings.push((tree.span_at(&path.key("name")), diagnostic));
        return;
    };
    let variables: Vec<String> = env_entries(&object.node)
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .collect();
    if !variables.contains(&client.env) {
        let message = format!(
            "no container of {} {} has the variable {}",
            client.kind, client.name, client.env
        );
        let diagnostic = Diagnostic::error(codes::UNKNOWN_CLIENT, message);
        let diagnostic = match nearest(&client.env, variables.iter().map(String::as_str)) {
            Some(candidate) => diagnostic.help(format!("did you mean {candidate}?")),
            None => diagnostic
                .help("add the variable to the manifest, with the value ${kafka.bootstrap}"),
        };
        let place = if tree.find(&path.key("env")).is_some() {
            path.key("env")
        } else {
            path.key("name")
        };
        findings.push((tree.span_at(&place), diagnostic));
    }
}
