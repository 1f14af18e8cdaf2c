//! Pods: what they wait for in words, and when waiting is in vain.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Health, Trouble, conditions::condition};

/// How long, and how often, trouble may last before it counts as lasting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From a pod's scheduling to giving up on an image that cannot be pulled.
    pub image: Duration,
    /// From a pod's creation to giving up on finding it a node; new nodes may be on their way.
    pub scheduling: Duration,
    /// From a pod's scheduling to giving up on a container that cannot be created (a missing ConfigMap or Secret).
    pub creation: Duration,
    /// Restarts of a container that crashes again and again.
    pub restarts: u32,
    /// Trouble is counted from here on at the earliest: what was mended before a run gets its time in that run.
    pub not_before: Option<Timestamp>,
    /// Pods made before this are about to be replaced: their trouble is not lasting.
    pub replaced_before: Option<Timestamp>,
    /// When the last node came; a pod without a node waits from here on at the earliest, since nodes that boot take it.
    pub nodes_since: Option<Timestamp>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            image: Duration::from_secs(90),
            scheduling: Duration::from_secs(300),
            creation: Duration::from_secs(90),
            restarts: 5,
            not_before: None,
            replaced_before: None,
            nodes_since: None,
        }
    }
}

impl Patience {
    /// Whether a time is longer ago than this bound, counted from `not_before` at the earliest.
    fn over(&self, since: Option<&str>, now: Timestamp, bound: Duration) -> bool {
        let since = since.and_then(|text| text.parse::<Timestamp>().ok());
        since
            .map(|start| self.not_before.map_or(start, |floor| floor.max(start)))
            .is_some_and(|start| {
                now.duration_since(start)
                    .try_into()
                    .is_ok_and(|age: Duration| age > bound)
            })
    }

    /// Whether something happened within the time that counts; what says no time counts.
    fn counts(&self, happened: Option<&str>) -> bool {
        let happened = happened.and_then(|text| text.parse::<Timestamp>().ok());
        match (happened, self.not_before) {
            (Some(happened), Some(floor)) => happened >= floor,
            _ => true,
        }
    }
}

/// How a pod is, at this time and with this patience.
#[must_use]
pub fn judge(pod: &Value, now: Timestamp, patience: &Patience) -> Health {
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => return Health::Ready("completed".to_owned()),
        Some("Failed") => return Health::Failed(ended(pod)),
        _ => {}
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.status == "False"
    {
        let cause = [scheduled.message, scheduled.reason]
            .into_iter()
            .find(|words| !words.is_empty())
            .unwrap_or("no node");
        let from_nodes_on = Patience {
            not_before: patience.not_before.max(patience.nodes_since),
            ..*patience
        };
        if from_nodes_on.over(
            pod["metadata"]["creationTimestamp"].as_str(),
            now,
            patience.scheduling,
        ) {
            return Health::Failed(Trouble {
                code: "POD003",
                cause: format!("no node takes it: {cause}"),
                hint: Some(
                    "add or enlarge nodes, or lower what the pod asks for; `kubectl describe node` shows what is free"
                        .to_owned(),
                ),
                evidence: vec![line(pod, cause)],
            });
        }
        return Health::waiting(format!("no node takes it yet: {cause}"));
    }
    let since = condition(pod, "PodScheduled").map(|condition| condition.since);
    for status in containers(pod) {
        if let Some(health) = judge_container(pod, status, since, now, patience) {
            return health;
        }
    }
    if condition(pod, "Ready").is_some_and(|ready| ready.is_true()) {
        return Health::Ready("ready".to_owned());
    }
    if pod["spec"]["nodeName"].as_str().is_none() {
        return Health::waiting("waits for a node");
    }
    if containers(pod).all(|status| status["state"]["running"].is_object())
        && containers(pod).count() > 0
    {
        return Health::waiting("runs, not ready yet");
    }
    Health::waiting("starting")
}

/// Init containers first: nothing else starts before they end.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
}

/// `None` when nothing is wrong with the container.
fn judge_container(
    pod: &Value,
    status: &Value,
    since: Option<&str>,
    now: Timestamp,
    patience: &Patience,
) -> Option<Health> {
    let name = status["name"].as_str().unwrap_or_default();
    let image = status["image"].as_str().unwrap_or_default();
    let waiting = &status["state"]["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    let last = &status["lastState"]["terminated"];
    let last_reason = last["reason"].as_str().unwrap_or_default();
    let lasting = |code, cause: String, hint: &str| {
        Some(Health::Failed(Trouble {
            code,
            cause,
            hint: Some(hint.to_owned()),
            evidence: vec![line(pod, &format!("container {name}: {reason} {message}"))],
        }))
    };
    match reason {
        "InvalidImageName" => lasting(
            "POD001",
            format!("{image} is no image name"),
            "correct the image in the pipeline file",
        ),
        "ImagePullBackOff" | "ErrImagePull" | "ErrImageNeverPull" => {
            let words = if message.is_empty() { reason } else { message };
            if patience.over(since, now, patience.image) {
                lasting(
                    "POD001",
                    format!("image {image} cannot be pulled: {words}"),
                    "check the image's name and tag, and whether nodes may pull it (mirrors.images, pull secrets)",
                )
            } else {
                Some(Health::waiting(format!("image {image}: {words}")))
            }
        }
        "CrashLoopBackOff" => {
            let why = ended_words(last);
            let counts = patience.counts(last["finishedAt"].as_str());
            if restarts >= u64::from(patience.restarts) && counts {
                let code = if last_reason == "OOMKilled" {
                    "POD004"
                } else {
                    "POD002"
                };
                lasting(
                    code,
                    format!("container {name} crashed {restarts} times: {why}"),
                    if code == "POD004" {
                        "raise the container's memory limit, or the program's own bound below it"
                    } else {
                        "read what it said: kubectl logs --previous"
                    },
                )
            } else {
                Some(Health::waiting(format!(
                    "container {name} crashed {restarts} times: {why}"
                )))
            }
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            if patience.over(since, now, patience.creation) {
                lasting(
                    "POD007",
                    format!("container {name} cannot be created: {message}"),
                    "create what it names, or correct the name",
                )
            } else {
                Some(Health::waiting(format!("container {name}: {message}")))
            }
        }
        "ContainerCreating" | "PodInitializing" => Some(Health::waiting(if image.is_empty() {
            "starting".to_owned()
        } else {
            "pulling image".to_owned()
        })),
        _ if status["state"]["terminated"].is_object()
            && status["state"]["terminated"]["exitCode"] != 0 =>
        {
            Some(Health::waiting(format!(
                "container {name} ended: {}",
                ended_words(&status["state"]["terminated"])
            )))
        }
        _ => None,
    }
}

fn ended_words(terminated: &Value) -> String {
    let reason = terminated["reason"].as_str().unwrap_or("ended");
    match terminated["exitCode"].as_i64() {
        Some(code) if reason != "OOMKilled" => format!("{reason}, exit code {code}"),
        _ => reason.to_owned(),
    }
}

/// A pod that ended for good.
fn ended(pod: &Value) -> Trouble {
    let evicted = pod["status"]["reason"].as_str();
    let killed = containers(pod)
        .map(|status| &status["state"]["terminated"])
        .find(|terminated| {
            terminated["exitCode"]
                .as_i64()
                .is_some_and(|code| code != 0)
        });
    let oom = killed.is_some_and(|terminated| terminated["reason"] == "OOMKilled");
    let cause = match (evicted, killed) {
        (Some(reason), _) => format!(
            "{reason}: {}",
            pod["status"]["message"].as_str().unwrap_or_default()
        ),
        (None, Some(terminated)) => ended_words(terminated),
        (None, None) => "it failed".to_owned(),
    };
    Trouble {
        code: if oom { "POD004" } else { "POD002" },
        evidence: vec![line(pod, &cause)],
        cause,
        hint: Some("read what it said: kubectl logs".to_owned()),
    }
}

fn line(pod: &Value, words: &str) -> String {
    format!(
        "pod {}/{}: {}",
        pod["metadata"]["namespace"].as_str().unwrap_or_default(),
        pod["metadata"]["name"].as_str().unwrap_or_default(),
        words.trim()
    )
}

/// Whether a set of labels satisfies a workload's `spec.selector` (or a service's plain map).
#[must_use]
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let plain = selector.get("matchLabels").unwrap_or(selector);
    let Some(wanted) = plain.as_object().filter(|wanted| !wanted.is_empty()) else {
        return false;
    };
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// What the pods of a set say that are not ready: the worst one, in words, or the failure of one that cannot become
/// ready. `None` when all are ready or there are none.
#[must_use]
pub fn worst<'a>(
    pods: impl IntoIterator<Item = &'a Value>,
    now: Timestamp,
    patience: &Patience,
) -> Option<(String, Health)> {
    let mut found: Option<(String, Health)> = None;
    for pod in pods {
        if pod["metadata"]["deletionTimestamp"].is_string() {
            continue;
        }
        let name = pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let created = pod["metadata"]["creationTimestamp"].as_str();
        let created = created.and_then(|text| text.parse::<Timestamp>().ok());
        let old = created.zip(patience.replaced_before);
        match judge(pod, now, patience) {
            Health::Ready(_) => {}
            Health::Failed(trouble) if old.is_some_and(|(created, applied)| created < applied) => {
                found.get_or_insert((name, Health::waiting(trouble.cause)));
            }
            failed @ Health::Failed(_) => return Some((name, failed)),
            // "starting" says less than any other words.
            waiting @ Health::InProgress { .. } => {
                let dull = matches!(&found, Some((_, Health::InProgress { words, .. })) if words == "starting");
                if found.is_none() || dull {
                    found = Some((name, waiting));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const START: &str = "2026-01-01T00:00:00Z";

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = START.parse().unwrap();
        start + jiff::SignedDuration::from_secs(seconds)
    }

    fn pod(container: Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "n", "creationTimestamp": START},
            "spec": {"nodeName": "node"},
            "status": {"phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": START}],
                "containerStatuses": [container]}})
    }

    fn waiting_for(reason: &str, restarts: u64, last: Value) -> Value {
        pod(
            json!({"name": "c", "image": "i:1", "restartCount": restarts,
            "state": {"waiting": {"reason": reason, "message": "words"}}, "lastState": {"terminated": last}}),
        )
    }

    #[test]
    fn an_image_that_cannot_be_pulled_fails_after_bounded_patience() {
        let stuck = waiting_for("ImagePullBackOff", 0, json!({}));
        let patience = Patience::default();
        assert_eq!(
            judge(&stuck, at(10), &patience),
            Health::waiting("image i:1: words")
        );
        assert!(
            matches!(judge(&stuck, at(600), &patience), Health::Failed(trouble) if trouble.code == "POD001")
        );
    }

    #[test]
    fn crashes_fail_after_some_restarts_and_name_the_reason() {
        let patience = Patience::default();
        let few = waiting_for(
            "CrashLoopBackOff",
            2,
            json!({"reason": "Error", "exitCode": 3}),
        );
        assert_eq!(
            judge(&few, at(10), &patience),
            Health::waiting("container c crashed 2 times: Error, exit code 3")
        );
        let many = waiting_for(
            "CrashLoopBackOff",
            5,
            json!({"reason": "OOMKilled", "exitCode": 137}),
        );
        assert!(matches!(judge(&many, at(10), &patience),
            Health::Failed(trouble) if trouble.code == "POD004" && trouble.cause.ends_with("5 times: OOMKilled")));
    }

    #[test]
    fn unschedulable_quotes_the_scheduler_and_ends_after_a_while() {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "creationTimestamp": START}, "spec": {},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}});
        let patience = Patience::default();
        assert_eq!(
            judge(&pod, at(10), &patience),
            Health::waiting("no node takes it yet: 0/3 nodes are available: 3 Insufficient cpu.")
        );
        assert!(
            matches!(judge(&pod, at(1000), &patience), Health::Failed(trouble) if trouble.code == "POD003")
        );
    }

    #[test]
    fn a_pod_without_a_node_waits_as_long_as_nodes_still_come() {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "creationTimestamp": START}, "spec": {},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "no nodes available to schedule pods"}]}});
        let patience = Patience {
            nodes_since: Some(at(900)),
            ..Patience::default()
        };
        assert!(matches!(
            judge(&pod, at(1000), &patience),
            Health::InProgress { .. }
        ));
        assert!(
            matches!(judge(&pod, at(1300), &patience), Health::Failed(trouble) if trouble.code == "POD003")
        );
    }

    #[test]
    fn pulling_running_and_ready_are_told_apart() {
        let patience = Patience::default();
        assert_eq!(
            judge(
                &waiting_for("ContainerCreating", 0, json!({})),
                at(1),
                &patience
            ),
            Health::waiting("pulling image")
        );
        let mut running = pod(json!({"name": "c", "state": {"running": {}}}));
        assert_eq!(
            judge(&running, at(1), &patience),
            Health::waiting("runs, not ready yet")
        );
        running["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert!(judge(&running, at(1), &patience).is_ready());
    }

    #[test]
    fn a_missing_config_map_and_a_failed_pod_are_lasting() {
        let patience = Patience::default();
        let config = waiting_for("CreateContainerConfigError", 0, json!({}));
        assert!(matches!(
            judge(&config, at(10), &patience),
            Health::InProgress { .. }
        ));
        assert!(
            matches!(judge(&config, at(600), &patience), Health::Failed(trouble) if trouble.code == "POD007")
        );
        let mut failed =
            pod(json!({"name": "c", "state": {"terminated": {"reason": "Error", "exitCode": 1}}}));
        failed["status"]["phase"] = json!("Failed");
        assert!(
            matches!(judge(&failed, at(1), &patience), Health::Failed(trouble) if trouble.cause == "Error, exit code 1")
        );
    }

    #[test]
    fn what_was_mended_before_the_run_gets_its_time() {
        let stuck = waiting_for("ImagePullBackOff", 0, json!({}));
        let patience = Patience {
            not_before: Some(at(580)),
            ..Patience::default()
        };
        assert!(matches!(
            judge(&stuck, at(600), &patience),
            Health::InProgress { .. }
        ));
        assert!(matches!(
            judge(&stuck, at(700), &patience),
            Health::Failed(_)
        ));
        let ended = |second: &str| json!({"reason": "Error", "exitCode": 1, "finishedAt": format!("2026-01-01T00:{second}Z")});
        let before = waiting_for("CrashLoopBackOff", 9, ended("09:00"));
        assert!(matches!(
            judge(&before, at(600), &patience),
            Health::InProgress { .. }
        ));
        let again = waiting_for("CrashLoopBackOff", 9, ended("09:50"));
        assert!(matches!(
            judge(&again, at(600), &patience),
            Health::Failed(_)
        ));
    }

    #[test]
    fn pods_that_are_about_to_be_replaced_do_not_fail_a_rollout() {
        let stuck = waiting_for("ImagePullBackOff", 0, json!({}));
        let patience = Patience {
            replaced_before: Some(at(500)),
            ..Patience::default()
        };
        let (_, health) = worst([&stuck], at(600), &patience).unwrap();
        assert!(matches!(health, Health::InProgress { .. }));
    }

    #[test]
    fn the_worst_pod_speaks() {
        let patience = Patience::default();
        let starting =
            pod(json!({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}));
        let mut crashing = waiting_for(
            "CrashLoopBackOff",
            9,
            json!({"reason": "Error", "exitCode": 1}),
        );
        crashing["metadata"]["name"] = json!("q");
        let (name, health) = worst([&starting, &crashing], at(1), &patience).unwrap();
        assert_eq!(name, "q");
        assert!(matches!(health, Health::Failed(_)));
        assert!(worst([], at(1), &patience).is_none());
    }

    #[test]
    fn selectors_match_labels() {
        let labels = json!({"app": "was", "tier": "web"});
        assert!(selects(&json!({"matchLabels": {"app": "was"}}), &labels));
        assert!(selects(&json!({"app": "was"}), &labels));
        assert!(!selects(&json!({"app": "spark"}), &labels));
        assert!(!selects(&json!({}), &labels));
    }
}
