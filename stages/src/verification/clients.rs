//! Every Kafka client's bootstrap address, in the live objects, against the addresses that the cluster says itself.

use serde_json::Value;

use super::{
    check::Check,
    kafka::same_address,
    look::{Look, named},
};
use crate::health::listener_addresses;

pub(super) fn addresses(look: &Look) -> Vec<Check> {
    let Some(kafka) = look.declared_kafka() else {
        return Vec::new();
    };
    let told: Vec<String> = look
        .live_kafka()
        .map(listener_addresses)
        .unwrap_or_default()
        .into_iter()
        .map(|(_, address)| address)
        .collect();
    let check =
        |id: String, title: String, namespace: &str, seen: Option<String>, command: String| {
            let right = seen.as_deref().is_some_and(|address| {
                // A list of addresses is right when each of them is.
                address.split(',').map(str::trim).all(|one| {
                    kafka.accepts_bootstrap(one, Some(namespace))
                        && told.iter().any(|listener| {
                            same_address(listener, one)
                                || same_address(listener, &full(one, &kafka.namespace))
                        })
                })
            });
            let expected = if told.is_empty() {
                kafka.bootstrap_address()
            } else {
                told.join(" or ")
            };
            let seen = seen.unwrap_or_else(|| "no such setting".to_owned());
            Check::new(id, title, expected, seen, right).by(command)
        };

    let mut checks = Vec::new();
    let spec = &look.loaded.pipeline.spec;
    for workload in spec.workloads.iter().filter(|workload| workload.enabled) {
        for client in &workload.kafka_clients {
            let declared = look.loaded.workload_objects(&workload.name).iter();
            let namespace = declared
                .clone()
                .find(|object| object.kind() == client.kind && object.name() == client.name)
                .and_then(|object| object.namespace())
                .unwrap_or(&workload.namespace);
            let live = look
                .deployments
                .iter()
                .chain(&look.stateful_sets)
                .find(|live| {
                    live["kind"] == client.kind.as_str() && named(live, namespace, &client.name)
                });
            let setting = live.and_then(|live| env_of(live, &client.env));
            if let Some(Setting::Elsewhere) = setting {
                let why = "the address stands in a ConfigMap or Secret that the program reads when it starts";
                let check = Check::open(
                    format!("clients/{namespace}/{}", client.name),
                    format!("{} → Kafka", client.name),
                    kafka.bootstrap_address(),
                    why,
                );
                checks.push(check.by(format!(
                    "kubectl get {} {} -n {namespace} -o yaml",
                    client.kind.to_lowercase(),
                    client.name
                )));
                continue;
            }
            let seen = setting.and_then(|setting| match setting {
                Setting::Written(value) => Some(value),
                Setting::Elsewhere => None,
            });
            let kind = client.kind.to_lowercase();
            checks.push(check(
                format!("clients/{namespace}/{}", client.name),
                format!("{} → Kafka", client.name),
                namespace,
                seen,
                format!("kubectl get {kind} {} -n {namespace} -o yaml", client.name),
            ));
        }
    }
    for app in &spec.spark_applications {
        for name in app
            .env
            .keys()
            .filter(|name| name.ends_with("BOOTSTRAP_SERVERS"))
        {
            let mut found = look.applications.iter();
            let live = found.find(|live| named(live, &app.namespace, &app.name));
            let seen = live.and_then(|live| {
                let driver = &live["spec"]["driver"];
                let listed = driver["env"].as_array().into_iter().flatten();
                let listed = listed.filter(|entry| entry["name"] == name.as_str());
                let value = driver["envVars"][name].as_str();
                value
                    .or_else(|| listed.into_iter().find_map(|entry| entry["value"].as_str()))
                    .map(str::to_owned)
            });
            checks.push(check(
                format!("clients/{}/{}", app.namespace, app.name),
                format!("{} → Kafka", app.name),
                &app.namespace,
                seen,
                format!(
                    "kubectl get sparkapplication {} -n {} -o yaml",
                    app.name, app.namespace
                ),
            ));
        }
    }
    checks
}

/// A short address written out: `SERVICE:PORT` and `SERVICE.NAMESPACE:PORT` as `SERVICE.NAMESPACE.svc:PORT`.
fn full(address: &str, namespace: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    match host.split('.').count() {
        1 => format!("{host}.{namespace}.svc:{port}"),
        2 => format!("{host}.svc:{port}"),
        _ => address.to_owned(),
    }
}

/// Where an environment variable has its value.
#[derive(Debug, PartialEq, Eq)]
enum Setting {
    /// Written out.
    Written(String),
    /// In another object.
    Elsewhere,
}

/// An environment variable of a workload's containers.
fn env_of(workload: &Value, name: &str) -> Option<Setting> {
    let pod = &workload["spec"]["template"]["spec"];
    let entry = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| pod[list].as_array().into_iter().flatten())
        .flat_map(|container| container["env"].as_array().into_iter().flatten())
        .find(|entry| entry["name"] == name)?;
    if entry["valueFrom"].is_object() {
        return Some(Setting::Elsewhere);
    }
    Some(Setting::Written(entry["value"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn environment_variables_are_found_in_any_container() {
        let workload = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a"}, {"name": "b", "env": [{"name": "K", "value": "v"}, {"name": "F", "valueFrom": {}}]}]}}}});
        assert_eq!(
            env_of(&workload, "K"),
            Some(Setting::Written("v".to_owned()))
        );
        assert_eq!(env_of(&workload, "F"), Some(Setting::Elsewhere));
        assert_eq!(env_of(&workload, "L"), None);
    }

    #[test]
    fn short_addresses_are_written_out() {
        assert_eq!(full("b:9092", "kafka"), "b.kafka.svc:9092");
        assert_eq!(full("b.kafka:9092", "x"), "b.kafka.svc:9092");
        assert_eq!(full("b.kafka.svc:9092", "x"), "b.kafka.svc:9092");
    }
}
