//! One sandbox in a directory of its own, the reference data, the program.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use pipectl_adapters::kubernetes::{ConnectOptions, Kubernetes, KubernetesAdapter};
use pipectl_sandbox::{Sandbox, StartOptions};
use pipectl_stages::ports::objects::{ApplyOptions, Kind, ObjectApi, ObjectRef};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The program under test.
const PIPECTL: &str = env!("CARGO_BIN_EXE_pipectl");

/// How long one command of the program may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(240);

/// The directory with the official definitions and chart values.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn reference() -> Option<PathBuf> {
    let directory = std::env::var_os("PIPECTL_REFERENCE_DIR").map(PathBuf::from);
    if directory.is_none() {
        eprintln!(
            "SKIPPED: PIPECTL_REFERENCE_DIR is not set, so nothing is held against the official definitions"
        );
    }
    directory
}

/// The official definitions of `release`, such as `strimzi-1.2.0`.
pub fn definitions(reference: &Path, release: &str) -> Vec<Value> {
    let directory = reference.join(release).join("crds");
    let entries = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let definitions: Vec<Value> = entries
        .map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            serde_norway::from_str(&text).unwrap()
        })
        .collect();
    assert!(!definitions.is_empty(), "{} is empty", directory.display());
    definitions
}

/// A sandbox in a directory of its own; whatever happens to the test, nothing of it stays.
pub struct Temporary {
    pub sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Temporary {
    /// Nothing is started yet. `name` is for people: the directory tells sandboxes apart.
    pub fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Where the program itself looks for it, given this state directory.
        let root = directory.path().join("pipectl/sandbox").join(name);
        Self {
            sandbox: Sandbox::in_directory(name, root, Path::new(PIPECTL)),
            directory,
        }
    }

    /// Starts it, and connects to it with leave to change things.
    pub async fn start(&self) -> KubernetesAdapter {
        let started = self.sandbox.start(&StartOptions::default(), &|_| {}).await;
        started.unwrap();
        self.connect().await
    }

    /// Connects to it with leave to change things.
    pub async fn connect(&self) -> KubernetesAdapter {
        let options =
            ConnectOptions::new(self.sandbox.kubeconfig_path()).context(self.sandbox.context());
        let adapter = Kubernetes::connect(options).await.unwrap();
        let identity = adapter.identity().await.unwrap();
        adapter.pin(identity).await.unwrap();
        adapter
    }

    /// Runs the program in this directory, where nothing of the user's is seen but the sandbox's components.
    pub fn pipectl(&self, arguments: &[&str]) -> Output {
        let mut command = std::process::Command::new(PIPECTL);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XDG_STATE_HOME", self.directory.path())
            .env_remove("KUBECONFIG")
            .env_remove("PIPECTL_SANDBOX")
            .env_remove("PIPECTL_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        // Whoever reads the pipes waits; the watch ends a command that takes too long.
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let late = waiting.recv_timeout(COMMAND_LIMIT)
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        watch.join().unwrap();
        output
    }

    /// As [`Self::pipectl`], and it must succeed; answers its standard output.
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.pipectl(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "pipectl {} ended with {}\n{out}\n{err}",
            arguments.join(" "),
            output.status
        );
        out
    }

    /// Stops it, and checks that no process of it stays.
    pub async fn end(self) {
        self.sandbox.stop().await.unwrap();
        // The supervisor itself gives its lock back a moment before it is gone.
        eventually("no process is left", async || self.processes().is_empty()).await;
    }

    /// Processes whose command line names this directory.
    fn processes(&self) -> Vec<i32> {
        let directory = self.directory.path().to_str().unwrap();
        let mentions = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(directory))
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(mentions).collect()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A test that panicked has not stopped its sandbox; the supervisor takes everything else along.
        for pid in self.processes().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Applies definitions and waits until the API serves them.
pub async fn define(api: &dyn ObjectApi, definitions: &[Value]) {
    let options = ApplyOptions {
        force: true,
        dry_run: false,
    };
    for definition in definitions {
        let applied = api.apply(definition, options).await;
        applied.unwrap_or_else(|error| panic!("{}: {error}", ObjectRef::of(definition)));
    }
    for definition in definitions {
        let at = ObjectRef::of(definition);
        eventually(&format!("{at} is established"), async || {
            let live = api.get(&at).await.unwrap().unwrap();
            let conditions = live["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            })
        })
        .await;
        let (group, kind) = (
            &definition["spec"]["group"],
            &definition["spec"]["names"]["kind"],
        );
        eventually(&format!("{at} is served"), async || {
            let served = api
                .served(group.as_str().unwrap(), kind.as_str().unwrap())
                .await;
            served.unwrap().is_some()
        })
        .await;
    }
}

/// The kind of an object, without its version.
pub fn kind_of(object: &Value) -> (String, String) {
    let kind = Kind::of(object);
    (kind.group, kind.kind)
}

/// Waits for something that happens soon.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
