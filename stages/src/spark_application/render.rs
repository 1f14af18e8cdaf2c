//! A Spark application and what it needs as objects. Pure functions.

use std::{collections::BTreeMap, sync::Arc};

use pipectl_config::{
    EnvValue, Loaded, RestartPolicyType as Policy, SecretRef, SparkApplication, SparkLanguage,
    SparkMode,
};
use pipectl_kinds::{
    Resource,
    spark::{
        ApplicationType, ConfigMapMount, Dependencies, DeployMode, DriverSpec, ExecutorSpec,
        RestartPolicy, RestartPolicyType, SecretKeyReference, SparkApplicationSpec, SparkPodSpec,
        VERSION,
    },
};
use serde_json::{Value, json};

use crate::objects::digest;

/// Both settings stay empty unless the pipeline sets them: the operator otherwise hands spark-submit a pod template
/// file that it cannot mount into the driver, and the submission fails (document 000, "Troubleshooting").
const TEMPLATE_SETTINGS: [&str; 2] = [
    "spark.kubernetes.driver.podTemplateFile",
    "spark.kubernetes.executor.podTemplateFile",
];

/// Annotation with a digest of the program files: a changed program is a changed application, although the ConfigMap
/// keeps its name.
const CODE_ANNOTATION: &str = "pipectl.dev/code";

/// The application.
#[must_use]
pub fn application(loaded: &Arc<Loaded>, app: &SparkApplication) -> Value {
    let mut conf: BTreeMap<String, String> = app
        .spark_conf
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect();
    for setting in TEMPLATE_SETTINGS {
        conf.entry(setting.to_owned()).or_default();
    }
    let pod = pod(app);
    let spec = SparkApplicationSpec {
        application_type: match app.language {
            SparkLanguage::Python => ApplicationType::Python,
            SparkLanguage::Scala => ApplicationType::Scala,
            SparkLanguage::Java => ApplicationType::Java,
            SparkLanguage::R => ApplicationType::R,
        },
        python_version: (app.language == SparkLanguage::Python).then(|| "3".to_owned()),
        spark_version: app.spark_version.to_string(),
        mode: Some(match app.mode {
            SparkMode::Cluster => DeployMode::Cluster,
            SparkMode::Client => DeployMode::Client,
        }),
        image: Some(loaded.pipeline.spec.mirrors.image(&app.image).into_owned()),
        image_pull_policy: Some(app.image_pull_policy.as_str().to_owned()),
        spark_conf: Some(conf),
        main_class: app.main_class.clone(),
        main_application_file: app.main_file().unwrap_or_default(),
        arguments: (!app.arguments.is_empty()).then(|| app.arguments.clone()),
        deps: dependencies(app),
        restart_policy: Some(restart_policy(app)),
        driver: DriverSpec {
            pod: SparkPodSpec {
                cores: Some(number(app.driver.cores)),
                memory: Some(app.driver.memory.to_string()),
                service_account: Some(app.driver.service_account.clone()),
                labels: (!app.driver.labels.is_empty()).then(|| app.driver.labels.clone()),
                ..pod.clone()
            },
            ..DriverSpec::default()
        },
        executor: ExecutorSpec {
            pod: SparkPodSpec {
                cores: Some(number(app.executor.cores)),
                memory: Some(app.executor.memory.to_string()),
                labels: (!app.executor.labels.is_empty()).then(|| app.executor.labels.clone()),
                ..pod
            },
            instances: Some(number(app.executor.instances)),
            ..ExecutorSpec::default()
        },
        ..SparkApplicationSpec::default()
    };
    let mut application = Resource::new(VERSION, &app.namespace, &app.name, spec);
    let code = loaded.application_code(&app.namespace, &app.name);
    if !code.is_empty() {
        application = application.annotation(CODE_ANNOTATION, &digest(&json!(code)));
    }
    application.to_value()
}

/// What driver and executor pods share: code and environment. `envVars` and `envSecretKeyRefs` become Spark settings,
/// so they need no webhook.
fn pod(app: &SparkApplication) -> SparkPodSpec {
    let mut env_vars = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    for (name, value) in &app.env {
        match value {
            EnvValue::Literal(text) => {
                env_vars.insert(name.clone(), text.clone());
            }
            EnvValue::Secret { .. } => {
                let reference = SecretKeyReference {
                    name: secret_name(app),
                    key: name.clone(),
                };
                secrets.insert(name.clone(), reference);
            }
        }
    }
    SparkPodSpec {
        config_maps: app.code.as_ref().map(|code| {
            vec![ConfigMapMount {
                name: code.config_map.clone(),
                path: code.mount_path.clone(),
            }]
        }),
        env_vars: (!env_vars.is_empty()).then_some(env_vars),
        env_secret_key_refs: (!secrets.is_empty()).then_some(secrets),
        ..SparkPodSpec::default()
    }
}

fn dependencies(app: &SparkApplication) -> Option<Dependencies> {
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    (!app.deps.is_empty()).then(|| Dependencies {
        packages: list(&app.deps.packages),
        repositories: list(&app.deps.repositories),
        jars: list(&app.deps.jars),
        py_files: list(&app.deps.py_files),
        ..Dependencies::default()
    })
}

fn restart_policy(app: &SparkApplication) -> RestartPolicy {
    let policy = &app.restart_policy;
    // The definition wants at least one second.
    let seconds = |period: pipectl_config::Period| {
        i64::try_from(period.duration().as_secs())
            .unwrap_or(i64::MAX)
            .max(1)
    };
    let kind = match policy.policy {
        Policy::Never => RestartPolicyType::Never,
        Policy::OnFailure => RestartPolicyType::OnFailure,
        Policy::Always => RestartPolicyType::Always,
    };
    if kind == RestartPolicyType::Never {
        return RestartPolicy {
            policy: Some(kind),
            ..RestartPolicy::default()
        };
    }
    RestartPolicy {
        policy: Some(kind),
        on_failure_retries: Some(number(policy.on_failure_retries)),
        on_failure_retry_interval: Some(seconds(policy.on_failure_retry_interval)),
        on_submission_failure_retries: Some(number(policy.on_submission_failure_retries)),
        on_submission_failure_retry_interval: Some(seconds(
            policy.on_submission_failure_retry_interval,
        )),
    }
}

/// The Secret that holds an application's secret environment variables.
fn secret_name(app: &SparkApplication) -> String {
    format!("{}-env", app.name)
}

/// The environment variables whose values are kept elsewhere.
#[must_use]
pub fn env_secrets(app: &SparkApplication) -> Vec<(&String, &SecretRef)> {
    app.env
        .iter()
        .filter_map(|(name, value)| match value {
            EnvValue::Secret { secret_ref } => Some((name, secret_ref)),
            EnvValue::Literal(_) => None,
        })
        .collect()
}

/// The Secret of an application's secret environment variables, from values already encoded.
#[must_use]
pub fn env_secret(app: &SparkApplication, data: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(app), "namespace": app.namespace},
        "type": "Opaque",
        "data": data,
    })
}

/// What an application needs: its own manifests, then what they leave out.
#[must_use]
pub fn support(
    loaded: &Arc<Loaded>,
    app: &SparkApplication,
    given: Vec<Value>,
    account: bool,
) -> Vec<Value> {
    let has = |kind: &str, name: &str| {
        given.iter().any(|object| {
            object["kind"] == kind
                && object["metadata"]["name"] == name
                && object["metadata"]["namespace"] == app.namespace.as_str()
        })
    };
    let name = app.driver.service_account.as_str();
    let mut objects = Vec::new();
    // An account in the manifests comes with the roles that its author gives it; `default` is every namespace's own.
    if account && name != "default" && !has("ServiceAccount", name) {
        objects.extend(service_account(&app.namespace, name));
    }
    if let Some(code) = &app.code
        && !has("ConfigMap", &code.config_map)
    {
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": code.config_map, "namespace": app.namespace},
            "data": loaded.application_code(&app.namespace, &app.name),
        }));
    }
    objects.extend(given);
    objects
}

/// The driver's account with the least that Spark's driver does on Kubernetes: its executors' pods, its service, its
/// settings and claims (Spark, "Running on Kubernetes", RBAC).
fn service_account(namespace: &str, name: &str) -> [Value; 3] {
    let metadata = json!({"name": name, "namespace": namespace});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [{
                "apiGroups": [""],
                "resources": ["pods", "services", "configmaps", "persistentvolumeclaims"],
                "verbs": ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"],
            }],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }),
    ]
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
