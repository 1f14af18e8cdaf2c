//! Test data: document 000's application, and what the real operator was seen to make of it.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::application::Application;

/// Document 000's application in namespace `default`.
pub(super) fn application() -> Application {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "spark-kafka-consumer", "namespace": "default", "uid": "8d1c"},
        "spec": {
            "type": "Python", "mode": "cluster", "sparkVersion": "3.5.1",
            "image": "doyoomii/spark-k8s:latest",
            "mainApplicationFile": "local:///opt/spark/work-dir/user_activity_streaming.py",
            "sparkConf": {
                "spark.kubernetes.container.image.pullPolicy": "Always",
                "spark.kubernetes.driver.podTemplateFile": "",
                "spark.kubernetes.executor.podTemplateFile": "",
            },
            "driver": {"cores": 1, "memory": "1g", "serviceAccount": "spark"},
            "executor": {"cores": 1, "memory": "2g", "instances": 2},
        }
    }))
    .expect("an application");
    Application::read(object).expect("a spec")
}

/// The observed objects; none where the reference data is not at hand.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(super) fn objects() -> Option<Vec<Value>> {
    let Some(reference) = std::env::var_os("PIPECTL_REFERENCE_DIR") else {
        eprintln!(
            "SKIPPED: PIPECTL_REFERENCE_DIR is unset, nothing is compared with observed objects"
        );
        return None;
    };
    let file = std::path::Path::new(&reference).join("spark-operator-2.5.2/observed-objects.json");
    let text = std::fs::read_to_string(file).expect("observed objects");
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// The observed object of a kind whose name ends so.
pub(super) fn object(objects: &[Value], kind: &str, suffix: &str) -> Value {
    objects
        .iter()
        .find(|object| {
            object["kind"] == kind
                && object["name"]
                    .as_str()
                    .is_some_and(|name| name.ends_with(suffix))
        })
        .cloned()
        .unwrap_or_else(|| panic!("no {kind} {suffix} was observed"))
}

mod tests {
    use std::collections::BTreeSet;

    use super::super::driver::{Identity, submission};
    use super::super::{conf, web_ui};
    use super::*;

    const SUBMISSION: &str = "8d879d51-8ca6-4058-8dee-6e33e907dee6";

    fn made() -> super::super::driver::Submission {
        let application = application();
        let identity = Identity {
            app_id: "spark-e84dbbdf72b84f439502ce5472a93227".into(),
            run: "0186ada1fd0a158e".into(),
            conf: "823108a1fd0a1859".into(),
        };
        submission(
            &application,
            conf::properties(&application, SUBMISSION),
            &identity,
        )
        .expect("a submission")
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    }

    #[test]
    fn the_drivers_pod_is_as_observed() {
        let Some(objects) = objects() else { return };
        let seen = object(&objects, "Pod", "-driver");
        let pod = made().pod;
        assert_eq!(pod["metadata"]["name"], seen["name"]);
        let mut labels = seen["labels"].clone();
        // Written by the API server when the pod is placed, from the node's label.
        labels
            .as_object_mut()
            .expect("labels")
            .shift_remove("topology.kubernetes.io/zone");
        assert_eq!(pod["metadata"]["labels"], labels);
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!(
            json!([[
                owner["kind"],
                owner["name"],
                owner["controller"],
                owner["blockOwnerDeletion"]
            ]]),
            seen["ownerReferences"]
        );
        let spec = &pod["spec"];
        assert_eq!(
            spec["serviceAccountName"],
            seen["spec"]["serviceAccountName"]
        );
        assert_eq!(spec["restartPolicy"], seen["spec"]["restartPolicy"]);
        let volumes: Vec<&Value> = spec["volumes"]
            .as_array()
            .expect("volumes")
            .iter()
            .map(|volume| &volume["name"])
            .collect();
        assert_eq!(json!(volumes), seen["spec"]["volumes"]);
        let (container, expected) = (&spec["containers"][0], &seen["spec"]["containers"][0]);
        for field in ["name", "image", "args", "resources"] {
            assert_eq!(container[field], expected[field], "{field}");
        }
        let ports: Vec<Value> = container["ports"]
            .as_array()
            .expect("ports")
            .iter()
            .map(|port| json!([port["name"], port["containerPort"]]))
            .collect();
        assert_eq!(json!(ports), expected["ports"]);
    }

    #[test]
    fn services_and_config_maps_are_as_observed() {
        let Some(objects) = objects() else { return };
        let made = made();
        let service = object(&objects, "Service", "-driver-svc");
        assert_eq!(made.service["metadata"]["name"], service["name"]);
        assert_eq!(made.service["metadata"]["labels"], service["labels"]);
        assert_eq!(
            made.service["spec"]["selector"],
            service["spec"]["selector"]
        );
        assert_eq!(
            made.service["spec"]["clusterIP"],
            service["spec"]["clusterIP"]
        );
        for (map, suffix) in made
            .config_maps
            .iter()
            .zip(["1859-conf-map", "-driver-podspec-conf-map"])
        {
            let seen = object(&objects, "ConfigMap", suffix);
            assert_eq!(map["metadata"]["name"], seen["name"]);
            let seen_keys: BTreeSet<String> = seen["keys"]
                .as_array()
                .expect("keys")
                .iter()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect();
            assert_eq!(keys(&map["data"]), seen_keys);
        }
        let seen = object(&objects, "Service", "-ui-svc");
        let mut application = application();
        application.status.submission_id = Some(SUBMISSION.to_owned());
        let ui = web_ui::service(&application);
        assert_eq!(ui["metadata"]["name"], seen["name"]);
        assert_eq!(ui["metadata"]["labels"], seen["labels"]);
        assert_eq!(ui["spec"]["selector"], seen["spec"]["selector"]);
        assert_eq!(
            json!([[
                ui["spec"]["ports"][0]["name"],
                ui["spec"]["ports"][0]["port"]
            ]]),
            seen["spec"]["ports"]
        );
        assert_eq!(ui["spec"]["type"], seen["spec"]["type"]);
    }

    #[test]
    fn the_status_has_the_observed_fields() {
        let Some(objects) = objects() else { return };
        let seen = object(&objects, "SparkApplication", "spark-kafka-consumer");
        let status: pipectl_kinds::spark::SparkApplicationStatus =
            serde_json::from_value(seen["status"].clone()).expect("the observed status");
        assert_eq!(serde_json::to_value(status).expect("JSON"), seen["status"]);
    }
}
