//! Small settings that cannot work: chart addresses, resources, waiting times, workloads without anything.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::Resources,
    units::Period,
    yaml::{Path, at},
};

pub(super) fn addresses(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let mut repos: Vec<(Path, &str)> = Vec::new();
    if let Some(strimzi) = &spec.strimzi {
        repos.push((at!["spec", "strimzi", "chart", "repo"], &strimzi.chart.repo));
    }
    if let Some(operator) = &spec.spark_operator {
        repos.push((
            at!["spec", "sparkOperator", "chart", "repo"],
            &operator.chart.repo,
        ));
    }
    for (index, workload) in spec.workloads.iter().enumerate() {
        for (position, chart) in workload.charts.iter().enumerate() {
            repos.push((
                at!["spec", "workloads", index, "charts", position, "repo"],
                &chart.repo,
            ));
        }
    }
    for (path, repo) in repos {
        let rest = ["https://", "http://", "oci://"]
            .iter()
            .find_map(|scheme| repo.strip_prefix(scheme));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
            let diagnostic = Diagnostic::error(
                codes::CHART_ADDRESS,
                format!("'{repo}' is not the address of a chart repository"),
            );
            context.at(&path, diagnostic.help("begin with https:// or oci://"));
        }
    }
}

pub(super) fn resources(context: &mut Context<'_>) {
    let Some(kafka) = &context.pipeline.spec.kafka else {
        return;
    };
    let mut all: Vec<(Path, Resources)> = vec![(
        at!["spec", "kafka", "entityOperator", "resources"],
        kafka.entity_operator.resources.clone(),
    )];
    for (index, pool) in kafka.node_pools.iter().enumerate() {
        all.push((
            at!["spec", "kafka", "nodePools", index, "resources"],
            pool.resources.clone(),
        ));
    }
    for (path, Resources { requests, limits }) in all {
        let cpu = requests
            .cpu
            .zip(limits.cpu)
            .filter(|(request, limit)| request > limit);
        let memory = requests
            .memory
            .zip(limits.memory)
            .filter(|(request, limit)| request > limit);
        let pairs = [
            (
                "cpu",
                cpu.map(|(request, limit)| (request.to_string(), limit.to_string())),
            ),
            (
                "memory",
                memory.map(|(request, limit)| (request.to_string(), limit.to_string())),
            ),
        ];
        for (name, pair) in pairs {
            if let Some((request, limit)) = pair {
                let diagnostic = Diagnostic::error(
                    codes::RESOURCES,
                    format!("{name} of {request} is asked for, but only {limit} may be used"),
                );
                context.at(
                    &path.key("requests").key(name),
                    diagnostic.help("raise the limit or lower the request"),
                );
            }
        }
    }
}

pub(super) fn waits(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let timeouts = &spec.timeouts;
    let mut periods: Vec<(Path, Period)> = [
        ("network", timeouts.network),
        ("cluster", timeouts.cluster),
        ("nodeGroups", timeouts.node_groups),
        ("namespaces", timeouts.namespaces),
        ("strimzi", timeouts.strimzi),
        ("kafka", timeouts.kafka),
        ("sparkOperator", timeouts.spark_operator),
        ("workloads", timeouts.workloads),
        ("sparkApplications", timeouts.spark_applications),
        ("verification", timeouts.verification),
    ]
    .into_iter()
    .map(|(name, period)| (at!["spec", "timeouts", name], period))
    .collect();
    periods.push((
        at!["spec", "verification", "timeout"],
        spec.verification.timeout,
    ));
    periods.extend(spec.ttl.map(|ttl| (at!["spec", "ttl"], ttl)));
    for (path, _) in periods
        .into_iter()
        .filter(|(_, period)| *period < Period::seconds(1))
    {
        let diagnostic = Diagnostic::error(codes::OUT_OF_RANGE, format!("'{path}' is too short"));
        context.at(&path, diagnostic.label("at least 1s"));
    }
}

pub(super) fn empty_workloads(context: &mut Context<'_>) {
    for (index, workload) in context.pipeline.spec.workloads.iter().enumerate() {
        if workload.manifests.is_empty()
            && workload.objects.is_empty()
            && workload.charts.is_empty()
        {
            let diagnostic = Diagnostic::warning(
                codes::NO_EFFECT,
                format!("workload {} has nothing to install", workload.name),
            );
            context.at(
                &at!["spec", "workloads", index, "name"],
                diagnostic.help("give it manifests, objects or charts"),
            );
        }
    }
}
