//! The service of the driver's web UI (`web_ui.go`, `driveringress.go`).

use serde_json::{Value, json};

use super::application::Application;
use super::driver::merge_map;
use super::labels::{APP_NAME, DRIVER, ROLE, SUBMISSION};
use super::names;

/// The service that the operator makes for an application once it is submitted.
pub(super) fn service(application: &Application) -> Value {
    let options = application
        .spec
        .spark_ui_options
        .clone()
        .unwrap_or_default();
    let conf = application.spec.spark_conf.as_ref();
    let target: i32 = conf
        .and_then(|conf| conf.get("spark.ui.port"))
        .and_then(|port| port.parse().ok())
        .unwrap_or(4040);
    // Without UI options the service has the driver's port, with options but no port among them the default one.
    let port = match (&application.spec.spark_ui_options, options.service_port) {
        (None, _) => target,
        (Some(_), port) => port.unwrap_or(4040),
    };
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": names::ui_service(application.name()),
            "namespace": application.namespace(),
            "labels": {(APP_NAME): application.name(), (SUBMISSION): application.status.submission_id},
            "ownerReferences": [application.owner_reference()],
        },
        "spec": {
            "type": options.service_type.as_deref().unwrap_or("ClusterIP"),
            "selector": {(APP_NAME): application.name(), (ROLE): DRIVER},
            "ports": [{
                "name": options.service_port_name.as_deref().unwrap_or("spark-driver-ui-port"),
                "port": port,
                "targetPort": target,
                "protocol": "TCP",
            }],
        }
    });
    merge_map(
        &mut service["metadata"]["labels"],
        options.service_labels.unwrap_or_default(),
    );
    if let Some(annotations) = options
        .service_annotations
        .filter(|annotations| !annotations.is_empty())
    {
        service["metadata"]["annotations"] = json!(annotations);
    }
    service
}

/// The port of that service.
pub(super) fn port(service: &Value) -> Option<i32> {
    service["spec"]["ports"][0]["port"]
        .as_i64()
        .and_then(|port| i32::try_from(port).ok())
}
