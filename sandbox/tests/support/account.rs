//! A sandbox of a test's own that is used as an AWS account, by clients that were not written here.

#![allow(
    dead_code,
    reason = "every test crate includes this file and uses a part of it"
)]

#[path = "python.rs"]
mod python;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pipectl_sandbox::{AwsOptions, Sandbox, SandboxStatus, StartOptions};
use serde_json::Value;

/// Ten minutes of AWS's time pass in one second.
pub const SCALE: u32 = 600;

/// The account; its sandbox ends with it.
pub struct Account {
    /// The sandbox.
    pub sandbox: Sandbox,
    directory: tempfile::TempDir,
    clients: python::Clients,
}

impl Account {
    /// A new one, not started yet. None, loudly, where there is no Python.
    pub fn new(name: &str) -> Option<Self> {
        let clients = python::Clients::ready()?;
        let directory = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
        let sandbox = Sandbox::in_directory(name, directory.path().join(name), program);
        Some(Self {
            sandbox,
            directory,
            clients,
        })
    }

    /// Starts it without a cluster of its own.
    pub async fn start(&self) {
        let aws = AwsOptions {
            time_scale: SCALE,
            ..AwsOptions::default()
        };
        self.start_with(aws).await;
    }

    /// As [`Account::start`], with options of the caller's.
    pub async fn start_with(&self, aws: AwsOptions) {
        let options = StartOptions {
            cluster: false,
            aws,
            ..StartOptions::default()
        };
        self.sandbox.start(&options, &|_| {}).await.unwrap();
    }

    /// As it is now.
    pub async fn status(&self) -> SandboxStatus {
        self.sandbox.status().await.unwrap().unwrap()
    }

    /// Runs phases of a client's script, with the environment that users get.
    pub async fn client(&self, script: &str, phases: &[&str]) {
        let status = self.status().await;
        let variables = self.sandbox.env(&status).unwrap();
        let scale = status.aws.unwrap().time_scale;
        let own = ("PIPECTL_TEST_TIME_SCALE".to_owned(), scale.to_string());
        let variables = variables
            .into_iter()
            .chain([own])
            .map(|(name, value)| (name, OsString::from(value)))
            .collect();
        let home = self.directory.path();
        self.clients.script(script, phases, variables, home).await;
    }

    /// What is left of it in the graph, terminated instances apart: EC2 shows those for an hour.
    pub async fn left(&self) -> Value {
        let mut graph = self.sandbox.inspect_aws().await.unwrap();
        let regions = graph["regions"].as_object_mut().into_iter();
        for region in regions.flat_map(|all| all.values_mut()) {
            let accounts = region.as_object_mut().into_iter();
            for one in accounts.flat_map(|all| all.values_mut()) {
                if let Some(instances) = one["ec2"]["instances"].as_object_mut() {
                    instances.retain(|_, instance| instance["state"] != "terminated");
                }
            }
        }
        graph
    }

    /// The directories of its clusters' control planes.
    pub fn planes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.sandbox.layout().aws_clusters());
        let entries = entries.into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Processes of which a command line names that directory.
    pub fn processes(directory: &Path) -> Vec<u32> {
        let directory = directory.to_str().unwrap();
        let mentions = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(directory))
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(mentions).collect()
    }

    /// Kills a process of the test's own.
    pub fn kill(pid: u32) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Waits until something is so, in a bounded number of looks.
    pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if done().await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("never happened: {what}");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Also after a failed assertion: another runtime, since this one may be ending.
        let sandbox = self.sandbox.clone();
        let stopping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| runtime.block_on(sandbox.stop()).is_ok())
        });
        let _ = stopping.join();
    }
}

/// Whether there is nothing in a tree.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.iter().all(is_empty),
        _ => false,
    }
}
