//! A home for one test: nothing of the user's is read or written, and nothing is left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Run, Sandbox, loudly, permits, processes::pid_of, processes_with, programs, until};

/// Where the homes of all tests lie.
const PREFIX: &str = "pipectl-e2e.";

/// A home of its own, with everything that a user has and no more.
pub struct World {
    root: PathBuf,
    /// Whether everything in it happens on the simulated AWS.
    pub(super) on_aws: AtomicBool,
}

impl World {
    /// A new, empty one.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static SWEPT: std::sync::Once = std::sync::Once::new();
        SWEPT.call_once(sweep);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("{PREFIX}{}.{number}", std::process::id()));
        for directory in ["home", "state", "config", "cache", "work", "bin"] {
            fs::create_dir_all(root.join(directory)).expect("a directory in the temporary one");
        }
        Self {
            root,
            on_aws: AtomicBool::new(false),
        }
    }

    /// The directory in which commands run.
    pub fn directory(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Everything of this test.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where pipectl keeps its records.
    pub fn state(&self) -> PathBuf {
        self.root.join("state/pipectl")
    }

    /// The directory of an environment's record.
    pub fn environment(&self, name: &str) -> PathBuf {
        self.state().join("environments").join(name)
    }

    /// The environment variables of every command, and nothing else.
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("HOME", self.root.join("home")),
            ("XDG_STATE_HOME", self.root.join("state")),
            ("XDG_CONFIG_HOME", self.root.join("config")),
            ("XDG_CACHE_HOME", self.root.join("cache")),
            ("TMPDIR", self.root.join("work")),
            ("PATH", "/usr/bin:/bin".into()),
            ("PIPECTL_SANDBOX_BIN", programs::directory().clone()),
        ]
    }

    /// A run of pipectl.
    pub fn pipectl(&self, args: &[&str]) -> Run<'_> {
        Run::new(self, args)
    }

    /// A run whose events are wanted.
    pub fn events(&self, args: &[&str]) -> Run<'_> {
        Run::new(self, args).arg("--output").arg("json")
    }

    /// Writes a file in the working directory; answers its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory");
        }
        fs::write(&path, text).expect("a file in the working directory");
        path.display().to_string()
    }

    /// A sandbox that runs.
    pub fn sandbox(&self, name: &str) -> Sandbox<'_> {
        let sandbox = self.reserve(name);
        sandbox.start();
        sandbox
    }

    /// Leave for a sandbox that the test starts itself; it is stopped all the same.
    pub fn reserve(&self, name: &str) -> Sandbox<'_> {
        self.reserve_for(name, 1)
    }

    /// The same for one with so many control planes in it.
    pub(super) fn reserve_for(&self, name: &str, planes: usize) -> Sandbox<'_> {
        Sandbox::new(self, name, permits::take(planes))
    }

    /// Two sandboxes that run.
    pub fn two_sandboxes(&self, first: &str, second: &str) -> (Sandbox<'_>, Sandbox<'_>) {
        let both = permits::take(2);
        let (one, other) = both.split();
        let pair = (
            Sandbox::new(self, first, one),
            Sandbox::new(self, second, other),
        );
        std::thread::scope(|scope| {
            scope.spawn(|| pair.0.start());
            pair.1.start();
        });
        pair
    }

    /// No environment is recorded, not even half.
    #[track_caller]
    pub fn assert_nothing_recorded(&self) {
        let listed = self.pipectl(&["list", "-o", "json"]).exits(0);
        assert_eq!(
            listed.json(),
            serde_json::json!([]),
            "something is recorded"
        );
        let environments = self.state().join("environments");
        for entry in fs::read_dir(&environments).into_iter().flatten().flatten() {
            let journals = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            let written: Vec<_> = journals
                .filter(|file| {
                    file.file_name() != "lease.lock"
                        && file.metadata().is_ok_and(|data| data.len() > 0)
                })
                .map(|file| file.path())
                .collect();
            assert!(written.is_empty(), "half-written state: {written:?}");
        }
    }

    /// How a person runs the same test, and where to look.
    pub fn reproduction(&self) -> String {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("NAME");
        format!(
            "  again    PIPECTL_E2E_KEEP=1 cargo test --test e2e -- --exact {name} --nocapture\n  home     {} (kept with PIPECTL_E2E_KEEP)\n",
            self.root.display()
        )
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let left = if failed {
            processes_with(&self.root)
        } else {
            // What was told to end a moment ago may need one.
            let mut left = processes_with(&self.root);
            for _ in 0..200 {
                if left.is_empty() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(25));
                left = processes_with(&self.root);
            }
            left
        };
        kill_all(&left);
        if std::env::var_os("PIPECTL_E2E_KEEP").is_none() {
            // The killed ones may still write for a moment.
            for _ in 0..20 {
                if fs::remove_dir_all(&self.root).is_ok() || !self.root.exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        assert!(failed || left.is_empty(), "processes are left: {left:#?}");
    }
}

fn kill_all(lines: &[String]) {
    for pid in lines
        .iter()
        .filter_map(|line| pid_of(line))
        .filter_map(Pid::from_raw)
    {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Ends what an earlier run of these tests left when it was killed: homes whose test process is gone.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            name.strip_prefix(PREFIX)?
                .split('.')
                .next()?
                .parse::<u32>()
                .ok()
        });
        let Some(owner) = owner else { continue };
        if Path::new(&format!("/proc/{owner}")).exists() {
            continue;
        }
        let left = processes_with(&entry.path());
        if !left.is_empty() {
            loudly(&format!(
                "e2e: ending {} processes of an earlier, killed run",
                left.len()
            ));
            kill_all(&left);
            until("the end of an earlier run's processes", || {
                processes_with(&entry.path()).is_empty().then_some(())
            });
        }
        if std::env::var_os("PIPECTL_E2E_KEEP").is_none() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
