//! What the webhook adds to the pods of an application, because spark-submit cannot (`sparkpod_defaulter.go`).

use pipectl_kinds::spark::SparkPodSpec;
use serde_json::{Value, json};

use super::super::application::Application;
use super::super::driver::push;
use super::super::labels::{
    DRIVER, DRIVER_CONTAINER, EXECUTOR, EXECUTOR_CONTAINER, LOCAL_DIR_PREFIX, ROLE,
};

/// The pod as the webhook admits it.
///
/// # Errors
/// With the operator's words, where a setting cannot be used.
pub(super) fn pod(mut pod: Value, application: &Application) -> Result<Value, String> {
    let role = pod["metadata"]["labels"][ROLE]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let spec = match role.as_str() {
        DRIVER => &application.spec.driver.pod,
        EXECUTOR => &application.spec.executor.pod,
        _ => return Err("neither a driver nor an executor".to_owned()),
    };
    if role == DRIVER {
        let owner = application.owner_reference();
        let owners = &mut pod["metadata"]["ownerReferences"];
        if !owners
            .as_array()
            .is_some_and(|owners| owners.contains(&owner))
        {
            push(owners, owner);
        }
    }
    let index = container_index(&pod, &role).ok_or("Spark container not found")?;
    environment(&mut pod["spec"]["containers"][index], spec);
    config_maps(&mut pod, index, application, spec);
    volumes(&mut pod, index, application, spec);
    containers(&mut pod, spec);
    placement(&mut pod["spec"], application, spec);
    container(&mut pod, index, application, spec, &role)?;
    Ok(pod)
}

fn container_index(pod: &Value, role: &str) -> Option<usize> {
    let names: &[&str] = if role == DRIVER {
        &[DRIVER_CONTAINER]
    } else {
        &["executor", EXECUTOR_CONTAINER]
    };
    let containers = pod["spec"]["containers"].as_array()?;
    let named = containers.iter().position(|container| {
        container["name"]
            .as_str()
            .is_some_and(|name| names.contains(&name))
    });
    named.or((!containers.is_empty()).then_some(0))
}

fn environment(container: &mut Value, spec: &SparkPodSpec) {
    for variable in spec.env.iter().flatten() {
        push(&mut container["env"], variable.clone());
    }
    for source in spec.env_from.iter().flatten() {
        push(&mut container["envFrom"], source.clone());
    }
}

fn mount_config_map(pod: &mut Value, index: usize, config_map: &str, volume: &str, path: &str) {
    push(
        &mut pod["spec"]["volumes"],
        json!({"name": volume, "configMap": {"name": config_map}}),
    );
    push(
        &mut pod["spec"]["containers"][index]["volumeMounts"],
        json!({"name": volume, "readOnly": true, "mountPath": path}),
    );
}

fn config_maps(pod: &mut Value, index: usize, application: &Application, spec: &SparkPodSpec) {
    for (config_map, volume, variable, path) in [
        (
            &application.spec.hadoop_config_map,
            "hadoop-configmap-volume",
            "HADOOP_CONF_DIR",
            "/etc/hadoop/conf",
        ),
        (
            &application.spec.spark_config_map,
            "spark-configmap-volume",
            "SPARK_CONF_DIR",
            "/etc/spark/conf",
        ),
    ] {
        if let Some(config_map) = config_map {
            mount_config_map(pod, index, config_map, volume, path);
            push(
                &mut pod["spec"]["containers"][index]["env"],
                json!({"name": variable, "value": path}),
            );
        }
    }
    for mount in spec.config_maps.iter().flatten() {
        let mut volume = format!("{}-vol", mount.name);
        volume.truncate(63);
        mount_config_map(pod, index, &mount.name, &volume, &mount.path);
    }
}

/// Volumes that are mounted, each once; scratch space is spark-submit's, and a mount without volume is left out.
fn volumes(pod: &mut Value, index: usize, application: &Application, spec: &SparkPodSpec) {
    let mut added: Vec<String> = Vec::new();
    for mount in spec.volume_mounts.iter().flatten() {
        let name = mount["name"].as_str().unwrap_or_default();
        if name.starts_with(LOCAL_DIR_PREFIX) {
            continue;
        }
        let Some(volume) = application
            .spec
            .volumes
            .iter()
            .flatten()
            .find(|volume| volume["name"] == name)
        else {
            continue;
        };
        if !added.iter().any(|done| done == name) {
            push(&mut pod["spec"]["volumes"], volume.clone());
            added.push(name.to_owned());
        }
        push(
            &mut pod["spec"]["containers"][index]["volumeMounts"],
            mount.clone(),
        );
    }
}

fn containers(pod: &mut Value, spec: &SparkPodSpec) {
    for (field, more) in [
        ("initContainers", &spec.init_containers),
        ("containers", &spec.sidecars),
    ] {
        for container in more.iter().flatten() {
            let present = pod["spec"][field].as_array().into_iter().flatten();
            let same = |other: &Value| {
                other["name"] == container["name"] && other["image"] == container["image"]
            };
            if !present.into_iter().any(same) {
                push(&mut pod["spec"][field], container.clone());
            }
        }
    }
}

fn placement(pod: &mut Value, application: &Application, spec: &SparkPodSpec) {
    if spec.host_network == Some(true) {
        pod["hostNetwork"] = json!(true);
        pod["dnsPolicy"] = json!("ClusterFirstWithHostNet");
    }
    for alias in spec.host_aliases.iter().flatten() {
        push(&mut pod["hostAliases"], alias.clone());
    }
    if let Some(dns) = &spec.dns_config {
        pod["dnsConfig"] = dns.clone();
    }
    if let Some(class) = spec
        .priority_class_name
        .as_ref()
        .filter(|class| !class.is_empty())
    {
        pod["priorityClassName"] = json!(class);
        if let Some(pod) = pod.as_object_mut() {
            pod.shift_remove("priority");
            pod.shift_remove("preemptionPolicy");
        }
    }
    let scheduler = application
        .spec
        .batch_scheduler
        .as_ref()
        .or(spec.scheduler_name.as_ref());
    if let Some(scheduler) = scheduler.filter(|scheduler| !scheduler.is_empty()) {
        pod["schedulerName"] = json!(scheduler);
    }
    for (key, value) in spec.node_selector.iter().flatten() {
        pod["nodeSelector"][key] = json!(value);
    }
    if let Some(affinity) = &spec.affinity {
        pod["affinity"] = affinity.clone();
    }
    for toleration in spec.tolerations.iter().flatten() {
        push(&mut pod["tolerations"], toleration.clone());
    }
    if let Some(context) = &spec.pod_security_context {
        pod["securityContext"] = context.clone();
    }
    if let Some(seconds) = spec.termination_grace_period_seconds {
        pod["terminationGracePeriodSeconds"] = json!(seconds);
    }
    if spec.share_process_namespace == Some(true) {
        pod["shareProcessNamespace"] = json!(true);
    }
}

fn container(
    pod: &mut Value,
    index: usize,
    application: &Application,
    spec: &SparkPodSpec,
    role: &str,
) -> Result<(), String> {
    let container = &mut pod["spec"]["containers"][index];
    for port in spec.ports.iter().flatten() {
        push(
            &mut container["ports"],
            json!({"name": port.name, "containerPort": port.container_port, "protocol": port.protocol}),
        );
    }
    if let Some(limit) = &spec.memory_limit {
        container["resources"]["limits"]["memory"] = json!(kubernetes_memory(limit)?);
    }
    if let Some(gpu) = spec
        .gpu
        .as_ref()
        .filter(|gpu| !gpu.name.is_empty() && gpu.quantity > 0)
    {
        container["resources"]["limits"][&gpu.name] = json!(gpu.quantity.to_string());
    }
    if let Some(context) = &spec.security_context {
        container["securityContext"] = context.clone();
    }
    if let Some(lifecycle) = &spec.lifecycle {
        container["lifecycle"] = lifecycle.clone();
    }
    prometheus(pod, index, application, role);
    Ok(())
}

fn prometheus(pod: &mut Value, index: usize, application: &Application, role: &str) {
    let Some(monitoring) = &application.spec.monitoring else {
        return;
    };
    let Some(prometheus) = &monitoring.prometheus else {
        return;
    };
    let exposed = if role == DRIVER {
        monitoring.expose_driver_metrics
    } else {
        monitoring.expose_executor_metrics
    };
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if !exposed || (set(&monitoring.metrics_properties_file) && set(&prometheus.config_file)) {
        return;
    }
    let config_map = format!("{}-prom-conf", application.name());
    mount_config_map(
        pod,
        index,
        &config_map,
        &format!("{config_map}-vol"),
        "/etc/metrics/conf",
    );
    push(
        &mut pod["spec"]["containers"][index]["ports"],
        json!({
            "name": prometheus.port_name.as_deref().unwrap_or("jmx-exporter"),
            "containerPort": prometheus.port.unwrap_or(8090),
            "protocol": "TCP",
        }),
    );
}

/// Java's notation of memory in Kubernetes' (`ConvertJavaMemoryStringToK8sMemoryString`).
fn kubernetes_memory(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let unit = match unit {
        "" | "b" => "",
        "k" | "kb" | "ki" => "Ki",
        "m" | "mb" | "mi" => "Mi",
        "g" | "gb" | "gi" => "Gi",
        "t" | "tb" | "ti" => "Ti",
        _ => return Err(format!("failed to parse memory limit {text}")),
    };
    if number.is_empty() {
        return Err(format!("failed to parse memory limit {text}"));
    }
    Ok(format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::conf::properties;
    use super::super::super::driver::{Identity, submission};
    use super::super::super::observed;
    use super::*;

    fn submitted(application: &Application) -> Value {
        submission(
            application,
            properties(application, "s-1"),
            &Identity::choose(),
        )
        .unwrap()
        .pod
    }

    fn application() -> Application {
        let mut application = observed::application();
        application.spec.volumes = Some(vec![
            json!({"name": "code", "configMap": {"name": "spark-code"}}),
            json!({"name": "unused", "emptyDir": {}}),
        ]);
        let driver = &mut application.spec.driver.pod;
        driver.volume_mounts = Some(vec![
            json!({"name": "code", "mountPath": "/opt/spark/work-dir"}),
        ]);
        driver.env = Some(vec![
            json!({"name": "KAFKA_BOOTSTRAP_SERVERS", "value": "b:9092"}),
        ]);
        driver.tolerations = Some(vec![json!({"key": "spark", "operator": "Exists"})]);
        driver.memory_limit = Some("2g".into());
        application
    }

    #[test]
    fn only_the_webhook_adds_volumes_and_environment() {
        let application = application();
        let before = submitted(&application);
        assert!(
            !before.to_string().contains("spark-code"),
            "spark-submit knows nothing of the application's volumes"
        );
        assert!(!before.to_string().contains("KAFKA_BOOTSTRAP_SERVERS"));
        let after = pod(before, &application).unwrap();
        let volumes = after["spec"]["volumes"].as_array().unwrap();
        assert!(volumes.contains(&json!({"name": "code", "configMap": {"name": "spark-code"}})));
        assert!(!volumes.iter().any(|volume| volume["name"] == "unused"));
        let container = &after["spec"]["containers"][0];
        assert!(
            container["volumeMounts"]
                .as_array()
                .unwrap()
                .iter()
                .any(|mount| mount["name"] == "code")
        );
        assert!(
            container["env"]
                .as_array()
                .unwrap()
                .iter()
                .any(|env| env["name"] == "KAFKA_BOOTSTRAP_SERVERS")
        );
        assert_eq!(
            after["spec"]["tolerations"],
            json!([{"key": "spark", "operator": "Exists"}])
        );
        assert_eq!(container["resources"]["limits"]["memory"], "2Gi");
    }

    #[test]
    fn the_owner_is_not_added_twice() {
        let application = application();
        let after = pod(submitted(&application), &application).unwrap();
        assert_eq!(
            after["metadata"]["ownerReferences"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn executors_get_their_own_settings() {
        let application = application();
        let executor = json!({
            "metadata": {"labels": {(ROLE): EXECUTOR}},
            "spec": {"containers": [{"name": EXECUTOR_CONTAINER}]}
        });
        assert_eq!(pod(executor.clone(), &application).unwrap(), executor);
        assert!(pod(json!({"spec": {"containers": [{}]}}), &application).is_err());
    }

    #[test]
    fn memory_limits_are_converted() {
        assert_eq!(kubernetes_memory("512m").as_deref(), Ok("512Mi"));
        assert_eq!(kubernetes_memory("1G").as_deref(), Ok("1Gi"));
        assert!(kubernetes_memory("lots").is_err());
    }
}
