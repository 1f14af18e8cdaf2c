//! The Spark properties of a submission: the operator's `spark-submit` arguments, in their order.
//!
//! A later argument wins over an earlier one of the same key, as in spark-submit. So `sparkConf` cannot change what the
//! operator sets after it: labels, the driver's name, cores and memory of the spec, and **both `podTemplateFile`
//! properties**, which release 2.5.2 always sets to templates of its own (`submission.go`).

use pipectl_kinds::spark::{
    DriverSpec, ExecutorSpec, SecretInfo, SparkApplicationSpec, SparkPodSpec,
};

use super::application::Application;
use super::labels::{APP_NAME, LAUNCHED, LOCAL_DIR_PREFIX, MUTATED, SUBMISSION};
use super::names;
use super::properties::Properties;

/// Where the operator stores the driver's pod template before a submission.
pub(super) fn template_file(submission_id: &str, role: &str) -> String {
    format!("/tmp/spark/{submission_id}/{role}-pod-template.yaml")
}

/// The address of the API server as pods of the cluster see it.
pub(super) const MASTER: &str = "k8s://https://kubernetes.default.svc:443";

/// The properties with which the application is submitted.
pub(super) fn properties(application: &Application, submission_id: &str) -> Properties {
    let spec = &application.spec;
    let mut conf = Properties::new();
    let mut set = |key: &str, value: &str| {
        conf.insert(key.to_owned(), value.to_owned());
    };
    set("spark.master", MASTER);
    set(
        "spark.submit.deployMode",
        if spec.mode == Some(pipectl_kinds::spark::DeployMode::Client) {
            "client"
        } else {
            "cluster"
        },
    );
    set("spark.app.name", application.name());
    dependencies(spec, &mut set);
    set("spark.kubernetes.namespace", application.namespace());
    for (key, value) in [
        ("spark.kubernetes.container.image", &spec.image),
        (
            "spark.kubernetes.container.image.pullPolicy",
            &spec.image_pull_policy,
        ),
        (
            "spark.kubernetes.pyspark.pythonVersion",
            &spec.python_version,
        ),
        (
            "spark.kubernetes.memoryOverheadFactor",
            &spec.memory_overhead_factor,
        ),
    ] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            set(key, value);
        }
    }
    if let Some(secrets) = spec
        .image_pull_secrets
        .as_ref()
        .filter(|secrets| !secrets.is_empty())
    {
        set(
            "spark.kubernetes.container.image.pullSecrets",
            &secrets.join(","),
        );
    }
    set("spark.kubernetes.submission.waitAppCompletion", "false");
    for (key, value) in spec.spark_conf.iter().flatten() {
        if key != "spark.kubernetes.driver.pod.name" {
            set(key, value);
        }
    }
    for (key, value) in spec.hadoop_conf.iter().flatten() {
        set(&format!("spark.hadoop.{key}"), value);
    }
    set(
        "spark.kubernetes.driver.podTemplateFile",
        &template_file(submission_id, "driver"),
    );
    set(
        "spark.kubernetes.driver.podTemplateContainerName",
        super::labels::DRIVER_CONTAINER,
    );
    set(
        "spark.kubernetes.driver.pod.name",
        &names::driver_pod(application.name(), spec),
    );
    driver(application, &spec.driver, submission_id, &mut set);
    set(
        "spark.kubernetes.executor.podTemplateFile",
        &template_file(submission_id, "executor"),
    );
    set(
        "spark.kubernetes.executor.podTemplateContainerName",
        super::labels::EXECUTOR_CONTAINER,
    );
    executor(application, &spec.executor, submission_id, &mut set);
    for (key, value) in spec.node_selector.iter().flatten() {
        set(&format!("spark.kubernetes.node.selector.{key}"), value);
    }
    dynamic_allocation(spec, &mut set);
    if let Some(user) = spec.proxy_user.as_ref().filter(|user| !user.is_empty()) {
        set("spark.kubernetes.proxyUser", user);
    }
    conf
}

fn dependencies(spec: &SparkApplicationSpec, set: &mut impl FnMut(&str, &str)) {
    let Some(deps) = &spec.deps else { return };
    for (key, list) in [
        ("spark.jars", &deps.jars),
        ("spark.jars.packages", &deps.packages),
        ("spark.jars.excludes", &deps.exclude_packages),
        ("spark.jars.repositories", &deps.repositories),
        ("spark.submit.pyFiles", &deps.py_files),
        ("spark.files", &deps.files),
        ("spark.archives", &deps.archives),
    ] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            set(key, &list.join(","));
        }
    }
}

/// What the operator sets for driver and executors alike, under the role's prefix.
fn pod(
    application: &Application,
    spec: &SparkPodSpec,
    role: &str,
    env_prefix: &str,
    submission_id: &str,
    set: &mut impl FnMut(&str, &str),
) {
    let key = |suffix: &str| format!("spark.kubernetes.{role}.{suffix}");
    set(&key(&format!("label.{APP_NAME}")), application.name());
    set(&key(&format!("label.{LAUNCHED}")), "true");
    if spec.template.is_none() {
        set(&key(&format!("label.{MUTATED}")), "true");
    }
    set(&key(&format!("label.{SUBMISSION}")), submission_id);
    let image = spec
        .image
        .as_ref()
        .filter(|image| !image.is_empty())
        .or(application.spec.image.as_ref());
    if let Some(image) = image.filter(|image| !image.is_empty()) {
        set(&key("container.image"), image);
    }
    if let Some(cores) = spec.cores {
        set(&format!("spark.{role}.cores"), &cores.to_string());
    }
    for (name, value) in [
        (key("request.cores"), &spec.core_request),
        (key("limit.cores"), &spec.core_limit),
        (format!("spark.{role}.memory"), &spec.memory),
        (
            format!("spark.{role}.memoryOverhead"),
            &spec.memory_overhead,
        ),
        (
            format!("spark.kubernetes.authenticate.{role}.serviceAccountName"),
            &spec.service_account,
        ),
        (format!("spark.{role}.extraJavaOptions"), &spec.java_options),
    ] {
        if let Some(value) = value {
            set(&name, value);
        }
    }
    let own_labels = application.object.metadata.labels.iter().flatten();
    for (name, value) in own_labels.filter(|(name, _)| !name.starts_with("kueue.x-k8s.io/")) {
        set(&key(&format!("label.{name}")), value);
    }
    for (name, value) in spec.labels.iter().flatten() {
        set(&key(&format!("label.{name}")), value);
    }
    for (name, value) in spec.annotations.iter().flatten() {
        set(&key(&format!("annotation.{name}")), value);
    }
    for (name, reference) in spec.env_secret_key_refs.iter().flatten() {
        set(
            &key(&format!("secretKeyRef.{name}")),
            &format!("{}:{}", reference.name, reference.key),
        );
    }
    for (name, value) in spec.env_vars.iter().flatten() {
        set(&format!("{env_prefix}.{name}"), value);
    }
    for secret in spec.secrets.iter().flatten() {
        set(&key(&format!("secrets.{}", secret.name)), &secret.path);
        if let Some((name, file)) = credential(secret) {
            set(
                &format!("{env_prefix}.{name}"),
                &format!("{}/{file}", secret.path.trim_end_matches('/')),
            );
        }
    }
    local_dirs(&application.spec, spec, role, set);
}

fn credential(secret: &SecretInfo) -> Option<(&'static str, &'static str)> {
    match secret.secret_type.as_str() {
        "GCPServiceAccount" => Some(("GOOGLE_APPLICATION_CREDENTIALS", "key.json")),
        "HadoopDelegationToken" => Some(("HADOOP_TOKEN_FILE_LOCATION", "hadoop.token")),
        _ => None,
    }
}

/// Volumes for scratch space go to spark-submit as properties; only these kinds of volume are known to it.
fn local_dirs(
    app: &SparkApplicationSpec,
    spec: &SparkPodSpec,
    role: &str,
    set: &mut impl FnMut(&str, &str),
) {
    for mount in spec.volume_mounts.iter().flatten() {
        let Some(name) = mount["name"]
            .as_str()
            .filter(|name| name.starts_with(LOCAL_DIR_PREFIX))
        else {
            continue;
        };
        let Some(volume) = app
            .volumes
            .iter()
            .flatten()
            .find(|volume| volume["name"] == name)
        else {
            continue;
        };
        let Some(kind) = ["emptyDir", "hostPath", "nfs", "persistentVolumeClaim"]
            .into_iter()
            .find(|kind| !volume[*kind].is_null())
        else {
            continue;
        };
        let key = format!("spark.kubernetes.{role}.volumes.{kind}.{name}");
        if let Some(path) = mount["mountPath"].as_str() {
            set(&format!("{key}.mount.path"), path);
        }
        if let Some(path) = mount["subPath"].as_str() {
            set(&format!("{key}.mount.subPath"), path);
        }
        if mount["readOnly"] == true {
            set(&format!("{key}.mount.readOnly"), "true");
        }
        for (option, value) in volume[kind].as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            set(&format!("{key}.options.{option}"), &value);
        }
    }
}

fn driver(
    application: &Application,
    spec: &DriverSpec,
    submission_id: &str,
    set: &mut impl FnMut(&str, &str),
) {
    pod(
        application,
        &spec.pod,
        "driver",
        "spark.kubernetes.driverEnv",
        submission_id,
        set,
    );
    if let Some(master) = &spec.kubernetes_master {
        set("spark.kubernetes.driver.master", master);
    }
    for (name, value) in spec.service_labels.iter().flatten() {
        set(
            &format!("spark.kubernetes.driver.service.label.{name}"),
            value,
        );
    }
    for (name, value) in spec.service_annotations.iter().flatten() {
        set(
            &format!("spark.kubernetes.driver.service.annotation.{name}"),
            value,
        );
    }
}

fn executor(
    application: &Application,
    spec: &ExecutorSpec,
    submission_id: &str,
    set: &mut impl FnMut(&str, &str),
) {
    pod(
        application,
        &spec.pod,
        "executor",
        "spark.executorEnv",
        submission_id,
        set,
    );
    if let Some(instances) = spec.instances {
        set("spark.executor.instances", &instances.to_string());
    }
    if let Some(delete) = spec.delete_on_termination {
        set(
            "spark.kubernetes.executor.deleteOnTermination",
            &delete.to_string(),
        );
    }
}

fn dynamic_allocation(spec: &SparkApplicationSpec, set: &mut impl FnMut(&str, &str)) {
    let Some(allocation) = spec
        .dynamic_allocation
        .as_ref()
        .filter(|allocation| allocation.enabled == Some(true))
    else {
        return;
    };
    set("spark.dynamicAllocation.enabled", "true");
    for (key, value) in [
        (
            "initialExecutors",
            allocation.initial_executors.map(i64::from),
        ),
        ("minExecutors", allocation.min_executors.map(i64::from)),
        ("maxExecutors", allocation.max_executors.map(i64::from)),
        (
            "shuffleTracking.timeout",
            allocation.shuffle_tracking_timeout,
        ),
    ] {
        if let Some(value) = value {
            set(
                &format!("spark.dynamicAllocation.{key}"),
                &value.to_string(),
            );
        }
    }
    let tracking = allocation.shuffle_tracking_enabled.unwrap_or(true);
    set(
        "spark.dynamicAllocation.shuffleTracking.enabled",
        &tracking.to_string(),
    );
}

#[cfg(test)]
mod tests {
    use super::super::observed;
    use super::*;

    #[test]
    fn the_operators_templates_win_over_the_users() {
        for user in ["", "/somewhere/else.yaml"] {
            let mut application = observed::application();
            let own = application.spec.spark_conf.get_or_insert_default();
            own.insert(
                "spark.kubernetes.driver.podTemplateFile".into(),
                user.into(),
            );
            own.insert(
                "spark.kubernetes.executor.podTemplateFile".into(),
                user.into(),
            );
            let conf = properties(&application, "id-1");
            assert_eq!(
                conf["spark.kubernetes.driver.podTemplateFile"],
                "/tmp/spark/id-1/driver-pod-template.yaml"
            );
            assert_eq!(
                conf["spark.kubernetes.executor.podTemplateFile"],
                "/tmp/spark/id-1/executor-pod-template.yaml"
            );
        }
    }

    #[test]
    fn user_properties_win_over_the_fields_before_them_only() {
        let mut application = observed::application();
        application.spec.image_pull_policy = Some("IfNotPresent".into());
        let own = application.spec.spark_conf.get_or_insert_default();
        own.insert(
            "spark.kubernetes.container.image.pullPolicy".into(),
            "Always".into(),
        );
        own.insert("spark.driver.memory".into(), "9g".into());
        let conf = properties(&application, "id-1");
        assert_eq!(
            conf["spark.kubernetes.container.image.pullPolicy"],
            "Always"
        );
        assert_eq!(conf["spark.driver.memory"], "1g");
    }

    #[test]
    fn a_pod_template_makes_the_webhook_unnecessary() {
        let mut application = observed::application();
        let key = format!("spark.kubernetes.driver.label.{MUTATED}");
        assert_eq!(
            properties(&application, "id").get(&key).map(String::as_str),
            Some("true")
        );
        application.spec.driver.pod.template = Some(serde_json::json!({}));
        assert_eq!(properties(&application, "id").get(&key), None);
    }

    #[test]
    fn scratch_volumes_become_properties_and_others_do_not() {
        let mut application = observed::application();
        application.spec.volumes = Some(vec![
            serde_json::json!({"name": "spark-local-dir-1", "emptyDir": {"sizeLimit": "1Gi"}}),
            serde_json::json!({"name": "data", "emptyDir": {}}),
        ]);
        application.spec.driver.pod.volume_mounts = Some(vec![
            serde_json::json!({"name": "spark-local-dir-1", "mountPath": "/scratch"}),
            serde_json::json!({"name": "data", "mountPath": "/data"}),
        ]);
        let conf = properties(&application, "id");
        let volumes: Vec<_> = conf
            .iter()
            .filter(|(key, _)| key.contains(".driver.volumes."))
            .collect();
        assert_eq!(volumes.len(), 2, "{volumes:?}");
        assert_eq!(
            conf["spark.kubernetes.driver.volumes.emptyDir.spark-local-dir-1.options.sizeLimit"],
            "1Gi"
        );
    }
}
