//! Defaults of an application (`api/v1beta2/defaults.go`), given while it is new or being invalidated.

use serde_json::{Value, json};

/// The application with its defaults.
pub(super) fn application(mut object: Value) -> Value {
    let state = object["status"]["applicationState"]["state"]
        .as_str()
        .unwrap_or_default();
    if !(state.is_empty() || state == "INVALIDATING") || !object["spec"].is_object() {
        return object;
    }
    let spec = &mut object["spec"];
    default(&mut spec["type"], json!("Scala"));
    default(&mut spec["mode"], json!("cluster"));
    default(&mut spec["restartPolicy"]["type"], json!("Never"));
    if spec["restartPolicy"]["type"] != "Never" {
        default(
            &mut spec["restartPolicy"]["onFailureRetryInterval"],
            json!(5),
        );
        default(
            &mut spec["restartPolicy"]["onSubmissionFailureRetryInterval"],
            json!(5),
        );
    }
    let conf = spec["sparkConf"].clone();
    let set = |key: &str| conf[key].is_string();
    for role in ["driver", "executor"] {
        if !set(&format!("spark.{role}.cores")) {
            default(&mut spec[role]["cores"], json!(1));
        }
        if !set(&format!("spark.{role}.memory")) {
            default(&mut spec[role]["memory"], json!("1g"));
        }
    }
    let allocation = &spec["dynamicAllocation"];
    // The real operator looks for this key in lower case, which Spark does not know.
    let dynamic = match allocation {
        Value::Object(map) => map.get("enabled") == Some(&json!(true)),
        _ => conf["spark.dynamicallocation.enabled"] == "true",
    };
    let instances = conf["spark.executor.instances"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    if !dynamic && !instances {
        default(&mut spec["executor"]["instances"], json!(1));
    }
    if dynamic && spec["dynamicAllocation"].is_object() {
        default(
            &mut spec["dynamicAllocation"]["shuffleTrackingEnabled"],
            json!(true),
        );
    }
    object
}

fn default(field: &mut Value, value: Value) {
    if field.is_null() || *field == "" {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_application_gets_its_defaults() {
        let defaulted = application(json!({"spec": {"driver": {}, "executor": {}}}));
        assert_eq!(
            defaulted["spec"],
            json!({
                "driver": {"cores": 1, "memory": "1g"},
                "executor": {"cores": 1, "memory": "1g", "instances": 1},
                "type": "Scala", "mode": "cluster", "restartPolicy": {"type": "Never"}
            })
        );
    }

    #[test]
    fn what_is_set_stays_and_retries_get_an_interval() {
        let spec = json!({
            "type": "Python", "mode": "cluster",
            "restartPolicy": {"type": "OnFailure", "onFailureRetries": 2, "onFailureRetryInterval": 9},
            "sparkConf": {"spark.executor.instances": "4"},
            "driver": {"cores": 2, "memory": "2g"}, "executor": {"cores": 1, "memory": "1g"}
        });
        let defaulted = application(json!({"spec": spec}));
        assert_eq!(
            defaulted["spec"]["restartPolicy"]["onFailureRetryInterval"],
            9
        );
        assert_eq!(
            defaulted["spec"]["restartPolicy"]["onSubmissionFailureRetryInterval"],
            5
        );
        assert_eq!(defaulted["spec"]["executor"]["instances"], Value::Null);
        assert_eq!(
            defaulted["spec"]["driver"],
            json!({"cores": 2, "memory": "2g"})
        );
    }

    #[test]
    fn a_running_application_is_left_alone() {
        let running =
            json!({"spec": {"driver": {}}, "status": {"applicationState": {"state": "RUNNING"}}});
        assert_eq!(application(running.clone()), running);
    }
}
