//! Running `spark-submit`: creating a submission's objects, with the failures that the operator reports.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use super::super::common::owner_reference;
use super::application::Application;
use super::conf;
use super::driver::{Identity, Submission, submission};

/// How long the simulated `spark-submit` takes; a real one starts a JVM, some seconds.
const DURATION: Duration = Duration::from_millis(500);

/// Submits the application under this identity.
///
/// # Errors
/// With the text that the operator writes into the application's status.
pub(super) async fn submit(
    client: &Client,
    application: &Application,
    submission_id: &str,
) -> Result<(), String> {
    let properties = conf::properties(application, submission_id);
    let made = submission(application, properties, &Identity::choose())
        .map_err(|error| wrap(&format!("failed to run spark-submit: {error}\n")))?;
    tokio::time::sleep(DURATION).await;
    create(client, application.namespace(), made)
        .await
        .map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 409 => wrap("driver pod already exist"),
            _ => wrap(&format!(
                "failed to run spark-submit: {}",
                stack_trace(application.namespace(), &error)
            )),
        })
}

fn wrap(reason: &str) -> String {
    format!("failed to submit spark application: failed to run spark-submit: {reason}")
}

/// The pod first; the rest is owned by it (`KubernetesClientApplication`).
async fn create(client: &Client, namespace: &str, made: Submission) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod: Pod = parse(made.pod.clone())?;
    let pod = pods.create(&parameters(), &pod).await?;
    let (name, uid) = (
        pod.metadata.name.unwrap_or_default(),
        pod.metadata.uid.unwrap_or_default(),
    );
    let mut owner = owner_reference("v1", "Pod", &name, &uid, true, false);
    if let Some(owner) = owner.as_object_mut() {
        owner.shift_remove("blockOwnerDeletion");
    }
    let rest = dependents(client, namespace, made, &serde_json::json!([owner])).await;
    if rest.is_err() {
        // spark-submit takes its pod back when it cannot finish.
        if let Err(error) = pods.delete(&name, &DeleteParams::default()).await {
            tracing::debug!(%error, name, "a driver's pod stays after a failed submission");
        }
    }
    rest
}

async fn dependents(
    client: &Client,
    namespace: &str,
    mut made: Submission,
    owners: &Value,
) -> Result<(), kube::Error> {
    let parameters = parameters();
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    made.service["metadata"]["ownerReferences"] = owners.clone();
    services.create(&parameters, &parse(made.service)?).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for mut map in made.config_maps {
        map["metadata"]["ownerReferences"] = owners.clone();
        maps.create(&parameters, &parse(map)?).await?;
    }
    Ok(())
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some("fabric8-kubernetes-client".into()),
        ..PostParams::default()
    }
}

fn parse<K: serde::de::DeserializeOwned>(value: Value) -> Result<K, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

/// The first line of what spark-submit prints when the API server refuses a call.
fn stack_trace(namespace: &str, error: &kube::Error) -> String {
    let what =
        "Exception in thread \"main\" io.fabric8.kubernetes.client.KubernetesClientException:";
    match error {
        kube::Error::Api(status) => format!(
            "{what} Failure executing: POST at: https://kubernetes.default.svc/api/v1/namespaces/{namespace}/pods. \
             Message: {}. Received status: Status(apiVersion=v1, code={}, kind=Status, reason={}, status=Failure).\n",
            status.message, status.code, status.reason
        ),
        other => format!("{what} {other}\n"),
    }
}
