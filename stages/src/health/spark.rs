//! Spark applications.
//!
//! The states are those of the Spark operator 2.x (`ApplicationStateType`). `FAILED` and `COMPLETED` are final;
//! `SUBMISSION_FAILED` is, when the restart policy never restarts.

use serde_json::Value;

use super::{Health, Trouble};

/// The application's state; empty while the operator has not looked at it.
#[must_use]
pub fn state(object: &Value) -> &str {
    object["status"]["applicationState"]["state"]
        .as_str()
        .unwrap_or_default()
}

/// How many executors run, as the status says.
#[must_use]
pub fn executors_running(object: &Value) -> u32 {
    let states = object["status"]["executorState"].as_object();
    let running = states.map_or(0, |states| {
        states.values().filter(|state| *state == "RUNNING").count()
    });
    u32::try_from(running).unwrap_or(u32::MAX)
}

/// How many executors it should have; `None` when Spark decides itself.
pub(super) fn executors_wanted(object: &Value) -> Option<u32> {
    let dynamic = object["spec"]["dynamicAllocation"]["enabled"] == true
        || object["spec"]["sparkConf"]["spark.dynamicAllocation.enabled"] == "true";
    if dynamic {
        return None;
    }
    let instances = object["spec"]["executor"]["instances"]
        .as_u64()
        .unwrap_or(1);
    u32::try_from(instances).ok()
}

pub(super) fn application(object: &Value) -> Health {
    let message = object["status"]["applicationState"]["errorMessage"]
        .as_str()
        .unwrap_or_default();
    let never = object["spec"]["restartPolicy"]["type"]
        .as_str()
        .is_none_or(|policy| policy == "Never");
    match state(object) {
        "" => Health::waiting("the operator has not looked at it yet"),
        "SUBMITTED" => Health::waiting("submitted: waits for the driver pod"),
        "RUNNING" => {
            let running = executors_running(object);
            match executors_wanted(object) {
                Some(wanted) if running < wanted => {
                    Health::counting(format!("executors {running}/{wanted}"), running, wanted)
                }
                _ => Health::Ready(format!("driver and {running} executors run")),
            }
        }
        "COMPLETED" | "SUCCEEDING" => Health::Ready("completed".to_owned()),
        "FAILED" => failed("SPK001", "the application failed", message),
        "SUBMISSION_FAILED" if never => failed("SPK002", "the submission failed", message),
        "SUBMISSION_FAILED" => Health::waiting("the submission failed: the operator tries again"),
        "FAILING" => {
            Health::waiting("the driver failed: the operator decides whether to restart it")
        }
        "PENDING_RERUN" => Health::waiting("waits for its next run"),
        "INVALIDATING" => Health::waiting("ends its old run"),
        "SUSPENDED" | "SUSPENDING" => Health::waiting("suspended"),
        other => Health::waiting(format!("state {other}")),
    }
}

/// The last lines of a long output, where the reason usually stands.
fn failed(code: &'static str, words: &str, output: &str) -> Health {
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let evidence: Vec<String> = lines[lines.len().saturating_sub(12)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect();
    let first = lines
        .first()
        .map_or(String::new(), |line| format!(": {line}"));
    Health::Failed(
        Trouble {
            code,
            cause: format!("{words}{first}"),
            hint: None,
            evidence,
        }
        .with_hint("mend what the driver's log names, then run pipectl up: it submits the application anew"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(state: &str, policy: &str, executors: Value) -> Value {
        json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "s"},
            "spec": {"executor": {"instances": 2}, "restartPolicy": {"type": policy}},
            "status": {"applicationState": {"state": state, "errorMessage": "line one\n\nline two"},
                "executorState": executors}})
    }

    #[test]
    fn running_needs_its_executors() {
        let one = app(
            "RUNNING",
            "Always",
            json!({"e1": "RUNNING", "e2": "PENDING"}),
        );
        assert_eq!(application(&one), Health::counting("executors 1/2", 1, 2));
        let two = app(
            "RUNNING",
            "Always",
            json!({"e1": "RUNNING", "e2": "RUNNING"}),
        );
        assert!(application(&two).is_ready());
        let mut dynamic = app("RUNNING", "Always", json!({}));
        dynamic["spec"]["dynamicAllocation"] = json!({"enabled": true});
        assert!(application(&dynamic).is_ready());
    }

    #[test]
    fn a_failed_submission_is_final_only_without_restarts() {
        assert!(matches!(
            application(&app("SUBMISSION_FAILED", "Never", json!({}))),
            Health::Failed(trouble) if trouble.code == "SPK002" && trouble.evidence == ["line one", "line two"]
        ));
        assert!(matches!(
            application(&app("SUBMISSION_FAILED", "Always", json!({}))),
            Health::InProgress { .. }
        ));
        assert!(matches!(
            application(&app("FAILED", "Always", json!({}))),
            Health::Failed(trouble) if trouble.code == "SPK001"
        ));
    }
}
