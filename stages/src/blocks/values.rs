//! Chart values, secret references and image addresses.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pipectl_config::{Loaded, Mirrors, SecretRef};
use serde_json::{Value, json};

use crate::{
    context::StepContext,
    error::StepError,
    ports::secrets::{SecretSource, SecretValue},
    spark_application,
};

/// Lays `over` on `base`: objects are merged key by key, everything else is replaced. `null` stays, since Helm reads it
/// as "without the chart's default".
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Puts a value at a dotted path, making the objects on the way.
pub fn put(values: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(values, |place, key| {
        if !place.is_object() {
            *place = json!({});
        }
        &mut place[key]
    });
    *place = value;
}

/// Every place that the pipeline takes a secret value from, in the order of the file, each one once.
#[must_use]
pub fn references(loaded: &Loaded) -> Vec<&SecretRef> {
    let spec = &loaded.pipeline.spec;
    let secrets = spec.secrets.iter().flat_map(|secret| secret.data.values());
    let charts = spec
        .workloads
        .iter()
        .filter(|workload| workload.enabled)
        .flat_map(|workload| &workload.charts)
        .flat_map(|chart| &chart.secret_values)
        .map(|setting| &setting.secret_ref);
    let applications = spec
        .spark_applications
        .iter()
        .flat_map(spark_application::render::env_secrets)
        .map(|(_, reference)| reference);
    let mut found: Vec<&SecretRef> = Vec::new();
    for reference in secrets.chain(charts).chain(applications) {
        if !found.contains(&reference) {
            found.push(reference);
        }
    }
    found
}

/// A secret's value. It goes into the one call that needs it and nowhere else.
///
/// # Errors
/// When the reference cannot be resolved; the error names the place, never the value.
pub async fn resolve(
    cx: &StepContext,
    loaded: &Loaded,
    reference: &SecretRef,
) -> Result<SecretValue, StepError> {
    let source = match reference {
        SecretRef::Env(name) => SecretSource::Environment(name.clone()),
        SecretRef::File(path) => match loaded.disk_path(path) {
            Some(path) => SecretSource::File(path),
            None => {
                // A file inside the program: a blueprint's own example value.
                let value = reference.read_local(loaded.files()).map_err(|error| {
                    StepError::new("SEC007", "resolve", reference, error.to_string())
                })?;
                return Ok(SecretValue::new(value.expose().to_owned()));
            }
        },
        SecretRef::AwsSecretsManager(secret) => SecretSource::AwsSecretsManager {
            id: secret.id.clone(),
            key: secret.key.clone(),
        },
    };
    let value = cx.ports.secrets.resolve(&source).await;
    value.map_err(|error| error.during("resolve", reference))
}

/// A Secret's `data` value.
#[must_use]
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Moves a Secret's `stringData` into `data`, as the API server would: what is wanted then reads like what is live.
pub fn encode_string_data(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    let Some(Value::Object(plain)) = object
        .as_object_mut()
        .and_then(|object| object.shift_remove("stringData"))
    else {
        return;
    };
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        object["data"][key] = json!(base64(text));
    }
}

/// Redirects the images of a workload's pod template (or a pod, or a cron job's template).
pub fn mirror_images(object: &mut Value, mirrors: &Mirrors) {
    for pointer in [
        "/spec",
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
    ] {
        let Some(pod) = object.pointer_mut(pointer) else {
            continue;
        };
        for list in ["initContainers", "containers"] {
            let Some(containers) = pod.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            for container in containers {
                if let Some(image) = container["image"].as_str() {
                    container["image"] = json!(mirrors.image(image));
                }
            }
        }
    }
}

/// Registry and repository of an image address without its tag, as charts want them: `quay.io/strimzi` is
/// (`quay.io`, `strimzi`).
#[must_use]
pub fn registry_and_repository(address: &str) -> (String, String) {
    match address.split_once('/') {
        Some((registry, repository)) => (registry.to_owned(), repository.to_owned()),
        None => (String::new(), address.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use pipectl_config::Mirror;

    use super::*;

    #[test]
    fn values_are_merged_deeply_and_lists_replaced() {
        let mut base = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut base, &json!({"a": {"c": [3]}, "e": null}));
        assert_eq!(base, json!({"a": {"b": 1, "c": [3]}, "d": 1, "e": null}));
        put(&mut base, "x.y.z", json!("deep"));
        assert_eq!(base["x"]["y"]["z"], "deep");
    }

    #[test]
    fn string_data_becomes_data() {
        let mut secret = json!({"kind": "Secret", "stringData": {"k": "value"}});
        encode_string_data(&mut secret);
        assert_eq!(secret, json!({"kind": "Secret", "data": {"k": "dmFsdWU="}}));
    }

    #[test]
    fn images_of_pod_templates_are_redirected() {
        let mirrors = Mirrors {
            images: vec![Mirror {
                from: "quay.io".to_owned(),
                to: "registry.example/quay".to_owned(),
            }],
            ..Mirrors::default()
        };
        let mut object = json!({"kind": "Deployment", "spec": {"template": {"spec": {
            "containers": [{"image": "quay.io/a/b:1"}, {"image": "docker.io/c"}]}}}});
        mirror_images(&mut object, &mirrors);
        let containers = &object["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers[0]["image"], "registry.example/quay/a/b:1");
        assert_eq!(containers[1]["image"], "docker.io/c");
    }
}
