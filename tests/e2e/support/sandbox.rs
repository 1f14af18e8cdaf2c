//! A sandbox for a test: started by the real command, ended whatever happens, and then proved to be gone.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, World, loudly, permits::Permits, processes_with, run::block, until};

/// A sandbox of a test's own home.
pub struct Sandbox<'w> {
    world: &'w World,
    /// Its name.
    pub name: String,
    _permit: Permits,
}

impl<'w> Sandbox<'w> {
    pub(super) fn new(world: &'w World, name: &str, permit: Permits) -> Self {
        Self {
            world,
            name: name.to_owned(),
            _permit: permit,
        }
    }

    /// The home that it is of.
    pub(super) fn world(&self) -> &World {
        self.world
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&self) {
        self.world
            .pipectl(&["sandbox", "start", "--name", &self.name])
            .exits(0);
    }

    /// The option that names it to `up`, `plan` and `down`.
    pub fn option(&self) -> String {
        format!("--sandbox={}", self.name)
    }

    /// Its files.
    pub fn directory(&self) -> PathBuf {
        self.world.state().join("sandbox").join(&self.name)
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory().join("kubeconfig")
    }

    /// The value of a variable of `pipectl sandbox env`.
    #[track_caller]
    pub fn variable(&self, name: &str) -> String {
        let value = self.variables().remove(name);
        value.unwrap_or_else(|| panic!("`pipectl sandbox env` says nothing of {name}"))
    }

    /// All of them.
    #[track_caller]
    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables_with(&[])
    }

    /// All of them, asked for with these options.
    #[track_caller]
    pub fn variables_with(&self, options: &[&str]) -> BTreeMap<String, String> {
        let mut words = vec!["sandbox", "env", "--name", &self.name];
        words.extend(options);
        let printed = self.world.pipectl(&words).exits(0);
        let exports = printed.stdout.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
            Some((name.to_owned(), value.to_owned()))
        });
        exports.collect()
    }

    /// Its cluster, as its administrator sees it.
    pub fn cluster(&self) -> Cluster {
        Cluster::open(&self.kubeconfig())
    }

    /// The calls of clients since they were last counted anew.
    #[track_caller]
    pub fn calls(&self) -> Calls {
        let counted = self
            .world
            .pipectl(&["sandbox", "calls", "--name", &self.name, "-o", "json"])
            .exits(0);
        let kubernetes = counted.json()["kubernetes"].take();
        Calls(serde_json::from_value(kubernetes).expect("calls as documented"))
    }

    /// Counts anew from here on.
    #[track_caller]
    pub fn count_anew(&self) {
        self.world
            .pipectl(&[
                "sandbox", "calls", "--name", &self.name, "--reset", "-o", "json",
            ])
            .exits(0);
    }

    /// Sets a fault plan.
    #[track_caller]
    pub fn faults(&self, plan: &Value) {
        let set = ["sandbox", "faults", "--name", &self.name, "--set", "-"];
        self.world.pipectl(&set).input(&plan.to_string()).exits(0);
    }

    /// How often each rule of the fault plan struck.
    #[track_caller]
    pub fn hits(&self) -> Vec<u64> {
        let shown = self
            .world
            .pipectl(&["sandbox", "faults", "--name", &self.name])
            .exits(0);
        let rules: Value = serde_norway::from_str(&shown.stdout).expect("a fault plan");
        rules
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| rule["hits"].as_u64().unwrap_or(0))
            .collect()
    }

    /// Ends all faults.
    #[track_caller]
    pub fn no_faults(&self) {
        self.world
            .pipectl(&["sandbox", "faults", "--name", &self.name, "--clear"])
            .exits(0);
    }

    /// Stops it and proves that no process of it is left.
    #[track_caller]
    pub fn stop(self) {
        self.world
            .pipectl(&["sandbox", "stop", "--name", &self.name])
            .exits(0);
        let left = processes_with(&self.directory());
        assert!(
            left.is_empty(),
            "processes of the sandbox are left: {left:#?}"
        );
    }

    fn log_tails(&self) -> String {
        let mut tails = String::new();
        for entry in std::fs::read_dir(self.directory().join("logs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let tail: Vec<String> = lines[lines.len().saturating_sub(8)..]
                .iter()
                .map(|line| line.chars().take(240).collect())
                .collect();
            tails.push_str(&block(
                &entry.file_name().to_string_lossy(),
                &tail.join("\n"),
            ));
        }
        tails
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            loudly(&format!(
                "e2e: sandbox {} when the test failed\n{}",
                self.name,
                self.log_tails()
            ));
        }
        let stopped = self
            .world
            .pipectl(&["sandbox", "stop", "--name", &self.name])
            .run();
        if std::thread::panicking() {
            return;
        }
        let _ = stopped.exits(0);
        until("the end of the sandbox's processes", || {
            processes_with(&self.directory()).is_empty().then_some(())
        });
    }
}

/// Calls of one kind from one client.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    /// First word of the client's user agent.
    pub agent: String,
    /// Kubernetes verb.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// How often.
    pub count: u64,
}

/// What clients asked for.
#[derive(Debug, Clone)]
pub struct Calls(pub Vec<Call>);

impl Calls {
    /// Pipectl's own.
    pub fn own(&self) -> impl Iterator<Item = &Call> {
        self.0
            .iter()
            .filter(|call| call.agent.starts_with("pipectl/"))
    }

    /// Helm's, which pipectl runs.
    pub fn helm(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().filter(|call| call.agent.starts_with("Helm/"))
    }

    /// What pipectl wrote, as `verb resource` with how often.
    pub fn writes(&self) -> Vec<(String, u64)> {
        let reads = |call: &&Call| {
            matches!(
                call.verb.as_str(),
                "get" | "list" | "watch" | "head" | "options"
            ) || call.group == "authorization.k8s.io"
        };
        self.own()
            .filter(|call| !reads(call))
            .map(|call| (format!("{} {}", call.verb, call.resource), call.count))
            .collect()
    }

    /// How many lists pipectl made.
    pub fn lists(&self) -> u64 {
        self.own()
            .filter(|call| call.verb == "list")
            .map(|call| call.count)
            .sum()
    }
}
