//! Checks of Spark applications: `kubectl get sparkapplication`, `kubectl get pods | grep spark`.

use serde_json::Value;

use super::{
    check::Check,
    look::{Look, named},
};
use crate::health::{condition, spark_state};

/// Pods of an application with this role that run.
fn running<'a>(look: &'a Look, namespace: &str, app: &'a str, role: &'a str) -> Vec<&'a Value> {
    look.pods_in(namespace)
        .filter(move |pod| {
            let labels = &pod["metadata"]["labels"];
            labels["sparkoperator.k8s.io/app-name"] == app
                && labels["spark-role"] == role
                && pod["status"]["phase"] == "Running"
                && condition(pod, "Ready").is_none_or(|ready| ready.is_true())
        })
        .collect()
}

pub(super) fn applications(look: &Look) -> Vec<Check> {
    let mut checks = Vec::new();
    for app in &look.loaded.pipeline.spec.spark_applications {
        let (namespace, name) = (&app.namespace, &app.name);
        let found = look.applications.iter().map(AsRef::as_ref);
        let live = found.into_iter().find(|live| named(live, namespace, name));
        let state = live.map_or("it is not there", |live| match spark_state(live) {
            "" => "no state",
            state => state,
        });
        checks.push(
            Check::new(
                format!("spark/{name}/state"),
                format!("Spark application {name} runs"),
                "RUNNING",
                state,
                // A batch program may have ended well by now.
                matches!(state, "RUNNING" | "COMPLETED" | "SUCCEEDING"),
            )
            .by(format!(
                "kubectl get sparkapplication {name} -n {namespace}"
            )),
        );
        if state == "COMPLETED" || state == "SUCCEEDING" {
            continue;
        }
        let drivers = running(look, namespace, name, "driver").len();
        checks.push(
            Check::equal(
                format!("spark/{name}/driver"),
                format!("driver of {name}"),
                "1 driver runs",
                format!("{drivers} driver runs"),
            )
            .by(format!(
                "kubectl get pods -n {namespace} -l spark-role=driver"
            )),
        );
        let executors = running(look, namespace, name, "executor").len();
        checks.push(
            Check::equal(
                format!("spark/{name}/executors"),
                format!("executors of {name}"),
                format!("{} executors run", app.executor.instances),
                format!("{executors} executors run"),
            )
            .by(format!(
                "kubectl get pods -n {namespace} -l spark-role=executor"
            )),
        );
        let templates = live.map_or_else(
            || "none".to_owned(),
            |live| {
                let conf = &live["spec"]["sparkConf"];
                let of = |pod: &str| {
                    let key = format!("spark.kubernetes.{pod}.podTemplateFile");
                    conf[key]
                        .as_str()
                        .map_or("unset".to_owned(), |value| format!("\"{value}\""))
                };
                format!("driver {}, executor {}", of("driver"), of("executor"))
            },
        );
        let declared = |pod: &str| {
            let key = format!("spark.kubernetes.{pod}.podTemplateFile");
            app.spark_conf
                .get(&key)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        checks.push(
            Check::equal(
                format!("spark/{name}/pod-templates"),
                format!("pod template settings of {name}"),
                format!("driver \"{}\", executor \"{}\"", declared("driver"), declared("executor")),
                templates,
            )
            .by(format!(
                "kubectl get sparkapplication {name} -n {namespace} -o jsonpath='{{.spec.sparkConf}}'"
            )),
        );
    }
    checks
}

/// Whether Spark reads from Kafka: only its driver's log says so.
pub(super) fn consumption(look: &Look) -> Vec<Check> {
    if !look
        .loaded
        .pipeline
        .spec
        .verification
        .checks
        .produce_consume
        || look.declared_kafka().is_none()
    {
        return Vec::new();
    }
    let applications = look.loaded.pipeline.spec.spark_applications.iter();
    applications
        .map(|app| {
            let driver = running(look, &app.namespace, &app.name, "driver");
            let simulated = driver.first().is_none_or(|pod| look.simulated(pod));
            let why = if simulated {
                "the driver's pod is simulated, no program runs in it"
            } else {
                "Spark keeps its offsets to itself: its driver's log shows the batches"
            };
            Check::open(
                format!("spark/{}/consumption", app.name),
                format!("{} reads from Kafka", app.name),
                "batches with input rows",
                why,
            )
            .by(format!(
                "kubectl logs -n {} -l spark-role=driver,sparkoperator.k8s.io/app-name={} --tail=100",
                app.namespace, app.name
            ))
        })
        .collect()
}
