//! What `spark-submit` makes of the properties: the driver's pod and the objects that belong to it.
//!
//! After Spark 3.5's feature steps (`BasicDriverFeatureStep`, `DriverServiceFeatureStep`, `DriverCommandFeatureStep`,
//! `LocalDirsFeatureStep`, `PodTemplateConfigMapStep`, `KubernetesClientUtils`), held to observed objects by tests.

use std::collections::BTreeMap;

use pipectl_kinds::spark::SparkApplicationSpec;
use serde_json::{Map, Value, json};

use super::application::Application;
use super::labels::{
    APP_SELECTOR, DRIVER, DRIVER_CONTAINER, EXECUTOR_CONTAINER, LOCAL_DIR_PREFIX, ROLE,
    SPARK_APP_NAME, SPARK_VERSION, SUBMIT_VERSION,
};
use super::names;
use super::properties::{self, Properties, mebibytes, under};

/// Path of the executors' pod template in the driver's container.
const EXECUTOR_TEMPLATE: &str = "/opt/spark/pod-template/pod-spec-template.yml";
/// Key of that template in its config map.
pub(super) const TEMPLATE_KEY: &str = "podspec-configmap-key";
/// Volume with `spark.properties`.
pub(super) const CONF_VOLUME: &str = "spark-conf-volume-driver";
/// Volume with the executors' pod template.
pub(super) const TEMPLATE_VOLUME: &str = "pod-template-volume";
/// Non-JVM memory of Python and R programs, as a share of the JVM's.
const NON_JVM_OVERHEAD: f64 = 0.4;
/// Non-JVM memory of Java and Scala programs, as a share of the JVM's.
const JVM_OVERHEAD: f64 = 0.1;
/// Least non-JVM memory in MiB.
const LEAST_OVERHEAD: u64 = 384;

/// Why spark-submit would end before it reached the API server; its message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct SubmitError(pub(super) String);

/// A submission: the pod first, then what belongs to it and is owned by it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) pod: Value,
    pub(super) service: Value,
    pub(super) config_maps: [Value; 2],
}

/// Unique parts of a submission's names, chosen by spark-submit.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// `spark-` and 32 hexadecimal digits.
    pub(super) app_id: String,
    /// For the prefix of the run's objects.
    pub(super) run: String,
    /// For the config map with the properties.
    pub(super) conf: String,
}

impl Identity {
    pub(super) fn choose() -> Self {
        Self {
            app_id: format!("spark-{}", uuid::Uuid::new_v4().simple()),
            run: names::unique_id(),
            conf: names::unique_id(),
        }
    }
}

/// The kind of program, told by the file's name as spark-submit does.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    Java,
    Python,
    R,
}

impl Program {
    fn of(spec: &SparkApplicationSpec) -> Self {
        match spec.main_application_file.rsplit('.').next() {
            Some("py") => Self::Python,
            Some("r" | "R") => Self::R,
            _ => Self::Java,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Python => "python",
            Self::R => "r",
        }
    }

    fn main_class(self, spec: &SparkApplicationSpec) -> Result<String, SubmitError> {
        match self {
            Self::Python => Ok("org.apache.spark.deploy.PythonRunner".to_owned()),
            Self::R => Ok("org.apache.spark.deploy.RRunner".to_owned()),
            Self::Java => spec.main_class.clone().ok_or_else(|| {
                SubmitError(
                    "Error: No main class set in JAR; please specify one with --class.".to_owned(),
                )
            }),
        }
    }

    fn overhead(self, conf: &Properties) -> f64 {
        let set = conf
            .get("spark.kubernetes.memoryOverheadFactor")
            .and_then(|text| text.parse().ok());
        set.unwrap_or(if self == Self::Java {
            JVM_OVERHEAD
        } else {
            NON_JVM_OVERHEAD
        })
    }
}

/// Memory of a container in MiB: the JVM's and the rest.
pub(super) fn memory(conf: &Properties, role: &str, factor: f64) -> Option<u64> {
    let jvm = match conf.get(&format!("spark.{role}.memory")) {
        Some(text) => mebibytes(text)?,
        None => 1024,
    };
    let overhead = match conf.get(&format!("spark.{role}.memoryOverhead")) {
        Some(text) => mebibytes(text)?,
        None => {
            let own = conf
                .get(&format!("spark.{role}.memoryOverheadFactor"))
                .and_then(|text| text.parse().ok());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "Spark truncates the product of a factor and some MiB"
            )]
            let share = (own.unwrap_or(factor) * jvm as f64) as u64;
            share.max(LEAST_OVERHEAD)
        }
    };
    Some(jvm + overhead)
}

/// Builds the objects of a submission from an application and its properties.
pub(super) fn submission(
    application: &Application,
    mut conf: Properties,
    identity: &Identity,
) -> Result<Submission, SubmitError> {
    let spec = &application.spec;
    if spec.mode == Some(pipectl_kinds::spark::DeployMode::Client) {
        return Err(SubmitError(
            "the sandbox does not simulate deploy mode client".to_owned(),
        ));
    }
    let program = Program::of(spec);
    let main_class = program.main_class(spec)?;
    let image = conf
        .get("spark.kubernetes.driver.container.image")
        .or_else(|| conf.get("spark.kubernetes.container.image"))
        .cloned()
        .ok_or_else(|| SubmitError("Must specify the driver container image".to_owned()))?;
    let factor = program.overhead(&conf);
    let memory = memory(&conf, DRIVER, factor).ok_or_else(|| {
        SubmitError("Memory must be given in Java's notation, for instance 1g".to_owned())
    })?;

    let name = application.name();
    let namespace = application.namespace();
    let prefix = names::resource_prefix(name, &identity.run);
    let pod_name = names::driver_pod(name, spec);
    let service_name = names::driver_service(&prefix, &identity.run);
    let conf_map = format!("spark-drv-{}-conf-map", identity.conf);
    let template_map = format!("{prefix}-driver-podspec-conf-map");
    let [rpc, block, ui] = ports(&conf);

    for (key, value) in [
        ("spark.app.id", identity.app_id.clone()),
        ("spark.kubernetes.submitInDriver", "true".to_owned()),
        ("spark.kubernetes.memoryOverheadFactor", factor.to_string()),
        ("spark.kubernetes.resource.type", program.name().to_owned()),
        (
            "spark.driver.host",
            format!("{service_name}.{namespace}.svc"),
        ),
        ("spark.driver.port", rpc.to_string()),
        ("spark.driver.blockManager.port", block.to_string()),
        (
            "spark.kubernetes.executor.podTemplateFile",
            EXECUTOR_TEMPLATE.to_owned(),
        ),
    ] {
        conf.insert(key.to_owned(), value);
    }

    let labels = labels(&conf, name, &identity.app_id);
    let selector = labels.clone();
    let mut pod = template(spec.driver.pod.template.as_ref(), DRIVER_CONTAINER);
    let local_dir = format!("/var/data/spark-{}", identity.run);
    let container = Container {
        image: &image,
        memory,
        ports: [rpc, block, ui],
        arguments: arguments(&main_class, spec),
        conf: &conf,
        app_id: &identity.app_id,
        local_dir: &local_dir,
    };
    let volumes = volumes(&conf, &conf_map, &template_map);
    fill_container(&mut pod, &container, &volumes);
    fill_pod(&mut pod, &conf, &volumes);
    merge_map(&mut pod["metadata"]["labels"], labels);
    merge_map(
        &mut pod["metadata"]["annotations"],
        collect(under(&conf, "spark.kubernetes.driver.annotation.")),
    );
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(pod_name);
    pod["metadata"]["namespace"] = json!(namespace);
    pod["metadata"]["ownerReferences"] = json!([application.owner_reference()]);

    Ok(Submission {
        pod,
        service: service(
            &conf,
            &service_name,
            namespace,
            &identity.app_id,
            &selector,
            [rpc, block, ui],
        ),
        config_maps: [
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
                "metadata": {"name": conf_map, "namespace": namespace},
                "data": {
                    "spark.kubernetes.namespace": namespace,
                    "spark.properties": properties::write(&conf, &conf_map),
                }
            }),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
                "metadata": {"name": template_map, "namespace": namespace},
                "data": {(TEMPLATE_KEY): executor_template(application)}
            }),
        ],
    })
}

fn collect<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn ports(conf: &Properties) -> [u16; 3] {
    let port = |keys: &[&str], default| {
        keys.iter()
            .find_map(|key| conf.get(*key))
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    [
        port(&["spark.driver.port"], 7078),
        port(
            &["spark.driver.blockManager.port", "spark.blockManager.port"],
            7079,
        ),
        port(&["spark.ui.port"], 4040),
    ]
}

fn arguments(main_class: &str, spec: &SparkApplicationSpec) -> Vec<String> {
    let fixed = [
        "driver",
        "--properties-file",
        "/opt/spark/conf/spark.properties",
        "--class",
        main_class,
    ];
    let own = std::iter::once(&spec.main_application_file).chain(spec.arguments.iter().flatten());
    fixed
        .into_iter()
        .map(str::to_owned)
        .chain(own.cloned())
        .collect()
}

fn labels(conf: &Properties, name: &str, app_id: &str) -> BTreeMap<String, String> {
    let mut labels = collect(under(conf, "spark.kubernetes.driver.label."));
    labels.insert(SPARK_VERSION.into(), SUBMIT_VERSION.into());
    labels.insert(APP_SELECTOR.into(), app_id.into());
    labels.insert(SPARK_APP_NAME.into(), names::app_name_label(name));
    labels.insert(ROLE.into(), DRIVER.into());
    labels
}

/// The pod to start from: the user's template, or the operator's with nothing but a container's name.
fn template(own: Option<&Value>, container: &str) -> Value {
    let mut pod = own
        .cloned()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    let containers = pod["spec"]["containers"]
        .as_array()
        .is_none_or(Vec::is_empty);
    if containers {
        pod["spec"]["containers"] = json!([{"name": container}]);
    }
    pod
}

/// The executors' template, which the driver reads: with a reference to the application that controls nothing.
fn executor_template(application: &Application) -> String {
    let mut pod = template(
        application.spec.executor.pod.template.as_ref(),
        EXECUTOR_CONTAINER,
    );
    let mut owner = application.owner_reference();
    if let Some(owner) = owner.as_object_mut() {
        owner.shift_remove("controller");
        owner.shift_remove("blockOwnerDeletion");
    }
    match pod["metadata"]["ownerReferences"].as_array_mut() {
        Some(owners) => owners.push(owner),
        None => pod["metadata"]["ownerReferences"] = json!([owner]),
    }
    serde_norway::to_string(&pod).unwrap_or_default()
}

struct Container<'a> {
    image: &'a str,
    memory: u64,
    ports: [u16; 3],
    arguments: Vec<String>,
    conf: &'a Properties,
    app_id: &'a str,
    local_dir: &'a str,
}

/// A volume with its mount.
struct Mounted {
    volume: Value,
    mount: Value,
}

fn volumes(conf: &Properties, conf_map: &str, template_map: &str) -> Vec<Mounted> {
    let mut all: Vec<Mounted> = under(conf, "spark.kubernetes.driver.secrets.")
        .map(|(secret, path)| Mounted {
            volume: json!({"name": format!("{secret}-volume"), "secret": {"secretName": secret}}),
            mount: json!({"name": format!("{secret}-volume"), "mountPath": path}),
        })
        .collect();
    all.push(Mounted {
        volume: json!({"name": TEMPLATE_VOLUME, "configMap": {
            "name": template_map, "items": [{"key": TEMPLATE_KEY, "path": "pod-spec-template.yml"}]
        }}),
        mount: json!({"name": TEMPLATE_VOLUME, "mountPath": "/opt/spark/pod-template"}),
    });
    all.extend(local_dirs(conf, DRIVER));
    all.push(Mounted {
        volume: json!({"name": CONF_VOLUME, "configMap": {"name": conf_map, "items": [
            {"key": "spark.properties", "path": "spark.properties", "mode": 420}
        ]}}),
        mount: json!({"name": CONF_VOLUME, "mountPath": "/opt/spark/conf"}),
    });
    all
}

/// Scratch volumes of the properties. With none, Spark makes one; its mount's path is filled in by the caller.
fn local_dirs(conf: &Properties, role: &str) -> Vec<Mounted> {
    let mut found = Vec::new();
    let prefix = format!("spark.kubernetes.{role}.volumes.");
    for (key, path) in under(conf, &prefix) {
        let Some((kind, rest)) = key.split_once('.') else {
            continue;
        };
        let Some(name) = rest.strip_suffix(".mount.path") else {
            continue;
        };
        let options: Map<String, Value> = under(conf, &format!("{prefix}{kind}.{name}.options."))
            .map(|(option, value)| {
                let value = match value {
                    "true" => json!(true),
                    "false" => json!(false),
                    text => json!(text),
                };
                (option.to_owned(), value)
            })
            .collect();
        found.push(Mounted {
            volume: json!({"name": name, (kind): options}),
            mount: json!({"name": name, "mountPath": path}),
        });
    }
    if found.is_empty() {
        let name = format!("{LOCAL_DIR_PREFIX}1");
        found.push(Mounted {
            volume: json!({"name": name, "emptyDir": {}}),
            mount: json!({"name": name, "mountPath": Value::Null}),
        });
    }
    found
}

fn fill_container(pod: &mut Value, with: &Container<'_>, volumes: &[Mounted]) {
    let Some(containers) = pod["spec"]["containers"].as_array_mut() else {
        return;
    };
    let index = containers
        .iter()
        .position(|container| container["name"] == DRIVER_CONTAINER)
        .unwrap_or(0);
    let container = &mut containers[index];
    if container["name"].is_null() {
        container["name"] = json!(DRIVER_CONTAINER);
    }
    let conf = with.conf;
    let policy = conf
        .get("spark.kubernetes.container.image.pullPolicy")
        .map_or("IfNotPresent", String::as_str);
    container["image"] = json!(with.image);
    container["imagePullPolicy"] = json!(policy);
    container["args"] = json!(with.arguments);
    let names = ["driver-rpc-port", "blockmanager", "spark-ui"];
    for (name, port) in names.into_iter().zip(with.ports) {
        push(
            &mut container["ports"],
            json!({"name": name, "containerPort": port, "protocol": "TCP"}),
        );
    }
    let cores = conf
        .get("spark.kubernetes.driver.request.cores")
        .or_else(|| conf.get("spark.driver.cores"))
        .map_or("1", String::as_str);
    let memory = format!("{}Mi", with.memory);
    container["resources"]["requests"]["cpu"] = json!(cores);
    container["resources"]["requests"]["memory"] = json!(memory);
    container["resources"]["limits"]["memory"] = json!(memory);
    if let Some(limit) = conf.get("spark.kubernetes.driver.limit.cores") {
        container["resources"]["limits"]["cpu"] = json!(limit);
    }
    let env = &mut container["env"];
    push(env, json!({"name": "SPARK_USER", "value": "spark"}));
    push(
        env,
        json!({"name": "SPARK_APPLICATION_ID", "value": with.app_id}),
    );
    for (name, value) in under(conf, "spark.kubernetes.driverEnv.") {
        push(env, json!({"name": name, "value": value}));
    }
    for (name, reference) in under(conf, "spark.kubernetes.driver.secretKeyRef.") {
        if let Some((secret, key)) = reference.split_once(':') {
            push(
                env,
                json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}),
            );
        }
    }
    let address = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}});
    push(
        env,
        json!({"name": "SPARK_DRIVER_BIND_ADDRESS", "valueFrom": address}),
    );
    let mut dirs = Vec::new();
    for mounted in volumes {
        let mut mount = mounted.mount.clone();
        if mount["mountPath"].is_null() {
            mount["mountPath"] = json!(with.local_dir);
        }
        if mount["name"]
            .as_str()
            .is_some_and(|name| name.starts_with(LOCAL_DIR_PREFIX))
        {
            dirs.push(mount["mountPath"].as_str().unwrap_or_default().to_owned());
        }
        push(&mut container["volumeMounts"], mount);
    }
    let env = &mut container["env"];
    push(
        env,
        json!({"name": "SPARK_LOCAL_DIRS", "value": dirs.join(",")}),
    );
    push(
        env,
        json!({"name": "SPARK_CONF_DIR", "value": "/opt/spark/conf"}),
    );
}

fn fill_pod(pod: &mut Value, conf: &Properties, volumes: &[Mounted]) {
    let spec = &mut pod["spec"];
    spec["restartPolicy"] = json!("Never");
    if let Some(account) = conf.get("spark.kubernetes.authenticate.driver.serviceAccountName") {
        spec["serviceAccountName"] = json!(account);
        spec["serviceAccount"] = json!(account);
    }
    for mounted in volumes {
        push(&mut spec["volumes"], mounted.volume.clone());
    }
    let mut selector = collect(under(conf, "spark.kubernetes.node.selector."));
    selector.extend(collect(under(
        conf,
        "spark.kubernetes.driver.node.selector.",
    )));
    if !selector.is_empty() {
        merge_map(&mut spec["nodeSelector"], selector);
    }
    for secret in conf
        .get("spark.kubernetes.container.image.pullSecrets")
        .iter()
        .flat_map(|text| text.split(','))
    {
        push(
            &mut spec["imagePullSecrets"],
            json!({"name": secret.trim()}),
        );
    }
}

fn service(
    conf: &Properties,
    name: &str,
    namespace: &str,
    app_id: &str,
    selector: &BTreeMap<String, String>,
    [rpc, block, ui]: [u16; 3],
) -> Value {
    let mut labels = collect(under(conf, "spark.kubernetes.driver.service.label."));
    labels.insert(APP_SELECTOR.into(), app_id.into());
    let port = |name: &str, port: u16| json!({"name": name, "port": port, "targetPort": port});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels,
            "annotations": collect(under(conf, "spark.kubernetes.driver.service.annotation.")),
        },
        "spec": {
            "clusterIP": "None",
            "selector": selector,
            "ports": [port("driver-rpc-port", rpc), port("blockmanager", block), port("spark-ui", ui)],
        }
    })
}

/// Appends to a list that may be absent.
pub(super) fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(items) => items.push(item),
        None => *list = Value::Array(vec![item]),
    }
}

/// Merges strings into a map that may be absent.
pub(super) fn merge_map(map: &mut Value, entries: BTreeMap<String, String>) {
    if !map.is_object() {
        *map = json!({});
    }
    for (key, value) in entries {
        map[key] = json!(value);
    }
}
