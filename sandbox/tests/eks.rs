//! EKS as clients that were not written here see it: boto3 makes clusters whose control planes are real, the AWS CLI's tokens
//! enter them, and what was made is taken down again.

#[path = "support/python.rs"]
mod python;

use std::ffi::OsString;
use std::path::Path;

use pipectl_sandbox::{AwsOptions, Sandbox, StartOptions};

/// Ten minutes of AWS's time pass in one second.
const SCALE: u32 = 600;

struct Account {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
    clients: python::Clients,
}

impl Account {
    async fn start(&self) {
        let aws = AwsOptions {
            time_scale: SCALE,
            ..AwsOptions::default()
        };
        let options = StartOptions {
            nodes: 0,
            cluster: false,
            aws,
            ..StartOptions::default()
        };
        self.sandbox.start(&options, &|_| {}).await.unwrap();
    }

    /// Runs phases of the client's script, with the environment that users get.
    async fn client(&self, phases: &[&str]) {
        let status = self.sandbox.status().await.unwrap().unwrap();
        let variables = self.sandbox.env(&status).unwrap();
        let own = ("PIPECTL_TEST_TIME_SCALE".to_owned(), SCALE.to_string());
        let variables = variables
            .into_iter()
            .chain([own])
            .map(|(name, value)| (name, OsString::from(value)))
            .collect();
        let home = self.directory.path();
        self.clients.script("eks.py", phases, variables, home).await;
    }

    /// What is left of it in the graph, terminated instances apart: EC2 shows those for an hour.
    async fn left(&self) -> serde_json::Value {
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

/// Whether there is anything in a tree.
fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Object(map) => map.values().all(is_empty),
        serde_json::Value::Array(items) => items.iter().all(is_empty),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_entered_kept_over_a_restart_and_taken_down() {
    let Some(clients) = python::Clients::ready() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_pipectl-sandbox"));
    let sandbox = Sandbox::in_directory("eks", directory.path().join("eks"), program);
    let account = Account {
        sandbox,
        directory,
        clients,
    };
    account.start().await;
    account.client(&["up", "entered"]).await;
    account.sandbox.stop().await.unwrap();
    account.start().await;
    account.client(&["volumes", "down"]).await;
    let left = account.left().await;
    assert!(is_empty(&left), "{left:#}");
    // The ends of control planes take their data along, a little later.
    let clusters = account.directory.path().join("eks/aws/clusters");
    for _ in 0..100 {
        if std::fs::read_dir(&clusters).unwrap().count() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} still holds data", clusters.display());
}
