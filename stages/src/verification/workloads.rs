//! Checks of pods, workloads and services: `kubectl get pods --all-namespaces`, `kubectl get svc -n was`.

use jiff::Timestamp;
use pipectl_kinds::strimzi::CLUSTER_LABEL;
use serde_json::Value;

use super::{check::Check, kafka::health_words, look::Look};
use crate::{
    health::{
        Health,
        pods::{Patience, judge, selects},
    },
    ports::objects::ObjectRef,
    spark_operator::ready_endpoints,
};

/// Every pod of the pipeline runs and is ready, namespace by namespace.
pub(super) fn pods(look: &Look) -> Vec<Check> {
    let mut checks = Vec::new();
    for namespace in look.pods.keys() {
        let own: Vec<&Value> = look
            .pods_in(namespace)
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter(|pod| look.own_namespace(namespace) || is_ours(look, namespace, pod))
            .collect();
        if own.is_empty() {
            continue;
        }
        let mut ready = 0;
        let mut worst = None;
        for pod in &own {
            match judge(pod, Timestamp::now(), &Patience::default()) {
                Health::Ready(_) => ready += 1,
                Health::InProgress { words, .. } => {
                    worst.get_or_insert((pod["metadata"]["name"].clone(), words));
                }
                Health::Failed(trouble) => {
                    worst = Some((pod["metadata"]["name"].clone(), trouble.cause));
                }
            }
        }
        let total = own.len();
        let seen = match worst {
            None => format!("{ready} of {total} ready"),
            Some((name, words)) => format!(
                "{ready} of {total} ready; {}: {words}",
                name.as_str().unwrap_or_default()
            ),
        };
        checks.push(
            Check::new(
                format!("pods/{namespace}"),
                format!("pods in {namespace}"),
                "all running and ready",
                seen,
                ready == total,
            )
            .by(format!("kubectl get pods -n {namespace}")),
        );
    }
    checks
}

/// Whether a pod in a namespace that others use too belongs to the pipeline.
fn is_ours(look: &Look, namespace: &str, pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    let app = labels["sparkoperator.k8s.io/app-name"].as_str();
    let of_application = look
        .loaded
        .pipeline
        .spec
        .spark_applications
        .iter()
        .any(|declared| declared.namespace == namespace && app == Some(declared.name.as_str()));
    let of_kafka = look.declared_kafka().is_some_and(|kafka| {
        kafka.namespace == namespace && labels[CLUSTER_LABEL] == kafka.name.as_str()
    });
    let of_workload = look
        .deployments
        .iter()
        .chain(&look.stateful_sets)
        .any(|workload| {
            workload["metadata"]["namespace"] == namespace
                && selects(&workload["spec"]["selector"], labels)
        });
    of_application || of_kafka || of_workload
}

/// Every deployment and stateful set has its replicas.
pub(super) fn replicas(look: &Look) -> Vec<Check> {
    look.deployments
        .iter()
        .chain(&look.stateful_sets)
        .map(|workload| {
            let at = ObjectRef::of(workload);
            let namespace = at.namespace.clone().unwrap_or_default();
            let wanted = workload["spec"]["replicas"].as_u64().unwrap_or(1);
            let ready = workload["status"]["readyReplicas"].as_u64().unwrap_or(0);
            let (words, healthy) = health_words(Some(workload));
            Check::new(
                format!("workloads/{namespace}/{}", at.name),
                format!("{} {namespace}/{}", at.kind.kind.to_lowercase(), at.name),
                format!("{wanted} of {wanted} replicas ready"),
                if healthy || ready < wanted {
                    format!("{ready} of {wanted} replicas ready")
                } else {
                    words
                },
                healthy && ready == wanted,
            )
            .by(format!(
                "kubectl get {} {} -n {namespace}",
                at.kind.kind.to_lowercase(),
                at.name
            ))
        })
        .collect()
}

/// Every service has its declared ports and somebody behind it.
pub(super) fn services(look: &Look) -> Vec<Check> {
    let loaded = &look.loaded;
    let mut checks = Vec::new();
    for workload in loaded
        .pipeline
        .spec
        .workloads
        .iter()
        .filter(|workload| workload.enabled)
    {
        let objects = loaded.workload_objects(&workload.name);
        for declared in objects.iter().filter(|object| object.kind() == "Service") {
            let namespace = declared.namespace().unwrap_or(&workload.namespace);
            checks.push(service(look, namespace, &declared.to_value()));
        }
    }
    checks
}

fn service(look: &Look, namespace: &str, declared: &Value) -> Check {
    let name = declared["metadata"]["name"].as_str().unwrap_or_default();
    let found = look.services.iter().map(AsRef::as_ref);
    let live = found
        .into_iter()
        .find(|live| super::look::named(live, namespace, name));
    let has_selector = declared["spec"]["selector"]
        .as_object()
        .is_some_and(|map| !map.is_empty());
    let slices = look.slices.get(namespace).map_or(&[][..], Vec::as_slice);
    let endpoints = ready_endpoints(slices, name);
    let seen = live.map_or_else(|| "it is not there".to_owned(), describe);
    let as_declared = live.is_some_and(|live| ports_fit(declared, live));
    Check::new(
        format!("services/{namespace}/{name}"),
        format!("service {namespace}/{name}"),
        format!("{}, with endpoints", describe(declared)),
        format!("{seen}, {endpoints} endpoints"),
        as_declared && (endpoints > 0 || !has_selector),
    )
    .by(format!("kubectl get svc,endpointslices -n {namespace}"))
}

/// Type and ports of a service: `NodePort 80:30080`.
fn describe(service: &Value) -> String {
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP");
    let ports: Vec<String> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| match port["nodePort"].as_u64() {
            Some(node) => format!("{}:{node}", port["port"]),
            None => port["port"].to_string(),
        })
        .collect();
    format!("{kind} {}", ports.join(", "))
}

/// Whether a live service has the declared type and ports; what was not declared may be anything.
fn ports_fit(declared: &Value, live: &Value) -> bool {
    let kind = |service: &Value| {
        service["spec"]["type"]
            .as_str()
            .unwrap_or("ClusterIP")
            .to_owned()
    };
    let live_ports = live["spec"]["ports"].as_array();
    kind(declared) == kind(live)
        && declared["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .all(|wanted| {
                live_ports.into_iter().flatten().any(|port| {
                    port["port"] == wanted["port"]
                        && (wanted["nodePort"].is_null() || wanted["nodePort"] == port["nodePort"])
                        && (wanted["targetPort"].is_null()
                            || wanted["targetPort"] == port["targetPort"])
                })
            })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_fits_by_type_and_declared_ports() {
        let declared = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]}});
        let mut live = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "TCP"}]}});
        assert!(ports_fit(&declared, &live));
        assert_eq!(describe(&live), "NodePort 80:30080");
        live["spec"]["ports"][0]["nodePort"] = json!(30081);
        assert!(!ports_fit(&declared, &live));
    }
}
