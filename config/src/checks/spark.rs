//! Spark: watched namespaces, programs, pod templates, the archived chart.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::{POD_TEMPLATE_SETTINGS, SparkLanguage},
    yaml::{Path, at},
};

pub(super) fn watched(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let Some(watched) = spec
        .spark_operator
        .as_ref()
        .and_then(|operator| operator.job_namespaces.as_deref())
    else {
        return;
    };
    // The chart's own word for "all namespaces" (values.yaml: "If empty string is included, all namespaces will be allowed").
    if watched.iter().any(String::is_empty) {
        return;
    }
    for (index, app) in spec.spark_applications.iter().enumerate() {
        if !watched.contains(&app.namespace) {
            let message = format!(
                "the Spark operator does not watch namespace {}, where {} is",
                app.namespace, app.name
            );
            let diagnostic = Diagnostic::error(codes::SPARK_NAMESPACE, message)
                .label(format!("watched: {}", watched.join(", ")))
                .help(format!(
                    "add {} to sparkOperator.jobNamespaces",
                    app.namespace
                ));
            context.at(
                &at!["spec", "sparkApplications", index, "namespace"],
                diagnostic,
            );
        }
    }
}

pub(super) fn applications(context: &mut Context<'_>) {
    for (index, app) in context.pipeline.spec.spark_applications.iter().enumerate() {
        let base = at!["spec", "sparkApplications", index];
        if app.main_application_file.is_none() {
            let message = format!("Spark application {} has no program", app.name);
            let diagnostic = Diagnostic::error(codes::MAIN_FILE, message);
            context.at(
                &base.key("name"),
                diagnostic.help("set mainApplicationFile, or give code exactly one file"),
            );
        }
        if matches!(app.language, SparkLanguage::Java | SparkLanguage::Scala)
            && app.main_class.is_none()
        {
            let diagnostic = Diagnostic::error(
                codes::MISSING_FIELD,
                format!("Spark application {} needs mainClass", app.name),
            );
            context.at(
                &base.key("type"),
                diagnostic.help("Java and Scala programs are started by their main class"),
            );
        }
        for setting in POD_TEMPLATE_SETTINGS {
            if app
                .spark_conf
                .get(setting)
                .is_some_and(|value| !value.to_string().is_empty())
            {
                let message =
                    format!("{setting} is set, and the operator does not mount template files");
                let diagnostic = Diagnostic::warning(codes::POD_TEMPLATE, message)
                    .help("remove it; driver and executor have settings of their own for what a template would say");
                context.at(&base.key("sparkConf").key(setting), diagnostic);
            }
        }
    }
}

/// The host of the Spark operator's old chart repository and source, both archived when the operator moved to Kubeflow.
fn is_archived(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    address.contains("googlecloudplatform.github.io/spark-on-k8s-operator")
        || address.contains("github.com/googlecloudplatform/spark-on-k8s-operator")
}

pub(super) fn archived_chart(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let mut uses: Vec<(Path, &str)> = Vec::new();
    if let Some(operator) = &spec.spark_operator {
        uses.push((
            at!["spec", "sparkOperator", "chart", "repo"],
            &operator.chart.repo,
        ));
    }
    for (index, workload) in spec.workloads.iter().enumerate() {
        for (position, chart) in workload.charts.iter().enumerate() {
            uses.push((
                at!["spec", "workloads", index, "charts", position, "repo"],
                &chart.repo,
            ));
        }
    }
    for (path, _) in uses.into_iter().filter(|(_, repo)| is_archived(repo)) {
        let diagnostic = Diagnostic::error(codes::ARCHIVED_CHART, "this chart address is archived: the Spark operator moved to the Kubeflow project")
            .help("remove chart, or use https://kubeflow.github.io/spark-operator; values changed too (spark.jobNamespaces, webhook)");
        context.at(&path, diagnostic);
    }
}
