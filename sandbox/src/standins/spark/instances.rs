//! Which of the operator's programs run: those whose Deployment has a ready pod.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::Deployment;
use kube::core::DynamicObject;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::common::{Follower, resource};
use super::options::{ControllerOptions, WebhookOptions};
use super::{controller, webhook};
use crate::SandboxContext;

/// A program of the operator, as its Deployment describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    Controller(ControllerOptions),
    Webhook(WebhookOptions),
}

/// The program that a Deployment runs, told by its container's name and first argument as the chart writes them; none
/// where it is no Deployment of the operator, or has no ready pod.
fn running(object: &DynamicObject) -> Option<Program> {
    let deployment: Deployment = serde_json::from_value(serde_json::to_value(object).ok()?).ok()?;
    if deployment.status?.ready_replicas.unwrap_or(0) < 1
        || deployment.metadata.deletion_timestamp.is_some()
    {
        return None;
    }
    let namespace = deployment.metadata.namespace.unwrap_or_default();
    let containers = deployment.spec?.template.spec?.containers;
    containers.iter().find_map(|container| {
        let arguments = container.args.as_deref().unwrap_or_default();
        match (
            container.name.as_str(),
            arguments.first().map(String::as_str),
        ) {
            ("spark-operator-controller", Some("controller")) => {
                Some(Program::Controller(ControllerOptions::parse(arguments)))
            }
            ("spark-operator-webhook", Some("webhook")) => Some(Program::Webhook(
                WebhookOptions::parse(arguments, &namespace),
            )),
            _ => None,
        }
    })
}

/// Start and end the programs as their Deployments come and go. Ends only when it cannot watch any more.
pub(super) async fn run(cx: SandboxContext) {
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(cx.client.clone(), sender);
    let _deployments = follower.follow(&resource("Deployment"), "");
    let mut programs: HashMap<(String, String), (Program, JoinSet<()>)> = HashMap::new();
    while let Some(change) = changes.recv().await {
        let metadata = &change.object.metadata;
        let key = (
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        let wanted = if change.deleted {
            None
        } else {
            running(&change.object)
        };
        if programs.get(&key).map(|(program, _)| program) == wanted.as_ref() {
            continue;
        }
        if let Some((_, mut tasks)) = programs.remove(&key) {
            tracing::info!(
                namespace = key.0,
                name = key.1,
                "the Spark operator's stand-in stops"
            );
            tasks.shutdown().await;
        }
        let Some(program) = wanted else { continue };
        tracing::info!(
            namespace = key.0,
            name = key.1,
            "the Spark operator's stand-in starts"
        );
        let mut tasks = JoinSet::new();
        match program.clone() {
            Program::Controller(options) => {
                drop(tasks.spawn(controller::run(cx.client.clone(), options)))
            }
            Program::Webhook(options) => drop(tasks.spawn(webhook::run(cx.clone(), options))),
        }
        programs.insert(key, (program, tasks));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(container: &str, program: &str, ready: i32) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "spark-operator"},
            "spec": {
                "selector": {},
                "template": {"spec": {"containers": [
                    {"name": container, "args": [program, "start", "--namespaces=default"]}
                ]}}
            },
            "status": {"readyReplicas": ready}
        }))
        .unwrap()
    }

    #[test]
    fn a_program_runs_while_a_pod_of_its_deployment_is_ready() {
        let controller = running(&deployment("spark-operator-controller", "controller", 1));
        assert!(
            matches!(controller, Some(Program::Controller(_))),
            "{controller:?}"
        );
        let webhook = running(&deployment("spark-operator-webhook", "webhook", 1));
        assert!(
            matches!(&webhook, Some(Program::Webhook(options)) if options.secret_namespace == "spark-operator")
        );
        assert_eq!(
            running(&deployment("spark-operator-controller", "controller", 0)),
            None
        );
        assert_eq!(running(&deployment("was", "controller", 1)), None);
    }
}
