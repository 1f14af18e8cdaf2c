//! The stand-in for the Spark operator on the real control plane: installed by real Helm, seen through the API alone.

mod support;

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{Cluster, custom};

struct Spark {
    cluster: Cluster,
}

impl Spark {
    async fn install(name: &str) -> Self {
        let spark = Spark {
            cluster: Cluster::start(name).await,
        };
        let install = ["install", "spark-operator", "spark-operator"];
        let place = ["-n", "spark-operator", "--create-namespace", "--wait"];
        spark
            .cluster
            .helm(&[install.as_slice(), &place].concat(), "spark-operator")
            .await;
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "spark"}}),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "powerless"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"a.py": ""}}),
        ] {
            let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
            let kind = object["kind"].as_str().unwrap();
            create(&spark.core(kind, &plural), &object).await.unwrap();
        }
        let rbac = |kind, plural| {
            let resource = custom("rbac.authorization.k8s.io", "v1", kind, plural);
            Api::<DynamicObject>::namespaced_with(
                spark.cluster.client.clone(),
                "default",
                &resource,
            )
        };
        let role = json!({"metadata": {"name": "spark"}, "rules": [
            {"apiGroups": [""], "resources": ["pods", "configmaps", "services"], "verbs": ["*"]}
        ]});
        create(&rbac("Role", "roles"), &role).await.unwrap();
        let binding = json!({
            "metadata": {"name": "spark"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "spark"},
            "subjects": [{"kind": "ServiceAccount", "name": "spark", "namespace": "default"}],
        });
        create(&rbac("RoleBinding", "rolebindings"), &binding)
            .await
            .unwrap();
        spark.webhook_is_trusted().await;
        spark
    }

    /// Waits until the operator has told the API server whom to trust; until then its webhook refuses everything.
    async fn webhook_is_trusted(&self) {
        for kind in [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ] {
            let plural = format!("{}s", kind.to_lowercase());
            let resource = custom("admissionregistration.k8s.io", "v1", kind, &plural);
            let api: Api<DynamicObject> = Api::all_with(self.cluster.client.clone(), &resource);
            self.cluster
                .until(&api, "spark-operator-webhook", |object| {
                    object.data["webhooks"][0]["clientConfig"]["caBundle"].is_string()
                })
                .await;
        }
    }

    fn core(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.cluster.client.clone(),
            "default",
            &custom("", "v1", kind, plural),
        )
    }

    fn pods(&self) -> Api<DynamicObject> {
        self.core("Pod", "pods")
    }

    fn applications(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = custom(
            "sparkoperator.k8s.io",
            "v1beta2",
            "SparkApplication",
            "sparkapplications",
        );
        Api::namespaced_with(self.cluster.client.clone(), namespace, &resource)
    }

    /// Stores document 000's application under a name, with changes merged into its spec.
    async fn submit(&self, name: &str, changes: Value) -> Result<DynamicObject, kube::Error> {
        let mut application = json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
            "metadata": {"name": name},
            "spec": {
                "type": "Python", "mode": "cluster", "sparkVersion": "3.5.1",
                "image": "doyoomii/spark-k8s:latest",
                "mainApplicationFile": "local:///opt/spark/work-dir/user_activity_streaming.py",
                "sparkConf": {
                    "spark.kubernetes.driver.podTemplateFile": "",
                    "spark.kubernetes.executor.podTemplateFile": "",
                },
                "volumes": [{"name": "code", "configMap": {"name": "code"}}],
                "driver": {
                    "cores": 1, "coreRequest": "100m", "memory": "512m", "serviceAccount": "spark",
                    "volumeMounts": [{"name": "code", "mountPath": "/opt/spark/work-dir"}],
                },
                "executor": {"cores": 1, "coreRequest": "100m", "memory": "512m", "instances": 2},
            }
        });
        merge(&mut application["spec"], changes);
        create(&self.applications("default"), &application).await
    }

    async fn until_state(&self, name: &str, state: &str) -> Value {
        let api = self.applications("default");
        let object = self
            .cluster
            .until(&api, name, |object| {
                object.data["status"]["applicationState"]["state"] == state
            })
            .await;
        object.data["status"].clone()
    }

    async fn volumes(&self, pod: &str) -> Vec<String> {
        let pod = self.pods().get(pod).await.unwrap();
        let volumes = pod.data["spec"]["volumes"].as_array().unwrap().iter();
        volumes
            .filter_map(|volume| volume["name"].as_str().map(str::to_owned))
            .collect()
    }

    async fn scale(&self, deployment: &str, replicas: u32) {
        let resource = custom("apps", "v1", "Deployment", "deployments");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.cluster.client.clone(), "spark-operator", &resource);
        let patch = json!({"spec": {"replicas": replicas}});
        api.patch(deployment, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
        self.cluster
            .until(&api, deployment, |object| {
                let ready = object.data["status"]["readyReplicas"].as_u64().unwrap_or(0);
                let seen = object.data["status"]["observedGeneration"].as_i64();
                seen == object.metadata.generation && ready == u64::from(replicas)
            })
            .await;
    }
}

fn merge(into: &mut Value, changes: Value) {
    match changes {
        Value::Object(changes) => {
            for (key, value) in changes {
                merge(&mut into[&key], value);
            }
        }
        value => *into = value,
    }
}

async fn create(api: &Api<DynamicObject>, object: &Value) -> Result<DynamicObject, kube::Error> {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    api.create(&PostParams::default(), &object).await
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not an answer of the API server: {other:?}"),
    }
}

#[tokio::test]
async fn applications_run_fail_and_run_again_as_with_the_real_operator() {
    let spark = Spark::install("spark-runs").await;
    let applications = spark.applications("default");

    // A streaming application: driver and executors run, the volume that only the webhook adds is there.
    spark.submit("stream", json!({})).await.unwrap();
    spark.until_state("stream", "RUNNING").await;
    let both_run = |object: &DynamicObject| {
        let states = object.data["status"]["executorState"].as_object();
        states.is_some_and(|states| {
            states.len() == 2 && states.values().all(|state| state == "RUNNING")
        })
    };
    let running = spark.cluster.until(&applications, "stream", both_run).await;
    assert!(
        spark
            .volumes("stream-driver")
            .await
            .contains(&"code".to_owned())
    );
    let info = &running.data["status"]["driverInfo"];
    assert_eq!(info["podName"], "stream-driver");
    assert_eq!(info["webUIServiceName"], "stream-ui-svc");

    // Nothing changes while nothing happens, and an unchanged spec does not run again.
    let unchanged = Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
    applications
        .patch("stream", &PatchParams::default(), &unchanged)
        .await
        .unwrap();
    spark
        .cluster
        .settle(&[applications.clone(), spark.pods()])
        .await;
    let still = applications.get("stream").await.unwrap();
    let submission = |object: &DynamicObject| object.data["status"]["submissionID"].clone();
    assert_eq!(submission(&still), submission(&running));

    // A changed spec runs anew, with new executors.
    let before = spark
        .cluster
        .names(&spark.pods(), "spark-role=executor")
        .await;
    let changed = Patch::Merge(json!({"spec": {"executor": {"instances": 1}}}));
    applications
        .patch("stream", &PatchParams::default(), &changed)
        .await
        .unwrap();
    let anew = |object: &DynamicObject| {
        submission(object) != submission(&running)
            && object.data["status"]["executorState"]
                .as_object()
                .is_some_and(|states| states.len() == 1)
    };
    spark.cluster.until(&applications, "stream", anew).await;
    for name in before {
        spark.cluster.until_gone(&spark.pods(), &name).await;
    }

    // A batch ends, and its executors with it.
    let batch = json!({"driver": {"annotations": {"sandbox.pipectl.dev/complete-after": "2s"}}});
    spark.submit("batch", batch).await.unwrap();
    spark.until_state("batch", "COMPLETED").await;
    let executors = "sparkoperator.k8s.io/app-name=batch,spark-role=executor";
    spark.cluster.until_none(&spark.pods(), executors).await;

    // A driver that fails is tried again as often as the policy says, and no oftener.
    let failing = json!({
        "driver": {"annotations": {"sandbox.pipectl.dev/fail": "oom"}},
        "restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1},
    });
    spark.submit("oom", failing).await.unwrap();
    let failed = spark.until_state("oom", "FAILED").await;
    assert_eq!(failed["executionAttempts"], 2);
    assert_eq!(
        failed["applicationState"]["errorMessage"],
        "driver container failed with ExitCode: 137, Reason: OOMKilled"
    );

    // A driver whose account may not make executors ends: the API server's own authorisation says so.
    let powerless = json!({"driver": {"serviceAccount": "powerless"}});
    spark.submit("powerless", powerless).await.unwrap();
    let failed = spark.until_state("powerless", "FAILED").await;
    assert_eq!(
        failed["applicationState"]["errorMessage"],
        "driver container failed with ExitCode: 1, Reason: Error"
    );
    spark.cluster.stop().await;
}

#[tokio::test]
async fn what_the_operator_cannot_or_will_not_run_is_told_or_left_alone() {
    let spark = Spark::install("spark-refuses").await;

    // Refused by the webhook, by the schema, by the submission.
    let denied = json!({"sparkConf": {"spark.master": "local"}});
    assert_eq!(code(spark.submit("denied", denied).await), 403);
    let misshaped = json!({"executor": {"instances": 0}});
    assert_eq!(code(spark.submit("misshaped", misshaped).await), 422);
    let account = json!({"driver": {"serviceAccount": "nobody"}});
    spark.submit("nobody", account).await.unwrap();
    let failed = spark.until_state("nobody", "FAILED").await;
    let message = failed["applicationState"]["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("serviceaccount \"nobody\" not found"),
        "{message}"
    );
    assert_eq!(failed["submissionAttempts"], 1);

    // Outside its namespaces the operator does nothing.
    spark.cluster.namespace("elsewhere").await;
    let elsewhere = spark.applications("elsewhere");
    let mut application = spark.applications("default").get("nobody").await.unwrap();
    application.metadata = serde_json::from_value(json!({"name": "ignored"})).unwrap();
    application.data["status"] = Value::Null;
    elsewhere
        .create(&PostParams::default(), &application)
        .await
        .unwrap();
    spark.cluster.settle(std::slice::from_ref(&elsewhere)).await;
    assert!(elsewhere.get("ignored").await.unwrap().data["status"].is_null());

    // Without the webhook nothing is admitted; where that is ignored, volumes are missing from the pods.
    spark.scale("spark-operator-webhook", 0).await;
    assert_eq!(code(spark.submit("unadmitted", json!({})).await), 500);
    let upgrade = [
        "upgrade",
        "spark-operator",
        "spark-operator",
        "-n",
        "spark-operator",
        "--set",
        "webhook.failurePolicy=Ignore",
        "--set",
        "webhook.replicas=0",
    ];
    spark.cluster.helm(&upgrade, "spark-operator").await;
    spark.scale("spark-operator-webhook", 0).await;
    spark.submit("bare", json!({})).await.unwrap();
    spark.until_state("bare", "RUNNING").await;
    assert!(
        !spark
            .volumes("bare-driver")
            .await
            .contains(&"code".to_owned())
    );

    // Without the controller an application waits.
    spark.scale("spark-operator-controller", 0).await;
    spark.submit("waiting", json!({})).await.unwrap();
    let applications = spark.applications("default");
    spark
        .cluster
        .settle(std::slice::from_ref(&applications))
        .await;
    assert!(applications.get("waiting").await.unwrap().data["status"].is_null());
    spark.scale("spark-operator-controller", 1).await;
    spark.until_state("waiting", "RUNNING").await;
    let drivers = ListParams::default().labels("spark-role=driver");
    assert_eq!(spark.pods().list(&drivers).await.unwrap().items.len(), 2);
    spark.cluster.stop().await;
}
