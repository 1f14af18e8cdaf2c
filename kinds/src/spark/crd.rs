//! CustomResourceDefinitions with structural schemas made of this crate's types.

use serde_json::{Value, json};

use super::{
    GROUP, ScheduledSparkApplicationSpec, ScheduledSparkApplicationStatus, SparkApplicationSpec,
    SparkApplicationStatus, VERSION,
};
use crate::crd::{Column, Definition, Version};
use crate::schema::{require, structural};

/// The CustomResourceDefinition of SparkApplication; columns as in the official one of release 2.5.2.
#[must_use]
pub fn spark_application_crd() -> Value {
    approved(Definition {
        group: GROUP,
        kind: "SparkApplication",
        plural: "sparkapplications",
        singular: "sparkapplication",
        short_names: &["sparkapp"],
        categories: &[],
        labels: &[],
        versions: vec![Version {
            name: VERSION,
            storage: true,
            spec: structural::<SparkApplicationSpec>(),
            status: status(structural::<SparkApplicationStatus>()),
            spec_required: true,
            columns: vec![
                Column::new("Suspend", ".spec.suspend", "boolean"),
                Column::new("Status", ".status.applicationState.state", "string"),
                Column::new("Attempts", ".status.executionAttempts", "string"),
                Column::new("Start", ".status.lastSubmissionAttemptTime", "string"),
                Column::new("Finish", ".status.terminationTime", "string"),
                Column::new("Age", ".metadata.creationTimestamp", "date"),
            ],
            scale: None,
        }],
    })
}

/// The CustomResourceDefinition of ScheduledSparkApplication.
#[must_use]
pub fn scheduled_spark_application_crd() -> Value {
    approved(Definition {
        group: GROUP,
        kind: "ScheduledSparkApplication",
        plural: "scheduledsparkapplications",
        singular: "scheduledsparkapplication",
        short_names: &["scheduledsparkapp"],
        categories: &[],
        labels: &[],
        versions: vec![Version {
            name: VERSION,
            storage: true,
            spec: structural::<ScheduledSparkApplicationSpec>(),
            status: structural::<ScheduledSparkApplicationStatus>(),
            spec_required: true,
            columns: vec![
                Column::new("Schedule", ".spec.schedule", "string"),
                Column::new("TimeZone", ".spec.timeZone", "string"),
                Column::new("Suspend", ".spec.suspend", "string"),
                Column::new("Last Run", ".status.lastRun", "date"),
                Column::new("Last Run Name", ".status.lastRunName", "string"),
                Column::new("Age", ".metadata.creationTimestamp", "date"),
            ],
            scale: None,
        }],
    })
}

/// The API server takes definitions of a group under `k8s.io` only with the address of their approval; this is the one
/// that the official definitions carry.
fn approved(definition: Definition) -> Value {
    let mut crd = definition.to_value();
    crd["metadata"]["annotations"] = json!({
        "api-approved.kubernetes.io": "https://github.com/kubeflow/spark-operator/pull/1298",
    });
    crd
}

/// The operator writes the two times as `null` before they are known, and the official schema allows it.
fn status(mut schema: Value) -> Value {
    require(&mut schema, "driverInfo");
    for field in ["lastSubmissionAttemptTime", "terminationTime"] {
        if let Some(time) = schema
            .pointer_mut(&format!("/properties/{field}"))
            .and_then(Value::as_object_mut)
        {
            time.insert("format".into(), "date-time".into());
            time.insert("nullable".into(), true.into());
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn node<'a>(schema: &'a Value, path: &str) -> &'a Value {
        path.split('.')
            .fold(schema, |at, segment| &at["properties"][segment])
    }

    fn fields(schema: &Value, path: &str) -> BTreeSet<String> {
        let fields = node(schema, path)["properties"].as_object();
        fields
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    }

    fn required(schema: &Value, path: &str) -> BTreeSet<String> {
        let required = node(schema, path)["required"].as_array();
        required
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    #[test]
    fn driver_and_executor_share_the_fields_of_a_pod() {
        let crd = spark_application_crd();
        let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let driver = fields(root, "spec.driver");
        assert!(
            driver.contains("cores") && driver.contains("podName"),
            "{driver:?}"
        );
        assert_eq!(
            root["properties"]["spec"]["properties"]["driver"]["type"],
            "object"
        );
        assert_eq!(
            root["properties"]["spec"]["properties"]["type"]["enum"],
            serde_json::json!(["Java", "Python", "Scala", "R"])
        );
        assert_eq!(
            root["properties"]["status"]["properties"]["terminationTime"]["nullable"],
            true
        );
    }

    #[test]
    fn every_node_of_the_schemas_has_a_type() {
        fn walk(node: &Value, at: &str) {
            let Some(map) = node.as_object() else { return };
            assert!(
                map.contains_key("type") || map.contains_key("x-kubernetes-int-or-string"),
                "no type at {at}: {node}"
            );
            for (name, child) in map
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                walk(child, &format!("{at}.{name}"));
            }
            for key in ["items", "additionalProperties"] {
                if let Some(child) = map.get(key) {
                    walk(child, &format!("{at}[]"));
                }
            }
        }
        for crd in [spark_application_crd(), scheduled_spark_application_crd()] {
            let annotations = &crd["metadata"]["annotations"];
            assert!(
                annotations["api-approved.kubernetes.io"].is_string(),
                "the API server asks for it"
            );
            walk(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "");
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn field_names_are_the_official_ones() {
        let Some(reference) = std::env::var_os("PIPECTL_REFERENCE_DIR") else {
            eprintln!(
                "SKIPPED: PIPECTL_REFERENCE_DIR is unset, the official definitions are not compared"
            );
            return;
        };
        let file = std::path::Path::new(&reference)
            .join("spark-operator-2.5.2/crds/sparkoperator.k8s.io_sparkapplications.yaml");
        let official: Value =
            serde_norway::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let official = &official["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let ours = spark_application_crd();
        let ours = &ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for path in [
            "spec",
            "spec.driver",
            "spec.executor",
            "spec.restartPolicy",
            "spec.deps",
            "spec.monitoring",
            "spec.monitoring.prometheus",
            "spec.sparkUIOptions",
            "spec.dynamicAllocation",
            "spec.batchSchedulerOptions",
            "spec.driver.gpu",
            "status",
            "status.driverInfo",
            "status.applicationState",
        ] {
            // Equal, not only a subset: a name missing here would be refused although the real API server takes it.
            assert_eq!(fields(ours, path), fields(official, path), "{path}");
            assert_eq!(
                required(ours, path),
                required(official, path),
                "required fields of {path}"
            );
        }
    }
}
