//! Names that Kubernetes would refuse.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::{Provider, Taint},
    yaml::{Path, at},
};
use std::collections::BTreeMap;

/// The longest name of a Kubernetes label, namespace, service or pod host name (RFC 1123 label).
pub(super) const LABEL: usize = 63;
/// The longest name of most other objects (RFC 1123 subdomain).
pub(super) const SUBDOMAIN: usize = 253;
/// The longest name of a Helm release.
const RELEASE: usize = 53;
/// The longest name of a Kafka topic.
const TOPIC: usize = 249;
/// The longest name of a pipeline: names of AWS resources are made of it, and some have 63 characters.
const PIPELINE: usize = 40;
/// What Strimzi appends to a cluster's name for its bootstrap service.
const BOOTSTRAP: &str = "-kafka-bootstrap";
/// What Spark appends to an application's name for the driver's service.
const DRIVER_SERVICE: &str = "-driver-svc";

/// How a label's or taint's key is written.
const KEY_FORM: &str = "write NAME or DOMAIN/NAME, at most 63 letters, digits, '-', '_' and '.'";
/// How a label's or taint's value is written.
const VALUE_FORM: &str =
    "at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";

/// Why a name is no RFC 1123 label or, with `dots`, subdomain of at most `max` characters; `None` when it is one.
pub(super) fn problem(name: &str, max: usize, dots: bool) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if name.len() > max {
        return Some(format!(
            "it has {} characters; at most {max} fit",
            name.chars().count()
        ));
    }
    let inner = |character: char| {
        character.is_ascii_lowercase()
            || character.is_ascii_digit()
            || character == '-'
            || (dots && character == '.')
    };
    if let Some(bad) = name.chars().find(|character| !inner(*character)) {
        let extra = if dots { ", dots" } else { "" };
        return Some(format!(
            "'{bad}' is not allowed; use lower-case letters, digits{extra} and hyphens"
        ));
    }
    let edge = |character: Option<char>| {
        character.is_some_and(|character| character.is_ascii_alphanumeric())
    };
    let part_ok = |part: &str| edge(part.chars().next()) && edge(part.chars().next_back());
    let whole = if dots {
        name.split('.').all(part_ok)
    } else {
        part_ok(name)
    };
    (!whole).then(|| "it must begin and end with a letter or digit".to_owned())
}

/// A name that would be right: folded to lower case, other characters as hyphens.
pub(super) fn repaired(name: &str, max: usize) -> Option<String> {
    let folded: String = name
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(max)
        .collect();
    let folded = folded.trim_matches('-').to_owned();
    problem(&folded, max, false).is_none().then_some(folded)
}

fn require(context: &mut Context<'_>, path: &Path, what: &str, name: &str, max: usize, dots: bool) {
    if let Some(problem) = problem(name, max, dots) {
        let diagnostic = Diagnostic::error(
            codes::KUBERNETES_NAME,
            format!("{what} '{name}' cannot be used: {problem}"),
        );
        let diagnostic = match repaired(name, max) {
            Some(better) => diagnostic.help(format!("for instance {better}")),
            None => diagnostic,
        };
        context.at(path, diagnostic);
    }
}

pub(super) fn check(context: &mut Context<'_>) {
    let pipeline = context.pipeline;
    let spec = &pipeline.spec;
    require(
        context,
        &at!["metadata", "name"],
        "the pipeline name",
        &pipeline.metadata.name,
        PIPELINE,
        false,
    );
    if let Some(kafka) = &spec.kafka {
        let base = at!["spec", "kafka"];
        require(
            context,
            &base.key("name"),
            "the Kafka cluster's name",
            &kafka.name,
            LABEL - BOOTSTRAP.len(),
            false,
        );
        require(
            context,
            &base.key("namespace"),
            "the namespace",
            &kafka.namespace,
            LABEL,
            false,
        );
        for (index, pool) in kafka.node_pools.iter().enumerate() {
            // The pod's host name is CLUSTER-POOL-NUMBER.
            let room = LABEL.saturating_sub(kafka.name.len() + 2 + pool.replicas.to_string().len());
            require(
                context,
                &at!["spec", "kafka", "nodePools", index, "name"],
                "the node pool's name",
                &pool.name,
                room,
                false,
            );
        }
        for (index, topic) in kafka.topics.iter().enumerate() {
            require(
                context,
                &at!["spec", "kafka", "topics", index, "name"],
                "the topic's name",
                &topic.name,
                TOPIC,
                true,
            );
        }
    }
    if let Some(strimzi) = &spec.strimzi {
        require(
            context,
            &at!["spec", "strimzi", "namespace"],
            "the namespace",
            &strimzi.namespace,
            LABEL,
            false,
        );
        require(
            context,
            &at!["spec", "strimzi", "releaseName"],
            "the release name",
            &strimzi.release_name,
            RELEASE,
            false,
        );
    }
    if let Some(operator) = &spec.spark_operator {
        require(
            context,
            &at!["spec", "sparkOperator", "namespace"],
            "the namespace",
            &operator.namespace,
            LABEL,
            false,
        );
        require(
            context,
            &at!["spec", "sparkOperator", "releaseName"],
            "the release name",
            &operator.release_name,
            RELEASE,
            false,
        );
    }
    for (index, namespace) in spec.namespaces.iter().enumerate() {
        let base = at!["spec", "namespaces", index];
        require(
            context,
            &base.key("name"),
            "the namespace",
            &namespace.name,
            LABEL,
            false,
        );
        labels(context, &base.key("labels"), &namespace.labels);
    }
    for (index, group) in spec.node_groups.iter().enumerate() {
        let base = at!["spec", "nodeGroups", index];
        require(
            context,
            &base.key("name"),
            "the node group's name",
            &group.name,
            LABEL,
            false,
        );
        labels(context, &base.key("labels"), &group.labels);
        taints(context, &base.key("taints"), &group.taints);
        if matches!(spec.provider, Provider::Eks(_)) {
            labels_on_eks(context, &base.key("labels"), &group.labels);
        }
    }
    for (index, workload) in spec.workloads.iter().enumerate() {
        let base = at!["spec", "workloads", index];
        require(
            context,
            &base.key("name"),
            "the workload's name",
            &workload.name,
            LABEL,
            false,
        );
        for (position, release) in workload.charts.iter().enumerate() {
            require(
                context,
                &base.key("charts").index(position).key("name"),
                "the release name",
                &release.name,
                RELEASE,
                false,
            );
        }
    }
    for (index, app) in spec.spark_applications.iter().enumerate() {
        let base = at!["spec", "sparkApplications", index];
        require(
            context,
            &base.key("name"),
            "the application's name",
            &app.name,
            LABEL - DRIVER_SERVICE.len(),
            false,
        );
        require(
            context,
            &base.key("driver").key("serviceAccount"),
            "the service account",
            &app.driver.service_account,
            SUBDOMAIN,
            true,
        );
        labels(
            context,
            &base.key("driver").key("labels"),
            &app.driver.labels,
        );
        labels(
            context,
            &base.key("executor").key("labels"),
            &app.executor.labels,
        );
        if let Some(code) = &app.code {
            require(
                context,
                &base.key("code").key("configMap"),
                "the ConfigMap's name",
                &code.config_map,
                SUBDOMAIN,
                true,
            );
        }
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        require(
            context,
            &at!["spec", "secrets", index, "name"],
            "the Secret's name",
            &secret.name,
            SUBDOMAIN,
            true,
        );
    }
    for (index, check) in spec.verification.extra.iter().enumerate() {
        require(
            context,
            &at!["spec", "verification", "extra", index, "name"],
            "the check's name",
            &check.name,
            LABEL,
            false,
        );
    }
}

/// Whether a text is empty or a qualified name's last part: letters, digits, `-`, `_`, `.`, with letters or digits at both ends.
fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LABEL
        && bytes.iter().all(|byte| inner(*byte))
        && edge(bytes.first())
        && edge(bytes.last())
}

/// Whether a text is a label's or taint's key: a name, with a domain and a slash before it or without.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_ok = prefix.is_none_or(|prefix| problem(prefix, SUBDOMAIN, true).is_none());
    !name.is_empty() && is_label_value(name) && prefix_ok
}

/// Taints of nodes. Their keys and values have the form of labels' (EKS user guide: node taints on managed node groups).
fn taints(context: &mut Context<'_>, path: &Path, taints: &[Taint]) {
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        if !is_label_key(&taint.key) {
            let message = format!("Kubernetes refuses the taint '{}'", taint.key);
            let finding = Diagnostic::error(codes::KUBERNETES_NAME, message).help(KEY_FORM);
            context.at(&path.key("key"), finding);
        }
        if !is_label_value(&taint.value) {
            let message = format!("Kubernetes refuses '{}' as a taint's value", taint.value);
            let finding = Diagnostic::error(codes::KUBERNETES_NAME, message).help(VALUE_FORM);
            context.at(&path.key("value"), finding);
        }
    }
}

/// Labels that Kubernetes takes and EKS does not: without a value (aws-sdk-go-v2 issue 2267, containers-roadmap issue 2447), or
/// in domains that no kubelet may claim, so that EKS refuses them or the nodes never join (eksctl issue 4007,
/// containers-roadmap issue 2465, kubelet's `--node-labels`).
fn labels_on_eks(context: &mut Context<'_>, path: &Path, labels: &BTreeMap<String, String>) {
    for (key, value) in labels {
        let path = path.key(key);
        if value.is_empty() {
            let message = format!("EKS refuses the label '{key}' without a value");
            let finding = Diagnostic::error(codes::AWS_NAME, message);
            context.at_key(&path, finding.help("give it a value, such as 'true'"));
        }
        let domain = key.rsplit_once('/').map_or("", |(domain, _)| domain);
        let within = |parent: &str| {
            domain
                .strip_suffix(parent)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let allowed = within("kubelet.kubernetes.io") || within("node.kubernetes.io");
        if !allowed
            && ["kubernetes.io", "k8s.io", "eks.amazonaws.com"]
                .into_iter()
                .any(within)
        {
            let message = format!("nodes of EKS cannot have the label '{key}' of their own");
            let finding = Diagnostic::error(codes::AWS_NAME, message);
            context.at_key(
                &path,
                finding.help("use another domain, or node.kubernetes.io; a kubelet may set no other of Kubernetes' own"),
            );
        }
    }
}

fn labels(context: &mut Context<'_>, path: &Path, labels: &BTreeMap<String, String>) {
    for (key, value) in labels {
        let path = path.key(key);
        if !is_label_key(key) {
            let diagnostic = Diagnostic::error(
                codes::KUBERNETES_NAME,
                format!("Kubernetes refuses the label '{key}'"),
            );
            context.at_key(&path, diagnostic.help(KEY_FORM));
        }
        if !is_label_value(value) {
            let diagnostic = Diagnostic::error(
                codes::KUBERNETES_NAME,
                format!("Kubernetes refuses '{value}' as a label's value"),
            );
            context.at(&path, diagnostic.help(VALUE_FORM));
        }
        if key.starts_with("pipectl.dev/") {
            let diagnostic = Diagnostic::error(
                codes::KUBERNETES_NAME,
                format!("the label '{key}' is pipectl's own"),
            );
            context.at_key(&path, diagnostic.help("labels that begin with pipectl.dev/ say to whom an object belongs; use another name"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_label_value, problem, repaired};

    #[test]
    fn dns_names() {
        for name in ["a", "kafka", "a-1", "0a"] {
            assert_eq!(problem(name, 63, false), None, "{name}");
        }
        for name in ["", "A", "a_b", "-a", "a-", "a.b", "한글", &"a".repeat(64)] {
            assert!(problem(name, 63, false).is_some(), "{name}");
        }
        assert_eq!(problem("a.b-c", 253, true), None);
        assert!(problem("a..b", 253, true).is_some());
        assert_eq!(
            repaired("Streaming_Cluster", 63).as_deref(),
            Some("streaming-cluster")
        );
        assert_eq!(repaired("___", 63), None);
    }

    #[test]
    fn label_values() {
        assert!(is_label_value("") && is_label_value("a_b.C-1"));
        assert!(
            !is_label_value("-a") && !is_label_value("a b") && !is_label_value(&"a".repeat(64))
        );
    }
}
