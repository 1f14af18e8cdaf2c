//! Kubernetes' own kinds.
//!
//! The rules are those of `kubectl rollout status` and kstatus: the controller has seen the newest generation, and as
//! many replicas as wanted are updated and available.

use serde_json::Value;

use super::{
    Health,
    conditions::{condition, number, seen, words_of},
};

pub(super) fn namespace(object: &Value) -> Health {
    match object["status"]["phase"].as_str() {
        Some("Active") => Health::Ready("active".to_owned()),
        Some("Terminating") => Health::waiting("being deleted"),
        _ => Health::waiting("not active yet"),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(accepted) = condition(object, "NamesAccepted")
        && accepted.status == "False"
    {
        return Health::failed("STG010", words_of(&accepted, "its names are taken"));
    }
    match condition(object, "Established") {
        Some(established) if established.is_true() => Health::Ready("established".to_owned()),
        _ => Health::waiting("not established yet"),
    }
}

pub(super) fn claim(object: &Value) -> Health {
    match object["status"]["phase"].as_str() {
        Some("Bound") => Health::Ready("bound".to_owned()),
        Some("Lost") => Health::failed("STG011", "the volume behind the claim is gone"),
        _ => Health::waiting("waits for a volume"),
    }
}

pub(super) fn service(object: &Value) -> Health {
    if object["spec"]["type"] == "LoadBalancer" {
        let ingress = &object["status"]["loadBalancer"]["ingress"][0];
        let address = ingress["hostname"].as_str().or(ingress["ip"].as_str());
        return match address {
            Some(address) => Health::Ready(address.to_owned()),
            None => Health::waiting("waits for its load balancer"),
        };
    }
    Health::Ready("in place".to_owned())
}

pub(super) fn deployment(object: &Value) -> Health {
    if seen(object) != Some(true) {
        return Health::waiting("its controller has not seen it yet");
    }
    if let Some(progressing) = condition(object, "Progressing")
        && progressing.reason == "ProgressDeadlineExceeded"
    {
        return Health::failed(
            "POD005",
            words_of(&progressing, "the rollout made no progress"),
        );
    }
    let wanted = object["spec"]["replicas"].as_u64().map_or(1, clamp);
    let updated = number(object, "/status/updatedReplicas");
    let total = number(object, "/status/replicas");
    let available = number(object, "/status/availableReplicas");
    if updated < wanted {
        Health::counting(
            format!("{updated} of {wanted} pods updated"),
            updated,
            wanted,
        )
    } else if total > updated {
        Health::waiting(format!("{} old pods still end", total - updated))
    } else if available < wanted {
        Health::counting(
            format!("{available} of {wanted} pods available"),
            available,
            wanted,
        )
    } else {
        Health::Ready(format!("{wanted} of {wanted} pods"))
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if seen(object) != Some(true) {
        return Health::waiting("its controller has not seen it yet");
    }
    let wanted = object["spec"]["replicas"].as_u64().map_or(1, clamp);
    let ready = number(object, "/status/readyReplicas");
    let updated = number(object, "/status/updatedReplicas");
    let on_delete = object["spec"]["updateStrategy"]["type"] == "OnDelete";
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    if ready < wanted {
        Health::counting(format!("{ready} of {wanted} pods ready"), ready, wanted)
    } else if !on_delete && updated < wanted.saturating_sub(partition) {
        Health::counting(
            format!("{updated} of {wanted} pods updated"),
            updated,
            wanted,
        )
    } else {
        Health::Ready(format!("{wanted} of {wanted} pods"))
    }
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if seen(object) != Some(true) {
        return Health::waiting("its controller has not seen it yet");
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if updated < wanted {
        Health::counting(
            format!("{updated} of {wanted} pods updated"),
            updated,
            wanted,
        )
    } else if available < wanted {
        Health::counting(
            format!("{available} of {wanted} pods available"),
            available,
            wanted,
        )
    } else {
        Health::Ready(format!("{wanted} of {wanted} pods"))
    }
}

pub(super) fn job(object: &Value) -> Health {
    for kind in ["Failed", "FailureTarget"] {
        if let Some(failed) = condition(object, kind)
            && failed.is_true()
        {
            return Health::failed("POD006", words_of(&failed, "the job failed"));
        }
    }
    if condition(object, "Complete").is_some_and(|complete| complete.is_true()) {
        return Health::Ready("complete".to_owned());
    }
    let wanted = object["spec"]["completions"].as_u64().map_or(1, clamp);
    let done = number(object, "/status/succeeded");
    Health::counting(format!("{done} of {wanted} runs complete"), done, wanted)
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::judge;
    use super::*;

    fn deployment_with(status: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "was", "generation": 2},
            "spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn a_deployment_is_ready_only_in_its_newest_generation() {
        let full = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert!(judge(&deployment_with(full)).is_ready());
        let old = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert!(!judge(&deployment_with(old)).is_ready());
        assert!(!judge(&deployment_with(json!({}))).is_ready());
    }

    #[test]
    fn a_deployment_counts_what_is_missing() {
        let status = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1});
        assert_eq!(
            judge(&deployment_with(status)),
            Health::counting("1 of 2 pods available", 1, 2)
        );
        let rolling = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3});
        assert_eq!(
            judge(&deployment_with(rolling)),
            Health::waiting("1 old pods still end")
        );
    }

    #[test]
    fn a_rollout_that_gave_up_has_failed() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]});
        assert!(
            matches!(judge(&deployment_with(status)), Health::Failed(trouble) if trouble.cause == "timed out")
        );
    }

    #[test]
    fn definitions_namespaces_claims_and_jobs() {
        let definition = |conditions: Value| {
            judge(
                &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "x"}, "status": {"conditions": conditions}}),
            )
        };
        assert!(!definition(json!([])).is_ready());
        assert!(definition(json!([{"type": "Established", "status": "True"}])).is_ready());
        assert!(matches!(
            definition(json!([{"type": "NamesAccepted", "status": "False", "message": "taken"}])),
            Health::Failed(_)
        ));
        let claim = |phase: &str| {
            judge(
                &json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"},
                "status": {"phase": phase}}),
            )
        };
        assert!(claim("Bound").is_ready());
        assert!(!claim("Pending").is_ready());
        let job = |conditions: Value| {
            judge(
                &json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
                "spec": {}, "status": {"conditions": conditions}}),
            )
        };
        assert!(job(json!([{"type": "Complete", "status": "True"}])).is_ready());
        assert_eq!(
            job(json!([])),
            Health::counting("0 of 1 runs complete", 0, 1)
        );
        assert!(matches!(
            job(json!([{"type": "Failed", "status": "True"}])),
            Health::Failed(_)
        ));
    }

    #[test]
    fn stateful_and_daemon_sets_wait_for_updated_pods() {
        let set = |status: Value| {
            judge(
                &json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x", "generation": 1},
                "spec": {"replicas": 3}, "status": status}),
            )
        };
        assert_eq!(
            set(json!({"observedGeneration": 1, "readyReplicas": 1})),
            Health::counting("1 of 3 pods ready", 1, 3)
        );
        assert!(
            !set(json!({"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 1}))
                .is_ready()
        );
        assert!(
            set(json!({"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 3}))
                .is_ready()
        );
        let daemons = judge(&json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "x", "generation": 1}, "spec": {},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}}));
        assert_eq!(daemons, Health::counting("1 of 2 pods available", 1, 2));
    }
}
