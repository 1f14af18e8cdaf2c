//! The real control plane: boots, counts, fails on purpose, keeps its data, and leaves no process behind.
//!
//! The programs are built into the user's cache at first use, which takes some minutes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret, Service};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pipectl_sandbox::{
    FaultEffect, FaultMoment, FaultRule, Phase, Sandbox, SandboxError, SandboxStatus, StartOptions,
};
use serde_json::json;

/// A sandbox in a directory of its own; whatever happens to the test, nothing of it stays.
struct Temporary {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Temporary {
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
        Self {
            sandbox: Sandbox::in_directory(name, directory.path().join(name), program),
            directory,
        }
    }

    async fn start(&self) -> SandboxStatus {
        self.sandbox
            .start(&StartOptions::default(), &|_| {})
            .await
            .unwrap()
    }

    async fn client(&self) -> kube::Client {
        let config = Kubeconfig::read_from(self.sandbox.kubeconfig_path()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
            .await
            .unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Processes whose command line names this sandbox's directory.
    fn processes(&self) -> Vec<u32> {
        let directory = self.directory.path().to_str().unwrap();
        let mentions = |pid: u32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(directory))
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| mentions(*pid)).collect()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A test that panicked has not stopped its sandbox; the supervisor takes everything else along.
        for pid in self.processes() {
            if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn status_fault(verb: &str, resource: &str, code: u16, when: FaultMoment) -> FaultRule {
    FaultRule {
        verb: Some(verb.to_owned()),
        resource: Some(resource.to_owned()),
        count: Some(1),
        effect: FaultEffect::Status {
            code,
            when,
            retry_after: None,
        },
        ..FaultRule::default()
    }
}

fn namespace(name: &str) -> Namespace {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

/// The leases by which simulated kubelets hold their nodes, by UID.
async fn node_leases(client: &kube::Client) -> BTreeSet<String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let leases = leases.list(&ListParams::default()).await.unwrap();
    leases
        .items
        .into_iter()
        .filter_map(|lease| lease.metadata.uid)
        .collect()
}

async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_keeps_its_data_over_a_stop_and_loses_it_in_a_reset() {
    let temporary = Temporary::new("keeps");
    let sandbox = &temporary.sandbox;
    assert_eq!(sandbox.status().await.unwrap(), None);
    let first = temporary.start().await;
    assert_eq!(first.phase, Phase::Running);
    assert_eq!(
        temporary.start().await.pid,
        first.pid,
        "a second start finds the first"
    );

    let client = temporary.client().await;
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(nodes.items.len(), 3);
    Api::all(client.clone())
        .create(&PostParams::default(), &namespace("stays"))
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "nginx" }] } });
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    eventually("a pod is scheduled and runs", async || {
        let pod = pods.get("p").await.unwrap();
        pod.status.and_then(|status| status.phase).as_deref() == Some("Running")
    })
    .await;

    let before = node_leases(&client).await;
    assert_eq!(before.len(), 3);
    let kubeconfig = std::fs::read(sandbox.kubeconfig_path()).unwrap();
    assert!(sandbox.stop().await.unwrap());
    assert_eq!(temporary.processes(), Vec::<u32>::new());
    assert!(
        !sandbox.stop().await.unwrap(),
        "a second stop finds nothing"
    );

    temporary.start().await;
    assert_eq!(
        std::fs::read(sandbox.kubeconfig_path()).unwrap(),
        kubeconfig,
        "the old kubeconfig still leads there"
    );
    let client = temporary.client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    assert!(namespaces.get_opt("stays").await.unwrap().is_some());
    eventually("simulated kubelets have leases of their own", async || {
        let now = node_leases(&client).await;
        now.len() == 3 && now.is_disjoint(&before)
    })
    .await;

    let remembered = sandbox.layout().root.join("remembered.json");
    std::fs::write(&remembered, "by a stand-in").unwrap();
    assert!(sandbox.reset().await.unwrap());
    assert!(!remembered.exists());
    assert_eq!(temporary.processes(), Vec::<u32>::new());
    temporary.start().await;
    let namespaces: Api<Namespace> = Api::all(temporary.client().await);
    assert!(namespaces.get_opt("stays").await.unwrap().is_none());
    assert!(sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_sandbox_is_like_a_fresh_cluster_and_says_what_it_cannot_do() {
    let temporary = Temporary::new("fresh");
    temporary.start().await;
    let client = temporary.client().await;
    let classes: Api<StorageClass> = Api::all(client.clone());
    let gp3 = classes.get("gp3").await.unwrap();
    assert_eq!(gp3.provisioner, "ebs.csi.aws.com");
    assert_eq!(
        gp3.volume_binding_mode.as_deref(),
        Some("WaitForFirstConsumer")
    );

    let create = PostParams::default();
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let service = json!({ "metadata": { "name": "lb" }, "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] } });
    let service = services
        .create(&create, &serde_json::from_value(service).unwrap())
        .await
        .unwrap();
    let spec = service.spec.unwrap();
    assert!(spec.cluster_ip.unwrap().starts_with("172.20."));
    let ingress = service
        .status
        .and_then(|status| status.load_balancer)
        .and_then(|balancer| balancer.ingress);
    assert!(
        ingress.is_none_or(|ingress| ingress.is_empty()),
        "nobody makes load balancers here"
    );
    assert!(services.get("kubernetes").await.is_ok());

    let pods: Api<Pod> = Api::namespaced(client, "default");
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "nginx" }] } });
    pods.create(&create, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    eventually("the pod runs", async || {
        pods.get("p")
            .await
            .unwrap()
            .status
            .and_then(|status| status.phase)
            .as_deref()
            == Some("Running")
    })
    .await;
    let error = pods.logs("p", &LogParams::default()).await.unwrap_err();
    assert_eq!(code(&error), Some(400), "no program, no logs: {error}");

    let mut config = Kubeconfig::read_from(temporary.sandbox.kubeconfig_path()).unwrap();
    config.auth_infos[0].auth_info = Some(kube::config::AuthInfo::default());
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    let stranger = kube::Client::try_from(config).unwrap();
    let error = Api::<Namespace>::all(stranger)
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert_eq!(code(&error), Some(401));
    assert!(temporary.sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_supervisor() {
    let temporary = Temporary::new("killed");
    let status = temporary.start().await;
    assert!(temporary.processes().len() > 5);
    let pid = rustix::process::Pid::from_raw(status.pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("all processes are gone", async || {
        temporary.processes().is_empty()
    })
    .await;
    assert_eq!(temporary.sandbox.status().await.unwrap(), None);
    let again = temporary.start().await;
    assert_ne!(again.pid, status.pid);
    assert!(temporary.sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_counted_and_suffer_planned_faults() {
    let temporary = Temporary::new("faults");
    let sandbox = &temporary.sandbox;
    temporary.start().await;
    let client = temporary.client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    sandbox.reset_counters().await.unwrap();
    let apply = PatchParams::apply("test");
    namespaces
        .patch(
            "counted",
            &apply,
            &Patch::Apply(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "counted" },
            })),
        )
        .await
        .unwrap();
    namespaces.list(&ListParams::default()).await.unwrap();
    let counts = sandbox.counters().await.unwrap();
    let seen: Vec<_> = counts
        .iter()
        .map(|count| (count.verb.as_str(), count.resource.as_str(), count.count))
        .collect();
    assert_eq!(
        seen,
        [("apply", "namespaces", 1), ("list", "namespaces", 1)],
        "components are not counted"
    );
    assert_eq!(counts.iter().filter(|count| count.is_read()).count(), 1);

    sandbox
        .set_faults(&[status_fault("list", "namespaces", 500, FaultMoment::Before)])
        .await
        .unwrap();
    let error = namespaces.list(&ListParams::default()).await.unwrap_err();
    // The client tries again by itself after a 503, not after a 500.
    assert_eq!(code(&error), Some(500));
    namespaces.list(&ListParams::default()).await.unwrap();

    sandbox
        .set_faults(&[status_fault(
            "create",
            "namespaces",
            500,
            FaultMoment::After,
        )])
        .await
        .unwrap();
    let error = namespaces
        .create(&PostParams::default(), &namespace("made"))
        .await
        .unwrap_err();
    assert_eq!(code(&error), Some(500));
    assert!(
        namespaces.get_opt("made").await.unwrap().is_some(),
        "it was made before the answer was lost"
    );

    let reset = FaultRule {
        verb: Some("create".to_owned()),
        effect: FaultEffect::Reset {
            when: FaultMoment::Before,
        },
        ..FaultRule::default()
    };
    sandbox.set_faults(&[reset]).await.unwrap();
    let error = namespaces
        .create(&PostParams::default(), &namespace("lost"))
        .await
        .unwrap_err();
    assert_eq!(code(&error), None, "no answer at all: {error}");
    assert_eq!(sandbox.faults().await.unwrap()[0].hits, 1);
    sandbox.set_faults(&[]).await.unwrap();
    assert!(namespaces.get_opt("lost").await.unwrap().is_none());
    assert!(sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_a_server_is_refused_at_once_as_its_policy_says() {
    let temporary = Temporary::new("egress");
    temporary.start().await;
    let client = temporary.client().await;
    let create = PostParams::default();
    let service = json!({ "metadata": { "name": "hook" }, "spec": { "ports": [{ "port": 443 }] } });
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    services
        .create(&create, &serde_json::from_value(service).unwrap())
        .await
        .unwrap();
    let hook = |name: &str, resource: &str, policy: &str| {
        json!({
            "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": policy,
            "clientConfig": { "service": { "name": "hook", "namespace": "default" } },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource] }],
        })
    };
    let configuration = json!({
        "metadata": { "name": "hook" },
        "webhooks": [hook("secrets.test.dev", "secrets", "Fail"), hook("maps.test.dev", "configmaps", "Ignore")],
    });
    let hooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    hooks
        .create(&create, &serde_json::from_value(configuration).unwrap())
        .await
        .unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    // The API server takes a moment to load new webhooks.
    let mut number = 0;
    eventually("the webhook is asked", async || {
        number += 1;
        let secret = json!({ "metadata": { "name": format!("s{number}") } });
        let made = secrets
            .create(&create, &serde_json::from_value(secret).unwrap())
            .await;
        made.is_err_and(|error| code(&error) == Some(500))
    })
    .await;
    let map = json!({ "metadata": { "name": "m" } });
    maps.create(&create, &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    assert!(temporary.sandbox.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sandboxes_live_side_by_side_and_a_taken_port_is_named() {
    let (one, two) = (Temporary::new("one"), Temporary::new("two"));
    let (first, second) = tokio::join!(one.start(), two.start());
    let api = |status: &SandboxStatus| status.cluster.clone().unwrap().api;
    assert_ne!(api(&first), api(&second));
    let ca = |temporary: &Temporary| {
        std::fs::read(temporary.sandbox.layout().pki().join("ca.pem")).unwrap()
    };
    assert_ne!(ca(&one), ca(&two));
    let (one_client, two_client) = (one.client().await, two.client().await);
    Api::all(one_client)
        .create(&PostParams::default(), &namespace("mine"))
        .await
        .unwrap();
    assert!(
        Api::<Namespace>::all(two_client)
            .get_opt("mine")
            .await
            .unwrap()
            .is_none()
    );

    let taken = api(&first).rsplit(':').next().unwrap().parse().unwrap();
    let three = Temporary::new("three");
    let options = StartOptions {
        api_port: Some(taken),
        ..StartOptions::default()
    };
    let error = three.sandbox.start(&options, &|_| {}).await.unwrap_err();
    assert_eq!(error.code(), "SBX006");
    assert!(error.to_string().contains(&taken.to_string()));
    assert_eq!(three.processes(), Vec::<u32>::new());

    assert!(one.sandbox.stop().await.unwrap());
    assert_eq!(one.processes(), Vec::<u32>::new());
    assert_eq!(
        two.sandbox.status().await.unwrap().unwrap().phase,
        Phase::Running
    );
    assert!(two.sandbox.stop().await.unwrap());
}

#[tokio::test]
async fn what_isnt_running_says_so() {
    let temporary = Temporary::new("absent");
    let began = Instant::now();
    let error = temporary.sandbox.counters().await.unwrap_err();
    assert!(matches!(error, SandboxError::NotRunning { .. }), "{error}");
    assert!(!temporary.sandbox.stop().await.unwrap());
    assert!(!temporary.sandbox.reset().await.unwrap());
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "nothing waits for something that isn't there"
    );
}
