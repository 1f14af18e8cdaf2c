//! Kafka's own rules: roles, copies, listeners, topics.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::{Kafka, ListenerType, NodePoolRole, Scalar},
    yaml::{Path, at},
};
use std::collections::BTreeMap;

pub(super) fn pools(context: &mut Context<'_>) {
    let Some(kafka) = &context.pipeline.spec.kafka else {
        return;
    };
    let pools = at!["spec", "kafka", "nodePools"];
    for (index, pool) in kafka.node_pools.iter().enumerate() {
        if pool.roles.is_empty() {
            let message = format!("node pool {} has no role", pool.name);
            let diagnostic = Diagnostic::error(codes::POOL_ROLES, message)
                .help("write [broker], [controller] or both");
            context.at(&pools.index(index).key("roles"), diagnostic);
        }
    }
    for role in [NodePoolRole::Controller, NodePoolRole::Broker] {
        if kafka.nodes_with(role) == 0 {
            let word = if role == NodePoolRole::Broker {
                "broker"
            } else {
                "controller"
            };
            let message = format!("no node pool has the role {word}");
            let diagnostic = Diagnostic::error(codes::POOL_ROLES, message)
                .label(format!("needs a {word}"))
                .help(format!(
                    "add a pool with roles: [{word}], or add {word} to a pool's roles"
                ));
            context.at_key(&pools, diagnostic);
        }
    }
    let controllers = kafka.controllers();
    if controllers > 0 && controllers % 2 == 0 {
        let message = format!(
            "{controllers} controllers tolerate no more failures than {}",
            controllers - 1
        );
        let at = kafka
            .node_pools
            .iter()
            .position(|pool| pool.roles.contains(&NodePoolRole::Controller))
            .unwrap_or(0);
        let diagnostic = Diagnostic::warning(codes::EVEN_CONTROLLERS, message);
        context.at(
            &pools.index(at).key("replicas"),
            diagnostic.help("take an odd number, such as 3"),
        );
    }
}

/// The settings whose value is a number of copies.
const FACTORS: [&str; 4] = [
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
];

/// The settings that ask for copies in step, and those that say how many there are.
const IN_STEP: [(&str, &str); 3] = [
    ("min.insync.replicas", "default.replication.factor"),
    (
        "transaction.state.log.min.isr",
        "transaction.state.log.replication.factor",
    ),
    (
        "share.coordinator.state.topic.min.isr",
        "share.coordinator.state.topic.replication.factor",
    ),
];

pub(super) fn replication(context: &mut Context<'_>) {
    let Some(kafka) = &context.pipeline.spec.kafka else {
        return;
    };
    let brokers = u64::from(kafka.brokers());
    if brokers == 0 {
        return;
    }
    let config = at!["spec", "kafka", "config"];
    let number = |name: &str| kafka.config.get(name).and_then(Scalar::as_u64);
    for name in FACTORS {
        if let Some(factor) = number(name).filter(|factor| *factor > brokers) {
            too_many_copies(context, &config.key(name), name, factor, brokers);
        }
    }
    for (minimum, factor) in IN_STEP {
        if let (Some(minimum_value), Some(factor_value)) = (number(minimum), number(factor))
            && minimum_value > factor_value
        {
            let message = format!("{minimum} is {minimum_value}, but {factor} is {factor_value}");
            let diagnostic = Diagnostic::error(codes::MIN_IN_SYNC, message)
                .label(format!("at most {factor_value}"))
                .help("with acks=all, every write would fail");
            context.at(&config.key(minimum), diagnostic);
        }
    }
    for (index, topic) in kafka.topics.iter().enumerate() {
        let path = at!["spec", "kafka", "topics", index];
        if u64::from(topic.replicas) > brokers {
            let name = format!("topic {}'s replication factor", topic.name);
            too_many_copies(
                context,
                &path.key("replicas"),
                &name,
                u64::from(topic.replicas),
                brokers,
            );
        }
        min_in_sync(context, kafka, index, &path);
    }
}

fn too_many_copies(context: &mut Context<'_>, path: &Path, name: &str, factor: u64, brokers: u64) {
    let message = format!(
        "{name} is {factor}, but there {} {brokers} broker{}",
        if brokers == 1 { "is" } else { "are" },
        if brokers == 1 { "" } else { "s" }
    );
    let diagnostic = Diagnostic::error(codes::REPLICATION, message)
        .label(format!("at most {brokers}"))
        .help(format!(
            "set it to {brokers}, or give a broker pool more replicas"
        ));
    context.at(path, diagnostic);
}

fn min_in_sync(context: &mut Context<'_>, kafka: &Kafka, index: usize, path: &Path) {
    let topic = &kafka.topics[index];
    let copies = u64::from(topic.replicas);
    let own = topic
        .kafka_config()
        .get("min.insync.replicas")
        .and_then(Scalar::as_u64);
    let place = match (own, topic.min_in_sync_replicas) {
        (Some(_), Some(_)) => path.key("minInSyncReplicas"),
        (Some(_), None) => path.key("config").key("min.insync.replicas"),
        (None, _) => path.key("replicas"),
    };
    let inherited = || {
        kafka
            .config
            .get("min.insync.replicas")
            .and_then(Scalar::as_u64)
    };
    let Some(minimum) = own.or_else(inherited).filter(|minimum| *minimum > copies) else {
        return;
    };
    let message = if own.is_some() {
        format!(
            "topic {} wants {minimum} copies in step, but has {copies}",
            topic.name
        )
    } else {
        format!(
            "topic {} has {copies} {}, but the cluster's min.insync.replicas is {minimum}",
            topic.name,
            if copies == 1 { "copy" } else { "copies" }
        )
    };
    let diagnostic = Diagnostic::error(codes::MIN_IN_SYNC, message)
        .help("with acks=all, every write would fail; lower one or raise the other");
    context.at(&place, diagnostic);
}

pub(super) fn listeners(context: &mut Context<'_>) {
    let Some(kafka) = &context.pipeline.spec.kafka else {
        return;
    };
    let list = at!["spec", "kafka", "listeners"];
    if kafka.listeners.is_empty() {
        let diagnostic = Diagnostic::error(
            codes::LISTENER,
            "Kafka has no listeners, so that no client can connect",
        );
        context.at_key(
            &list,
            diagnostic.help("remove the field for a plain listener on port 9092"),
        );
    }
    for (index, listener) in kafka.listeners.iter().enumerate() {
        let path = list.index(index);
        let named = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        if listener.name.is_empty() || listener.name.len() > 11 || !listener.name.chars().all(named)
        {
            let message = format!("Strimzi refuses the listener name '{}'", listener.name);
            let diagnostic = Diagnostic::error(codes::LISTENER, message);
            context.at(
                &path.key("name"),
                diagnostic.help("use 1 to 11 lower-case letters and digits"),
            );
        }
        if listener.port < 9092 || matches!(listener.port, 9404 | 9999) {
            let message = format!("Strimzi refuses the listener port {}", listener.port);
            let diagnostic = Diagnostic::error(codes::LISTENER, message);
            context.at(
                &path.key("port"),
                diagnostic.help("use 9092 or higher, except 9404 (metrics) and 9999 (JMX)"),
            );
        }
        if listener.listener_type == ListenerType::Ingress && !listener.tls {
            let diagnostic = Diagnostic::error(
                codes::LISTENER,
                format!("ingress listener {} needs TLS", listener.name),
            );
            context.at(&path.key("type"), diagnostic.help("set tls: true"));
        }
    }
}

pub(super) fn topics(context: &mut Context<'_>) {
    let Some(kafka) = &context.pipeline.spec.kafka else {
        return;
    };
    if !kafka.topics.is_empty() && !kafka.entity_operator.topic_operator {
        let diagnostic = Diagnostic::error(
            codes::NO_TOPIC_OPERATOR,
            "topics are declared, but the topic operator is off",
        );
        context.at(
            &at!["spec", "kafka", "entityOperator", "topicOperator"],
            diagnostic.help("set topicOperator: true, or remove the topics"),
        );
    }
    for (index, topic) in kafka.topics.iter().enumerate() {
        let typed: BTreeMap<&str, bool> = [
            ("retention.ms", topic.retention.is_some()),
            ("min.insync.replicas", topic.min_in_sync_replicas.is_some()),
        ]
        .into();
        for (name, _) in typed
            .into_iter()
            .filter(|(name, set)| *set && topic.config.contains_key(*name))
        {
            let field = if name == "retention.ms" {
                "retention"
            } else {
                "minInSyncReplicas"
            };
            let message = format!(
                "topic {} sets {name} twice: here and as {field}",
                topic.name
            );
            let path = at!["spec", "kafka", "topics", index, "config", name];
            context.at_key(
                &path,
                Diagnostic::error(codes::DUPLICATE, message).help("remove one of the two"),
            );
        }
    }
}

pub(super) fn watched(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let (Some(kafka), Some(strimzi)) = (&spec.kafka, &spec.strimzi) else {
        return;
    };
    let watched = strimzi.watch_namespaces.as_deref().unwrap_or_default();
    if kafka.namespace == strimzi.namespace || watched.contains(&kafka.namespace) {
        return;
    }
    let message = format!(
        "Strimzi does not watch namespace {}, where Kafka is",
        kafka.namespace
    );
    let diagnostic = Diagnostic::error(codes::STRIMZI_NAMESPACE, message);
    context.at_key(
        &at!["spec", "strimzi", "watchNamespaces"],
        diagnostic.help(format!("add {} to watchNamespaces", kafka.namespace)),
    );
}
