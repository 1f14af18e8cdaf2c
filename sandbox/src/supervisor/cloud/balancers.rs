//! The service controller with the AWS cloud provider of an EKS cluster: services of type `LoadBalancer` get load balancers.
//!
//! It runs in EKS' control plane, so it works as long as the cluster is there, with nodes or without. What it left behind when
//! its cluster went stays in the account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, ServiceBalancer};
use crate::simulation::volumes::settled;

/// Kept by the service controller until the load balancer is gone (Kubernetes: garbage collecting load balancers).
const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
const TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-type";
const INTERNAL: &str = "service.beta.kubernetes.io/aws-load-balancer-internal";
const TAGS: &str = "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags";

/// How often the cloud provider tries to delete a group that is still in use, and for how long (`EnsureLoadBalancerDeleted`).
const GROUP_PAUSE: Duration = Duration::from_secs(10);
const GROUP_LIMIT: Duration = Duration::from_secs(600);
/// How long a service whose load balancer cannot be made is left alone at first and at most (Kubernetes: service controller).
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What is known of a service that has, or should have, a load balancer.
struct Known {
    /// As it was made last.
    made: Option<(ServiceBalancer, usize)>,
    /// Its load balancer is being deleted.
    going: bool,
    failures: u32,
    not_before: Option<tokio::time::Instant>,
}

struct Controller {
    aws: Arc<Aws>,
    cluster: String,
    client: kube::Client,
    events: Recorder,
    services: Store<Service>,
    nodes: Store<Node>,
    known: BTreeMap<String, Known>,
    /// Services whose load balancers are gone, by UID.
    gone: mpsc::UnboundedSender<String>,
}

/// Serve services until `stop`.
pub(super) async fn run(
    aws: Arc<Aws>,
    cluster: String,
    client: kube::Client,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = serve(aws, cluster, client) => {}
    }
}

async fn serve(aws: Arc<Aws>, cluster: String, client: kube::Client) {
    let (services, writer) = reflector::store::<Service>();
    let of_services = watcher(Api::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let (nodes, writer) = reflector::store::<Node>();
    let of_nodes = watcher(Api::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    let mut changes = std::pin::pin!(futures::stream::select(
        settled(of_services),
        settled(of_nodes)
    ));
    let reporter = Reporter {
        controller: "service-controller".to_owned(),
        instance: None,
    };
    let (sender, mut gone) = mpsc::unbounded_channel();
    let mut controller = Controller {
        aws,
        cluster,
        events: Recorder::new(client.clone(), reporter),
        client,
        services,
        nodes,
        known: BTreeMap::new(),
        gone: sender,
    };
    loop {
        let due = controller.known.values().filter_map(|one| one.not_before);
        let due = due.min();
        let again = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            Some(uid) = gone.recv() => controller.let_go(&uid).await,
            () = again => {}
        }
        // Both lists have to be complete; only this loop drives the watches, so that it must not wait for one.
        let of_services = controller.services.wait_until_ready().now_or_never();
        let of_nodes = controller.nodes.wait_until_ready().now_or_never();
        if of_services.is_none() || of_nodes.is_none() {
            continue;
        }
        controller.reconcile().await;
    }
}

/// What a service asks of the cloud provider; nothing when it asks none, or another controller.
fn wanted(service: &Service) -> Option<ServiceBalancer> {
    let spec = service.spec.as_ref()?;
    let annotations = service.annotations();
    let kind = annotations.get(TYPE).map(String::as_str);
    let elsewhere = matches!(kind, Some("external" | "nlb-ip"));
    if spec.type_.as_deref() != Some("LoadBalancer")
        || spec.load_balancer_class.is_some()
        || elsewhere
    {
        return None;
    }
    let internal = annotations.get(INTERNAL).map(String::as_str);
    let ports = spec.ports.iter().flatten().map(|port| {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        (
            protocol.to_owned(),
            i64::from(port.port),
            i64::from(port.node_port.unwrap_or_default()),
        )
    });
    let tags = annotations
        .get(TAGS)
        .map(String::as_str)
        .unwrap_or_default();
    let tag = |text: &str| {
        let (key, value) = text.trim().split_once('=').unwrap_or((text.trim(), ""));
        (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
    };
    let sources = spec.load_balancer_source_ranges.clone().unwrap_or_default();
    Some(ServiceBalancer {
        namespace: service.namespace().unwrap_or_default(),
        service: service.name_any(),
        name: balancer_name(&service.uid().unwrap_or_default()),
        network: kind == Some("nlb"),
        internal: internal.is_some_and(|text| !["", "false"].contains(&text)),
        ports: ports.collect(),
        sources: if sources.is_empty() {
            vec!["0.0.0.0/0".to_owned()]
        } else {
            sources
        },
        tags: tags.split(',').filter_map(tag).collect(),
    })
}

/// Cloud provider: `DefaultLoadBalancerName`.
fn balancer_name(uid: &str) -> String {
    let name = format!("a{}", uid.replace('-', ""));
    name.chars().take(32).collect()
}

fn has_finalizer(service: &Service) -> bool {
    service.finalizers().iter().any(|one| one == FINALIZER)
}

impl Controller {
    async fn reconcile(&mut self) {
        let all = self.services.state();
        self.known
            .retain(|uid, _| all.iter().any(|one| one.uid().as_ref() == Some(uid)));
        for service in all {
            let deleted = service.metadata.deletion_timestamp.is_some();
            match wanted(&service) {
                Some(wanted) if !deleted => self.ensure(&service, wanted).await,
                _ if has_finalizer(&service) => self.release(&service).await,
                _ => {}
            }
        }
    }

    fn known(&mut self, service: &Service) -> &mut Known {
        let uid = service.uid().unwrap_or_default();
        self.known.entry(uid).or_insert(Known {
            made: None,
            going: false,
            failures: 0,
            not_before: None,
        })
    }

    async fn ensure(&mut self, service: &Service, wanted: ServiceBalancer) {
        let nodes = self.nodes.state().len();
        let now = tokio::time::Instant::now();
        let known = self.known(service);
        let same = known.made.as_ref() == Some(&(wanted.clone(), nodes));
        let waits = known.not_before.is_some_and(|time| time > now);
        if same || waits || known.going {
            return;
        }
        let first = known.made.is_none();
        known.not_before = None;
        if first {
            let note = "Ensuring load balancer".to_owned();
            self.say(service, EventType::Normal, "EnsuringLoadBalancer", note)
                .await;
        }
        let outcome = self.made(service, &wanted).await;
        let known = self.known(service);
        match outcome {
            Ok(()) => {
                known.made = Some((wanted, nodes));
                known.failures = 0;
                if first {
                    let note = "Ensured load balancer".to_owned();
                    self.say(service, EventType::Normal, "EnsuredLoadBalancer", note)
                        .await;
                }
            }
            Err(reason) => {
                known.failures += 1;
                let pause = FIRST_PAUSE * 2_u32.saturating_pow(known.failures.min(8) - 1);
                let pause = pause.min(LONGEST_PAUSE);
                let pause = self.aws.scaled(pause);
                self.known(service).not_before = Some(now + pause);
                let note = format!(
                    "Error syncing load balancer: failed to ensure load balancer: {reason}"
                );
                self.say(service, EventType::Warning, "SyncLoadBalancerFailed", note)
                    .await;
            }
        }
    }

    /// The finalizer first, then the load balancer, then what the service shows of it.
    async fn made(&self, service: &Service, wanted: &ServiceBalancer) -> Result<(), String> {
        let services = self.services_of(service);
        let name = service.name_any();
        if !has_finalizer(service) {
            let mut finalizers = service.finalizers().to_vec();
            finalizers.push(FINALIZER.to_owned());
            let patch = json!({"metadata": {
                "finalizers": finalizers, "resourceVersion": service.resource_version(),
            }});
            services
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map_err(|error| error.to_string())?;
        }
        let host = self.aws.ensure_balancer(&self.cluster, wanted)?;
        let patch = json!({"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}});
        services
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The load balancer goes at once; the finalizer when its security group could be deleted.
    async fn release(&mut self, service: &Service) {
        let known = self.known(service);
        if known.going {
            return;
        }
        known.going = true;
        known.made = None;
        known.not_before = None;
        let note = "Deleting load balancer".to_owned();
        self.say(service, EventType::Normal, "DeletingLoadBalancer", note)
            .await;
        let uid = service.uid().unwrap_or_default();
        let groups = self
            .aws
            .release_balancer(&self.cluster, &balancer_name(&uid));
        let (aws, cluster, gone) = (
            Arc::clone(&self.aws),
            self.cluster.clone(),
            self.gone.clone(),
        );
        // Ends with its limit at the latest; when the cluster has ended before, nobody listens to it.
        tokio::spawn(async move {
            let since = tokio::time::Instant::now();
            let (pause, limit) = (aws.scaled(GROUP_PAUSE), aws.scaled(GROUP_LIMIT));
            let mut left = groups;
            loop {
                left.retain(|group| !aws.forget_group(&cluster, group));
                // Past the limit the next attempt finds no load balancer any more, and forgets about the group.
                if left.is_empty() || since.elapsed() >= limit || gone.is_closed() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            let _ = gone.send(uid);
        });
    }

    /// Take the finalizer off, and what the service shows of its load balancer.
    async fn let_go(&mut self, uid: &str) {
        let all = self.services.state();
        let Some(service) = all.iter().find(|one| one.uid().as_deref() == Some(uid)) else {
            return;
        };
        let services = self.services_of(service);
        let name = service.name_any();
        if service.metadata.deletion_timestamp.is_none() {
            let patch = json!({"status": {"loadBalancer": null}});
            let cleared = services
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await;
            if let Err(error) = cleared {
                tracing::debug!(%error, "a service still shows its load balancer");
            }
        }
        for _ in 0..5 {
            let Ok(Some(now)) = services.get_opt(&name).await else {
                break;
            };
            let rest: Vec<&String> = now
                .finalizers()
                .iter()
                .filter(|one| *one != FINALIZER)
                .collect();
            let patch = json!({"metadata": {
                "finalizers": rest, "resourceVersion": now.resource_version(),
            }});
            let patched = services
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await;
            if patched.is_ok() {
                break;
            }
        }
        let note = "Deleted load balancer".to_owned();
        self.say(service, EventType::Normal, "DeletedLoadBalancer", note)
            .await;
        self.known.remove(uid);
    }

    fn services_of(&self, service: &Service) -> Api<Service> {
        let namespace = service.namespace().unwrap_or_default();
        Api::namespaced(self.client.clone(), &namespace)
    }

    async fn say(&self, service: &Service, type_: EventType, reason: &str, note: String) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: reason.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.events.publish(&event, &service.object_ref(&())).await {
            tracing::debug!(%error, "an event was lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(annotations: serde_json::Value, spec: serde_json::Value) -> Service {
        let mut all = json!({"type": "LoadBalancer", "ports": [{"port": 9094, "nodePort": 31000}]});
        for (key, value) in spec.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        serde_json::from_value(json!({
            "metadata": {
                "name": "bootstrap", "namespace": "kafka", "annotations": annotations,
                "uid": "5ddc1f32-8a1c-4f0e-9d62-3f0a1f6f2a77",
            },
            "spec": all,
        }))
        .unwrap()
    }

    #[test]
    fn a_service_gets_what_it_asks_for() {
        let plain = wanted(&service(json!({}), json!({}))).unwrap();
        assert_eq!(plain.name, "a5ddc1f328a1c4f0e9d623f0a1f6f2a7");
        assert_eq!(plain.name.len(), 32);
        assert!(!plain.network && !plain.internal);
        assert_eq!(plain.ports, [("TCP".to_owned(), 9094, 31000)]);
        assert_eq!(plain.sources, ["0.0.0.0/0"]);
        let annotations = json!({TYPE: "nlb", INTERNAL: "true", TAGS: "team=data, empty"});
        let network = wanted(&service(
            annotations,
            json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
        ));
        let network = network.unwrap();
        assert!(network.network && network.internal);
        assert_eq!(network.sources, ["10.0.0.0/8"]);
        assert_eq!(network.tags["team"], "data");
        assert_eq!(network.tags["empty"], "");
    }

    #[test]
    fn what_another_controller_sees_to_is_left_alone() {
        let none = json!({});
        assert_eq!(
            wanted(&service(json!({TYPE: "external"}), none.clone())),
            None
        );
        let class = json!({"loadBalancerClass": "service.k8s.aws/nlb"});
        assert_eq!(wanted(&service(none.clone(), class)), None);
        assert_eq!(wanted(&service(none, json!({"type": "ClusterIP"}))), None);
    }
}
