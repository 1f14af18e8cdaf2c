//! The stand-in for Strimzi: cluster operators, and the topic and user operators that clusters declare.

mod checks;
mod cluster;
mod config;
mod disks;
mod entity_operator;
mod guards;
mod kafka;
mod kinds;
mod labels;
mod nodes;
mod operator;
mod pods;
mod roll;
mod secrets;
mod services;
mod settings;
mod status;
mod topic_config;
mod topics;
mod users;

#[cfg(test)]
mod observed;

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::DynamicObject;
use pipectl_kinds::strimzi::releases::runs_on_kubernetes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::disks::Disks;
use self::kinds::Kinds;
use self::settings::{OPERATOR_SELECTOR, Settings};
use super::common::object::annotation;
use super::common::{Feed, Follower, Writer, is_going, is_ready_pod, resource};
use crate::SandboxContext;
use crate::simulation::switches::FAIL;

/// Runs the stand-in until the sandbox stops.
pub async fn run(cx: SandboxContext) {
    let minor = loop {
        match cx.client.apiserver_version().await {
            Ok(info) => break info.minor.trim_end_matches('+').parse().unwrap_or(u32::MAX),
            Err(error) => {
                tracing::debug!(%error, "the API server's version is not known yet");
                tokio::select! {
                    () = cx.shutdown.cancelled() => return,
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                }
            }
        }
    };
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(cx.client.clone(), sender);
    let definitions = follower.follow(&resource("CustomResourceDefinition"), "");
    let operator_pods = follower.follow(&resource("Pod"), OPERATOR_SELECTOR);
    let mut running = Running {
        cx: cx.clone(),
        minor,
        disks: Arc::new(Disks::open(&cx.dir)),
        writer: Writer::new(cx.client.clone(), "strimzi-cluster-operator"),
        entity: None,
        operators: HashMap::new(),
    };
    loop {
        running.adjust(&definitions, &operator_pods).await;
        tokio::select! {
            () = cx.shutdown.cancelled() => break,
            change = changes.recv() => if change.is_none() { break },
        }
        while changes.try_recv().is_ok() {}
    }
    running.stop();
}

/// What runs now.
struct Running {
    cx: SandboxContext,
    minor: u32,
    disks: Arc<Disks>,
    writer: Writer,
    /// The topic and user operators of every cluster, for these kinds.
    entity: Option<(Kinds, CancellationToken)>,
    /// Cluster operators by namespace.
    operators: HashMap<String, (Settings, Kinds, CancellationToken)>,
}

impl Running {
    /// Starts and stops what the definitions and the operators' pods ask for.
    async fn adjust(&mut self, definitions: &Feed, operator_pods: &Feed) {
        let definitions = definitions.state();
        let kinds = Kinds::served(definitions.iter().map(AsRef::as_ref));
        if self.entity.as_ref().map(|(kinds, _)| kinds) != kinds.as_ref() {
            if let Some((_, token)) = self.entity.take() {
                token.cancel();
            }
            if let Some(kinds) = &kinds {
                let token = self.cx.shutdown.child_token();
                let entity = operator::entities(
                    self.cx.client.clone(),
                    kinds.clone(),
                    Arc::clone(&self.disks),
                );
                tokio::spawn(token.clone().run_until_cancelled_owned(entity));
                self.entity = Some((kinds.clone(), token));
            }
        }
        let wanted = self.wanted(&operator_pods.state()).await;
        self.operators.retain(|namespace, (settings, of, token)| {
            let keep = wanted.get(namespace) == Some(settings) && kinds.as_ref() == Some(of);
            if !keep {
                tracing::info!(
                    namespace,
                    version = settings.version,
                    "the cluster operator's stand-in stops"
                );
                token.cancel();
            }
            keep
        });
        let Some(kinds) = kinds else { return };
        for (namespace, settings) in wanted {
            if self.operators.contains_key(&namespace) {
                continue;
            }
            tracing::info!(
                namespace,
                version = settings.version,
                "the cluster operator's stand-in starts"
            );
            let token = self.cx.shutdown.child_token();
            let cluster_operator = operator::clusters(
                self.cx.client.clone(),
                settings.clone(),
                kinds.clone(),
                Arc::clone(&self.disks),
            );
            tokio::spawn(token.clone().run_until_cancelled_owned(cluster_operator));
            self.operators
                .insert(namespace, (settings, kinds.clone(), token));
        }
    }

    /// The settings of the leading operator of each namespace: its oldest ready pod. Pods of a release that cannot run
    /// on this Kubernetes crash.
    async fn wanted(&self, pods: &[Arc<DynamicObject>]) -> HashMap<String, Settings> {
        let mut oldest: HashMap<String, (String, Settings)> = HashMap::new();
        for pod in pods {
            let Some(settings) = Settings::of(pod) else {
                continue;
            };
            if !runs_on_kubernetes(&settings.version, self.minor) {
                self.crash(pod, &settings).await;
                continue;
            }
            if !is_ready_pod(pod) {
                continue;
            }
            let created =
                serde_json::to_string(&pod.metadata.creation_timestamp).unwrap_or_default();
            let earlier = oldest
                .get(&settings.namespace)
                .is_some_and(|(other, _)| *other <= created);
            if !earlier {
                oldest.insert(settings.namespace.clone(), (created, settings));
            }
        }
        oldest
            .into_iter()
            .map(|(namespace, (_, settings))| (namespace, settings))
            .collect()
    }

    async fn crash(&self, pod: &DynamicObject, settings: &Settings) {
        if is_going(pod) || annotation(pod, FAIL).is_some() {
            return;
        }
        let name = pod.metadata.name.clone().unwrap_or_default();
        let change = json!({"metadata": {"annotations": {
            FAIL: "crash",
            LAST_LOG: format!(
                "Strimzi {} cannot read the version of Kubernetes 1.{}: unrecognized property emulationMajor",
                settings.version, self.minor
            ),
        }}});
        if let Err(error) = self
            .writer
            .merge(&resource("Pod"), &settings.namespace, &name, &change)
            .await
        {
            tracing::warn!(%error, "a pod that cannot run here was not made to crash");
        }
    }

    fn stop(self) {
        for (_, _, token) in self.operators.into_values() {
            token.cancel();
        }
        if let Some((_, token)) = self.entity {
            token.cancel();
        }
    }
}

/// Annotation with the last line that a real container would have logged before it crashed.
pub const LAST_LOG: &str = "sandbox.pipectl.dev/last-log";
