//! The executor pods that a driver asks for, after Spark's `BasicExecutorFeatureStep` and `KubernetesConf`.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::driver::{memory, merge_map, push};
use super::labels::{
    APP_SELECTOR, DRIVER_CONTAINER, EXECUTOR, EXECUTOR_CONTAINER, EXECUTOR_ID, EXECUTOR_PROFILE,
    LOCAL_DIR_PREFIX, ROLE, SPARK_APP_NAME, SPARK_VERSION,
};
use super::names;
use super::properties::{Properties, under};

/// Volume of an executor with Spark's configuration files.
pub(super) const EXECUTOR_CONF_VOLUME: &str = "spark-conf-volume-exec";

/// What a driver program knows once it has started.
#[derive(Clone, Debug)]
pub(super) struct Driver {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) service_account: String,
    /// Version of Spark in the driver's image, as far as the pod tells.
    pub(super) spark_version: String,
    /// `spark.properties`.
    pub(super) conf: Properties,
    /// The executors' pod template.
    pub(super) template: Value,
    /// Prefix of the executors' names.
    pub(super) prefix: String,
    /// Config map that every executor mounts.
    pub(super) config_map: String,
}

impl Driver {
    /// What the driver in this pod knows, from the config maps that it mounts.
    pub(super) fn new(pod: &Pod, conf: Properties, template: Value) -> Self {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let spec = pod.spec.clone().unwrap_or_default();
        let app = conf.get("spark.app.name").cloned().unwrap_or_default();
        let id = names::unique_id();
        let prefix = conf
            .get("spark.kubernetes.executor.podNamePrefix")
            .cloned()
            .unwrap_or_else(|| names::resource_prefix(&app, &id));
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            service_account: spec
                .service_account_name
                .unwrap_or_else(|| "default".to_owned()),
            spark_version: labels.get(SPARK_VERSION).cloned().unwrap_or_default(),
            conf,
            template,
            prefix,
            config_map: format!("spark-exec-{}-conf-map", names::unique_id()),
        }
    }

    /// How many executors the driver asks for (`SchedulerBackendUtils.getInitialTargetExecutorNumber`).
    pub(super) fn executors(&self) -> u32 {
        let number = |key: &str| self.conf.get(key).and_then(|text| text.parse::<u32>().ok());
        let instances = number("spark.executor.instances");
        if self
            .conf
            .get("spark.dynamicAllocation.enabled")
            .is_some_and(|text| text == "true")
        {
            let least = number("spark.dynamicAllocation.minExecutors").unwrap_or(0);
            let initial = number("spark.dynamicAllocation.initialExecutors").unwrap_or(least);
            return least.max(initial).max(instances.unwrap_or(0));
        }
        instances.unwrap_or(2)
    }

    /// How many failed executors end the driver (`ExecutorFailureTracker`, since Spark 3.5).
    pub(super) fn tolerated_failures(&self) -> u32 {
        let set = self
            .conf
            .get("spark.executor.maxNumFailures")
            .and_then(|text| text.parse().ok());
        set.unwrap_or_else(|| (self.executors() * 2).max(3))
    }

    /// Whether the driver deletes executors that have ended.
    pub(super) fn deletes_executors(&self) -> bool {
        self.conf
            .get("spark.kubernetes.executor.deleteOnTermination")
            .is_none_or(|text| text == "true")
    }

    /// The reference to the driver's pod on what the driver makes.
    pub(super) fn owner(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid, "controller": true})
    }

    fn app_id(&self) -> &str {
        self.conf.get("spark.app.id").map_or("", String::as_str)
    }

    /// The config map for all executors; Spark's own files are not simulated, so it holds the namespace only.
    pub(super) fn executor_config_map(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": {
                "name": self.config_map, "namespace": self.namespace, "ownerReferences": [self.owner()],
                "labels": {(APP_SELECTOR): self.app_id(), (ROLE): EXECUTOR},
            },
            "data": {"spark.kubernetes.namespace": self.namespace},
        })
    }

    /// Executor number `id`. None where the memory is no memory.
    pub(super) fn executor(&self, id: u32) -> Option<Value> {
        let conf = &self.conf;
        let get = |key: &str| conf.get(key).map(String::as_str);
        let factor = get("spark.kubernetes.memoryOverheadFactor")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.1);
        let memory = format!("{}Mi", memory(conf, EXECUTOR, factor)?);
        let cores = get("spark.executor.cores").unwrap_or("1");
        let name = format!("{}-exec-{id}", self.prefix);

        let mut pod = self.template.clone();
        if !pod.is_object() {
            pod = json!({});
        }
        if pod["spec"]["containers"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            pod["spec"]["containers"] = json!([{"name": EXECUTOR_CONTAINER}]);
        }
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["namespace"] = json!(self.namespace);
        push(&mut pod["metadata"]["ownerReferences"], self.owner());
        let prefixed = |prefix: &str| {
            under(conf, prefix)
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect()
        };
        merge_map(
            &mut pod["metadata"]["annotations"],
            prefixed("spark.kubernetes.executor.annotation."),
        );
        merge_map(
            &mut pod["metadata"]["labels"],
            prefixed("spark.kubernetes.executor.label."),
        );
        for (label, value) in [
            (SPARK_VERSION, self.spark_version.clone()),
            (EXECUTOR_ID, id.to_string()),
            (EXECUTOR_PROFILE, "0".to_owned()),
            (APP_SELECTOR, self.app_id().to_owned()),
            (
                SPARK_APP_NAME,
                names::app_name_label(get("spark.app.name").unwrap_or_default()),
            ),
            (ROLE, EXECUTOR.to_owned()),
        ] {
            pod["metadata"]["labels"][label] = json!(value);
        }
        let spec = &mut pod["spec"];
        spec["restartPolicy"] = json!("Never");
        // The end of the name is unique; a host name takes 63 characters.
        spec["hostname"] = json!(name[name.len().saturating_sub(63)..].trim_start_matches('-'));
        let account = get("spark.kubernetes.authenticate.executor.serviceAccountName")
            .or_else(|| get("spark.kubernetes.authenticate.driver.serviceAccountName"));
        if let Some(account) = account {
            spec["serviceAccountName"] = json!(account);
        }
        let selector: std::collections::BTreeMap<String, String> =
            under(conf, "spark.kubernetes.node.selector.")
                .chain(under(conf, "spark.kubernetes.executor.node.selector."))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
        if !selector.is_empty() {
            merge_map(&mut spec["nodeSelector"], selector);
        }
        let local = format!("{LOCAL_DIR_PREFIX}1");
        push(&mut spec["volumes"], json!({"name": local, "emptyDir": {}}));
        push(
            &mut spec["volumes"],
            json!({"name": EXECUTOR_CONF_VOLUME, "configMap": {"name": self.config_map}}),
        );
        let container = container(spec)?;
        container["image"] = json!(
            get("spark.kubernetes.executor.container.image")
                .or_else(|| get("spark.kubernetes.container.image"))
        );
        let policy = get("spark.kubernetes.container.image.pullPolicy").unwrap_or("IfNotPresent");
        container["imagePullPolicy"] = json!(policy);
        container["args"] = json!(["executor"]);
        push(
            &mut container["ports"],
            json!({"name": "blockmanager", "containerPort": 7079, "protocol": "TCP"}),
        );
        container["resources"]["requests"]["cpu"] =
            json!(get("spark.kubernetes.executor.request.cores").unwrap_or(cores));
        container["resources"]["requests"]["memory"] = json!(memory);
        container["resources"]["limits"]["memory"] = json!(memory);
        if let Some(limit) = get("spark.kubernetes.executor.limit.cores") {
            container["resources"]["limits"]["cpu"] = json!(limit);
        }
        let url = format!(
            "spark://CoarseGrainedScheduler@{}:{}",
            get("spark.driver.host").unwrap_or_default(),
            get("spark.driver.port").unwrap_or("7078")
        );
        for (variable, value) in [
            ("SPARK_USER", "spark".to_owned()),
            ("SPARK_DRIVER_URL", url),
            ("SPARK_EXECUTOR_CORES", cores.to_owned()),
            (
                "SPARK_EXECUTOR_MEMORY",
                get("spark.executor.memory").unwrap_or("1g").to_owned(),
            ),
            ("SPARK_APPLICATION_ID", self.app_id().to_owned()),
            ("SPARK_CONF_DIR", "/opt/spark/conf".to_owned()),
            ("SPARK_EXECUTOR_ID", id.to_string()),
            ("SPARK_RESOURCE_PROFILE_ID", "0".to_owned()),
        ] {
            push(
                &mut container["env"],
                json!({"name": variable, "value": value}),
            );
        }
        for (variable, value) in under(conf, "spark.executorEnv.") {
            push(
                &mut container["env"],
                json!({"name": variable, "value": value}),
            );
        }
        for (variable, path) in [
            ("SPARK_EXECUTOR_POD_IP", "status.podIP"),
            ("SPARK_EXECUTOR_POD_NAME", "metadata.name"),
        ] {
            let source = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
            push(
                &mut container["env"],
                json!({"name": variable, "valueFrom": source}),
            );
        }
        push(
            &mut container["volumeMounts"],
            json!({"name": local, "mountPath": "/var/data/spark"}),
        );
        push(
            &mut container["volumeMounts"],
            json!({"name": EXECUTOR_CONF_VOLUME, "mountPath": "/opt/spark/conf"}),
        );
        Some(pod)
    }
}

fn container(spec: &mut Value) -> Option<&mut Value> {
    let containers = spec["containers"].as_array_mut()?;
    let index = containers
        .iter()
        .position(|container| container["name"] == EXECUTOR_CONTAINER)
        .unwrap_or(0);
    containers.get_mut(index)
}

/// Whether a driver's program runs in this pod now.
pub(super) fn driver_runs(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && statuses.into_iter().flatten().any(|status| {
            status.name == DRIVER_CONTAINER
                && status
                    .state
                    .as_ref()
                    .is_some_and(|state| state.running.is_some())
        })
}

/// The config map behind a volume of a pod.
pub(super) fn config_map_of(pod: &Pod, volume: &str) -> Option<String> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    Some(
        volumes
            .iter()
            .find(|found| found.name == volume)?
            .config_map
            .as_ref()?
            .name
            .clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::conf::properties;
    use super::super::driver::{Identity, submission};
    use super::super::observed;
    use super::super::properties::read;
    use super::*;

    fn driver() -> Driver {
        let application = observed::application();
        let made = submission(
            &application,
            properties(&application, "s-1"),
            &Identity::choose(),
        )
        .unwrap();
        let mut pod = made.pod.clone();
        pod["metadata"]["uid"] = json!("u-1");
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let conf = read(
            made.config_maps[0]["data"]["spark.properties"]
                .as_str()
                .unwrap(),
        );
        let template = made.config_maps[1]["data"]["podspec-configmap-key"]
            .as_str()
            .unwrap();
        Driver::new(&pod, conf, serde_norway::from_str(template).unwrap())
    }

    #[test]
    fn an_executor_has_what_the_application_asks_for() {
        let driver = driver();
        assert_eq!(driver.executors(), 2);
        let pod = driver.executor(1).unwrap();
        let _: Pod = serde_json::from_value(pod.clone()).unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert!(
            name.starts_with("spark-kafka-consumer-") && name.ends_with("-exec-1"),
            "{name}"
        );
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["name"], EXECUTOR_CONTAINER);
        // 2g and the non-JVM share of a Python program, which the driver passes on: 2048 + 0.4 × 2048 MiB.
        assert_eq!(
            container["resources"],
            json!({
                "requests": {"cpu": "1", "memory": "2867Mi"}, "limits": {"memory": "2867Mi"}
            })
        );
        assert_eq!(container["imagePullPolicy"], "Always");
        assert_eq!(pod["metadata"]["labels"][ROLE], "executor");
        assert_eq!(
            pod["metadata"]["labels"]["sparkoperator.k8s.io/submission-id"],
            "s-1"
        );
        let owners = pod["metadata"]["ownerReferences"].as_array().unwrap();
        assert_eq!(owners.len(), 2);
        assert_eq!(
            (&owners[0]["kind"], &owners[0]["controller"]),
            (&json!("SparkApplication"), &Value::Null)
        );
        assert_eq!(
            (&owners[1]["kind"], &owners[1]["controller"]),
            (&json!("Pod"), &json!(true))
        );
        assert_eq!(pod["spec"]["serviceAccountName"], "spark");
    }

    #[test]
    fn dynamic_allocation_starts_with_the_largest_of_its_numbers() {
        let mut driver = driver();
        for (key, value) in [
            ("enabled", "true"),
            ("minExecutors", "3"),
            ("initialExecutors", "1"),
        ] {
            driver
                .conf
                .insert(format!("spark.dynamicAllocation.{key}"), value.into());
        }
        assert_eq!(driver.executors(), 3);
        driver.conf.remove("spark.dynamicAllocation.enabled");
        driver.conf.remove("spark.executor.instances");
        assert_eq!(driver.executors(), 2);
    }
}
