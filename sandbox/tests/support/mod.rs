//! A sandbox for a test: started in a directory of its own, seen through its own kubeconfig, ended whatever happens.

#![allow(
    dead_code,
    reason = "every test crate includes this file and uses a part of it"
)]

pub mod strimzi;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use pipectl_sandbox::{Sandbox, SandboxStatus, StartOptions};
use serde_json::json;

/// How often a condition is looked at, and how many times before it counts as never met.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: usize = 900;

/// A running sandbox.
pub struct Cluster {
    sandbox: Sandbox,
    status: SandboxStatus,
    directory: tempfile::TempDir,
    /// A client of the cluster's administrator.
    pub client: kube::Client,
}

/// Any kind.
pub fn custom(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Whether a pod is ready and nobody deletes it.
pub fn is_ready(pod: &DynamicObject) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod.data["status"]["conditions"]
            .as_array()
            .is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            })
}

impl Cluster {
    /// Starts a sandbox.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &StartOptions::default()).await
    }

    /// Starts a sandbox with these options.
    pub async fn start_with(name: &str, options: &StartOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
        let sandbox = Sandbox::in_directory(name, directory.path().join(name), program);
        let status = sandbox.start(options, &|_| {}).await.unwrap();
        let config = Kubeconfig::read_from(sandbox.kubeconfig_path()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Cluster {
            sandbox,
            status,
            directory,
            client,
        }
    }

    /// Stops it.
    pub async fn stop(self) {
        assert!(self.sandbox.stop().await.unwrap(), "the sandbox still ran");
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) {
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }

    /// Runs real Helm against the sandbox; charts come from its repository `charts`.
    pub async fn helm(&self, args: &[&str], charts: &str) {
        if let Err(error) = self.try_helm(args, charts).await {
            panic!("helm {args:?}: {error}");
        }
    }

    /// As [`Cluster::helm`], where failing is an outcome: gives what Helm said.
    pub async fn try_helm(&self, args: &[&str], charts: &str) -> Result<(), String> {
        let settings = self.sandbox.settings(&self.status).unwrap();
        let home = self.directory.path().join("helm");
        let mut command = tokio::process::Command::new(settings.helm_binary);
        command.args(args).env_clear().stdin(Stdio::null());
        for variable in [
            "HELM_CACHE_HOME",
            "HELM_CONFIG_HOME",
            "HELM_DATA_HOME",
            "HOME",
        ] {
            command.env(variable, &home);
        }
        command.env("KUBECONFIG", self.sandbox.kubeconfig_path());
        if args[0] != "uninstall" {
            command.args(["--repo", &format!("{}/{charts}", self.status.charts)]);
        }
        let output = command.output().await.unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Waits until an object is as asked for, and gives it.
    pub async fn until(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        done: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let mut last = None;
        for _ in 0..PATIENCE {
            last = api.get_opt(name).await.unwrap();
            if let Some(object) = last.as_ref().filter(|object| done(object)) {
                return object.clone();
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{name} never was as expected: {last:#?}");
    }

    /// Waits until an object is gone.
    pub async fn until_gone(&self, api: &Api<DynamicObject>, name: &str) {
        for _ in 0..PATIENCE {
            if api.get_opt(name).await.unwrap().is_none() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{name} never went");
    }

    /// Waits until the selector finds nothing any more.
    pub async fn until_none(&self, api: &Api<DynamicObject>, selector: &str) {
        for _ in 0..PATIENCE {
            if self.names(api, selector).await.is_empty() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!(
            "{selector} still finds {:?}",
            self.names(api, selector).await
        );
    }

    /// Waits until one of what the selector finds is as asked for.
    pub async fn until_some(
        &self,
        api: &Api<DynamicObject>,
        selector: &str,
        done: impl Fn(&DynamicObject) -> bool,
    ) {
        for _ in 0..PATIENCE {
            let list = api
                .list(&ListParams::default().labels(selector))
                .await
                .unwrap();
            if list.items.iter().any(&done) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("nothing of {selector} ever was as expected");
    }

    /// Names of what a selector finds, sorted.
    pub async fn names(&self, api: &Api<DynamicObject>, selector: &str) -> Vec<String> {
        let list = api
            .list(&ListParams::default().labels(selector))
            .await
            .unwrap();
        let mut names: Vec<String> = list
            .items
            .into_iter()
            .filter_map(|object| object.metadata.name)
            .collect();
        names.sort();
        names
    }

    /// UIDs of what a selector finds.
    pub async fn uids(&self, api: &Api<DynamicObject>, selector: &str) -> Vec<String> {
        let list = api
            .list(&ListParams::default().labels(selector))
            .await
            .unwrap();
        list.items
            .into_iter()
            .filter_map(|object| object.metadata.uid)
            .collect()
    }

    /// Waits until nothing of these kinds has changed for three seconds in a row.
    pub async fn settle(&self, apis: &[Api<DynamicObject>]) {
        let state = async || {
            let mut versions = BTreeMap::new();
            for api in apis {
                for object in api.list(&ListParams::default()).await.unwrap() {
                    versions.insert(object.metadata.uid, object.metadata.resource_version);
                }
            }
            versions
        };
        let mut before = state().await;
        let mut same = 0;
        for _ in 0..PATIENCE / 5 {
            tokio::time::sleep(PAUSE * 5).await;
            let now = state().await;
            same = if now == before { same + 1 } else { 0 };
            before = now;
            if same == 6 {
                return;
            }
        }
        panic!("something is written again and again");
    }

    /// Counts how many of the pods that a selector finds now are not ready at the same time, until told to finish.
    pub async fn count_unready(&self, api: &Api<DynamicObject>, selector: &str) -> Unready {
        let (api, list) = (api.clone(), ListParams::default().labels(selector));
        let all = api.list(&list).await.unwrap().items.len();
        let worst = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&worst), Arc::clone(&done));
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let ready = api
                    .list(&list)
                    .await
                    .unwrap()
                    .items
                    .iter()
                    .filter(|pod| is_ready(pod))
                    .count();
                seen.fetch_max(all.saturating_sub(ready), Ordering::Relaxed);
                tokio::time::sleep(PAUSE / 2).await;
            }
        });
        Unready { worst, done, task }
    }
}

/// A count of pods that are not ready; see [`Cluster::count_unready`].
pub struct Unready {
    worst: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Unready {
    /// The largest number of pods that were not ready at once.
    pub async fn finish(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.worst.load(Ordering::Relaxed)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that panicked has not stopped its sandbox; the supervisor takes everything else along.
        if let Some(pid) = rustix::process::Pid::from_raw(self.status.pid.cast_signed()) {
            let line =
                std::fs::read(format!("/proc/{}/cmdline", self.status.pid)).unwrap_or_default();
            let ours = self.directory.path().to_string_lossy().into_owned();
            if String::from_utf8_lossy(&line).contains(&ours) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
